package geofence

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
)

// deafAfter is how long nobody must have listened before it is an interval of its own: no rule calls anybody silent sooner.
const deafAfter = time.Minute

// readDeaf gives the facts of subjects the intervals in which we did not listen.
func readDeaf(ctx context.Context, tx pgx.Tx, out map[id.Subject]*subjectFacts) error {
	rows, err := tx.Query(ctx, `SELECT lower(during), upper(during) FROM deaf ORDER BY during`)
	if err != nil {
		return fmt.Errorf("read when we did not listen: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v Interval, err error) {
		err = row.Scan(&v.From, &v.Until)
		return Interval{v.From.UTC(), v.Until.UTC()}, err
	})
	if err != nil {
		return fmt.Errorf("read when we did not listen: %w", err)
	}
	for _, s := range out {
		s.facts.Deaf = list
	}
	return nil
}

// listeningEvery is how often it is noted that somebody listens; machine time.
const listeningEvery = 10 * time.Second

// Begin notes that this process listens from now on. Where nobody did for more than a minute before, that was an interval
// in which we were deaf: it is recorded, and nobody was silent in it. Call it before anything is taken in.
func (e *Engine) Begin(ctx context.Context) (deaf Interval, err error) {
	return e.hearsAgain(ctx, "server_down")
}

// hearsAgain is Begin, whyever nobody listened.
func (e *Engine) hearsAgain(ctx context.Context, cause string) (deaf Interval, err error) {
	err = pgx.BeginFunc(ctx, e.o.Pool, func(tx pgx.Tx) error {
		now := e.o.Clock.Now()
		var last *time.Time
		if err := tx.QueryRow(ctx, `SELECT (SELECT at FROM listening FOR UPDATE)`).Scan(&last); err != nil {
			return err
		}
		if err := listens(ctx, tx, now); err != nil {
			return err
		}
		if last == nil || now.Sub(*last) < deafAfter {
			return nil
		}
		deaf = Interval{last.UTC(), now}
		if _, err := tx.Exec(ctx, `INSERT INTO deaf (during, cause) VALUES (tstzrange($1, $2), $3) ON CONFLICT DO NOTHING`, deaf.From, deaf.Until, cause); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `SELECT facts_changed(array_agg(subject_id), $1) FROM subject_state HAVING count(*) > 0`, now)
		return err
	})
	if err != nil {
		return deaf, fmt.Errorf("note that somebody listens: %w", err)
	}
	if !deaf.Until.IsZero() {
		e.log.Warn("nobody listened: what devices do not tell of it afterwards is not known, and nobody was silent", "from", deaf.From, "until", deaf.Until)
	}
	return deaf, nil
}

func listens(ctx context.Context, q Querier, now time.Time) error {
	_, err := q.Exec(ctx, `INSERT INTO listening AS l (at) VALUES ($1) ON CONFLICT (one) DO UPDATE SET at = greatest(l.at, excluded.at)`, now)
	return err
}
