package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/geofence"
	"zhijiao/internal/clock"
	"zhijiao/internal/ledger"
)

// ReaderName is the durable reader of the ledger that raises alerts.
const ReaderName = "alerts"

// pipeline is what becomes of an entry about a violation: the stages of its kind, in order, each in its own file.
var pipeline = map[string][]stage{
	geofence.ViolationOpenedEntry:    {stageRaise},
	geofence.ViolationAmendedEntry:   {stageAmend, stageAgain},
	geofence.ViolationClosedEntry:    {stageEnd, stageHeal},
	geofence.ViolationWithdrawnEntry: {stageEnd, stageHeal},
}

// stage changes the alert of a step, and tells of it with record. It leaves the step without an alert when there is
// nothing to do, and then the stages after it are not asked.
type stage func(ctx context.Context, tx pgx.Tx, s *step) error

// step is what the stages hand on: one entry about a violation and the alert it concerns.
type step struct {
	violation *geofence.ViolationBody
	alert     *Alert
	now       time.Time // domain time
	log       *slog.Logger
	metrics   *Metrics
	entries   []ledger.Entry // what the ledger is to be told
	raised    []raised       // what metrics are to be told once it is committed
}

// Reader makes alerts of the violations in the ledger.
type Reader struct {
	clock   clock.Clock
	metrics *Metrics
	log     *slog.Logger
	raised  []raised // by the batch that is being committed
}

// NewTail returns the tail that raises alerts; Run it.
func NewTail(pool *pgxpool.Pool, l *ledger.Listener, c clock.Clock, log *slog.Logger, lm *ledger.Metrics, m *Metrics) *ledger.Tail {
	m.count(pool)
	r := &Reader{clock: c, metrics: m, log: log.With("component", "alerts")}
	return &ledger.Tail{Name: ReaderName, Pool: pool, Listener: l, Log: log, Metrics: lm, Handle: r.handle, Committed: r.committed}
}

// handle takes effect of entries in the transaction that moves the cursor.
func (r *Reader) handle(ctx context.Context, tx pgx.Tx, entries []ledger.Entry) error {
	var out []ledger.Entry
	r.raised = r.raised[:0]
	for _, e := range entries {
		if outageStages[e.Kind] != nil {
			more, err := r.outage(ctx, tx, &e)
			if err != nil {
				return err
			}
			out = append(out, more...)
			continue
		}
		stages := pipeline[e.Kind]
		if len(stages) == 0 {
			continue
		}
		var v geofence.ViolationBody
		if err := json.Unmarshal(e.Body, &v); err != nil {
			return fmt.Errorf("ledger entry %d: %w", e.Pos, err)
		}
		s := step{violation: &v, now: r.clock.Now(), log: r.log, metrics: r.metrics}
		for i, do := range stages {
			if i > 0 && s.alert == nil {
				break
			}
			if err := do(ctx, tx, &s); err != nil {
				return fmt.Errorf("ledger entry %d, %s: %w", e.Pos, e.Kind, err)
			}
		}
		out, r.raised = append(out, s.entries...), append(r.raised, s.raised...)
	}
	return ledger.Append(ctx, tx, out...)
}

// committed counts what was raised. A batch that was undone raised nothing.
func (r *Reader) committed() {
	for _, a := range r.raised {
		r.metrics.raise(a)
	}
	r.raised = r.raised[:0]
}

// record writes a line of the alert's history with what was found, and has the ledger told of it.
func (s *step) record(ctx context.Context, tx pgx.Tx, act string, found any) error {
	body := []byte("{}")
	if found != nil {
		var err error
		if body, err = json.Marshal(found); err != nil {
			return err
		}
	}
	if err := insertEvent(ctx, tx, s.alert.ID, act, Act{}, s.now, body); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	e, err := entryOf(s.alert, act, s.now)
	s.entries = append(s.entries, e)
	return err
}
