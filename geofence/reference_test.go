package geofence

import "math"

// edge is one side of a ring, degrees.
type edge struct{ lon1, lat1, lon2, lat2 float64 }

// reference answers for rings with plain loops over all edges: what cells must agree with.
type reference struct{ edges []edge }

func newReference(z *Zone) *reference {
	x := &reference{}
	z.cells.outline.edges(func(_ int, a, b point) { x.edges = append(x.edges, edge{a.lon, a.lat, b.lon, b.lat}) })
	return x
}

// covers is even-odd over all edges, with exact orientation; a point on an edge is in.
func (x *reference) covers(lon, lat float64) bool {
	inside := false
	for i := range x.edges {
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

// distance is metres to the nearest edge.
func (x *reference) distance(z *Zone, lon, lat float64) float64 {
	a := z.cells.aim(lon, lat)
	n := closest{-1, 0, math.Inf(1)}
	for i, e := range x.edges {
		if f, sq := nearest(a.east, a.north, lon, lat, e.lon1, e.lat1, e.lon2, e.lat2); sq < n.square {
			n = closest{i, f, sq}
		}
	}
	e := &x.edges[n.edge]
	return metres(lon, lat, along(e.lon1, e.lon2, n.fraction), along(e.lat1, e.lat2, n.fraction))
}
