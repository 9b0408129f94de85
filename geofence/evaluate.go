package geofence

import (
	"math"
	"time"

	"zhijiao/devices"
)

// kind is one kind of rule. Adding one is one file and its entry in kinds.
type kind interface {
	// fix judges one plausible fix of a channel that speaks in order.
	fix(e *evaluation, r *Rule, s *RuleState, m Mark)
	// heard is told of every sign of life of a channel, before fix.
	heard(e *evaluation, r *Rule, s *RuleState, class devices.Class)
	// tick acts on timers due at e.in.At or earlier.
	tick(e *evaluation, r *Rule, s *RuleState)
	// rejudge judges the present again, because a fact changed.
	rejudge(e *evaluation, r *Rule, s *RuleState)
	// due is when tick has something to do; zero: never.
	due(s *State, f *Facts, r *Rule, rs *RuleState) time.Time
}

// kinds is the registry; each kind_*.go enters itself.
var kinds = map[RuleKind]kind{}

// evaluation is one call of Evaluate.
type evaluation struct {
	s   *State
	in  *Input
	f   *Facts
	out []Effect
	// quiet: fixes are judged again that were judged before, nobody is to be asked because of one of them.
	quiet bool
}

// Evaluate takes one input into the state and appends what must happen to out. It is a pure function: no clock, no I/O,
// no order of a map; the same arguments give the same bytes. Facts are not changed. The flags it finds are added to
// in.Flags.
func Evaluate(s *State, in *Input, f *Facts, out []Effect) []Effect {
	e := evaluation{s: s, in: in, f: f, out: out}
	e.end()
	if s.Facts != f.Version {
		s.Facts = f.Version
		e.each(func(k kind, r *Rule, rs *RuleState) { k.rejudge(&e, r, rs) })
	}
	if in.Observed == nil {
		e.each(func(k kind, r *Rule, rs *RuleState) { k.tick(&e, r, rs) })
		return e.out
	}
	if in.Binding == nil {
		return e.out
	}
	// What was due before this input is decided before it, whenever the clock gets round to it.
	class := in.Binding.Class
	ch := &s.Channel[channelIndex(class)]
	e.each(func(k kind, r *Rule, rs *RuleState) { k.tick(&e, r, rs) })
	if in.Now.After(ch.HeardAt) {
		ch.HeardAt = in.Now
	}
	e.each(func(k kind, r *Rule, rs *RuleState) { k.heard(&e, r, rs, class) })
	if in.Observed.Place != nil {
		e.place(ch)
	}
	return e.out
}

// each calls do for every rule valid at the input's instant, in order.
func (e *evaluation) each(do func(kind, *Rule, *RuleState)) {
	for i := range e.f.Rules {
		r := &e.f.Rules[i]
		if k, ok := kinds[r.Kind]; ok && r.Valid.Contains(e.in.At) {
			do(k, r, e.s.rule(r.ID))
		}
	}
}

// end closes what rules left open that are no longer valid, and forgets them.
func (e *evaluation) end() {
	kept := e.s.Rules[:0]
	for _, rs := range e.s.Rules {
		var last *Rule
		live := false
		for i := range e.f.Rules {
			if r := &e.f.Rules[i]; r.ID == rs.Rule {
				last = r
				live = live || r.Valid.Contains(e.in.At) || r.Valid.From.After(e.in.At)
			}
		}
		if live {
			kept = append(kept, rs)
			continue
		}
		at := e.in.At
		if last != nil && !last.Valid.Until.IsZero() && last.Valid.Until.Before(at) {
			at = last.Valid.Until
		}
		gone := Rule{ID: rs.Rule}
		if last != nil {
			gone = *last
		}
		e.closeAll(&gone, &rs, at)
	}
	e.s.Rules = kept
}

func (e *evaluation) closeAll(r *Rule, rs *RuleState, at time.Time) {
	if rs.Ask != nil {
		e.out = append(e.out, Effect{Settle: &Settle{Rule: rs.Rule, At: at, Withdrawn: true}})
		rs.Ask = nil
	}
	if rs.Unheard {
		e.close(r, CheckUnanswered, devices.Phone, at, nil)
		rs.Unheard = false
	}
	if rs.Open != "" {
		e.close(r, rs.Open, rs.OpenClass, at, nil)
		rs.Open = ""
	}
}

// place takes a fix into its channel, and lets the rules judge it if it is in order and possible.
func (e *evaluation) place(ch *Channel) {
	o := e.in.Observed
	m := Mark{
		Device: e.in.Binding.Device, Boot: o.Boot, Seq: o.Seq, At: o.At, LonE7: e7(o.Place.Lon), LatE7: e7(o.Place.Lat),
		Claimed: centimetres(o.Place.Accuracy), Method: o.Place.Method,
	}
	p := DefaultParams(StayIn)
	m.Accuracy = p.accuracy(m.Method, m.Claimed)
	if e.in.Now.Sub(o.At) > p.LateAfter {
		e.in.Flags |= Late
	}
	if n := len(ch.Recent); n > 0 && !o.At.After(ch.Recent[n-1].At) {
		e.in.Flags |= OutOfOrder
	} else if n > 0 && e.in.Flags.moves() {
		e.plausible(ch, m, p.FastestPlausible)
	}
	if !e.in.Flags.moves() {
		return
	}
	e.each(func(k kind, r *Rule, rs *RuleState) { k.fix(e, r, rs, m) })
	if n := len(ch.Recent); n > 0 && m.At.Sub(ch.Recent[n-1].At) < p.Independent && n > 1 {
		// Dense traces: keep marks that are apart, and the newest.
		if ch.Recent[n-1].At.Sub(ch.Recent[n-2].At) < p.Independent {
			ch.Recent[n-1] = m
			return
		}
	}
	ch.Recent = append(ch.Recent, m)
	if n := len(ch.Recent); n > recentMarks {
		ch.Recent = append(ch.Recent[:0:0], ch.Recent[n-recentMarks:]...)
	}
}

// plausible flags a fix that nothing on the ground could reach from the last one in the time between. When a second one
// bears the first out, it was the last one that was wrong.
func (e *evaluation) plausible(ch *Channel, m Mark, fastest float64) {
	if reachable(&ch.Recent[len(ch.Recent)-1], &m, fastest) {
		ch.Suspect = nil
		return
	}
	if ch.Suspect != nil && m.At.After(ch.Suspect.At) && reachable(ch.Suspect, &m, fastest) {
		ch.Suspect = nil
		return
	}
	ch.Suspect = &m
	e.in.Flags |= Impossible
}

func reachable(a, b *Mark, fastest float64) bool {
	d := metres(a.lon(), a.lat(), b.lon(), b.lat()) - float64(a.Accuracy+b.Accuracy)/100
	return d <= fastest*b.At.Sub(a.At).Seconds()+500
}

// e7 is 1e-7 degrees, rounded once.
func e7(deg float64) int32 { return int32(math.Round(deg * 1e7)) }

// NextDue is the instant at which the state wants a tick; zero: never.
func NextDue(s *State, f *Facts, after time.Time) time.Time {
	var next time.Time
	take := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for i := range f.Rules {
		r := &f.Rules[i]
		if k, ok := kinds[r.Kind]; ok && r.Valid.Contains(after) {
			take(k.due(s, f, r, s.rule(r.ID)))
			if r.Valid.Until.After(after) {
				take(r.Valid.Until)
			}
		} else if ok && r.Valid.From.After(after) {
			take(r.Valid.From)
		}
	}
	return next
}

// zone is the version of a rule's zone at the input's instant.
func (e *evaluation) zone(r *Rule) *Zone {
	for _, z := range e.f.Zones[r.Zone] {
		if z.Valid.Contains(e.in.At) {
			return z
		}
	}
	return nil
}

// binding is the device of a class that speaks for the subject at t.
func (f *Facts) binding(class devices.Class, t time.Time) *BindingFact {
	for i := range f.Bindings {
		if b := &f.Bindings[i]; b.Class == class && b.Valid.Contains(t) {
			return b
		}
	}
	return nil
}
