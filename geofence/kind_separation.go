package geofence

import "time"

// Separation rules compare a person's wristband with the person's phone. Apart (人机分离) opens when fixes of both, close in
// time, are too far from each other again and again. It is a lead: only when an officer accepts it (SeparationAccepted) do
// the fixes stop speaking for the person (R66, R122).
const (
	Separation RuleKind      = "separation"
	Apart      ViolationKind = "separated"
)

func init() {
	kinds[Separation] = &kindSpec{fewest: 2, kind: separation{}, usual: func(p *Params) { p.Grace = 10 * usualGrace / 2 }}
}

type separation struct{}

func (separation) fix(e *evaluation, r *Rule, rs *RuleState, m Mark) {
	p, c := &r.Params, channelIndex(e.in.Binding.Class)
	other := e.s.Channel[1-c].Recent
	if len(other) == 0 {
		return
	}
	o := other[len(other)-1] // of whichever method: a phone that lies at home knows the wireless there, and no satellite
	if m.At.Sub(o.At) > p.PassGap {
		return // they were not asked at the same time
	}
	m.Margin = centimetres(metres(m.lon(), m.lat(), o.lon(), o.lat()))
	m.Accuracy += o.Accuracy
	t := &rs.Track[0]
	switch {
	case m.Margin-m.Accuracy > centimetres(p.ApartM):
		if !t.against(p, m) || rs.Open != "" {
			return
		}
		if run := t.Breach; len(run) >= p.Count && m.At.Sub(run[0].At) >= p.Grace {
			at := later(run[0].At, rs.ClosedAt)
			rs.opens(Apart, e.in.Binding.Class, at)
			e.open(r, Apart, e.in.Binding.Class, at, withFixes(append(run[:len(run):len(run)], o)...))
		}
	case m.Margin <= centimetres(p.ApartM):
		t.Breach = t.Breach[:0]
		if rs.Open != "" {
			e.close(r, rs.Open, rs.OpenClass, m.At, withFixes(m, o))
			rs.closes(m.At)
		}
	}
}

func (separation) heard(*evaluation, *Rule, *RuleState)   {}
func (separation) tick(*evaluation, *Rule, *RuleState)    {}
func (separation) rejudge(*evaluation, *Rule, *RuleState) {}
func (separation) due(*State, *Facts, *Rule, *RuleState, time.Time) time.Time {
	return time.Time{}
}
