package geofence

import (
	"slices"
	"time"

	"zhijiao/devices"
)

// Presence rules say that somebody is in a place during the windows of the rule's schedule. Absent (未按时在场) opens when the
// grace after a window's beginning is over and the person was last seen elsewhere; Unverified (无法核实) when nobody can tell:
// nothing was heard, it decides nothing, or the device may not be on the person. The clock drives it: what is known at that
// moment counts, and a channel that speaks seldom is asked when the window begins.
const (
	Presence   RuleKind      = "presence"
	Absent     ViolationKind = "absent"
	Unverified ViolationKind = "unverified"
)

func init() {
	kinds[Presence] = &kindSpec{zones: []Purpose{Activity, Destination}, timed: true, kind: presence{}, usual: func(p *Params) { p.Grace = 15 * time.Minute }}
}

type presence struct{}

// elsewhere reports whether so many fixes apart from one another, the last ones that decide, lie outside: a single one that is too
// sure of itself says nothing of a person (R25).
func (presence) elsewhere(e *evaluation, r *Rule, z *Zone, since time.Time, class devices.Class, newest ...Mark) bool {
	run := append(slices.Clone(e.s.Channel[channelIndex(class)].Recent), newest...)
	n, at := 0, time.Time{}
	for i := len(run) - 1; i >= 0 && n < r.Params.Count; i-- {
		m := r.Params.judged(z, run[i])
		switch {
		case m.At.Before(since), firm(&m) && m.Verdict == Inside:
			return false
		case firm(&m) && m.Verdict == Outside && (n == 0 || at.Sub(m.At) >= r.Params.Independent):
			n, at = n+1, m.At
		}
	}
	return n >= r.Params.Count
}

// last is the latest fix of any channel in the window that decides, judged; ok is false where none does.
func (presence) last(e *evaluation, r *Rule, z *Zone, since time.Time) (last Mark, class devices.Class, ok bool) {
	for c := range e.s.Channel {
		recent := e.s.Channel[c].Recent
		for i := len(recent) - 1; i >= 0 && !recent[i].At.Before(since); i-- {
			m := r.Params.judged(z, recent[i])
			if firm(&m) && m.Verdict != Undecidable {
				if !ok || m.At.After(last.At) {
					last, class, ok = m, classOf(c), true
				}
				break
			}
		}
	}
	return last, class, ok
}

// window is where the rule's window began and when it is looked whether the person is there.
func (presence) window(f *Facts, r *Rule, t time.Time) (from, due time.Time) {
	_, span := f.span(r, t)
	from = later(span.From, r.Valid.From)
	return from, from.Add(r.Params.Grace)
}

// tick asks where nobody knows when a window begins, and looks once in every window; rs.Seen is when it last did.
func (k presence) tick(e *evaluation, r *Rule, rs *RuleState) {
	if rs.Ask != nil && !rs.Ask.Due.After(e.at) {
		rs.settle(e, Settle{At: rs.Ask.Due, Answered: rs.Ask.Heard})
	}
	z := e.zone(r)
	from, due := k.window(e.f, r, e.at)
	if z != nil && due.After(e.at) && rs.AskedAt.Before(from) && !from.After(e.at) {
		if _, _, ok := k.last(e, r, z, from.Add(-r.Params.Grace)); !ok {
			k.demand(e, r, rs, from)
		}
	}
	if z == nil || due.After(e.at) || !rs.Seen.Before(from) || !e.expectsPlace() {
		return
	}
	rs.Seen = e.at
	m, class, ok := k.last(e, r, z, from.Add(-r.Params.Grace))
	switch {
	case !ok || e.s.Loose != nil:
		k.opens(e, r, rs, Unverified, r.Params.Class, from)
	case m.Verdict == Outside && k.elsewhere(e, r, z, from.Add(-r.Params.Grace), class):
		k.opens(e, r, rs, Absent, class, from, m)
	case m.Verdict == Outside: // one fix: the next one tells
		k.opens(e, r, rs, Unverified, class, from, m)
		k.demand(e, r, rs, m.At)
	}
}

// demand asks a channel that speaks too seldom to be waited for.
func (presence) demand(e *evaluation, r *Rule, rs *RuleState, from time.Time) {
	for c := range e.s.Channel {
		class := classOf(c)
		if b := e.f.binding(class, e.at); b != nil && e.f.speaks(class, e.at) && r.Params.sparse(b.Interval) {
			rs.ask(e, r, class, Mark{Device: b.Device, At: from})
			return
		}
	}
}

// expectsPlace reports whether any channel is expected to tell places now.
func (e *evaluation) expectsPlace() bool {
	return e.f.speaks(classOf(0), e.at) || e.f.speaks(classOf(1), e.at)
}

func (presence) opens(e *evaluation, r *Rule, rs *RuleState, k ViolationKind, class devices.Class, at time.Time, because ...Mark) {
	at = later(at, rs.ClosedAt)
	rs.opens(k, class, at)
	e.open(r, k, class, at, withFixes(because...))
}

func (k presence) fix(e *evaluation, r *Rule, rs *RuleState, m Mark) {
	z := e.zone(r)
	if z == nil || !firm(&m) {
		return
	}
	m = r.Params.judged(z, m)
	if rs.Ask != nil && rs.Ask.Class == e.in.Binding.Class && m.At.After(rs.Ask.At) {
		rs.settle(e, Settle{At: m.At, Answered: true})
	}
	switch {
	case m.Verdict == Inside && rs.Open != "",
		m.Verdict == Outside && rs.Open == Unverified && k.elsewhere(e, r, z, rs.OpenedAt.Add(-r.Params.Grace), e.in.Binding.Class, m):
		e.close(r, rs.Open, rs.OpenClass, m.At, withFixes(m))
		rs.closes(m.At)
	}
	if m.Verdict == Outside && rs.Open == "" && !rs.Seen.IsZero() && rs.ClosedAt.Equal(m.At) {
		k.opens(e, r, rs, Absent, e.in.Binding.Class, m.At, m) // seen, elsewhere
	}
}

func (presence) heard(*evaluation, *Rule, *RuleState)   {}
func (presence) rejudge(*evaluation, *Rule, *RuleState) {}

func (k presence) due(_ *State, f *Facts, r *Rule, rs *RuleState, after time.Time) time.Time {
	from, due := k.window(f, r, after)
	var next soonest
	if rs != nil && rs.Ask != nil {
		next.take(rs.Ask.Due)
	}
	if rs == nil || rs.Seen.Before(from) || rs.Seen.IsZero() {
		next.takeAfter(due, after)
	}
	return next.Time
}
