package devices

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// MaxOverlap is the longest an earlier secret stays good beside the one that replaces it.
const MaxOverlap = 7 * 24 * time.Hour

// Rotate gives a device a new secret. Those that are good end when the new one is used, or after the overlap.
func Rotate(ctx context.Context, tx pgx.Tx, p crypto.Provider, device id.Device, at time.Time, overlap time.Duration) (string, error) {
	if overlap <= 0 || overlap > MaxOverlap {
		return "", fmt.Errorf("rotate a secret: an overlap of up to %v", MaxOverlap)
	}
	d, err := locked(ctx, tx, device)
	if err != nil {
		return "", fmt.Errorf("rotate a secret: %w", err)
	}
	if !d.LostFrom.IsZero() && d.LostUntil.IsZero() {
		return "", fmt.Errorf("rotate a secret: %w", ErrLost) // whoever has it would keep the old one meanwhile
	}
	if _, err := tx.Exec(ctx, `UPDATE device_credential SET expires_at = least(expires_at, $2) WHERE device_id = $1 AND revoked_at IS NULL`,
		device, at.Add(overlap)); err != nil {
		return "", explain("rotate a secret", err)
	}
	return IssueSecret(ctx, tx, p, device, at, false)
}

// SecretUsed says that a device came with the secret of this digest: those that it replaces end. It says whether any did.
func SecretUsed(ctx context.Context, tx pgx.Tx, serial Serial, mac []byte, at time.Time) (bool, error) {
	d, err := Find(ctx, tx, serial)
	if err != nil {
		return false, err
	}
	if d, err = locked(ctx, tx, d.ID); err != nil {
		return false, fmt.Errorf("a secret was used: %w", err)
	}
	tag, err := tx.Exec(ctx, `UPDATE device_credential o SET revoked_at = $3, mosquitto = NULL FROM device_credential n
		WHERE n.device_id = $1 AND n.mac = $2 AND n.revoked_at IS NULL AND n.expires_at IS NULL
		  AND o.device_id = $1 AND o.revoked_at IS NULL AND o.expires_at IS NOT NULL`, d.ID, mac, at)
	if err != nil {
		return false, explain("a secret was used", err)
	}
	if tag.RowsAffected() == 0 {
		return false, nil
	}
	return true, ledger.Append(ctx, tx, deviceEntry("device.secret_replaced", d.ID, d.Org, at, 1, map[string]any{"why": "used"}))
}

// EndReplaced ends the secrets whose overlap is over, and returns of how many devices.
func EndReplaced(ctx context.Context, tx pgx.Tx, now time.Time) (int, error) {
	rows, err := tx.Query(ctx, `WITH ended AS (UPDATE device_credential SET revoked_at = expires_at, mosquitto = NULL
			WHERE revoked_at IS NULL AND expires_at <= $1 RETURNING device_id)
		SELECT DISTINCT d.device_id, coalesce(d.org_id, 0) FROM ended JOIN device d USING (device_id) ORDER BY 1`, now)
	if err != nil {
		return 0, explain("end replaced secrets", err)
	}
	var entries []ledger.Entry
	var device id.Device
	var org id.Org
	if _, err := pgx.ForEachRow(rows, []any{&device, &org}, func() error {
		entries = append(entries, deviceEntry("device.secret_replaced", device, org, now, 1, map[string]any{"why": "overlap"}))
		return nil
	}); err != nil {
		return 0, explain("end replaced secrets", err)
	}
	return len(entries), ledger.Append(ctx, tx, entries...)
}
