package geofence_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zhijiao/devices"
	"zhijiao/geofence"
)

func ring(coords string) string { return `{"type":"Polygon","coordinates":[[` + coords + `]]}` }

// imported reads and mends a drawing.
func imported(t *testing.T, p *place, doc string, datum devices.Datum) ([]geofence.Imported, error) {
	t.Helper()
	zones, err := geofence.ImportGeoJSON(strings.NewReader(doc), datum)
	if err != nil {
		return nil, err
	}
	return zones, p.store.Mend(t.Context(), zones)
}

func (p *place) specs(zones []geofence.Imported) (specs []geofence.ZoneSpec) {
	for _, z := range zones {
		specs = append(specs, geofence.ZoneSpec{Org: p.office, Purpose: geofence.Activity, Name: "某区",
			Shape: geofence.Polygonal, Geometry: z.Geometry, Datum: z.Datum.String()})
	}
	return specs
}

func TestImportRepairsAndSaysWhere(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for name, c := range map[string]struct {
		doc     string
		fault   geofence.Fault
		place   [2]float64
		consent bool
		points  int // after
	}{
		"not closed":        {ring(`[113,30],[114,30],[114,31],[113,31]`), geofence.OpenRing, [2]float64{113, 31}, true, 5},
		"repeated":          {ring(`[113,30],[114,30],[114,30],[114,31],[113,30]`), geofence.RepeatedVertex, [2]float64{114, 30}, false, 4},
		"repeated at join":  {ring(`[113,30],[114,30],[114,31],[113,30],[113,30]`), geofence.RepeatedVertex, [2]float64{113, 30}, false, 4},
		"clockwise":         {ring(`[113,30],[113,31],[114,31],[114,30],[113,30]`), geofence.WrongWinding, [2]float64{113, 30}, false, 5},
		"spike":             {ring(`[113,30],[114,30],[114,31],[114,35],[114,31],[113,31],[113,30]`), geofence.Spike, [2]float64{114, 35}, true, 5},
		"spike on its edge": {ring(`[113,30],[114,30],[114,35],[114,31],[113,31],[113,30]`), geofence.Spike, [2]float64{114, 35}, true, 5},
		"spike at the join": {ring(`[112,30],[114,30],[114,31],[113,31],[113,30],[112,30]`), geofence.Spike, [2]float64{112, 30}, true, 5},
		"a tiny loop": {ring(`[113,30],[114,30],[114,31],[113.5,31.0],[113.4999,31.0001],[113.4999,30.9999],` +
			`[113.5,31.0001],[113.4,31],[113,31],[113,30]`), geofence.CrossingRing, [2]float64{113.49995, 31.00000}, true, 0},
		"parts share a side": {`{"type":"MultiPolygon","coordinates":[[[[113,30],[114,30],[114,31],[113,31],[113,30]]],` +
			`[[[114,30],[115,30],[115,31],[114,31],[114,30]]]]}`, geofence.TouchingParts, [2]float64{114, 31}, true, 7},
		"a hole touching out": {`{"type":"Polygon","coordinates":[[[113,30],[114,30],[114,31],[113,31],[113,30]],` +
			`[[113.5,30],[113.4999,30.0001],[113.5001,30.0001],[113.5002,30],[113.5,30]]]}`,
			geofence.CrossingRing, [2]float64{113.5, 30}, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			zones, err := imported(t, p, c.doc, devices.WGS84)
			if err != nil {
				t.Fatal(err)
			}
			r := &zones[0].Report
			found := false
			for _, one := range r.Repairs {
				near := math.Hypot(one.Place[0]-c.place[0], one.Place[1]-c.place[1]) < 0.001
				found = found || one.Fault == c.fault && near && one.Detail != "" && strings.HasPrefix(one.Where, "features[0].geometry, polygon ")
			}
			if !found || r.NeedsConsent() != c.consent || c.points > 0 && r.VerticesAfter != c.points || r.AreaBefore <= 0 || r.Changed > geofence.MostChanged {
				t.Errorf("reported %+v, want %s at %v, consent %v, %d points", *r, c.fault, c.place, c.consent, c.points)
			}
			if math.Abs(r.AreaAfter/r.AreaBefore-1) > geofence.MostChanged {
				t.Errorf("%.0f m² became %.0f", r.AreaBefore, r.AreaAfter)
			}
			_, _, err = p.store.PutZones(t.Context(), 0, 0, p.specs(zones))
			p.ok(err)
		})
	}
}

func TestImportRefusesWhatIsInDoubt(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for name, c := range map[string]struct {
		doc, says string
		place     bool
	}{
		"a bow": {ring(`[113,30],[114,31],[114,30],[113,31],[113,30]`), "would change", true},
		"drawn twice": {`{"type":"MultiPolygon","coordinates":[[[[113,30],[114,30],[114,31],[113,31],[113,30]]],` +
			`[[[113.5,30],[115,30],[115,31],[113.5,31],[113.5,30]]]]}`, "would change", true},
		"half a ring":      {ring(`[113,30],[113.1,30],[113.2,30.1],[113.3,30],[114,30.4]`), "more than any edge", true},
		"on one line":      {ring(`[113,30],[114,31],[115,32],[113,30]`), "on one line", true},
		"out and back":     {ring(`[113,30],[114,31],[115,30],[114,31],[113,30]`), "on one line", true},
		"a number too big": {ring(`[113,30],[114,1e999],[115,30],[113,30]`), "not GeoJSON", false},
		"a hole outside":   {`{"type":"Polygon","coordinates":[[[113,30],[114,30],[114,31],[113,30]],[[118,30],[119,30],[119,31],[118,30]]]}`, "would change", true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := imported(t, p, c.doc, devices.WGS84)
			r := refused(t, err, map[bool]geofence.Reason{true: geofence.WrongGeometry, false: geofence.InvalidGeometry}[c.says == "not GeoJSON"])
			if !strings.Contains(err.Error(), c.says) || c.place && r.Place == nil {
				t.Errorf("got %v at %v, want a refusal that says %q, with its place: %v", err, r.Place, c.says, c.place)
			}
		})
	}
}

// TestLiveZoneIsNotReplacedByABrokenOne puts a good and a broken next version of two zones together, by the store itself: what
// was live stays, version and all, and rules go by it.
func TestLiveZoneIsNotReplacedByABrokenOne(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	other := p.putZone(0, geofence.Activity, 20_000, 3000)
	zones, err := geofence.ImportGeoJSON(strings.NewReader(`{"type":"FeatureCollection","features":[
		{"type":"Feature","properties":{},"geometry":`+ring(`[113,30],[114,30],[114,31],[113,30]`)+`},
		{"type":"Feature","properties":{},"geometry":`+ring(`[113,30],[114,31],[114,30],[113,31],[113,30]`)+`}]}`), devices.WGS84)
	p.ok(err)
	before := p.count("zone_version WHERE upper_inf(recorded) AND upper_inf(valid) AND version = 1")
	specs := p.specs(zones)
	specs[0].ID, specs[1].ID = other, p.zone
	_, _, err = p.store.PutZones(t.Context(), 0, 0, specs)
	refused(t, err, geofence.InvalidGeometry)
	if !strings.Contains(err.Error(), "zone 2 of 2") {
		t.Errorf("which one? %v", err)
	}
	p.want(before, "zone_version WHERE upper_inf(recorded) AND upper_inf(valid) AND version = 1")
	p.want(before, "zone_version")
}

// TestVendorOutlineIsRepaired_R44: the city outline as a map vendor serves it is five polygons that share edges. The report says
// which and where, in the file's own coordinates, and the area stays what it was.
func TestVendorOutlineIsRepaired_R44(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(filepath.Join("..", "..", "shared", "data", "boundaries", "tianmen_gcj02.geojson"))
	if err != nil {
		t.Skip("the shared boundaries are not on this machine")
	}
	p := newPlace(t)
	zones, err := imported(t, p, string(doc), devices.GCJ02)
	p.ok(err)
	r := &zones[0].Report
	if len(zones) != 1 || !r.NeedsConsent() || r.Changed > 1e-4 || math.Abs(r.AreaAfter/2.619e9-1) > 0.01 || r.VerticesBefore != 978 || r.VerticesAfter == 978 {
		t.Errorf("%d zones, %+v", len(zones), *r)
	}
	touching := 0
	for _, one := range r.Repairs {
		if one.Fault == geofence.TouchingParts {
			touching++
		}
		if one.Place[0] < 112.5 || one.Place[0] > 113.6 {
			t.Errorf("no such place in the file: %+v", one)
		}
	}
	if touching == 0 {
		t.Errorf("no polygons that touch in %+v", r.Repairs)
	}
	_, _, err = p.store.PutZones(t.Context(), 0, 0, p.specs(zones))
	p.ok(err)
}

// TestImportedIsValidForPostGIS_R31 draws at random what people and programs draw wrongly, on a coarse grid where corners,
// edges and rings fall on each other: reading never panics, and what is read and mended PostGIS takes, with the area the
// report says.
func TestImportedIsValidForPostGIS_R31(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	rounds := 150
	if os.Getenv("ZHIJIAO_TEST_LONG") != "" {
		rounds = 20_000
	}
	taken, mended := 0, 0
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 31))
		doc := hostile(r)
		zones, err := imported(t, p, doc, []devices.Datum{devices.WGS84, devices.GCJ02, devices.BD09}[r.IntN(3)])
		var refusal *geofence.Refused
		if errors.As(err, &refusal) {
			continue
		}
		p.ok(err)
		for _, z := range zones {
			taken++
			if z.Report.NeedsConsent() {
				mended++
			}
			_, _, err := p.store.PutZones(t.Context(), 0, 0, p.specs([]geofence.Imported{z}))
			if err != nil {
				t.Fatalf("seed %d: mended, and then %v:\n%s\n%+v", seed, err, doc, z.Report)
			}
			if z.Report.Changed > geofence.MostChanged || !(z.Report.AreaAfter > 0) {
				t.Fatalf("seed %d: reported %+v", seed, z.Report)
			}
			if _, err := geofence.NewPolygon(1, 1, geofence.Interval{}, z.Geometry); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
	if taken < rounds/10 || mended == 0 {
		t.Errorf("only %d of %d drawings were taken, %d of them mended", taken, rounds, mended)
	}
	t.Logf("%d taken of %d drawings, %d of them mended", taken, rounds, mended)
}

// hostile is a drawing that may have every fault there is; most are a square with something wrong at one of its sides.
func hostile(r *rand.Rand) string {
	at := func(east, north int) [2]float64 {
		return [2]float64{113 + float64(east)*0.001, 30.5 + float64(north)*0.001}
	}
	one := func() [][][2]float64 {
		var polygon [][][2]float64
		for range 1 + r.IntN(2) {
			east, north, side := r.IntN(3)*100, r.IntN(3)*100, 100+r.IntN(3)*50
			drawn := [][2]float64{at(east, north), at(east+side, north), at(east+side, north+side), at(east, north+side)}
			for range r.IntN(3) { // something wrong: near a corner, so that little changes
				k := r.IntN(len(drawn))
				c := drawn[k]
				var extra [][2]float64
				for range 1 + r.IntN(4) {
					extra = append(extra, [2]float64{c[0] + float64(r.IntN(5)-2)*0.001, c[1] + float64(r.IntN(5)-2)*0.001})
				}
				drawn = append(drawn[:k:k], append(extra, drawn[k:]...)...)
			}
			if r.IntN(4) > 0 {
				drawn = append(drawn, drawn[0])
			}
			if r.IntN(3) == 0 {
				for i, k := 0, len(drawn)-1; i < k; i, k = i+1, k-1 {
					drawn[i], drawn[k] = drawn[k], drawn[i]
				}
			}
			polygon = append(polygon, drawn)
		}
		return polygon
	}
	var parts [][][][2]float64
	for range 1 + r.IntN(2) {
		parts = append(parts, one())
	}
	doc, err := json.Marshal(map[string]any{"type": "MultiPolygon", "coordinates": parts})
	if err != nil {
		panic(err)
	}
	return string(doc)
}
