package geofence

import (
	"fmt"
	"math"

	"github.com/twpayne/go-geom"
)

// NewCorridor prepares a corridor: everything within radius metres of a line, on the ground; an approved route is twice that
// wide. From one point of the line to the next the shorter way is meant, over ±180° if need be.
func NewCorridor(id ZoneID, version int, valid Interval, line *geom.LineString, radius float64) (*Zone, error) {
	list := points(line)
	if len(list) < 2 || !(radius > 0) || math.IsInf(radius, 0) {
		return nil, fmt.Errorf("zone %d version %d: no corridor of %d points and %v m on either side", id, version, len(list), radius)
	}
	for i := range list {
		if !onEarth(list[i].lon, list[i].lat) {
			return nil, fmt.Errorf("zone %d version %d: a coordinate is out of range", id, version)
		}
		if i > 0 { // without a jump, beyond ±180° if need be
			for math.Abs(list[i].lon-list[i-1].lon) > 180 {
				list[i].lon += math.Copysign(360, list[i-1].lon-list[i].lon)
			}
		}
	}
	z := &Zone{ID: id, Version: version, Valid: valid, Shape: Corridor, radius: radius, line: newOutline([][]point{list})}
	z.box = z.line.box.around(radius)
	return z, nil
}

// around is the box with everything within radius metres of it, and a little more: where it is widest, a degree is shorter.
func (b box) around(radius float64) box {
	h := 1.01 * radius / northLeast
	east, _ := degreeScale(min(max(math.Abs(b.minLat), math.Abs(b.maxLat))+h, 89))
	w := 1.01 * radius / east
	return box{b.minLon - w, b.minLat - h, b.maxLon + w, b.maxLat + h}
}

// passed reports whether the straight way between two points outside of a corridor comes into it: it crosses the line, or a
// point of the line is near it.
func (z *Zone) passed(from, to point) bool {
	for _, turn := range [...]float64{0, 360, -360} {
		if z.line.crossed(point{from.lon + turn, from.lat}, point{to.lon + turn, to.lat}) {
			return true
		}
	}
	for _, p := range z.line.at {
		if segmentMetres(p.lon, p.lat, from.lon, from.lat, to.lon, to.lat) <= z.radius {
			return true
		}
	}
	return false
}

// meetsItself reports whether a multipolygon that was split along ±180° goes on on the other side of it, all along.
func (o *outline) meetsItself() bool {
	if o.minLon != -180 || o.maxLon != 180 {
		return false
	}
	sides := [2]struct{ from, until, length float64 }{{90, -90, 0}, {90, -90, 0}}
	o.edges(func(_ int, a, b point) {
		if !onSeam(&a, &b) {
			return
		}
		s := &sides[0]
		if a.lon > 0 {
			s = &sides[1]
		}
		s.from, s.until, s.length = min(s.from, a.lat, b.lat), max(s.until, a.lat, b.lat), s.length+math.Abs(b.lat-a.lat)
	})
	return sides[0].length > 0 && sides[0].from == sides[1].from && sides[0].until == sides[1].until &&
		math.Abs(sides[0].length-sides[1].length) < 1e-9
}
