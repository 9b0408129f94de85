package geofence_test

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twpayne/go-geom"

	"zhijiao/devices"
	"zhijiao/geofence"
)

// bent is an outline with bays and headlands around a place: about 20 km across.
func bent(lon, lat float64) (out [][2]float64) {
	for k := range 240 {
		a := float64(k) / 240 * 2 * math.Pi
		r := 0.1 + 0.012*math.Sin(7*a) + 0.006*math.Sin(23*a+1)
		out = append(out, [2]float64{lon + r*math.Cos(a), lat + r*math.Sin(a)})
	}
	return append(out, out[0])
}

// drawnIn is a polygon as a file in some datum has it.
func drawnIn(t *testing.T, d devices.Datum, ring [][2]float64) string {
	t.Helper()
	var out [][2]float64
	for _, c := range ring {
		lon, lat := devices.FromWGS84(d, c[0], c[1])
		out = append(out, [2]float64{lon, lat})
	}
	doc, err := json.Marshal(map[string]any{"type": "Polygon", "coordinates": [][][2]float64{out}})
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

func (p *place) official(g geom.T) {
	p.Helper()
	_, _, err := p.store.PutZone(p.Context(), 0, 0, geofence.ZoneSpec{Org: p.office, Purpose: geofence.Activity, Name: "天门市界", Shape: geofence.Polygonal,
		Geometry: g, Datum: "CGCS2000", Official: true})
	p.ok(err)
}

func polygon(ring [][2]float64) *geom.Polygon {
	coords := make([]geom.Coord, len(ring))
	for i, c := range ring {
		coords[i] = geom.Coord{c[0], c[1]}
	}
	return geom.NewPolygon(geom.XY).MustSetCoords([][]geom.Coord{coords})
}

// TestWrongDatumIsAskedAbout_R44 imports the official outline, and a neighbour that shares a sixth of its border, in one datum and
// declares another: it must be doubted exactly where the two differ.
func TestWrongDatumIsAskedAbout_R44(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	known := bent(112.5, 31.5) // away from the zone of the place
	p.official(polygon(known))
	neighbour := append(append([][2]float64{}, known[:80]...), [2]float64{112.4, 31.75}, [2]float64{112.75, 31.75}, [2]float64{112.75, 31.5}, known[0])
	outlines := map[string][][2]float64{"the same": known, "a neighbour": neighbour}
	all := []devices.Datum{devices.WGS84, devices.CGCS2000, devices.GCJ02, devices.BD09}
	for name, outline := range outlines {
		for _, is := range all {
			for _, declared := range all {
				zones, err := geofence.ImportGeoJSON(strings.NewReader(drawnIn(t, is, outline)), declared)
				p.ok(err)
				err = p.store.DoubtDatum(t.Context(), p.office, 0, zones)
				same := is == declared || is <= devices.CGCS2000 && declared <= devices.CGCS2000
				if same {
					if err != nil {
						t.Errorf("%s in %s, declared so: %v", name, is, err)
					}
					continue
				}
				want := is
				if is == devices.CGCS2000 {
					want = devices.WGS84
				}
				if r := refused(t, err, geofence.DoubtfulDatum); !strings.Contains(r.Detail, "looks like "+want.String()) || !strings.Contains(r.Detail, "天门市界") {
					t.Errorf("%s in %s, declared %s: %v", name, is, declared, err)
				}
			}
		}
	}
}

// TestDatumIsNotDoubtedWithoutGround_R44: no reference, one that is not official, one far away, or straight borders that happen to lie
// as far apart as datums do say nothing.
func TestDatumIsNotDoubtedWithoutGround_R44(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	doubt := func(doc string) error {
		zones, err := geofence.ImportGeoJSON(strings.NewReader(doc), devices.WGS84)
		p.ok(err)
		return p.store.DoubtDatum(t.Context(), p.office, 0, zones)
	}
	shifted := drawnIn(t, devices.GCJ02, bent(112.5, 31.5))
	p.ok(doubt(shifted)) // nothing is known
	_, _, err := p.store.PutZone(t.Context(), 0, 0, geofence.ZoneSpec{Org: p.office, Purpose: geofence.Activity, Name: "手绘", Shape: geofence.Polygonal,
		Geometry: polygon(bent(112.5, 31.5)), Datum: "WGS-84"})
	p.ok(err)
	p.ok(doubt(shifted)) // known to nobody official
	p.official(polygon(bent(112.0, 31.5)))
	p.ok(doubt(shifted)) // far away
	// A long straight border, and a block whose side is parallel to it where GCJ-02 would put it.
	p.official(polygon([][2]float64{{110, 29}, {110.4, 29}, {110.4, 29.1}, {110, 29.1}, {110, 29}}))
	_, lat := devices.FromWGS84(devices.GCJ02, 110.2, 29.1)
	p.ok(doubt(ring("[110.1," + num(lat) + "],[110.3," + num(lat) + "],[110.3,29.12],[110.1,29.12],[110.1," + num(lat) + "]")))
	p.official(polygon(bent(112.5, 31.5)))
	refused(t, doubt(shifted), geofence.DoubtfulDatum)
}

func num(v float64) string {
	doc, _ := json.Marshal(v)
	return string(doc)
}

// TestCountiesAgainstTheCity_R44 imports the vendor's outline and the neighbouring counties against the official city, rightly and
// wrongly declared.
func TestCountiesAgainstTheCity_R44(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "shared", "data", "boundaries")
	official, err := os.ReadFile(filepath.Join(dir, "tianmen_wgs84_valid.geojson"))
	if err != nil {
		t.Skip("the shared boundaries are not on this machine")
	}
	p := newPlace(t)
	city, err := geofence.ImportGeoJSON(strings.NewReader(string(official)), devices.WGS84)
	p.ok(err)
	p.official(city[0].Geometry)
	vendor, err := os.ReadFile(filepath.Join(dir, "tianmen_gcj02.geojson"))
	p.ok(err)
	for declared, wrong := range map[devices.Datum]bool{devices.GCJ02: false, devices.WGS84: true, devices.CGCS2000: true, devices.BD09: true} {
		zones, err := imported(t, p, string(vendor), declared)
		p.ok(err)
		err = p.store.DoubtDatum(t.Context(), p.office, 0, zones)
		if !wrong {
			p.ok(err)
			continue
		}
		if r := refused(t, err, geofence.DoubtfulDatum); !strings.Contains(r.Detail, "looks like GCJ-02") {
			t.Errorf("declared %s: %v", declared, err)
		}
	}
	f, err := os.Open(filepath.Join(dir, "hubei_counties_wgs84.geojson.gz"))
	p.ok(err)
	defer f.Close()
	doc, err := gzip.NewReader(f)
	p.ok(err)
	counties, err := geofence.ImportGeoJSON(doc, devices.WGS84)
	p.ok(err)
	p.ok(p.store.DoubtDatum(t.Context(), p.office, 0, counties))
	for i := range counties { // what is WGS-84 taken for GCJ-02
		z := &counties[i]
		var flat []float64
		for k, v := range z.Geometry.FlatCoords() {
			if flat = append(flat, v); k%2 == 1 {
				flat[k-1], flat[k] = devices.ToWGS84(devices.GCJ02, flat[k-1], flat[k])
			}
		}
		z.Geometry, z.Datum = geom.NewMultiPolygonFlat(geom.XY, flat, z.Geometry.Endss()), devices.GCJ02
	}
	err = p.store.DoubtDatum(t.Context(), p.office, 0, counties)
	refused(t, err, geofence.DoubtfulDatum)
	doubted := len(strings.Split(err.Error(), "\n"))
	if doubted < 4 {
		t.Errorf("%d counties doubted: %v", doubted, err)
	}
	t.Logf("of %d counties shifted against the official city %d are doubted:\n%v", len(counties), doubted, err)
}
