package geofence

import (
	"slices"
	"time"
)

// SuspensionID is a row of suspension.
type SuspensionID int64

// SuspensionCause says why rules do not apply to somebody for a while.
type SuspensionCause string

const (
	OnLeave        SuspensionCause = "leave"         // 外出
	OnRegularLeave SuspensionCause = "regular_leave" // 经常性跨市、县活动
	EntryAllowed   SuspensionCause = "entry"         // 批准进入禁止令限制区域、场所
	Detention      SuspensionCause = "detention"     // 羁押
	Hospital       SuspensionCause = "hospital"      // 住院
	Maintenance    SuspensionCause = "maintenance"   // 设备维护
	Removal        SuspensionCause = "removal"       // 预约拆除: the strap is opened as was agreed (R126)
)

// Suspension is 暂停判定: an interval in which rules do not apply to a subject (R20, R21, R23).
type Suspension struct {
	ID    SuspensionID
	Cause SuspensionCause
	Kinds []RuleKind // none: every kind
	Zone  ZoneID     // only rules about it; 0: about any
	Valid Interval
}

// covers reports whether a rule is one of those.
func (s *Suspension) covers(r *Rule) bool {
	return (len(s.Kinds) == 0 || slices.Contains(s.Kinds, r.Kind)) && (s.Zone == 0 || s.Zone == r.Zone)
}

// span is whether a rule's schedule lets it apply at t and nothing suspends it, and an interval around t in which that does not change.
func (f *Facts) span(r *Rule, t time.Time) (bool, Interval) {
	in, v := f.scheduled(r, t)
	if !in {
		return in, v
	}
	for i := range f.Suspensions {
		s := &f.Suspensions[i]
		switch {
		case !s.covers(r):
		case s.Valid.Contains(t):
			return false, s.Valid
		case s.Valid.From.After(t):
			v.Until = sooner(v.Until, s.Valid.From)
		default:
			v.From = later(v.From, s.Valid.Until)
		}
	}
	return true, v
}

// sooner is the earlier of two ends, where zero is none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// SuspendedAt is what suspends rules about the subject at t.
func (f *Facts) SuspendedAt(t time.Time) []Suspension {
	var out []Suspension
	for _, s := range f.Suspensions {
		if s.Valid.Contains(t) {
			out = append(out, s)
		}
	}
	return out
}
