package geofence_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zhijiao/devices"
	"zhijiao/geofence"
)

func TestImportRefusesWithThePlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		doc, says string
		place     bool
	}{
		"not JSON":         {`{`, "not GeoJSON", false},
		"a line":           {`{"type":"LineString","coordinates":[[113,30],[114,31]]}`, "a zone is a polygon", false},
		"nothing in it":    {`{"type":"FeatureCollection","features":[]}`, "there is none", false},
		"does not close":   {ring(`[113,30],[113.1,30],[113.2,30.1],[114,31]`), "does not close", true},
		"two points":       {ring(`[113,30],[114,30],[113,30]`), "three different points", true},
		"swapped":          {ring(`[30,113],[30,114],[31,114],[30,113]`), "point 0: latitude before longitude", true},
		"metres":           {ring(`[500000,3400000],[500100,3400000],[500100,3400100],[500000,3400000]`), "out of range", true},
		"no such geometry": {`{"type":"Feature","properties":{},"geometry":null}`, "a zone is a polygon", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := geofence.ImportGeoJSON(strings.NewReader(c.doc), devices.WGS84)
			var r *geofence.Refused
			if !errors.As(err, &r) || !strings.Contains(err.Error(), c.says) || (r.Place != nil) != c.place {
				t.Errorf("got %v, want a refusal that says %q, with its place: %v", err, c.says, c.place)
			}
		})
	}
	var r *geofence.Refused
	if _, err := geofence.ImportGeoJSON(strings.NewReader(ring(`[113,30],[114,30],[114,31],[113,30]`)), 0); !errors.As(err, &r) || r.Reason != geofence.UndeclaredDatum {
		t.Errorf("without a datum: %v", err)
	}
}

func TestImportConvertsAndTidies_R44(t *testing.T) {
	t.Parallel()
	const doc = `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"name":"天门"},"geometry":
		{"type":"Polygon","coordinates":[[[113.1,30.6,9],[113.1,30.6,9],[113.2,30.6,9],[113.2,30.7,9],[113.1,30.6,9]]]}}]}`
	zones, err := geofence.ImportGeoJSON(strings.NewReader(doc), devices.GCJ02)
	if err != nil || len(zones) != 1 || zones[0].Name != "天门" {
		t.Fatalf("%+v, %v", zones, err)
	}
	ring := zones[0].Geometry.Polygon(0).LinearRing(0).Coords()
	if len(ring) != 4 || len(ring[0]) != 2 {
		t.Fatalf("%d points of %d dimensions", len(ring), len(ring[0]))
	}
	lon, lat := devices.FromWGS84(devices.GCJ02, ring[0][0], ring[0][1])
	if math.Abs(lon-113.1) > 1e-6 || math.Abs(lat-30.6) > 1e-6 || math.Abs(ring[0][0]-113.1) < 0.003 {
		t.Errorf("converted to %v", ring[0])
	}
}

// TestVendorOutline: the city outline as a map vendor serves it is invalid by OGC rules; as far as rings go it can be read.
func TestVendorOutline(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "shared", "data", "boundaries")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the shared boundaries are not on this machine")
	}
	for name, datum := range map[string]devices.Datum{"tianmen_gcj02.geojson": devices.GCJ02, "tianmen_wgs84_valid.geojson": devices.WGS84} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		zones, err := geofence.ImportGeoJSON(f, datum)
		if err != nil || len(zones) != 1 {
			t.Errorf("%s: %d zones, %v", name, len(zones), err)
		}
	}
}
