package geofence

import "time"

// Dwell rules watch a place of attention: Dwelt (长时间停留) opens when somebody has stayed in it for so long. Between two fixes
// too far apart nobody knows, and the stay begins anew.
const (
	Dwell RuleKind      = "dwell"
	Dwelt ViolationKind = "dwelt"
)

func init() { kinds[Dwell] = &kindSpec{zones: []Purpose{Attention}, kind: dwell{}} }

type dwell struct{}

func (dwell) fix(e *evaluation, r *Rule, rs *RuleState, m Mark) {
	z := e.zone(r)
	if z == nil {
		return
	}
	m = r.Params.judged(z, m)
	class := e.in.Binding.Class
	t := &rs.Track[channelIndex(class)]
	switch {
	case m.Verdict == Outside && firm(&m):
		if t.Breach = t.Breach[:0]; rs.Open != "" && rs.OpenClass == class {
			e.close(r, rs.Open, class, m.At, withFixes(m))
			rs.closes(m.At)
		}
	case m.Verdict == Inside && firm(&m):
		n := len(t.Breach)
		if n > 0 && m.At.Sub(t.Breach[n-1].At) > max(3*e.in.Binding.Interval, r.Params.DwellAfter/2) {
			n, t.Breach = 0, t.Breach[:0]
		}
		if n < 2 {
			t.Breach = append(t.Breach, m)
		} else {
			t.Breach[1] = m
		}
		first := &t.Breach[0]
		if rs.Open == "" && m.At.Sub(first.At) >= r.Params.DwellAfter {
			at := later(first.At, rs.ClosedAt)
			rs.opens(Dwelt, class, at)
			e.open(r, Dwelt, class, at, withFixes(t.Breach...))
		}
	}
}

func (dwell) heard(*evaluation, *Rule, *RuleState) {}
func (dwell) tick(e *evaluation, r *Rule, rs *RuleState) {
	if e.zone(r) == nil && !rs.idle() {
		e.closeAll(r, rs, ended(e.f.Zones[r.Zone], e.at))
	}
}
func (dwell) rejudge(_ *evaluation, _ *Rule, rs *RuleState) { rs.Track = [2]Track{} }
func (dwell) due(*State, *Facts, *Rule, *RuleState, time.Time) time.Time {
	return time.Time{}
}
