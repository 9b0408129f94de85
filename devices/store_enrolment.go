package devices

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

const (
	// MaxCode is the longest an enrolment code may be good for.
	MaxCode = 24 * time.Hour
	// codeTries is how many wrong codes end the right one: with 50 random bits, five in a day find nothing.
	codeTries = 5
	// codeAlphabet has no letter that is taken for another when it is read out: 32 characters, 5 bits each.
	codeAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	codeLength   = 10
)

// newCode is 50 random bits, in two halves for people.
func newCode() string {
	b := make([]byte, codeLength)
	rand.Read(b) // never fails: the runtime ends the program instead
	for i := range b {
		b[i] = codeAlphabet[b[i]%32]
	}
	return string(b[:5]) + "-" + string(b[5:])
}

// canonicalCode is a code as its digest was made: what people change when they type it means the same.
func canonicalCode(code string) []byte {
	return []byte("enrol:" + strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(code)))
}

// MakeCode gives a device a code with which it fetches a new secret, once and until then, and returns it: it is nowhere else. An
// earlier code ends. Secrets that are good stay so until the code is used.
func MakeCode(ctx context.Context, tx pgx.Tx, p crypto.Provider, device id.Device, at, until time.Time) (string, error) {
	if !until.After(at) || until.Sub(at) > MaxCode {
		return "", fmt.Errorf("make an enrolment code: for up to %v", MaxCode)
	}
	d, err := locked(ctx, tx, device)
	switch {
	case err != nil:
		return "", fmt.Errorf("make an enrolment code: %w", err)
	case !d.RevokedAt.IsZero():
		return "", fmt.Errorf("make an enrolment code: %w", ErrRevoked)
	case !d.LostFrom.IsZero() && d.LostUntil.IsZero():
		return "", fmt.Errorf("make an enrolment code: %w", ErrLost)
	}
	code := newCode()
	if _, err := tx.Exec(ctx, `INSERT INTO enrolment_code (device_id, mac, made_at, expires_at, tries) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (device_id) DO UPDATE SET mac = excluded.mac, made_at = excluded.made_at, expires_at = excluded.expires_at,
			tries = excluded.tries, used_at = NULL`, device, crypto.DeviceMAC(p)(canonicalCode(code)), at, until, codeTries); err != nil {
		return "", explain("make an enrolment code", err)
	}
	return code, ledger.Append(ctx, tx, deviceEntry("device.code_made", d.ID, d.Org, at, 1, map[string]any{"until": until.UTC()}))
}

// UseCode exchanges a code for a new secret; every earlier secret ends, as with Register. ErrCode says nothing of which part was
// wrong; the transaction is to be committed all the same, because it counts the try.
func UseCode(ctx context.Context, tx pgx.Tx, p crypto.Provider, serial Serial, code string, at time.Time) (string, error) {
	mac := crypto.DeviceMAC(p)(canonicalCode(code)) // also of who is unknown: it takes as long
	d, err := Find(ctx, tx, serial)
	if errors.Is(err, ErrUnknownDevice) {
		return "", ErrCode
	}
	if err != nil {
		return "", err
	}
	if d, err = locked(ctx, tx, d.ID); err != nil {
		return "", fmt.Errorf("use an enrolment code: %w", err)
	}
	var want []byte
	var tries int
	err = tx.QueryRow(ctx, `SELECT mac, tries FROM enrolment_code WHERE device_id = $1 AND used_at IS NULL AND tries > 0 AND expires_at > $2`,
		d.ID, at).Scan(&want, &tries)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && (!d.RevokedAt.IsZero() || !d.LostFrom.IsZero() && d.LostUntil.IsZero()) {
		return "", ErrCode
	}
	if err != nil {
		return "", explain("use an enrolment code", err)
	}
	if !hmac.Equal(want, mac) {
		if _, err := tx.Exec(ctx, `UPDATE enrolment_code SET tries = tries - 1 WHERE device_id = $1`, d.ID); err != nil {
			return "", explain("use an enrolment code", err)
		}
		if err := ledger.Append(ctx, tx, deviceEntry("device.code_refused", d.ID, d.Org, at, 1, map[string]any{"tries_left": tries - 1})); err != nil {
			return "", err
		}
		return "", ErrCode
	}
	if _, err := tx.Exec(ctx, `UPDATE enrolment_code SET used_at = $2 WHERE device_id = $1`, d.ID, at); err != nil {
		return "", explain("use an enrolment code", err)
	}
	if err := ledger.Append(ctx, tx, deviceEntry("device.code_used", d.ID, d.Org, at, 1, nil)); err != nil {
		return "", err
	}
	return IssueSecret(ctx, tx, p, d.ID, at, true)
}
