package geofence

import (
	"time"

	"zhijiao/devices"
)

// breach is what stay-in and keep-out share: a run of independent fixes on the wrong side opens, a run on the right
// side closes, and a channel that speaks seldom is asked before anybody is alarmed. wrong tells the sides apart.
type breach struct {
	kind  ViolationKind
	wrong func(p *Params, m *Mark) bool // clearly on the wrong side, beyond the band
	right func(m *Mark) bool            // clearly on the right side
	depth func(m *Mark) int64           // how far on the wrong side, centimetres
}

func satellite(m *Mark) bool { return m.Method == devices.MethodGNSS }

// fix judges one more fix of a channel.
func (b breach) fix(e *evaluation, r *Rule, rs *RuleState, m Mark) {
	z := e.zone(r)
	if z == nil {
		return
	}
	p := &r.Params
	m = p.judged(z, m)
	class := e.in.Binding.Class
	t := &rs.Track[channelIndex(class)]
	switch {
	case b.wrong(p, &m):
		t.Return = nil
		b.against(e, r, rs, t, class, m)
	case b.right(&m):
		t.Breach = nil
		b.inFavour(e, r, rs, t, class, m)
	}
	// Undecidable, or within the band: the state holds.
}

func (b breach) against(e *evaluation, r *Rule, rs *RuleState, t *Track, class devices.Class, m Mark) {
	p := &r.Params
	sparse := p.sparse(e.in.Binding.Interval)
	if !satellite(&m) {
		// Cell and Wi-Fi fixes never open by themselves (R27); on a channel that speaks seldom they ask.
		if sparse && rs.Open == "" && len(t.Breach) == 0 {
			b.ask(e, r, rs, class, m.At)
		}
		return
	}
	if n := len(t.Breach); n > 0 && m.At.Sub(t.Breach[n-1].At) < p.Independent {
		return // the same place told twice is one fix
	}
	t.Breach = append(t.Breach, m)
	if n := len(t.Breach); n > recentMarks { // the first, and the latest
		t.Breach = append(t.Breach[:1:1], t.Breach[n-recentMarks+1:]...)
	}
	switch {
	case rs.Open != "":
		b.further(e, r, rs, class, m)
	case b.enough(p, t.Breach, sparse):
		b.settle(e, rs, m.At, true)
		rs.Open, rs.OpenClass, rs.Margin = b.kind, class, b.depth(&m)
		e.open(r, b.kind, class, t.Breach[0].At, withFixes(t.Breach...))
	case sparse && rs.Ask == nil:
		b.ask(e, r, rs, class, m.At)
	}
}

// enough reports whether a run of fixes opens: the count always; the grace unless the channel speaks seldom (then the
// second fix is the answer to a demand, or as good) or the margin waives it.
func (b breach) enough(p *Params, run []Mark, sparse bool) bool {
	if len(run) < p.Count {
		return false
	}
	last := &run[len(run)-1]
	if sparse || last.At.Sub(run[0].At) >= p.Grace {
		return true
	}
	for i := range run[len(run)-p.Count:] {
		if d := b.depth(&run[len(run)-p.Count+i]); d <= 3*run[len(run)-p.Count+i].Accuracy || d <= centimetres(p.WaiveMargin) {
			return false
		}
	}
	return true
}

// further amends an open violation when it has become a different matter: twice as far, and more than 500 m.
func (b breach) further(e *evaluation, r *Rule, rs *RuleState, class devices.Class, m Mark) {
	if d := b.depth(&m); class == rs.OpenClass && d >= 2*rs.Margin && d >= 50_000 {
		rs.Margin = d
		e.amend(r, b.kind, class, m.At, withFixes(m))
	}
}

func (b breach) inFavour(e *evaluation, r *Rule, rs *RuleState, t *Track, class devices.Class, m Mark) {
	p := &r.Params
	if rs.Ask != nil && rs.Ask.Class == class && m.At.After(rs.Ask.At) {
		b.settle(e, rs, m.At, true)
	}
	if rs.Open == "" || class != rs.OpenClass {
		return
	}
	if n := len(t.Return); n == 0 || m.At.Sub(t.Return[n-1].At) >= p.Independent {
		t.Return = append(t.Return, m)
	}
	if len(t.Return) >= p.Count || p.sparse(e.in.Binding.Interval) && satellite(&m) {
		e.close(r, rs.Open, class, t.Return[0].At, withFixes(t.Return...))
		rs.Open, rs.OpenClass, rs.Margin, t.Return = "", "", 0, nil
	}
}

// ask demands a confirming fix at once, unless one is being waited for.
func (b breach) ask(e *evaluation, r *Rule, rs *RuleState, class devices.Class, at time.Time) {
	if rs.Ask != nil || e.quiet || e.in.Now.Sub(at) > r.Params.LateAfter {
		return // what comes late is for review: the present is not asked about the past
	}
	b.demand(e, r, rs, class, at)
}

func (b breach) demand(e *evaluation, r *Rule, rs *RuleState, class devices.Class, at time.Time) {
	rs.Ask = &Pending{At: at, Due: e.in.Now.Add(r.Params.AskWithin), Class: class}
	e.out = append(e.out, Effect{Ask: &Ask{Device: e.in.Binding.Device, Rule: r.ID, At: e.in.Now, Due: rs.Ask.Due}})
}

func (b breach) settle(e *evaluation, rs *RuleState, at time.Time, answered bool) {
	if rs.Ask == nil {
		return
	}
	e.out = append(e.out, Effect{Settle: &Settle{Rule: rs.Rule, At: at, Answered: answered}})
	rs.Ask = nil
}

// heard closes what was said about not answering. A sign of life with a place that is not clear settles no demand.
func (b breach) heard(e *evaluation, r *Rule, rs *RuleState, class devices.Class) {
	if rs.Unheard && e.in.Observed.Place != nil {
		rs.Unheard = false
		e.close(r, CheckUnanswered, class, e.in.At, nil)
	}
}

// tick opens 核查未应答 when a demand ran out.
func (b breach) tick(e *evaluation, r *Rule, rs *RuleState) {
	if rs.Ask == nil || rs.Ask.Due.After(e.in.At) {
		return
	}
	asked := *rs.Ask
	b.settle(e, rs, asked.Due, false)
	if !rs.Unheard {
		rs.Unheard = true
		t := rs.Track[channelIndex(asked.Class)]
		e.open(r, CheckUnanswered, asked.Class, asked.Due, func(f *Finding) {
			f.Evidence.AskedAt = asked.At
			f.Evidence.Fixes = append([]Mark(nil), t.Breach...)
			f.Late = false
		})
	}
}

func (b breach) due(_ *State, _ *Facts, _ *Rule, rs *RuleState) time.Time {
	if rs.Ask == nil {
		return time.Time{}
	}
	return rs.Ask.Due
}

// rejudge runs the last fixes of each channel through the facts as they are now.
func (b breach) rejudge(e *evaluation, r *Rule, rs *RuleState) {
	z := e.zone(r)
	if z == nil {
		return
	}
	for c := range e.s.Channel {
		bound := e.f.binding(classOf(c), e.in.At)
		recent := e.s.Channel[c].Recent
		if bound == nil || len(recent) == 0 {
			continue
		}
		// As if the last fixes came again, one after the other, under the facts as they are now.
		again := evaluation{s: e.s, f: e.f, in: &Input{At: e.in.At, Now: e.in.Now, Binding: bound}, out: e.out, quiet: true}
		rs.Track[c] = Track{}
		for _, m := range recent {
			b.fix(&again, r, rs, m)
		}
		run := rs.Track[c].Breach
		if again.quiet = false; len(run) > 0 && rs.Open == "" && rs.Ask == nil && !rs.Unheard && r.Params.sparse(bound.Interval) {
			b.demand(&again, r, rs, classOf(c), run[len(run)-1].At)
		}
		e.out = again.out
	}
}
