package geofence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/internal/clock"
	"zhijiao/internal/crypto"
	"zhijiao/internal/ledger"
)

const (
	// attempts is how often a transaction is tried that another one got in the way of.
	attempts = 8
	// skewTolerance is how far a device's clock may be off before its times are not taken as they are (R38).
	skewTolerance = 5 * time.Minute

	defaultPoll       = time.Second
	defaultHoldAtMost = time.Minute
	defaultTickBatch  = 200
)

// Options are what an Engine is built of.
type Options struct {
	Pool  *pgxpool.Pool
	Clock clock.Clock
	Keys  crypto.Provider

	// Backlog reports that observations are waiting to be taken in. While it does, timers are held, so that a server
	// that was down does not call devices silent whose messages it has not read; but never longer than HoldAtMost at
	// a time (machine time; a minute when zero). nil: never.
	Backlog    func() bool
	HoldAtMost time.Duration
	// Hears reports that what devices say would reach us. nil: always.
	Hears func() bool
	// Listener wakes the timers when a fact was recorded: each is in the ledger. nil: polling alone.
	Listener *ledger.Listener
	// A subject whose past is to be derived again is left alone until nothing more came for Settled (250 ms when zero), but
	// no longer than Patience (30 s when zero). Machine time.
	Settled, Patience time.Duration
	// Poll is how often timers are looked for besides when one is known to be due; a second of machine time when zero.
	Poll time.Duration

	Log      *slog.Logger
	Register prometheus.Registerer // nil: no metrics
}

// Engine decides. Everything one batch causes, or one round of timers, is one transaction. Any number of engines may run
// on one database: subjects are locked while they are evaluated, and what was read is written only against its version.
//
// Locks are taken in one order: devices by id, subjects by id, then what hangs on them, the ledger last.
type Engine struct {
	o       Options
	log     *slog.Logger
	metrics *engineMetrics
	cache   *cache
	wake    chan struct{} // capacity 1: a timer may be due earlier than the loop thinks

	outageFront  atomic.Int64 // up to when it was looked here whether an area is away: seconds since 1970
	companyFront atomic.Int64 // up to where rules about several people were last judged here
}

var _ Observer = (*Engine)(nil)

// New returns an engine. Timers fire while Run runs.
func New(o Options) (*Engine, error) {
	if o.Pool == nil || o.Clock == nil || o.Keys == nil || o.Log == nil {
		return nil, errors.New("geofence: a pool, a clock, keys and a log are needed")
	}
	if o.Backlog == nil {
		o.Backlog = func() bool { return false }
	}
	if o.Hears == nil {
		o.Hears = func() bool { return true }
	}
	if o.HoldAtMost == 0 {
		o.HoldAtMost = defaultHoldAtMost
	}
	if o.Settled == 0 {
		o.Settled = defaultSettled
	}
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	if o.Poll == 0 {
		o.Poll = defaultPoll
	}
	return &Engine{o: o, log: o.Log.With("component", "engine"), metrics: newEngineMetrics(o.Register), cache: newCache(), wake: make(chan struct{}, 1)}, nil
}

// Observe implements Observer. Transactions that meet another one in the way are tried again here; an error is about the
// database, or about the batch itself.
func (e *Engine) Observe(ctx context.Context, b Batch) error {
	start := time.Now()
	t := &taking{engine: e, batch: &b, taken: start.UTC().Truncate(time.Microsecond)}
	err := e.transact(ctx, "observe", t.run)
	if err != nil {
		return fmt.Errorf("observe: %w", err)
	}
	e.cache.keep(t.subjects)
	e.cache.keepRadios(t.radios)
	e.metrics.took("observe", time.Since(start), t.effects)
	for i := range t.commands {
		e.metrics.effects.WithLabelValues("command", string(t.commands[i].Outcome)).Inc()
	}
	if t.earliest != (time.Time{}) {
		e.rouse()
	}
	return nil
}

// rouse has the timers looked at.
func (e *Engine) rouse() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// missingDays is the error of an attempt that would store into days without a partition.
type missingDays []time.Time

func (missingDays) Error() string { return "no partition for a day of positions" }

var (
	// errVersion: a state changed although it was locked, so somebody writes without the lock.
	errVersion = errors.New("the state of a subject was written by somebody else")
	// errHeard: history holds what the window of its device says is new. The window was lost, and history decides.
	errHeard = errors.New("history holds what its device's window takes for new")
)

// transact runs an attempt in a transaction until it commits, and gives up when the error is not about another
// transaction.
func (e *Engine) transact(ctx context.Context, what string, attempt func(context.Context, pgx.Tx, error) error) error {
	var last error
	for n := range attempts {
		err := pgx.BeginFunc(ctx, e.o.Pool, func(tx pgx.Tx) error { return attempt(ctx, tx, last) })
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		reason, again := e.again(ctx, err)
		if !again {
			return err
		}
		e.metrics.retried(what, reason)
		e.log.Debug("a transaction is tried again", "what", what, "reason", reason, "attempt", n+1)
		last = err
	}
	return fmt.Errorf("given up after %d attempts: %w", attempts, last)
}

// again says whether an attempt is worth another one, and removes what was in its way.
func (e *Engine) again(ctx context.Context, err error) (reason string, again bool) {
	var days missingDays
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &days):
		return "partition", e.makePartitions(ctx, days) == nil
	case errors.Is(err, errVersion):
		return "version", true
	case errors.Is(err, errHeard):
		return "history", true
	case errors.As(err, &pg):
		switch {
		case pg.Code == "40001":
			return "serialization", true
		case pg.Code == "40P01":
			return "deadlock", true
		case pg.Code == "23514" && pg.TableName == "position" && pg.ConstraintName == "": // no partition: dropped since
			e.cache.forgetDays()
			return "partition", true
		case pg.Code == "23505" && pg.ConstraintName == "violation_one_open":
			return "violation", true
		}
	}
	return "", false
}
