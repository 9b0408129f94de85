package geofence

import (
	"fmt"
	"math"

	"github.com/twpayne/go-geom"
	"github.com/twpayne/go-geom/encoding/ewkb"
)

// Shape is how a zone is drawn.
type Shape string

const (
	Polygonal Shape = "polygon" // multipolygon with holes
	Circular  Shape = "circle"  // a centre and a radius
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
	radius float64    // metres
	edges  *edgeIndex // of polygons
}

// NewPolygon prepares a multipolygon in WGS-84 (lon lat). Its geometry must be valid; PostGIS has the last word on that.
func NewPolygon(id ZoneID, version int, valid Interval, mp *geom.MultiPolygon) (*Zone, error) {
	z := &Zone{ID: id, Version: version, Valid: valid, Shape: Polygonal}
	var rings [][]geom.Coord
	for i := range mp.NumPolygons() {
		p := mp.Polygon(i)
		for k := range p.NumLinearRings() {
			rings = append(rings, p.LinearRing(k).Coords())
		}
	}
	if len(rings) == 0 {
		return nil, fmt.Errorf("zone %d version %d has no ring", id, version)
	}
	z.edges = newEdgeIndex(rings)
	return z, nil
}

// NewCircle prepares a circle: everything within radius metres of the centre, on the ground.
func NewCircle(id ZoneID, version int, valid Interval, lon, lat, radius float64) (*Zone, error) {
	if !(radius > 0) || math.IsInf(radius, 0) {
		return nil, fmt.Errorf("zone %d version %d: a radius of %v m", id, version, radius)
	}
	return &Zone{ID: id, Version: version, Valid: valid, Shape: Circular, centre: geom.Coord{lon, lat}, radius: radius}, nil
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
	}
	return nil, fmt.Errorf("zone %d version %d is a %T", id, version, g)
}

// Covers reports whether the zone covers a point; the edge is inside (R30). For polygons it answers as ST_Covers does.
func (z *Zone) Covers(lon, lat float64) bool {
	if z.Shape == Circular {
		return z.Distance(lon, lat) <= 0
	}
	return z.edges.covers(lon, lat)
}

// Distance is the signed distance to the zone's boundary in metres on the ground: negative inside, 0 on the edge.
func (z *Zone) Distance(lon, lat float64) float64 {
	if z.Shape == Circular {
		return metres(lon, lat, z.centre[0], z.centre[1]) - z.radius
	}
	d := z.edges.distance(lon, lat)
	if z.edges.covers(lon, lat) {
		return -d
	}
	return d
}

// Crossed reports whether the straight way between two points touches the zone.
func (z *Zone) Crossed(lon1, lat1, lon2, lat2 float64) bool {
	if z.Covers(lon1, lat1) || z.Covers(lon2, lat2) {
		return true
	}
	if z.Shape == Circular {
		return segmentMetres(z.centre[0], z.centre[1], lon1, lat1, lon2, lat2) <= z.radius
	}
	return z.edges.crossed(lon1, lat1, lon2, lat2)
}
