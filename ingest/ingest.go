package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/internal/mqttlink"
	"zhijiao/internal/topic"
)

// Ingest is every session that is read, and what reads them.
type Ingest struct {
	opts       Options
	metrics    *metrics
	collectors []prometheus.Collector
	workers    []*worker
	cancel     context.CancelFunc
	running    sync.WaitGroup
}

// New prepares; nothing is connected before Start.
func New(o Options) (*Ingest, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	i := &Ingest{opts: o, metrics: newMetrics()}
	for k := range o.Partitions {
		w := &worker{Options: &i.opts, metrics: i.metrics, partition: k, queue: make(chan delivery, o.Window), size: o.Batch}
		filter := topic.PartitionFilter(k)
		if o.Unmapped {
			filter = topic.UnmappedFilter
		}
		link := o.Link
		link.ClientID, link.Username = topic.IngestClient(k), topic.IngestClient(k)
		link.Persistent, link.ManualAck = true, true
		link.Subscribe = []mqttlink.Filter{{Topic: filter, QoS: 1}}
		link.Handler, link.Log = w.handle, o.Log
		link.OnChange = func(err error) {
			if err != nil {
				w.stands.Store(0)
				i.metrics.reconnects.WithLabelValues("broker").Inc()
				return
			}
			w.stands.Store(time.Now().UnixNano())
		}
		var err error
		if w.link, err = mqttlink.New(link); err != nil {
			return nil, fmt.Errorf("ingest: %w", err)
		}
		i.workers = append(i.workers, w)
	}
	if err := i.register(); err != nil {
		i.unregister()
		return nil, fmt.Errorf("ingest: metrics: %w", err)
	}
	return i, nil
}

// Start opens the sessions. It does not wait for the broker; see WaitReady.
func (i *Ingest) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	i.cancel = cancel
	for _, w := range i.workers {
		i.running.Go(func() { w.run(ctx) })
	}
}

// WaitReady waits until every session has its subscription.
func (i *Ingest) WaitReady(ctx context.Context) error {
	for _, w := range i.workers {
		if err := w.link.WaitUp(ctx); err != nil {
			return fmt.Errorf("ingest: partition %d: %w", w.partition, err)
		}
	}
	return nil
}

// Ready is nil while every session stands, and says what is wrong when not.
func (i *Ingest) Ready() error {
	var errs []error
	for _, w := range i.workers {
		if why := w.paused.Load(); why != nil {
			errs = append(errs, fmt.Errorf("partition %d waits for the database: %s", w.partition, *why))
			continue
		}
		if up, err := w.link.Connected(); !up {
			errs = append(errs, fmt.Errorf("partition %d is not connected: %w", w.partition, orStarting(err)))
		}
	}
	return errors.Join(errs...)
}

// settle is how long after it stands a session has been given what waited for it, or is being given it.
const settle = time.Second

// Backlog says whether observations may be waiting that are older than now: a session does not stand, stands since a
// moment ago, or has its queue well filled. A server that was away must not call a device silent whose messages it has not
// read.
func (i *Ingest) Backlog() bool {
	for _, w := range i.workers {
		stands := w.stands.Load()
		if stands == 0 || time.Since(time.Unix(0, stands)) < settle || len(w.queue) > w.Window/8 {
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
