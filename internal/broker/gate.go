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
	here   atomic.Bool                // every partition has its consumer as far as this node knows
	begun  atomic.Pointer[partitions] // whose consumers have begun, as far as this node knows
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
	var agreed time.Time // since when all nodes say so
	for {
		select {
		case <-stop:
			return
		case <-g.wake:
		case <-timer.C:
		}
		missing, begun, err := g.missing()
		now := err == nil && len(missing) == 0
		g.begun.Store(&begun)
		g.here.Store(now)
		if !now {
			agreed = time.Time{}
		} else if !g.isOpen.Load() && g.b.opts.Cluster != nil {
			if err = g.b.everywhere(); err != nil {
				agreed = time.Time{}
			} else if agreed.IsZero() {
				agreed = time.Now()
			}
			now = !agreed.IsZero() && time.Since(agreed) >= gateSettle
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

// partitions is a set of them.
type partitions map[int]bool

// missing are the partitions without a durable consumer; begun those whose consumer is known to have begun. In a cluster a consumer is there
// before it has a leader, and only the leader chooses where it begins: behind all that is in the stream then (MQTT's are created with
// DeliverNew). What was published between would be kept, and given to nobody. A leader that somebody reads from has chosen, and so has one
// that ever delivered.
func (g *gate) missing() (missing []int, begun partitions, err error) {
	consumers, err := g.b.consumers()
	begun = partitions{}
	for k := range g.b.opts.Partitions {
		c, read := consumers[k]
		if !read {
			missing = append(missing, k)
		} else if c.PushBound || c.Delivered.Consumer > 0 {
			begun[k] = true
		}
	}
	return missing, begun, err
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
