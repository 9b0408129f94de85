package devices

import (
	"time"
)

// Known is a device while what it sent is taken in, under its lock.
type Known struct {
	Device
	Window     Window
	ObservedAt time.Time // the device's own time of its newest health; zero: none yet

	heardAt time.Time
	health  Health
	skew    *int64 // milliseconds
	fresher bool   // health is newer than what is stored

	conflicts    int64     // found in this batch
	conflictTold time.Time // when the ledger last told of one; zero: never
	tellConflict bool      // it is to tell of these
}

// conflictAgain is how often the ledger tells of a device whose sequences keep coming with other contents.
const conflictAgain = time.Hour

// Conflicted says that a sequence came again with another content: somebody speaks in the device's name, or its program is broken.
func (k *Known) Conflicted(at time.Time) {
	k.conflicts++
	if k.conflictTold.IsZero() || at.Sub(k.conflictTold) >= conflictAgain {
		k.conflictTold, k.tellConflict = at, true
	}
}

// Enrolled says whether the device was enrolled, and not yet revoked, at t.
func (k *Known) Enrolled(t time.Time) bool {
	return !t.Before(k.EnrolledAt) && (k.RevokedAt.IsZero() || t.Before(k.RevokedAt))
}

// Astray says whether an observation was made in other hands than the bearer's: whatever a lost device says when, since whoever has it
// may set its clock, and once it is found what it kept from then.
func (k *Known) Astray(o *Observation) bool {
	if k.LostFrom.IsZero() {
		return false
	}
	return k.LostUntil.IsZero() || !o.At.Before(k.LostFrom) && o.At.Before(k.LostUntil)
}

// Take merges what an observation says of the device itself. An older one than is known changes nothing but that the device
// was heard. With lawful false the serving cell is dropped: where somebody's wristband is on the network says where they
// are, and that may not be kept then.
func (k *Known) Take(o *Observation, lawful bool) {
	if o.ReceivedAt.After(k.heardAt) {
		k.heardAt = o.ReceivedAt
	}
	if skew, ok := o.Skew(); ok {
		ms := skew.Milliseconds()
		k.skew = &ms
	}
	if o.At.Before(k.ObservedAt) {
		return
	}
	k.ObservedAt, k.fresher = o.At, true
	h := &k.health
	if o.Health.Battery != nil {
		h.Battery = o.Health.Battery
	}
	if o.Health.Charging != nil {
		h.Charging = o.Health.Charging
	}
	if o.Health.Signal != nil {
		h.Signal = o.Health.Signal
	}
	if o.Health.Strap != StrapUnknown {
		h.Strap = o.Health.Strap
	}
	if o.Health.Cell != "" && lawful {
		h.Cell = o.Health.Cell
	}
	if o.Health.Operator != "" {
		h.Operator = o.Health.Operator
	}
	if o.Health.SIM != "" {
		h.SIM = o.Health.SIM
	}
	h.LastGasp = o.Health.LastGasp // whoever speaks again has not died
}

// Heard says that the device spoke, without taking anything from what it said.
func (k *Known) Heard(at time.Time) {
	if at.After(k.heardAt) {
		k.heardAt = at
	}
}

// WithoutWhereabouts is the health without what says where the device is: the serving cell.
func (h Health) WithoutWhereabouts() Health {
	h.Cell = ""
	return h
}
