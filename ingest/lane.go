package ingest

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"zhijiao/internal/fail"
	"zhijiao/internal/topic"
)

const smallestBatch = 16

// lane is one queue and the one goroutine that decides on what is in it, in order.
type lane struct {
	*reader
	number int // whose counters it moves: no two lanes of a deployment have the same
	queue  chan delivery
	size   int // observations a batch now: halved when a commit took too long, grown when not
	limit  limiter
	swept  time.Time // domain time at which floods that have ended were last looked for
}

// pending is a batch being put together: its items, and where in them each message ends.
type pending struct {
	deliveries []delivery
	ends       []int
	items      []item
}

// open adds a message to the batch.
func (l *lane) open(p *pending, d delivery) {
	items := d.items
	if items == nil {
		items = open(l.Decode, d.message, d.at)
	}
	if serial, _, ok := topic.Parse(d.message.Topic); ok && !l.limit.admit(serial, d.at, newestOf(items), d.message.Duplicate) {
		l.metrics.limited.Inc()
		it := l.limit.refuse(serial, items[0].kind(), len(items), size(items, d), d.at)
		if !it.refusal.Silent {
			l.Log.Warn("a device sends more than it may: the rest is refused", "device", string(serial), "messages", it.refusal.Stands)
		}
		items = []item{it}
	}
	if d.at.Sub(l.swept) >= limitAgain {
		p.items, l.swept = append(p.items, l.limit.overdue(d.at)...), d.at
	}
	p.deliveries = append(p.deliveries, d)
	p.items = append(p.items, items...)
	p.ends = append(p.ends, len(p.items))
}

// size is how long the message was.
func size(items []item, d delivery) int {
	if d.items != nil && items[0].refusal != nil { // its payload is not kept
		return items[0].refusal.Size
	}
	return len(d.message.Payload)
}

// run decides until ctx ends, or a batch has to come again: it then returns why. What is being committed when ctx ends is
// finished.
func (l *lane) run(ctx context.Context) error {
	for {
		p, ok := l.gather(ctx)
		if !ok {
			return nil
		}
		l.metrics.batch.Observe(float64(len(p.items)))
		if err := l.take(p); err != nil {
			return err
		}
	}
}

// drain forgets what is queued.
func (l *lane) drain() {
	for {
		select {
		case <-l.queue:
		default:
			return
		}
	}
}

// gather waits for a first message and then a little for company: many messages share one commit.
func (l *lane) gather(ctx context.Context) (*pending, bool) {
	p := &pending{}
	select {
	case <-ctx.Done():
		return nil, false
	case d := <-l.queue:
		l.open(p, d)
	}
	timer := time.NewTimer(l.BatchWait)
	defer timer.Stop()
	for len(p.items) < l.size {
		select {
		case d := <-l.queue:
			l.open(p, d)
			continue
		default:
		}
		select {
		case d := <-l.queue:
			l.open(p, d)
		case <-timer.C:
			return p, true
		case <-ctx.Done():
			return p, true
		}
	}
	return p, true
}

// take commits a batch and acknowledges it, message by message. It returns an error when the rest has to come again.
func (l *lane) take(p *pending) error {
	acked := 0
	// settle acknowledges every message that lies whole before item n.
	settle := func(n int) {
		for acked < len(p.ends) && p.ends[acked] <= n {
			p.deliveries[acked].message.Ack()
			acked++
		}
	}
	oldest := p.deliveries[0].since
	fail.Point(fail.Opened)
	if err := l.commit(oldest, p.items, 0, settle); err != nil {
		l.size = max(l.size/2, min(smallestBatch, l.Batch))
		return err
	}
	l.size = min(l.size*2, l.Batch)
	for _, it := range p.items {
		if it.observation != nil {
			l.metrics.lateness.Observe(late(it.observation).Seconds())
		}
	}
	return nil
}

// commit takes items in, in order, offset being where they begin in the batch. When they fail for a reason of their own
// they are halved until the one that fails alone is found; it is refused as poison and the others go on.
func (l *lane) commit(oldest time.Time, items []item, offset int, settle func(int)) error {
	err := l.observe(oldest, items)
	for attempt := 1; err != nil && !away(err) && len(items) == 1 && attempt < l.Attempts; attempt++ {
		err = l.observe(oldest, items)
	}
	switch {
	case err == nil:
		fail.Point(fail.Committed)
		settle(offset + len(items))
		fail.Point(fail.Acknowledged)
		return nil
	case away(err):
		return err
	case len(items) > 1:
		half := len(items) / 2
		if err := l.commit(oldest, items[:half], offset, settle); err != nil {
			return err
		}
		return l.commit(oldest, items[half:], offset+half, settle)
	}
	l.metrics.poison.Inc()
	l.Log.Error("an observation could not be taken in and goes to the quarantine", "partition", l.reader.partition,
		"kind", string(items[0].kind()), "attempts", l.Attempts, "error", err)
	if err := l.observe(oldest, []item{poison(items[0])}); err != nil {
		return fmt.Errorf("ingest: not even its refusal could be written: %w", err)
	}
	settle(offset + 1)
	return nil
}

// observe calls the core once. It has until half of the broker's AckWait from the receipt of the oldest message, and
// never less than a quarter, so that a batch that waited long still moves. A panic of the core is an error like another:
// the observation that brings it about must not bring down the others.
func (l *lane) observe(oldest time.Time, items []item) (err error) {
	left := max(l.AckWait/2-time.Since(oldest), l.AckWait/4)
	ctx, cancel := context.WithTimeout(context.Background(), left)
	defer cancel()
	start := time.Now()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("ingest: panic: %v", r)
			l.Log.Error("the core panicked", "partition", l.reader.partition, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
		l.metrics.commit.Observe(time.Since(start).Seconds())
		if err != nil {
			l.metrics.failed.Inc()
		}
	}()
	return l.Observer.Observe(ctx, batchOf(l.number, items, l.reader.lease.Load()))
}
