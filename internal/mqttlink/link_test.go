package mqttlink_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/topic"
)

const patience = 20 * time.Second

func both(t *testing.T, run func(t *testing.T, kind mqtttest.Kind)) {
	t.Helper()
	for _, kind := range []mqtttest.Kind{mqtttest.Embedded, mqtttest.Mosquitto} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			run(t, kind)
		})
	}
}

func publish(t *testing.T, l *mqttlink.Link, topic, payload string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := l.Publish(ctx, topic, 1, []byte(payload)); err != nil {
		t.Fatal(err)
	}
}

// What is not acknowledged is delivered again, on either broker; what is, is not.
func TestUnacknowledgedComesAgain(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, kind mqtttest.Kind) {
		b := mqtttest.Broker(t, mqtttest.Options{Kind: kind, Devices: []string{"WB-1"}, AckWait: time.Second})
		first := make(chan mqttlink.Message, 10)
		reader := mqtttest.Link(t, b.Reader(0, func(_ context.Context, m mqttlink.Message) { first <- m }))
		device := mqtttest.Link(t, b.Device("WB-1"))
		publish(t, device, topic.Up("WB-1", "fix"), "taken")
		publish(t, device, topic.Up("WB-1", "fix"), "left")
		(<-first).Ack()
		left := <-first
		reader.Close()
		left.Ack() // too late: void, whatever its packet identifier means by then

		again := &mqtttest.Collector{}
		mqtttest.Link(t, b.Reader(0, again.Handle))
		mqtttest.Eventually(t, "the unacknowledged one comes again", func() bool { return len(again.Messages()) > 0 })
		if p := again.Payloads(); len(p) != 1 || p[0] != "left" {
			t.Errorf("came again: %v", p)
		}
	})
}

// The subscription is made at every connection, and what was published meanwhile comes.
func TestReconnectKeepsTheSubscription(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, kind mqtttest.Kind) {
		b := mqtttest.Broker(t, mqtttest.Options{Kind: kind, Devices: []string{"WB-1"}})
		proxy := mqtttest.NewProxy(t, strings.TrimPrefix(b.URL, "tcp://"))
		got := &mqtttest.Collector{}
		o := b.Reader(0, got.Handle)
		o.URL = proxy.URL
		var mu sync.Mutex
		ups := 0
		o.OnChange = func(err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				ups++
			}
		}
		mqtttest.Link(t, o)
		device := mqtttest.Link(t, b.Device("WB-1"))
		const rounds = 4
		for i := range rounds {
			publish(t, device, topic.Up("WB-1", "fix"), fmt.Sprint("up ", i))
			mqtttest.Eventually(t, "a message", func() bool { return got.HasPayload(fmt.Sprint("up ", i)) })
			proxy.Down(true)
			publish(t, device, topic.Up("WB-1", "fix"), fmt.Sprint("down ", i))
			proxy.Down(false)
			mqtttest.Eventually(t, "it is back", func() bool { mu.Lock(); defer mu.Unlock(); return ups == i+2 })
			mqtttest.Eventually(t, "what was published meanwhile", func() bool {
				return got.HasPayload(fmt.Sprint("down ", i))
			})
		}
	})
}

// A handler that waits for room holds up everything, the answers to our pings among it: past the ping timeout that costs
// the connection. The handler is told, or losing the connection would wait for the handler.
func TestWaitingHandlerHearsOfTheEnd(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{Devices: []string{"WB-1"}})
	proxy := mqtttest.NewProxy(t, strings.TrimPrefix(b.URL, "tcp://"))
	entered, left := make(chan struct{}, 100), make(chan struct{}, 100)
	o := b.Reader(0, func(ctx context.Context, _ mqttlink.Message) {
		entered <- struct{}{}
		<-ctx.Done()
		left <- struct{}{}
	})
	o.URL, o.KeepAlive, o.Timeout = proxy.URL, time.Second, time.Second
	reader := mqtttest.Link(t, o)
	device := mqtttest.Link(t, b.Device("WB-1"))
	for i := range 10 {
		publish(t, device, topic.Up("WB-1", "fix"), fmt.Sprint(i))
	}
	<-entered
	proxy.Cut()
	select {
	case <-left:
	case <-time.After(patience):
		t.Fatal("the handler still waits on a connection that is gone")
	}
	done := make(chan struct{})
	go func() { reader.Close(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("Close does not return")
	}
	select {
	case <-entered:
	default:
	}
	if len(entered) > 1 {
		t.Errorf("handlers ran after Close: %d", len(entered))
	}
}

// A publish whose connection ends before the acknowledgement is an error, never a success.
func TestPublishWithoutAcknowledgementFails(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{Devices: []string{"WB-1"}})
	got := &mqtttest.Collector{}
	mqtttest.Link(t, b.Reader(0, got.Handle))
	proxy := mqtttest.NewProxy(t, strings.TrimPrefix(b.URL, "tcp://"))
	o := b.Device("WB-1")
	o.URL = proxy.URL
	device := mqtttest.Link(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	proxy.Down(true)
	err := device.Publish(ctx, topic.Up("WB-1", "fix"), 1, []byte("lost"))
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("publish over a cut connection: %v", err)
	}
	mqtttest.Eventually(t, "it knows it is down", func() bool { up, _ := device.Connected(); return !up })
	if err := device.Publish(ctx, topic.Up("WB-1", "fix"), 1, nil); !errors.Is(err, mqttlink.ErrNotConnected) {
		t.Errorf("publish without a connection: %v", err)
	}
	proxy.Down(false)
	if err := device.WaitUp(ctx); err != nil {
		t.Fatal(err)
	}
	publish(t, device, topic.Up("WB-1", "fix"), "again")
}

func TestOpenAndCloseAlternate(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{})
	got := &mqtttest.Collector{}
	l := mqtttest.Link(t, b.Reader(0, got.Handle))
	for range 5 {
		l.Close()
		l.Close()
		if up, _ := l.Connected(); up {
			t.Fatal("connected though closed")
		}
		l.Open()
		l.Open()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := l.WaitUp(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]mqttlink.Options{
		"no URL":             {ClientID: "a"},
		"no client id":       {URL: "tcp://127.0.0.1:1"},
		"TLS without config": {URL: "tls://127.0.0.1:1", ClientID: "a"},
		"no handler":         {URL: "tcp://127.0.0.1:1", ClientID: "a", Subscribe: []mqttlink.Filter{{Topic: "a"}}},
		"no host":            {URL: "127.0.0.1", ClientID: "a"},
	} {
		if _, err := mqttlink.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
