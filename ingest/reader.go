package ingest

import (
	"context"
	"hash/fnv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/mqttlink"
)

const (
	pingBackoff = 100 * time.Millisecond
	pingMost    = 2 * time.Second
)

// reader owns one partition while it holds its lease: the session, and the lanes that decide. What a device says goes into one
// lane and stays in order.
type reader struct {
	*Options
	metrics   *metrics
	partition int
	link      *mqttlink.Link
	lanes     []*lane
	lease     atomic.Pointer[Lease]  // nil while it is not ours, or nobody else reads
	holds     atomic.Bool            // the partition is ours to read
	stands    atomic.Int64           // machine time since which the session stands, in nanoseconds; 0 while it does not
	paused    atomic.Pointer[string] // why the session is closed on purpose; nil while it is not
}

// handle takes a message from the session into a queue, and does no more. It waits while the queue is full, which holds
// up the session; past half of AckWait the lane ends it, and the wait ends.
func (r *reader) handle(ctx context.Context, m mqttlink.Message) {
	d := delivery{message: m, at: r.Clock.Now().Truncate(time.Millisecond), since: time.Now()}
	if len(m.Payload) > devices.MaxPayload {
		d.items, d.message.Payload = openOversized(r.Decode, m, d.at), nil
	}
	if m.Duplicate {
		r.metrics.redelivered.Inc()
	}
	select {
	case r.laneOf(m.Topic).queue <- d:
	case <-ctx.Done():
	}
	r.metrics.handlerWait.Observe(time.Since(d.since).Seconds())
}

// laneOf chooses by the device, which is the second level of every topic of a broker that cannot map, whatever the first is.
func (r *reader) laneOf(topic string) *lane {
	if len(r.lanes) == 1 {
		return r.lanes[0]
	}
	_, rest, _ := strings.Cut(topic, "/")
	device, _, _ := strings.Cut(rest, "/")
	h := fnv.New32a()
	h.Write([]byte(device))
	return r.lanes[h.Sum32()%uint32(len(r.lanes))]
}

// run reads whenever the partition is this process's to read, until ctx ends.
func (r *reader) run(ctx context.Context) {
	for {
		lease, err := r.Leases.acquire(ctx, r.partition)
		if err != nil {
			return
		}
		r.lease.Store(lease)
		r.holds.Store(true)
		reading, cancel := context.WithCancel(ctx)
		go func() {
			select {
			case <-lease.gone():
				cancel()
			case <-reading.Done():
			}
		}()
		for reading.Err() == nil {
			if err := r.read(reading); err != nil {
				r.pause(reading, err)
			}
		}
		cancel()
		r.holds.Store(false)
		r.lease.Store(nil)
		lease.release()
	}
}

// read holds the session open and has the lanes decide until ctx ends, or the database does not take what came in: it then
// returns why. What is being committed is finished and acknowledged; the rest the broker sends to whoever comes next.
func (r *reader) read(ctx context.Context) error {
	reading, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r.link.Open()
	var deciding sync.WaitGroup
	for _, l := range r.lanes {
		deciding.Go(func() {
			if err := l.run(reading); err != nil {
				fail(err)
			}
		})
	}
	deciding.Wait()
	r.stands.Store(0)
	r.link.Close() // no handler runs after this
	for _, l := range r.lanes {
		l.drain()
	}
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(reading)
}

// pause waits until the database answers. The session is closed and what was queued dropped (the broker has it): redelivered
// into a full queue it would block the handler, and that costs the connection at a worse moment.
func (r *reader) pause(ctx context.Context, cause error) {
	why := cause.Error()
	r.paused.Store(&why)
	r.metrics.paused.Inc()
	r.metrics.reconnects.WithLabelValues("database").Inc()
	r.Log.Error("the database does not take what came in: the session is closed until it answers", "partition", r.partition, "error", cause)
	defer func() {
		r.paused.Store(nil)
		r.metrics.paused.Dec()
	}()
	for backoff := pingBackoff; ; backoff = min(2*backoff, pingMost) {
		// Even a database that answers gets a moment: what failed a moment ago is not tried at once for ever.
		select {
		case <-ctx.Done():
			return
		case <-time.After(backoff):
		}
		pinging, cancel := context.WithTimeout(ctx, pingMost)
		err := r.Ping(pinging)
		cancel()
		if err == nil {
			break
		}
	}
	r.Log.Info("the database answers: the session is opened again", "partition", r.partition)
}

// queued is how many messages wait.
func (r *reader) queued() (n int) {
	for _, l := range r.lanes {
		n += len(l.queue)
	}
	return n
}
