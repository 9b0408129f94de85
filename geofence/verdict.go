package geofence

import (
	"math"

	"zhijiao/devices"
)

// Verdict is what can be said of a fix and a zone.
type Verdict string

const (
	Inside      Verdict = "inside"
	Outside     Verdict = "outside"
	Undecidable Verdict = "undecidable" // 无法判定: the error circle lies on both sides
)

// centimetres rounds once, here, so that decisions are made in integers.
func centimetres(m float64) int64 {
	switch {
	case m > 1e12:
		return 1e14
	case m < -1e12:
		return -1e14
	}
	return int64(math.Round(m * 100))
}

// Judge is the verdict on a point with an accuracy radius in centimetres, and the signed distance to the edge, negative
// inside. Inside if even the far side of the error circle is in, outside if even the near side is out; the edge is in.
func Judge(z *Zone, lon, lat float64, accuracy int64) (v Verdict, margin int64) {
	margin = centimetres(z.Distance(lon, lat))
	switch {
	case margin+accuracy <= 0:
		return Inside, margin
	case margin-accuracy > 0:
		return Outside, margin
	}
	return Undecidable, margin
}

// verdict is Judge's verdict without the margin, which need not be measured where it is certain to be larger than the
// accuracy.
func (z *Zone) verdict(lon, lat float64, accuracy int64) Verdict {
	if z.cells == nil {
		v, _ := Judge(z, lon, lat, accuracy)
		return v
	}
	covers, _, least := z.cells.near(lon, lat, float64(accuracy+2)/100)
	margin := int64(min(100*least, 1e14)) - 1 // and rounding
	if margin <= accuracy {
		d, ok := z.cells.within(lon, lat, float64(accuracy)/100)
		if ok {
			margin = centimetres(d)
		} else {
			margin = accuracy + 1
		}
	}
	switch {
	case covers && margin >= accuracy || !covers && margin == 0 && accuracy == 0: // the edge is in
		return Inside
	case !covers && margin > accuracy:
		return Outside
	}
	return Undecidable
}

// accuracy is the radius to be used for a fix, centimetres: what it claims, never below the floor of its method, and
// three floors where it claims nothing.
func (p *Params) accuracy(m devices.Method, claimed int64) int64 {
	floor := p.FloorGNSS
	switch m {
	case devices.MethodWiFi:
		floor = p.FloorWiFi
	case devices.MethodCell:
		floor = p.FloorCell
	case devices.MethodRF:
		floor = p.FloorRF
	}
	if claimed == 0 {
		return 3 * centimetres(floor)
	}
	return max(claimed, centimetres(floor))
}

// judged is the mark with a rule's accuracy, verdict and margin.
func (p *Params) judged(z *Zone, m Mark) Mark {
	m.Accuracy = p.radius(&m)
	m.Verdict, m.Margin = Judge(z, m.lon(), m.lat(), m.Accuracy)
	return m
}

// Judge is the verdict on a place as claimed, with the accuracy a rule of these thresholds would use.
func (p *Params) Judge(z *Zone, lon, lat, accuracyM float64, m devices.Method) (Verdict, int64) {
	return Judge(z, lon, lat, p.accuracy(m, centimetres(accuracyM)))
}
