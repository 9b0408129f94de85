package ingest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"zhijiao/internal/mqttlink"
	"zhijiao/internal/topic"
)

const (
	// ProbeMessages is how many wait for a session that is away: more than the thousand beyond which Mosquitto drops by default.
	ProbeMessages = 1200

	probeFlight   = 100                    // publishes of the probe that wait for their acknowledgement
	probeQuiet    = 300 * time.Millisecond // nothing more comes before something is acknowledged
	probePatience = 3 * time.Second        // nothing more comes at all
)

// Probed is what became of a probe: whether a broker that is not ours keeps what it acknowledges for a session that is away.
type Probed struct {
	Sent     int // acknowledged by the broker while the session was away
	Lost     int // of these, never delivered
	Disorder int // delivered behind a later one
	Window   int // delivered before the first acknowledgement: the broker's in-flight window, at most Sent
}

// Faults says what is to be changed at the broker, one sentence each; nil when nothing is.
func (p *Probed) Faults() []string {
	var out []string
	if p.Lost > 0 {
		out = append(out, fmt.Sprintf("it acknowledged %d messages for a session that was away and kept %d: it will drop what devices send while the platform "+
			"is away; raise its limit on queued messages (Mosquitto: max_queued_messages 0 and max_queued_bytes 0)", p.Sent, p.Sent-p.Lost))
	}
	if p.Disorder > 0 {
		out = append(out, fmt.Sprintf("it delivered %d of %d messages out of order", p.Disorder, p.Sent))
	}
	if p.Window < min(p.Sent, 100) {
		out = append(out, fmt.Sprintf("it delivers %d messages before it waits for an acknowledgement: that many share a transaction at most; raise it "+
			"(Mosquitto: max_inflight_messages 2000)", p.Window))
	}
	return out
}

// Probe behaves as devices and the platform would around an outage of the platform, under names of its own: a persistent session
// subscribes and goes away, messages are published, it comes back. What it left at the broker is removed.
func Probe(ctx context.Context, link mqttlink.Options, messages int) (*Probed, error) {
	var b [6]byte
	rand.Read(b[:])
	instance := hex.EncodeToString(b[:])
	where := topic.ProbePrefix + instance
	r := &probeReader{arrived: make(chan struct{}, 1)}
	reading := link
	reading.ClientID, reading.Persistent, reading.ManualAck = topic.ProbeClient(instance+":reader"), true, true
	reading.Subscribe, reading.Handler = []mqttlink.Filter{{Topic: where, QoS: 1}}, r.handle
	reader, err := mqttlink.New(reading)
	if err != nil {
		return nil, err
	}
	defer forgetSession(reading)
	defer reader.Close()
	reader.Open()
	if err := reader.WaitUp(ctx); err != nil {
		return nil, fmt.Errorf("probe: subscribe: %w", err)
	}
	reader.Close()
	if err := publishProbe(ctx, link, topic.ProbeClient(instance+":writer"), where, messages); err != nil {
		return nil, err
	}
	reader.Open()
	if err := reader.WaitUp(ctx); err != nil {
		return nil, fmt.Errorf("probe: come back: %w", err)
	}
	p := &Probed{Sent: messages}
	if err := r.wait(ctx, messages, probeQuiet); err != nil {
		return nil, err
	}
	p.Window = r.release()
	if err := r.wait(ctx, messages, probePatience); err != nil {
		return nil, err
	}
	p.Lost, p.Disorder = r.result(messages)
	return p, nil
}

// forgetSession connects once more without keeping the session, which removes it from the broker with all it holds.
func forgetSession(o mqttlink.Options) {
	o.Persistent, o.ManualAck, o.Subscribe, o.Handler = false, false, nil, nil
	l, err := mqttlink.New(o)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), probePatience)
	defer cancel()
	l.Open()
	_ = l.WaitUp(ctx) // a session left behind holds what it held, and nobody publishes to it again
	l.Close()
}

func publishProbe(ctx context.Context, link mqttlink.Options, client, where string, messages int) error {
	link.ClientID, link.Persistent, link.Subscribe, link.Handler = client, false, nil, nil
	l, err := mqttlink.New(link)
	if err != nil {
		return err
	}
	l.Open()
	defer l.Close()
	if err := l.WaitUp(ctx); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	var open []mqttlink.Receipt
	for i := range messages {
		open = append(open, l.Send(where, 1, []byte(strconv.Itoa(i))))
		if len(open) < probeFlight && i < messages-1 {
			continue
		}
		for _, r := range open {
			if err := r.Wait(ctx); err != nil {
				return fmt.Errorf("probe: publish: %w", err)
			}
		}
		open = open[:0]
	}
	return nil
}

// probeReader takes what comes, and keeps back its acknowledgements until told.
type probeReader struct {
	mu       sync.Mutex
	numbers  []int
	held     []mqttlink.Message
	released bool
	arrived  chan struct{}
}

func (r *probeReader) handle(_ context.Context, m mqttlink.Message) {
	n, err := strconv.Atoi(string(m.Payload))
	r.mu.Lock()
	if err == nil && !slices.Contains(r.numbers, n) {
		r.numbers = append(r.numbers, n)
	}
	if r.released {
		m.Ack()
	} else {
		r.held = append(r.held, m)
	}
	r.mu.Unlock()
	select {
	case r.arrived <- struct{}{}:
	default:
	}
}

// wait returns when so many have come, or none has for a while.
func (r *probeReader) wait(ctx context.Context, all int, quiet time.Duration) error {
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	for {
		r.mu.Lock()
		n := len(r.numbers)
		r.mu.Unlock()
		if n >= all {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		case <-r.arrived:
			timer.Reset(quiet)
		}
	}
}

// release acknowledges what was held, and from now on at once. It returns how many had come until then.
func (r *probeReader) release() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.held)
	for _, m := range r.held {
		m.Ack()
	}
	r.held, r.released = nil, true
	return n
}

func (r *probeReader) result(all int) (lost, disorder int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	highest := -1
	for _, n := range r.numbers {
		if n < highest {
			disorder++
		}
		highest = max(highest, n)
	}
	return all - len(r.numbers), disorder
}
