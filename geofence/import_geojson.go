package geofence

import (
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/twpayne/go-geom"
	"github.com/twpayne/go-geom/encoding/geojson"

	"zhijiao/devices"
)

// maxImport is how large an imported file may be.
const maxImport = 64 << 20

// Imported is a zone as a file draws it, in WGS-84.
type Imported struct {
	Name     string // of the feature, or ""
	Geometry *geom.MultiPolygon
	Field    string        // of the feature in the file: features[0].geometry
	Datum    devices.Datum // as it was declared
	Report   RepairReport  // what was wrong with the outline and what was done about it
}

// ImportGeoJSON reads polygons from GeoJSON whose coordinates are in a declared datum: nothing is guessed, since a wrong
// guess moves people by half a kilometre. A file with anything in it that cannot be a zone is refused whole, with the place of
// the fault. Rings are mended where that leaves no doubt, and the report says so; what is crossed is mended by Store.Mend,
// and whether the polygons are valid by OGC rules PostGIS is asked when they are put.
func ImportGeoJSON(r io.Reader, datum devices.Datum) ([]Imported, error) {
	if datum.String() == "undeclared" {
		return nil, &Refused{Field: "datum", Reason: UndeclaredDatum, Detail: "declare one of WGS-84, CGCS2000, GCJ-02, BD-09"}
	}
	doc, err := io.ReadAll(io.LimitReader(r, maxImport+1))
	if err != nil {
		return nil, fmt.Errorf("read GeoJSON: %w", err)
	}
	if len(doc) > maxImport {
		return nil, &Refused{Field: "file", Reason: WrongGeometry, Detail: "larger than 64 MiB"}
	}
	features, err := featuresOf(doc)
	if err != nil {
		return nil, err
	}
	out := make([]Imported, 0, len(features))
	for i, f := range features {
		field := fmt.Sprintf("features[%d].geometry", i)
		if f == nil {
			return nil, &Refused{Field: field, Reason: WrongGeometry, Detail: "null is no feature"}
		}
		mp, err := polygonsOf(field, f.Geometry)
		if err != nil {
			return nil, err
		}
		mp, report, err := settle(field, mp, datum)
		if err != nil {
			return nil, err
		}
		name, _ := f.Properties["name"].(string)
		out = append(out, Imported{Name: name, Geometry: mp, Field: field, Datum: datum, Report: *report})
	}
	return out, nil
}

// featuresOf takes a FeatureCollection, a Feature or a bare geometry apart.
func featuresOf(doc []byte) ([]*geojson.Feature, error) {
	malformed := func(err error) error {
		return &Refused{Field: "file", Reason: WrongGeometry, Detail: "not GeoJSON: " + err.Error()}
	}
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(doc, &head); err != nil {
		return nil, malformed(err)
	}
	switch head.Type {
	case "FeatureCollection":
		var c geojson.FeatureCollection
		if err := json.Unmarshal(doc, &c); err != nil {
			return nil, malformed(err)
		}
		if len(c.Features) == 0 {
			return nil, &Refused{Field: "features", Reason: WrongGeometry, Detail: "there is none"}
		}
		return c.Features, nil
	case "Feature":
		var f geojson.Feature
		if err := json.Unmarshal(doc, &f); err != nil {
			return nil, malformed(err)
		}
		return []*geojson.Feature{&f}, nil
	}
	var g geom.T
	if err := geojson.Unmarshal(doc, &g); err != nil {
		return nil, malformed(err)
	}
	return []*geojson.Feature{{Geometry: g}}, nil
}

func polygonsOf(field string, g geom.T) (*geom.MultiPolygon, error) {
	switch g := g.(type) {
	case *geom.Polygon:
		mp := geom.NewMultiPolygon(g.Layout())
		return mp, mp.Push(g)
	case *geom.MultiPolygon:
		return g, nil
	}
	return nil, &Refused{Field: field, Reason: WrongGeometry, Detail: fmt.Sprintf("a %T; a zone is a polygon or a multipolygon", g)}
}

// settle checks every ring, mends what can be mended without doubt, and converts to WGS-84 in two dimensions.
func settle(field string, mp *geom.MultiPolygon, datum devices.Datum) (*geom.MultiPolygon, *RepairReport, error) {
	report := &RepairReport{}
	coords := make([][][]geom.Coord, 0, mp.NumPolygons())
	for p := range mp.NumPolygons() {
		var polygon [][]geom.Coord
		for k := range mp.Polygon(p).NumLinearRings() {
			where := fmt.Sprintf("%s, polygon %d, ring %d", field, p, k)
			drawn, err := cornersOf(where, mp.Polygon(p).LinearRing(k).Coords(), datum)
			if err != nil {
				return nil, nil, err
			}
			ring, repairs, err := mendRing(where, drawn, k > 0)
			if err != nil {
				return nil, nil, err
			}
			report.Repairs = append(report.Repairs, repairs...)
			report.VerticesBefore += len(drawn)
			report.VerticesAfter += len(ring)
			polygon = append(polygon, coordsOf(ring))
		}
		if len(polygon) > 0 {
			coords = append(coords, polygon)
		}
	}
	if len(coords) == 0 {
		return nil, nil, &Refused{Field: field, Reason: InvalidGeometry, Detail: "it is empty"}
	}
	out, err := geom.NewMultiPolygon(geom.XY).SetCoords(coords)
	return out, report, err
}

// cornersOf converts the points of a ring, or says which of them is none.
func cornersOf(where string, ring []geom.Coord, datum devices.Datum) ([]corner, error) {
	out := make([]corner, 0, len(ring))
	for i, c := range ring {
		lon, lat := c[0], c[1]
		refuse := func(detail string) error {
			r := &Refused{Field: fmt.Sprintf("%s, point %d", where, i), Reason: InvalidGeometry, Detail: detail}
			if finite(lon) && finite(lat) {
				r.Place = &[2]float64{lon, lat} // as it stands in the file, where its author looks for it
			}
			return r
		}
		switch {
		case !finite(lon) || !finite(lat):
			return nil, refuse("a coordinate is no number")
		case math.Abs(lat) > 90 && math.Abs(lon) <= 90, lon > 15 && lon < 55 && lat > 72 && lat <= 90:
			return nil, refuse("latitude before longitude: GeoJSON has longitude first")
		case math.Abs(lon) > 180 || math.Abs(lat) > 90:
			return nil, refuse("a coordinate out of range: degrees are expected")
		}
		x, y := devices.ToWGS84(datum, lon, lat)
		if !onEarth(x, y) {
			return nil, refuse("a coordinate that " + datum.String() + " has no place for")
		}
		out = append(out, corner{int64(math.Round(x * 1e7)), int64(math.Round(y * 1e7)), [2]float64{lon, lat}})
	}
	return out, nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// round7 keeps what positions keep: 1e-7 degrees, a centimetre.
func round7(v float64) float64 { return math.Round(v*1e7) / 1e7 }
