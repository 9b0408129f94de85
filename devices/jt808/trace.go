package jt808

import (
	"context"
	"sync"
	"time"

	"zhijiao/devices"
)

// KindFrame is the kind of a trace in the quarantine: a frame that was refused before it was an observation.
const KindFrame devices.Kind = "jt808"

const (
	traceQueue   = 256
	traceRate    = 5 // a second, in the long run: whoever sends nonsense must not keep the database busy
	traceBurst   = 50
	traceTimeout = 5 * time.Second
)

// tracer writes traces of what was refused, beside everything else and no more than the database can bear.
type tracer struct {
	g     *Gateway
	queue chan devices.Refused
	mu    sync.Mutex
	left  bucket
}

func newTracer(g *Gateway) *tracer {
	return &tracer{g: g, queue: make(chan devices.Refused, traceQueue), left: bucket{rate: traceRate, burst: traceBurst, tokens: traceBurst}}
}

// refuse counts a refusal and has its trace written. Of the frame only the size is kept: a place may stand in it that the
// law keeps from us.
func (t *tracer) refuse(serial devices.Serial, f *devices.Fault, size int) {
	t.g.metrics.refused.WithLabelValues(string(f.Reason), f.Field).Inc()
	t.mu.Lock()
	ok := t.left.take(time.Now()) == 0
	t.mu.Unlock()
	if ok {
		select {
		case t.queue <- devices.Refused{ReceivedAt: t.g.o.Clock.Now(), Serial: serial, Kind: KindFrame, Outcome: devices.Rejected,
			Reason: f.Reason, Field: f.Field, Boot: -1, Seq: -1, Size: size}:
			return
		default:
		}
	}
	t.g.metrics.untraced.Inc()
}

func (t *tracer) run(ctx context.Context) {
	for {
		var list []devices.Refused
		select {
		case <-ctx.Done():
			return
		case r := <-t.queue:
			list = append(list, r)
		}
		for more := true; more && len(list) < traceQueue; {
			select {
			case r := <-t.queue:
				list = append(list, r)
			default:
				more = false
			}
		}
		writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), traceTimeout)
		if err := t.g.o.Quarantine(writing, list); err != nil {
			t.g.metrics.untraced.Add(float64(len(list)))
			t.g.o.Log.Error("refused frames left no trace", "frames", len(list), "err", err)
		}
		cancel()
	}
}

// bucket is a rate: so many tokens a second, and no more than a burst of them saved.
type bucket struct {
	rate, burst float64
	tokens      float64
	at          time.Time
}

// take takes one token and returns 0, or how long to wait for one.
func (b *bucket) take(now time.Time) time.Duration {
	if !b.at.IsZero() {
		b.tokens = min(b.burst, b.tokens+b.rate*now.Sub(b.at).Seconds())
	}
	b.at = now
	if b.tokens >= 1 {
		b.tokens--
		return 0
	}
	return time.Duration((1 - b.tokens) / b.rate * float64(time.Second))
}
