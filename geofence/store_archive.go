package geofence

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

const (
	// archiveLock is the advisory lock of whoever archives.
	archiveLock = 0x7a6a6172
	// evidenceAround is how much of the track before and after a violation is kept with it.
	evidenceAround = "1 hour"
	dayPrefix      = "position_"
	monthPrefix    = "position_pack_"
)

// alone does something unless another process is doing it. The lock ends with the session, so that nobody who died keeps it.
func alone(ctx context.Context, pool *pgxpool.Pool, do func() error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("archive history: %w", err)
	}
	defer conn.Release()
	var mine bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1, 'position'::regclass::oid::int)", archiveLock).Scan(&mine); err != nil || !mine {
		return err
	}
	defer func() { // should this fail the session is over, and the lock with it
		if _, err := conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1, 'position'::regclass::oid::int)", archiveLock); err != nil {
			_ = conn.Conn().Close(context.WithoutCancel(ctx))
		}
	}()
	return do()
}

func makeDay(ctx context.Context, pool *pgxpool.Pool, day time.Time) error {
	if _, err := pool.Exec(ctx, "SELECT position_partition($1::date)", day.UTC().Format(time.DateOnly)); err != nil {
		return fmt.Errorf("make the partition of %s: %w", day.Format(time.DateOnly), err)
	}
	return nil
}

func makeMonth(ctx context.Context, pool *pgxpool.Pool, day time.Time) error {
	if _, err := pool.Exec(ctx, "SELECT position_pack_partition($1::date)", day.UTC().Format(time.DateOnly)); err != nil {
		return fmt.Errorf("make the partition of packs of %s: %w", day.Format("2006-01"), err)
	}
	return nil
}

// storedDays are the days that have a partition, the oldest first.
func storedDays(ctx context.Context, q Querier) ([]time.Time, error) {
	rows, err := q.Query(ctx, "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'position'::regclass")
	if err != nil {
		return nil, fmt.Errorf("list days of history: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list days of history: %w", err)
	}
	var out []time.Time
	for _, name := range names {
		if day, err := time.Parse("20060102", strings.TrimPrefix(name, dayPrefix)); err == nil {
			out = append(out, day)
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	return out, nil
}

// subjectsOf are those who have fixes of a day that are not packed. The index is walked from one person to the next.
func subjectsOf(ctx context.Context, q Querier, day time.Time) ([]id.Subject, error) {
	rows, err := q.Query(ctx, `WITH RECURSIVE s AS (
			(SELECT subject_id FROM position WHERE fix_at >= $1 AND fix_at < $2 ORDER BY subject_id LIMIT 1)
			UNION ALL
			SELECT (SELECT p.subject_id FROM position p WHERE p.subject_id > s.subject_id AND p.fix_at >= $1 AND p.fix_at < $2 ORDER BY p.subject_id LIMIT 1)
			  FROM s WHERE s.subject_id IS NOT NULL)
		SELECT subject_id FROM s WHERE subject_id IS NOT NULL`, day, day.AddDate(0, 0, 1))
	if err != nil {
		return nil, fmt.Errorf("list who has fixes: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[id.Subject])
	if err != nil {
		return nil, fmt.Errorf("list who has fixes: %w", err)
	}
	return list, nil
}

// packSome packs a day of some people in one transaction.
func packSome(ctx context.Context, pool *pgxpool.Pool, subjects []id.Subject, day time.Time) (n int64, left []id.Subject, err error) {
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO subject_state (subject_id) SELECT s FROM unnest($1::bigint[]) s
			WHERE NOT EXISTS (SELECT FROM subject_state x WHERE x.subject_id = s) ORDER BY s ON CONFLICT DO NOTHING`, subjects); err != nil {
			return fmt.Errorf("make states of subjects: %w", err)
		}
		n, left, err = packDay(ctx, tx, subjects, day)
		return err
	})
	return n, left, err
}

// dropDay drops the partition of a day that has no row left. It does not wait long for the lock: all who store would wait behind it.
func dropDay(ctx context.Context, pool *pgxpool.Pool, day time.Time) error {
	name := pgx.Identifier{dayPrefix + day.Format("20060102")}.Sanitize()
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '500ms'"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "LOCK TABLE ONLY position IN ACCESS EXCLUSIVE MODE"); err != nil {
			return err
		}
		var some bool
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+name+")").Scan(&some); err != nil || some {
			return err
		}
		_, err := tx.Exec(ctx, "DROP TABLE "+name)
		return err
	})
	if err != nil {
		return fmt.Errorf("drop the partition of %s: %w", day.Format(time.DateOnly), err)
	}
	return nil
}

// forgetRadios removes how devices were connected that was last used before a day.
func forgetRadios(ctx context.Context, pool *pgxpool.Pool, before time.Time) error {
	if _, err := pool.Exec(ctx, "DELETE FROM radio WHERE used_on < ($1::timestamptz AT TIME ZONE 'UTC')::date", before); err != nil {
		return fmt.Errorf("forget radios: %w", err)
	}
	return nil
}

// packedMonth is a month of packs. A loose one was detached, and whoever did it got no further.
type packedMonth struct {
	first          time.Time
	loose, pending bool
}

func (m *packedMonth) table() string {
	return pgx.Identifier{monthPrefix + m.first.Format("200601")}.Sanitize()
}

func packedMonths(ctx context.Context, q Querier) ([]packedMonth, error) {
	rows, err := q.Query(ctx, `SELECT c.relname, i.inhrelid IS NULL, coalesce(i.inhdetachpending, false) FROM pg_class c
		LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = 'position_pack'::regclass
		WHERE c.relkind = 'r' AND c.relname ~ '^position_pack_[0-9]{6}$' AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'position_pack'::regclass)
		ORDER BY c.relname`)
	if err != nil {
		return nil, fmt.Errorf("list months of history: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (m packedMonth, err error) {
		var name string
		if err = r.Scan(&name, &m.loose, &m.pending); err == nil {
			m.first, err = time.Parse("200601", strings.TrimPrefix(name, monthPrefix))
		}
		return m, err
	})
	if err != nil {
		return nil, fmt.Errorf("list months of history: %w", err)
	}
	return list, nil
}

// rowsBefore says whether there are fixes before an instant that are not packed.
func rowsBefore(ctx context.Context, q interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}, end time.Time) (some bool, err error) {
	if err := q.QueryRow(ctx, "SELECT EXISTS (SELECT FROM position WHERE fix_at < $1)", end).Scan(&some); err != nil {
		return false, fmt.Errorf("look for fixes that are not packed: %w", err)
	}
	return some, nil
}

// KindHistoryRemoved is the ledger's kind of entry for a month of history that was removed.
const KindHistoryRemoved = "history.removed"

// removeMonth takes a month out of history, without holding up whoever reads or writes. What violations rest on is put aside and
// the rest dropped in one transaction, with an entry in the ledger: how much it was and how much stays.
func removeMonth(ctx context.Context, pool *pgxpool.Pool, m packedMonth, now time.Time) (fixes, kept int64, err error) {
	table := m.table()
	switch {
	case m.pending: // a detaching was interrupted
		_, err = pool.Exec(ctx, "ALTER TABLE position_pack DETACH PARTITION "+table+" FINALIZE")
	case !m.loose:
		_, err = pool.Exec(ctx, "ALTER TABLE position_pack DETACH PARTITION "+table+" CONCURRENTLY")
	}
	if err != nil {
		return 0, 0, fmt.Errorf("detach: %w", err)
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "SELECT coalesce(sum(fixes), 0) FROM "+table).Scan(&fixes); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `WITH v AS (SELECT violation_id, unnest(array[subject_id] || ARRAY(SELECT jsonb_array_elements_text(evidence -> 'opened' -> 'with')::bigint)) AS subject_id,
				opened_at - interval '`+evidenceAround+`' AS since, coalesce(closed_at, $1) + interval '`+evidenceAround+`' AS until
				FROM violation WHERE state <> 'withdrawn'),
			kept AS (INSERT INTO evidence_pack (violation_id, subject_id, hour, hours, fixes, data)
				SELECT v.violation_id, k.subject_id, k.hour, k.hours, k.fixes, k.data FROM v JOIN `+table+` k ON k.subject_id = v.subject_id
				   AND k.hour < v.until AND k.hour + make_interval(hours => k.hours) > v.since
				ON CONFLICT DO NOTHING RETURNING subject_id, hour, fixes)
			SELECT coalesce(sum(fixes), 0) FROM (SELECT DISTINCT subject_id, hour, fixes FROM kept) AS k`, now).Scan(&kept)
		if err != nil {
			return fmt.Errorf("keep evidence: %w", err)
		}
		if _, err := tx.Exec(ctx, "DROP TABLE "+table); err != nil {
			return err
		}
		body := fmt.Sprintf(`{"month":%q,"fixes":%d,"kept_as_evidence":%d}`, m.first.Format("2006-01"), fixes, kept)
		month := int64(m.first.Year()*100 + int(m.first.Month()))
		return ledger.Append(ctx, tx, ledger.Entry{At: now, Kind: KindHistoryRemoved, Entity: "history", EntityID: month, Version: 1, Body: []byte(body)})
	})
	return fixes, kept, err
}

// HistoryPart is a table of history: a day as rows, a month of packs, or the evidence.
type HistoryPart struct {
	Name  string
	Fixes int64
	Bytes int64 // with its indexes
}

// HistoryParts lists the tables of history with what they hold and cost.
func HistoryParts(ctx context.Context, q Querier) ([]HistoryPart, error) {
	rows, err := q.Query(ctx, `SELECT c.relname, pg_total_relation_size(c.oid) FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
		WHERE i.inhparent IN ('position'::regclass, 'position_pack'::regclass) OR c.oid IN ('evidence_pack'::regclass, 'radio'::regclass) ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("list history: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (p HistoryPart, err error) {
		err = r.Scan(&p.Name, &p.Bytes)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("list history: %w", err)
	}
	for i := range list {
		p := &list[i]
		what := "count(*)"
		switch {
		case p.Name == "radio":
			continue
		case strings.HasPrefix(p.Name, monthPrefix) || p.Name == "evidence_pack":
			what = "coalesce(sum(fixes), 0)"
		}
		rows, err := q.Query(ctx, "SELECT "+what+" FROM "+pgx.Identifier{p.Name}.Sanitize())
		if err != nil {
			return nil, fmt.Errorf("count history: %w", err)
		}
		if p.Fixes, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int64]); err != nil {
			return nil, fmt.Errorf("count history: %w", err)
		}
	}
	return list, nil
}
