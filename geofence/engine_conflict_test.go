package geofence_test

import (
	"testing"
	"time"

	"zhijiao/devices"
	"zhijiao/geofence"
)

// TestAnotherContentIsTampering: a sequence that comes again with another content moves nothing; the health of the device counts it,
// the ledger tells of it, once an hour.
func TestAnotherContentIsTampering_R41(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wearer("W1")
	good := p.fix("W1", noon, 0)
	p.observe(good)
	forged := func(at time.Time, east float64) devices.Observation {
		o := p.fix("W1", at, east)
		o.Boot, o.Seq, o.ReceivedAt = good.Boot, good.Seq, at
		return o
	}
	p.observe(forged(noon.Add(time.Minute), 5000), forged(noon.Add(time.Minute), 6000), good)
	p.observe(forged(noon.Add(30*time.Minute), 7000))
	p.want(1, "position")
	p.want(1, "device_health WHERE conflicts = 3")
	p.want(3, "quarantine WHERE reason = 'sequence_conflict' AND payload IS NULL")
	p.want(1, "ledger WHERE kind = 'device.conflict' AND entity = 'device' AND body->>'n' = '2'")
	p.observe(forged(noon.Add(2*time.Hour), 8000))
	p.want(2, "ledger WHERE kind = 'device.conflict'")
	p.balanced()
}

// TestReplayedDayChangesNothing: whoever sends a captured day once more, in whatever order and grouping, changes nothing but the
// count of duplicates.
func TestReplayedDayChangesNothing_R41(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wearer("W1")
	var day []devices.Observation
	for i := range 300 {
		east := 0.0
		if i%100 >= 60 { // out for a while, three times
			east = 4000 + float64(i%100-60)*100
		}
		day = append(day, p.fix("W1", noon.Add(time.Duration(i)*time.Minute), east))
	}
	for i := 0; i < len(day); i += 60 {
		p.observe(day[i : i+60]...)
	}
	p.want(300, "position")
	left := p.count("ledger")
	if left == 0 || p.count("violation") == 0 {
		t.Fatal("nothing happened on that day")
	}
	for i := len(day); i > 0; i -= 50 { // the last first
		p.observe(received(noon.Add(400*time.Minute), append([]devices.Observation(nil), day[i-50:i]...)...)...)
	}
	p.want(300, "position")
	p.want(left, "ledger")
	p.want(0, "device_health WHERE conflicts > 0 OR missing > 0")
	if n := p.balanced()[devices.CountKey{Kind: devices.KindFix, Outcome: devices.Duplicate}]; n != 300 {
		t.Errorf("%d duplicates", n)
	}
}

// TestRefusedFloodIsCountedWithoutFillingTheQuarantine: what ingest refused of a flood is in the account to the last observation, and in
// the quarantine by the traces it left.
func TestRefusedFloodIsCountedWithoutFillingTheQuarantine_R37(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wearer("W1")
	b := batch()
	fault := devices.Fault{Reason: devices.RateLimited}
	b.Refusals = []geofence.Refusal{
		{Serial: "W1", Kind: devices.KindFix, Fault: fault, Boot: -1, Seq: -1, More: 2, Stands: 1},
		{Serial: "W1", Kind: devices.KindFix, Fault: fault, Boot: -1, Seq: -1, More: 19, Silent: true},
		{Serial: "W1", Kind: devices.KindFix, Fault: fault, Boot: -1, Seq: -1, Silent: true},
		{Serial: "W1", Kind: devices.KindUnknown, Fault: fault, Boot: -1, Seq: -1, More: -1, Stands: 2},
	}
	b.Received[devices.KindFix] = 24
	p.ok(p.engine.Observe(t.Context(), b))
	if n := p.balanced()[devices.CountKey{Kind: devices.KindFix, Outcome: devices.Rejected, Reason: devices.RateLimited}]; n != 24 {
		t.Errorf("%d counted", n)
	}
	p.want(2, "quarantine")
	p.want(1, "quarantine WHERE n = 2 AND reason = 'rate_limited'")
}
