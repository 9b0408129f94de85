package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/devices"
	"zhijiao/internal/clock"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/topic"
)

// CanaryOptions are what a Canary is built of.
type CanaryOptions struct {
	// Link is how the canary connects: as a device, through the listener devices use, with the device's secret. At a broker that does
	// not know our registry, as one of our own sessions: Username says so.
	Link   mqttlink.Options
	Serial devices.Serial
	Clock  clock.Clock
	// Seen asks the database whether the canary's observation is in it.
	Seen func(ctx context.Context, boot, seq int64) (bool, error)

	Every    time.Duration // a minute (R117)
	Patience time.Duration // from publishing to being seen: 20 s
	Poll     time.Duration // 100 ms

	Log      *slog.Logger
	Register prometheus.Registerer
}

// Canary is a synthetic device that exercises the whole path: it publishes a status through the real listener and looks
// for it in the database. Permissions are checked on mapped subjects and a publish that breaks them is acknowledged, so
// nothing less than this proves that what devices send arrives.
type Canary struct {
	o          CanaryOptions
	link       *mqttlink.Link
	boot       int64
	cancel     context.CancelFunc
	done       chan struct{}
	first      chan struct{} // closed when the first one has come through
	once       sync.Once
	collectors []prometheus.Collector
	seconds    prometheus.Histogram
	failures   prometheus.Counter

	seq int64 // run's alone

	mu   sync.Mutex
	last time.Time // machine time at which one was last seen
	err  error     // why the last attempt failed
}

// NewCanary prepares; nothing is connected before Start.
func NewCanary(o CanaryOptions) (*Canary, error) {
	if o.Serial == "" || o.Clock == nil || o.Seen == nil || o.Log == nil || o.Register == nil {
		return nil, errors.New("ingest: the canary needs a serial, a clock, a look into the database, a log and a metrics registry")
	}
	for d, v := range map[*time.Duration]time.Duration{&o.Every: time.Minute, &o.Patience: 20 * time.Second, &o.Poll: 100 * time.Millisecond} {
		if *d == 0 {
			*d = v
		}
	}
	o.Link.ClientID, o.Link.Log = string(o.Serial), o.Log
	link, err := mqttlink.New(o.Link)
	if err != nil {
		return nil, fmt.Errorf("ingest: canary: %w", err)
	}
	// A boot counter that grows with every start, as a device's does.
	c := &Canary{o: o, link: link, boot: time.Now().Unix(), done: make(chan struct{}), first: make(chan struct{})}
	c.seconds = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "zhijiao_canary_seconds",
		Help: "Time from the canary's publish until it was in the database.", Buckets: prometheus.ExponentialBuckets(0.005, 2, 13)})
	c.failures = prometheus.NewCounter(prometheus.CounterOpts{Name: "zhijiao_canary_failures_total",
		Help: "Canaries that did not come out of the database in time."})
	silent := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zhijiao_canary_silent_seconds",
		Help: "Time since a canary last came through; -1 before the first."}, c.silence)
	c.collectors = []prometheus.Collector{c.seconds, c.failures, silent}
	for _, col := range c.collectors {
		if err := o.Register.Register(col); err != nil {
			return nil, fmt.Errorf("ingest: canary: metrics: %w", err)
		}
	}
	return c, nil
}

// Start connects and sends the first one at once.
func (c *Canary) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.link.Open()
	go c.run(ctx)
}

// Stop ends it and disconnects.
func (c *Canary) Stop() {
	if c.cancel != nil {
		c.cancel()
		<-c.done
		c.link.Close()
	}
	for _, col := range c.collectors {
		c.o.Register.Unregister(col)
	}
}

// Await waits for the first canary to come out of the database: the self-test at start.
func (c *Canary) Await(ctx context.Context) error {
	select {
	case <-c.first:
		return nil
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err != nil {
			return fmt.Errorf("canary: %w", c.err)
		}
		return fmt.Errorf("canary: not yet out of the database: %w", ctx.Err())
	}
}

// Health is nil while canaries come through, and says why not when one is overdue.
func (c *Canary) Health() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch since := time.Since(c.last); {
	case c.last.IsZero() && c.err != nil:
		return fmt.Errorf("canary: none has come through since the start: %w", c.err)
	case c.last.IsZero():
		return errors.New("canary: none has come through yet")
	case c.err != nil:
		return fmt.Errorf("canary: silent for %s: %w", since.Round(time.Second), c.err)
	case since > c.o.Every+2*c.o.Patience:
		return fmt.Errorf("canary: silent for %s", since.Round(time.Second))
	}
	return nil
}

func (c *Canary) silence() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last.IsZero() {
		return -1
	}
	return time.Since(c.last).Seconds()
}

func (c *Canary) run(ctx context.Context) {
	defer close(c.done)
	for {
		start := time.Now()
		err := c.fly(ctx)
		if ctx.Err() != nil {
			return
		}
		c.mu.Lock()
		c.err = err
		if err == nil {
			c.last = time.Now()
		}
		c.mu.Unlock()
		wait := c.o.Every
		if err == nil {
			c.seconds.Observe(time.Since(start).Seconds())
			c.once.Do(func() { close(c.first) })
		} else {
			c.failures.Inc()
			c.o.Log.Error("the canary did not come through", "error", err)
			wait = min(c.o.Every, time.Second) // until it is healthy again, look often
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// canaryStatus is the part of the wire format a status needs.
type canaryStatus struct {
	Version int       `json:"v"`
	Boot    int64     `json:"boot"`
	Sent    time.Time `json:"sent"`
	Obs     [1]struct {
		Seq int64     `json:"seq"`
		At  time.Time `json:"at"`
	} `json:"obs"`
}

// fly sends one and waits until it is in the database.
func (c *Canary) fly(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.o.Patience)
	defer cancel()
	if err := c.link.WaitUp(ctx); err != nil {
		return fmt.Errorf("not let in: %w", err)
	}
	c.seq++
	now := c.o.Clock.Now()
	status := canaryStatus{Version: 1, Boot: c.boot, Sent: now}
	status.Obs[0].Seq, status.Obs[0].At = c.seq, now
	payload, err := json.Marshal(status)
	if err != nil {
		return err
	}
	if err := c.link.Publish(ctx, topic.Up(c.o.Serial, devices.KindStatus), 1, payload); err != nil {
		return fmt.Errorf("not acknowledged: %w", err)
	}
	for {
		seen, err := c.o.Seen(ctx, c.boot, c.seq)
		if seen {
			return nil
		}
		select {
		case <-ctx.Done():
			if err != nil {
				return fmt.Errorf("acknowledged, and the database cannot be asked: %w", err)
			}
			return errors.New("acknowledged by the broker and never in the database")
		case <-time.After(c.o.Poll):
		}
	}
}
