package geofence

import "time"

// Location rules watch that a device that is heard also tells where it is. LocationLost (定位失败) opens when it has told no
// place that could be judged for too long: another thing than silence, and not absence.
const (
	Location     RuleKind      = "location"
	LocationLost ViolationKind = "location_lost"
)

func init() { kinds[Location] = &kindSpec{kind: location{}} }

type location struct{ silence }

// placed is since when no place was told, and until when that may last; ok is false where the device is expected to tell
// nothing, is silent altogether, or may not be on the person.
func (k location) placed(s *State, f *Facts, r *Rule, rs *RuleState, t time.Time) (since, until time.Time, ok bool) {
	_, heard, silent, _, expected := k.quiet(s, f, r, t)
	ch := &s.Channel[channelIndex(r.Params.Class)]
	v, _, _ := f.expected(r.Params.Class, t)
	since = later(later(v.From, r.Valid.From), later(s.Since, s.Reset))
	if rs != nil {
		since = later(since, rs.ClosedAt)
	}
	if n := len(ch.Recent); n > 0 {
		since = later(since, ch.Recent[n-1].At)
	}
	for _, d := range f.Deaf {
		if d.Until.After(since) && !d.From.After(since) {
			since = d.Until
		}
	}
	return since, since.Add(silent.Sub(heard)), expected && s.Loose == nil && silent.After(t) && ch.HeardAt.After(since)
}

func (k location) look(e *evaluation, r *Rule, rs *RuleState) {
	since, until, ok := k.placed(e.s, e.f, r, rs, e.at)
	switch {
	case rs.Open == "" && ok && !until.After(e.at):
		rs.opens(LocationLost, r.Params.Class, since)
		e.open(r, LocationLost, r.Params.Class, since, func(f *Finding) { f.Evidence.HeardAt, f.Late = since, false })
	case rs.Open != "" && !e.f.speaks(r.Params.Class, e.at):
		e.close(r, rs.Open, rs.OpenClass, e.at, nil)
		rs.closes(e.at)
	}
}

func (k location) heard(e *evaluation, r *Rule, rs *RuleState) {
	if e.in.Binding.Class == r.Params.Class && e.o.Place == nil {
		k.look(e, r, rs)
	}
}

func (k location) tick(e *evaluation, r *Rule, rs *RuleState) { k.look(e, r, rs) }

func (location) fix(e *evaluation, r *Rule, rs *RuleState, m Mark) {
	if rs.Open != "" && e.in.Binding.Class == rs.OpenClass {
		e.close(r, rs.Open, rs.OpenClass, m.At, withFixes(m))
		rs.closes(m.At)
	}
}

func (k location) due(s *State, f *Facts, r *Rule, rs *RuleState, after time.Time) time.Time {
	var next soonest
	if rs == nil || rs.Open == "" {
		if _, until, ok := k.placed(s, f, r, rs, after); ok {
			next.takeAfter(until, after)
		}
	} else if v, _, ok := f.expected(r.Params.Class, after); ok {
		next.takeAfter(v.Until, after)
	}
	return next.Time
}
