package devices

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// maxLossReason is the longest reason of a loss, in characters.
const maxLossReason = 200

// MarkLost records that a device is in other hands than its bearer's since then. Its binding stays as it is: the person is to carry one,
// and that nothing is heard of them goes on being told. What it says is withheld (LostDevice), and texts to it that wait are withdrawn.
func MarkLost(ctx context.Context, tx pgx.Tx, device id.Device, reason string, since, at time.Time) error {
	reason = strings.TrimSpace(reason)
	if n := utf8.RuneCountInString(reason); n == 0 || n > maxLossReason || !utf8.ValidString(reason) {
		return fmt.Errorf("a device is lost for a reason of 1 to %d characters", maxLossReason)
	}
	if since.After(at) {
		return errors.New("a device is lost since now or earlier")
	}
	d, err := locked(ctx, tx, device)
	switch {
	case err != nil:
		return fmt.Errorf("lose a device: %w", err)
	case !d.RevokedAt.IsZero():
		return fmt.Errorf("lose a device: %w", ErrRevoked)
	case !d.LostFrom.IsZero() && d.LostUntil.IsZero():
		return fmt.Errorf("lose a device: %w", ErrLost)
	}
	var version int
	if err := tx.QueryRow(ctx, `UPDATE device SET lost_from = $2, lost_until = NULL, lost_reason = $3, facts = facts + 1 WHERE device_id = $1 RETURNING facts`,
		device, since, reason).Scan(&version); err != nil {
		return explain("lose a device", err)
	}
	if _, err := tx.Exec(ctx, `UPDATE command SET state = 'withdrawn', ended_at = $2, next_at = NULL, silent = false
		WHERE device_id = $1 AND kind = 'text' AND ended_at IS NULL`, device, at); err != nil {
		return explain("lose a device", err)
	}
	if _, err := tx.Exec(ctx, `UPDATE enrolment_code SET tries = 0 WHERE device_id = $1`, device); err != nil {
		return explain("lose a device", err)
	}
	return ledger.Append(ctx, tx, deviceEntry("device.lost", d.ID, d.Org, at, version, map[string]any{"since": since.UTC(), "reason": reason}))
}

// MarkFound records that a lost device is its bearer's again from now on. What it kept of the time between stays withheld.
func MarkFound(ctx context.Context, tx pgx.Tx, device id.Device, at time.Time) error {
	d, err := locked(ctx, tx, device)
	if err != nil {
		return fmt.Errorf("find a device again: %w", err)
	}
	if d.LostFrom.IsZero() || !d.LostUntil.IsZero() {
		return fmt.Errorf("find a device again: %w", ErrNotLost)
	}
	var version int
	if err := tx.QueryRow(ctx, `UPDATE device SET lost_until = $2, facts = facts + 1 WHERE device_id = $1 RETURNING facts`, device, at).Scan(&version); err != nil {
		return explain("find a device again", err)
	}
	return ledger.Append(ctx, tx, deviceEntry("device.found", d.ID, d.Org, at, version, map[string]any{"lost_from": d.LostFrom}))
}
