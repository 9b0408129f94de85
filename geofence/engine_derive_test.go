package geofence_test

import (
	"testing"
	"time"

	"zhijiao/devices"
	"zhijiao/geofence"
)

// TestBacklogRefutesSilence_R36: a device that could not reach us was not silent. What was said is withdrawn, with its
// history, and says why; the fixes that came late count like any other.
func TestBacklogRefutesSilence_R36(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.wearer("W1")
	p.rule(geofence.RuleSpec{Subject: s, Kind: geofence.Silence, Basis: "positioning"})
	p.observe(p.fix("W1", noon, 0))
	p.derive() // the binding was recorded after it began
	p.tick(noon.Add(time.Hour))
	p.want(1, "violation WHERE kind = 'device_silent' AND state = 'open'")
	var late []devices.Observation
	for n := 1; n <= 61; n++ {
		o := p.fix("W1", noon.Add(time.Duration(n)*time.Minute), 0)
		o.ReceivedAt = noon.Add(61 * time.Minute)
		late = append(late, o)
	}
	p.clock.Step(noon.Add(61 * time.Minute))
	p.observe(late...)
	p.want(1, "subject_state WHERE dirty_from = $1", noon.Add(time.Minute))
	if n := p.derive(); n != 1 {
		t.Errorf("derived %d times", n)
	}
	p.want(1, "violation WHERE kind = 'device_silent' AND state = 'withdrawn' AND version = 3 AND jsonb_array_length(evidence -> 'superseded') = 1")
	p.want(1, "ledger WHERE kind = 'violation.withdrawn' AND body -> 'why' ->> 'what' = 'late_data'")
	p.want(0, "position WHERE flags & 1 <> 0")
	p.want(45, "position WHERE flags & 8 <> 0") // 15 of them came in time
	p.want(1, "subject_state WHERE dirty_from IS NULL AND dirty_since IS NULL")
	before := p.count("ledger")
	p.tick(noon.Add(61 * time.Minute))
	p.want(before, "ledger")
}

// TestLateFixMovesTheBeginning_R36: what opened too late, because the first fixes outside came last, is amended, not
// doubled.
func TestLateFixMovesTheBeginning_R36(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wearer("W1")
	p.observe(p.fix("W1", noon, 0))
	p.derive()
	p.observe(p.fix("W1", noon.Add(10*time.Minute), 8000), p.fix("W1", noon.Add(12*time.Minute), 8500))
	p.want(1, "violation WHERE kind = 'left_zone' AND state = 'open' AND opened_at = $1", noon.Add(10*time.Minute))
	p.observe(p.fix("W1", noon.Add(7*time.Minute), 7500))
	p.want(1, "violation WHERE opened_at = $1", noon.Add(10*time.Minute))
	p.derive()
	p.want(1, "violation")
	p.want(1, "violation WHERE opened_at = $1 AND version = 2 AND state = 'open' AND NOT late", noon.Add(7*time.Minute))
	p.want(1, "ledger WHERE kind = 'violation.amended'")
	p.observe(p.fix("W1", noon.Add(21*time.Minute), 0), p.fix("W1", noon.Add(22*time.Minute), 0))
	p.want(1, "violation WHERE state = 'closed' AND closed_at = $1", noon.Add(21*time.Minute))
	// Between the two it was at home: one becomes two, and the first part keeps its number.
	p.observe(p.fix("W1", noon.Add(14*time.Minute), 0), p.fix("W1", noon.Add(15*time.Minute), 0), p.fix("W1", noon.Add(17*time.Minute), 8000), p.fix("W1", noon.Add(19*time.Minute), 8000))
	p.derive()
	p.want(2, "violation WHERE state = 'closed'")
	p.want(1, "violation WHERE violation_id = 1 AND closed_at = $1", noon.Add(14*time.Minute))
	p.want(1, "violation WHERE violation_id = 2 AND opened_at = $1 AND closed_at = $2", noon.Add(17*time.Minute), noon.Add(21*time.Minute))
}

// TestFactThatReachesBackIsDerivedAgain_R29: a zone recorded as it had been since before makes the past another; who did
// it and when is told.
func TestFactThatReachesBackIsDerivedAgain_R29(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wearer("W1")
	p.observe(p.fix("W1", noon, 0), p.fix("W1", noon.Add(2*time.Minute), 8000), p.fix("W1", noon.Add(5*time.Minute), 8000))
	p.derive()
	p.want(1, "violation WHERE state = 'open'")
	p.clock.Step(noon.Add(10 * time.Minute))
	_, _, err := p.store.PutZone(t.Context(), 0, 0, geofence.ZoneSpec{ID: p.zone, Org: p.office, Purpose: geofence.Activity, Name: "某区",
		Shape: geofence.Polygonal, Geometry: square(0, 40_000), Datum: "WGS-84", From: noon.Add(-time.Hour)})
	p.ok(err)
	p.want(1, "subject_state WHERE dirty_from = $1 AND dirty_why ->> 'what' = 'zone'", noon.Add(-time.Hour))
	p.tick(noon.Add(10 * time.Minute))
	p.derive()
	p.want(1, "violation WHERE state = 'withdrawn'")
	p.want(1, "ledger WHERE kind = 'violation.withdrawn' AND body -> 'why' ->> 'what' = 'zone' AND (body -> 'why' ->> 'entity_id')::bigint = $1", p.zone)
}

// TestDeafAfterAStart_R36: a server that was down for hours calls nobody silent when it starts: the interval is recorded,
// silence is counted from its end, and a start right after another records nothing.
func TestDeafAfterAStart_R36(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.wearer("W1")
	p.rule(geofence.RuleSpec{Subject: s, Kind: geofence.Silence, Basis: "positioning"})
	begin := func() geofence.Interval {
		deaf, err := p.newEngine().Begin(t.Context())
		p.ok(err)
		return deaf
	}
	begin()
	p.observe(p.fix("W1", noon, 0))
	p.derive()
	if deaf := begin(); !deaf.Until.IsZero() {
		t.Errorf("deaf %v although somebody listened", deaf)
	}
	up := noon.Add(3 * time.Hour)
	p.clock.Step(up)
	if deaf := begin(); !deaf.From.Equal(noon) || !deaf.Until.Equal(up) {
		t.Errorf("deaf %v to %v", deaf.From, deaf.Until)
	}
	p.want(1, "deaf WHERE cause = 'server_down'")
	p.tick(up.Add(20 * time.Minute))
	p.want(0, "violation WHERE kind = 'device_silent'")
	p.tick(up.Add(40 * time.Minute))
	p.want(1, "violation WHERE kind = 'device_silent' AND opened_at = $1", up)
}

// TestClockThatIsOff_R38: a device whose clock is more than five minutes ahead tells times that cannot be, and one whose week
// counter began anew tells of decades ago: what it says is kept or quarantined, flagged, and moves nothing. A clock that is a
// little off is believed, and its error is kept.
func TestClockThatIsOff_R38(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wearer("W1")
	p.observe(p.fix("W1", noon, 0))
	p.derive()
	tell := func(at time.Time, ahead time.Duration, east float64) {
		o := p.fix("W1", at, east)
		o.ReceivedAt = at.Add(time.Second)
		o.SentAt = o.ReceivedAt.Add(ahead)
		p.clock.Step(o.ReceivedAt)
		p.observe(o)
	}
	for n := range 6 { // far outside, for long: by a clock that is off
		tell(noon.Add(time.Duration(2+2*n)*time.Minute), 6*time.Minute, 8000)
	}
	p.derive()
	p.want(6, "position WHERE flags & $1 <> 0 AND skew_ms < -300000", int16(geofence.Skewed))
	p.want(0, "violation")
	p.want(1, "current_position WHERE fix_at = $1", noon)
	for n := range 3 { // and by one that is four minutes off
		tell(noon.Add(time.Duration(20+2*n)*time.Minute), 4*time.Minute, 8000)
	}
	p.derive()
	p.want(1, "violation WHERE kind = 'left_zone' AND opened_at = $1", noon.Add(20*time.Minute))
	p.want(3, "position WHERE flags & $1 = 0 AND skew_ms BETWEEN -250000 AND -200000", int16(geofence.Skewed))
}

// TestDerivedPastKeepsWhatWasTaken_R13: that the past is judged again does not make room for phone fixes finer than approved.
func TestDerivedPastKeepsWhatWasTaken_R13(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.wearer("W1")
	p.bind(p.device("P1", devices.Phone), s, time.Hour)
	p.observe(p.fix("W1", noon, 0), p.fix("P1", noon.Add(time.Minute), 0))
	p.observe(p.fix("W1", noon.Add(3*time.Minute), 0))
	p.clock.Step(noon.Add(4 * time.Minute))
	p.observe(p.fix("W1", noon.Add(2*time.Minute), 0)) // late
	if p.derive() != 1 {
		t.Fatal("nothing was derived")
	}
	p.observe(p.fix("P1", noon.Add(5*time.Minute), 0))
	p.want(1, "position_geom JOIN device USING (device_id) WHERE serial = 'P1'")
	p.want(1, "observation_count WHERE outcome = 'withheld'")
}

// TestCheckInWithAnOpenStrap_R122: what a check-in said of the strap stands when the past is judged again.
func TestCheckInWithAnOpenStrap_R122(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.wearer("W1")
	p.rule(geofence.RuleSpec{Subject: s, Kind: geofence.Strap, Basis: "positioning"})
	p.observe(p.fix("W1", noon, 0))
	checkIn := p.fix("W1", noon.Add(2*time.Minute), 0)
	checkIn.Kind, checkIn.Place, checkIn.Health.Strap = devices.KindCheckIn, nil, devices.StrapOpen
	p.observe(checkIn, p.fix("W1", noon.Add(3*time.Minute), 0))
	p.want(1, "violation WHERE kind = 'strap_opened' AND state = 'open'")
	p.observe(p.fix("W1", noon.Add(time.Minute), 0)) // late
	if p.derive() != 1 {
		t.Fatal("nothing was derived")
	}
	p.want(1, "violation WHERE kind = 'strap_opened' AND state = 'open'")
}

// TestOneWhosePastCannotBeDerived: the past of the others does not wait for it.
func TestOneWhosePastCannotBeDerived(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	first, second := p.wearer("W1"), p.wearer("W2")
	for _, w := range []devices.Serial{"W1", "W2"} {
		p.observe(p.fix(w, noon, 0), p.fix(w, noon.Add(90*time.Minute), 0))
	}
	p.derive() // their rules reach back
	for _, w := range []devices.Serial{"W1", "W2"} {
		p.observe(p.fix(w, noon.Add(70*time.Minute), 0)) // late
	}
	if _, err := p.pool.Exec(t.Context(), `UPDATE state_checkpoint SET state = '[]' WHERE subject_id = $1`, first); err != nil {
		t.Fatal(err)
	}
	if _, err := p.pool.Exec(t.Context(), `UPDATE subject_state SET dirty_since = dirty_since - interval '1 minute' WHERE subject_id = $1`, first); err != nil {
		t.Fatal(err)
	}
	if _, err := p.engine.Derive(t.Context()); err == nil {
		t.Fatal("derived from nonsense")
	}
	p.derive()
	p.want(1, "subject_state WHERE subject_id = $1 AND dirty_from IS NULL", second)
	p.want(1, "subject_state WHERE subject_id = $1 AND dirty_from IS NOT NULL", first) // tried again later
}
