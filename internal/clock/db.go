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

const (
	// keepEvery is how often a running clock looks at its row and, when scaled, moves the row on.
	keepEvery = time.Second
	// hold is how far, in machine time, a scaled clock runs beyond its row. So whoever starts after a kill knows the
	// latest domain time anybody was told, goes on from there and not before; and domain time stops within this time
	// when nobody keeps it or the database is gone.
	hold = 5 * time.Second
	// closing is how long the last write may take.
	closing = 3 * time.Second
)

// DB is the clock of a database: every process that uses the database has the same domain time.
type DB struct {
	*Variable
	pool *pgxpool.Pool
	log  *slog.Logger
	last stored
	done chan struct{}
}

// Open returns the clock of this database, as the table domain_clock says, and follows it until ctx ends. A scaled clock
// goes on from where it stood when the last process that kept it ended.
func Open(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) (*DB, error) {
	d := &DB{Variable: &Variable{kind: Machine, hold: hold}, pool: pool, log: log.With("component", "clock"), done: make(chan struct{})}
	conn, err := d.listen(ctx)
	if err != nil {
		return nil, err
	}
	go d.run(ctx, conn)
	return d, nil
}

// Done is closed when the clock no longer follows its row and, if this was the last process that kept it, is stopped.
func (d *DB) Done() <-chan struct{} { return d.done }

// take applies a row just read. A scaled clock is set anew each time: the row is the one clock all processes share.
func (d *DB) take(s stored) {
	if s == d.last {
		return
	}
	if s.kind != d.last.kind || s.rate != d.last.rate {
		d.log.Info("domain time set", "kind", string(s.kind), "rate", s.rate)
	}
	d.last = s
	d.set(s.kind, s.domain, s.rate)
}

// listen gives a connection that listens and counts as a keeper as long as it lives, and reads the row.
func (d *DB) listen(ctx context.Context) (*pgx.Conn, error) {
	pooled, err := d.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("follow the domain clock: %w", err)
	}
	conn := pooled.Hijack() // LISTEN stays with the connection: it must not go back to the pool
	err = beKeeper(ctx, conn)
	if err == nil {
		err = d.read(ctx, conn)
	}
	if err != nil {
		d.close(ctx, conn)
		return nil, err
	}
	return conn, nil
}

func (d *DB) close(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	if err := conn.Close(ctx); err != nil {
		d.log.Debug("connection of the domain clock not closed in order", "err", err)
	}
}

func (d *DB) read(ctx context.Context, conn *pgx.Conn) error {
	s, err := keep(ctx, conn)
	if err == nil {
		d.take(s)
	}
	return err
}

// run follows until ctx ends, connects again when it must, and stops the clock when nobody else keeps it.
func (d *DB) run(ctx context.Context, conn *pgx.Conn) {
	defer close(d.done)
	for {
		err := d.follow(ctx, conn)
		d.close(ctx, conn)
		for ctx.Err() == nil && err != nil {
			d.log.Warn("not following the domain clock, trying again", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(keepEvery):
				conn, err = d.listen(ctx)
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	if err := halt(last, d.pool, d.Read()); err != nil {
		d.log.Warn("domain time not stopped at the end, it runs on for a moment", "err", err)
	}
}

// follow returns with the error that ended it.
func (d *DB) follow(ctx context.Context, conn *pgx.Conn) error {
	for {
		wait, cancel := context.WithTimeout(ctx, keepEvery)
		_, err := conn.WaitForNotification(wait)
		expired := wait.Err() != nil
		cancel()
		if ctx.Err() != nil || err != nil && !expired {
			return errors.Join(ctx.Err(), err)
		}
		if err := d.read(ctx, conn); err != nil {
			return err
		}
	}
}
