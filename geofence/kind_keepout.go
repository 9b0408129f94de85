package geofence

import "zhijiao/devices"

// keepOut: the subject stays outside the zone. Opens 进入禁止令限制区域; a way through it between two plausible satellite
// fixes outside is a passage, a lesser thing that opens and closes at once (R32).
type keepOut struct{ breach }

func init() {
	kinds[KeepOut] = keepOut{breach{
		kind:  EnteredZone,
		wrong: func(_ *Params, m *Mark) bool { return m.Verdict == Inside },
		right: func(m *Mark) bool { return m.Verdict == Outside },
		depth: func(m *Mark) int64 { return -m.Margin },
	}}
}

func (k keepOut) fix(e *evaluation, r *Rule, rs *RuleState, m Mark) {
	k.passage(e, r, rs, m)
	k.breach.fix(e, r, rs, m)
}

func (k keepOut) passage(e *evaluation, r *Rule, rs *RuleState, m Mark) {
	z := e.zone(r)
	recent := e.s.Channel[channelIndex(e.in.Binding.Class)].Recent
	if z == nil || rs.Open != "" || len(recent) == 0 || m.Method != devices.MethodGNSS {
		return
	}
	p := &r.Params
	from, to := p.judged(z, recent[len(recent)-1]), p.judged(z, m)
	if from.Method != devices.MethodGNSS || from.Verdict != Outside || to.Verdict != Outside ||
		to.At.Sub(from.At) > p.PassGap || !z.Crossed(from.lon(), from.lat(), to.lon(), to.lat()) {
		return
	}
	class := e.in.Binding.Class
	e.open(r, PassedThrough, class, from.At, withFixes(from, to))
	e.close(r, PassedThrough, class, to.At, withFixes(from, to))
}
