package alerts_test

import (
	"encoding/json"
	"testing"
	"time"

	"zhijiao/geofence"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// TestRemindersStandUnderTheIncident_R128: while an area is away the reminders of those listed wait under the incident, those
// that were there and those that come; what was seen and what was done to a device does not; at the end they come back.
func TestRemindersStandUnderTheIncident_R128(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tell := func(kind string) {
		t.Helper()
		body, err := json.Marshal(geofence.OutageBody{Outage: 1, Scope: geofence.ByOperator, Key: "46000", Subjects: []id.Subject{1}})
		if err != nil {
			t.Fatal(err)
		}
		b.append(t, ledger.Entry{At: now, Kind: kind, Entity: "outage", EntityID: 1, Version: 1, Body: body})
		if _, err := b.tail.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	held := func(want int, where string) {
		t.Helper()
		var n int
		if err := b.pool.QueryRow(t.Context(), "SELECT count(*) FROM alert WHERE "+where).Scan(&n); err != nil || n != want {
			t.Errorf("%d alerts %s, want %d (%v)", n, where, want, err)
		}
	}
	before := b.violation(t, geofence.DeviceSilent, 1, "positioning")
	if _, err := b.pool.Exec(t.Context(), `INSERT INTO device (serial, class, model, enrolled_at) VALUES ('W-1', 'wristband', 'x', $1)`, now); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`INSERT INTO outage (scope, key, cause, since, opened_at) VALUES ('operator', '46000', 'data', now(), now())`,
		`INSERT INTO outage_person (outage_id, subject_id, device_id, silent_since) SELECT 1, 1, device_id, now() FROM device`,
	} {
		if _, err := b.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	tell(geofence.OutageOpenedEntry)
	held(1, "outage_id = 1")
	b.violation(t, geofence.LocationLost, 1, "positioning")
	b.violation(t, geofence.StrapBroken, 1, "positioning")
	b.violation(t, geofence.LeftZone, 1, "leave_city")
	held(2, "outage_id = 1 AND kind IN ('device_silent', 'location_lost')")
	held(2, "outage_id IS NULL AND kind IN ('strap_opened', 'left_zone')")
	var history int
	if err := b.pool.QueryRow(t.Context(), "SELECT count(*) FROM alert_event WHERE act = 'held'").Scan(&history); err != nil || history != 1 {
		t.Errorf("%d were told to be held (%v)", history, err)
	}
	before.State, before.Version, before.ClosedAt = geofence.ViolationClosed, 2, now
	b.tell(t, geofence.ViolationClosedEntry, &before) // that one is over meanwhile, and heals
	held(1, "outage_id = 1 AND state = 'closed'")
	if _, err := b.pool.Exec(t.Context(), "UPDATE outage SET ended_at = opened_at"); err != nil {
		t.Fatal(err)
	}
	b.clock.Step(now.Add(2 * time.Hour))
	tell(geofence.OutageEndedEntry)
	held(0, "outage_id = 1 AND state <> 'closed'")
	var due time.Time
	if err := b.pool.QueryRow(t.Context(), "SELECT due_at FROM alert WHERE kind = 'location_lost'").Scan(&due); err != nil || !due.After(now.Add(2*time.Hour)) {
		t.Errorf("due at %v (%v)", due, err)
	}
	b.violation(t, geofence.CheckMissed, 1, "check")
	held(0, "outage_id IS NOT NULL AND kind = 'check_missed'")
}
