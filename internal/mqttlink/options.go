package mqttlink

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"
)

// Filter is one subscription.
type Filter struct {
	Topic string
	QoS   byte
}

// Will is what the broker publishes for us when the connection ends without a word.
type Will struct {
	Topic   string
	Payload []byte
	QoS     byte
}

// Handler takes one message. It is called in order, one at a time, and holds up everything behind it: it should do no
// more than enqueue. ctx is done when the connection the message came over is gone, and a handler that waits must then
// return.
type Handler func(ctx context.Context, m Message)

// Options say where to connect, as whom, and what for. Only URL and ClientID are required.
type Options struct {
	URL      string // tcp://host:port or tls://host:port; several of one cluster with commas between, tried in turn
	TLS      *tls.Config
	ClientID string
	Username string // ClientID when empty
	Password string

	// Persistent keeps the session at the broker while we are away: what is published meanwhile, and what we have not
	// acknowledged, comes when we are back. Without it a session ends with its connection.
	Persistent bool
	// ManualAck leaves the acknowledgement to Message.Ack. Without it a message is acknowledged when Handler returns.
	ManualAck bool
	Subscribe []Filter
	Handler   Handler
	Will      *Will

	KeepAlive  time.Duration // 30 s
	Timeout    time.Duration // of connecting, subscribing and writing: 10 s
	BackoffMin time.Duration // 200 ms, doubled up to BackoffMax with jitter
	BackoffMax time.Duration // 10 s

	// Allowed is asked before every attempt to connect; while it returns an error none is made. A process that hung must not
	// take back the session of its successor. nil: always.
	Allowed func() error
	// OnChange is told, from the link's goroutine, of every connection that stands (nil) and of every one that failed or
	// was lost (why).
	OnChange func(err error)
	Log      *slog.Logger
}

func (o *Options) defaults() error {
	if o.URL == "" || o.ClientID == "" {
		return errors.New("mqttlink: a broker URL and a client id are needed")
	}
	if len(o.Subscribe) > 0 && o.Handler == nil {
		return errors.New("mqttlink: a subscription without a handler")
	}
	if o.Username == "" {
		o.Username = o.ClientID
	}
	for d, v := range map[*time.Duration]time.Duration{
		&o.KeepAlive: 30 * time.Second, &o.Timeout: 10 * time.Second,
		&o.BackoffMin: 200 * time.Millisecond, &o.BackoffMax: 10 * time.Second,
	} {
		if *d == 0 {
			*d = v
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Message is one message received.
type Message struct {
	Topic     string
	Payload   []byte
	QoS       byte
	Duplicate bool // the broker sent it before
	Retained  bool
	ack       func()
}

// NewMessage is a message that came another way than over a link, such as in a test of what handles it.
func NewMessage(topic string, payload []byte, ack func()) Message {
	return Message{Topic: topic, Payload: payload, QoS: 1, ack: ack}
}

// Ack tells the broker, under ManualAck, that it need not send the message again. Over a connection that is gone it does
// nothing, and the broker sends it again.
func (m Message) Ack() {
	if m.ack != nil {
		m.ack()
	}
}
