package clock

import (
	"sync"
	"time"
)

// Variable is domain time that can be set: what a rehearsal runs on, and tests. It never goes back.
type Variable struct {
	mu      sync.Mutex
	kind    Kind
	rate    float64
	domain  time.Time // domain time at machine
	machine time.Time // with its monotonic reading
	changed chan struct{}
}

// NewStepped is a clock that stands at t.
func NewStepped(t time.Time) *Variable {
	v := &Variable{changed: make(chan struct{})}
	v.set(Stepped, t, 0, time.Now())
	return v
}

// NewScaled is a clock that starts at t now and runs rate times as fast as the machine's.
func NewScaled(t time.Time, rate float64) *Variable {
	v := &Variable{changed: make(chan struct{})}
	v.set(Scaled, t, rate, time.Now())
	return v
}

// Now returns domain time.
func (v *Variable) Now() time.Time { return v.Read().Now }

// Read returns domain time and how it runs.
func (v *Variable) Read() Reading {
	v.mu.Lock()
	defer v.mu.Unlock()
	return Reading{Now: v.now(time.Now()), Kind: v.kind, Rate: v.rateNow()}
}

func (v *Variable) rateNow() float64 {
	if v.kind == Machine {
		return 1
	}
	return v.rate
}

func (v *Variable) now(machine time.Time) time.Time {
	switch v.kind {
	case Machine:
		return machine.UTC().Truncate(time.Microsecond)
	case Scaled:
		return v.domain.Add(time.Duration(float64(machine.Sub(v.machine)) * v.rate)).UTC().Truncate(time.Microsecond)
	default:
		return v.domain
	}
}

// Step moves a stepped clock to t; an earlier t leaves it where it is.
func (v *Variable) Step(t time.Time) { v.set(Stepped, t, 0, time.Now()) }

// set takes a new setting, and wakes everybody who waits. Domain time does not go back.
func (v *Variable) set(kind Kind, domain time.Time, rate float64, machine time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.kind != "" && v.kind != Machine {
		if was := v.now(time.Now()); domain.Before(was) && kind != Machine {
			domain, machine = was, time.Now()
		}
	}
	v.kind, v.rate, v.domain, v.machine = kind, rate, domain.UTC().Truncate(time.Microsecond), machine
	close(v.changed)
	v.changed = make(chan struct{})
}

// After is signalled when domain time may have reached t, or the clock was set.
func (v *Variable) After(t time.Time) (<-chan struct{}, func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fired, done := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var timer <-chan time.Time
	stop := func() {}
	switch left := t.Sub(v.now(time.Now())); {
	case left <= 0:
		close(fired)
		return fired, func() {}
	case v.kind == Machine || v.kind == Scaled:
		tm := time.NewTimer(time.Duration(float64(left)/v.rateNow()) + time.Millisecond)
		timer, stop = tm.C, func() { tm.Stop() }
	}
	changed := v.changed
	go func() {
		defer stop()
		select {
		case <-timer:
			close(fired)
		case <-changed:
			close(fired)
		case <-done:
		}
	}()
	return fired, func() { once.Do(func() { close(done) }) }
}
