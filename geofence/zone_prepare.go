package geofence

import (
	"math"
	"slices"
)

const (
	cellsPerEdge = 2
	fewestCells  = 64
	smallestCell = 1e-7 // degrees, of the grid
	deepest      = 10   // times a cell is divided
	// slack is how much beyond its sides a cell counts an edge as near: more than what rounding moves a point or an edge by.
	slack = 1.0 / 1024
)

// newCells prepares rings.
func newCells(o *outline) *cells {
	w, h := max(o.maxLon-o.minLon, smallestCell), max(o.maxLat-o.minLat, smallestCell)
	x := &cells{outline: *o}
	x.cols, x.rows = o.grid(w, h)
	x.width, x.height = w/float64(x.cols), h/float64(x.rows)
	x.perLon, x.perLat = 1/x.width, 1/x.height
	if w < 180 {
		narrowest, _ := degreeScale(max(math.Abs(o.minLat), math.Abs(o.maxLat)))
		x.side = 0.9 * max(0, min(x.width*narrowest, x.height*northLeast))
	}
	lists := x.spread()
	x.fill(lists)
	return x
}

// grid is how many cells lie side by side and above one another over w by h degrees: so many that an edge reaches into few,
// and more across the way that most edges take.
func (o *outline) grid(w, h float64) (cols, rows int) {
	east, north := 1.0, 1.0 // how often the edges together go from side to side, and up and down; and once more
	o.edges(func(_ int, a, b point) { east, north = east+math.Abs(b.lon-a.lon)/w, north+math.Abs(b.lat-a.lat)/h })
	edges := float64(len(o.at))
	for n := max(cellsPerEdge*edges, fewestCells); ; n /= 2 {
		c := max(1, min(math.Sqrt(n*north/east), n, w/smallestCell))
		r := max(1, min(n/c, h/smallestCell))
		if n <= 1 || c*east+r*north < 4*edges+fewestCells {
			return int(c), int(r)
		}
	}
}

// lists are the edges near each cell, ascending: of cell i edges[start[i]:start[i+1]].
type lists struct{ start, edges []int32 }

func (l *lists) of(i int) []int32 { return l.edges[l.start[i]:l.start[i+1]] }

// spread finds the edges near each cell of the grid.
func (x *cells) spread() *lists {
	l := &lists{start: make([]int32, x.cols*x.rows+1)}
	x.outline.edges(func(_ int, a, b point) {
		x.touched(a, b, func(i int) { l.start[i+1]++ })
	})
	for i := 1; i < len(l.start); i++ {
		l.start[i] += l.start[i-1]
	}
	l.edges = make([]int32, l.start[len(l.start)-1])
	next := slices.Clone(l.start[:len(l.start)-1])
	x.outline.edges(func(e int, a, b point) {
		x.touched(a, b, func(i int) {
			l.edges[next[i]] = int32(e)
			next[i]++
		})
	})
	return l
}

func (x *cells) touched(a, b point, f func(i int)) {
	sweep((a.lon-x.minLon)*x.perLon, (a.lat-x.minLat)*x.perLat, (b.lon-x.minLon)*x.perLon, (b.lat-x.minLat)*x.perLat,
		x.cols, x.rows, func(c, r int) { f(r*x.cols + c) })
}

// sweep calls f with every cell that a segment comes near, in units of cells; perhaps with some more, never with one less.
func sweep(u0, v0, u1, v1 float64, cols, rows int, f func(c, r int)) {
	at := func(v float64, n int) int { return int(max(0, min(v, float64(n-1)))) }
	minU, maxU, minV, maxV := min(u0, u1)-slack, max(u0, u1)+slack, min(v0, v1)-slack, max(v0, v1)+slack
	if maxU < 0 || maxV < 0 || minU > float64(cols) || minV > float64(rows) {
		return
	}
	c0, c1, r0, r1 := at(minU, cols), at(maxU, cols), at(minV, rows), at(maxV, rows)
	if r0 == r1 || c0 == c1 || math.Abs(v1-v0) < slack {
		for r := r0; r <= r1; r++ {
			for c := c0; c <= c1; c++ {
				f(c, r)
			}
		}
		return
	}
	slope := (u1 - u0) / (v1 - v0)
	for r := r0; r <= r1; r++ {
		low, high := max(minV, float64(r)-slack), min(maxV, float64(r+1)+slack)
		a, b := u0+(low-v0)*slope, u0+(high-v0)*slope
		from, to := max(min(a, b)-slack, minU), min(max(a, b)+slack, maxU)
		if from > float64(cols) || to < 0 {
			continue
		}
		for c := at(from, cols); c <= at(to, cols); c++ {
			f(c, r)
		}
	}
}

// fill makes the nodes of the grid out of the edges near them.
func (x *cells) fill(l *lists) {
	b := builder{cells: x, budget: 8*len(x.at) + 1024}
	x.nodes = make([]node, x.cols*x.rows, x.cols*x.rows*9/8)
	apart, near := x.distances(l)
	for r := range x.rows {
		last := spot{-1, float64(r), 1} // to the left of the box nothing is inside
		where, in, before := x.reference(last, 0), false, []int32(nil)
		for c := range x.cols {
			i := r*x.cols + c
			list, s := l.of(i), spot{float64(c), float64(r), 1}
			if len(list) == 0 {
				if len(before) > 0 {
					to := x.reference(s, 0)
					in, _ = b.flips(where, to, before, in)
					where, before = to, nil
				} else {
					where = x.reference(s, 0)
				}
				x.nodes[i] = empty(in, apart[i]-1, near[i])
				continue
			}
			b.union = join(b.union[:0], before, list)
			p, ok := b.place(i, s, list, where, b.union, in, 0)
			if where, in, before = p.where, p.in, list; !ok {
				where, in, before = x.reference(s, afar), false, x.all()
			}
		}
	}
	b.divide()
	x.nodes, x.runs = slices.Clip(x.nodes), slices.Clip(x.runs)
}

func empty(in bool, apart, near int32) node {
	n := outside
	if in {
		n = inside
	}
	return n | node(max(apart, 0))<<apartBits | node(near)
}

// all are the numbers of all edges.
func (x *cells) all() []int32 {
	all := make([]int32, 0, len(x.at))
	x.outline.edges(func(e int, _, _ point) { all = append(all, int32(e)) })
	return all
}

// distances are, for each cell of the grid, how many cells it is from the next cell with an edge, king's moves, and an edge
// of that.
func (x *cells) distances(l *lists) (apart, near []int32) {
	apart, near = make([]int32, len(x.nodes)), make([]int32, len(x.nodes))
	for i := range apart {
		apart[i] = math.MaxInt32 - 1
		if list := l.of(i); len(list) > 0 {
			apart[i], near[i] = 0, list[0]
		}
	}
	look := func(i, c, r int) {
		if c < 0 || c >= x.cols || r < 0 || r >= x.rows {
			return
		}
		if k := r*x.cols + c; apart[k]+1 < apart[i] {
			apart[i], near[i] = apart[k]+1, near[k]
		}
	}
	for r := range x.rows {
		for c := range x.cols {
			if i := r*x.cols + c; apart[i] > 0 {
				look(i, c-1, r-1)
				look(i, c, r-1)
				look(i, c+1, r-1)
				look(i, c-1, r)
			}
		}
	}
	for r := x.rows - 1; r >= 0; r-- {
		for c := x.cols - 1; c >= 0; c-- {
			if i := r*x.cols + c; apart[i] > 0 {
				look(i, c+1, r+1)
				look(i, c, r+1)
				look(i, c-1, r+1)
				look(i, c+1, r)
			}
		}
	}
	return apart, near
}

// builder makes nodes.
type builder struct {
	*cells
	budget int // how many edges in cells that are yet to be divided may be named: a needle must not cost more than its zone
	queue  []pending
	union  []int32
}

// pending is a cell that is to be divided.
type pending struct {
	node  int
	depth int
	spot
	edges []int32
	where point // its reference
	in    bool
}

// join appends the union of two ascending lists.
func join(to, a, b []int32) []int32 {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			to, a = append(to, a[0]), a[1:]
		case a[0] > b[0]:
			to, b = append(to, b[0]), b[1:]
		default:
			to, a, b = append(to, a[0]), a[1:], b[1:]
		}
	}
	return append(append(to, a...), b...)
}

// flips is flip over an ascending list of edges.
func (b *builder) flips(from, to point, list []int32, in bool) (_, on bool) {
	for i := 0; i < len(list); {
		k := i + 1
		for k < len(list) && list[k] == list[k-1]+1 {
			k++
		}
		if in, on = b.flip(from, to, int(list[i]), int(list[k-1])+1, in); on {
			return in, true
		}
		i = k
	}
	return in, false
}

// place makes a cell with edges: it is divided later, or names them. known is a point on the side in, on no edge, and around
// are the edges that may lie between it and the cell. Not ok: every reference in the cell is on an edge.
func (b *builder) place(i int, s spot, list []int32, known point, around []int32, in bool, depth int) (p pending, ok bool) {
	for which := range afar {
		where := b.reference(s, which)
		if _, on := b.flips(known, where, list, false); on {
			continue
		}
		in, _ = b.flips(known, where, around, in)
		p = pending{node: i, depth: depth, spot: s, edges: list, where: where, in: in}
		if len(list) > edgesPerCell && depth < deepest {
			b.queue = append(b.queue, p)
		}
		b.nodes[i] = b.name(list, which, in)
		return p, true
	}
	b.nodes[i] = b.name(b.all(), afar, false)
	return p, false
}

// name makes the node that names edges.
func (b *builder) name(list []int32, which int, in bool) node {
	n := bordering | node(which)<<referenceBits
	if in {
		n |= referenceIn
	}
	if first, last := list[0], list[len(list)-1]; int(last-first) == len(list)-1 {
		return n | node(len(list))<<countBits | node(first)
	}
	start := len(b.runs)
	for i := 0; i < len(list); {
		k := i + 1
		for k < len(list) && list[k] == list[k-1]+1 {
			k++
		}
		b.runs = append(b.runs, run{list[i], list[k-1] + 1})
		i = k
	}
	return n | severalRuns | node(len(b.runs)-start)<<countBits | node(start)
}

// divide divides the cells that have too many edges, those divided least first, as long as the budget lasts.
func (b *builder) divide() {
	for len(b.queue) > 0 && b.budget > 0 {
		p := b.queue[0]
		b.queue = b.queue[1:]
		var near [split * split][]int32
		unit := func(v, origin float64) float64 { return (v - origin) * split / p.size }
		named := 0
		for _, e := range p.edges {
			q, r := b.edge(int(e))
			sweep(unit((q.lon-b.minLon)*b.perLon, p.u), unit((q.lat-b.minLat)*b.perLat, p.v),
				unit((r.lon-b.minLon)*b.perLon, p.u), unit((r.lat-b.minLat)*b.perLat, p.v), split, split, func(c, r int) {
					near[r*split+c] = append(near[r*split+c], e)
					named++
				})
		}
		b.budget -= named
		first := len(b.nodes)
		b.nodes = append(b.nodes, make([]node, split*split)...)
		for k, list := range near {
			s := spot{p.u + float64(k%split)*p.size/split, p.v + float64(k/split)*p.size/split, p.size / split}
			if len(list) > 0 {
				b.place(first+k, s, list, p.where, p.edges, p.in, p.depth+1)
				continue
			}
			in, _ := b.flips(p.where, b.reference(s, 0), p.edges, p.in)
			b.nodes[first+k] = empty(in, 0, p.edges[0])
		}
		b.nodes[p.node] = divided | node(first)
	}
	b.queue = nil
}
