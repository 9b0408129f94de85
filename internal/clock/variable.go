package clock

import (
	"sync"
	"time"
)

// Variable is domain time that can be set: what a rehearsal runs on, and tests. It is safe for concurrent use and never
// goes back, with one exception: leaving machine time, which is how a rehearsal begins.
type Variable struct {
	waiters waiters

	mu     sync.Mutex
	kind   Kind
	rate   float64
	domain time.Time     // domain time at anchor
	anchor time.Time     // machine time, with its monotonic reading
	hold   time.Duration // a scaled clock stops so long after its anchor; 0: never
}

// NewStepped is a clock that stands at t.
func NewStepped(t time.Time) *Variable {
	return &Variable{kind: Stepped, domain: micros(t), anchor: time.Now()}
}

// NewScaled is a clock that starts at t now and runs rate times as fast as the machine's.
func NewScaled(t time.Time, rate float64) *Variable {
	return &Variable{kind: Scaled, rate: rate, domain: micros(t), anchor: time.Now()}
}

// Now implements Clock.
func (v *Variable) Now() time.Time { return v.Read().Now }

// Read implements Clock.
func (v *Variable) Read() Reading {
	v.mu.Lock()
	defer v.mu.Unlock()
	r := Reading{Now: v.at(time.Now()), Kind: v.kind, Rate: v.rate}
	if v.kind == Machine {
		r.Rate = 1
	}
	return r
}

// at is domain time at a machine time. The lock is held.
func (v *Variable) at(machine time.Time) time.Time {
	switch v.kind {
	case Scaled:
		ran := max(machine.Sub(v.anchor), 0)
		if v.hold > 0 {
			ran = min(ran, v.hold)
		}
		return micros(v.domain.Add(time.Duration(float64(ran) * v.rate)))
	case Stepped:
		return v.domain
	default:
		return micros(machine)
	}
}

// Step makes the clock stand at t; an earlier t leaves it where it is.
func (v *Variable) Step(t time.Time) { v.set(Stepped, t, 0) }

// Advance moves a stepped clock on by d.
func (v *Variable) Advance(d time.Duration) { v.Step(v.Now().Add(d)) }

// set takes a setting as of now and wakes everybody who waits. A domain time earlier than what was already told becomes
// what was told.
func (v *Variable) set(kind Kind, domain time.Time, rate float64) {
	v.mu.Lock()
	anchor := time.Now()
	if v.kind != Machine && kind != Machine {
		if told := v.at(anchor); domain.Before(told) {
			domain = told
		}
	}
	v.kind, v.rate, v.domain, v.anchor = kind, rate, micros(domain), anchor
	v.mu.Unlock()
	v.waiters.wake()
}

// After implements Clock.
func (v *Variable) After(t time.Time) (<-chan struct{}, func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	left := t.Sub(v.at(time.Now()))
	switch {
	case left <= 0:
		left = 0
	case v.kind == Stepped:
		left = never
	case v.kind == Scaled:
		left = time.Duration(float64(left) / v.rate)
	}
	return v.waiters.add(left)
}
