package geofence

import (
	"time"

	"zhijiao/devices"
)

// silence: a device that is expected to speak and does not. Opens 设备离线, which is about the device and says nothing
// about where the person is. A device bound to nobody is expected to say nothing.
type silence struct{}

func init() { kinds[Silence] = silence{} }

// since is what the silence is counted from, and how long it may be.
func (silence) since(s *State, f *Facts, r *Rule, t time.Time) (heard time.Time, allowed time.Duration, ok bool) {
	b := f.binding(r.Params.Class, t)
	if b == nil {
		return time.Time{}, 0, false
	}
	heard = s.Channel[channelIndex(r.Params.Class)].HeardAt
	for _, from := range []time.Time{b.Valid.From, r.Valid.From} {
		if heard.Before(from) {
			heard = from
		}
	}
	return heard, max(r.Params.SilentAfter, time.Duration(r.Params.SilentFactor*float64(b.Interval))), true
}

func (k silence) due(s *State, f *Facts, r *Rule, rs *RuleState) time.Time {
	if rs.Open != "" {
		return time.Time{}
	}
	// Judged at the instant the state stands at: a binding that begins or ends is a fact, and facts make a tick due.
	var best time.Time
	for i := range f.Bindings {
		b := &f.Bindings[i]
		if b.Class != r.Params.Class {
			continue
		}
		heard, allowed, ok := k.since(s, f, r, b.Valid.From)
		if !ok {
			continue
		}
		due := heard.Add(allowed)
		if b.Valid.Contains(due) && (best.IsZero() || due.Before(best)) {
			best = due
		}
	}
	return best
}

func (k silence) tick(e *evaluation, r *Rule, rs *RuleState) {
	heard, allowed, ok := k.since(e.s, e.f, r, e.in.At)
	switch {
	case !ok && rs.Open != "":
		e.close(r, DeviceSilent, rs.OpenClass, e.in.At, nil) // taken off: nobody expects it to speak
		rs.Open, rs.OpenClass = "", ""
	case ok && rs.Open == "" && !heard.Add(allowed).After(e.in.At):
		rs.Open, rs.OpenClass = DeviceSilent, r.Params.Class
		e.open(r, DeviceSilent, r.Params.Class, heard, func(f *Finding) {
			f.Evidence.HeardAt = heard
			if b := e.f.binding(r.Params.Class, e.in.At); b != nil {
				f.Evidence.ExpectedS = b.Interval.Seconds()
			}
			f.Late = false
		})
	}
}

func (k silence) heard(e *evaluation, r *Rule, rs *RuleState, class devices.Class) {
	if rs.Open != "" && class == rs.OpenClass {
		e.close(r, DeviceSilent, class, e.in.Now, nil)
		rs.Open, rs.OpenClass = "", ""
	}
}

func (silence) fix(*evaluation, *Rule, *RuleState, Mark) {}

func (k silence) rejudge(e *evaluation, r *Rule, rs *RuleState) { k.tick(e, r, rs) }
