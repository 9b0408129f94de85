package alerts

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Table is the handling table as it holds at t.
func Table(ctx context.Context, q Querier, t time.Time) ([]Handling, error) {
	rows, err := q.Query(ctx, `SELECT kind, channel, class, tell, day, night, acknowledge_s, escalate_s, heals, closing, lower(valid) FROM handling
		WHERE valid @> $1::timestamptz AND recorded @> $1::timestamptz ORDER BY array_position('{alarm,reminder,lead}'::text[], class), acknowledge_s, kind, channel DESC`, t)
	if err != nil {
		return nil, fmt.Errorf("read the handling table: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Handling])
	if err != nil {
		return nil, fmt.Errorf("read the handling table: %w", err)
	}
	return list, nil
}

func loadPolicy(ctx context.Context, q Querier, t time.Time) (*Policy, error) {
	p := &Policy{handling: map[[2]string]Class{}, allowed: map[string][2]Class{}}
	rows, err := q.Query(ctx, `SELECT kind, channel, class FROM handling WHERE valid @> $1::timestamptz AND recorded @> $1::timestamptz`, t)
	if err != nil {
		return nil, err
	}
	var kind, channel, code string
	var c, timed Class
	if _, err := pgx.ForEachRow(rows, []any{&kind, &channel, &c}, func() error { p.handling[[2]string{kind, channel}] = c; return nil }); err != nil {
		return nil, err
	}
	rows, err = q.Query(ctx, `SELECT code, max_class, timed_class FROM legal_basis WHERE valid @> $1::timestamptz AND recorded @> $1::timestamptz`, t)
	if err != nil {
		return nil, err
	}
	_, err = pgx.ForEachRow(rows, []any{&code, &c, &timed}, func() error { p.allowed[code] = [2]Class{c, timed}; return nil })
	return p, err
}
