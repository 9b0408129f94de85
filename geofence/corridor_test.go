package geofence

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/twpayne/go-geom"
	"github.com/twpayne/go-geom/encoding/wkt"

	"zhijiao/internal/pgtest"
)

func corridor(t testing.TB, radius float64, flat ...float64) *Zone {
	t.Helper()
	z, err := NewCorridor(1, 1, Interval{}, geom.NewLineStringFlat(geom.XY, flat), radius)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// TestCorridorAgreesWithPostGIS_R30_R31: how far from a route is as far as geography says, within 0.5 % and a centimetre.
func TestCorridorAgreesWithPostGIS_R30_R31(t *testing.T) {
	t.Parallel()
	tx, ctx := pgtest.Tx(t), t.Context()
	r := rand.New(rand.NewPCG(4, 31))
	for n := range rounds(4) {
		flat, lon, lat := []float64{}, 113.16, 30.65
		if n%2 == 1 {
			lon = 179.99 // and over it
		}
		first := lon
		for range 60 {
			if flat = append(flat, wrapLon(lon), lat); n%2 == 1 {
				lon += 0.002 * r.Float64()
			} else {
				lon += 0.004 * (r.Float64() - 0.5)
			}
			lat += 0.004 * (r.Float64() - 0.5)
		}
		z := corridor(t, 150, flat...)
		doc, err := wkt.Marshal(geom.NewLineStringFlat(geom.XY, flat))
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			lon, lat := wrapLon(first+0.1*(r.Float64()-0.2)), 30.65+0.04*(r.Float64()-0.5)
			var d float64
			if err := tx.QueryRow(ctx, "SELECT ST_Distance(ST_GeomFromText($1, 4326)::geography, ST_MakePoint($2, $3)::geography)", doc, lon, lat).Scan(&d); err != nil {
				t.Fatal(err)
			}
			got := z.Distance(lon, lat) + 150
			if math.Abs(got-d) > 0.005*d+0.01 || z.Covers(lon, lat) != (got <= 150) {
				t.Errorf("POINT(%.7f %.7f): %.3f m from the line, geography says %.3f m; covered: %v", lon, lat, got, d, z.Covers(lon, lat))
			}
		}
	}
}

// TestCrossed180_R30: a way, a circle, a corridor and a polygon in two parts that lie over ±180° are no different from others.
func TestCrossed180_R30(t *testing.T) {
	t.Parallel()
	circle, err := NewCircle(1, 1, Interval{}, 179.999, 10, 500)
	if err != nil {
		t.Fatal(err)
	}
	g, err := wkt.Unmarshal("MULTIPOLYGON(((179 9,180 9,180 11,179 11,179 9)),((-180 9,-179 9,-179 11,-180 11,-180 9)))")
	if err != nil {
		t.Fatal(err)
	}
	split, err := NewPolygon(2, 1, Interval{}, g.(*geom.MultiPolygon))
	if err != nil {
		t.Fatal(err)
	}
	route := corridor(t, 300, 179.99, 10, -179.99, 10)
	for name, z := range map[string]*Zone{"circle": circle, "corridor": route, "split": split} {
		for _, c := range []struct {
			lon, lat float64
			covers   bool
		}{{179.999, 10, true}, {180, 10, true}, {-180, 10, true}, {-179.9985, 10, true}, {-178, 10, false}, {178, 10, false}, {179.999, 12, false}} {
			if got := z.Covers(c.lon, c.lat); got != c.covers || got != (z.Distance(c.lon, c.lat) <= 0) {
				t.Errorf("%s: POINT(%v %v): covered %v, %v m", name, c.lon, c.lat, got, z.Distance(c.lon, c.lat))
			}
		}
		if !z.Crossed(178.9, 10, -178.9, 10) || !z.Crossed(-178.9, 10, 178.9, 10) || !z.Crossed(180, 8, 180, 12) || z.Crossed(178, 8, -178, 8) || z.Crossed(-170, 10, 170, 4) {
			t.Errorf("%s: ways over ±180° are taken for others", name)
		}
	}
	if v, margin := Judge(split, 179.9999, 10, 1000); v != Inside || margin > -10_000_000 {
		t.Errorf("in the middle of two parts: %s, %d cm", v, margin)
	}
}

// TestCorridorCrossed_R32: a way through a corridor, along it and past it.
func TestCorridorCrossed_R32(t *testing.T) {
	t.Parallel()
	z := corridor(t, 100, 113.1, 30.6, 113.2, 30.6)
	for _, c := range []struct {
		lon1, lat1, lon2, lat2 float64
		crossed                bool
	}{
		{113.15, 30.5, 113.15, 30.7, true},
		{113.0, 30.6005, 113.3, 30.6005, true},
		{113.0, 30.602, 113.3, 30.602, false},
		{113.2005, 30.5, 113.2005, 30.7, true},
		{113.202, 30.5, 113.202, 30.7, false},
	} {
		if got := z.Crossed(c.lon1, c.lat1, c.lon2, c.lat2); got != c.crossed {
			t.Errorf("%+v: %v", c, got)
		}
	}
	for _, bad := range [][]float64{{113, 30}, {113, 30, 200, 30}, {113, 30, math.NaN(), 30}} {
		if _, err := NewCorridor(1, 1, Interval{}, geom.NewLineStringFlat(geom.XY, bad), 100); err == nil {
			t.Errorf("%v became a corridor", bad)
		}
	}
}
