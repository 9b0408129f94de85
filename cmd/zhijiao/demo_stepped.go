package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/clock"
)

const (
	// longestStep is how far the clock may move at once: what devices say is published before the clock moves, and a
	// device's time may be five minutes ahead of ours before it is refused.
	longestStep = 4 * time.Minute
	// quietWithin bounds how long one step may take to come to rest.
	quietWithin = 2 * time.Minute
	// lookAgain is the pause between two looks whether everything is at rest.
	lookAgain = 2 * time.Millisecond
)

// stepped lets people live while domain time stands still, and moves it on only when all they said is accounted for and
// everything that follows from it has happened. So the result is the same on any machine, however slow.
type stepped struct {
	app    *App
	people *people
	step   time.Duration

	sent, base map[devices.Kind]int64 // observations since we began, and received before
	onTheWay   time.Time              // machine time since which a command has not reached its device; zero: all have
}

// commandsWithin is how long a command may be on its way before it counts as lost.
const commandsWithin = 10 * time.Second

// run steps from the clock's instant until the given one.
func (s *stepped) run(ctx context.Context, until time.Time, progress func(now time.Time)) error {
	if s.step <= 0 || s.step > longestStep {
		return fmt.Errorf("a step is at most %v", longestStep)
	}
	if kind := s.app.clock.Read().Kind; kind != clock.Stepped {
		return fmt.Errorf("domain time runs by itself (%s)", kind)
	}
	s.sent = nil
	received, err := s.received(ctx)
	if err != nil {
		return err
	}
	s.base, s.sent = received, map[devices.Kind]int64{}
	for now := s.app.clock.Now(); now.Before(until); {
		next := now.Add(s.step)
		if next.After(until) {
			next = until
		}
		if err := s.once(ctx, now, next); err != nil {
			return fmt.Errorf("at %s: %w", next.In(shanghai).Format(time.DateTime), err)
		}
		now = next
		progress(now)
	}
	return nil
}

// once publishes what is said up to next, waits until it has taken effect, moves the clock, and waits until that has.
func (s *stepped) once(ctx context.Context, now, next time.Time) error {
	ctx, cancel := context.WithTimeoutCause(ctx, quietWithin, fmt.Errorf("not at rest after %v", quietWithin))
	defer cancel()
	n, err := s.people.speak(ctx, next)
	if err != nil {
		return err
	}
	if err := s.people.fleet.FlushAll(ctx); err != nil {
		return err
	}
	for kind := range n {
		s.sent[kind] += n[kind]
	}
	if err := s.rest(ctx, now); err != nil {
		return err
	}
	if err := clock.Set(ctx, s.app.pool, clock.Setting{Kind: clock.Stepped, At: next}); err != nil {
		return err
	}
	return s.rest(ctx, next)
}

// rest waits until the clock stands at t, everything sent is accounted for and nothing is left to happen by itself.
func (s *stepped) rest(ctx context.Context, t time.Time) error {
	var why error
	for {
		if why = s.resting(ctx, t); why == nil {
			return nil
		}
		if !errors.Is(why, geofence.ErrNotDrained) && ctx.Err() == nil {
			return why
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), why)
		case <-time.After(lookAgain):
		}
	}
}

func (s *stepped) resting(ctx context.Context, t time.Time) error {
	if s.app.clock.Now().Before(t) {
		return fmt.Errorf("%w: the clock has not been seen to move", geofence.ErrNotDrained)
	}
	received, err := s.received(ctx)
	if err != nil {
		return err
	}
	for kind, n := range s.sent {
		if received[kind]-s.base[kind] < n {
			return fmt.Errorf("%w: %d of %d observations received", geofence.ErrNotDrained, received[kind]-s.base[kind], n)
		}
	}
	if err := s.app.engine.Settle(ctx); err != nil {
		return err
	}
	if err := geofence.Drained(ctx, s.app.pool, t); err != nil {
		return err
	}
	sent, err := sentCommands(ctx, s.app.pool, t)
	if err != nil {
		return err
	}
	if s.people.reached(sent) {
		s.onTheWay = time.Time{}
		return nil
	}
	// They go down at QoS 0: one that was lost is sent again when its time has come, which it does not while we wait for it.
	if s.onTheWay.IsZero() {
		s.onTheWay = time.Now()
	}
	if time.Since(s.onTheWay) < commandsWithin {
		return fmt.Errorf("%w: commands are on their way to devices", geofence.ErrNotDrained)
	}
	return nil
}

// received is how many observations were received, by kind; of statuses those of invented people, since the canary sends
// some as well.
func (s *stepped) received(ctx context.Context) (map[devices.Kind]int64, error) {
	counts, err := devices.LoadCounts(ctx, s.app.pool)
	if err != nil {
		return nil, err
	}
	n := map[devices.Kind]int64{}
	for _, kind := range []devices.Kind{devices.KindFix, devices.KindCheckIn} {
		n[kind] = counts[devices.CountKey{Kind: kind, Outcome: devices.Received}]
	}
	if s.sent == nil || s.sent[devices.KindStatus] > 0 {
		n[devices.KindStatus], err = storedStatuses(ctx, s.app.pool, simulate.SerialPrefix)
	}
	return n, err
}

// bar tells on a terminal how far something is, at most a few times a second.
type bar struct {
	out  io.Writer
	what string
	last time.Time
}

func (b *bar) show(done, all int64) {
	if now := time.Now(); now.Sub(b.last) < 250*time.Millisecond && done < all {
		return
	} else {
		b.last = now
	}
	end := ""
	if done >= all {
		end = "\n"
	}
	fmt.Fprintf(b.out, "\r%s %d/%d (%d %%)%s", b.what, done, all, done*100/max(all, 1), end)
}
