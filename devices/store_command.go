package devices

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
)

// NewCommand is a command to send to a device.
type NewCommand struct {
	Device    id.Device
	Kind      CommandKind
	Check     id.Check  // of CommandCheck
	Due       time.Time // of CommandCheck
	Text      string    // of CommandText
	At        time.Time // domain time
	ExpiresAt time.Time // no attempt later than this
}

// commandBody is what a command says besides its kind and times, as it is stored.
type commandBody struct {
	Check id.Check   `json:"check,omitempty"`
	Due   *time.Time `json:"due,omitempty"`
	Text  string     `json:"text,omitempty"`
}

// Enqueue records commands; the Sender sends them after commit. The ids are in the order given.
func Enqueue(ctx context.Context, q Querier, list ...NewCommand) ([]CommandID, error) {
	if len(list) == 0 {
		return nil, nil
	}
	n := len(list)
	devices, kinds, bodies, at, expires := make([]id.Device, n), make([]string, n), make([]string, n), make([]time.Time, n), make([]time.Time, n)
	for i, c := range list {
		body, err := json.Marshal(commandBody{c.Check, orNull(c.Due), c.Text})
		if err != nil {
			return nil, fmt.Errorf("enqueue a command: %w", err)
		}
		devices[i], kinds[i], bodies[i], at[i], expires[i] = c.Device, string(c.Kind), string(body), c.At, c.ExpiresAt
	}
	// The sequence is drawn in the order of the input, before the rows are written.
	rows, err := q.Query(ctx, `INSERT INTO command (device_id, kind, body, created_at, expires_at, next_at)
		SELECT device_id, kind, body::jsonb, at, expires, at
		  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[]) WITH ORDINALITY
		       AS t (device_id, kind, body, at, expires, n) ORDER BY n RETURNING command_id`, devices, kinds, bodies, at, expires)
	if err != nil {
		return nil, fmt.Errorf("enqueue commands: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[CommandID])
	if err != nil {
		return nil, fmt.Errorf("enqueue commands: %w", err)
	}
	return ids, nil
}

// FinishCommands ends commands that were answered, or that nobody needs an answer to any more.
func FinishCommands(ctx context.Context, q Querier, at time.Time, commands ...CommandID) error {
	if len(commands) == 0 {
		return nil
	}
	_, err := q.Exec(ctx, `UPDATE command SET done_at = $1, next_at = NULL WHERE command_id = ANY($2) AND done_at IS NULL`, at, commands)
	if err != nil {
		return fmt.Errorf("finish commands: %w", err)
	}
	return nil
}

// dueCommand is a command that is to be sent now.
type dueCommand struct {
	CommandMessage
	serial   Serial
	revoked  bool
	attempts int
	// what becomes of it
	sent bool
	next *time.Time
}

// takeDue locks the commands that are due; those another sender holds are left to it.
func takeDue(ctx context.Context, tx pgx.Tx, now time.Time, limit int) ([]dueCommand, error) {
	rows, err := tx.Query(ctx, `SELECT c.command_id, d.serial, d.revoked_at IS NOT NULL, c.kind, c.body, c.created_at, c.expires_at, c.attempts
		  FROM command c JOIN device d USING (device_id) WHERE c.next_at <= $1
		 ORDER BY c.next_at, c.command_id LIMIT $2 FOR UPDATE OF c SKIP LOCKED`, now, limit)
	if err != nil {
		return nil, fmt.Errorf("take due commands: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (dueCommand, error) {
		var c dueCommand
		var body commandBody
		err := row.Scan(&c.ID, &c.serial, &c.revoked, &c.Kind, &body, &c.At, &c.Expires, &c.attempts)
		c.Check, c.Text, c.Due = body.Check, body.Text, fromNull(body.Due)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("take due commands: %w", err)
	}
	return out, nil
}

// saveAttempts records what became of due commands.
func saveAttempts(ctx context.Context, tx pgx.Tx, now time.Time, list []dueCommand) error {
	n := len(list)
	ids, sent, next := make([]CommandID, n), make([]bool, n), make([]*time.Time, n)
	for i, c := range list {
		ids[i], sent[i], next[i] = c.ID, c.sent, c.next
	}
	_, err := tx.Exec(ctx, `UPDATE command c SET next_at = v.next_at, attempts = c.attempts + v.sent::int,
			sent_at = CASE WHEN v.sent THEN $4 ELSE c.sent_at END
		FROM unnest($1::bigint[], $2::boolean[], $3::timestamptz[]) AS v (command_id, sent, next_at) WHERE c.command_id = v.command_id`,
		ids, sent, next, now)
	if err != nil {
		return fmt.Errorf("save attempts of commands: %w", err)
	}
	return nil
}
