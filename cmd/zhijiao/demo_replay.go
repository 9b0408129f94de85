package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/cmd/zhijiao/fleet"
	"zhijiao/cmd/zhijiao/replay"
	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
	"zhijiao/internal/clock"
	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
)

const (
	week = 7 * 24 * time.Hour
	// replayPatience is how long the platform may take in nothing before a replay gives up.
	replayPatience = 2 * time.Minute
	// replayBoot is the boot counter of traces sent with their own times: sent again they are the same observations.
	replayBoot = 1
)

// replayOptions say how traces are sent.
type replayOptions struct {
	now        bool    // each trace begins now; else as recorded
	perMessage int     // fixes in one message
	speed      float64 // times as fast as recorded; 0: as fast as it goes
}

// replayer sends traces to a platform as devices would.
type replayer struct {
	replayOptions
	pool  *pgxpool.Pool
	keys  crypto.Provider
	clock clock.Clock
	url   string
	tls   *tls.Config
	log   *slog.Logger

	admitted func(map[devices.Serial]string) // told of new secrets; nil: the broker learns by the ledger
}

// run enrols, sends, waits until everything is accounted for, and tells.
func (r *replayer) run(ctx context.Context, traces []replay.Trace, out, progress io.Writer) error {
	e := newEnroller(r.pool, r.keys, r.clock)
	c, err := e.county(ctx)
	if err != nil {
		return err
	}
	now, boot := r.clock.Now(), int64(replayBoot)
	if r.now {
		boot = now.Unix()
	}
	var total int64
	list := make([]newcomer, len(traces))
	for i := range traces {
		t := &traces[i]
		recorded := t.From()
		if err := r.settle(ctx, t, now); err != nil {
			return err
		}
		if d := t.From().Sub(recorded); d != 0 && !r.now {
			if _, err := fmt.Fprintf(out, "%s: recorded from %s, moved by %d weeks to %s\n", t.Serial, recorded.Format(time.DateOnly), d/week, t.From().Format(time.DateOnly)); err != nil {
				return err
			}
		}
		list[i] = newcomerOf(t)
		total += int64(len(t.Fixes))
	}
	secrets, err := e.enrol(ctx, c, list)
	if err != nil {
		return err
	}
	if r.admitted != nil {
		r.admitted(secrets)
	}
	f := fleet.New(fleet.Options{URL: r.url, TLS: r.tls, Log: r.log})
	defer f.Close()
	if err := connectAll(ctx, f, secrets); err != nil {
		return err
	}
	before, err := r.account(ctx, secrets)
	if err != nil {
		return err
	}
	b := bar{out: progress, what: "sent"}
	if err := r.sendAll(ctx, f, traces, boot, func(n int64) { b.show(n, total) }); err != nil {
		return err
	}
	after, err := r.settled(ctx, secrets, before, total, progress)
	if err != nil {
		return err
	}
	return after.less(before).report(out, total, after)
}

// settle gives a trace the times it is sent with.
func (r *replayer) settle(ctx context.Context, t *replay.Trace, now time.Time) error {
	if r.now {
		t.Shift(now.Truncate(time.Second))
		return nil
	}
	span := t.Until().Sub(t.From())
	if device, err := devices.Find(ctx, r.pool, t.Serial); err == nil { // sent before: with the times it had then
		all, err := devices.LoadBindings(ctx, r.pool, []id.Device{device.ID})
		if err != nil {
			return err
		}
		for _, b := range all[device.ID] {
			if b.From.Sub(t.From())%week == 0 && b.Until.Equal(b.From.Add(span+time.Second)) {
				t.Shift(b.From)
				return nil
			}
		}
	} else if !errors.Is(err, devices.ErrUnknownDevice) {
		return err
	}
	from := t.From()
	if from.Before(devices.InForce) {
		from = from.Add(now.Add(-span).Sub(from) / week * week)
	}
	for from.Add(span).After(now) {
		from = from.Add(-week)
	}
	if from.Before(devices.InForce) {
		return fmt.Errorf("%s is longer than the law is old", t.Serial)
	}
	t.Shift(from)
	return nil
}

// newcomerOf invents the person of a trace.
func newcomerOf(t *replay.Trace) newcomer {
	sum := 0
	for _, c := range []byte(t.Serial) {
		sum = (sum*31 + int(c)) % 90_000
	}
	n := newcomer{Number: 1000 + sum, LocalNo: localNo(t.Serial), Serial: t.Serial, Class: t.Class, Interval: max(time.Second, min(t.Interval, week)),
		From: t.From(), Until: t.Until().Add(time.Second), Enrolled: devices.InForce}
	if n.Class == devices.Phone {
		n.Finest = devices.PhoneFinest
	}
	first, best := t.Fixes[0].Place, -1.0
	for i, o := range simulate.TianmenOffices() {
		if d := (o.Lon-first.Lon)*(o.Lon-first.Lon) + (o.Lat-first.Lat)*(o.Lat-first.Lat); best < 0 || d < best {
			n.Office, best = i, d
		}
	}
	return n
}

// localNo is the end of a serial as a number of ours.
func localNo(s devices.Serial) string {
	b := []byte(s[max(0, len(s)-32):])
	for i, c := range b {
		if c == '_' {
			b[i] = '-'
		}
	}
	return string(b)
}

// sendAll sends every trace in order, the traces side by side, and returns when the broker has acknowledged all of it.
func (r *replayer) sendAll(ctx context.Context, f *fleet.Fleet, traces []replay.Trace, boot int64, show func(int64)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var sent atomic.Int64
	errs := make(chan error, len(traces))
	for i := range traces {
		wg.Go(func() {
			if err := r.send(ctx, f, &traces[i], boot, &sent); err != nil {
				errs <- fmt.Errorf("%s: %w", traces[i].Serial, err)
				cancel()
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			show(sent.Load())
			close(errs)
			return <-errs
		case <-tick.C:
			show(sent.Load())
		}
	}
}

func (r *replayer) send(ctx context.Context, f *fleet.Fleet, t *replay.Trace, boot int64, sent *atomic.Int64) error {
	began, seq := time.Now(), int64(0)
	for chunk := range slices.Chunk(t.Fixes, r.perMessage) {
		last := chunk[len(chunk)-1].At
		if err := r.await(ctx, last, began.Add(time.Duration(float64(last.Sub(t.From()))/max(r.speed, 1e-9)))); err != nil {
			return err
		}
		// Sent now by a device whose clock is right, however old the fixes are.
		report := devices.Report{Boot: boot, Sent: r.clock.Now(), Datum: devices.WGS84}
		for i := range chunk {
			report.Observations = append(report.Observations, devices.Observation{Serial: t.Serial, Kind: devices.KindFix, Boot: boot, Seq: seq, At: chunk[i].At, Place: &chunk[i].Place})
			seq++
		}
		if err := f.Send(ctx, t.Serial, devices.KindFix, report); err != nil {
			return err
		}
		sent.Add(int64(len(chunk)))
	}
	return f.Flush(ctx, t.Serial)
}

// await waits until a fix may be sent: at its own time when traces begin now, at its share of machine time when the speed
// is given.
func (r *replayer) await(ctx context.Context, at, machine time.Time) error {
	switch {
	case r.now:
		for r.clock.Now().Before(at) {
			due, cancel := r.clock.After(at)
			select {
			case <-ctx.Done():
				cancel()
				return ctx.Err()
			case <-due:
				cancel()
			}
		}
	case r.speed > 0:
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(machine)):
		}
	}
	return ctx.Err()
}
