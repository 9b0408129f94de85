package geofence_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/twpayne/go-geom"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/id"
	"zhijiao/supervision"
)

func refused(t *testing.T, err error, want geofence.Reason) *geofence.Refused {
	t.Helper()
	var r *geofence.Refused
	if !errors.As(err, &r) || r.Reason != want {
		t.Fatalf("got %v, want a refusal for %s", err, want)
	}
	return r
}

func TestInvalidZoneIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	spec := func(g geom.T) geofence.ZoneSpec {
		return geofence.ZoneSpec{Org: p.office, Purpose: geofence.Activity, Name: "某区", Shape: geofence.Polygonal, Geometry: g, Datum: "WGS-84"}
	}
	put := func(s geofence.ZoneSpec) error {
		_, _, err := p.store.PutZone(t.Context(), 0, 0, s)
		return err
	}
	bow := geom.NewPolygon(geom.XY).MustSetCoords([][]geom.Coord{{{113, 30}, {114, 31}, {114, 30}, {113, 31}, {113, 30}}})
	r := refused(t, put(spec(bow)), geofence.InvalidGeometry)
	if r.Place == nil || math.Abs(r.Place[0]-113.5) > 1e-9 || math.Abs(r.Place[1]-30.5) > 1e-9 || r.Detail == "" {
		t.Errorf("refused with %v", r)
	}
	open := geom.NewPolygon(geom.XY).MustSetCoords([][]geom.Coord{{{113, 30}, {114, 31}, {114, 30}, {113, 31}}})
	refused(t, put(spec(open)), geofence.InvalidGeometry)
	refused(t, put(spec(geom.NewMultiPolygon(geom.XY))), geofence.InvalidGeometry)
	refused(t, put(spec(geom.NewPointFlat(geom.XY, []float64{113, 30}))), geofence.WrongGeometry)
	circle := spec(geom.NewPointFlat(geom.XY, []float64{113, 30}))
	circle.Shape = geofence.Circular
	refused(t, put(circle), geofence.BadRadius)
	circle.RadiusM = 300
	p.ok(put(circle))
	nameless := spec(square(0, 100))
	nameless.Name = ""
	refused(t, put(nameless), geofence.EmptyName)
	foreign := spec(square(0, 100))
	if _, _, err := p.store.PutZone(t.Context(), 0, p.office+100, foreign); err == nil {
		t.Error("an organisation put a zone for another")
	}
	// All or none, and which one.
	_, _, err := p.store.PutZones(t.Context(), 0, 0, []geofence.ZoneSpec{spec(square(0, 100)), spec(bow)})
	refused(t, err, geofence.InvalidGeometry)
	p.want(2, "zone")
}

func TestRuleIsHeldToTheLaw_R15(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.person(time.Time{})
	prohibited := p.putZone(0, geofence.Prohibited, 3000, 300)
	good := geofence.RuleSpec{Subject: s, Kind: geofence.StayIn, Zone: p.zone, Basis: "leave_city"}
	for name, c := range map[string]struct {
		change func(*geofence.RuleSpec)
		want   geofence.Reason
	}{
		"no such basis":               {func(r *geofence.RuleSpec) { r.Basis = "because" }, geofence.NoBasis},
		"before the law":              {func(r *geofence.RuleSpec) { r.From = time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC) }, geofence.NoBasis},
		"no such zone":                {func(r *geofence.RuleSpec) { r.Zone = 999 }, geofence.NoSuchZone},
		"no zone":                     {func(r *geofence.RuleSpec) { r.Zone = 0 }, geofence.KindNeedsZone},
		"silence in a zone":           {func(r *geofence.RuleSpec) { r.Kind = geofence.Silence }, geofence.KindTakesNoZone},
		"no such kind":                {func(r *geofence.RuleSpec) { r.Kind = "curfew" }, geofence.BadKind},
		"stay in a prohibited zone":   {func(r *geofence.RuleSpec) { r.Zone = prohibited }, geofence.WrongPurpose},
		"keep out of the city":        {func(r *geofence.RuleSpec) { r.Kind = geofence.KeepOut }, geofence.WrongPurpose},
		"prohibited without order":    {func(r *geofence.RuleSpec) { r.Kind, r.Zone = geofence.KeepOut, prohibited }, geofence.WrongPurpose},
		"an order nobody can read":    {func(r *geofence.RuleSpec) { r.Kind, r.Zone, r.Basis = geofence.KeepOut, prohibited, "prohibition" }, geofence.NoDocument},
		"ends before it begins":       {func(r *geofence.RuleSpec) { r.From, r.Until = noon, noon }, geofence.EmptyInterval},
		"an unknown threshold":        {func(r *geofence.RuleSpec) { r.Params = json.RawMessage(`{"grace":1}`) }, geofence.BadParams},
		"one fix decides":             {func(r *geofence.RuleSpec) { r.Params = json.RawMessage(`{"count":1}`) }, geofence.BadParams},
		"somebody who does not exist": {func(r *geofence.RuleSpec) { r.Subject = 999 }, geofence.NoSuchSubject},
	} {
		t.Run(name, func(t *testing.T) {
			r := good
			c.change(&r)
			_, _, err := p.store.PutRule(t.Context(), 0, 0, r)
			refused(t, err, c.want)
		})
	}
	county, err := p.people.Roots(t.Context())
	p.ok(err)
	elsewhere, err := p.people.PutOrg(t.Context(), supervision.Org{Parent: county[0].ID, Kind: supervision.JudicialOffice, Name: "皂市司法所", ShortName: "皂市"})
	p.ok(err)
	_, _, err = p.store.PutRule(t.Context(), 0, elsewhere, good)
	refused(t, err, geofence.NoSuchSubject)
	p.want(0, "rule")
}

func TestRuleOfYesterdayStays(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.person(noon.AddDate(0, 1, 0))
	p.bind(p.device("W1", devices.Wristband), s, time.Minute)
	prohibited := p.putZone(0, geofence.Prohibited, 3000, 600)
	rule := p.rule(geofence.RuleSpec{Subject: s, Kind: geofence.KeepOut, Zone: prohibited, Basis: "prohibition", DocumentNo: "（2026）鄂9006刑初1号"})
	p.observe(p.fix("W1", noon, 3000), p.fix("W1", noon.Add(time.Minute), 3000))
	p.want(1, "violation WHERE kind = 'entered_zone' AND state = 'open'")
	before := p.count("rule")
	p.clock.Step(noon.Add(2 * time.Minute))
	p.ok(p.store.EndRule(t.Context(), 0, rule, time.Time{}))
	p.tick(noon.Add(3 * time.Minute))
	p.want(1, "violation WHERE state = 'closed' AND rule_version = 1")
	p.want(before+1, "rule")
	p.want(1, "rule WHERE upper_inf(recorded) AND upper(valid) = $1", noon.Add(2*time.Minute))
	p.want(1, "ledger WHERE kind = 'rule.ended'")
	p.observe(p.fix("W1", noon.Add(4*time.Minute), 3000), p.fix("W1", noon.Add(5*time.Minute), 3000))
	p.want(1, "violation")
	refused(t, p.store.EndRule(t.Context(), 0, 4711, time.Time{}), geofence.NoSuchRule)
	if err := p.store.EndRule(t.Context(), id.Org(4711), rule, time.Time{}); err == nil {
		t.Error("somebody else ended it")
	}
}

// TestVersionsOfAZoneTileTime edits a zone again and again, also on a clock that stands still and for a time in between:
// as recorded now there is exactly one version at every instant, and what was recorded before is still there.
func TestVersionsOfAZoneTileTime(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	put := func(from, until time.Time, side float64) {
		t.Helper()
		_, _, err := p.store.PutZone(t.Context(), 0, 0, geofence.ZoneSpec{ID: p.zone, Org: p.office, Purpose: geofence.Activity, Name: "某区",
			Shape: geofence.Polygonal, Geometry: square(0, side), Datum: "WGS-84", From: from, Until: until})
		p.ok(err)
	}
	put(noon, time.Time{}, 2000)
	put(noon, time.Time{}, 3000)
	put(noon.Add(time.Hour), noon.Add(2*time.Hour), 4000)
	p.clock.Step(noon.Add(90 * time.Minute))
	put(noon.Add(30*time.Minute), noon.Add(90*time.Minute), 5000)
	for at, side := range map[time.Duration]float64{-time.Hour: 10_000, 0: 3000, 40 * time.Minute: 5000, 89 * time.Minute: 5000, 95 * time.Minute: 4000, 3 * time.Hour: 3000} {
		var metres float64
		p.ok(p.pool.QueryRow(t.Context(), `SELECT sqrt(ST_Area(geom::geography)) FROM zone_version WHERE zone_id = $1 AND upper_inf(recorded) AND valid @> $2::timestamptz`,
			p.zone, noon.Add(at)).Scan(&metres))
		if math.Abs(metres/side-1) > 0.02 {
			t.Errorf("at %v the zone is %.0f m across, want %.0f", at, metres, side)
		}
	}
	p.want(0, "zone_version a JOIN zone_version b USING (zone_id) WHERE a.version < b.version AND upper_inf(a.recorded) AND upper_inf(b.recorded) AND a.valid && b.valid")
	p.want(1, "zone_version WHERE version = 1 AND NOT upper_inf(recorded)")
}

// TestCorridorIsKept_R30: a route with a width goes into the database and comes back; one without is refused.
func TestCorridorIsKept_R30(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	line := geom.NewLineStringFlat(geom.XY, []float64{113.16, 30.65, 113.20, 30.66})
	spec := geofence.ZoneSpec{Org: p.office, Purpose: geofence.Destination, Name: "批准路线", Shape: geofence.Corridor, Geometry: line, Datum: "WGS-84"}
	put := func() error { _, _, err := p.store.PutZone(t.Context(), 0, 0, spec); return err }
	refused(t, put(), geofence.BadRadius)
	spec.RadiusM = 30_000
	refused(t, put(), geofence.BadRadius)
	spec.RadiusM = 200
	p.ok(put())
	spec.Shape = geofence.Polygonal
	refused(t, put(), geofence.WrongGeometry)
	spec.Shape, spec.Geometry = geofence.Corridor, geom.NewLineStringFlat(geom.XY, []float64{113.16, 30.65, 113.16, 30.65})
	refused(t, put(), geofence.InvalidGeometry)
}
