package simulate

import (
	"time"

	"zhijiao/devices"
)

// Truth is a misdeed as it happened, and whether what was sent could show it.
type Truth struct {
	Person int            `json:"person"`
	Serial devices.Serial `json:"serial"`
	Deed   Deed           `json:"deed"`
	From   time.Time      `json:"from"`
	Until  time.Time      `json:"until"`
	// Shown: a reader of the sent observations could tell. A wristband's journey needs three satellite fixes clearly
	// beyond the edge over more than the grace; a phone's needs one, since it is then asked for another; a silence needs
	// longer than the grace within the time that was simulated.
	Shown bool `json:"shown"`
	Fixes int  `json:"fixes"` // satellite fixes sent that lay clearly beyond the edge
}

// tally is what is counted for a misdeed while the world goes on.
type tally struct {
	misdeed     Misdeed
	fixes       int
	first, last time.Time
}

// wellBeyond an edge: further than the noise and every hysteresis, metres.
const wellBeyond = 150

// judge counts a sent message towards the misdeeds of its person.
func (w *World) judge(m *Message) {
	for k := range w.truth {
		t := &w.truth[k]
		if t.misdeed.Person != m.Person || t.misdeed.Deed == FallSilent {
			continue
		}
		for _, o := range m.Observations {
			if o.Place == nil || o.Place.Method != devices.MethodGNSS {
				continue
			}
			beyond := false
			switch t.misdeed.Deed {
			case LeaveCity:
				beyond = w.opts.City.Distance(o.Place.Lon, o.Place.Lat) > wellBeyond
			case EnterKeepOut:
				beyond = w.opts.KeepOut.Distance(o.Place.Lon, o.Place.Lat) < -wellBeyond
			}
			if !beyond {
				continue
			}
			if t.fixes == 0 {
				t.first = o.At
			}
			t.fixes++
			t.last = o.At
		}
	}
}

// Truth tells what everybody did wrong up to now.
func (w *World) Truth(now time.Time) []Truth {
	var out []Truth
	for _, t := range w.truth {
		m := t.misdeed
		from := w.opts.Start.Add(m.After)
		v := Truth{Person: m.Person, Serial: w.Serial(m.Person), Deed: m.Deed, From: from, Until: from.Add(m.Duration), Fixes: t.fixes}
		dense := m.Person < w.opts.Wristbands
		switch {
		case m.Deed == FallSilent:
			end := v.Until
			if now.Before(end) {
				end = now
			}
			v.Shown = dense && end.Sub(from) > 45*time.Minute
		case dense:
			v.Shown = t.fixes >= 3 && t.last.Sub(t.first) >= 5*time.Minute
		default:
			v.Shown = t.fixes >= 1
		}
		out = append(out, v)
	}
	return out
}
