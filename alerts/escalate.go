package alerts

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/internal/clock"
	"zhijiao/internal/ledger"
)

const (
	escalateEvery  = time.Second // R56: whoever is next learns of it within a second of when it was due
	escalateAtOnce = 200
)

// Escalator hands alerts that nobody took charge of in time to the next on their route. Any number of processes may run one.
type Escalator struct {
	Pool    *pgxpool.Pool
	Clock   clock.Clock
	Log     *slog.Logger
	Metrics *Metrics
}

// Run sweeps every second until ctx ends.
func (e *Escalator) Run(ctx context.Context) error {
	tick := time.NewTicker(escalateEvery)
	defer tick.Stop()
	for {
		for {
			n, err := e.Sweep(ctx)
			if err != nil && ctx.Err() == nil {
				e.Log.Warn("alerts were not handed on, it will be tried again", "err", err)
			}
			if n < escalateAtOnce {
				break
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Sweep hands on what is due, at most escalateAtOnce, and returns how many.
func (e *Escalator) Sweep(ctx context.Context) (n int, err error) {
	now := e.Clock.Now()
	var with []string
	err = pgx.BeginFunc(ctx, e.Pool, func(tx pgx.Tx) error {
		due, err := lockDue(ctx, tx, now, escalateAtOnce)
		if err != nil {
			return err
		}
		n, with = len(due), with[:0]
		var out []ledger.Entry
		for i := range due {
			a := &due[i]
			h, err := handlingAt(ctx, tx, a.Kind, a.Channel, a.RaisedAt)
			if err != nil {
				return err
			}
			goOn(a, h, now)
			if err := bump(ctx, tx, a); err != nil {
				return err
			}
			s := step{alert: a, now: now, log: e.Log, metrics: e.Metrics}
			if err := s.record(ctx, tx, "escalated", map[string]string{"with": a.Route[a.Step]}); err != nil {
				return err
			}
			out, with = append(out, s.entries...), append(with, a.Route[a.Step])
		}
		return ledger.Append(ctx, tx, out...)
	})
	if err != nil {
		return 0, fmt.Errorf("hand alerts on: %w", err)
	}
	for _, w := range with {
		e.Metrics.escalate(w)
	}
	return n, nil
}
