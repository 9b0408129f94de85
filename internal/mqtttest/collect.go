package mqtttest

import (
	"context"
	"sync"

	"zhijiao/internal/mqttlink"
)

// Collector keeps what a reader is given, and acknowledges it unless told not to.
type Collector struct {
	NoAck bool
	mu    sync.Mutex
	got   []mqttlink.Message
}

// Handle is the reader's handler.
func (c *Collector) Handle(_ context.Context, m mqttlink.Message) {
	c.mu.Lock()
	c.got = append(c.got, m)
	c.mu.Unlock()
	if !c.NoAck {
		m.Ack()
	}
}

// Messages is what has come so far.
func (c *Collector) Messages() []mqttlink.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]mqttlink.Message(nil), c.got...)
}

// Payloads is what has come so far, in order.
func (c *Collector) Payloads() []string {
	var out []string
	for _, m := range c.Messages() {
		out = append(out, string(m.Payload))
	}
	return out
}

// Has says whether a message came on that topic with that payload.
func (c *Collector) Has(topic, payload string) bool {
	for _, m := range c.Messages() {
		if m.Topic == topic && string(m.Payload) == payload {
			return true
		}
	}
	return false
}

// HasPayload says whether a message came with that payload.
func (c *Collector) HasPayload(payload string) bool {
	for _, m := range c.Messages() {
		if string(m.Payload) == payload {
			return true
		}
	}
	return false
}
