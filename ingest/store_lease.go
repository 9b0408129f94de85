package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// alive says of ingest_process p whether the process runs and is in touch; $1 is the time to live in seconds.
const alive = `p.seen_at > clock_timestamp() - make_interval(secs => $1)
	AND EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = p.backend AND a.backend_start = p.backend_start)`

// leaseTimeout bounds the waiting for a commit under way of whoever had the partition before. One that hangs inside its
// transaction the database ends (idle_in_transaction_session_timeout); until then it is tried again.
const leaseTimeout = "1s"

// beat says that this process runs.
func beat(ctx context.Context, conn *pgx.Conn, instance string, backlog, hears bool) error {
	_, err := conn.Exec(ctx, `INSERT INTO ingest_process (instance, backend, backend_start, seen_at, backlog, hears)
		SELECT $1, a.pid, a.backend_start, clock_timestamp(), $2, $3 FROM pg_stat_activity a WHERE a.pid = pg_backend_pid()
		ON CONFLICT (instance) DO UPDATE SET backend = excluded.backend, backend_start = excluded.backend_start,
			seen_at = excluded.seen_at, backlog = excluded.backlog, hears = excluded.hears`, instance, backlog, hears)
	if err != nil {
		return fmt.Errorf("say that this process reads: %w", err)
	}
	return nil
}

// seen is what is known of everybody who reads, and of what is read.
type seen struct {
	processes map[string]seenProcess // those that are alive
	leases    map[int]seenLease
}

type seenProcess struct{ backlog, hears bool }

type seenLease struct {
	owner string // "": nobody who is alive
	epoch int64
}

// look reads it, in one statement: an owner is one that is alive in the same moment.
func look(ctx context.Context, conn *pgx.Conn, ttl time.Duration) (*seen, error) {
	rows, err := conn.Query(ctx, `WITH p AS MATERIALIZED (SELECT instance, backlog, hears FROM ingest_process p WHERE `+alive+`)
		SELECT NULL, NULL, instance, backlog, hears FROM p
		UNION ALL SELECT partition, epoch, coalesce(p.instance, ''), NULL, NULL FROM partition_lease l LEFT JOIN p ON p.instance = l.owner`, ttl.Seconds())
	if err != nil {
		return nil, fmt.Errorf("read who reads what: %w", err)
	}
	s := &seen{processes: map[string]seenProcess{}, leases: map[int]seenLease{}}
	var partition *int
	var epoch *int64
	var instance string
	var backlog, hears *bool
	_, err = pgx.ForEachRow(rows, []any{&partition, &epoch, &instance, &backlog, &hears}, func() error {
		if partition != nil {
			s.leases[*partition] = seenLease{instance, *epoch}
		} else {
			s.processes[instance] = seenProcess{*backlog, *hears}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read who reads what: %w", err)
	}
	return s, nil
}

// sessionPrefix begins the names of sessions of a process that reads: whoever takes over from it has to find them.
const sessionPrefix = "zhijiao/"

// SessionName is the application_name of all sessions of a process. PostgreSQL keeps 63 bytes.
func SessionName(instance string) string {
	name := sessionPrefix + instance
	return name[:min(len(name), 63)]
}

// endSessions ends the sessions that processes had when they began to hang. One that was stopped while the database sends it something is not
// idle for the database, and would hold what it has locked until it goes on. The sessions it opens then are others.
func endSessions(ctx context.Context, conn *pgx.Conn, ttl time.Duration) (n int, err error) {
	err = conn.QueryRow(ctx, `SELECT count(*) FROM (SELECT pg_terminate_backend(a.pid) FROM ingest_process p JOIN pg_stat_activity a
			ON a.application_name = left($2 || p.instance, 63) AND a.usename = current_user
		WHERE NOT (`+alive+`) AND a.backend_start < p.seen_at) AS ended`, ttl.Seconds(), sessionPrefix).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("end the sessions of who hangs: %w", err)
	}
	return n, nil
}

// take takes a partition that nobody alive reads; ok is false when somebody does after all.
func take(ctx context.Context, conn *pgx.Conn, ttl time.Duration, partition int, instance string) (epoch int64, ok bool, err error) {
	err = conn.QueryRow(ctx, `INSERT INTO partition_lease AS l (partition, owner, epoch, taken_at) VALUES ($2, $3, 1, clock_timestamp())
		ON CONFLICT (partition) DO UPDATE SET owner = excluded.owner, epoch = l.epoch + 1, taken_at = excluded.taken_at
		WHERE l.owner IS NULL OR NOT EXISTS (SELECT FROM ingest_process p WHERE p.instance = l.owner AND `+alive+`)
		RETURNING epoch`, ttl.Seconds(), partition, instance).Scan(&epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("take partition %d: %w", partition, err)
	}
	return epoch, true, nil
}

// giveBack gives a partition back, if it still is what was taken.
func giveBack(ctx context.Context, conn *pgx.Conn, partition int, epoch int64) error {
	if _, err := conn.Exec(ctx, `UPDATE partition_lease SET owner = NULL WHERE partition = $1 AND epoch = $2`, partition, epoch); err != nil {
		return fmt.Errorf("give partition %d back: %w", partition, err)
	}
	return nil
}

// leave says that this process reads no more, and removes those that ended without saying so.
func leave(ctx context.Context, conn *pgx.Conn, instance string) error {
	_, err := conn.Exec(ctx, `DELETE FROM ingest_process WHERE instance = $1 OR seen_at < clock_timestamp() - interval '1 hour'`, instance)
	if err != nil {
		return fmt.Errorf("say that this process reads no more: %w", err)
	}
	return nil
}

// fence holds the lease's row until the transaction ends, and fails when somebody else has taken the partition.
func fence(ctx context.Context, tx pgx.Tx, partition int, epoch int64) error {
	var one int
	err := tx.QueryRow(ctx, `SELECT 1 FROM partition_lease WHERE partition = $1 AND epoch = $2 FOR SHARE`, partition, epoch).Scan(&one)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrFenced
	}
	if err != nil {
		return fmt.Errorf("lease of partition %d: %w", partition, err)
	}
	return nil
}
