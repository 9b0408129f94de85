package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/geofence"
	"zhijiao/internal/clock"
	"zhijiao/internal/ledger"
)

// ReaderName is the durable reader of the ledger that raises alerts.
const ReaderName = "alerts"

// Reader makes alerts of the violations in the ledger.
type Reader struct {
	clock   clock.Clock
	metrics *Metrics
	log     *slog.Logger
}

// NewTail returns the tail that raises alerts; Run it.
func NewTail(pool *pgxpool.Pool, l *ledger.Listener, c clock.Clock, log *slog.Logger, lm *ledger.Metrics, m *Metrics) *ledger.Tail {
	r := &Reader{clock: c, metrics: m, log: log.With("component", "alerts")}
	return &ledger.Tail{Name: ReaderName, Pool: pool, Listener: l, Log: log, Metrics: lm, Handle: r.handle}
}

// stage is what becomes of an alert because of one ledger entry about its violation.
type stage func(ctx context.Context, tx pgx.Tx, r *Reader, v *geofence.ViolationBody) ([]ledger.Entry, error)

// stages is what is done for each kind of entry.
var stages = map[string]stage{
	geofence.ViolationOpenedEntry:    stageRaise,
	geofence.ViolationAmendedEntry:   stageAmend,
	geofence.ViolationClosedEntry:    stageEnd,
	geofence.ViolationWithdrawnEntry: stageEnd,
}

// handle takes effect of entries in the transaction that moves the cursor.
func (r *Reader) handle(ctx context.Context, tx pgx.Tx, entries []ledger.Entry) error {
	var out []ledger.Entry
	for _, e := range entries {
		do, ok := stages[e.Kind]
		if !ok {
			continue
		}
		var v geofence.ViolationBody
		if err := json.Unmarshal(e.Body, &v); err != nil {
			return fmt.Errorf("ledger entry %d: %w", e.Pos, err)
		}
		more, err := do(ctx, tx, r, &v)
		if err != nil {
			return fmt.Errorf("ledger entry %d, %s: %w", e.Pos, e.Kind, err)
		}
		out = append(out, more...)
	}
	return ledger.Append(ctx, tx, out...)
}

// stageRaise opens the alert of an episode, unless it has one: reading an entry again changes nothing.
func stageRaise(ctx context.Context, tx pgx.Tx, r *Reader, v *geofence.ViolationBody) ([]ledger.Entry, error) {
	now := r.clock.Now()
	if has, err := hasAlert(ctx, tx, v.Violation); err != nil || has {
		return nil, err
	}
	h, err := handlingOf(ctx, tx, v, now)
	if err != nil {
		return nil, err
	}
	allowed, err := allowedClass(ctx, tx, v.Basis, now)
	if err != nil {
		return nil, err
	}
	a := raise(v, h, allowed, now)
	if err := insertAlert(ctx, tx, &a); err != nil {
		return nil, err
	}
	r.metrics.raise(&a, v.TakenInAt)
	return r.record(ctx, tx, &a, "raised", v)
}

// stageAmend tells whoever looks at the alert that the machine found more.
func stageAmend(ctx context.Context, tx pgx.Tx, r *Reader, v *geofence.ViolationBody) ([]ledger.Entry, error) {
	a, err := lockOfViolation(ctx, tx, v.Violation)
	if err != nil || a == nil {
		return nil, err
	}
	if err := bump(ctx, tx, a); err != nil {
		return nil, err
	}
	return r.record(ctx, tx, a, "amended", v)
}

// stageEnd records that the condition ended, or was withdrawn. A reminder that may heal and that nobody has taken charge of
// closes itself; everything else waits for a person's conclusion.
func stageEnd(ctx context.Context, tx pgx.Tx, r *Reader, v *geofence.ViolationBody) ([]ledger.Entry, error) {
	a, err := lockOfViolation(ctx, tx, v.Violation)
	if err != nil || a == nil {
		return nil, err
	}
	a.ViolationState = v.State
	if err := bump(ctx, tx, a); err != nil {
		return nil, err
	}
	act := "violation_closed"
	if v.State == geofence.ViolationWithdrawn {
		act = "withdrawn"
	}
	out, err := r.record(ctx, tx, a, act, v)
	if err != nil {
		return nil, err
	}
	h, err := handlingOf(ctx, tx, v, a.RaisedAt)
	if err != nil || !healsNow(a, h) {
		return out, err
	}
	a.State, a.Conclusion, a.ClosedAt = Closed, Healed, r.clock.Now()
	if err := bump(ctx, tx, a); err != nil {
		return nil, err
	}
	more, err := r.record(ctx, tx, a, "healed", nil)
	return append(out, more...), err
}

// record writes the line of history and returns the ledger entry of what the platform did.
func (r *Reader) record(ctx context.Context, tx pgx.Tx, a *Alert, act string, v *geofence.ViolationBody) ([]ledger.Entry, error) {
	body := []byte("{}")
	if v != nil {
		var err error
		if body, err = json.Marshal(v); err != nil {
			return nil, err
		}
	}
	at := r.clock.Now()
	if err := insertEvent(ctx, tx, a.ID, act, Act{}, at, body); err != nil {
		return nil, err
	}
	e, err := entryOf(a, act, at)
	return []ledger.Entry{e}, err
}
