package geofence

import (
	"math"
	"slices"

	"github.com/twpayne/go-geom"

	"zhijiao/devices"
)

// Indecision is how a zone would do for somebody, by that person's own fixes of the last days: what its author is told
// before anybody waits at night for a verdict that cannot come.
type Indecision struct {
	Fixes       int     `json:"fixes"`       // in the zone or near it
	Undecidable int     `json:"undecidable"` // of them: the error circle lies on both sides
	SizeM       float64 `json:"size_m"`      // the radius of the zone, or of a circle of the same area
	All         int     `json:"all"`         // fixes anywhere
	AccuracyM   float64 `json:"accuracy_m"`  // the usual accuracy, as rules take it: the median of all; 0 where there are none
}

// Share is how often the zone would be undecidable.
func (i *Indecision) Share() float64 {
	if i.Fixes == 0 {
		return 0
	}
	return float64(i.Undecidable) / float64(i.Fixes)
}

// TooSmall says whether the zone is smaller than the accuracy its subject's devices usually have: hardly any fix can then be
// surely inside.
func (i *Indecision) TooSmall() bool { return i.All > 0 && i.SizeM < i.AccuracyM }

// oftenUndecidable is the share of fixes from which on the author is warned.
const oftenUndecidable = 0.05

// Warns says whether the author should draw it larger, or give the person a better device.
func (i *Indecision) Warns() bool { return i.TooSmall() || i.Share() >= oftenUndecidable }

// How far around a zone a fix is about it: as far as the zone is large, within these, metres.
const (
	nearLeast = 500.0
	nearMost  = 5000.0
)

// indecision counts; it keeps the accuracy of every fix, four bytes each, for the median.
type indecision struct {
	zone     *Zone
	params   *Params
	near     int64
	result   Indecision
	accuracy []int32 // centimetres
}

func newIndecision(z *Zone, p *Params, size float64) *indecision {
	return &indecision{zone: z, params: p, near: centimetres(min(max(size, nearLeast), nearMost)), result: Indecision{SizeM: size}}
}

func (i *indecision) add(lon, lat, accuracyM float64, m devices.Method) {
	accuracy := i.params.accuracy(m, centimetres(accuracyM))
	i.accuracy = append(i.accuracy, int32(min(accuracy, math.MaxInt32)))
	v, margin := Judge(i.zone, lon, lat, accuracy)
	if margin > i.near {
		return
	}
	i.result.Fixes++
	if v == Undecidable {
		i.result.Undecidable++
	}
}

func (i *indecision) done() Indecision {
	slices.Sort(i.accuracy)
	if i.result.All = len(i.accuracy); i.result.All > 0 {
		i.result.AccuracyM = float64(i.accuracy[i.result.All/2]) / 100
	}
	return i.result
}

// sizeOf is the radius of a circle of the same area, metres.
func sizeOf(g geom.T, radiusM float64) float64 {
	mp, ok := g.(*geom.MultiPolygon)
	if !ok {
		return radiusM
	}
	var area float64
	for p := range mp.NumPolygons() {
		for k := range mp.Polygon(p).NumLinearRings() {
			ring := points(mp.Polygon(p).LinearRing(k))
			east, north := degreeScale(ring[0].lat)
			var twice float64
			for i := 1; i < len(ring); i++ {
				a, b, o := ring[i-1], ring[i], ring[0]
				twice += float64((a.lon-o.lon)*(b.lat-o.lat)) - float64((a.lat-o.lat)*(b.lon-o.lon))
			}
			square := math.Abs(twice) / 2 * east * north
			if k > 0 {
				square = -square
			}
			area += square
		}
	}
	return math.Sqrt(max(0, area) / math.Pi)
}
