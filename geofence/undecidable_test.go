package geofence_test

import (
	"math"
	"testing"
	"time"

	"github.com/twpayne/go-geom"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/id"
)

// TestAuthorIsToldHowOftenAZoneIsUndecidable_R25 tries zones on one person's fixes: 60 at home, some of them by cell towers, and 20 that are
// 30 km away and about no zone here.
func TestAuthorIsToldHowOftenAZoneIsUndecidable_R25(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.wearer("W1")
	at := noon
	send := func(n int, east, accuracy float64, m devices.Method) {
		for range n {
			at = at.Add(time.Minute)
			o := p.fix("W1", at, east)
			o.Place.Accuracy, o.Place.Method = accuracy, m
			p.observe(o)
		}
	}
	send(40, 0, 8, devices.MethodGNSS) // 10 m by the floor
	send(10, 0, 40, devices.MethodWiFi)
	send(10, 0, 300, devices.MethodCell) // 500 m by the floor
	at = at.Add(time.Hour)
	send(20, 30_000, 20, devices.MethodGNSS)
	p.clock.Step(at)
	circle := func(radius float64) geofence.ZoneSpec {
		return geofence.ZoneSpec{Org: p.office, Purpose: geofence.Activity, Name: "家", Shape: geofence.Circular,
			Geometry: geom.NewPointFlat(geom.XY, []float64{homeLon, homeLat}), RadiusM: radius}
	}
	for name, c := range map[string]struct {
		zone        geofence.ZoneSpec
		undecidable int
		small, warn bool
	}{
		"as it should be":          {circle(600), 0, false, false},
		"smaller than cell towers": {circle(200), 10, false, true},
		"smaller than Wi-Fi":       {circle(45), 20, false, true},
		"smaller than satellites":  {circle(9), 60, true, true},
		"a square":                 {geofence.ZoneSpec{Purpose: geofence.Activity, Shape: geofence.Polygonal, Geometry: square(0, 400)}, 10, false, true},
		"the recorded one":         {geofence.ZoneSpec{ID: p.zone}, 0, false, false},
	} {
		got, err := p.store.Undecidable(t.Context(), 0, c.zone, s)
		p.ok(err)
		if got.Fixes != 60 || got.All != 80 || got.Undecidable != c.undecidable ||
			got.AccuracyM != 10 && got.AccuracyM != 20 || got.TooSmall() != c.small || got.Warns() != c.warn {
			t.Errorf("%s: %+v, want %d undecidable of 60, too small %v, warns %v", name, got, c.undecidable, c.small, c.warn)
		}
		if math.Abs(got.Share()-float64(c.undecidable)/60) > 1e-9 {
			t.Errorf("%s: a share of %v", name, got.Share())
		}
	}
	got, err := p.store.Undecidable(t.Context(), 0, geofence.ZoneSpec{Shape: geofence.Polygonal, Geometry: square(0, 1000)}, s)
	if p.ok(err); math.Abs(got.SizeM/(1000/math.Sqrt(math.Pi))-1) > 0.02 {
		t.Errorf("a square kilometre has the size of a circle of %.1f m", got.SizeM)
	}
	// A rule, with its own floor: cell towers trusted less than the usual.
	rule := geofence.RuleSpec{Subject: s, Kind: geofence.StayIn, Zone: p.zone, Params: []byte(`{"floor_cell_m":6000}`)}
	if got, err = p.store.UndecidableRule(t.Context(), p.office, rule); err != nil || got.Undecidable != 10 {
		t.Errorf("by its own floor: %+v, %v", got, err)
	}
	// Nobody's history is asked for from elsewhere, and an old one is none.
	_, err = p.store.Undecidable(t.Context(), id.Org(4711), circle(200), s)
	refused(t, err, geofence.NoSuchSubject)
	_, err = p.store.UndecidableRule(t.Context(), 0, geofence.RuleSpec{Subject: s, Kind: geofence.StayIn, Zone: 4711})
	refused(t, err, geofence.NoSuchZone)
	list, all, err := p.store.RuledBy(t.Context(), p.zone, 10)
	if err != nil || all != 1 || len(list) != 1 || list[0] != s {
		t.Errorf("those who go by it: %v of %d, %v", list, all, err)
	}
	p.clock.Step(at.Add(31 * 24 * time.Hour))
	if got, err = p.store.Undecidable(t.Context(), 0, circle(9), s); err != nil || got.All != 0 || got.Warns() {
		t.Errorf("a month later: %+v, %v", got, err)
	}
}
