package geofence

import (
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/twpayne/go-geom"

	"zhijiao/devices"
)

// sharedData is where data that others made lie; they are no part of the project.
var sharedData = filepath.Join("..", "..", "shared", "data")

// counties are real county-size polygons: those of one province, or drawn ones where that is not on this machine.
func counties(t testing.TB) (list []*geom.MultiPolygon, real bool) {
	t.Helper()
	f, err := os.Open(filepath.Join(sharedData, "boundaries", "hubei_counties_wgs84.geojson.gz"))
	if err != nil {
		r := rand.New(rand.NewPCG(103, 1))
		for i := range 103 {
			flat := []float64{}
			for _, c := range star(r, 619, 108.7+0.7*float64(i%11), 29.4+0.4*float64(i/11), 0.3, 0.32) {
				flat = append(flat, c[0], c[1])
			}
			list = append(list, geom.NewMultiPolygonFlat(geom.XY, flat, [][]int{{len(flat)}}))
		}
		return list, false
	}
	defer f.Close()
	doc, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	zones, err := ImportGeoJSON(doc, devices.WGS84)
	if err != nil {
		t.Fatal(err)
	}
	for _, z := range zones {
		list = append(list, z.Geometry)
	}
	return list, true
}

// tiled lays copies of polygons side by side, 8 in a row, 8° by 4.5° apart, the first at 80° E 18° N or so.
func tiled(list []*geom.MultiPolygon, copies int) (out []*geom.MultiPolygon, points int) {
	for n := range copies {
		for _, mp := range list {
			c := mp.Clone()
			flat := c.FlatCoords()
			for i := 0; i < len(flat); i += c.Stride() {
				flat[i], flat[i+1] = flat[i]-28+8*float64(n%8), flat[i+1]-11+4.5*float64(n/8)
			}
			out, points = append(out, c), points+len(flat)/c.Stride()
		}
	}
	return out, points
}

// heap is what is in use, bytes.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// traces are places along recorded or drawn ways, laid over the tiles.
func traces(t testing.TB, r *rand.Rand, n int) (list []point, real bool) {
	paths, _ := filepath.Glob(filepath.Join(sharedData, "traces", "geolife_tianmen", "u*.csv.gz"))
	for _, path := range paths {
		for _, row := range readGzip(t, path)[1:] {
			var p point
			if _, err := fmt.Sscan(row[2]+" "+row[3], &p.lat, &p.lon); err != nil {
				t.Fatal(err)
			}
			list = append(list, p)
		}
	}
	real = len(list) > 0
	for p := (point{113.2, 30.6}); len(list) < n; {
		p.lon, p.lat = p.lon+(r.Float64()-0.5)*4e-4, p.lat+(r.Float64()-0.5)*4e-4
		list = append(list, p)
	}
	return list[:n], real
}

// best is the rate of the fastest of some rounds: another process makes one slower, never faster.
func best(rounds, n int, f func()) float64 {
	least := time.Duration(1 << 62)
	for range rounds {
		start := time.Now()
		f()
		least = min(least, time.Since(start))
	}
	return float64(n) / least.Seconds()
}

func needBench(t *testing.T) {
	if os.Getenv("ZHIJIAO_TEST_BENCH") == "" {
		t.Skip("a measurement: make bench")
	}
	runtime.GOMAXPROCS(1) // figures are for one core
	t.Cleanup(func() { runtime.GOMAXPROCS(runtime.NumCPU()) })
}

const benchPoints = 1 << 20

// TestBenchZones_R30_R31 measures, on one core, how fast points are located among thousands of county-size polygons, and
// verdicts reached. It shows figures and fails on wrong answers only.
func TestBenchZones_R30_R31(t *testing.T) {
	needBench(t)
	list, real := counties(t)
	polygons, points := tiled(list, 32)
	list = nil
	before, start := heap(), time.Now()
	zones := make([]*Zone, len(polygons))
	for i, mp := range polygons {
		var err error
		if zones[i], err = NewPolygon(ZoneID(i+1), 1, Interval{}, mp); err != nil {
			t.Fatal(err)
		}
	}
	prepared := time.Since(start)
	own := heap() - before
	start = time.Now()
	a := NewAtlas(zones)
	laid := time.Since(start)
	t.Logf("%d polygons (real: %v), %d points: zones prepared in %.2f s, %.0f MB; atlas laid in %.2f s, %.0f MB in all (%d plots, %d entries)",
		len(zones), real, points, prepared.Seconds(), float64(own)/1e6, laid.Seconds(), float64(heap()-before)/1e6, len(a.nodes), len(a.entries))

	r := rand.New(rand.NewPCG(8, 8))
	uniform := make([]point, benchPoints)
	for i := range uniform {
		uniform[i] = point{a.minLon + r.Float64()*(a.maxLon-a.minLon), a.minLat + r.Float64()*(a.maxLat-a.minLat)}
	}
	along, realTraces := traces(t, r, 150_000)
	for i := range along { // person by person, over one tile
		along[i].lon, along[i].lat = along[i].lon-28+8*3, along[i].lat-11+4.5*2
	}
	var to []*Zone
	within := make([]point, 0, benchPoints) // none of them where there is no zone
	for len(within) < benchPoints {
		p := point{a.minLon + r.Float64()*(a.maxLon-a.minLon), a.minLat + r.Float64()*(a.maxLat-a.minLat)}
		if to = a.Locate(p.lon, p.lat, to[:0]); len(to) > 0 {
			within = append(within, p)
		}
	}
	for _, c := range []struct {
		name   string
		points []point
	}{{"uniform over the box", uniform}, {"uniform over the polygons", within}, {fmt.Sprintf("along traces (real: %v)", realTraces), along}} {
		found := 0
		rate := best(5, len(c.points), func() {
			found = 0
			for _, p := range c.points {
				to = a.Locate(p.lon, p.lat, to[:0])
				found += len(to)
			}
		})
		t.Logf("located, %s: %.2f M points/s (%.3f zones each)", c.name, rate/1e6, float64(found)/float64(len(c.points)))
		if allocs := testing.AllocsPerRun(10, func() {
			for _, p := range c.points[:1000] {
				to = a.Locate(p.lon, p.lat, to[:0])
			}
		}); allocs > 0 {
			t.Errorf("%.1f allocations", allocs)
		}
	}
	benchVerdicts(t, r, zones, a, along)
}

// benchVerdicts measures verdicts about one zone: points all over its box, and along traces through it.
func benchVerdicts(t *testing.T, r *rand.Rand, zones []*Zone, a *Atlas, along []point) {
	home := a.Locate(along[0].lon, along[0].lat, nil)
	if len(home) == 0 {
		t.Fatal("the traces lie in no polygon")
	}
	z := home[0]
	list := make([]point, benchPoints)
	for i := range list {
		list[i] = point{z.box.minLon + r.Float64()*(z.box.maxLon-z.box.minLon), z.box.minLat + r.Float64()*(z.box.maxLat-z.box.minLat)}
	}
	of := make([]*Zone, benchPoints) // any of all the zones, in no order
	any := make([]point, benchPoints)
	for i := range of {
		of[i] = zones[r.IntN(len(zones))]
		b := &of[i].box
		any[i] = point{b.minLon + r.Float64()*(b.maxLon-b.minLon), b.minLat + r.Float64()*(b.maxLat-b.minLat)}
	}
	for _, accuracy := range []int64{1000, 5000, 50_000} {
		for _, c := range []struct {
			name   string
			zone   func(i int) *Zone
			points []point
		}{
			{"one zone, uniform", func(int) *Zone { return z }, list},
			{"one zone, along traces", func(int) *Zone { return z }, along},
			{"any zone, uniform", func(i int) *Zone { return of[i] }, any},
		} {
			counts := map[Verdict]int{}
			rate := best(3, len(c.points), func() {
				var in, undecidable int
				for i, p := range c.points {
					switch c.zone(i).verdict(p.lon, p.lat, accuracy) {
					case Inside:
						in++
					case Undecidable:
						undecidable++
					}
				}
				counts[Inside], counts[Undecidable] = in, undecidable
			})
			full := best(1, len(c.points)/8, func() {
				for i, p := range c.points[:len(c.points)/8] {
					Judge(c.zone(i), p.lon, p.lat, accuracy)
				}
			})
			n := float64(len(c.points)) / 100
			t.Logf("verdicts ± %d m, %s (%d vertices): %.2f M/s (%.1f %% inside, %.2f %% undecidable); with the margin of each: %.2f M/s",
				accuracy/100, c.name, len(c.zone(0).cells.at), rate/1e6, float64(counts[Inside])/n, float64(counts[Undecidable])/n, full/1e6)
		}
	}
}
