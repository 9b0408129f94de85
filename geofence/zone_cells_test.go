package geofence

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/twpayne/go-geom"
	"github.com/twpayne/go-geom/encoding/wkt"
)

// long reports whether the long runs are asked for (make check-long).
func long() bool { return os.Getenv("ZHIJIAO_TEST_LONG") != "" }

// rounds is how often something random is tried: 40 times as often in a long run.
func rounds(n int) int {
	if long() {
		return 40 * n
	}
	return n
}

// polygonZone prepares polygons.
func polygonZone(t testing.TB, rings ...[][]float64) *Zone {
	t.Helper()
	mp := geom.NewMultiPolygon(geom.XY)
	p := geom.NewPolygon(geom.XY)
	for _, ring := range rings {
		flat := []float64{}
		for _, c := range ring {
			flat = append(flat, c[0], c[1])
		}
		if err := p.Push(geom.NewLinearRingFlat(geom.XY, flat)); err != nil {
			t.Fatal(err)
		}
	}
	if err := mp.Push(p); err != nil {
		t.Fatal(err)
	}
	z, err := NewPolygon(1, 1, Interval{}, mp)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// star is a ring around a centre whose points lie at random distances between two.
func star(r *rand.Rand, n int, lon, lat, least, most float64) (ring [][]float64) {
	for i := range n {
		s, c := math.Sincos(2 * math.Pi * float64(i) / float64(n))
		d := least + (most-least)*r.Float64()
		ring = append(ring, []float64{lon + d*c, lat + d*s})
	}
	return append(ring, ring[0])
}

// comb is n needles side by side, each width degrees wide and as far from the next.
func comb(n int, width, length float64) (ring [][]float64) {
	for i := range n {
		x := 113 + 2*float64(i)*width
		ring = append(ring, []float64{x, 30}, []float64{x, 30 + length}, []float64{x + width, 30 + length}, []float64{x + width, 30})
	}
	return append(ring, []float64{113 + 2*float64(n)*width, 29.9}, []float64{113, 29.9}, []float64{113, 30})
}

// hostileZones are zones that go wrong elsewhere, and large ones.
func hostileZones(t testing.TB, r *rand.Rand) map[string]*Zone {
	zones := map[string]*Zone{}
	for name, doc := range hostile {
		g, err := wkt.Unmarshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if zones[name], err = NewPolygon(1, 1, Interval{}, g.(*geom.MultiPolygon)); err != nil {
			t.Fatal(err)
		}
	}
	lattice := func(n int, step float64) (ring [][]float64) { // every point on a corner of a grid
		for i := range n {
			x, y := 113+float64(i)*step, 30.+float64(i%2)*step
			ring = append(ring, []float64{x, y}, []float64{x + step, y})
		}
		return append(ring, []float64{113 + float64(n)*step, 29}, []float64{113, 29}, ring[0])
	}
	zones["star of needles"] = polygonZone(t, star(r, 401, 113.5, 30.5, 1e-7, 0.4))
	zones["25,000 points"] = polygonZone(t, star(r, 25_000, 113.5, 30.5, 0.38, 0.4))
	zones["fan"] = polygonZone(t, star(r, 2000, 113.5, 30.5, 0.001, 0.4))
	zones["comb"] = polygonZone(t, comb(300, 1e-6, 0.5))
	zones["lattice"] = polygonZone(t, lattice(64, 1.0/64))
	zones["square"] = polygonZone(t, [][]float64{{113, 30}, {114, 30}, {114, 31}, {113, 31}, {113, 30}})
	zones["speck"] = polygonZone(t, star(r, 50, 113.5, 30.5, 1e-9, 2e-9))
	zones["on each other"] = polygonZone(t, [][]float64{{113, 30}, {113, 30}, {114, 30}, {114, 30}, {114, 30}, {113.5, 31}, {113.5, 31}, {113, 30}})
	for i := range rounds(10) / 4 {
		zones[fmt.Sprint("random ", i)] = polygonZone(t, star(r, 3+r.IntN(400), 113+r.Float64(), 30+r.Float64(), 0.01*r.Float64(), 0.5))
	}
	return zones
}

// hardPoints are points all over a zone, and on and beside its edges, its points, and the sides of its cells.
func hardPoints(r *rand.Rand, z *Zone, n int) (list []point) {
	x := z.cells
	w, h := x.maxLon-x.minLon, x.maxLat-x.minLat
	step := func(v float64) float64 { // to the next number up or down, or within 1e-9
		switch r.IntN(4) {
		case 0:
			return math.Nextafter(v, 1000)
		case 1:
			return math.Nextafter(v, -1000)
		case 2:
			return v + (r.Float64()-0.5)*2e-9
		}
		return v
	}
	for range n {
		list = append(list, point{x.minLon + (1.2*r.Float64()-0.1)*w, x.minLat + (1.2*r.Float64()-0.1)*h})
		c := x.chunks[r.IntN(len(x.chunks))]
		i := int(c.from) + r.IntN(int(c.to-c.from))
		a, b, f := x.at[i], x.at[i+1], r.Float64()
		list = append(list, a, point{step(a.lon), step(a.lat)}, point{(a.lon + b.lon) / 2, (a.lat + b.lat) / 2},
			point{step(a.lon + f*(b.lon-a.lon)), step(a.lat + f*(b.lat-a.lat))},
			point{x.minLon + r.Float64()*w, step(a.lat)}, point{step(a.lon), x.minLat + r.Float64()*h})
		u, v := float64(r.IntN(4*x.cols+1))/4, float64(r.IntN(4*x.rows+1))/4
		list = append(list, point{step(x.minLon + u*x.width), x.minLat + r.Float64()*h}, point{x.minLon + r.Float64()*w, step(x.minLat + v*x.height)},
			point{step(x.minLon + u*x.width), step(x.minLat + v*x.height)})
	}
	return list
}

// TestCells_R30_R31: cells and boxes answer as plain loops over all edges do: covered or not exactly, distances to a
// nanometre; and a verdict without a margin is that with one.
func TestCells_R30_R31(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(30, 31))
	for name, z := range hostileZones(t, r) {
		plain := newReference(z)
		n := rounds(max(4, min(150, 50_000/len(plain.edges))))
		for i, p := range hardPoints(r, z, n) {
			want := plain.covers(p.lon, p.lat)
			if got := z.Covers(p.lon, p.lat); got != want {
				t.Errorf("%s: POINT(%.17g %.17g): covered %v, by plain loops %v", name, p.lon, p.lat, got, want)
			}
			if i%4 > 0 {
				continue
			}
			d := plain.distance(z, p.lon, p.lat)
			if want && d > 0 {
				d = -d
			}
			if got := z.Distance(p.lon, p.lat); math.Abs(got-d) > 1e-9+1e-12*math.Abs(d) {
				t.Errorf("%s: POINT(%.17g %.17g): %v m, by plain loops %v m", name, p.lon, p.lat, got, d)
			}
			for _, accuracy := range []int64{0, 1, 1000, 50_000, r.Int64N(1_000_000), max(0, centimetres(math.Abs(d))+r.Int64N(3)-1)} {
				want, margin := Judge(z, p.lon, p.lat, accuracy)
				if got := z.verdict(p.lon, p.lat, accuracy); got != want {
					t.Errorf("%s: POINT(%.17g %.17g) ± %d cm: %s, with a margin of %d cm %s", name, p.lon, p.lat, accuracy, got, margin, want)
				}
			}
		}
	}
}

// TestCellsAreSmall_R30: what hostile edges cost is bounded by how many there are.
func TestCellsAreSmall_R30(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for name, z := range hostileZones(t, r) {
		x := z.cells
		bytes := 16*len(x.at) + 40*len(x.chunks) + 8*len(x.nodes) + 8*len(x.runs)
		if most := 400*len(x.at) + 64_000; bytes > most {
			t.Errorf("%s: %d points took %d bytes, more than %d (%d nodes, %d runs)", name, len(x.at), bytes, most, len(x.nodes), len(x.runs))
		}
	}
}
