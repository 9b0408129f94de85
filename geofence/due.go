package geofence

import (
	"time"

	"zhijiao/devices"
)

// soonest is the earliest of some instants.
type soonest struct{ time.Time }

func (s *soonest) take(t time.Time) {
	if !t.IsZero() && (s.IsZero() || t.Before(s.Time)) {
		s.Time = t
	}
}

// takeAfter takes t if it is later than after.
func (s *soonest) takeAfter(t, after time.Time) {
	if t.After(after) {
		s.take(t)
	}
}

// NextDue is the instant at which the state wants a tick; zero: never. It may lie before after: then something is overdue.
func NextDue(s *State, f *Facts, after time.Time) time.Time {
	var next soonest
	for i := range f.Rules {
		r := &f.Rules[i]
		k := kinds[r.Kind]
		if k == nil || k.company {
			continue
		}
		next.takeAfter(r.Valid.From, after)
		if !r.Valid.Contains(after) {
			continue
		}
		in, span := f.span(r, after)
		next.takeAfter(span.Until, after)
		if !in && !k.times {
			next.takeAfter(r.Valid.Until, after)
			continue
		}
		next.take(k.due(s, f, r, s.find(r.ID), after))
		next.takeAfter(r.Valid.Until, after)
		for _, z := range f.Zones[r.Zone] {
			next.takeAfter(z.Valid.From, after)
			next.takeAfter(z.Valid.Until, after)
		}
	}
	for i := range f.Attachments {
		next.takeAfter(f.Attachments[i].At, after)
	}
	return next.Time
}

// scheduled is whether a rule's schedule lets it apply at t, and the interval around t in which that does not change.
func (f *Facts) scheduled(r *Rule, t time.Time) (bool, Interval) {
	if r.Schedule == 0 {
		return true, Interval{}
	}
	out := Interval{} // where no version says anything
	for _, v := range f.Schedules[r.Schedule] {
		if v.Valid.Contains(t) {
			in, span := v.At(t, f.Calendar)
			span.From = later(span.From, v.Valid.From)
			if u := v.Valid.Until; !u.IsZero() && (span.Until.IsZero() || u.Before(span.Until)) {
				span.Until = u
			}
			return in, span
		}
		if u := v.Valid.Until; !u.IsZero() && !u.After(t) {
			out.From = later(out.From, u)
		}
		if v.Valid.From.After(t) && (out.Until.IsZero() || v.Valid.From.Before(out.Until)) {
			out.Until = v.Valid.From
		}
	}
	return false, out
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

// speaks reports whether a channel is expected to tell places at t: a device is bound and, for a wristband, the approval
// to position it is valid (社区矫正法 29).
func (f *Facts) speaks(class devices.Class, t time.Time) bool {
	return f.binding(class, t) != nil && (class != devices.Wristband || f.approvedAt(t))
}

// expected is the interval around t in which a channel is expected to speak without a break, and how
// often; ok is false where it is not expected to speak at t.
func (f *Facts) expected(class devices.Class, t time.Time) (v Interval, every time.Duration, ok bool) {
	b := f.binding(class, t)
	if b == nil {
		return v, 0, false
	}
	v = b.Valid
	if class != devices.Wristband {
		return v, b.Interval, true
	}
	a, ok := f.approval(t)
	if a.From.After(v.From) {
		v.From = a.From
	}
	if !a.Until.IsZero() && (v.Until.IsZero() || a.Until.Before(v.Until)) {
		v.Until = a.Until
	}
	return v, b.Interval, ok
}

// approval is the interval around t that approvals cover without a gap: an extension follows on (社区矫正法 29).
func (f *Facts) approval(t time.Time) (v Interval, ok bool) {
	for _, a := range f.Authorities {
		if a.Contains(t) {
			v, ok = a, true
		}
	}
	for more := ok; more; {
		more = false
		for _, a := range f.Authorities {
			if a.From.Before(v.From) && (a.Until.IsZero() || !a.Until.Before(v.From)) {
				v.From, more = a.From, true
			}
			if !v.Until.IsZero() && !a.From.After(v.Until) && (a.Until.IsZero() || a.Until.After(v.Until)) {
				v.Until, more = a.Until, true
			}
		}
	}
	return v, ok
}
