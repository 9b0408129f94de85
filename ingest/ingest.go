package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/devices"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/topic"
)

// Ingest is every session that is read, and what reads them.
type Ingest struct {
	opts       Options
	metrics    *metrics
	collectors []prometheus.Collector
	readers    []*reader
	cancel     context.CancelFunc
	running    sync.WaitGroup
}

// New prepares; nothing is connected before Start.
func New(o Options) (*Ingest, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	i := &Ingest{opts: o, metrics: newMetrics()}
	for k := range o.sessions() {
		r, err := i.reader(k)
		if err != nil {
			return nil, fmt.Errorf("ingest: %w", err)
		}
		i.readers = append(i.readers, r)
	}
	if err := i.register(); err != nil {
		i.unregister()
		return nil, fmt.Errorf("ingest: metrics: %w", err)
	}
	return i, nil
}

// reader prepares one session and its lanes.
func (i *Ingest) reader(partition int) (*reader, error) {
	o := &i.opts
	r := &reader{Options: o, metrics: i.metrics, partition: partition}
	filters, lanes := []string{topic.PartitionFilter(partition)}, 1
	if o.Unmapped {
		filters, lanes = topic.UnmappedFilters, o.Partitions
	}
	for n := range lanes {
		r.lanes = append(r.lanes, &lane{reader: r, number: partition + n, queue: make(chan delivery, o.Window), size: o.Batch,
			limit: limiter{Limit: o.Limit, devices: map[devices.Serial]*bucket{}}})
	}
	link := o.Link
	link.ClientID = topic.IngestClient(partition) // and the user name, unless the broker goes by another
	link.Persistent, link.ManualAck = true, true
	for _, f := range filters {
		link.Subscribe = append(link.Subscribe, mqttlink.Filter{Topic: f, QoS: 1})
	}
	link.Handler, link.Log = r.handle, o.Log
	link.Allowed = func() error { return r.lease.Load().certain() }
	link.OnChange = func(err error) {
		if err != nil {
			r.stands.Store(0)
			i.metrics.reconnects.WithLabelValues("broker").Inc()
			return
		}
		r.stands.Store(time.Now().UnixNano())
	}
	var err error
	r.link, err = mqttlink.New(link)
	return r, err
}

// Start opens the sessions. It does not wait for the broker; see WaitReady.
func (i *Ingest) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	i.cancel = cancel
	for _, r := range i.readers {
		i.running.Go(func() { r.run(ctx) })
	}
	if i.opts.Leases != nil {
		i.opts.Leases.Start(func() (backlog, hears bool) { return i.lags(), i.stand() == nil })
	}
}

// WaitReady waits until every partition is read: those that are this process's with their subscription granted, the others by
// another process.
func (i *Ingest) WaitReady(ctx context.Context) error {
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		err := i.opts.Leases.Covered()
		for _, r := range i.readers {
			if err == nil && r.holds.Load() {
				if err = r.link.WaitUp(ctx); err != nil {
					return fmt.Errorf("ingest: partition %d: %w", r.partition, err)
				}
			}
		}
		if err == nil && (i.opts.Leases != nil || i.allHeld()) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (i *Ingest) allHeld() bool {
	for _, r := range i.readers {
		if !r.holds.Load() {
			return false
		}
	}
	return true
}

// Ready is nil while every session of this process stands and every partition is read by somebody, and says what is wrong
// when not.
func (i *Ingest) Ready() error { return errors.Join(i.stand(), i.opts.Leases.Covered()) }

// Hears says whether what devices say would reach us, or another process.
func (i *Ingest) Hears() bool {
	_, hears := i.opts.Leases.elsewhere()
	return hears && i.Ready() == nil
}

// stand is Ready of the sessions of this process alone.
func (i *Ingest) stand() error {
	var errs []error
	for _, r := range i.readers {
		if !r.holds.Load() {
			continue
		}
		if why := r.paused.Load(); why != nil {
			errs = append(errs, fmt.Errorf("partition %d waits for the database: %s", r.partition, *why))
			continue
		}
		if up, err := r.link.Connected(); !up {
			errs = append(errs, fmt.Errorf("partition %d is not connected: %w", r.partition, orStarting(err)))
		}
	}
	return errors.Join(errs...)
}

const (
	// settle is how long after it stands a session has been given what waited for it, or is being given it.
	settle = time.Second
	// readyPoll is how often it is looked whether everything is read.
	readyPoll = 20 * time.Millisecond
)

// Backlog says whether observations may be waiting that are older than now, here or in another process: a session does not
// stand, stands since a moment ago, or has its queue well filled; or a partition is read by nobody. A server that was away
// must not call a device silent whose messages nobody has read.
func (i *Ingest) Backlog() bool {
	elsewhere, _ := i.opts.Leases.elsewhere()
	return elsewhere || i.lags() || i.opts.Leases.Covered() != nil
}

// lags is Backlog of this process.
func (i *Ingest) lags() bool {
	for _, r := range i.readers {
		if !r.holds.Load() {
			if i.opts.Leases == nil {
				return true
			}
			continue
		}
		stands := r.stands.Load()
		if stands == 0 || time.Since(time.Unix(0, stands)) < settle || r.queued() > r.Window/8 {
			return true
		}
	}
	return false
}

func orStarting(err error) error {
	if err == nil {
		return errors.New("still connecting")
	}
	return err
}

// Stop finishes what is being committed, closes the sessions, and waits no longer than ctx. What was queued the broker
// sends again.
func (i *Ingest) Stop(ctx context.Context) error {
	if i.cancel == nil {
		i.unregister()
		return nil
	}
	i.cancel()
	done := make(chan struct{})
	go func() {
		i.running.Wait()
		if i.opts.Leases != nil {
			i.opts.Leases.Stop()
		}
		close(done)
	}()
	defer i.unregister()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ingest: still stopping: %w", ctx.Err())
	}
}

func (i *Ingest) unregister() {
	for _, c := range i.collectors {
		i.opts.Register.Unregister(c)
	}
}
