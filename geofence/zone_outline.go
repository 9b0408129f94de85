package geofence

import "math"

// point is a place in degrees.
type point struct{ lon, lat float64 }

// outline is the rings or lines of a zone, and a tree of boxes over consecutive edges. Edge i leads from at[i] to at[i+1];
// the last point of a ring begins none.
type outline struct {
	box
	at     []point
	chunks []chunk
	above  [][]box // above[0] holds a box for every fanOut chunks, above[k] one for every fanOut boxes of above[k-1]
	seam   bool    // edges along ±180° where the zone goes on on the other side are no boundary
}

// chunk is some consecutive edges and the box around them.
type chunk struct {
	from, to int32
	box
}

const (
	edgesPerChunk = 8
	fanOut        = 8
)

// newOutline joins rings or lines.
func newOutline(lines [][]point) *outline {
	n, parts := 0, 0
	for _, line := range lines {
		n += len(line)
		parts += (len(line) + edgesPerChunk - 1) / edgesPerChunk
	}
	o := &outline{at: make([]point, 0, n), chunks: make([]chunk, 0, parts), box: nowhere}
	for _, line := range lines {
		first := len(o.at)
		o.at = append(o.at, line...)
		for from := first; from < len(o.at)-1; from += edgesPerChunk {
			c := chunk{int32(from), int32(min(from+edgesPerChunk, len(o.at)-1)), nowhere}
			for _, p := range o.at[c.from : c.to+1] {
				c.add(p.lon, p.lat)
			}
			o.join(&c.box)
			o.chunks = append(o.chunks, c)
		}
	}
	for n := len(o.chunks); n > fanOut; {
		row := make([]box, (n+fanOut-1)/fanOut)
		for i := range row {
			row[i] = nowhere
			for k := i * fanOut; k < min((i+1)*fanOut, n); k++ {
				row[i].join(o.boxAt(len(o.above), k))
			}
		}
		o.above, n = append(o.above, row), len(row)
	}
	return o
}

func (b *box) join(o *box) {
	b.add(o.minLon, o.minLat)
	b.add(o.maxLon, o.maxLat)
}

// boxAt is box i of a level; level 0 are the chunks.
func (o *outline) boxAt(level, i int) *box {
	if level == 0 {
		return &o.chunks[i].box
	}
	return &o.above[level-1][i]
}

// edge is edge i.
func (o *outline) edge(i int) (a, b point) { return o.at[i], o.at[i+1] }

// edges calls f with every edge.
func (o *outline) edges(f func(i int, a, b point)) {
	for c := range o.chunks {
		for i := int(o.chunks[c].from); i < int(o.chunks[c].to); i++ {
			f(i, o.at[i], o.at[i+1])
		}
	}
}

// aim is where nearest edges are looked for: a point and the scale of the plane in which they are compared, that at a
// latitude between the point and the outline.
type aim struct{ lon, lat, east, north float64 }

func (o *outline) aim(lon, lat float64) aim {
	east, north := degreeScale((lat + max(o.minLat, min(o.maxLat, lat))) / 2)
	return aim{lon, lat, east, north}
}

// closest is the point of the edges looked at that is nearest; edge is -1 while none is as near as square.
type closest struct {
	edge             int
	fraction, square float64
}

// nearest looks for an edge that is nearer than n says. Of edges equally near the first is taken, wherever the search began.
func (o *outline) nearest(n *closest, a *aim) {
	if level := len(o.above); level > 0 {
		o.descend(n, a, level, 0, len(o.above[level-1]))
	} else {
		o.descend(n, a, 0, 0, len(o.chunks))
	}
}

// descend looks into the boxes of a level, the nearest first: most of the others are then too far away.
func (o *outline) descend(n *closest, a *aim, level, from, to int) {
	first, least := -1, math.Inf(1)
	for i := from; i < to; i++ {
		if d := o.boxAt(level, i).square(a); d < least {
			first, least = i, d
		}
	}
	if first < 0 || least > n.square {
		return
	}
	o.enter(n, a, level, first)
	for i := from; i < to; i++ {
		if i != first && o.boxAt(level, i).square(a) <= n.square {
			o.enter(n, a, level, i)
		}
	}
}

func (o *outline) enter(n *closest, a *aim, level, i int) {
	if level > 0 {
		below := len(o.chunks)
		if level > 1 {
			below = len(o.above[level-2])
		}
		o.descend(n, a, level-1, i*fanOut, min((i+1)*fanOut, below))
		return
	}
	for k := int(o.chunks[i].from); k < int(o.chunks[i].to); k++ {
		o.look(n, a, k)
	}
}

// look compares one edge.
func (o *outline) look(n *closest, a *aim, i int) {
	p, q := &o.at[i], &o.at[i+1]
	if o.seam && onSeam(p, q) {
		return
	}
	if f, sq := nearest(a.east, a.north, a.lon, a.lat, p.lon, p.lat, q.lon, q.lat); sq < n.square || sq == n.square && i < n.edge {
		*n = closest{i, f, sq}
	}
}

// onSeam reports whether an edge lies along ±180°.
func onSeam(p, q *point) bool { return p.lon == q.lon && math.Abs(p.lon) == 180 }

// metres is how far a point is from what was found, on the ellipsoid.
func (o *outline) metres(n *closest, lon, lat float64) float64 {
	a, b := o.edge(n.edge)
	return metres(lon, lat, along(a.lon, b.lon, n.fraction), along(a.lat, b.lat, n.fraction))
}

// distance is metres to the nearest edge. Which edge that is shows in a plane; how far it is, is measured on the ellipsoid.
// hint is an edge that is near, or -1.
func (o *outline) distance(lon, lat float64, hint int) float64 {
	a, n := o.aim(lon, lat), closest{-1, 0, math.Inf(1)}
	if hint >= 0 {
		o.look(&n, &a, hint)
	}
	o.nearest(&n, &a)
	return o.metres(&n, lon, lat)
}

// within is the distance to the nearest edge if that is, give or take, at most reach metres away.
func (o *outline) within(lon, lat, reach float64) (d float64, ok bool) {
	reach = 1.05*reach + 1 // the plane is not the ellipsoid
	a, n := o.aim(lon, lat), closest{-1, 0, reach * reach}
	o.nearest(&n, &a)
	if n.edge < 0 {
		return 0, false
	}
	return o.metres(&n, lon, lat), true
}

// crossed reports whether a segment meets an edge.
func (o *outline) crossed(from, to point) bool {
	way := nowhere
	way.add(from.lon, from.lat)
	way.add(to.lon, to.lat)
	level, n := len(o.above), len(o.chunks)
	if level > 0 {
		n = len(o.above[level-1])
	}
	return o.meet(&way, from, to, level, 0, n)
}

func (o *outline) meet(way *box, from, to point, level, first, end int) bool {
	for i := first; i < end; i++ {
		if !o.boxAt(level, i).meets(way) {
			continue
		}
		if level > 0 {
			below := len(o.chunks)
			if level > 1 {
				below = len(o.above[level-2])
			}
			if o.meet(way, from, to, level-1, i*fanOut, min((i+1)*fanOut, below)) {
				return true
			}
			continue
		}
		for k := o.chunks[i].from; k < o.chunks[i].to; k++ {
			if segmentsMeet(from, to, o.at[k], o.at[k+1]) {
				return true
			}
		}
	}
	return false
}

// segmentsMeet reports whether two segments have a point in common.
func segmentsMeet(p, q, a, b point) bool {
	if max(p.lon, q.lon) < min(a.lon, b.lon) || max(a.lon, b.lon) < min(p.lon, q.lon) ||
		max(p.lat, q.lat) < min(a.lat, b.lat) || max(a.lat, b.lat) < min(p.lat, q.lat) {
		return false
	}
	return orientation(p.lon, p.lat, q.lon, q.lat, a.lon, a.lat)*orientation(p.lon, p.lat, q.lon, q.lat, b.lon, b.lat) <= 0 &&
		orientation(a.lon, a.lat, b.lon, b.lat, p.lon, p.lat)*orientation(a.lon, a.lat, b.lon, b.lat, q.lon, q.lat) <= 0
}
