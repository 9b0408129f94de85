package simulate

import (
	"fmt"
	"math"
	"slices"
	"time"

	"zhijiao/devices"
)

// A reading asks of the observations that were sent whether they show a misdeed, by the thresholds the platform states and
// in the plainest way. It is what the platform is judged by, and shares no code with it.

// The platform's usual thresholds, as its documents give them.
const (
	count       = 2                // independent satellite fixes
	independent = 10 * time.Second // apart
	grace       = 2 * time.Minute  // which they span
	band        = 50.0             // metres beyond the edge
	waive       = 500.0            // metres beyond which, and three accuracies, the grace is waived
	askWithin   = 10 * time.Minute // who is asked answers
	late        = 15 * time.Minute // the present is not asked about what is older
	passGap     = 3 * time.Minute  // two fixes further apart are no way through
	passDwell   = 2 * time.Minute
	tolerance   = 5 * time.Minute  // of clocks
	silent      = 30 * time.Minute // a wristband is expected to speak by then
	dwelling    = 2 * time.Hour
	together    = 100.0 // metres: two who are that near, accuracies and all, are together
	apart       = 300.0 // metres: a wristband and a phone that are further apart are not with one person
)

// sure is how much longer than a threshold something lasts before nobody argues: a rehearsal moves its clock by minutes.
const sure = 10 * time.Minute

type reading struct {
	w           *World
	misdeed     *Misdeed
	from, until time.Time
	end         time.Time // what is later was not sent
	sights      []sight   // by the device's time

	visible bool
	why     string
	fixes   int
}

func (r *reading) shows(yes bool, why string, args ...any) {
	r.visible = yes
	if !yes {
		r.why = fmt.Sprintf(why, args...)
	}
}

// radius is what a place's accuracy is taken for: never better than its method.
func (s *sight) radius() float64 {
	floor := 10.0
	switch s.place.Method {
	case devices.MethodWiFi:
		floor = 50
	case devices.MethodCell:
		floor = 500
	case devices.MethodRF:
		floor = 30
	}
	return math.Max(floor, s.place.Accuracy)
}

func (s *sight) point() point    { return point{s.place.Lon, s.place.Lat} }
func (s *sight) satellite() bool { return s.place.Method == devices.MethodGNSS }

// counts reports whether a sight has a place, told by a clock that is right.
func (s *sight) counts() bool { return s.place != nil && s.skew <= tolerance && s.skew >= -tolerance }

// edge tells how far beyond an edge a point is: metres, negative on the right side.
type edge func(point) float64

func inside(a Area) edge  { return func(q point) float64 { return a.Distance(q.lon, q.lat) } }
func outside(a Area) edge { return func(q point) float64 { return -a.Distance(q.lon, q.lat) } }
func within(c point, radius float64) edge {
	return func(q point) float64 { return q.metres(c) - radius }
}

// breach looks for a run on the wrong side that opens.
func (r *reading) breach(beyond edge, band float64, grace time.Duration, some func(*sight) bool) {
	for _, wristband := range []bool{true, false} {
		if r.breachOf(wristband, beyond, band, grace, some) {
			r.shows(true, "")
			return
		}
	}
	wrongClock := slices.ContainsFunc(r.sights, func(s sight) bool { return s.place != nil && !s.counts() })
	switch {
	case wrongClock:
		r.shows(false, "the device's clock is too far off")
	case r.misdeed.Deed == LeaveWithoutPhone:
		r.shows(false, "the phone stayed at home")
	case r.fixes == 0:
		r.shows(false, "no satellite fix clearly on the wrong side was sent")
	default:
		r.shows(false, "%d satellite fixes clearly on the wrong side, too few, too close or contradicted", r.fixes)
	}
}

func (r *reading) breachOf(wristband bool, beyond edge, band float64, grace time.Duration, some func(*sight) bool) bool {
	var run []sight
	doubts := 0
	for i := range r.sights {
		s := r.sights[i]
		if s.wristband != wristband || !s.counts() || some != nil && !some(&s) {
			continue
		}
		switch d, a := beyond(s.point()), s.radius(); {
		case d-a > band && s.satellite() || band == 0 && d >= a && s.satellite():
			if n := len(run); n > 0 && s.at.Sub(run[n-1].at) < independent {
				continue
			}
			run, doubts = append(run, s), 0
			r.fixes++
			if enough(run, beyond, grace, !wristband) || !wristband && r.unanswered(&s, beyond) {
				return true
			}
		case d+a <= 0:
			if doubts++; s.satellite() || !wristband || doubts >= count {
				run, doubts = nil, 0
			}
		}
	}
	return false
}

func enough(run []sight, beyond edge, grace time.Duration, sparse bool) bool {
	n := len(run)
	if n < count {
		return false
	}
	if sparse || run[n-1].at.Sub(run[0].at) >= grace {
		return true
	}
	for _, s := range run[n-count:] {
		if beyond(s.point()) <= math.Max(waive, 3*s.radius()) {
			return false
		}
	}
	return true
}

// unanswered: one fix of a phone asks, unless it comes late, and nothing came in answer while there was time.
func (r *reading) unanswered(s *sight, beyond edge) bool {
	asked := s.sent
	if asked.Sub(s.at) > late || asked.Add(askWithin+sure).After(r.end) {
		return false
	}
	for i := range r.sights {
		x := &r.sights[i]
		if !x.wristband && x.sent.After(asked) && !x.sent.After(asked.Add(askWithin+sure)) && x.place != nil {
			return false
		}
	}
	return true
}

func readLeft(r *reading) { r.breach(inside(r.w.opts.City), band, grace, nil) }

func readEntered(r *reading) { r.breach(outside(r.w.opts.KeepOut), 0, 0, nil) }

// readPassed: two satellite fixes of a wristband clearly outside, minutes apart, and the straight way between them leads
// through; or some inside.
func readPassed(r *reading) {
	keep := r.w.opts.KeepOut
	var from *sight
	in := 0
	for i := range r.sights {
		s := &r.sights[i]
		if !s.wristband || !s.counts() || !s.satellite() {
			continue
		}
		d, a := keep.Distance(s.place.Lon, s.place.Lat), s.radius()
		if d+a <= 0 {
			in++
			r.fixes++
		}
		if d-a <= 0 {
			continue
		}
		gap := passGap
		if in > 0 {
			gap += passDwell
		}
		if from != nil && s.at.Sub(from.at) <= gap && crosses(keep, from.point(), s.point()) {
			r.fixes += 2
			r.shows(true, "")
			return
		}
		from, in = s, 0
	}
	r.shows(in >= count, "no two fixes close enough to one another on both sides")
}

func crosses(a Area, from, to point) bool {
	for k := 1; k < 100; k++ {
		if q := from.towards(to, float64(k)/100); a.Distance(q.lon, q.lat) < -20 {
			return true
		}
	}
	return false
}

// readSilent: nothing was sent for long.
func readSilent(r *reading) {
	gap := r.longest(func(*sight) bool { return true })
	r.shows(gap >= silent+sure, "nothing was sent for %d minutes: too short to be told", int(gap.Minutes()))
}

// longest is the longest time within the misdeed, and what of it was simulated, in which the wristband sent nothing of a sort.
func (r *reading) longest(sort func(*sight) bool) time.Duration {
	var sent []time.Time
	for i := range r.sights {
		if s := &r.sights[i]; s.wristband && sort(s) {
			sent = append(sent, s.sent)
		}
	}
	slices.SortFunc(sent, time.Time.Compare)
	last, longest := r.from, time.Duration(0)
	for _, t := range append(sent, r.until) {
		if t.After(r.until) {
			t = r.until
		}
		if t.After(last) {
			longest, last = max(longest, t.Sub(last)), t
		}
	}
	return longest
}

// readGasp: the last word came.
func readGasp(r *reading) {
	r.any(func(s *sight) bool { return s.gasp }, "the last word was not sent")
}

// readStrap: an observation with an open strap came.
func readStrap(r *reading) {
	r.any(func(s *sight) bool { return s.strap == devices.StrapOpen }, "nothing was sent while it was open")
}

func (r *reading) any(what func(*sight) bool, otherwise string) {
	for i := range r.sights {
		if what(&r.sights[i]) {
			r.fixes++
		}
	}
	r.shows(r.fixes > 0, "%s", otherwise)
}

// readLost: it spoke, and told no place for long.
func readLost(r *reading) {
	spoke := r.longest(func(*sight) bool { return true })
	placed := r.longest(func(s *sight) bool { return s.place != nil })
	r.shows(spoke < silent && placed >= silent+sure, "silent for %d minutes, without a place for %d", int(spoke.Minutes()), int(placed.Minutes()))
}

// readSeparated: the phone told a place far from where the wristband was at the time, and did so again.
func readSeparated(r *reading) {
	for i := range r.sights {
		p := &r.sights[i]
		if p.wristband || !p.counts() {
			continue
		}
		for k := range r.sights {
			b := &r.sights[k]
			if b.wristband && b.counts() && b.at.Sub(p.at).Abs() <= 5*time.Minute && b.point().metres(p.point())-b.radius()-p.radius() > apart {
				r.fixes++
				break
			}
		}
	}
	r.shows(r.fixes >= count, "the phone told a place %d times while the wristband was far from it", r.fixes)
}

// during keeps what was observed between two hours of the day on which a misdeed began.
func (r *reading) during(from, until time.Duration) func(*sight) bool {
	day := midnight(r.w.opts.Start.Add(r.misdeed.After))
	return func(s *sight) bool { return !s.at.Before(day.Add(from)) && s.at.Before(day.Add(until)) }
}

func readNightOut(r *reading) {
	r.breach(within(r.w.people[r.misdeed.Person].home, homeCircle), band, grace, r.during(22*time.Hour, 30*time.Hour))
}

func readMissed(r *reading) {
	r.breach(within(r.w.people[r.misdeed.Person].office, homeCircle), band, grace, r.during(9*time.Hour, 11*time.Hour))
}

// readMet: at two instants or more, a grace apart, everybody was seen within reach of the first.
func readMet(r *reading) {
	var first time.Time
	for i := range r.sights {
		s := &r.sights[i]
		if s.person != r.misdeed.Person || !s.counts() {
			continue
		}
		near := 0
		for _, p := range r.misdeed.With {
			if slices.ContainsFunc(r.sights, func(x sight) bool {
				return x.person == p && x.counts() && x.at.Sub(s.at).Abs() <= 2*time.Minute && x.point().metres(s.point())+x.radius()+s.radius() <= together
			}) {
				near++
			}
		}
		if near < len(r.misdeed.With) {
			continue
		}
		r.fixes++
		if first.IsZero() {
			first = s.at
		}
		if s.at.Sub(first) >= sure {
			r.shows(true, "")
			return
		}
	}
	r.shows(false, "they were not seen together for long enough")
}

// readDwelt: satellite fixes in the place, the first and the last hours apart.
func readDwelt(r *reading) {
	var first, last time.Time
	place := within(point{r.w.opts.Concern.Lon, r.w.opts.Concern.Lat}, ConcernCircle)
	for i := range r.sights {
		if s := &r.sights[i]; s.counts() && s.satellite() && place(s.point())+s.radius() <= 0 {
			r.fixes++
			if first.IsZero() {
				first = s.at
			}
			last = s.at
		}
	}
	r.shows(last.Sub(first) >= dwelling+sure, "seen there for %d minutes", int(last.Sub(first).Minutes()))
}

// longSilent is after how long somebody who is silent says nothing of the network any more.
const longSilent = time.Hour

// readOutage: most of the wristbands of an operator, and not too few, sent nothing, and had been sending.
func readOutage(r *reading) {
	expected, spoke, before := 0, map[int]bool{}, map[int]bool{}
	for _, d := range r.w.queue {
		if d.wristband && d.operator == r.misdeed.Operator {
			expected++
		}
	}
	for i := range r.sights {
		if s := &r.sights[i]; s.wristband && s.sent.After(r.from.Add(time.Minute)) && s.sent.Before(r.until) {
			spoke[s.person] = true
		} else if s.wristband && s.sent.After(r.from.Add(-longSilent)) && s.sent.Before(r.from) {
			before[s.person] = true
		}
	}
	silentOnes := 0
	for _, d := range r.w.queue {
		if d.wristband && d.operator == r.misdeed.Operator && before[d.person] && !spoke[d.person] {
			silentOnes++
		}
	}
	r.shows(silentOnes >= 5 && silentOnes*10 >= expected*6 && r.until.Sub(r.from) >= silent+sure, "%d of %d wristbands silent for %d minutes", silentOnes, expected, int(r.until.Sub(r.from).Minutes()))
}
