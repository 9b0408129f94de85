package geofence

import (
	"time"

	"zhijiao/devices"
)

// CheckInDue rules say that somebody checks in once in every window of the rule's schedule. CheckMissed (未按时核查) opens
// when a window and the grace after it are over without one, and ends with the next check-in.
const (
	CheckInDue  RuleKind      = "check_in"
	CheckMissed ViolationKind = "check_missed"
)

func init() {
	kinds[CheckInDue] = &kindSpec{kind: checkIn{}, timed: true, times: true, usual: func(p *Params) { p.Class, p.Grace = devices.Phone, 15*time.Minute }}
}

type checkIn struct{}

// over is the end of the last window whose grace is over at t, and where that window began; ok is false where none is.
func (checkIn) over(f *Facts, r *Rule, t time.Time) (from, until time.Time, ok bool) {
	if r.Schedule == 0 {
		return from, until, false
	}
	in, span := f.span(r, t.Add(-r.Params.Grace))
	if in { // it goes on: the one before it is over
		_, gap := f.span(r, span.From.Add(-1))
		in, before := f.span(r, gap.From.Add(-1))
		return before.From, before.Until, in
	}
	in, before := f.span(r, span.From.Add(-1))
	return before.From, before.Until, in
}

func (k checkIn) tick(e *evaluation, r *Rule, rs *RuleState) {
	from, until, ok := k.over(e.f, r, e.at)
	if ok && rs.Open == "" && !from.Before(later(r.Valid.From, e.s.Since)) && rs.Seen.Before(from) && e.f.binding(r.Params.Class, until) != nil && !e.f.deafDuring(from, until) {
		rs.Seen = until // this window is done with
		rs.opens(CheckMissed, r.Params.Class, later(until, rs.ClosedAt))
		e.open(r, CheckMissed, r.Params.Class, rs.OpenedAt, func(f *Finding) { f.Evidence.AskedAt, f.Late = from, false })
	}
}

// deafDuring reports whether we did not listen at some time in an interval.
func (f *Facts) deafDuring(from, until time.Time) bool {
	for _, d := range f.Deaf {
		if d.From.Before(until) && d.Until.After(from) {
			return true
		}
	}
	return false
}

func (checkIn) heard(e *evaluation, r *Rule, rs *RuleState) {
	if e.o.Kind != devices.KindCheckIn || e.in.Binding.Class != r.Params.Class {
		return
	}
	rs.Seen = e.at
	if rs.Open != "" {
		e.close(r, rs.Open, rs.OpenClass, e.at, nil)
		rs.closes(e.at)
	}
}

func (checkIn) due(_ *State, f *Facts, r *Rule, _ *RuleState, after time.Time) time.Time {
	if r.Schedule == 0 {
		return time.Time{}
	}
	var next soonest
	t := after.Add(-r.Params.Grace)
	in, span := f.span(r, t)
	if !in && !span.Until.IsZero() {
		_, span = f.span(r, span.Until)
	}
	if !span.Until.IsZero() {
		next.takeAfter(span.Until.Add(r.Params.Grace), after)
	}
	return next.Time
}

func (checkIn) rejudge(*evaluation, *Rule, *RuleState)   {}
func (checkIn) fix(*evaluation, *Rule, *RuleState, Mark) {}
