package broker

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	gatePollClosed = 20 * time.Millisecond // while a session has just come, or the gate is shut
	gatePollOpen   = 10 * time.Second      // a consumer does not vanish by itself; an operator may remove one
	streamMessages = "$MQTT_msgs"          // where nats-server keeps QoS 1 publishes
	streamSubject  = "$MQTT.msgs."
)

// gate knows whether every partition has its durable consumer. Without one nats-server acknowledges a publish and throws
// it away, so no device is let in before. The consumer is what counts, not the connection: while ingest is away, what
// devices publish waits in the stream.
type gate struct {
	b      *Broker
	isOpen atomic.Bool
	here   atomic.Bool // every partition has its consumer as far as this node knows
	wake   chan struct{}
	done   chan struct{}
	once   sync.Once
	opened chan struct{} // closed when it first opens
}

func newGate(b *Broker) *gate {
	return &gate{b: b, wake: make(chan struct{}, 1), done: make(chan struct{}), opened: make(chan struct{})}
}

func (g *gate) open() bool { return g.isOpen.Load() }

// look asks for a look soon: a partition's session has come, and its SUBACK will follow.
func (g *gate) look() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// run looks until stop is closed: often while the gate is shut, seldom afterwards.
func (g *gate) run(stop <-chan struct{}) {
	defer close(g.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return
		case <-g.wake:
		case <-timer.C:
		}
		missing, err := g.missing()
		now := err == nil && len(missing) == 0
		g.here.Store(now)
		if now && !g.isOpen.Load() {
			err = g.b.everywhere()
			now = err == nil
		}
		if was := g.isOpen.Swap(now); was != now {
			if now {
				g.once.Do(func() { close(g.opened) })
				g.b.log.Info("every partition has its reader: devices may connect", "partitions", g.b.opts.Partitions)
			} else {
				g.b.log.Error("a partition lost its reader: devices are refused", "missing", fmt.Sprint(missing), "error", err)
			}
		}
		wait := gatePollOpen
		if !now {
			wait = gatePollClosed
		}
		timer.Reset(wait)
	}
}

// missing are the partitions without a durable consumer.
func (g *gate) missing() ([]int, error) {
	consumers, err := g.b.consumers()
	var missing []int
	for k := range g.b.opts.Partitions {
		if _, read := consumers[k]; !read {
			missing = append(missing, k)
		}
	}
	return missing, err
}

// consumers are the durable consumers of our partitions, as the server has them.
func (b *Broker) consumers() (map[int]*server.ConsumerInfo, error) {
	z, err := b.server.Jsz(&server.JSzOptions{Account: b.server.GlobalAccount().GetName(), Streams: true, Consumer: true, Config: true})
	if err != nil {
		return nil, err
	}
	found := map[int]*server.ConsumerInfo{}
	for _, account := range z.AccountDetails {
		for _, stream := range account.Streams {
			if stream.Name != streamMessages {
				continue
			}
			for _, c := range stream.Consumer {
				if c.Config == nil || c.Config.Durable == "" {
					continue
				}
				if k, ours := b.partitionOf(c.Config.FilterSubject); ours {
					found[k] = c
				}
			}
		}
	}
	return found, nil
}

// partitionOf is the partition a consumer's filter reads whole.
func (b *Broker) partitionOf(filter string) (int, bool) {
	rest, ok := strings.CutPrefix(filter, streamSubject+"p.")
	if !ok {
		return 0, false
	}
	number, ok := strings.CutSuffix(rest, ".up.*.*")
	if !ok {
		return 0, false
	}
	k, err := strconv.Atoi(number)
	return k, err == nil && k >= 0 && k < b.opts.Partitions
}

// Backlog is how many messages wait for a reader, and how many a reader has been given and has not acknowledged.
func (b *Broker) Backlog() (waiting, unacknowledged int) {
	consumers, err := b.consumers()
	if err != nil {
		return 0, 0
	}
	for _, c := range consumers {
		waiting += int(c.NumPending)
		unacknowledged += c.NumAckPending
	}
	return waiting, unacknowledged
}
