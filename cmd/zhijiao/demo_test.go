package main

import (
	"context"
	"reflect"
	"testing"
	"time"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/internal/clock"
)

func TestDemoBeginsWithSomebodyWhoLeaves(t *testing.T) {
	t.Parallel()
	first := demoClock(time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)).At
	w, s, err := demoWorld(first, first)
	if err != nil {
		t.Fatal(err)
	}
	o, err := inventedWorld(demoPeople, demoWristbands, demoSeed, first, 1)
	if err != nil {
		t.Fatal(err)
	}
	m := s.opening[0]
	took := arrives(w, &o, m)
	if m.Deed != simulate.LeaveCity || m.Person >= demoWristbands || m.After+took > 40*time.Minute {
		t.Errorf("%s by %d is over the edge %v after the start; the wall should have it within the first minute, which is an hour", m.Deed, m.Person, m.After+took)
	}
	_, later, err := demoWorld(first, first.Add(100*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(later.opening, s.opening) {
		t.Errorf("after a restart it began otherwise: %v, not %v", later.opening, s.opening)
	}
}

func TestEveryDayHasItsMisdeeds(t *testing.T) {
	t.Parallel()
	first := demoClock(time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)).At
	_, s, err := demoWorld(first, first)
	if err != nil {
		t.Fatal(err)
	}
	later := first.AddDate(0, 0, 3).Add(5 * time.Hour)
	if d := s.dayOf(later); d != 3 {
		t.Errorf("day %d, want 3", d)
	}
	for day := range 20 {
		a, b := s.day(day, first), s.day(day, later)
		if len(a) < 5 || len(a) != len(b) {
			t.Fatalf("day %d: %d misdeeds, seen from later %d", day, len(a), len(b))
		}
		for i := range a {
			if got := b[i].After + later.Sub(first); got != a[i].After {
				t.Errorf("day %d: misdeed %d moves with the start", day, i)
			}
			b[i].After = a[i].After
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("day %d differs with the start", day)
		}
	}
}

// TestDemoShowsAnAlarmAndGoesOnAfterARestart runs the demo twice as fast as it runs for people.
func TestDemoShowsAnAlarmAndGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	app := rehearse(t, demoClock(time.Now()).At)
	if err := app.settleClock(t.Context(), 120); err != nil {
		t.Fatal(err)
	}
	live := func() {
		d, err := loadDemo(t.Context(), app)
		if err != nil {
			t.Fatal(err)
		}
		if d.login == "" || len(d.password) < 12 {
			t.Errorf("nobody can log in: %q", d.login)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- d.run(ctx) }()
		before := len(alertsOf(t, app))
		eventually(t, "an alert", func() bool { return len(alertsOf(t, app)) > before })
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	live()
	if a := alertsOf(t, app)[0]; a.Kind != "left_zone" || a.Class != "alarm" || app.clock.Now().Sub(a.At) > time.Hour {
		t.Errorf("the demo begins with %v", a)
	}
	count := func() (n int) {
		t.Helper()
		if err := app.pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM org) + (SELECT count(*) FROM subject) + (SELECT count(*) FROM device) +
			(SELECT count(*) FROM binding) + (SELECT count(*) FROM authority) + (SELECT count(*) FROM rule) + (SELECT count(*) FROM zone) + (SELECT count(*) FROM account)`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	was := count()
	live()
	if got := count(); got != was {
		t.Errorf("%d things are there after the second start, %d before", got, was)
	}
	if kind := app.clock.Read().Kind; kind != clock.Scaled {
		t.Errorf("time is %s", kind)
	}
}
