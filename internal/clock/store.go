package clock

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrBack refuses a setting by which domain time would go back.
var ErrBack = errors.New("domain time does not go back")

// Setting is how domain time is to run. A zero At goes on from where the clock is.
type Setting struct {
	Kind Kind
	At   time.Time
	Rate float64 // scaled only: more than 0, at most 120
}

// Set writes a setting and tells every process. Only a rehearsal takes another kind than Machine, which the database sees
// to, and a clock that was set once never goes back: the error is then ErrBack.
func Set(ctx context.Context, pool *pgxpool.Pool, s Setting) error {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		at, err := settled(ctx, tx, s)
		if err != nil {
			return err
		}
		var rate *float64
		if s.Kind == Scaled {
			rate = &s.Rate
		}
		if _, err := tx.Exec(ctx, `INSERT INTO domain_clock (kind, domain_at, machine_at, rate) VALUES ($1, $2, clock_timestamp(), $3)
			ON CONFLICT (one) DO UPDATE SET kind = excluded.kind, domain_at = excluded.domain_at,
				machine_at = excluded.machine_at, rate = excluded.rate`, string(s.Kind), at, rate); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "SELECT pg_notify($1, '')", Channel)
		return err
	})
	if err != nil {
		return fmt.Errorf("set the domain clock: %w", err)
	}
	return nil
}

// settled locks the row and returns the domain time the setting begins at; nil for a clock that never left machine time.
func settled(ctx context.Context, tx pgx.Tx, s Setting) (*time.Time, error) {
	var was *time.Time
	err := tx.QueryRow(ctx, `SELECT CASE kind WHEN 'machine' THEN domain_at ELSE `+current+` END FROM domain_clock FOR UPDATE`, hold).Scan(&was)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, err
	}
	at := s.At
	switch {
	case s.Kind == Machine:
		if was != nil && was.After(time.Now()) {
			return nil, fmt.Errorf("%w: it is %s already", ErrBack, was.UTC().Format(time.RFC3339))
		}
		return was, nil // kept: should the clock be simulated again, it goes on from there
	case at.IsZero() && was != nil:
		at = *was
	case at.IsZero():
		at = time.Now()
	}
	if was != nil && at.Before(*was) {
		return nil, fmt.Errorf("%w: from %s to %s", ErrBack, was.UTC().Format(time.RFC3339Nano), at.UTC().Format(time.RFC3339Nano))
	}
	at = micros(at)
	return &at, nil
}

// stored is the row of domain_clock as of now.
type stored struct {
	kind   Kind
	domain time.Time
	rate   float64
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// current is the row's domain time now; $1 is hold. A machine_at of infinity means that the clock was stopped. It is
// measured by the database server's clock, which all processes share.
const current = `domain_at + CASE WHEN kind = 'scaled' AND machine_at < statement_timestamp()
	THEN least(statement_timestamp() - machine_at, $1::interval) * rate ELSE interval '0' END`

// keep reads the row and, when the clock is scaled, moves it on to now.
func keep(ctx context.Context, q querier) (stored, error) {
	var s stored
	var domain *time.Time
	var rate *float64
	err := q.QueryRow(ctx, `WITH moved AS (
			UPDATE domain_clock SET domain_at = `+current+`,
				machine_at = CASE WHEN machine_at = 'infinity' THEN statement_timestamp() ELSE greatest(machine_at, statement_timestamp()) END
			WHERE kind = 'scaled' RETURNING kind, domain_at, rate)
		SELECT kind, domain_at, rate FROM moved
		UNION ALL SELECT kind, domain_at, rate FROM domain_clock WHERE kind <> 'scaled'`, hold).Scan(&s.kind, &domain, &rate)
	if errors.Is(err, pgx.ErrNoRows) {
		// No row at all is machine time; one that was set this moment is seen neither way and read again.
		var there bool
		if err := q.QueryRow(ctx, "SELECT EXISTS (SELECT FROM domain_clock)").Scan(&there); err != nil || !there {
			return stored{kind: Machine}, err
		}
		return keep(ctx, q)
	}
	if err != nil {
		return s, fmt.Errorf("read the domain clock: %w", err)
	}
	if domain != nil {
		s.domain = domain.UTC()
	}
	if rate != nil {
		s.rate = *rate
	}
	return s, nil
}

// keepers is the advisory lock that every process that keeps the clock holds shared: who gets it alone is the last one.
const keepers = "x'7a6a636b'::int, 'domain_clock'::regclass::oid::int"

func beKeeper(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "LISTEN "+Channel)
	if err == nil {
		_, err = conn.Exec(ctx, "SELECT pg_advisory_lock_shared("+keepers+")")
	}
	if err != nil {
		return fmt.Errorf("follow the domain clock: %w", err)
	}
	return nil
}

// halt stops a scaled clock at what was told last, if nobody else keeps it.
func halt(ctx context.Context, pool *pgxpool.Pool, told Reading) error {
	if told.Kind != Scaled {
		return nil
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var last bool
		if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock("+keepers+")").Scan(&last); err != nil || !last {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE domain_clock SET domain_at = greatest(`+current+`, $2), machine_at = 'infinity'
			WHERE kind = 'scaled' AND machine_at <> 'infinity'`, hold, told.Now)
		return err
	})
}
