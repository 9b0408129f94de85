package geofence_test

import (
	"strings"
	"testing"
	"time"

	"zhijiao/geofence"
	"zhijiao/internal/id"
)

// lived is a place whose person went out, came back late into the record, and went out again; a zone was edited meanwhile.
func lived(t *testing.T) (*place, id.Subject) {
	p := newPlace(t)
	s := p.wearer("W1")
	p.rule(geofence.RuleSpec{Subject: s, Kind: geofence.Silence, Basis: "positioning"})
	p.observe(p.fix("W1", noon, 0))
	p.derive()
	p.observe(p.fix("W1", noon.Add(10*time.Minute), 8000), p.fix("W1", noon.Add(12*time.Minute), 8500))
	p.observe(p.fix("W1", noon.Add(7*time.Minute), 7500)) // late: the beginning moves
	p.derive()
	p.observe(p.fix("W1", noon.Add(21*time.Minute), 0), p.fix("W1", noon.Add(22*time.Minute), 0))
	p.clock.Step(noon.Add(30 * time.Minute))
	p.putZone(p.zone, geofence.Activity, 0, 30_000) // larger, from now on
	p.tick(noon.Add(30 * time.Minute))
	p.observe(p.fix("W1", noon.Add(31*time.Minute), 8000), p.fix("W1", noon.Add(33*time.Minute), 8000), // inside the larger one
		p.fix("W1", noon.Add(35*time.Minute), 20_000), p.fix("W1", noon.Add(38*time.Minute), 20_000))
	p.tick(noon.Add(2 * time.Hour)) // and fell silent
	p.derive()
	return p, s
}

// TestReplayCheckFindsWhatWasDecided_R32: everything that stands comes out byte for byte; what somebody changed in the
// database is named.
func TestReplayCheckFindsWhatWasDecided_R32(t *testing.T) {
	t.Parallel()
	p, s := lived(t)
	h := geofence.NewHistory(p.pool)
	list, err := h.Check(t.Context(), s)
	p.ok(err)
	if len(list) != 3 {
		t.Fatalf("%d violations checked: %+v", len(list), list)
	}
	for _, c := range list {
		if !c.Identical || c.Engine != geofence.EngineVersion {
			t.Errorf("violation %d by engine %s: %s", c.Violation, c.Engine, c.Difference)
		}
	}
	_, err = p.pool.Exec(t.Context(), `UPDATE violation SET evidence = jsonb_set(evidence, '{opened,fixes,0,margin_cm}', '1') WHERE violation_id = $1`, list[0].Violation)
	p.ok(err)
	_, err = p.pool.Exec(t.Context(), `UPDATE violation SET opened_at = opened_at + interval '1 minute' WHERE violation_id = $1`, list[1].Violation)
	p.ok(err)
	list, err = h.Check(t.Context(), s)
	p.ok(err)
	if list[0].Identical || !strings.Contains(list[0].Difference, `"margin_cm":1`) {
		t.Errorf("a changed margin: %+v", list[0])
	}
	if list[1].Identical || !strings.Contains(list[1].Difference, "nothing of kind") {
		t.Errorf("a changed beginning: %+v", list[1])
	}
	if !list[2].Identical {
		t.Errorf("nobody touched this: %+v", list[2])
	}
}

// TestWhatIf: a change over history raises what it would have raised, and writes nothing.
func TestWhatIf(t *testing.T) {
	t.Parallel()
	p, s := lived(t)
	h := geofence.NewHistory(p.pool)
	before := p.count("ledger")
	found := func(change func(*geofence.Facts)) map[geofence.ViolationKind]int {
		list, n, err := h.Try(t.Context(), s, &geofence.Trial{From: noon.Add(-time.Hour), Until: noon.Add(2 * time.Hour), Change: change})
		p.ok(err)
		if n != 10 {
			t.Errorf("%d observations judged", n)
		}
		out := map[geofence.ViolationKind]int{}
		for _, f := range list {
			out[f.Body.Kind]++
		}
		return out
	}
	was, err := h.Was(t.Context(), []id.Subject{s}, noon.Add(-time.Hour), noon.Add(2*time.Hour))
	p.ok(err)
	if len(was) != 3 {
		t.Errorf("was: %+v", was)
	}
	if f := found(nil); f["left_zone"] != 2 || f["device_silent"] != 1 {
		t.Errorf("nothing changed: %v", f)
	}
	if f := found(func(f *geofence.Facts) { f.ChangeParams(geofence.StayIn, []byte(`{"band_m":100000}`)) }); f["left_zone"] != 0 {
		t.Errorf("a band of 100 km: %v", f)
	}
	if f := found(func(f *geofence.Facts) { f.DropRules(geofence.Silence) }); f["device_silent"] != 0 || f["left_zone"] != 2 {
		t.Errorf("without silence: %v", f)
	}
	if f := found(func(f *geofence.Facts) {
		z, err := geofence.NewCircle(p.zone, 1, geofence.Interval{}, 113.16, 30.66, 300)
		p.ok(err)
		f.ReplaceZone(z)
	}); f["left_zone"] == 2 {
		t.Errorf("another zone: %v", f)
	}
	p.want(before, "ledger")
}
