package geofence

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/xml"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/twpayne/go-geom"
	"github.com/twpayne/go-geom/encoding/ewkb"
	"github.com/twpayne/go-geom/encoding/geojson"
	"github.com/twpayne/go-geom/encoding/wkt"

	"zhijiao/internal/pgtest"
)

// tolerance is how near an edge PostGIS, which computes its sides in rounded numbers, may tell another side than we, who
// compute them exactly: 0.1 µm, a hundredth of what a coordinate of a fix can say by ten thousand.
const tolerance = 1e-7 // metres

// ringsOf is a zone's outline as a geometry, to the bit.
func ringsOf(t testing.TB, z *Zone) *geom.Polygon {
	t.Helper()
	p := geom.NewPolygon(geom.XY)
	var flat []float64
	last := -1
	z.cells.outline.edges(func(i int, a, b point) {
		if i != last+1 || flat == nil {
			if flat != nil {
				p.Push(geom.NewLinearRingFlat(geom.XY, flat))
			}
			flat = []float64{a.lon, a.lat}
		}
		flat, last = append(flat, b.lon, b.lat), i
	})
	p.Push(geom.NewLinearRingFlat(geom.XY, flat))
	return p
}

// agrees asks PostGIS about points of a zone. It reports how many were compared, none where PostGIS calls the zone invalid.
func agrees(t testing.TB, ctx context.Context, tx pgx.Tx, name string, z *Zone, g geom.T, points []point) int {
	t.Helper()
	doc, err := ewkb.Marshal(g, ewkb.NDR)
	if err != nil {
		t.Fatal(err)
	}
	lons, lats := make([]float64, len(points)), make([]float64, len(points))
	for i, p := range points {
		lons[i], lats[i] = p.lon, p.lat
	}
	var valid bool
	var covers []bool
	if err := tx.QueryRow(ctx, `SELECT ST_IsValid(g), CASE WHEN ST_IsValid(g) THEN (SELECT array_agg(ST_Covers(g, ST_MakePoint(lon, lat)) ORDER BY n)
		FROM unnest($2::float8[], $3::float8[]) WITH ORDINALITY u (lon, lat, n)) END FROM ST_GeomFromEWKB($1) g`, doc, lons, lats).Scan(&valid, &covers); err != nil {
		t.Fatal(err)
	}
	for i, want := range covers {
		p := points[i]
		if got := z.Covers(p.lon, p.lat); got != want && math.Abs(z.Distance(p.lon, p.lat)) > tolerance {
			t.Errorf("%s: POINT(%.17g %.17g): ST_Covers says %v, we say %v, %v m from the edge", name, p.lon, p.lat, want, got, z.Distance(p.lon, p.lat))
		}
	}
	return len(covers)
}

// TestHostileAgreesWithPostGIS_R30: holes, slivers, needles, rings that touch, 25,000 points; points at and within 1e-9
// degrees of edges and corners.
func TestHostileAgreesWithPostGIS_R30(t *testing.T) {
	t.Parallel()
	tx, ctx := pgtest.Tx(t), t.Context()
	compared := 0
	for round := range rounds(1) {
		r := rand.New(rand.NewPCG(30, uint64(round)))
		for name, z := range hostileZones(t, r) {
			g := geom.T(ringsOf(t, z))
			if doc, ok := hostile[name]; ok {
				var err error
				if g, err = wkt.Unmarshal(doc); err != nil {
					t.Fatal(err)
				}
			}
			n := agrees(t, ctx, tx, name, z, g, hardPoints(r, z, 40))
			if compared += n; n == 0 {
				t.Logf("%s is not valid to PostGIS", name)
			}
		}
	}
	t.Logf("%d points", compared)
	if compared < 5000 {
		t.Errorf("only %d points were compared", compared)
	}
}

// TestSharedPolygonsAgreeWithPostGIS_R30: lakes with hundreds of islands, a country in a thousand pieces, counties.
func TestSharedPolygonsAgreeWithPostGIS_R30(t *testing.T) {
	t.Parallel()
	paths, _ := filepath.Glob(filepath.Join(sharedData, "polygons", "*.geojson.gz"))
	counties, _ := filepath.Glob(filepath.Join(sharedData, "boundaries", "*counties*.geojson.gz"))
	if paths = append(paths, counties...); len(paths) == 0 {
		t.Skip("the shared polygons are not on this machine")
	}
	tx, ctx, r := pgtest.Tx(t), t.Context(), rand.New(rand.NewPCG(6, 6))
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		zipped, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		var list geojson.FeatureCollection
		err = json.NewDecoder(zipped).Decode(&list)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		zones, compared := 0, 0
		every := max(1, len(list.Features)/rounds(60))
		for i, feature := range list.Features {
			mp, ok := feature.Geometry.(*geom.MultiPolygon)
			if p, single := feature.Geometry.(*geom.Polygon); single {
				mp, ok = geom.NewMultiPolygon(p.Layout()), true
				mp.Push(p)
			}
			if !ok || i%every > 0 && mp.NumCoords() < 3000 {
				continue
			}
			z, err := NewPolygon(1, 1, Interval{}, mp)
			if err != nil {
				t.Fatalf("%s, feature %d: %v", path, i, err)
			}
			zones, compared = zones+1, compared+agrees(t, ctx, tx, path, z, mp, hardPoints(r, z, 15))
		}
		t.Logf("%s: %d zones, %d points", filepath.Base(path), zones, compared)
		if compared == 0 {
			t.Errorf("%s: nothing was compared", path)
		}
	}
}

// TestJTS_R30: the relate files of JTS: which points of A lie in, on and outside of the polygon B.
func TestJTS_R30(t *testing.T) {
	t.Parallel()
	paths, _ := filepath.Glob(filepath.Join(sharedData, "polygons", "jts", "*.xml"))
	if len(paths) == 0 {
		t.Skip("the JTS files are not on this machine")
	}
	checked := 0
	for _, path := range paths {
		doc, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var run struct {
			Cases []struct {
				Desc  string `xml:"desc"`
				A     string `xml:"a"`
				B     string `xml:"b"`
				Tests []struct {
					Op struct {
						Name    string `xml:"name,attr"`
						Pattern string `xml:"arg3,attr"`
						Is      string `xml:",chardata"`
					} `xml:"op"`
				} `xml:"test"`
			} `xml:"case"`
		}
		if err := xml.Unmarshal(doc, &run); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, c := range run.Cases {
			a, errA := wkt.Unmarshal(strings.TrimSpace(c.A))
			b, errB := wkt.Unmarshal(strings.TrimSpace(c.B))
			if errA != nil || errB != nil {
				continue // lines with Z, empty ones, hexadecimal
			}
			var places []float64
			switch a := a.(type) {
			case *geom.Point:
				places = a.FlatCoords()
			case *geom.MultiPoint:
				places = a.FlatCoords()
			}
			mp, _ := b.(*geom.MultiPolygon)
			if p, ok := b.(*geom.Polygon); ok {
				mp = geom.NewMultiPolygon(p.Layout())
				mp.Push(p)
			}
			if len(places) == 0 || mp == nil || mp.NumCoords() == 0 || a.Stride() != 2 || b.Stride() != 2 {
				continue
			}
			const scale = 1.0 / 1024 // exact, and on earth
			for i := range mp.FlatCoords() {
				mp.FlatCoords()[i] *= scale
			}
			z, err := NewPolygon(1, 1, Interval{}, mp)
			if err != nil {
				continue // not valid, or beyond the earth
			}
			in, out := false, false
			for i := 0; i < len(places); i += 2 {
				if z.Covers(places[i]*scale, places[i+1]*scale) {
					in = true
				} else {
					out = true
				}
			}
			for _, test := range c.Tests {
				p := test.Op.Pattern
				if test.Op.Name != "relate" || len(p) != 9 || strings.TrimSpace(test.Op.Is) != "true" || strings.ContainsAny(p, "*") {
					continue
				}
				checked++
				if in != (p[0] != 'F' || p[1] != 'F') || out != (p[2] != 'F') {
					t.Errorf("%s, %s: in %v, out %v, the pattern is %s", filepath.Base(path), c.Desc, in, out, p)
				}
			}
		}
	}
	t.Logf("%d patterns", checked)
	if checked < 20 {
		t.Errorf("only %d patterns were checked", checked)
	}
}
