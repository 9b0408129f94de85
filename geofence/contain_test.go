package geofence

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/twpayne/go-geom"
	"github.com/twpayne/go-geom/encoding/wkt"

	"zhijiao/devices"
	"zhijiao/internal/pgtest"
)

// hostile are polygons that go wrong elsewhere: holes, touching parts, slivers, needles, edges along a latitude.
var hostile = map[string]string{
	"hole":          "MULTIPOLYGON(((113 30,114 30,114 31,113 31,113 30),(113.4 30.4,113.6 30.4,113.6 30.6,113.4 30.6,113.4 30.4)))",
	"two parts":     "MULTIPOLYGON(((113 30,113.5 30,113.5 31,113 31,113 30)),((113.6 30,114 30.2,113.9 31,113.6 30)))",
	"touching":      "MULTIPOLYGON(((113 30,113.5 30,113.5 30.5,113 30.5,113 30)),((113.5 30.5,114 30.5,114 31,113.5 31,113.5 30.5)))",
	"sliver":        "MULTIPOLYGON(((113 30,114 30.0000001,114 30.0000002,113 30)))",
	"needle":        "MULTIPOLYGON(((113 30,114 30,113.5 30.0001,113.5 31,113.4999999 30.0001,113 30)))",
	"staircase":     "MULTIPOLYGON(((113 30,113.2 30,113.2 30.2,113.4 30.2,113.4 30.4,113.6 30.4,113.6 31,113 31,113 30)))",
	"hole on edge":  "MULTIPOLYGON(((113 30,114 30,114 31,113 31,113 30),(113 30.5,113.3 30.4,113.3 30.6,113 30.5)))",
	"counter-clock": "MULTIPOLYGON(((113 30,113 31,114 31,114 30,113 30)))",
}

// randomPolygon is a star-shaped ring, which is always valid.
func randomPolygon(r *rand.Rand, n int) string {
	s, first := "MULTIPOLYGON(((", ""
	for i := range n {
		a, d := 2*math.Pi*float64(i)/float64(n), 0.05+0.4*r.Float64()
		p := fmt.Sprintf("%.7f %.7f", 113.5+d*math.Cos(a), 30.5+d*math.Sin(a))
		if i == 0 {
			first = p
		}
		s += p + ","
	}
	return s + first + ")))"
}

// TestAgreesWithPostGIS_R30_R31: PostGIS is the authority. Containment agrees with ST_Covers everywhere, on vertices and
// beside edges too; distance with geography within 0.5 %.
func TestAgreesWithPostGIS_R30_R31(t *testing.T) {
	t.Parallel()
	tx, ctx := pgtest.Tx(t), t.Context()
	r := rand.New(rand.NewPCG(3, 1))
	cases := map[string]string{}
	for name, doc := range hostile {
		cases[name] = doc
	}
	for i := range 12 {
		cases[fmt.Sprint("random ", i)] = randomPolygon(r, 3+r.IntN(60))
	}
	for name, doc := range cases {
		g, err := wkt.Unmarshal(doc)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		z, err := NewPolygon(1, 1, Interval{}, g.(*geom.MultiPolygon))
		if err != nil {
			t.Fatal(err)
		}
		var lons, lats []float64
		for range 300 {
			lons, lats = append(lons, 112.9+1.2*r.Float64()), append(lats, 29.9+1.2*r.Float64())
		}
		for _, e := range newReference(z).edges {
			for range 4 {
				f, j := r.Float64(), (r.Float64()-0.5)*2e-9
				lons, lats = append(lons, e.lon1+f*(e.lon2-e.lon1)+j), append(lats, e.lat1+f*(e.lat2-e.lat1))
			}
			lons, lats = append(lons, e.lon1, (e.lon1+e.lon2)/2), append(lats, e.lat1, (e.lat1+e.lat2)/2)
			lons, lats = append(lons, 113.5), append(lats, e.lat1) // at the latitude of a vertex
		}
		rows, err := tx.Query(ctx, `SELECT ST_Covers(z, p), ST_Distance(ST_Boundary(z)::geography, p::geography)
			FROM (SELECT ST_GeomFromText($1, 4326) z) g, unnest($2::float8[], $3::float8[]) WITH ORDINALITY u (lon, lat, n),
			LATERAL (SELECT ST_SetSRID(ST_MakePoint(lon, lat), 4326) p) q ORDER BY n`, doc, lons, lats)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; rows.Next(); i++ {
			var covers bool
			var d float64
			if err := rows.Scan(&covers, &d); err != nil {
				t.Fatal(err)
			}
			if got := z.Covers(lons[i], lats[i]); got != covers {
				t.Errorf("%s: POINT(%.17g %.17g): ST_Covers says %v, we say %v", name, lons[i], lats[i], covers, got)
			}
			// Edges of these polygons are up to 100 km; geography draws them as geodesics, which bulge from the straight
			// lines ST_Covers and we mean by up to L²·tan(lat)/8R.
			const bulge = 100_000 * 100_000 * 0.6 / (8 * 6.37e6)
			if got := math.Abs(z.Distance(lons[i], lats[i])); math.Abs(got-d) > 0.005*d+bulge {
				t.Errorf("%s: POINT(%.9g %.9g): %.2f m, geography says %.2f m", name, lons[i], lats[i], got, d)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDistanceOfSmallZones_R31: where edges are short the error is below 0.5 % and a centimetre.
func TestDistanceOfSmallZones_R31(t *testing.T) {
	t.Parallel()
	tx, ctx := pgtest.Tx(t), t.Context()
	z := square(t, 1, 400)
	c, err := NewCircle(2, 1, Interval{}, 113.16, 30.65, 200)
	if err != nil {
		t.Fatal(err)
	}
	ring := geom.NewLineString(geom.XY)
	var coords []geom.Coord
	for _, e := range newReference(z).edges {
		coords = append(coords, geom.Coord{e.lon1, e.lat1})
	}
	doc, err := wkt.Marshal(ring.MustSetCoords(append(coords, coords[0])))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(9, 9))
	for range 300 {
		lon, lat := 113.16+(r.Float64()-0.5)*0.4, 30.65+(r.Float64()-0.5)*0.4
		var edge, centre float64
		if err := tx.QueryRow(ctx, `SELECT ST_Distance(ST_GeomFromText($1, 4326)::geography, ST_MakePoint($2, $3)::geography),
			ST_Distance(ST_MakePoint(113.16, 30.65)::geography, ST_MakePoint($2, $3)::geography)`, doc, lon, lat).Scan(&edge, &centre); err != nil {
			t.Fatal(err)
		}
		if got := math.Abs(z.Distance(lon, lat)); math.Abs(got-edge) > 0.005*edge+0.01 {
			t.Errorf("POINT(%.7f %.7f): %.3f m from the square, geography says %.3f m", lon, lat, got, edge)
		}
		if got := c.Distance(lon, lat) + 200; math.Abs(got-centre) > 0.005*centre+0.01 {
			t.Errorf("POINT(%.7f %.7f): %.3f m from the centre, geography says %.3f m", lon, lat, got, centre)
		}
	}
}

// TestDistanceFromFarAway_R31: who is in Ürümqi or Harbin is as many kilometres away as PostGIS says, within 0.5 %.
func TestDistanceFromFarAway_R31(t *testing.T) {
	t.Parallel()
	tx, ctx := pgtest.Tx(t), t.Context()
	doc, err := os.ReadFile(filepath.Join("..", "cmd", "zhijiao", "demo", "tianmen_demo.geojson"))
	if err != nil {
		t.Fatal(err)
	}
	zones, err := ImportGeoJSON(bytes.NewReader(doc), devices.WGS84)
	if err != nil {
		t.Fatal(err)
	}
	z, err := NewPolygon(1, 1, Interval{}, zones[0].Geometry)
	if err != nil {
		t.Fatal(err)
	}
	text, err := wkt.Marshal(zones[0].Geometry)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 5))
	lons, lats := []float64{87.6, 126.6, 109.5, 121.5, 91.1, 116.4, 122.3}, []float64{43.8, 45.8, 18.25, 31.2, 29.65, 39.9, 53.5}
	for range 300 {
		lons, lats = append(lons, 74+60*r.Float64()), append(lats, 18+35*r.Float64())
		lons, lats = append(lons, 112.3+1.6*r.Float64()), append(lats, 30+1.2*r.Float64())
	}
	rows, err := tx.Query(ctx, `SELECT ST_Covers(z, p), ST_Distance(b, p::geography) FROM (SELECT ST_GeomFromText($1, 4326) z) g,
		LATERAL (SELECT ST_Boundary(z)::geography b) k, unnest($2::float8[], $3::float8[]) WITH ORDINALITY u (lon, lat, n),
		LATERAL (SELECT ST_SetSRID(ST_MakePoint(lon, lat), 4326) p) q ORDER BY n`, text, lons, lats)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; rows.Next(); i++ {
		var covers bool
		var d float64
		if err := rows.Scan(&covers, &d); err != nil {
			t.Fatal(err)
		}
		got := z.Distance(lons[i], lats[i])
		if math.Abs(math.Abs(got)-d) > 0.005*d+0.5 || covers != (got <= 0) || covers != z.Covers(lons[i], lats[i]) {
			t.Errorf("POINT(%.7f %.7f): %.1f m, PostGIS says %.1f m, covered: %v", lons[i], lats[i], got, d, covers)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
