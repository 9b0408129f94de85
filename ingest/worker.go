package ingest

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/mqttlink"
)

const (
	smallestBatch = 16
	pingBackoff   = 100 * time.Millisecond
	pingMost      = 2 * time.Second
)

// worker owns one partition: its session, its queue, and the one goroutine that decides in order.
type worker struct {
	*Options
	metrics   *metrics
	partition int
	link      *mqttlink.Link
	queue     chan delivery
	size      int                    // observations a batch now: halved when a commit took too long, grown when not
	stands    atomic.Int64           // machine time since which the session stands, in nanoseconds; 0 while it does not
	paused    atomic.Pointer[string] // why the session is closed on purpose; nil while it is not
}

// handle takes a message from the session into the queue, and does no more. It waits while the queue is full, which holds
// up the session; past half of AckWait the decider closes it, and the wait ends.
func (w *worker) handle(ctx context.Context, m mqttlink.Message) {
	d := delivery{message: m, at: w.Clock.Now(), since: time.Now()}
	if len(m.Payload) > devices.MaxPayload {
		d.items, d.message.Payload = openOversized(w.Decode, m, d.at), nil
	}
	if m.Duplicate {
		w.metrics.redelivered.Inc()
	}
	select {
	case w.queue <- d:
	case <-ctx.Done():
	}
	w.metrics.handlerWait.Observe(time.Since(d.since).Seconds())
}

// pending is a batch being put together: its items, and where in them each message ends.
type pending struct {
	deliveries []delivery
	ends       []int
	items      []item
}

// open adds a message to the batch.
func (w *worker) open(p *pending, d delivery) {
	items := d.items
	if items == nil {
		items = open(w.Decode, d.message, d.at)
	}
	p.deliveries = append(p.deliveries, d)
	p.items = append(p.items, items...)
	p.ends = append(p.ends, len(p.items))
}

// run reads until ctx ends. What is being committed then is finished; the rest the broker sends to whoever comes next.
func (w *worker) run(ctx context.Context) {
	w.link.Open()
	defer w.link.Close()
	for {
		p, ok := w.gather(ctx)
		if !ok {
			return
		}
		w.metrics.batch.Observe(float64(len(p.items)))
		if err := w.take(p); err != nil {
			w.pause(ctx, err)
		}
	}
}

// gather waits for a first message and then a little for company: many messages share one commit.
func (w *worker) gather(ctx context.Context) (*pending, bool) {
	p := &pending{}
	select {
	case <-ctx.Done():
		return nil, false
	case d := <-w.queue:
		w.open(p, d)
	}
	timer := time.NewTimer(w.BatchWait)
	defer timer.Stop()
	for len(p.items) < w.size {
		select {
		case d := <-w.queue:
			w.open(p, d)
			continue
		default:
		}
		select {
		case d := <-w.queue:
			w.open(p, d)
		case <-timer.C:
			return p, true
		case <-ctx.Done():
			return p, true
		}
	}
	return p, true
}

// take commits a batch and acknowledges it, message by message. It returns an error when the rest has to come again.
func (w *worker) take(p *pending) error {
	acked := 0
	// settle acknowledges every message that lies whole before item n.
	settle := func(n int) {
		for acked < len(p.ends) && p.ends[acked] <= n {
			p.deliveries[acked].message.Ack()
			acked++
		}
	}
	oldest := p.deliveries[0].since
	if err := w.commit(oldest, p.items, 0, settle); err != nil {
		w.size = max(w.size/2, min(smallestBatch, w.Batch))
		return err
	}
	w.size = min(w.size*2, w.Batch)
	for _, it := range p.items {
		if it.observation != nil {
			w.metrics.lateness.Observe(late(it.observation).Seconds())
		}
	}
	return nil
}

// commit takes items in, in order, offset being where they begin in the batch. When they fail for a reason of their own
// they are halved until the one that fails alone is found; it is refused as poison and the others go on.
func (w *worker) commit(oldest time.Time, items []item, offset int, settle func(int)) error {
	err := w.observe(oldest, items)
	for attempt := 1; err != nil && !away(err) && len(items) == 1 && attempt < w.Attempts; attempt++ {
		err = w.observe(oldest, items)
	}
	switch {
	case err == nil:
		settle(offset + len(items))
		return nil
	case away(err):
		return err
	case len(items) > 1:
		half := len(items) / 2
		if err := w.commit(oldest, items[:half], offset, settle); err != nil {
			return err
		}
		return w.commit(oldest, items[half:], offset+half, settle)
	}
	w.metrics.poison.Inc()
	w.Log.Error("an observation could not be taken in and goes to the quarantine", "partition", w.partition,
		"kind", string(items[0].kind()), "attempts", w.Attempts, "error", err)
	if err := w.observe(oldest, []item{poison(items[0])}); err != nil {
		return fmt.Errorf("ingest: not even its refusal could be written: %w", err)
	}
	settle(offset + 1)
	return nil
}

// observe calls the core once. It has until half of the broker's AckWait from the receipt of the oldest message, and
// never less than a quarter, so that a batch that waited long still moves. A panic of the core is an error like another:
// the observation that brings it about must not bring down the others.
func (w *worker) observe(oldest time.Time, items []item) (err error) {
	left := max(w.AckWait/2-time.Since(oldest), w.AckWait/4)
	ctx, cancel := context.WithTimeout(context.Background(), left)
	defer cancel()
	start := time.Now()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("ingest: panic: %v", r)
			w.Log.Error("the core panicked", "partition", w.partition, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
		w.metrics.commit.Observe(time.Since(start).Seconds())
		if err != nil {
			w.metrics.failed.Inc()
		}
	}()
	return w.Observer.Observe(ctx, batchOf(w.partition, items))
}

// pause closes the session on purpose, drops what is queued (the broker has it), and opens again when the database
// answers. Redelivered into a full queue it would block the handler, and that costs the connection at a worse moment.
func (w *worker) pause(ctx context.Context, cause error) {
	why := cause.Error()
	w.paused.Store(&why)
	w.metrics.paused.Inc()
	w.metrics.reconnects.WithLabelValues("database").Inc()
	w.Log.Error("the database does not take what came in: the session is closed until it answers", "partition", w.partition,
		"queued", len(w.queue), "error", cause)
	w.stands.Store(0)
	w.link.Close() // no handler runs after this
	for drained := false; !drained; {
		select {
		case <-w.queue:
		default:
			drained = true
		}
	}
	defer func() {
		w.paused.Store(nil)
		w.metrics.paused.Dec()
	}()
	for backoff := pingBackoff; ; backoff = min(2*backoff, pingMost) {
		// Even a database that answers gets a moment: what failed a moment ago is not tried at once for ever.
		select {
		case <-ctx.Done():
			return
		case <-time.After(backoff):
		}
		pinging, cancel := context.WithTimeout(ctx, pingMost)
		err := w.Ping(pinging)
		cancel()
		if err == nil {
			break
		}
	}
	w.Log.Info("the database answers: the session is opened again", "partition", w.partition)
	w.link.Open()
}
