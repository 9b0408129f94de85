package clock_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"zhijiao/internal/clock"
	"zhijiao/internal/pgtest"
)

var start = time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)

func reached(t *testing.T, fired <-chan struct{}) {
	t.Helper()
	select {
	case <-fired:
	case <-time.After(20 * time.Second):
		t.Fatal("the clock did not signal")
	}
}

func TestSteppedStandsStillAndNeverGoesBack(t *testing.T) {
	t.Parallel()
	c := clock.NewStepped(start)
	fired, cancel := c.After(start.Add(time.Minute))
	defer cancel()
	select {
	case <-fired:
		t.Fatal("signalled before anybody moved the clock")
	default:
	}
	c.Step(start.Add(2 * time.Minute))
	reached(t, fired)
	c.Step(start)
	if got := c.Now(); !got.Equal(start.Add(2 * time.Minute)) {
		t.Errorf("went back to %v", got)
	}
	past, cancel := c.After(start)
	defer cancel()
	reached(t, past)
}

func TestScaledRunsFaster(t *testing.T) {
	t.Parallel()
	c := clock.NewScaled(start, 120)
	fired, cancel := c.After(start.Add(12 * time.Second))
	defer cancel()
	began := time.Now()
	reached(t, fired)
	if took := time.Since(began); took < 90*time.Millisecond {
		t.Errorf("12 domain seconds took %v", took)
	}
	if r := c.Read(); r.Kind != clock.Scaled || r.Rate != 120 || r.Now.Before(start.Add(12*time.Second)) {
		t.Errorf("reads %+v", r)
	}
}

func TestOnlyARehearsalHasAnotherTime(t *testing.T) {
	t.Parallel()
	pool, ctx := pgtest.Schema(t), t.Context()
	if _, err := pool.Exec(ctx, "INSERT INTO deployment (mode) VALUES ('live')"); err != nil {
		t.Fatal(err)
	}
	if err := clock.Set(ctx, pool, clock.Setting{Kind: clock.Stepped, At: start}); err == nil {
		t.Error("a live deployment took a stepped clock")
	}
	if err := clock.Set(ctx, pool, clock.Setting{Kind: clock.Machine}); err != nil {
		t.Errorf("machine time refused: %v", err)
	}
}

func TestClockOutlivesTheProgram(t *testing.T) {
	t.Parallel()
	pool, ctx := pgtest.Schema(t), t.Context()
	log := slog.New(slog.DiscardHandler)
	if _, err := pool.Exec(ctx, "INSERT INTO deployment (mode) VALUES ('rehearsal')"); err != nil {
		t.Fatal(err)
	}
	if err := clock.Set(ctx, pool, clock.Setting{Kind: clock.Scaled, At: start, Rate: 100}); err != nil {
		t.Fatal(err)
	}
	if err := clock.Set(ctx, pool, clock.Setting{Kind: clock.Scaled, At: start, Rate: 121}); err == nil {
		t.Error("121 times was accepted")
	}
	run, stop := context.WithCancel(ctx)
	c, err := clock.Open(run, pool, log)
	if err != nil {
		t.Fatal(err)
	}
	fired, cancel := c.After(start.Add(20 * time.Second))
	defer cancel()
	reached(t, fired)
	stop()
	<-c.Done()
	ended := c.Now()

	again, stop := context.WithCancel(ctx)
	defer stop()
	c2, err := clock.Open(again, pool, log)
	if err != nil {
		t.Fatal(err)
	}
	if now := c2.Now(); now.Before(start.Add(20*time.Second)) || now.After(ended.Add(5*time.Minute)) {
		t.Errorf("it ended at %v and goes on at %v", ended, now)
	}
	// Somebody sets it while it is followed.
	to := start.Add(24 * time.Hour)
	moved, cancel := c2.After(to)
	defer cancel()
	if err := clock.Set(ctx, pool, clock.Setting{Kind: clock.Stepped, At: to}); err != nil {
		t.Fatal(err)
	}
	reached(t, moved)
	if r := c2.Read(); r.Kind != clock.Stepped || !r.Now.Equal(to) {
		t.Errorf("reads %+v", r)
	}
}
