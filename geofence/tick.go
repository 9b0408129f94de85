package geofence

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/fail"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// Run fires timers when they are due until ctx ends. Any number of engines may run: each takes the subjects that no other
// one holds.
func (e *Engine) Run(ctx context.Context) error {
	var recorded <-chan struct{} // never, without a listener
	if e.o.Listener != nil {
		woken, cancel := e.o.Listener.Subscribe()
		defer cancel()
		recorded = woken
	}
	failing := false
	var noted time.Time
	for ctx.Err() == nil {
		e.listen(ctx, &noted)
		e.hold(ctx)
		if _, err := e.Outages(ctx); err != nil && ctx.Err() == nil { // before the timers: reminders find it
			e.log.Error("it could not be looked whether an area is away, trying again", "err", err)
		}
		n, err := e.Tick(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if (err != nil) != failing { // once, not at every look while the database is away
			failing = err != nil
			if failing {
				e.log.Error("timers do not fire, trying again", "err", err)
			} else {
				e.log.Info("timers fire again")
			}
		}
		if n == defaultTickBatch && err == nil {
			continue
		}
		if err == nil {
			did := e.derive(ctx)
			if _, err := e.Companies(ctx); err != nil && ctx.Err() == nil { // however much comes late
				e.log.Error("rules about several people could not be judged, trying again", "err", err)
			}
			if did {
				continue
			}
		}
		e.sleep(ctx, recorded)
	}
	return nil
}

// listen notes from time to time that we hear. When we did not for long, the broker was away: that is an interval in which
// nobody was silent. Both on machine time: a fast clock makes nobody deaf.
func (e *Engine) listen(ctx context.Context, noted *time.Time) {
	away := time.Since(*noted)
	if away < listeningEvery || !e.o.Hears() {
		return
	}
	var err error
	if !noted.IsZero() && away >= deafAfter {
		_, err = e.hearsAgain(ctx, "broker_away")
	} else {
		err = listens(ctx, e.o.Pool, e.o.Clock.Now())
	}
	if err == nil {
		*noted = time.Now()
	}
}

// derive derives the past of one subject again, if any waits for it.
func (e *Engine) derive(ctx context.Context) bool {
	did, err := e.Derive(ctx)
	if err != nil && ctx.Err() == nil {
		e.log.Error("the past of a subject could not be derived again, trying again", "err", err)
	}
	return did && err == nil
}

// hold waits while observations are waiting to be taken in, but not for ever.
func (e *Engine) hold(ctx context.Context) {
	if !e.o.Backlog() {
		return
	}
	e.metrics.held.Set(1)
	defer e.metrics.held.Set(0)
	limit := time.NewTimer(e.o.HoldAtMost)
	defer limit.Stop()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for e.o.Backlog() {
		select {
		case <-ctx.Done():
			return
		case <-limit.C:
			e.log.Warn("observations are still waiting, timers fire nevertheless")
			return
		case <-look.C:
		}
	}
}

// sleep waits until the earliest timer is due, one was set, a fact was recorded, the clock was set, or it is time to look
// for timers that other processes set.
func (e *Engine) sleep(ctx context.Context, recorded <-chan struct{}) {
	poll := time.NewTimer(e.o.Poll)
	defer poll.Stop()
	var due <-chan struct{}
	if next, err := nextDue(ctx, e.o.Pool); err == nil && !next.IsZero() {
		fired, cancel := e.o.Clock.After(next)
		defer cancel()
		due = fired
	}
	select {
	case <-ctx.Done():
	case <-poll.C:
	case <-due:
	case <-e.wake:
	case <-recorded:
	}
}

// Tick fires every timer that is due, of up to a batch of subjects, and returns of how many.
func (e *Engine) Tick(ctx context.Context) (int, error) {
	start := time.Now()
	var r round
	err := e.transact(ctx, "tick", func(ctx context.Context, tx pgx.Tx, _ error) error {
		r = round{engine: e, now: e.o.Clock.Now(), taken: start.UTC().Truncate(time.Microsecond)}
		return r.run(ctx, tx)
	})
	if err != nil {
		return 0, fmt.Errorf("fire timers: %w", err)
	}
	fail.Point(fail.TimersCommitted)
	e.cache.keep(r.subjects)
	if len(r.subjects) > 0 {
		e.metrics.took("tick", time.Since(start), r.effects)
	}
	return len(r.subjects), nil
}

// round is one attempt at the timers that are due.
type round struct {
	engine   *Engine
	now      time.Time
	taken    time.Time
	subjects map[id.Subject]*subject
	effects  []decided
	scratch  []Effect
}

func (r *round) run(ctx context.Context, tx pgx.Tx) (err error) {
	var order []id.Subject
	if r.subjects, order, err = r.engine.claimDue(ctx, tx, r.now, defaultTickBatch); err != nil || len(order) == 0 {
		return err
	}
	for _, s := range order {
		r.fire(r.subjects[s])
	}
	if err := saveTicked(ctx, tx, r.subjects, r.now); err != nil {
		return err
	}
	entries, err := r.engine.apply(ctx, tx, r.effects)
	if err != nil {
		return err
	}
	fail.Point(fail.TimersDecided)
	return ledger.Append(ctx, tx, entries...)
}

// fire brings a subject to now: every timer fires at its instant, in order, as if the clock had been watched all the time.
func (r *round) fire(s *subject) {
	r.effects, r.scratch = evaluate(s, &Input{At: r.now, Now: r.now}, r.taken, r.effects, r.scratch)
}

// byDue are subjects in the order in which they fire: whichever engine fires them, the ledger tells it in the same order.
func byDue(subjects map[id.Subject]*subject) []id.Subject {
	return slices.SortedFunc(maps.Keys(subjects), func(a, b id.Subject) int {
		return cmp.Or(subjects[a].due.Compare(subjects[b].due), cmp.Compare(a, b))
	})
}
