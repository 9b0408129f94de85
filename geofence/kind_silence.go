package geofence

import "time"

// silence: a device that is expected to speak and does not. Opens 设备离线, which is about the device and says nothing
// about where the person is. A device that is bound to nobody, and a wristband without an approval, are expected to say
// nothing.
type silence struct{}

func init() { kinds[Silence] = &kindSpec{calm: true, kind: silence{}} }

// quiet is the interval around t in which the device is expected to speak, since when it is quiet, and when that is too long.
func (silence) quiet(s *State, f *Facts, r *Rule, t time.Time) (expected Interval, heard, until time.Time, every time.Duration, ok bool) {
	expected, every, ok = f.expected(r.Params.Class, t)
	heard = s.Channel[channelIndex(r.Params.Class)].HeardAt
	if heard.Before(expected.From) {
		heard = expected.From
	}
	heard = later(later(heard, r.Valid.From), s.Since)
	patience := max(r.Params.SilentAfter, time.Duration(r.Params.SilentFactor*float64(every)))
	for _, d := range f.Deaf { // its clock starts again when we listen again: nobody is silent to the deaf
		if d.Until.After(heard) && d.From.Before(heard.Add(patience)) {
			heard = d.Until
		}
	}
	return expected, heard, heard.Add(patience), every, ok
}

func (k silence) due(s *State, f *Facts, r *Rule, rs *RuleState, after time.Time) time.Time {
	var next soonest
	v, _, until, _, ok := k.quiet(s, f, r, after)
	switch {
	case ok && rs != nil && rs.Open != "":
		next.takeAfter(v.Until, after) // from then on nobody expects it to speak
	case ok && v.Contains(until):
		next.take(until)
	case rs != nil && rs.Open != "":
		next.take(after)
	}
	// Expected to speak again: its clock starts then.
	for i := range f.Bindings {
		if b := &f.Bindings[i]; b.Class == r.Params.Class {
			next.takeAfter(b.Valid.From, after)
		}
	}
	for _, a := range f.Authorities {
		if !ok || !v.Contains(a.From) { // an extension begins nothing
			next.takeAfter(a.From, after)
		}
	}
	return next.Time
}

// tick opens and closes by the clock.
func (k silence) tick(e *evaluation, r *Rule, rs *RuleState) {
	v, heard, until, every, ok := k.quiet(e.s, e.f, r, e.at)
	switch {
	case !ok && rs.Open != "":
		e.close(r, DeviceSilent, rs.OpenClass, e.at, nil) // taken off: nobody expects it to speak
		rs.closes(e.at)
	case ok && rs.Open == "" && !until.After(e.at) && v.Contains(until):
		rs.opens(DeviceSilent, r.Params.Class, heard)
		e.open(r, DeviceSilent, r.Params.Class, heard, func(f *Finding) {
			f.Evidence.HeardAt, f.Evidence.ExpectedS, f.Late = heard, every.Seconds(), false
		})
	}
}

func (k silence) heard(e *evaluation, r *Rule, rs *RuleState) {
	if rs.Open != "" && e.in.Binding.Class == rs.OpenClass {
		e.close(r, DeviceSilent, rs.OpenClass, e.at, nil)
		rs.closes(e.at)
	}
}

func (silence) fix(*evaluation, *Rule, *RuleState, Mark) {}

// rejudge has nothing to do: tick looks at everything.
func (silence) rejudge(*evaluation, *Rule, *RuleState) {}
