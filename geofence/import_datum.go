package geofence

import (
	"fmt"
	"math"

	"zhijiao/devices"
)

// How an outline is compared with one that is known. Outlines of the same border from two sources lie within tens of
// metres of each other; the datums lie 300 m to 1.2 km apart everywhere in China.
const (
	fitSamples = 400  // places along an outline
	fitWithin  = 50.0 // metres: such a place lies on the other outline
	fitLeast   = 0.10 // of an outline on the other one: they share a border
	fitMarked  = 3.0  // so many times better than as declared
	fitNudge   = 200.0
	fitFirm    = 0.75 // moved by fitNudge in any direction less than this share of the fit is left, or it is a chance of straight lines
)

// Likeness is a doubt about a declared datum: taken as another one, an outline falls on one that is known.
type Likeness struct {
	Datum     devices.Datum // what it looks like
	Reference string        // the name of the zone it falls on
	Share     float64       // of the outline that lies on it then
	Declared  float64       // and as it was declared
	OffM      float64       // how far apart the two readings are, metres
}

// sampled are places along the outline in the coordinates of the file, evenly spread.
func (z *Imported) sampled() [][2]float64 {
	var total float64
	each := func(do func(a, b [2]float64, long float64)) {
		for p := range z.Geometry.NumPolygons() {
			for k := range z.Geometry.Polygon(p).NumLinearRings() {
				ring := points(z.Geometry.Polygon(p).LinearRing(k))
				for i := 1; i < len(ring); i++ {
					a, b := ring[i-1], ring[i]
					do([2]float64{a.lon, a.lat}, [2]float64{b.lon, b.lat}, metres(a.lon, a.lat, b.lon, b.lat))
				}
			}
		}
	}
	each(func(_, _ [2]float64, long float64) { total += long })
	step := total / fitSamples
	out := make([][2]float64, 0, fitSamples+1)
	next, gone := step/2, 0.0
	each(func(a, b [2]float64, long float64) {
		for ; next < gone+long && len(out) < fitSamples; next += step {
			f := (next - gone) / long
			lon, lat := devices.FromWGS84(z.Datum, along(a[0], b[0], f), along(a[1], b[1], f))
			out = append(out, [2]float64{lon, lat})
		}
		gone += long
	})
	return out
}

// fit is the share of places that lie on the edge of a zone when they are read in a datum and moved by some metres.
func fit(drawn [][2]float64, d devices.Datum, z *Zone, east, north float64) float64 {
	on := 0
	for _, c := range drawn {
		lon, lat := devices.ToWGS84(d, c[0], c[1])
		e, n := degreeScale(lat)
		if math.Abs(z.Distance(lon+east/e, lat+north/n)) <= fitWithin {
			on++
		}
	}
	return float64(on) / float64(max(1, len(drawn)))
}

// pinned says whether a fit is lost when the outline is moved a little in any direction. Straight lines fit anywhere along
// themselves; two bent ones only where they are the same.
func pinned(drawn [][2]float64, d devices.Datum, z *Zone, share float64) bool {
	for k := range 8 {
		north, east := math.Sincos(float64(k) * math.Pi / 4)
		if fit(drawn, d, z, fitNudge*east, fitNudge*north) > fitFirm*share {
			return false
		}
	}
	return true
}

// landmark is a zone whose place is known.
type landmark struct {
	name string
	zone *Zone
}

// likeness compares the outline with references in every datum it could be in; nil where nothing speaks against what was
// declared. One reference it falls on as declared is enough for that.
func (z *Imported) likeness(known []landmark) *Likeness {
	if len(known) == 0 {
		return nil
	}
	drawn := z.sampled()
	declared := 0.0
	for _, r := range known {
		declared = max(declared, fit(drawn, z.Datum, r.zone, 0, 0))
	}
	var best *Likeness
	for _, d := range []devices.Datum{devices.WGS84, devices.GCJ02, devices.BD09} {
		if d == z.Datum || d == devices.WGS84 && z.Datum == devices.CGCS2000 {
			continue
		}
		for _, r := range known {
			share := fit(drawn, d, r.zone, 0, 0)
			if share < fitLeast || share < fitMarked*declared || best != nil && share <= best.Share || !pinned(drawn, d, r.zone, share) {
				continue
			}
			best = &Likeness{Datum: d, Reference: r.name, Share: share, Declared: declared}
		}
	}
	if best != nil {
		lon1, lat1 := devices.ToWGS84(z.Datum, drawn[0][0], drawn[0][1])
		lon2, lat2 := devices.ToWGS84(best.Datum, drawn[0][0], drawn[0][1])
		best.OffM = metres(lon1, lat1, lon2, lat2)
	}
	return best
}

// refused is the question to the author.
func (l *Likeness) refused(field string, declared devices.Datum) *Refused {
	return &Refused{Field: field, Reason: DoubtfulDatum, Detail: fmt.Sprintf(
		"the datum looks like %s and not %s: %.1f km off; as %s %.0f %% of the outline lie on %s, as declared %.0f %%; declare --datum %s, or say --datum-is-right",
		l.Datum, declared, l.OffM/1000, l.Datum, 100*l.Share, l.Reference, 100*l.Declared, l.Datum)}
}
