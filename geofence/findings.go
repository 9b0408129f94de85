package geofence

import (
	"time"

	"zhijiao/devices"
)

// open, amend and close append the effect with what it was decided on.
func (e *evaluation) open(r *Rule, k ViolationKind, class devices.Class, at time.Time, fill func(*Finding)) {
	e.out = append(e.out, Effect{Open: e.finding(r, k, class, at, fill)})
}

func (e *evaluation) amend(r *Rule, k ViolationKind, class devices.Class, at time.Time, fill func(*Finding)) {
	e.out = append(e.out, Effect{Amend: e.finding(r, k, class, at, fill)})
}

func (e *evaluation) close(r *Rule, k ViolationKind, class devices.Class, at time.Time, fill func(*Finding)) {
	e.out = append(e.out, Effect{Close: e.finding(r, k, class, at, fill)})
}

func (e *evaluation) finding(r *Rule, k ViolationKind, class devices.Class, at time.Time, fill func(*Finding)) *Finding {
	f := &Finding{
		Rule: r.ID, RuleVersion: r.Version, Kind: k, Channel: class, At: at, Timed: r.Schedule != 0, Late: e.o != nil && e.in.Now.Sub(e.at) > r.Params.LateAfter,
		Evidence: Evidence{Class: class, Kind: r.Kind, Basis: r.Basis, DocumentNo: r.DocumentNo, Thresholds: r.Params, At: e.at, Now: e.in.Now, Engine: EngineVersion},
	}
	if z := e.zone(r); r.Zone != 0 && z != nil {
		f.Zone, f.ZoneVersion = z.ID, z.Version
	}
	if fill != nil {
		fill(f)
	}
	return f
}

// withFixes is the usual evidence: the fixes that decided. They are copied: the state goes on.
func withFixes(ms ...Mark) func(*Finding) {
	return func(f *Finding) { f.Evidence.Fixes = append([]Mark(nil), ms...) }
}
