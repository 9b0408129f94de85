package geofence

import (
	"math"
	"math/big"

	"github.com/twpayne/go-geom"
)

// edge is one side of a ring, degrees.
type edge struct{ lon1, lat1, lon2, lat2 float64 }

// chunk is some consecutive edges and the box around them.
type chunk struct {
	from, to int
	box
}

const edgesPerChunk = 16

// edgeIndex answers for the rings of a valid multipolygon: which edges cross a latitude, and which edge is nearest. Rings
// are even-odd, so holes need no orientation.
type edgeIndex struct {
	edges  []edge
	chunks []chunk
	bands  [][]int32 // by latitude, from minLat in steps of step: the edges that reach into it
	step   float64
	box
}

func newEdgeIndex(rings [][]geom.Coord) *edgeIndex {
	x := &edgeIndex{box: nowhere}
	for _, ring := range rings {
		first := len(x.edges)
		for i := 1; i < len(ring); i++ {
			x.edges = append(x.edges, edge{ring[i-1][0], ring[i-1][1], ring[i][0], ring[i][1]})
		}
		for from := first; from < len(x.edges); from += edgesPerChunk {
			x.chunks = append(x.chunks, x.chunk(from, min(from+edgesPerChunk, len(x.edges))))
		}
	}
	for _, c := range x.chunks {
		x.add(c.minLon, c.minLat)
		x.add(c.maxLon, c.maxLat)
	}
	n := max(1, len(x.edges)/4)
	x.step = (x.maxLat - x.minLat) / float64(n)
	x.bands = make([][]int32, n+1)
	for i, e := range x.edges {
		for b := x.band(min(e.lat1, e.lat2)); b <= x.band(max(e.lat1, e.lat2)); b++ {
			x.bands[b] = append(x.bands[b], int32(i))
		}
	}
	return x
}

func (x *edgeIndex) chunk(from, to int) chunk {
	c := chunk{from, to, nowhere}
	for _, e := range x.edges[from:to] {
		c.add(e.lon1, e.lat1)
		c.add(e.lon2, e.lat2)
	}
	return c
}

func (x *edgeIndex) band(lat float64) int {
	if x.step == 0 {
		return 0
	}
	return max(0, min(len(x.bands)-1, int((lat-x.minLat)/x.step)))
}

// covers is even-odd over the edges that reach the point's latitude, with exact orientation; a point on an edge is in.
func (x *edgeIndex) covers(lon, lat float64) bool {
	if !x.box.covers(lon, lat) {
		return false
	}
	inside := false
	for _, i := range x.bands[x.band(lat)] {
		e := &x.edges[i]
		lo, hi := e.lat1, e.lat2
		if lo > hi {
			lo, hi = hi, lo
		}
		if lat < lo || lat > hi {
			continue
		}
		if lo == hi { // along the latitude: only the edge itself matters
			if lon >= min(e.lon1, e.lon2) && lon <= max(e.lon1, e.lon2) {
				return true
			}
			continue
		}
		side := orientation(e.lon1, e.lat1, e.lon2, e.lat2, lon, lat)
		if side == 0 {
			return true
		}
		// The upper end belongs to the next edge, so that a vertex is counted once.
		if lat < hi && (side > 0) == (e.lat2 > e.lat1) {
			inside = !inside
		}
	}
	return inside
}

// distance is metres to the nearest edge. Which edge that is shows in a plane at a latitude between the point and the
// rings; how far it is, is measured on the ellipsoid. The chunk whose box is nearest is looked at first: most of the others
// are then too far away to be looked at.
func (x *edgeIndex) distance(lon, lat float64) float64 {
	east, north := degreeScale((lat + max(x.minLat, min(x.maxLat, lat))) / 2)
	first, least := 0, math.Inf(1)
	for i := range x.chunks {
		if d := x.chunks[i].square(east, north, lon, lat); d < least {
			first, least = i, d
		}
	}
	n := closest{square: math.Inf(1)}
	x.look(&n, &x.chunks[first], east, north, lon, lat)
	for i := range x.chunks {
		if c := &x.chunks[i]; i != first && c.square(east, north, lon, lat) < n.square {
			x.look(&n, c, east, north, lon, lat)
		}
	}
	e := &x.edges[n.edge]
	return metres(lon, lat, along(e.lon1, e.lon2, n.fraction), along(e.lat1, e.lat2, n.fraction))
}

// closest is the point of the edges looked at that is nearest.
type closest struct {
	edge             int
	fraction, square float64
}

func (x *edgeIndex) look(n *closest, c *chunk, east, north, lon, lat float64) {
	for i := c.from; i < c.to; i++ {
		e := &x.edges[i]
		if f, sq := nearest(east, north, lon, lat, e.lon1, e.lat1, e.lon2, e.lat2); sq < n.square {
			*n = closest{i, f, sq}
		}
	}
}

// crossed reports whether a segment meets an edge.
func (x *edgeIndex) crossed(lon1, lat1, lon2, lat2 float64) bool {
	way := nowhere
	way.add(lon1, lat1)
	way.add(lon2, lat2)
	for i := range x.chunks {
		c := &x.chunks[i]
		if !c.meets(&way) {
			continue
		}
		for _, e := range x.edges[c.from:c.to] {
			a, b := orientation(lon1, lat1, lon2, lat2, e.lon1, e.lat1), orientation(lon1, lat1, lon2, lat2, e.lon2, e.lat2)
			p, q := orientation(e.lon1, e.lat1, e.lon2, e.lat2, lon1, lat1), orientation(e.lon1, e.lat1, e.lon2, e.lat2, lon2, lat2)
			edge := nowhere
			edge.add(e.lon1, e.lat1)
			edge.add(e.lon2, e.lat2)
			if a*b <= 0 && p*q <= 0 && edge.meets(&way) {
				return true
			}
		}
	}
	return false
}

// orientation is +1 when p lies left of the way from a to b, -1 right of it, 0 exactly on it. Where rounding could decide,
// it is computed exactly (the error bound is Shewchuk's, Adaptive Precision Floating-Point Arithmetic, 1997).
func orientation(ax, ay, bx, by, px, py float64) int {
	l, r := float64((ax-px)*(by-py)), float64((ay-py)*(bx-px))
	det := l - r
	if bound := 3.3306690738754716e-16 * (math.Abs(l) + math.Abs(r)); det > bound || -det > bound {
		if det > 0 {
			return 1
		}
		return -1
	}
	exact := func(v float64) *big.Rat { return new(big.Rat).SetFloat64(v) }
	sub := func(a, b float64) *big.Rat { return new(big.Rat).Sub(exact(a), exact(b)) }
	left := new(big.Rat).Mul(sub(ax, px), sub(by, py))
	return left.Cmp(new(big.Rat).Mul(sub(ay, py), sub(bx, px)))
}
