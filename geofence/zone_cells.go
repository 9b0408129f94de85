package geofence

import "math"

// cells answers for the rings of a valid multipolygon, which side of them a point is on. A grid lies over the box of the
// rings; a cell that no edge comes near says inside or outside at once, a cell with more than edgesPerCell edges is divided
// into 4 by 4, and the others name the edges that come near, with a point of reference in the cell of which it is known on
// which side it is: as often as the straight way from there crosses an edge the side changes. Everything lies in a few
// arrays. Rings are even-odd, so holes need no orientation.
type cells struct {
	outline
	perLon, perLat float64 // cells of the grid a degree
	cols, rows     int
	nodes          []node  // the grid row by row, then blocks of split*split
	width, height  float64 // of a cell of the grid, degrees
	side           float64 // the shorter side of a cell of the grid in metres, rather less; 0: not known
	runs           []run   // of cells with several
}

// node is one cell: a kind in the upper two bits, and what the kind says.
//
//	outside, inside: 31 bits how many cells of the grid at least lie between this one and any edge, and 31 bits an edge near
//	divided:         32 bits where its block begins
//	bordering:       reference inside (1 bit), which reference (3), several runs (1), number of edges or runs (25), the first (32)
type node uint64

const (
	outside node = iota << 62
	inside
	divided
	bordering
	kindOfCell = bordering

	referenceIn   node = 1 << 61
	severalRuns   node = 1 << 57
	referenceBits      = 58
	countBits          = 32
	apartBits          = 31
)

func (n node) reference() int { return int(n >> referenceBits & 7) }
func (n node) count() int     { return int(n >> countBits & (1<<25 - 1)) }
func (n node) first() int     { return int(n & (1<<32 - 1)) }
func (n node) apart() int     { return int(n >> apartBits & (1<<31 - 1)) }
func (n node) near() int      { return int(n & (1<<31 - 1)) }

// run is the edges from, from+1 … to-1.
type run struct{ from, to int32 }

const (
	edgesPerCell = 6
	split        = 4
)

// spot is a cell: in units of the grid, where it begins and how large it is.
type spot struct{ u, v, size float64 }

// references are where in a cell the point of reference may lie: the first that is on no edge. The last is not in the cell:
// it is outside of all rings.
var references = [8]point{{0.5, 0.5}, {0.4140625, 0.5703125}, {0.6171875, 0.3515625}, {0.2734375, 0.3203125},
	{0.7265625, 0.8046875}, {0.1484375, 0.8671875}, {0.8828125, 0.1328125}, {}}

const afar = len(references) - 1

// reference is where the point of reference of a cell lies; the same, to the bit, whenever it is asked.
func (x *cells) reference(s spot, which int) point {
	if which == afar {
		return point{x.minLon - 1, x.minLat - 1}
	}
	return s.reference(which, &x.box, x.width, x.height)
}

// reference is a place in a cell of a grid over a box.
func (s spot) reference(which int, b *box, width, height float64) point {
	r := &references[which]
	u, v := s.u+float64(r.lon*s.size), s.v+float64(r.lat*s.size)
	return point{b.minLon + float64(u*width), b.minLat + float64(v*height)}
}

// find is the cell of a point in the box.
func (x *cells) find(lon, lat float64) (node, spot) {
	u, v := (lon-x.minLon)*x.perLon, (lat-x.minLat)*x.perLat
	c, r := min(int(u), x.cols-1), min(int(v), x.rows-1)
	n := x.nodes[r*x.cols+c]
	s := spot{float64(c), float64(r), 1}
	for n&kindOfCell == divided {
		s.size /= split
		c, r = min(int((u-s.u)/s.size), split-1), min(int((v-s.v)/s.size), split-1)
		s.u, s.v = s.u+float64(float64(c)*s.size), s.v+float64(float64(r)*s.size)
		n = x.nodes[n.first()+r*split+c]
	}
	return n, s
}

// covers reports whether a point is inside or on an edge, exactly.
func (x *cells) covers(lon, lat float64) bool {
	if !x.box.covers(lon, lat) {
		return false
	}
	n, s := x.find(lon, lat)
	return x.decide(n, s, lon, lat)
}

func (x *cells) decide(n node, s spot, lon, lat float64) bool {
	switch n & kindOfCell {
	case inside:
		return true
	case outside:
		return false
	}
	from, to, in, on := x.reference(s, n.reference()), point{lon, lat}, n&referenceIn != 0, false
	if n&severalRuns == 0 {
		first := n.first()
		in, on = x.flip(from, to, first, first+n.count(), in)
		return in || on
	}
	for _, r := range x.runs[n.first() : n.first()+n.count()] {
		if in, on = x.flip(from, to, int(r.from), int(r.to), in); on {
			return true
		}
	}
	return in
}

// flip turns in round for each of some consecutive edges that the way from a point of reference to another point crosses,
// and reports whether that point is on one of them. Left and on the way are one side: so a vertex is counted once.
func (o *outline) flip(from, to point, first, end int, in bool) (_, on bool) {
	return flip(o.at[first:end+1], from, to, in)
}

func flip(at []point, from, to point, in bool) (_, on bool) {
	dx, dy := to.lon-from.lon, to.lat-from.lat
	last := 0
	for i, q := range at {
		l, r := float64(dx*(q.lat-from.lat)), float64(dy*(q.lon-from.lon))
		det, bound := l-r, 3.3306690738754716e-16*(math.Abs(l)+math.Abs(r))
		now := 0
		switch {
		case det > bound:
			now = 1
		case -det > bound:
			now = -1
		default:
			now = orientation(from.lon, from.lat, to.lon, to.lat, q.lon, q.lat)
		}
		if i > 0 && now*last <= 0 {
			p := at[i-1]
			side := orientation(p.lon, p.lat, q.lon, q.lat, to.lon, to.lat)
			if side == 0 && to.lon >= min(p.lon, q.lon) && to.lon <= max(p.lon, q.lon) && to.lat >= min(p.lat, q.lat) && to.lat <= max(p.lat, q.lat) {
				return in, true
			}
			if (last >= 0) != (now >= 0) && side*orientation(p.lon, p.lat, q.lon, q.lat, from.lon, from.lat) < 0 {
				in = !in
			}
		}
		last = now
	}
	return in, false
}

// near is whether a point is covered, an edge that is near (-1: none is known), and how many metres at least the nearest
// is away; reach is the distance that matters.
func (x *cells) near(lon, lat, reach float64) (covers bool, hint int, least float64) {
	if !x.box.covers(lon, lat) {
		return false, -1, x.beyond(lon, lat)
	}
	n, s := x.find(lon, lat)
	// Edges that the cell does not name are beyond its sides.
	u, v := (lon-x.minLon)*x.perLon-s.u, (lat-x.minLat)*x.perLat-s.v
	least = max(0, min(u, v, s.size-u, s.size-v)) * x.side
	switch n & kindOfCell {
	case inside:
		return true, n.near(), least + float64(n.apart())*x.side
	case outside:
		return false, n.near(), least + float64(n.apart())*x.side
	}
	covers = x.decide(n, s, lon, lat)
	hint = n.first()
	if n&severalRuns != 0 {
		return covers, int(x.runs[hint].from), 0
	}
	if least < reach || x.seam {
		return covers, hint, 0
	}
	a, c := x.aim(lon, lat), closest{-1, 0, 1.1 * reach * reach} // the plane is not the ellipsoid
	for i := range n.count() {
		if x.look(&c, &a, hint+i); c.edge >= 0 {
			return covers, hint, 0
		}
	}
	return covers, hint, reach
}

// beyond is how many metres at least a point outside of the box is away from it.
func (x *cells) beyond(lon, lat float64) float64 {
	if dy := max(x.minLat-lat, lat-x.maxLat); dy > 0 {
		return 0.9 * northLeast * dy
	}
	if x.side == 0 {
		return 0
	}
	return max(x.minLon-lon, lon-x.maxLon) * x.perLon * x.side
}

// northLeast is less than a degree of latitude is anywhere, metres.
const northLeast = 110_570
