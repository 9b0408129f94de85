package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"zhijiao/cmd/zhijiao/fleet"
	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
	"zhijiao/internal/clock"
)

// connectAtOnce is how many simulated devices connect at the same time.
const connectAtOnce = 8

// people are those of a world, with their devices at the broker.
type people struct {
	fleet *fleet.Fleet
	log   *slog.Logger

	mu    sync.Mutex
	world *simulate.World
	now   time.Time // up to when the world has spoken

	heard map[devices.CommandID]demanded // every command that reached a device
	news  chan struct{}                  // capacity 1: a demand came
}

// demanded is a demand as it reached a device.
type demanded struct {
	serial  devices.Serial
	command devices.CommandMessage
	done    bool // the world knows
}

func newPeople(w *simulate.World, url string, tlsConfig *tls.Config, log *slog.Logger) *people {
	p := &people{world: w, log: log, heard: map[devices.CommandID]demanded{}, news: make(chan struct{}, 1)}
	p.fleet = fleet.New(fleet.Options{URL: url, TLS: tlsConfig, Log: log, OnCommand: p.command})
	return p
}

// command keeps what reached a device. It may come several times.
func (p *people) command(serial devices.Serial, payload []byte) {
	m, err := devices.DecodeCommandJSON(payload)
	if err != nil {
		p.log.Warn("a simulated device cannot read a command", "err", err)
		return
	}
	p.mu.Lock()
	d, again := p.heard[m.ID]
	if !again {
		d = demanded{serial: serial, command: m}
	}
	if m.Kind != devices.CommandCheck { // the answer to it may be lost: it is answered each time
		d.done = false
	}
	p.heard[m.ID] = d
	p.mu.Unlock()
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// demand tells the world of the commands that came, in the order in which they were given.
func (p *people) demand() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range slices.Sorted(maps.Keys(p.heard)) {
		d := p.heard[c]
		if d.done {
			if d.command.Expires.Before(p.now) {
				delete(p.heard, c)
			}
			continue
		}
		at := d.command.At
		if at.Before(p.now) {
			at = p.now
		}
		if d.command.Kind == devices.CommandCheck {
			p.world.Demand(d.serial, d.command.Check, at)
		} else {
			p.world.Tell(d.serial, d.command, at)
		}
		d.done = true
		p.heard[c] = d
	}
}

// reached tells whether commands have all reached their devices.
func (p *people) reached(list []devices.CommandID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range list {
		if _, ok := p.heard[c]; !ok {
			return false
		}
	}
	return true
}

// connect brings every device to the broker, some at a time.
func (p *people) connect(ctx context.Context, secrets map[devices.Serial]string) error {
	return connectAll(ctx, p.fleet, secrets)
}

func connectAll(ctx context.Context, f *fleet.Fleet, secrets map[devices.Serial]string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	room := make(chan struct{}, connectAtOnce)
	errs := make(chan error, len(secrets))
	for _, serial := range slices.Sorted(maps.Keys(secrets)) {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			if err := f.Connect(ctx, serial, secrets[serial]); err != nil {
				errs <- fmt.Errorf("%s: %w", serial, err)
				cancel()
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// speak sends all that the world says up to t and returns how many observations that was, by kind.
func (p *people) speak(ctx context.Context, t time.Time) (map[devices.Kind]int64, error) {
	p.demand()
	p.mu.Lock()
	messages := p.world.Step(t)
	p.now = t
	p.mu.Unlock()
	n := map[devices.Kind]int64{}
	for _, m := range messages {
		if err := p.fleet.Send(ctx, m.Serial, m.Kind, m.Report()); err != nil {
			return n, err
		}
		n[m.Kind] += int64(len(m.Observations))
	}
	return n, nil
}

// live lets the people live by a clock that runs, until ctx ends. daily is called whenever a new day has begun.
func (p *people) live(ctx context.Context, c clock.Clock, daily func(now time.Time) error) error {
	today := midnight(c.Now())
	for ctx.Err() == nil {
		now := c.Now()
		if day := midnight(now); day.After(today) {
			today = day
			if err := daily(now); err != nil {
				return err
			}
		}
		if _, err := p.speak(ctx, now); err != nil {
			return ignoreEnd(ctx, err)
		}
		p.mu.Lock()
		next := p.world.Next()
		p.mu.Unlock()
		due, cancel := c.After(next)
		select {
		case <-ctx.Done():
		case <-due:
		case <-p.news:
		}
		cancel()
	}
	return nil
}

// ignoreEnd drops the error of what ended because it was told to.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}
