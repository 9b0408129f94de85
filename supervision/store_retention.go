package supervision

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// Eraser deletes where somebody was, in its own transaction: it keeps what violations rest on.
type Eraser interface {
	// Erase deletes a subject's positions, but for evidence, and says how many rows of which table there were and are.
	Erase(ctx context.Context, tx pgx.Tx, subject id.Subject) (before, after map[string]int64, err error)
}

// ErrHeld means that somebody's data cannot go yet.
var ErrHeld = errors.New("supervision: it cannot go yet")

// Erased is what became of one person's data of one kind.
type Erased struct {
	Subject id.Subject       `json:"subject_id"`
	What    string           `json:"what"`
	Action  string           `json:"action"`
	Policy  int64            `json:"policy_id"`
	Ended   time.Time        `json:"ended"` // of the supervision
	Before  map[string]int64 `json:"before"`
	After   map[string]int64 `json:"after"`
}

// RetentionReport proves what a run deleted and blocked, and whom it passed over because something about them is open.
type RetentionReport struct {
	Run    int64     `json:"run,omitempty"`
	At     time.Time `json:"at"`
	Erased []Erased  `json:"erased"`
	Held   int       `json:"held"` // people whose time has come, with an alert, a proceeding, a task or a request open
}

// due are people whose data of a kind are to go: supervision ended so many months ago, and it was not done yet.
const due = `WITH ended AS (SELECT subject_id, max(upper(valid)) AS at FROM sentence WHERE upper_inf(recorded) GROUP BY subject_id)
	SELECT s.subject_id, e.at, p.retention_policy_id, p.what, p.action,
		EXISTS (SELECT FROM alert a WHERE a.subject_id = s.subject_id AND a.state <> 'closed') OR EXISTS (SELECT FROM proceeding x WHERE x.subject_id = s.subject_id AND x.closed_at IS NULL)
			OR EXISTS (SELECT FROM task t WHERE t.subject_id = s.subject_id AND t.done_at IS NULL) OR EXISTS (SELECT FROM data_request r WHERE r.subject_id = s.subject_id AND r.done_at IS NULL)
	FROM ended e JOIN subject s USING (subject_id) CROSS JOIN retention_policy p
	WHERE upper_inf(p.recorded) AND p.valid @> $1::timestamptz AND (timezone('Asia/Shanghai', e.at) + make_interval(months => p.months)) <= timezone('Asia/Shanghai', $1::timestamptz)
		AND NOT EXISTS (SELECT FROM retention_run r, jsonb_array_elements(r.report -> 'erased') x WHERE (x ->> 'subject_id')::bigint = s.subject_id AND x ->> 'what' = p.what)
	ORDER BY s.subject_id, p.what LIMIT 500`

// Retain deletes or blocks what has been kept as long as the policy says, and writes the report that proves it. dry only says what would be. progress
// may be nil. Each person is one transaction with the report of them, so that what is interrupted goes on.
func (s *Store) Retain(ctx context.Context, eraser Eraser, dry bool, progress func(done, of int)) (RetentionReport, error) {
	now := s.clock.Now()
	report := RetentionReport{At: now, Erased: []Erased{}}
	type entryDue struct {
		Erased
		open bool
	}
	rows, err := s.pool.Query(ctx, due, now)
	if err != nil {
		return report, fmt.Errorf("look whose data are to go: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v entryDue, err error) {
		err = row.Scan(&v.Subject, &v.Ended, &v.Policy, &v.What, &v.Action, &v.open)
		v.Ended = v.Ended.UTC()
		return v, err
	})
	if err != nil {
		return report, fmt.Errorf("look whose data are to go: %w", err)
	}
	for i := range list {
		v := &list[i]
		if progress != nil {
			progress(i, len(list))
		}
		if v.open {
			report.Held++
			continue
		}
		if !dry {
			err := s.retain(ctx, eraser, now, &v.Erased, &report)
			if errors.Is(err, ErrHeld) {
				report.Held++
				continue
			}
			if err != nil {
				return report, fmt.Errorf("delete what was kept long enough: %w", err)
			}
		}
		report.Erased = append(report.Erased, v.Erased)
	}
	return report, nil
}

func (s *Store) retain(ctx context.Context, eraser Eraser, now time.Time, v *Erased, report *RetentionReport) error {
	return s.change(ctx, "retain", func(tx pgx.Tx, _ time.Time) (_ []ledger.Entry, err error) {
		switch {
		case v.What == "positions":
			v.Before, v.After, err = eraser.Erase(ctx, tx, v.Subject)
		case v.What == "contact":
			v.Before, v.After, err = s.forget(ctx, tx, v.Subject, "UPDATE subject_person SET phone = NULL, address = NULL, contacts = NULL, phone_index = NULL WHERE subject_id = $1")
		case v.Action == "delete":
			v.Before, v.After, err = s.forget(ctx, tx, v.Subject, "UPDATE subject_person SET surname = '×', name = '', id_number = NULL, phone = NULL, address = NULL, contacts = NULL, name_index = NULL, id_index = NULL, phone_index = NULL WHERE subject_id = $1")
		default:
			v.Before = map[string]int64{"blocked": 0}
			_, err = tx.Exec(ctx, "UPDATE subject SET blocked_at = $2 WHERE subject_id = $1", v.Subject, now)
			v.After = map[string]int64{"blocked": 1}
		}
		if err != nil {
			return nil, err
		}
		doc, err := json.Marshal(RetentionReport{At: now, Erased: []Erased{*v}})
		if err != nil {
			return nil, err
		}
		var run int64
		var text string
		if err := tx.QueryRow(ctx, "SELECT $1::jsonb::text", string(doc)).Scan(&text); err != nil {
			return nil, err
		}
		sum := sha256.Sum256([]byte(text))
		if err := tx.QueryRow(ctx, "INSERT INTO retention_run (at, report, hash) VALUES ($1, $2::jsonb, $3) RETURNING retention_run_id", now, text, sum[:]).Scan(&run); err != nil {
			return nil, err
		}
		report.Run = run
		e, err := entry("retention.done", "retention", run, now, map[string]any{"by": 0, "what": v.What, "action": v.Action, "hash": sum[:]})
		e.Subject = v.Subject
		return []ledger.Entry{e}, err
	})
}

// forget empties fields of a person, here and in what was corrected, and counts those that are filled.
func (s *Store) forget(ctx context.Context, tx pgx.Tx, subject id.Subject, update string) (before, after map[string]int64, err error) {
	count := func() (map[string]int64, error) {
		var n, h int64
		err := tx.QueryRow(ctx, `SELECT coalesce((SELECT num_nonnulls(nullif(name, ''), id_number, phone, address, contacts) FROM subject_person WHERE subject_id = $1), 0),
			(SELECT count(*) FROM person_history WHERE subject_id = $1)`, subject).Scan(&n, &h)
		return map[string]int64{"fields": n, "person_history": h}, err
	}
	if before, err = count(); err != nil {
		return nil, nil, err
	}
	if _, err = tx.Exec(ctx, update, subject); err != nil {
		return nil, nil, err
	}
	if _, err = tx.Exec(ctx, "DELETE FROM person_history WHERE subject_id = $1", subject); err != nil {
		return nil, nil, err
	}
	after, err = count()
	return before, after, err
}

// RetentionReports are what was deleted and blocked of late, the newest first, each with whether its hash still fits.
func RetentionReports(ctx context.Context, q Querier) (list []RetentionReport, broken int, err error) {
	rows, err := q.Query(ctx, "SELECT retention_run_id, report::text, hash FROM retention_run ORDER BY retention_run_id DESC LIMIT 500")
	if err != nil {
		return nil, 0, fmt.Errorf("read reports of retention: %w", err)
	}
	var run int64
	var text string
	var hash []byte
	_, err = pgx.ForEachRow(rows, []any{&run, &text, &hash}, func() error {
		var r RetentionReport
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return err
		}
		if sum := sha256.Sum256([]byte(text)); string(sum[:]) != string(hash) {
			broken++
		}
		r.Run = run
		list = append(list, r)
		return nil
	})
	if err != nil {
		return nil, broken, fmt.Errorf("read reports of retention: %w", err)
	}
	return list, broken, nil
}
