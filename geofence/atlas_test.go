package geofence

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestAtlas_R30: the atlas finds the zones that cover a point when asked one by one: polygons, circles, zones within zones
// and on each other, points on edges, beside them and far away, and around ±180°.
func TestAtlas_R30(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(30, 4))
	var zones []*Zone
	for _, z := range hostileZones(t, r) {
		zones = append(zones, z)
	}
	for range rounds(40) {
		zones = append(zones, polygonZone(t, star(r, 3+r.IntN(40), 112+3*r.Float64(), 29+3*r.Float64(), 0.001, 0.1*r.Float64()+0.001)))
		c, err := NewCircle(1, 1, Interval{}, 112+3*r.Float64(), 29+3*r.Float64(), 20_000*r.Float64()*r.Float64()+1)
		if err != nil {
			t.Fatal(err)
		}
		zones = append(zones, c)
	}
	check := func(zones []*Zone, p point) {
		a := NewAtlas(zones)
		points := []point{p, {p.lon + 1, p.lat}, {-180, 0}, {180, 90}}
		for _, z := range zones[:min(len(zones), 60)] {
			for _, h := range hardPoints(r, anyPolygon(z, zones), 1) {
				points = append(points, h)
			}
			points = append(points, point{z.box.minLon, z.box.minLat}, point{z.box.maxLon, (z.box.minLat + z.box.maxLat) / 2})
		}
		found := 0
		for _, p := range points {
			if !onEarth(p.lon, p.lat) {
				continue
			}
			var want []*Zone
			for _, z := range zones {
				if z.Covers(p.lon, p.lat) {
					want = append(want, z)
				}
			}
			got := a.Locate(p.lon, p.lat, nil)
			if found += len(got); !slices.Equal(got, want) {
				t.Fatalf("POINT(%.17g %.17g): %d zones, one by one %d", p.lon, p.lat, len(got), len(want))
			}
		}
		var lons, lats []float64
		for _, p := range points {
			if onEarth(p.lon, p.lat) {
				lons, lats = append(lons, p.lon), append(lats, p.lat)
			}
		}
		told := 0
		a.LocateAll(lons, lats, nil, func(i int, got []*Zone) {
			if told++; told != i+1 || !slices.Equal(got, a.Locate(lons[i], lats[i], nil)) {
				t.Fatalf("point %d of many: %d zones", i, len(got))
			}
		})
		if told != len(lons) {
			t.Errorf("%d of %d points were told", told, len(lons))
		}
		if found == 0 && len(zones) > 0 {
			t.Error("no point was in any zone")
		}
	}
	check(zones, point{113.5, 30.5})
	check(zones[:1], point{113.5, 30.5})
	check(nil, point{0, 0})
	near180 := []*Zone{}
	for range 50 {
		lon := 179.5 + r.Float64()
		if lon > 180 {
			lon -= 360
		}
		c, err := NewCircle(1, 1, Interval{}, lon, r.Float64(), 100_000*r.Float64()+1)
		if err != nil {
			t.Fatal(err)
		}
		near180 = append(near180, c)
	}
	check(append(near180, polygonZone(t, star(r, 30, 0, 0.5, 0.1, 1))), point{180, 0.5})
}

// anyPolygon is the zone if it is a polygon, or else the last one that is.
func anyPolygon(z *Zone, zones []*Zone) *Zone {
	if z.cells != nil {
		return z
	}
	for _, other := range slices.Backward(zones) {
		if other.cells != nil {
			return other
		}
	}
	return z
}
