package clock_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

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

// await waits until domain time has reached to.
func await(t *testing.T, c clock.Clock, to time.Time) {
	t.Helper()
	for c.Now().Before(to) {
		fired, cancel := c.After(to)
		reached(t, fired)
		cancel()
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
	began := time.Now()
	await(t, c, start.Add(12*time.Second))
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

func rehearsal(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.Schema(t)
	if _, err := pool.Exec(t.Context(), "INSERT INTO deployment (mode) VALUES ('rehearsal')"); err != nil {
		t.Fatal(err)
	}
	return pool
}

func open(ctx context.Context, t *testing.T, pool *pgxpool.Pool) *clock.DB {
	t.Helper()
	c, err := clock.Open(ctx, pool, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDomainTimeStopsWithTheProgram(t *testing.T) {
	t.Parallel()
	pool, ctx := rehearsal(t), t.Context()
	if err := clock.Set(ctx, pool, clock.Setting{Kind: clock.Scaled, At: start, Rate: 100}); err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(ctx)
	c := open(run, t, pool)
	await(t, c, start.Add(20*time.Second))
	stop()
	<-c.Done()
	ended := c.Now()

	// An hour in which nothing runs would be a hundred domain hours. How long it takes to come up again is the machine's.
	if _, err := pool.Exec(ctx, "UPDATE domain_clock SET machine_at = machine_at - interval '1 hour'"); err != nil {
		t.Fatal(err)
	}
	run, stop = context.WithCancel(ctx)
	again := open(run, t, pool)
	if now := again.Now(); now.Before(start.Add(20*time.Second)) || now.After(ended.Add(time.Hour)) {
		t.Errorf("it ended at %v and goes on at %v", ended, now)
	}
	stop()
	<-again.Done()
}

// TestNeverBackAfterAKill opens the clock as a process does that comes after one that wrote nothing at its end.
func TestNeverBackAfterAKill(t *testing.T) {
	t.Parallel()
	pool, ctx := rehearsal(t), t.Context()
	if err := clock.Set(ctx, pool, clock.Setting{Kind: clock.Scaled, At: start, Rate: 120}); err != nil {
		t.Fatal(err)
	}
	first := open(ctx, t, pool)
	await(t, first, start.Add(2*time.Minute)) // past the row's first move
	for range 20 {
		told := first.Now()
		run, stop := context.WithCancel(ctx)
		next := open(run, t, pool)
		if now := next.Now(); now.Before(told) {
			t.Fatalf("told %v, then %v", told, now)
		}
		stop()
	}
	// And killed for long: it goes on within the hold, not after as long as it was dead.
	if _, err := pool.Exec(ctx, "UPDATE domain_clock SET machine_at = machine_at - interval '1 hour'"); err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(ctx)
	defer stop()
	if gained := open(run, t, pool).Now().Sub(start); gained > 20*time.Minute {
		t.Errorf("%v of domain time went by, most of it while nothing ran", gained)
	}
}

func TestEveryProcessFollowsASetting(t *testing.T) {
	t.Parallel()
	pool, ctx := rehearsal(t), t.Context()
	set := func(s clock.Setting) error { return clock.Set(ctx, pool, s) }
	if err := set(clock.Setting{Kind: clock.Scaled, At: start, Rate: 121}); err == nil {
		t.Error("121 times was accepted")
	}
	if err := set(clock.Setting{Kind: clock.Stepped, At: start}); err != nil {
		t.Fatal(err)
	}
	a, b := open(ctx, t, pool), open(ctx, t, pool)
	to := start.Add(24 * time.Hour)
	for _, c := range []*clock.DB{a, b} {
		if !c.Now().Equal(start) {
			t.Errorf("reads %v", c.Read())
		}
	}
	movedA, cancelA := a.After(to)
	defer cancelA()
	movedB, cancelB := b.After(to)
	defer cancelB()
	if err := set(clock.Setting{Kind: clock.Stepped, At: to}); err != nil {
		t.Fatal(err)
	}
	reached(t, movedA)
	reached(t, movedB)
	if r := b.Read(); r.Kind != clock.Stepped || !r.Now.Equal(to) {
		t.Errorf("reads %+v", r)
	}
	if err := set(clock.Setting{Kind: clock.Stepped, At: start}); !errors.Is(err, clock.ErrBack) {
		t.Errorf("going back: %v", err)
	}
	if err := set(clock.Setting{Kind: clock.Machine}); time.Now().Before(to) != errors.Is(err, clock.ErrBack) {
		t.Errorf("to machine time: %v", err)
	}
	if err := set(clock.Setting{Kind: clock.Scaled, Rate: 60}); err != nil {
		t.Errorf("going on from where it stands: %v", err)
	}
}
