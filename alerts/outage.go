package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/geofence"
	"zhijiao/internal/ledger"
)

// While an area is away (R128) the reminders about those who are silent in it stand under the one incident: they are raised,
// and recorded, and wait there instead of filling the queue. Alarms never do, nor what was seen or done to a device. At its
// end those that still hold come back, with their time anew.

// underOutage puts a new reminder under the incident its person is listed in, if there is one.
func underOutage(ctx context.Context, tx pgx.Tx, a *Alert) error {
	if a.Class == Alarm || !geofence.Held(a.Kind) {
		return nil
	}
	o, err := outageOf(ctx, tx, a.Subject)
	a.Outage = o
	return err
}

// outageStages is what becomes of entries about outages.
var outageStages = map[string]func(ctx context.Context, tx pgx.Tx, b *geofence.OutageBody, now time.Time) ([]Alert, string, error){
	geofence.OutageOpenedEntry: holdAlerts,
	geofence.OutageGrownEntry:  holdAlerts,
	geofence.OutageEndedEntry:  releaseAlerts,
}

// outage takes effect of an entry about an outage.
func (r *Reader) outage(ctx context.Context, tx pgx.Tx, e *ledger.Entry) ([]ledger.Entry, error) {
	var b geofence.OutageBody
	if err := json.Unmarshal(e.Body, &b); err != nil {
		return nil, fmt.Errorf("ledger entry %d: %w", e.Pos, err)
	}
	now := r.clock.Now()
	changed, act, err := outageStages[e.Kind](ctx, tx, &b, now)
	if err != nil {
		return nil, fmt.Errorf("ledger entry %d, %s: %w", e.Pos, e.Kind, err)
	}
	var out []ledger.Entry
	for i := range changed {
		s := step{alert: &changed[i], now: now, log: r.log, metrics: r.metrics}
		if err := s.record(ctx, tx, act, nil); err != nil {
			return nil, err
		}
		out = append(out, s.entries...)
	}
	return out, nil
}
