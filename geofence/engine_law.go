package geofence

import (
	"time"

	"zhijiao/devices"
)

// What the law lets us keep of an observation is decided here, without a database.

// disposition is what becomes of an observation.
type disposition struct {
	outcome devices.Outcome
	reason  devices.Reason
	lawful  bool // where the device is may be known: its serving cell may be kept
}

func withhold(r devices.Reason) disposition {
	return disposition{outcome: devices.Withheld, reason: r}
}

// attribute is the binding that holds at t: who wore it then, not who wears it now (R11).
func attribute(bindings []BindingFact, t time.Time) *BindingFact {
	for i := range bindings {
		if bindings[i].Valid.Contains(t) {
			return &bindings[i]
		}
	}
	return nil
}

// approved reports whether a wristband's place may be known (社区矫正法 29): at the fix time as told and, where the device's
// clock is off, also at what it comes out as when the clock is set right (R38, R04).
func (f *Facts) approved(o *devices.Observation) bool {
	if !f.approvedAt(o.At) {
		return false
	}
	skew, ok := o.Skew()
	return !ok || skew <= skewTolerance && skew >= -skewTolerance || f.approvedAt(o.At.Add(skew))
}

func (f *Facts) approvedAt(t time.Time) bool {
	for _, a := range f.Authorities {
		if a.Contains(t) {
			return true
		}
	}
	return false
}

// lawful decides on an observation that was not heard before. s is the state of the binding's subject, f its facts; both
// are nil without a binding. answers says that the observation answers a demand made of this device (R13).
func lawful(o *devices.Observation, k *devices.Known, b *BindingFact, f *Facts, s *State, answers bool) disposition {
	switch {
	case !k.Enrolled(o.At):
		return withhold(devices.NotEnrolled)
	case k.Astray(o):
		return withhold(devices.LostDevice) // where a stranger is, or nobody: not ours to keep
	case b == nil && o.Kind == devices.KindStatus:
		return disposition{outcome: devices.Stored}
	case b == nil:
		return withhold(devices.NoBinding)
	case b.Class == devices.Wristband:
		if f.approved(o) {
			return disposition{outcome: devices.Stored, lawful: true}
		}
		if o.Place == nil {
			return disposition{outcome: devices.Stored} // the device's health, and nothing of where it is
		}
		return withhold(devices.NoAuthority)
	case o.Place == nil:
		return disposition{outcome: devices.Stored} // the cell of a phone would be a track finer than approved
	case !answers && b.Finest > 0 && s.FinerThan(b.Class, o.At, b.Finest):
		return withhold(devices.FinerThan)
	}
	return disposition{outcome: devices.Stored, lawful: true}
}

// mayKeep reports whether the raw payload of a refused message may be kept, sealed, for a few days: only that of a
// wristband under an approval both at the one time it tells and now. What a phone says may be finer than approved, and
// nobody can tell before it is decoded.
func mayKeep(r *Refusal, k *devices.Known, b *BindingFact, f *Facts, now time.Time) bool {
	return len(r.Payload) > 0 && !r.At.IsZero() && k != nil && b != nil && f != nil && b.Class == devices.Wristband &&
		k.Enrolled(r.At) && k.LostFrom.IsZero() && b.Valid.Contains(now) && f.approvedAt(r.At) && f.approvedAt(now)
}
