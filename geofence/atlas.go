package geofence

import (
	"math"
	"slices"
)

// Atlas finds which of many zones cover a point: a grid over all of them, divided into 4 by 4 where many edges are. A cell
// names the zones that cover all of it, and those that cover some of it with their edges near it, as cells do. Immutable: when
// a zone changes, another atlas takes its place. It needs no memory to answer.
type Atlas struct {
	box
	perLon, perLat float64 // cells of the grid a degree
	cols, rows     int
	width, height  float64  // of a cell of the grid, degrees
	nodes          []plot   // the grid row by row, then blocks of split*split
	entries        []uint32 // of listed cells, see entry
	zones          []*Zone
	at             [][]point // of zones: their points
}

// plot is one cell: nothing (0), one zone that covers it, where its list is, or where its block begins.
type plot uint32

const (
	covered plot = (iota + 1) << 30
	listed
	parted
	kindOfPlot = parted
)

func (p plot) value() int { return int(p &^ kindOfPlot) }

// A listed cell is how many zones it names, and for each of them the number of the zone and what follows in the lowest two
// bits: nothing, since it covers the cell; nothing, and the zone is to be asked; or runs of edges. Then comes a word of how
// many runs, which reference and the side that is on, and each run is its first edge and how many.
const (
	entryAll uint32 = iota
	entryAsk
	entryRuns
	entryBits = 2

	runsReferenceBits = 1
	runsCountBits     = 4
)

const (
	plotsPerEdge = 1.0 / 16 // of the grid
	plotsPerZone = 4
	mostPlots    = 1 << 22
	edgesPerPlot = 8
	deepestPlot  = 8
	mostNamed    = 2 * edgesPerPlot // edges of one zone; with more of them the zone is asked
)

// NewAtlas lays out zones; no more than 250 million.
func NewAtlas(zones []*Zone) *Atlas {
	a := &Atlas{zones: slices.Clone(zones), at: make([][]point, len(zones)), box: nowhere}
	all, edges := make([]share, len(zones)), 0
	for i, z := range a.zones {
		all[i] = share{int32(i), true}
		b := z.box
		if b.minLon < -180 || b.maxLon > 180 {
			b.minLon, b.maxLon = -180, 180 // around ±180°
		}
		a.join(&b)
		if z.cells != nil {
			a.at[i] = z.cells.at
			edges += len(z.cells.at)
		}
	}
	if len(zones) == 0 {
		return a
	}
	w, h := max(a.maxLon-a.minLon, smallestCell), max(a.maxLat-a.minLat, smallestCell)
	n := min(mostPlots, plotsPerZone*float64(len(zones))+plotsPerEdge*float64(edges))
	a.cols = int(max(1, min(math.Sqrt(n*w/h), n, w/smallestCell)))
	a.rows = int(max(1, min(n/float64(a.cols), h/smallestCell)))
	a.width, a.height = w/float64(a.cols), h/float64(a.rows)
	a.perLon, a.perLat = 1/a.width, 1/a.height
	a.nodes = make([]plot, a.cols*a.rows)
	p := plotter{Atlas: a, budget: 16*edges + 64*len(zones)}
	p.lay(all, 0, 0, a.cols, a.rows)
	p.divide()
	a.nodes, a.entries = slices.Clip(a.nodes), slices.Clip(a.entries)
	return a
}

// Locate appends the zones that cover a point; the edge is inside (R30). Versions that are not valid any more are among
// them if they are in the atlas.
func (a *Atlas) Locate(lon, lat float64, to []*Zone) []*Zone {
	if !a.box.covers(lon, lat) {
		return to
	}
	u, v := (lon-a.minLon)*a.perLon, (lat-a.minLat)*a.perLat
	c, r := min(int(u), a.cols-1), min(int(v), a.rows-1)
	p, s := a.nodes[r*a.cols+c], spot{float64(c), float64(r), 1}
	for p&kindOfPlot == parted {
		s.size /= split
		c, r = min(int((u-s.u)/s.size), split-1), min(int((v-s.v)/s.size), split-1)
		s.u, s.v = s.u+float64(float64(c)*s.size), s.v+float64(float64(r)*s.size)
		p = a.nodes[p.value()+r*split+c]
	}
	switch p & kindOfPlot {
	case covered:
		return append(to, a.zones[p.value()])
	case listed:
		return a.listed(p.value(), s, point{lon, lat}, to)
	}
	return to
}

// listed appends the zones of a listed cell that cover a point.
func (a *Atlas) listed(i int, s spot, p point, to []*Zone) []*Zone {
	list := a.entries[i:]
	n := list[0]
	for list = list[1:]; n > 0; n-- {
		zone := list[0] >> entryBits
		switch list[0] & (1<<entryBits - 1) {
		case entryAll:
			to, list = append(to, a.zones[zone]), list[1:]
		case entryAsk:
			if list = list[1:]; a.zones[zone].Covers(p.lon, p.lat) {
				to = append(to, a.zones[zone])
			}
		default:
			w, at := list[1], a.at[zone]
			from := s.reference(int(w>>runsReferenceBits&7), &a.box, a.width, a.height)
			in, on, runs := w&1 != 0, false, int(w>>runsCountBits)
			list = list[2:]
			for k := 0; k < 2*runs && !on; k += 2 {
				in, on = flip(at[list[k]:list[k]+list[k+1]+1], from, p, in)
			}
			if list = list[2*runs:]; in || on {
				to = append(to, a.zones[zone])
			}
		}
	}
	return to
}

// share is a zone and whether it covers only some of a cell.
type share struct {
	zone int32
	some bool
}

// lay fills cols by rows cells of the grid, of which candidates cover something.
func (a *plotter) lay(candidates []share, c, r, cols, rows int) {
	if cols == 1 && rows == 1 {
		at := spot{float64(c), float64(r), 1}
		b := a.plotBox(at)
		shares, edges := a.shares(candidates, &b)
		a.plot(r*a.cols+c, at, shares, edges, 0)
		return
	}
	b := box{a.minLon + float64(c)*a.width, a.minLat + float64(r)*a.height, a.minLon + float64(c+cols)*a.width, a.minLat + float64(r+rows)*a.height}
	shares, _ := a.shares(candidates, &b)
	if len(shares) == 0 {
		return
	}
	if cols >= rows {
		a.lay(shares, c, r, cols/2, rows)
		a.lay(shares, c+cols/2, r, cols-cols/2, rows)
		return
	}
	a.lay(shares, c, r, cols, rows/2)
	a.lay(shares, c, r+rows/2, cols, rows-rows/2)
}

func (a *Atlas) plotBox(s spot) box {
	lon, lat := a.minLon+s.u*a.width, a.minLat+s.v*a.height
	return box{lon, lat, lon + s.size*a.width, lat + s.size*a.height}
}

// shares are the candidates that cover some or all of a box, and how many edges, about, come near it.
func (a *Atlas) shares(candidates []share, b *box) (out []share, edges int) {
	for _, x := range candidates {
		if !x.some {
			out = append(out, x)
			continue
		}
		some, all, n := a.zones[x.zone].reaches(b, edgesPerPlot+1)
		if some || all {
			out, edges = append(out, share{x.zone, !all}), edges+n
		}
	}
	return out, edges
}

// plotter makes an atlas.
type plotter struct {
	*Atlas
	budget int // how many cells and shares of cells dividing may yet make: zones that lie on each other must not cost more than others
	queue  []pendingPlot
}

// pendingPlot is a cell that is to be divided.
type pendingPlot struct {
	node, depth int
	spot
	shares []share
}

// plot makes a cell; if it has too many edges it is divided later.
func (a *plotter) plot(node int, s spot, shares []share, edges, depth int) {
	switch {
	case len(shares) == 0:
	case len(shares) == 1 && !shares[0].some:
		a.nodes[node] = covered | plot(shares[0].zone)
	case edges <= edgesPerPlot || depth == deepestPlot || s.size*min(a.width, a.height) < smallestCell:
		a.list(node, s, shares)
	default:
		a.queue = append(a.queue, pendingPlot{node, depth, s, shares})
	}
}

// list makes a cell that names zones.
func (a *Atlas) list(node int, s spot, shares []share) {
	a.nodes[node] = listed | plot(len(a.entries))
	a.entries = append(a.entries, uint32(len(shares)))
	for _, x := range shares {
		a.enter(s, x)
	}
}

// divide divides the cells that have too many edges, those divided least first, as long as the budget lasts.
func (a *plotter) divide() {
	for ; len(a.queue) > 0; a.queue = a.queue[1:] {
		p := &a.queue[0]
		if a.budget <= 0 {
			a.list(p.node, p.spot, p.shares)
			continue
		}
		first, node, depth := len(a.nodes), p.node, p.depth
		a.nodes = append(a.nodes, make([]plot, split*split)...)
		shares, at := p.shares, p.spot
		for k := range split * split {
			t := spot{at.u + float64(k%split)*at.size/split, at.v + float64(k/split)*at.size/split, at.size / split}
			b := a.plotBox(t)
			part, n := a.shares(shares, &b)
			a.budget -= 1 + len(part)
			a.plot(first+k, t, part, n, depth+1)
		}
		a.nodes[node] = parted | plot(first)
	}
}

// enter appends what a listed cell says of a zone.
func (a *Atlas) enter(s spot, x share) {
	zone, cells := uint32(x.zone)<<entryBits, a.zones[x.zone].cells
	if !x.some {
		a.entries = append(a.entries, zone|entryAll)
		return
	}
	if cells != nil {
		b := a.plotBox(s)
		b.widen()
		var buffer [mostNamed + 1]int32
		list := cells.gather(&b, mostNamed+1, buffer[:0])
		for which := range afar {
			if len(list) > mostNamed {
				break
			}
			from := s.reference(which, &a.box, a.width, a.height)
			if on := slices.ContainsFunc(list, func(e int32) bool {
				_, on := cells.flip(point{a.minLon - 1, a.minLat - 1}, from, int(e), int(e)+1, false)
				return on
			}); on {
				continue
			}
			w := uint32(which) << runsReferenceBits
			if cells.covers(from.lon, from.lat) {
				w |= 1
			}
			a.entries = append(a.entries, zone|entryRuns, w)
			word := len(a.entries) - 1
			for i := 0; i < len(list); {
				k := i + 1
				for k < len(list) && list[k] == list[k-1]+1 {
					k++
				}
				a.entries = append(a.entries, uint32(list[i]), uint32(k-i))
				a.entries[word] += 1 << runsCountBits
				i = k
			}
			return
		}
	}
	a.entries = append(a.entries, zone|entryAsk)
}

// widen makes a box larger by what rounding may move a point by, and more.
func (b *box) widen() {
	const hair = 1e-9
	b.minLon, b.minLat, b.maxLon, b.maxLat = b.minLon-hair, b.minLat-hair, b.maxLon+hair, b.maxLat+hair
}

// reaches reports whether a zone may cover some of a box, or certainly all of it, and how many edges, up to most, come near.
func (z *Zone) reaches(b *box, most int) (some, all bool, edges int) {
	wide := *b
	wide.widen()
	lon, lat := (b.minLon+b.maxLon)/2, (b.minLat+b.maxLat)/2
	if !z.box.meetsAround(&wide) {
		return false, false, 0
	}
	if z.cells != nil {
		var buffer [edgesPerPlot + 1]int32
		if near := z.cells.gather(&wide, most, buffer[:0]); len(near) > 0 {
			return true, false, len(near)
		}
		covers := z.cells.covers(lon, lat)
		return covers, covers, 0
	}
	east, _ := degreeScale(min(math.Abs(wide.minLat), math.Abs(wide.maxLat)))
	if wide.minLat < 0 && wide.maxLat > 0 {
		east, _ = degreeScale(0)
	}
	half := 1.02*math.Hypot((wide.maxLon-wide.minLon)*east, (wide.maxLat-wide.minLat)*northMost)/2 + 0.01
	d := z.Distance(lon, lat)
	return d <= half, d < -half, 1
}

// northMost is more than a degree of latitude is anywhere, metres.
const northMost = 111_700

// gather appends the edges, up to most, that come near a box, ascending.
func (o *outline) gather(b *box, most int, to []int32) []int32 {
	level, n := len(o.above), len(o.chunks)
	if level > 0 {
		n = len(o.above[level-1])
	}
	return o.gatherFrom(b, most, to, level, 0, n)
}

func (o *outline) gatherFrom(b *box, most int, to []int32, level, first, end int) []int32 {
	for i := first; i < end && len(to) < most; i++ {
		if !o.boxAt(level, i).meets(b) {
			continue
		}
		if level > 0 {
			below := len(o.chunks)
			if level > 1 {
				below = len(o.above[level-2])
			}
			to = o.gatherFrom(b, most, to, level-1, i*fanOut, min((i+1)*fanOut, below))
			continue
		}
		for k := o.chunks[i].from; k < o.chunks[i].to && len(to) < most; k++ {
			if b.near(o.at[k], o.at[k+1]) {
				to = append(to, k)
			}
		}
	}
	return to
}

// near reports whether a segment may meet the box; when in doubt it does.
func (b *box) near(p, q point) bool {
	if max(p.lon, q.lon) < b.minLon || min(p.lon, q.lon) > b.maxLon || max(p.lat, q.lat) < b.minLat || min(p.lat, q.lat) > b.maxLat {
		return false
	}
	dx, dy := q.lon-p.lon, q.lat-p.lat
	lon, lat := (b.minLon+b.maxLon)/2-p.lon, (b.minLat+b.maxLat)/2-p.lat
	half := (b.maxLon-b.minLon)/2*math.Abs(dy) + (b.maxLat-b.minLat)/2*math.Abs(dx)
	return math.Abs(dx*lat-dy*lon) <= half*(1+1e-9)+1e-12*(math.Abs(dx)+math.Abs(dy))
}
