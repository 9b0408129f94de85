package geofence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/geofence/track"
	"zhijiao/internal/id"
)

func subjectsWithState(ctx context.Context, q Querier) ([]id.Subject, error) {
	rows, err := q.Query(ctx, `SELECT subject_id FROM subject_state WHERE state <> '{}' ORDER BY subject_id`)
	if err != nil {
		return nil, fmt.Errorf("list subjects: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[id.Subject])
}

// loadToCheck reads the violations of a subject that stand, and since when the subject is evaluated.
func loadToCheck(ctx context.Context, tx pgx.Tx, s id.Subject) ([]*episode, time.Time, error) {
	since, err := begun(ctx, tx, s)
	if err != nil {
		return nil, since, err
	}
	rows, err := tx.Query(ctx, `SELECT `+violationColumns+`, engine FROM violation WHERE subject_id = $1 AND state <> 'withdrawn' ORDER BY opened_at, violation_id`, s)
	if err != nil {
		return nil, since, fmt.Errorf("read violations: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*episode, error) {
		return scanEpisodeAnd(row, func(v *episode) any { return &v.engine })
	})
	return list, since, err
}

// begun is since when a subject is evaluated; the zero time: not yet.
func begun(ctx context.Context, tx pgx.Tx, s id.Subject) (time.Time, error) {
	var since *time.Time
	err := tx.QueryRow(ctx, `SELECT (state ->> 'since')::timestamptz FROM subject_state WHERE subject_id = $1`, s).Scan(&since)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && since == nil {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("read since when subject %d is evaluated: %w", s, err)
	}
	return since.UTC(), nil
}

// firstHeard is where a subject's history begins: where evaluation did, or at the first observation before.
func firstHeard(ctx context.Context, tx pgx.Tx, s id.Subject, since time.Time) (time.Time, error) {
	var first *time.Time
	var data []byte
	if err := tx.QueryRow(ctx, `SELECT least((SELECT min(fix_at) FROM position WHERE subject_id = $1), (SELECT min(at) FROM check_in WHERE subject_id = $1)),
		(SELECT data FROM position_pack WHERE subject_id = $1 ORDER BY hour LIMIT 1)`, s).Scan(&first, &data); err != nil {
		return since, fmt.Errorf("look where history begins: %w", err)
	}
	if data != nil {
		fixes, err := track.Decode(data)
		if err != nil {
			return since, fmt.Errorf("look where history begins: %w", err)
		}
		if at := fixes[0].At; first == nil || at.Before(*first) {
			first = &at
		}
	}
	if first != nil && first.Before(since) {
		return first.UTC(), nil
	}
	return since, nil
}

func storedFront(ctx context.Context, tx pgx.Tx, s id.Subject) (time.Time, error) {
	var at time.Time
	err := tx.QueryRow(ctx, `SELECT (state -> 'front' ->> 'at')::timestamptz FROM subject_state WHERE subject_id = $1`, s).Scan(&at)
	return at.UTC(), err
}

func loadFound(ctx context.Context, q Querier, subjects []id.Subject, from, until time.Time) ([]Found, error) {
	rows, err := q.Query(ctx, `SELECT v.subject_id, v.rule_id, v.kind, v.channel, v.opened_at, v.evidence -> 'opened' ->> 'legal_basis', r.schedule_id IS NOT NULL
		FROM violation v JOIN rule r USING (rule_id) WHERE r.version = v.rule_version AND v.subject_id = ANY ($1) AND v.opened_at >= $2 AND v.opened_at < $3 AND v.state <> 'withdrawn'`, subjects, from, until)
	if err != nil {
		return nil, fmt.Errorf("read what was found: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (f Found, err error) {
		b := &f.Body
		err = row.Scan(&f.Subject, &b.Rule, &b.Kind, &b.Channel, &b.OpenedAt, &b.Basis, &b.Timed)
		b.Subject = f.Subject
		return f, err
	})
}
