package geofence

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// city is the demo outline of Tianmen.
func city(t testing.TB, zone ZoneID) *Zone {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "cmd", "zhijiao", "demo", "tianmen_demo.geojson"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zones, err := ImportGeoJSON(f, devices.WGS84)
	if err != nil {
		t.Fatal(err)
	}
	z, err := NewPolygon(zone, 1, Interval{}, zones[0].Geometry)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// within is a place at least so many metres inside.
func within(r *rand.Rand, z *Zone, depth float64) (lon, lat float64) {
	for {
		lon, lat = z.box.minLon+r.Float64()*(z.box.maxLon-z.box.minLon), z.box.minLat+r.Float64()*(z.box.maxLat-z.box.minLat)
		if z.Distance(lon, lat) < -depth {
			return lon, lat
		}
	}
}

// TestMovingInTheCityRaisesNothing_R14: between the areas of 26 offices people may go as they like.
func TestMovingInTheCityRaisesNothing_R14(t *testing.T) {
	t.Parallel()
	z := city(t, 1)
	for _, interval := range []time.Duration{dense, sparse} {
		r := rand.New(rand.NewPCG(26, 14))
		w := newWorld(t, StayIn, interval)
		w.facts.Zones[1] = []*Zone{z}
		lon, lat := within(r, z, 200)
		east, north := degreeScale(lat)
		at, moves := t0, 0
		for moves < 26 {
			toLon, toLat := within(r, z, 200)
			steps := 1 + int(metres(lon, lat, toLon, toLat)/900) // 54 km/h, a fix a minute
			leaves := false
			for n := range steps {
				f := float64(n) / float64(steps)
				leaves = leaves || z.Distance(along(lon, toLon, f), along(lat, toLat, f)) > -200
			}
			if leaves {
				continue // the straight way leads out of the city
			}
			moves++
			for n := range steps {
				f := float64(n) / float64(steps)
				at = at.Add(time.Minute)
				o := devices.Observation{Seq: at.Unix(), At: at, Place: &devices.Place{Method: devices.MethodGNSS, Accuracy: 3 + 20*r.Float64(),
					Lon: along(lon, toLon, f) + r.NormFloat64()*15/east, Lat: along(lat, toLat, f) + r.NormFloat64()*15/north}}
				in := Input{At: at, Now: at, Observed: &o, Binding: &w.facts.Bindings[0]}
				if es := Evaluate(&w.state, &in, &w.facts, nil); len(es) > 0 || !in.Flags.moves() {
					t.Fatalf("move %d, fix %d: flags %b, %+v", moves, n, in.Flags, es)
				}
			}
			lon, lat = toLon, toLat
		}
	}
}

// TestSteadyStateAllocatesNothing: a fix where it is supposed to be costs no memory.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	w := fiveRules(t)
	o, in := devices.Observation{Place: &devices.Place{Lat: 30.65, Accuracy: 8, Method: devices.MethodGNSS}}, Input{}
	n := 0
	fix := func() {
		n++
		o.At, o.Place.Lon = t0.Add(time.Duration(n)*time.Minute), 113.16+float64(n%7)*1e-4
		in = Input{At: o.At, Now: o.At, Observed: &o, Binding: &w.facts.Bindings[0]}
		if es := Evaluate(&w.state, &in, &w.facts, nil); len(es) > 0 {
			t.Fatalf("%+v", es)
		}
	}
	for range 10 {
		fix()
	}
	if per := testing.AllocsPerRun(100, fix); per > 0 {
		t.Errorf("%v allocations a fix", per)
	}
}

// BenchmarkEvaluate is one fix of a subject with five rules who goes about in the city.
func BenchmarkEvaluate(b *testing.B) {
	w := fiveRules(b)
	o := devices.Observation{Place: &devices.Place{Lat: 30.65, Accuracy: 8, Method: devices.MethodGNSS}}
	var out []Effect
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		o.At, o.Place.Lon = t0.Add(time.Duration(n)*time.Minute), 113.16+float64(n%70)*1e-4
		in := Input{At: o.At, Now: o.At, Observed: &o, Binding: &w.facts.Bindings[0]}
		out = Evaluate(&w.state, &in, &w.facts, out[:0])
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "fixes/s")
}

// fiveRules is a subject of a dense wristband with five rules: the city, home, two places to keep out of, silence.
func fiveRules(tb testing.TB) *world {
	w := newWorld(tb, StayIn, dense)
	circle := func(id ZoneID, lon, lat, radius float64) *Zone {
		z, err := NewCircle(id, 1, Interval{}, lon, lat, radius)
		if err != nil {
			tb.Fatal(err)
		}
		return z
	}
	w.facts.Zones = map[ZoneID][]*Zone{1: {city(tb, 1)}, 2: {circle(2, 113.16, 30.65, 8000)}, 3: {circle(3, 113.3, 30.7, 500)}, 4: {squareAt(tb, 4, 113.2, 30.6, 1000)}}
	w.facts.Rules = nil
	for i, k := range []RuleKind{StayIn, StayIn, KeepOut, KeepOut, Silence} {
		zone := ZoneID(i + 1)
		if k == Silence {
			zone = 0
		}
		w.facts.Rules = append(w.facts.Rules, Rule{ID: RuleID(i + 1), Version: 1, Subject: id.Subject(1), Kind: k, Zone: zone, Params: DefaultParams(k), Valid: Interval{From: t0.Add(-time.Hour)}})
	}
	return w
}
