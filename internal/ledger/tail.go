package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/internal/fail"
)

const (
	batchSize    = 500
	pollInterval = 500 * time.Millisecond
	backoffMin   = 100 * time.Millisecond
	backoffMax   = 10 * time.Second
)

// Tail is a durable reader: its cursor moves in the transaction of its effect, so that an entry takes effect exactly once
// whatever is killed when. Two processes with the same name take turns: whoever locks the cursor reads.
type Tail struct {
	Name     string
	Pool     *pgxpool.Pool
	Listener *Listener // nil: polling alone
	Log      *slog.Logger
	Metrics  *Metrics // nil: none
	// Handle takes effect of the entries within tx, and may append to the ledger itself as its last act. An error undoes
	// everything and is tried again, later and later: an entry is never skipped.
	Handle func(ctx context.Context, tx pgx.Tx, entries []Entry) error
	// Committed is called after the effect of a batch is committed, for what must not be said of an effect that was undone,
	// such as metrics. nil: nothing. A process killed in between never calls it.
	Committed func()
}

// Run reads on until ctx ends.
func (t *Tail) Run(ctx context.Context) error {
	woken, cancel := subscribe(t.Listener)
	defer cancel()
	backoff := backoffMin
	for ctx.Err() == nil {
		n, err := t.Step(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			t.Log.Error("ledger reader could not go on, it will try again", "component", "ledger", "reader", t.Name, "err", err)
			t.Metrics.failed(t.Name)
			t.observeLag(ctx)
			pause(ctx, backoff)
			backoff = min(2*backoff, backoffMax)
		default:
			backoff = backoffMin
			t.observeLag(ctx)
			if n < batchSize {
				wait(ctx, woken)
			}
		}
	}
	return nil
}

// Step takes effect of one batch and returns how many entries it had; 0 when there is none or another process reads.
func (t *Tail) Step(ctx context.Context) (n int, err error) {
	err = pgx.BeginFunc(ctx, t.Pool, func(tx pgx.Tx) error {
		pos, ok, err := lockCursor(ctx, tx, t.Name)
		if err != nil {
			return err
		}
		if !ok {
			return errNoCursor
		}
		entries, err := Read(ctx, tx, pos, batchSize)
		if err != nil || len(entries) == 0 {
			return err
		}
		// The cursor first: Handle may append to the ledger, and nothing comes after that.
		if err := moveCursor(ctx, tx, t.Name, entries[len(entries)-1].Pos); err != nil {
			return err
		}
		if err := t.Handle(ctx, tx, entries); err != nil {
			return err
		}
		n = len(entries)
		fail.Point(fail.ReaderApplied)
		return nil
	})
	if errors.Is(err, errNoCursor) {
		return 0, makeCursor(ctx, t.Pool, t.Name)
	}
	if err != nil {
		return 0, fmt.Errorf("ledger reader %s: %w", t.Name, err)
	}
	if n > 0 {
		fail.Point(fail.ReaderCommitted)
	}
	if n > 0 && t.Committed != nil {
		t.Committed()
	}
	return n, nil
}

var errNoCursor = errors.New("no cursor, or another process holds it")

func (t *Tail) observeLag(ctx context.Context) {
	if t.Metrics == nil {
		return
	}
	pos, err := CursorOf(ctx, t.Pool, t.Name)
	if err != nil {
		return
	}
	if n, since, err := lag(ctx, t.Pool, pos); err == nil {
		t.Metrics.lag(t.Name, n, since)
	}
}

// Follow hands over every entry after pos, in order, until ctx ends or handle returns an error, which it returns. It keeps
// no cursor: whoever follows remembers the last position.
func Follow(ctx context.Context, pool *pgxpool.Pool, l *Listener, after int64, handle func([]Entry) error) error {
	woken, cancel := subscribe(l)
	defer cancel()
	backoff := backoffMin
	for ctx.Err() == nil {
		entries, err := Read(ctx, pool, after, batchSize)
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			pause(ctx, backoff)
			backoff = min(2*backoff, backoffMax)
			continue
		}
		backoff = backoffMin
		if len(entries) > 0 {
			if err := handle(entries); err != nil {
				return err
			}
			after = entries[len(entries)-1].Pos
		}
		if len(entries) < batchSize {
			wait(ctx, woken)
		}
	}
	return ctx.Err()
}

func subscribe(l *Listener) (<-chan struct{}, func()) {
	if l == nil {
		return nil, func() {}
	}
	return l.Subscribe()
}

// wait ends at a signal, at the poll interval or with ctx.
func wait(ctx context.Context, woken <-chan struct{}) {
	poll := time.NewTimer(pollInterval)
	defer poll.Stop()
	select {
	case <-ctx.Done():
	case <-woken:
	case <-poll.C:
	}
}
