package geofence

import (
	"fmt"
	"math"

	"github.com/twpayne/go-geom"
)

// Fault says what was wrong with an outline; the console has a sentence for each.
type Fault string

const (
	RepeatedVertex Fault = "repeated_vertex" // 重复顶点: left out
	WrongWinding   Fault = "wrong_winding"   // 环方向: outer rings go anticlockwise, holes clockwise (RFC 7946)
	OpenRing       Fault = "open_ring"       // 未闭合: closed with a straight edge
	Spike          Fault = "spike"           // 尖刺: out and back on the same line, left out
	CrossingRing   Fault = "crossing_ring"   // 自相交: what PostGIS calls invalid within one polygon
	TouchingParts  Fault = "touching_parts"  // 部分重叠或共边: polygons of one zone that overlap or share an edge, merged
)

// moves says whether mending such a fault is more than another way to write down the same outline; that needs consent.
func (f Fault) moves() bool { return f != RepeatedVertex && f != WrongWinding }

// Repair is one fault of an outline and what was done about it.
type Repair struct {
	Fault  Fault      `json:"fault"`
	Where  string     `json:"where"`  // features[0].geometry, polygon 2, ring 0
	Place  [2]float64 `json:"place"`  // lon lat as they stand in the file, where its author looks for it
	Detail string     `json:"detail"` // what was wrong and what was done, in words
}

// RepairReport is what became of a feature on its way in.
type RepairReport struct {
	Repairs        []Repair `json:"repairs,omitempty"`
	VerticesBefore int      `json:"vertices_before"`
	VerticesAfter  int      `json:"vertices_after"`
	AreaBefore     float64  `json:"area_before_m2"` // as drawn, on the ellipsoid; what is drawn twice counts twice
	AreaAfter      float64  `json:"area_after_m2"`
	// Changed is the share of the area that is another after the repair, or that two ways to read the drawing disagree on.
	Changed float64 `json:"changed"`
}

// MostChanged is the share of a zone's area a repair may change. What changes more is for its author to draw again: on
// the 2,600 km² of Tianmen it is a square of 1.6 km.
const MostChanged = 0.001

// NeedsConsent says whether an outline was changed, and not only written down in another way.
func (r *RepairReport) NeedsConsent() bool {
	for _, one := range r.Repairs {
		if one.Fault.moves() {
			return true
		}
	}
	return false
}

// corner is a vertex in WGS-84, in units of 1e-7 degrees, and as it stands in the file.
type corner struct {
	lon, lat int64
	drawn    [2]float64
}

func (c corner) same(d corner) bool { return c.lon == d.lon && c.lat == d.lat }

// turnsBack says whether a-b-c goes back from b on the line it came by: the corner b is then the tip of a spike, or the
// foot of one. Products of differences of 1e-7 degrees fit 63 bits (3.6e9 × 1.8e9).
func turnsBack(a, b, c corner) bool {
	x1, y1, x2, y2 := b.lon-a.lon, b.lat-a.lat, c.lon-b.lon, c.lat-b.lat
	return x1*y2 == y1*x2 && (x1 != 0 || y1 != 0) && (opposite(x1, x2) || opposite(y1, y2))
}

func opposite(a, b int64) bool { return a < 0 && b > 0 || a > 0 && b < 0 }

// mendRing repairs what can be repaired of one ring without doubt: closes it, leaves repeated corners and spikes out, and
// turns it the right way round. It returns the ring closed, or the reason why it is none.
func mendRing(where string, ring []corner, hole bool) ([]corner, []Repair, error) {
	refuse := func(detail string, c corner) error {
		return &Refused{Field: where, Reason: InvalidGeometry, Detail: detail, Place: &c.drawn}
	}
	if len(ring) == 0 {
		return nil, nil, &Refused{Field: where, Reason: InvalidGeometry, Detail: "a ring without points"}
	}
	var repairs []Repair
	told := func(f Fault, c corner, detail string) {
		repairs = append(repairs, Repair{f, where, c.drawn, detail})
	}
	first, last := ring[0], ring[len(ring)-1]
	closed := first.same(last)
	if closed {
		ring = ring[:len(ring)-1]
	}
	var out []corner
	for _, c := range ring {
		if n := len(out); n > 0 && out[n-1].same(c) {
			told(RepeatedVertex, c, "the vertex before once more: left out")
			continue
		}
		out = append(out, c)
	}
	for len(out) > 1 && out[0].same(out[len(out)-1]) {
		told(RepeatedVertex, out[0], "the first vertex once more: left out")
		out = out[:len(out)-1]
	}
	if len(out) < 3 {
		return nil, nil, refuse("a ring has at least three different points", first)
	}
	if !closed {
		gap, longest := apart(last, first), 0.0
		for i := 1; i < len(out); i++ {
			longest = math.Max(longest, apart(out[i-1], out[i]))
		}
		// A gap wider than any edge may as well be the part of the outline that is missing.
		if gap > longest {
			return nil, nil, refuse(fmt.Sprintf("the ring does not close: its ends lie %.0f m apart, more than any edge is long", gap), last)
		}
		told(OpenRing, last, fmt.Sprintf("the ring does not close: closed with an edge of %.1f m", gap))
	}
	out, spikes := withoutSpikes(out)
	if len(out) < 3 {
		return nil, nil, refuse("all points of the ring lie on one line: it has no area", first)
	}
	for _, c := range spikes {
		told(Spike, c, "out and back on the same line: left out")
	}
	turn := turned(out)
	if turn == 0 && len(out) == 3 {
		return nil, nil, refuse("all points of the ring lie on one line: it has no area", first)
	}
	if turn != 0 && (turn > 0) == hole {
		told(WrongWinding, out[0], "the ring goes the wrong way round: turned, the area is the same")
		for i, k := 1, len(out)-1; i < k; i, k = i+1, k-1 { // the first corner stays the first
			out[i], out[k] = out[k], out[i]
		}
	}
	return append(out, out[0]), repairs, nil
}

// withoutSpikes leaves out corners at which a ring turns back on itself, until there is none.
func withoutSpikes(ring []corner) (out, spikes []corner) {
	for {
		before := len(ring)
		out = out[:0:0]
		for _, c := range ring {
			for len(out) >= 2 && turnsBack(out[len(out)-2], out[len(out)-1], c) {
				spikes = append(spikes, out[len(out)-1])
				out = out[:len(out)-1]
			}
			if len(out) > 0 && out[len(out)-1].same(c) { // back at the foot
				continue
			}
			out = append(out, c)
		}
		out, spikes = withoutSpikesAtJoin(out, spikes)
		if len(out) == before || len(out) < 3 {
			return out, spikes
		}
		ring = out
	}
}

// withoutSpikesAtJoin does the same where the last corner meets the first.
func withoutSpikesAtJoin(ring, spikes []corner) (_, _ []corner) {
	for len(ring) >= 3 {
		n := len(ring)
		switch {
		case ring[n-1].same(ring[0]):
			ring = ring[:n-1]
		case turnsBack(ring[n-2], ring[n-1], ring[0]):
			spikes, ring = append(spikes, ring[n-1]), ring[:n-1]
		case turnsBack(ring[n-1], ring[0], ring[1]):
			spikes, ring = append(spikes, ring[0]), ring[1:]
		default:
			return ring, spikes
		}
	}
	return ring, spikes
}

// turned is twice the area of an open ring in square units, positive anticlockwise. Its sign is certain but for slivers.
func turned(ring []corner) (sum float64) {
	o := ring[0]
	for i := 1; i+1 < len(ring); i++ {
		a, b := ring[i], ring[i+1]
		sum += float64(float64(a.lon-o.lon)*float64(b.lat-o.lat)) - float64(float64(a.lat-o.lat)*float64(b.lon-o.lon))
	}
	return sum
}

func apart(a, b corner) float64 {
	return metres(float64(a.lon)/1e7, float64(a.lat)/1e7, float64(b.lon)/1e7, float64(b.lat)/1e7)
}

func coordsOf(ring []corner) []geom.Coord {
	out := make([]geom.Coord, len(ring))
	for i, c := range ring {
		out[i] = geom.Coord{float64(c.lon) / 1e7, float64(c.lat) / 1e7}
	}
	return out
}
