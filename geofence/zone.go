package geofence

import (
	"errors"
	"fmt"
	"math"

	"github.com/twpayne/go-geom"
	"github.com/twpayne/go-geom/encoding/ewkb"
)

// Shape is how a zone is drawn.
type Shape string

const (
	Polygonal Shape = "polygon"  // multipolygon with holes
	Circular  Shape = "circle"   // a centre and a radius
	Corridor  Shape = "corridor" // a line and how far from it
)

// Purpose is what a zone is for.
type Purpose string

const (
	Activity    Purpose = "activity"    // 活动区域
	Prohibited  Purpose = "prohibited"  // 禁止令限制区域
	Destination Purpose = "destination" // 外出目的地
	Attention   Purpose = "attention"   // 关注区域
)

// Zone is one version of a zone, prepared for questions. Immutable; one is shared by every subject it applies to.
type Zone struct {
	ID      ZoneID
	Version int
	Valid   Interval
	Shape   Shape

	centre geom.Coord // of a circle, lon lat
	radius float64    // metres; of a corridor: half its width
	line   *outline   // of a corridor
	cells  *cells     // of polygons
	box    box        // around all of it
}

// NewPolygon prepares a multipolygon in WGS-84 (lon lat). Its geometry must be valid; PostGIS has the last word on that.
func NewPolygon(id ZoneID, version int, valid Interval, mp *geom.MultiPolygon) (*Zone, error) {
	z := &Zone{ID: id, Version: version, Valid: valid, Shape: Polygonal}
	var rings [][]point
	for i := range mp.NumPolygons() {
		p := mp.Polygon(i)
		for k := range p.NumLinearRings() {
			ring := points(p.LinearRing(k))
			if err := checkRing(ring); err != nil {
				return nil, fmt.Errorf("zone %d version %d, polygon %d, ring %d: %w", id, version, i, k, err)
			}
			rings = append(rings, ring)
		}
	}
	if len(rings) == 0 {
		return nil, fmt.Errorf("zone %d version %d has no ring", id, version)
	}
	o := newOutline(rings)
	o.seam = o.meetsItself()
	z.cells = newCells(o)
	z.box = z.cells.box
	return z, nil
}

// points are the places of a ring or a line.
func points(g interface {
	FlatCoords() []float64
	Stride() int
}) []point {
	flat, n := g.FlatCoords(), g.Stride()
	list := make([]point, len(flat)/n)
	for i := range list {
		list[i] = point{flat[i*n], flat[i*n+1]}
	}
	return list
}

// NewCircle prepares a circle: everything within radius metres of the centre, on the ground.
func NewCircle(id ZoneID, version int, valid Interval, lon, lat, radius float64) (*Zone, error) {
	if !(radius > 0) || math.IsInf(radius, 0) || !onEarth(lon, lat) {
		return nil, fmt.Errorf("zone %d version %d: no circle of %v m on the earth", id, version, radius)
	}
	z := &Zone{ID: id, Version: version, Valid: valid, Shape: Circular, centre: geom.Coord{lon, lat}, radius: radius}
	z.box = box{lon, lat, lon, lat}.around(radius)
	return z, nil
}

func onEarth(lon, lat float64) bool { return math.Abs(lon) <= 180 && math.Abs(lat) <= 90 } // and no NaN

// checkRing refuses what an index cannot be made of; whether a polygon is valid by OGC rules PostGIS has said before.
func checkRing(ring []point) error {
	if len(ring) < 4 || ring[0] != ring[len(ring)-1] {
		return errors.New("a ring has three points and ends where it began")
	}
	for _, p := range ring {
		if !onEarth(p.lon, p.lat) {
			return errors.New("a coordinate is out of range")
		}
	}
	return nil
}

// zoneFromEWKB prepares what the database keeps.
func zoneFromEWKB(id ZoneID, version int, valid Interval, shape Shape, doc []byte, radius float64) (*Zone, error) {
	g, err := ewkb.Unmarshal(doc)
	if err != nil {
		return nil, fmt.Errorf("zone %d version %d: %w", id, version, err)
	}
	switch g := g.(type) {
	case *geom.MultiPolygon:
		return NewPolygon(id, version, valid, g)
	case *geom.Point:
		return NewCircle(id, version, valid, g.X(), g.Y(), radius)
	case *geom.LineString:
		return NewCorridor(id, version, valid, g, radius)
	}
	return nil, fmt.Errorf("zone %d version %d is a %T", id, version, g)
}

// Covers reports whether the zone covers a point; the edge is inside (R30). For polygons it answers as ST_Covers does.
func (z *Zone) Covers(lon, lat float64) bool {
	if z.cells == nil {
		here := box{lon, lat, lon, lat}
		return z.box.meetsAround(&here) && z.Distance(lon, lat) <= 0
	}
	return z.cells.covers(lon, lat) || z.cells.seam && math.Abs(lon) == 180 && z.cells.covers(-lon, lat)
}

// Distance is the signed distance to the zone's boundary in metres on the ground: negative inside, 0 on the edge.
func (z *Zone) Distance(lon, lat float64) float64 {
	switch z.Shape {
	case Circular:
		return metres(lon, lat, z.centre[0], z.centre[1]) - z.radius
	case Corridor:
		return z.line.distance(lon, lat, -1) - z.radius
	}
	covers, hint, _ := z.cells.near(lon, lat, 0)
	d := z.cells.distance(lon, lat, hint)
	if covers {
		return -d
	}
	return d
}

// Crossed reports whether the straight way between two points touches the zone.
func (z *Zone) Crossed(lon1, lat1, lon2, lat2 float64) bool {
	from, to := point{lon1, lat1}, point{lon1 + wrapLon(lon2-lon1), lat2}
	way := nowhere
	way.add(from.lon, from.lat)
	way.add(to.lon, to.lat)
	if !z.box.meetsAround(&way) {
		return false
	}
	if z.Covers(lon1, lat1) || z.Covers(lon2, lat2) {
		return true
	}
	switch z.Shape {
	case Circular:
		return segmentMetres(z.centre[0], z.centre[1], lon1, lat1, lon2, lat2) <= z.radius
	case Corridor:
		return z.passed(from, to)
	}
	for _, turn := range [...]float64{0, 360, -360} {
		if z.cells.crossed(point{from.lon + turn, from.lat}, point{to.lon + turn, to.lat}) {
			return true
		}
	}
	return false
}

// apartFrom reports whether the zone lies apart from where the fixes and m are, and so from every way between them.
func (z *Zone) apartFrom(recent []Mark, m Mark) bool {
	b, lon := nowhere, m.lon()
	b.add(lon, m.lat())
	for i := range recent {
		b.add(lon+wrapLon(recent[i].lon()-lon), recent[i].lat())
	}
	return !z.box.meetsAround(&b)
}
