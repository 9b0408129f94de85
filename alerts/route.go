package alerts

import (
	"strings"
	"time"
)

// Who somebody is on a route (R56). Two at once are joined by +.
const (
	Office  = "office"  // 司法所
	Centre  = "centre"  // 指挥中心
	Watch   = "watch"   // 指挥中心值班
	Leader  = "leader"  // 带班领导
	Police  = "police"  // 通报公安
	Morning = "morning" // the list of the next morning
	Weekly  = "weekly"  // the weekly review
)

// Night is from NightFrom until NightUntil o'clock in Asia/Shanghai, and all of a day off: then the watch of the command centre is there, and the
// offices are not. MorningAt is when lists of the morning are begun with (handling-table, policy).
const (
	nightFrom  = 22
	nightUntil = 7
	morningAt  = 8*time.Hour + 30*time.Minute
)

// DayOff says whether the civil day of an instant is one off.
type DayOff func(time.Time) bool

// night reports whether nobody is at the offices.
func night(t time.Time, off DayOff) bool {
	h := t.In(shanghai).Hour()
	return h >= nightFrom || h < nightUntil || off(t)
}

// nextMorning is when the next list of the morning is begun with: of the first day that is not off, strictly after t.
func nextMorning(t time.Time, off DayOff) time.Time {
	local := t.In(shanghai)
	at := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, shanghai)
	for range 30 { // no holiday is as long
		if m := at.Add(morningAt); m.After(t) && !off(m) {
			return m.UTC()
		}
		at = at.AddDate(0, 0, 1)
	}
	return t.Add(24 * time.Hour)
}

// assign says who has a new alert, until when it is to be taken charge of and when it goes on to the next. A lead is no matter for the night, nor one that
// was weakened to it by its legal basis: it waits for the morning. So does what policy leaves for the morning; it is the office's then.
func assign(a *Alert, h handling, now time.Time, off DayOff) {
	route := h.day
	if night(now, off) {
		route = h.night
	}
	if a.Class == Lead && route[0] != Weekly {
		route = []string{Morning}
	}
	if route[0] == Morning {
		route = []string{Morning, Office}
	}
	a.Route, a.Step = route, 0
	switch {
	case route[0] == Morning:
		a.DueAt = later(nextMorning(now, off).Add(h.acknowledge), now.Add(h.acknowledge))
		a.EscalatesAt = nextMorning(now, off)
	case route[0] == Weekly:
		a.DueAt = now.AddDate(0, 0, 7)
	default:
		a.DueAt = now.Add(h.acknowledge)
		if len(route) > 1 {
			a.EscalatesAt = now.Add(h.escalate)
		}
	}
}

// goOn hands an alert to the next on its route.
func goOn(a *Alert, h handling, now time.Time) {
	a.Step++
	a.EscalatesAt = time.Time{}
	if a.Step+1 < len(a.Route) {
		a.EscalatesAt = now.Add(h.escalate)
	}
}

// With is who has an alert now.
func (a *Alert) With() []string { return strings.Split(a.Route[a.Step], "+") }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
