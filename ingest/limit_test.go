package ingest

import (
	"testing"
	"time"

	"zhijiao/devices"
)

var noon = time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)

func newLimiter() *limiter {
	return &limiter{Limit: Limit{Rate: 5, Burst: 60, Backlog: 1000}, devices: map[devices.Serial]*bucket{}}
}

func TestLimitOfOneDevice_R37(t *testing.T) {
	t.Parallel()
	l := newLimiter()
	passed := func(serial devices.Serial, n int, at, newest time.Time) (p int) {
		for range n {
			if l.admit(serial, at, newest, false) {
				p++
			}
		}
		return p
	}
	if p := passed("A", 500, noon, noon); p != 60 {
		t.Errorf("%d of 500 at once", p)
	}
	if p := passed("A", 500, noon.Add(2*time.Second), noon); p != 10 {
		t.Errorf("%d two seconds later", p)
	}
	if p := passed("A", 500, noon.Add(time.Second), noon); p != 0 { // the clock went back
		t.Errorf("%d of a clock that went back", p)
	}
	if p := passed("B", 60, noon, noon); p != 60 {
		t.Errorf("another device: %d of 60", p)
	}
	// What was kept comes at once, beside what is live, and is bounded as well.
	if p := passed("A", 5000, noon.Add(2*time.Second), noon.Add(-time.Hour)); p != 1000 {
		t.Errorf("%d of a backlog", p)
	}
	if p := passed("C", 1, noon, time.Time{}); p != 1 {
		t.Error("a message without an observation is live")
	}
	if !l.admit("A", noon.Add(2*time.Second), noon, true) {
		t.Error("what the broker delivers again was admitted before")
	}
}

func TestTracesOfAFlood_R37(t *testing.T) {
	t.Parallel()
	l := newLimiter()
	traces, stands, counted := 0, int64(0), int64(0)
	add := func(it item) {
		counted += it.observations()
		if !it.refusal.Silent {
			traces, stands = traces+1, stands+max(it.refusal.Stands, 1)
		}
	}
	messages := 0
	for second := range 150 { // two minutes and a half of a hundred messages a second, three observations each
		at := noon.Add(time.Duration(second) * time.Second)
		for range 100 {
			if !l.admit("A", at, at, false) {
				messages++
				add(l.refuse("A", devices.KindFix, 3, 100, at))
			}
		}
	}
	for _, it := range l.overdue(noon.Add(10 * time.Minute)) {
		add(it)
	}
	if len(l.overdue(noon.Add(20*time.Minute))) != 0 {
		t.Error("told again")
	}
	if messages < 14000 || counted != 3*int64(messages) || stands != int64(messages) || traces != 4 {
		t.Errorf("%d messages: %d observations counted, %d traces for %d", messages, counted, traces, stands)
	}
}

func TestLimiterForgets(t *testing.T) {
	t.Parallel()
	l := newLimiter()
	for i := range 3 * limitMemory {
		l.admit(devices.Serial(rune('a'+i%26))+devices.Serial(time.Duration(i).String()), noon.Add(time.Duration(i)*time.Second), noon.Add(time.Duration(i)*time.Second), false)
	}
	if len(l.devices) > limitMemory+1 {
		t.Errorf("%d devices remembered", len(l.devices))
	}
}
