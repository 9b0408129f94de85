package devices

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
)

// CommandRow is a command and how far it has come. Zero times: not so far.
type CommandRow struct {
	ID       CommandID
	Kind     CommandKind
	State    CommandState
	Reason   string
	Attempts int

	At, ExpiresAt    time.Time
	FirstSent, Sent  time.Time // first and latest attempt
	Delivered, Ended time.Time
	DeviceAt         time.Time     // of the device's latest answer, by its own clock
	Every            time.Duration // of CommandInterval
	By               id.Officer    // who asked; 0: the platform, or AskedAs
	ByLogin, AskedAs string
	Check            id.Check // of CommandCheck
}

// ListCommands returns the commands of a device, the latest first; limit 0 is 100. What a text says is not among it.
func ListCommands(ctx context.Context, q Querier, device id.Device, limit int) ([]CommandRow, error) {
	if limit <= 0 {
		limit = 100
	}
	rows, err := q.Query(ctx, `SELECT c.command_id, c.kind, c.state, c.reason, c.attempts, c.created_at, c.expires_at, c.first_sent_at, c.sent_at, c.delivered_at,
			c.ended_at, c.device_at, c.body, coalesce(c.asked_by, 0), c.asked_as,
			coalesce((SELECT min(name) FROM account a WHERE a.officer_id = c.asked_by), '')
		  FROM command c WHERE c.device_id = $1 ORDER BY c.command_id DESC LIMIT $2`, device, limit)
	if err != nil {
		return nil, fmt.Errorf("list commands: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (CommandRow, error) {
		var c CommandRow
		var body commandBody
		var first, sent, delivered, ended, deviceAt *time.Time
		err := row.Scan(&c.ID, &c.Kind, &c.State, &c.Reason, &c.Attempts, &c.At, &c.ExpiresAt, &first, &sent, &delivered, &ended, &deviceAt, &body,
			&c.By, &c.AskedAs, &c.ByLogin)
		c.At, c.ExpiresAt, c.FirstSent, c.Sent = c.At.UTC(), c.ExpiresAt.UTC(), fromNull(first), fromNull(sent)
		c.Delivered, c.Ended, c.DeviceAt = fromNull(delivered), fromNull(ended), fromNull(deviceAt)
		c.Every, c.Check = time.Duration(body.Every)*time.Second, body.Check
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("list commands: %w", err)
	}
	return out, nil
}

// OpenCommandKey is what open commands are counted by.
type OpenCommandKey struct {
	Kind  CommandKind
	State CommandState
}

// LoadOpenCommands counts the commands that have not come to an end.
func LoadOpenCommands(ctx context.Context, q Querier) (map[OpenCommandKey]int64, error) {
	rows, err := q.Query(ctx, `SELECT kind, state, count(*) FROM command WHERE next_at IS NOT NULL GROUP BY kind, state`)
	if err != nil {
		return nil, fmt.Errorf("count open commands: %w", err)
	}
	out := map[OpenCommandKey]int64{}
	var k OpenCommandKey
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&k.Kind, &k.State, &n}, func() error { out[k] = n; return nil }); err != nil {
		return nil, fmt.Errorf("count open commands: %w", err)
	}
	return out, nil
}
