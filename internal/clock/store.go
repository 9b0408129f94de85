package clock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Channel is the NOTIFY channel on which a change of the setting is announced.
const Channel = "domain_clock"

// saveEvery is how often a running scaled clock writes down where it is: after a kill it goes on from there, so domain
// time may repeat up to so many machine seconds and never runs while the program is down.
const saveEvery = 2 * time.Second

// Setting is how domain time is to run. At is needed for a stepped clock, and begins a scaled one; a zero At goes on
// from where the clock is.
type Setting struct {
	Kind Kind
	At   time.Time
	Rate float64 // scaled only: more than 0, at most 120
}

// Set writes a setting. Only a rehearsal takes another than Machine, and domain time never goes back; the database
// refuses both.
func Set(ctx context.Context, pool *pgxpool.Pool, s Setting) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var at, machine *time.Time
		var rate *float64
		if !s.At.IsZero() {
			at = &s.At
		}
		if s.Kind == Scaled {
			now := time.Now()
			machine, rate = &now, &s.Rate
		}
		_, err := tx.Exec(ctx, `INSERT INTO domain_clock (kind, domain_at, machine_at, rate) VALUES ($1, $2, $3, $4)
			ON CONFLICT (one) DO UPDATE SET kind = excluded.kind, domain_at = coalesce(excluded.domain_at, domain_clock.domain_at),
				machine_at = excluded.machine_at, rate = excluded.rate`, string(s.Kind), at, machine, rate)
		if err == nil {
			_, err = tx.Exec(ctx, "SELECT pg_notify($1, '')", Channel)
		}
		if err != nil {
			return fmt.Errorf("set the domain clock: %w", err)
		}
		return nil
	})
}

// Open returns the clock of this database, as the table domain_clock says, and follows it until ctx ends. Done is closed
// when it has stopped following and, if scaled, has written down where it is.
func Open(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) (c *DB, err error) {
	d := &DB{Variable: &Variable{changed: make(chan struct{})}, pool: pool, log: log.With("component", "clock"), done: make(chan struct{})}
	s, err := read(ctx, pool)
	if err != nil {
		return nil, err
	}
	d.take(s, true)
	go d.follow(ctx)
	return d, nil
}

// DB is the clock of a database.
type DB struct {
	*Variable
	pool *pgxpool.Pool
	log  *slog.Logger
	last stored
	done chan struct{}
}

// Done is closed when the clock no longer follows its table.
func (d *DB) Done() <-chan struct{} { return d.done }

// stored is the row of domain_clock.
type stored struct {
	kind            Kind
	domain, machine time.Time
	rate            float64
}

func read(ctx context.Context, pool *pgxpool.Pool) (stored, error) {
	var s stored
	var kind string
	var domain, machine *time.Time
	var rate *float64
	err := pool.QueryRow(ctx, "SELECT kind, domain_at, machine_at, rate FROM domain_clock").Scan(&kind, &domain, &machine, &rate)
	if errors.Is(err, pgx.ErrNoRows) {
		return stored{kind: Machine}, nil
	}
	if err != nil {
		return s, fmt.Errorf("read the domain clock: %w", err)
	}
	s.kind = Kind(kind)
	if domain != nil {
		s.domain = domain.UTC()
	}
	if machine != nil {
		s.machine = *machine
	}
	if rate != nil {
		s.rate = *rate
	}
	return s, nil
}

// take applies a row. The first time a scaled clock goes on from the domain time that was written down; later a running
// process of ours is only corrected when somebody set the clock.
func (d *DB) take(s stored, first bool) {
	if !first && s == d.last {
		return
	}
	d.last = s
	switch s.kind {
	case Scaled:
		d.set(Scaled, s.domain, s.rate, time.Now())
	case Stepped:
		d.set(Stepped, s.domain, 0, time.Now())
	default:
		d.set(Machine, time.Time{}, 1, time.Now())
	}
}

func (d *DB) follow(ctx context.Context) {
	defer close(d.done)
	for ctx.Err() == nil {
		if err := d.listen(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("not following the domain clock, trying again", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := d.save(last); err != nil {
		d.log.Warn("domain time not written down at the end", "err", err)
	}
}

func (d *DB) listen(ctx context.Context) error {
	pooled, err := d.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := pooled.Hijack()
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+Channel); err != nil {
		return err
	}
	for {
		s, err := read(ctx, d.pool)
		if err != nil {
			return err
		}
		d.take(s, false)
		wait, cancel := context.WithTimeout(ctx, saveEvery)
		_, err = conn.WaitForNotification(wait)
		timedOut := wait.Err() != nil && ctx.Err() == nil
		cancel()
		if timedOut {
			err = d.save(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// save writes down where a scaled clock is, unless somebody has set it meanwhile.
func (d *DB) save(ctx context.Context) error {
	r := d.Read()
	if r.Kind != Scaled {
		return nil
	}
	next := stored{kind: Scaled, domain: r.Now, machine: time.Now().UTC().Truncate(time.Microsecond), rate: r.Rate}
	tag, err := d.pool.Exec(ctx, `UPDATE domain_clock SET domain_at = $1, machine_at = $2
		WHERE kind = 'scaled' AND rate = $3 AND domain_at <= $1 AND domain_at = $4`, next.domain, next.machine, next.rate, d.last.domain)
	if err == nil && tag.RowsAffected() == 1 {
		d.last = next
	}
	return err
}
