package supervision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

func putTask(ctx context.Context, tx pgx.Tx, now time.Time, subject id.Subject, org id.Org, proceeding int64, t TaskSpec) error {
	_, err := tx.Exec(ctx, `INSERT INTO task (kind, key, subject_id, org_id, proceeding_id, opened_at, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (kind, key) DO NOTHING`, t.Kind, t.Key, subject, org, null(proceeding), now, t.Due)
	return err
}

// Tasks are what is to be done about subjects in scope, the most urgent first; with done also what was done, at most 500 of all.
func (s *Store) Tasks(ctx context.Context, q Querier, scope id.Org, subject id.Subject, done bool) ([]Task, error) {
	rows, err := q.Query(ctx, `SELECT p.task_id, p.kind, p.subject_id, p.org_id, coalesce(p.proceeding_id, 0), p.opened_at, p.due_at, p.done_at, coalesce(p.done_by, 0), p.outcome
		FROM task p WHERE`+inScope+` AND ($3 = 0 OR p.subject_id = $3) AND ($4 OR p.done_at IS NULL) ORDER BY p.done_at IS NOT NULL, p.due_at, p.task_id LIMIT 500`,
		scope, s.clock.Now(), subject, done)
	if err != nil {
		return nil, fmt.Errorf("read the tasks: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t Task, err error) {
		var at *time.Time
		err = row.Scan(&t.ID, &t.Kind, &t.Subject, &t.Org, &t.Proceeding, &t.OpenedAt, &t.Due, &at, &t.DoneBy, &t.Outcome)
		t.OpenedAt, t.Due = t.OpenedAt.UTC(), t.Due.UTC()
		if at != nil {
			t.DoneAt = at.UTC()
		}
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the tasks: %w", err)
	}
	return list, nil
}

// FinishTask records that a task was done, with the number of its receipt or what came of it. It identifies nobody.
func (s *Store) FinishTask(ctx context.Context, a Actor, scope id.Org, task int64, outcome string) error {
	if err := text("outcome", outcome); err != nil {
		return err
	}
	if !a.decides() {
		return refusedStaff
	}
	return s.change(ctx, "finish a task", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		var t Task
		err := tx.QueryRow(ctx, `UPDATE task p SET done_at = $2, done_by = $4, outcome = $5 WHERE`+inScope+` AND task_id = $3 AND done_at IS NULL
			RETURNING kind, subject_id, org_id`, scope, now, task, null(a.Account), outcome).Scan(&t.Kind, &t.Subject, &t.Org)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, ErrNotFound
		}
		if err != nil {
			return nil, err
		}
		e, err := entry("task.done", "task", task, now, map[string]any{"kind": t.Kind, "by": a.Account})
		e.Org, e.Subject = t.Org, t.Subject
		return []ledger.Entry{e}, err
	})
}

// Remind opens the tasks that a date has made due: before an approval ends at the days the rule table names (R07), with an appointment to
// take the wristband off (R126), and to have it back once the approval has ended (R04). It says how many are new.
func (s *Store) Remind(ctx context.Context) (int64, error) {
	var n int64
	err := s.change(ctx, "remind", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		law, err := s.law(ctx, tx, now)
		if err != nil {
			return nil, err
		}
		ahead, removal := law.Period("authority.remind"), law.Period("authority.removal")
		if ahead == nil || removal == nil {
			return nil, errors.New("the rule table has no periods of reminders for today")
		}
		tag, err := tx.Exec(ctx, `WITH a AS (SELECT a.authority_id, a.subject_id, a.document_no, upper(a.valid) AS ends, a.proceeding_id,
				(SELECT o.org_id FROM subject_office o WHERE o.subject_id = a.subject_id AND upper_inf(o.recorded) ORDER BY o.valid @> $1::timestamptz DESC, lower(o.valid) DESC LIMIT 1) AS org_id,
				EXISTS (SELECT FROM authority x WHERE x.subject_id = a.subject_id AND upper_inf(x.recorded) AND lower(x.valid) >= upper(a.valid) AND lower(x.valid) <= upper(a.valid) + interval '1 day') AS goes_on
			FROM authority a WHERE upper_inf(a.recorded) AND lower(a.valid) <= $1 AND upper(a.valid) > $1::timestamptz - interval '30 days'),
		due AS (
			SELECT 'authority_ends' AS kind, subject_id || '/' || extract(epoch FROM ends)::bigint || '/' || d AS key, subject_id, org_id, proceeding_id, ends AS due
				FROM a, unnest($2::int[]) AS d WHERE ends > $1 AND ends - make_interval(days => d) <= $1 AND NOT goes_on
					AND NOT EXISTS (SELECT FROM unnest($2::int[]) AS nearer WHERE nearer < d AND ends - make_interval(days => nearer) <= $1)
			UNION ALL
			SELECT 'removal_date', subject_id || '/' || extract(epoch FROM ends)::bigint, subject_id, org_id, proceeding_id, ends
				FROM a WHERE ends > $1 AND ends - make_interval(days => $3) <= $1 AND NOT goes_on
			UNION ALL
			SELECT 'device_return', 'ended/' || a.subject_id || '/' || extract(epoch FROM ends)::bigint, a.subject_id, a.org_id, a.proceeding_id, ends + interval '1 day'
				FROM a WHERE ends <= $1 AND NOT goes_on AND EXISTS (SELECT FROM binding b WHERE b.subject_id = a.subject_id AND b.class = 'wristband' AND upper_inf(b.recorded) AND b.valid @> $1::timestamptz)
					AND NOT EXISTS (SELECT FROM task t WHERE t.subject_id = a.subject_id AND t.kind = 'device_return' AND t.done_at IS NULL))
		INSERT INTO task (kind, key, subject_id, org_id, proceeding_id, opened_at, due_at) SELECT kind, key, subject_id, org_id, proceeding_id, $1, due FROM due WHERE org_id IS NOT NULL
		ON CONFLICT (kind, key) DO NOTHING`, now, ahead.Amount, removal.Amount[0])
		n = tag.RowsAffected()
		return nil, err
	})
	return n, err
}
