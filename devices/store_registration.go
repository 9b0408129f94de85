package devices

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// MaxRegistration is the longest a terminal may be let register: meanwhile whoever knows its number may fetch its secret.
const MaxRegistration = 24 * time.Hour

// OpenRegistration lets a device register until then, on a wire where a terminal fetches its secret instead of being given it
// (JT/T 808). What an earlier one remembered of the terminal's make is forgotten.
func OpenRegistration(ctx context.Context, tx pgx.Tx, device id.Device, at, until time.Time) error {
	if !until.After(at) || until.Sub(at) > MaxRegistration {
		return fmt.Errorf("let a terminal register: for up to %v", MaxRegistration)
	}
	d, err := locked(ctx, tx, device)
	if err != nil {
		return fmt.Errorf("let a terminal register: %w", err)
	}
	if !d.RevokedAt.IsZero() {
		return fmt.Errorf("let a terminal register: %w", ErrRevoked)
	}
	if _, err := tx.Exec(ctx, `INSERT INTO terminal_registration (device_id, opened_at, open_until) VALUES ($1, $2, $3)
		ON CONFLICT (device_id) DO UPDATE SET opened_at = excluded.opened_at, open_until = excluded.open_until, identity = NULL`,
		device, at, until); err != nil {
		return explain("let a terminal register", err)
	}
	return ledger.Append(ctx, tx, deviceEntry("device.registration_opened", d.ID, d.Org, at, 1, map[string]any{"until": until}))
}

// Register gives a terminal that registers its secret; every earlier one ends. The first that comes while registration is open is
// remembered by its make, and another make is refused; the same may come again, because the answer may have been lost.
// ErrNotOpen: nobody has let it register.
func Register(ctx context.Context, tx pgx.Tx, p crypto.Provider, serial Serial, identity string, at time.Time) (id.Device, string, error) {
	d, err := Find(ctx, tx, serial)
	if err != nil {
		return 0, "", err
	}
	if _, err := locked(ctx, tx, d.ID); err != nil {
		return 0, "", fmt.Errorf("register: %w", err)
	}
	var ok bool
	err = tx.QueryRow(ctx, `UPDATE terminal_registration SET identity = $2 WHERE device_id = $1 AND open_until > $3
		AND (identity IS NULL OR identity = $2) RETURNING true`, d.ID, identity, at).Scan(&ok)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, "", fmt.Errorf("register: %w", ErrNotOpen)
	}
	if err != nil {
		return 0, "", explain("register", err)
	}
	secret, err := IssueSecret(ctx, tx, p, d.ID, at, true)
	return d.ID, secret, err
}
