package geofence

import (
	"cmp"
	"slices"
	"time"

	"zhijiao/internal/id"
)

// OutageID is a row of outage.
type OutageID int64

// OutageScope is what those have in common who fall silent together.
type OutageScope string

// Scopes of an outage, from the widest: who is counted under one is not counted again under the next.
const (
	ByOperator OutageScope = "operator"
	ByTown     OutageScope = "town" // the office, by number
	ByCell     OutageScope = "cell"
)

// Watched is a device that is expected to speak without a break, and when it was last heard.
type Watched struct {
	Subject  id.Subject
	Device   id.Device
	Office   id.Org
	Operator string // as last told; empty: not known
	Cell     string
	Every    time.Duration
	Heard    time.Time
	Deaf     time.Duration // of the time since, in which we did not listen ourselves
}

// The thresholds of an outage, and those of its end: policy, the same for every area (R128).
const (
	outageSilent  = 10 * time.Minute // silence is no shorter than this
	outageFactor  = 3                // nor than so many expected intervals
	outageFewest  = 5                // so many silent at least
	outageOpens   = 60               // per cent of those expected
	outageEnds    = 30               // fewer per cent than this end it
	outageHundred = 100
	// outageFresh is how recent the silence must be that makes an area be away: who has been silent for longer is a matter of their
	// own, and counts neither way.
	outageFresh = time.Hour
	// outageForgotten is how long what an officer declared holds at most: a word that was forgotten must not hold reminders.
	outageForgotten = 24 * time.Hour
)

// silent reports whether a device has been silent at t for longer than a pause.
func (w *Watched) silent(t time.Time) bool {
	return t.Sub(w.Heard)-w.Deaf > max(outageSilent, outageFactor*w.Every)
}

// OutageKey names an area.
type OutageKey struct {
	Scope OutageScope
	Key   string
}

// AreaState is an area at an instant: how many were expected to speak, and who did not, by subject.
type AreaState struct {
	OutageKey
	Expected int
	Silent   []Watched
}

// Since is when the first of those who are silent was last heard.
func (a *AreaState) Since() time.Time {
	since := a.Silent[0].Heard
	for i := range a.Silent {
		since = earlier(since, a.Silent[i].Heard)
	}
	return since
}

// opens reports whether so many of an area fell silent of late that it is the area. Silence from before the area was last
// said to be back makes it away no second time.
func (a *AreaState) opens(ended, t time.Time) bool {
	fresh, expected := 0, a.Expected
	for i := range a.Silent {
		switch w := &a.Silent[i]; {
		case t.Sub(w.Heard)-w.Deaf > outageFresh:
			expected--
		case w.Heard.After(ended):
			fresh++
		}
	}
	return fresh >= outageFewest && outageHundred*fresh >= outageOpens*expected
}

// Holds reports whether an area that was away still is.
func (a *AreaState) Holds() bool {
	return len(a.Silent) > 0 && outageHundred*len(a.Silent) >= outageEnds*a.Expected
}

// Areas says which areas are away at t: those that open, and those that are open already whatever their state. Pure; the
// order of the list does not matter. Who is silent in an area that is away is not counted again in a narrower one. ended is when
// areas were last said to be back.
func Areas(list []Watched, open []OutageKey, ended map[OutageKey]time.Time, t time.Time) (opens, stand []AreaState) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Watched) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Device, b.Device))
	})
	counted := map[id.Device]bool{}
	for _, known := range []bool{true, false} { // who is silent where it is known already makes no other area be away
		for _, scope := range []OutageScope{ByOperator, ByTown, ByCell} {
			for _, g := range areasOf(list, scope, counted, t) {
				standing := slices.Contains(open, g.OutageKey)
				switch {
				case standing != known:
					continue
				case standing:
					stand = append(stand, g)
				case g.opens(ended[g.OutageKey], t):
					opens = append(opens, g)
				default:
					continue
				}
				for i := range g.Silent {
					counted[g.Silent[i].Device] = true
				}
			}
		}
	}
	for _, k := range open { // nobody is expected there any more
		if !slices.ContainsFunc(stand, func(a AreaState) bool { return a.OutageKey == k }) {
			stand = append(stand, AreaState{OutageKey: k})
		}
	}
	slices.SortFunc(stand, func(a, b AreaState) int { return cmp.Or(cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Key, b.Key)) })
	return opens, stand
}

// areasOf are the areas of a scope by their keys, without those who are counted elsewhere among the silent.
func areasOf(list []Watched, scope OutageScope, counted map[id.Device]bool, t time.Time) (out []AreaState) {
	groups := map[string]int{}
	for i := range list {
		w := &list[i]
		key := w.in(scope)
		if key == "" {
			continue
		}
		n, there := groups[key]
		if !there {
			n = len(out)
			groups[key], out = n, append(out, AreaState{OutageKey: OutageKey{scope, key}})
		}
		out[n].Expected++
		if w.silent(t) && !counted[w.Device] {
			out[n].Silent = append(out[n].Silent, *w)
		}
	}
	slices.SortFunc(out, func(a, b AreaState) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

// in is the area of a scope that the device is in; empty: not known.
func (w *Watched) in(s OutageScope) string {
	switch s {
	case ByOperator:
		return w.Operator
	case ByCell:
		return w.Cell
	case ByTown:
		return townKey(w.Office)
	}
	return ""
}

// OutageBody is the body of ledger entries about outages (kinds outage.opened, .grown, .ended).
type OutageBody struct {
	Outage   OutageID     `json:"outage_id"`
	Scope    OutageScope  `json:"scope"`
	Key      string       `json:"key"`
	Expected int          `json:"expected,omitempty"`
	Silent   int          `json:"silent,omitempty"`
	Subjects []id.Subject `json:"subjects,omitempty"` // who could not be verified
}

// Kinds of ledger entries about outages.
const (
	OutageOpenedEntry = "outage.opened"
	OutageGrownEntry  = "outage.grown" // more people fell silent
	OutageEndedEntry  = "outage.ended"
)

// Held reports whether a reminder of this kind stands under an incident while its person's area is away: what says only that
// nobody knows. What was seen, or done to a device, never does (R128).
func Held(k ViolationKind) bool {
	switch k {
	case DeviceSilent, LocationLost, CheckUnanswered, CheckMissed, Unverified:
		return true
	}
	return false
}
