package devices

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// Querier is a pool, a connection or a transaction.
type Querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Device is a row of the registry.
type Device struct {
	ID         id.Device
	Serial     Serial
	Class      Class
	Model      string
	Org        id.Org // 0: none
	EnrolledAt time.Time
	RevokedAt  time.Time // zero: not revoked
	Facts      int64     // grows with each recorded change of its bindings
	LostFrom   time.Time // of the latest loss; zero: never lost
	LostUntil  time.Time // zero: not found again
}

// Enrolment is a device to enter into the registry.
type Enrolment struct {
	Serial Serial
	Class  Class
	Model  string
	Org    id.Org    // 0: none
	At     time.Time // domain time; observations of an earlier time are withheld
}

// Enrolled is a new device and its secret, which is nowhere else: it cannot be shown a second time.
type Enrolled struct {
	ID     id.Device
	Serial Serial
	Secret string
}

// LogValue keeps the secret out of logs.
func (e Enrolled) LogValue() slog.Value { return slog.StringValue("device " + string(e.Serial)) }

// Enrol enters a device into the registry and returns its secret.
func Enrol(ctx context.Context, tx pgx.Tx, p crypto.Provider, e Enrolment) (Enrolled, error) {
	all, err := EnrolAll(ctx, tx, p, []Enrolment{e})
	if err != nil {
		return Enrolled{}, err
	}
	return all[0], nil
}

// EnrolAll enters devices into the registry, in the order given.
func EnrolAll(ctx context.Context, tx pgx.Tx, p crypto.Provider, list []Enrolment) ([]Enrolled, error) {
	n := len(list)
	serials, classes, models := make([]string, n), make([]string, n), make([]string, n)
	orgs, at, macs, hashes := make([]*int64, n), make([]time.Time, n), make([][]byte, n), make([]string, n)
	out := make([]Enrolled, n)
	mac := crypto.DeviceMAC(p)
	for i, e := range list {
		serials[i], classes[i], models[i], orgs[i], at[i] = string(e.Serial), string(e.Class), e.Model, orNull(int64(e.Org)), e.At
		out[i] = Enrolled{Serial: e.Serial, Secret: newSecret()}
		macs[i], hashes[i] = mac([]byte(out[i].Secret)), crypto.MosquittoHash(out[i].Secret)
	}
	rows, err := tx.Query(ctx, `INSERT INTO device (serial, class, model, org_id, enrolled_at)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[]) RETURNING serial, device_id`,
		serials, classes, models, orgs, at)
	ids := make(map[Serial]id.Device, n)
	if err == nil {
		var serial Serial
		var device id.Device
		_, err = pgx.ForEachRow(rows, []any{&serial, &device}, func() error { ids[serial] = device; return nil })
	}
	if err != nil {
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.ConstraintName == "device_serial_key" {
			return nil, fmt.Errorf("enrol: %w", ErrSerialTaken)
		}
		return nil, explain("enrol", err)
	}
	numbers := make([]int64, n)
	entries := make([]ledger.Entry, n)
	for i, e := range list {
		out[i].ID = ids[e.Serial]
		numbers[i] = int64(out[i].ID)
		entries[i] = deviceEntry("device.enrolled", out[i].ID, e.Org, e.At, 1, map[string]any{"class": e.Class, "model": e.Model})
	}
	if _, err := tx.Exec(ctx, `INSERT INTO device_health (device_id) SELECT unnest($1::bigint[])`, numbers); err != nil {
		return nil, explain("enrol", err)
	}
	if _, err := tx.Exec(ctx, `INSERT INTO device_credential (device_id, mac, issued_at, mosquitto)
		SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::timestamptz[], $4::text[])`, numbers, macs, at, hashes); err != nil {
		return nil, explain("enrol", err)
	}
	return out, ledger.Append(ctx, tx, entries...)
}

// newSecret is 192 random bits that survive being typed into a configuration.
func newSecret() string {
	b := make([]byte, 24)
	rand.Read(b) // never fails: the runtime ends the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}

const deviceColumns = `d.device_id, d.serial, d.class, d.model, coalesce(d.org_id, 0), d.enrolled_at, d.revoked_at, d.facts, d.lost_from, d.lost_until`

func scanDevice(row pgx.Row, more ...any) (Device, error) {
	var d Device
	var revoked, lostFrom, lostUntil *time.Time
	err := row.Scan(append([]any{&d.ID, &d.Serial, &d.Class, &d.Model, &d.Org, &d.EnrolledAt, &revoked, &d.Facts, &lostFrom, &lostUntil}, more...)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return Device{}, ErrUnknownDevice
	}
	d.EnrolledAt, d.RevokedAt = d.EnrolledAt.UTC(), fromNull(revoked)
	d.LostFrom, d.LostUntil = fromNull(lostFrom), fromNull(lostUntil)
	return d, err
}

// Find returns a device by its serial, or ErrUnknownDevice.
func Find(ctx context.Context, q Querier, serial Serial) (Device, error) {
	d, err := scanDevice(q.QueryRow(ctx, `SELECT `+deviceColumns+` FROM device d WHERE serial = $1`, serial))
	if err != nil {
		return Device{}, fmt.Errorf("find device: %w", err)
	}
	return d, nil
}

// lockDevices takes the locks under which anything about devices is decided or changed, in the one order there is.
func lockDevices(ctx context.Context, tx pgx.Tx, devices ...id.Device) error {
	if _, err := tx.Exec(ctx, `SELECT FROM device_health WHERE device_id = ANY($1) ORDER BY device_id FOR UPDATE`, devices); err != nil {
		return fmt.Errorf("lock devices: %w", err)
	}
	return nil
}

// locked reads a device under its lock.
func locked(ctx context.Context, tx pgx.Tx, device id.Device) (Device, error) {
	if err := lockDevices(ctx, tx, device); err != nil {
		return Device{}, err
	}
	return scanDevice(tx.QueryRow(ctx, `SELECT `+deviceColumns+` FROM device d WHERE device_id = $1`, device))
}

// IssueSecret gives a device a new secret; with revokeOthers every earlier one ends at once.
func IssueSecret(ctx context.Context, tx pgx.Tx, p crypto.Provider, device id.Device, at time.Time, revokeOthers bool) (string, error) {
	d, err := locked(ctx, tx, device)
	if err != nil {
		return "", fmt.Errorf("issue a secret: %w", err)
	}
	if !d.RevokedAt.IsZero() {
		return "", fmt.Errorf("issue a secret: %w", ErrRevoked)
	}
	if revokeOthers {
		if err := endSecrets(ctx, tx, device, at); err != nil {
			return "", err
		}
	}
	secret := newSecret()
	var version int
	err = tx.QueryRow(ctx, `WITH c AS (INSERT INTO device_credential (device_id, mac, issued_at, mosquitto) VALUES ($1, $2, $3, $4))
		UPDATE device SET facts = facts + 1 WHERE device_id = $1 RETURNING facts + 1`, device, crypto.DeviceMAC(p)([]byte(secret)), at,
		crypto.MosquittoHash(secret)).Scan(&version)
	if err != nil {
		return "", explain("issue a secret", err)
	}
	return secret, ledger.Append(ctx, tx, deviceEntry("device.secret_issued", d.ID, d.Org, at, version, map[string]any{"others_revoked": revokeOthers}))
}

func endSecrets(ctx context.Context, tx pgx.Tx, device id.Device, at time.Time) error {
	if _, err := tx.Exec(ctx, `UPDATE device_credential SET revoked_at = $2, mosquitto = NULL WHERE device_id = $1 AND revoked_at IS NULL`, device, at); err != nil {
		return explain("revoke secrets", err)
	}
	return nil
}

// RevokeSecrets ends every secret of a device: it cannot connect until it is given a new one.
func RevokeSecrets(ctx context.Context, tx pgx.Tx, device id.Device, at time.Time) error {
	return revoke(ctx, tx, device, at, "device.secrets_revoked", `UPDATE device SET facts = facts + 1 WHERE device_id = $1 RETURNING facts + 1`)
}

// Revoke ends a device: it cannot connect, and what it observed later is withheld.
func Revoke(ctx context.Context, tx pgx.Tx, device id.Device, at time.Time) error {
	return revoke(ctx, tx, device, at, "device.revoked",
		`UPDATE device SET facts = facts + 1, revoked_at = coalesce(revoked_at, $2) WHERE device_id = $1 RETURNING facts + 1`, at)
}

func revoke(ctx context.Context, tx pgx.Tx, device id.Device, at time.Time, kind, update string, args ...any) error {
	d, err := locked(ctx, tx, device)
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	if err := endSecrets(ctx, tx, device, at); err != nil {
		return err
	}
	var version int
	if err := tx.QueryRow(ctx, update, append([]any{device}, args...)...).Scan(&version); err != nil {
		return explain("revoke", err)
	}
	return ledger.Append(ctx, tx, deviceEntry(kind, d.ID, d.Org, at, version, nil))
}

// Credentials returns for every device that may connect the keyed digests of its secrets.
func Credentials(ctx context.Context, q Querier) (map[string][][]byte, error) {
	return credentials(ctx, q, `SELECT serial, mac FROM device d JOIN device_credential c USING (device_id)
		WHERE c.revoked_at IS NULL AND d.revoked_at IS NULL ORDER BY serial, device_credential_id`)
}

// CredentialsOf returns the same of some devices, after the ledger said that they changed (kinds device.*). A device that
// may not connect is there, with nothing.
func CredentialsOf(ctx context.Context, q Querier, devices ...id.Device) (map[string][][]byte, error) {
	return credentials(ctx, q, `SELECT serial, mac FROM device d
		LEFT JOIN device_credential c ON c.device_id = d.device_id AND c.revoked_at IS NULL AND d.revoked_at IS NULL
		WHERE d.device_id = ANY($1) ORDER BY serial, device_credential_id`, devices)
}

func credentials(ctx context.Context, q Querier, sql string, args ...any) (map[string][][]byte, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	out := map[string][][]byte{}
	var serial string
	var mac []byte
	_, err = pgx.ForEachRow(rows, []any{&serial, &mac}, func() error {
		if mac == nil {
			out[serial] = nil
			return nil
		}
		out[serial] = append(out[serial], append([]byte(nil), mac...))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	return out, nil
}

func deviceEntry(kind string, device id.Device, org id.Org, at time.Time, version int, body map[string]any) ledger.Entry {
	return ledger.Entry{At: at, Kind: kind, Org: org, Entity: "device", EntityID: int64(device), Version: version, Body: asJSON(body)}
}

// asJSON is for maps of plain values, which always have a JSON form.
func asJSON(body map[string]any) json.RawMessage {
	if len(body) == 0 {
		return nil
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil
	}
	return b
}

// orNull is for columns in which nothing is NULL and not zero.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func fromNull(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
