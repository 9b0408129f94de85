package geofence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/internal/id"
)

// nextDue is the earliest timer that is set; zero: none.
func nextDue(ctx context.Context, pool *pgxpool.Pool) (time.Time, error) {
	var due *time.Time
	if err := pool.QueryRow(ctx, `SELECT min(next_due) FROM subject_state`).Scan(&due); err != nil {
		return time.Time{}, fmt.Errorf("look for timers: %w", err)
	}
	if due == nil {
		return time.Time{}, nil
	}
	return due.UTC(), nil
}

// claimDue locks subjects with a timer that is due; those another transaction holds are left to it.
func (e *Engine) claimDue(ctx context.Context, tx pgx.Tx, now time.Time, limit int) (map[id.Subject]*subject, []id.Subject, error) {
	out, err := e.readStates(ctx, tx, `SELECT subject_id, version, facts, state, next_due FROM subject_state WHERE next_due <= $1
		ORDER BY next_due, subject_id LIMIT $2 FOR UPDATE SKIP LOCKED`, now, limit)
	if err != nil || len(out) == 0 {
		return nil, nil, err
	}
	return out, byDue(out), e.loadFacts(ctx, tx, out)
}

// saveTicked writes the states and the timers they ask for now.
func saveTicked(ctx context.Context, tx pgx.Tx, subjects map[id.Subject]*subject, now time.Time) error {
	var ids, versions []int64
	var docs []string
	var due []*time.Time
	for _, s := range subjects {
		doc, err := json.Marshal(&s.state)
		if err != nil {
			return fmt.Errorf("state of subject %d: %w", s.id, err)
		}
		var at *time.Time
		if next := NextDue(&s.state, s.known.facts, now); !next.IsZero() {
			if !next.After(now) { // what did not fire now has a moment, so that it cannot keep the others from firing
				next = now.Add(time.Second)
			}
			at = &next
		}
		ids, versions, docs, due = append(ids, int64(s.id)), append(versions, s.version), append(docs, string(doc)), append(due, at)
	}
	if err := writeCheckpoints(ctx, tx, subjects); err != nil {
		return err
	}
	return writeStates(ctx, tx, ids, versions, docs, due, make([]*time.Time, len(ids)))
}

// ErrNotDrained says what is still to be done up to an instant.
var ErrNotDrained = errors.New("not yet quiet")

// Drained returns nil when everything that happens by itself up to t has happened: no timer and no command is due, and
// every durable reader of the ledger is at its head. Else the error wraps ErrNotDrained. A stepped rehearsal moves the
// clock on only then.
func Drained(ctx context.Context, q Querier, t time.Time) error {
	var timers, commands, dirty, companies int64
	var looked bool
	var behind *string
	err := q.QueryRow(ctx, `SELECT (SELECT count(*) FROM subject_state WHERE next_due <= $1), (SELECT count(*) FROM command WHERE next_at <= $1),
		(SELECT count(*) FROM subject_state WHERE dirty_from IS NOT NULL),
		(SELECT count(*) FROM company_state WHERE at < $2 OR dirty_from IS NOT NULL) + (SELECT count(*) FROM company_late),
		(SELECT at >= $3 FROM outage_front),
		(SELECT string_agg(reader, ', ' ORDER BY reader) FROM ledger_cursor WHERE pos < (SELECT coalesce(max(pos), 0) FROM ledger))`, t, companyMark(t), outageMark(t)).
		Scan(&timers, &commands, &dirty, &companies, &looked, &behind)
	switch {
	case err != nil:
		return fmt.Errorf("look for what is still to be done: %w", err)
	case timers > 0:
		return fmt.Errorf("%w: timers of %d subjects are due", ErrNotDrained, timers)
	case dirty > 0:
		return fmt.Errorf("%w: the past of %d subjects is to be derived again", ErrNotDrained, dirty)
	case !looked:
		return fmt.Errorf("%w: nobody has looked yet whether an area is away", ErrNotDrained)
	case companies > 0:
		return fmt.Errorf("%w: %d rules about several people are to be judged", ErrNotDrained, companies)
	case behind != nil:
		return fmt.Errorf("%w: the ledger is not read to its end by %s", ErrNotDrained, *behind)
	case commands > 0:
		return fmt.Errorf("%w: %d commands are to be sent", ErrNotDrained, commands)
	}
	return nil
}
