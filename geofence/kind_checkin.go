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

// over is the last window whose grace is over at t; ok is false where none is. Windows count one by one, also those that follow
// one another without a gap: who has two halves of a day to check in in has two to check in in.
func (checkIn) over(f *Facts, r *Rule, t time.Time) (from, until time.Time, ok bool) {
	v := f.schedule(r, t.Add(-r.Params.Grace))
	if v == nil {
		return from, until, false
	}
	w, ok := v.Ended(t.Add(-r.Params.Grace), f.Calendar)
	return later(w.From, v.Valid.From), w.Until, ok && w.Until.After(v.Valid.From)
}

// schedule is the version of a rule's schedule at t; nil where there is none.
func (f *Facts) schedule(r *Rule, t time.Time) *ScheduleVersion {
	list := f.Schedules[r.Schedule]
	for i := range list {
		if list[i].Valid.Contains(t) {
			return &list[i]
		}
	}
	return nil
}

func (k checkIn) tick(e *evaluation, r *Rule, rs *RuleState) {
	from, until, ok := k.over(e.f, r, e.at)
	if ok && rs.Open == "" && !from.Before(later(r.Valid.From, e.s.Since)) && rs.Seen.Before(from) && e.f.binding(r.Params.Class, until) != nil && !e.f.deafDuring(from, until) {
		rs.Seen = until.Add(-1) // this window is done with, and not the one that follows it
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
	for _, v := range f.Schedules[r.Schedule] {
		if u := v.Valid.Until; u.IsZero() || u.After(t) {
			if end := v.Ends(later(t, v.Valid.From), f.Calendar); !end.IsZero() && (u.IsZero() || !end.After(u)) {
				next.takeAfter(end.Add(r.Params.Grace), after)
			}
		}
	}
	return next.Time
}

func (checkIn) rejudge(*evaluation, *Rule, *RuleState)   {}
func (checkIn) fix(*evaluation, *Rule, *RuleState, Mark) {}
