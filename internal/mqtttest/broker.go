package mqtttest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/internal/broker"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/topic"
)

// Kind is which broker.
type Kind string

const (
	Embedded  Kind = "embedded"
	Mosquitto Kind = "mosquitto"
)

// ServiceSecret is what our own sessions say to the embedded broker in tests.
const ServiceSecret = "a service secret for tests"

// Options say what broker a test wants. The zero value is the embedded one with one partition.
type Options struct {
	Kind       Kind
	Partitions int
	Sync       broker.Sync // SyncInterval when empty: tests of crashes ask for always
	Devices    []string    // serials that may connect with Secret(serial)
	StoreDir   string      // a folder of the test when empty
	Listen     string      // a free loopback port when empty
	AckWait    time.Duration
	Window     int

	OnViolation func(broker.Violation)
	Log         *slog.Logger
}

// B is a running broker.
type B struct {
	Kind       Kind
	URL        string
	Partitions int
	Metrics    *prometheus.Registry
	Embedded   *broker.Broker // nil when Mosquitto
	stop       func()
}

// Broker starts one and ends it with the test.
func Broker(t testing.TB, o Options) *B {
	t.Helper()
	if o.StoreDir == "" {
		o.StoreDir = t.TempDir()
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Partitions == 0 {
		o.Partitions = 1
	}
	if o.Sync == "" {
		o.Sync = broker.SyncInterval
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &B{Kind: o.Kind, Partitions: o.Partitions, Metrics: prometheus.NewRegistry()}
	if o.Kind == Mosquitto {
		b.Partitions = 1
		b.URL, b.stop = startMosquitto(t, o)
	} else {
		b.Kind = Embedded
		b.startEmbedded(t, o)
	}
	t.Cleanup(b.Stop)
	return b
}

func (b *B) startEmbedded(t testing.TB, o Options) {
	t.Helper()
	e, err := broker.Start(t.Context(), broker.Options{
		Listen: o.Listen, StoreDir: o.StoreDir, Sync: o.Sync, Partitions: o.Partitions,
		MAC: MAC, ServiceSecret: ServiceSecret, AckWait: o.AckWait, MaxAckPending: o.Window,
		OnViolation: o.OnViolation, Log: o.Log, Register: b.Metrics,
	})
	if err != nil {
		t.Fatalf("mqtttest: %v", err)
	}
	e.Update(Registry(o.Devices...))
	b.Embedded, b.URL = e, e.URL()
	b.stop = func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := e.Stop(ctx); err != nil {
			t.Errorf("mqtttest: %v", err)
		}
	}
}

// Stop ends the broker before the test ends. It may be called twice.
func (b *B) Stop() {
	if b.stop != nil {
		b.stop()
		b.stop = nil
	}
}

// MAC is the keyed digest of the test registry.
func MAC(secret []byte) []byte {
	h := hmac.New(sha256.New, []byte("a server key for tests"))
	h.Write(secret)
	return h.Sum(nil)
}

// Secret is a device's secret in tests.
func Secret(serial string) string {
	sum := sha256.Sum256([]byte("secret of " + serial))
	return hex.EncodeToString(sum[:16])
}

// Registry lets these devices in, each with its Secret.
func Registry(serials ...string) broker.Registry {
	r := broker.Registry{}
	for _, s := range serials {
		r[s] = [][]byte{MAC([]byte(Secret(s)))}
	}
	return r
}

// Device is how a device connects.
func (b *B) Device(serial string) mqttlink.Options {
	return mqttlink.Options{URL: b.URL, ClientID: serial, Password: Secret(serial), BackoffMin: 20 * time.Millisecond,
		BackoffMax: 200 * time.Millisecond}
}

// Service is how one of our own sessions connects.
func (b *B) Service(client string) mqttlink.Options {
	return mqttlink.Options{URL: b.URL, ClientID: client, Password: ServiceSecret, BackoffMin: 20 * time.Millisecond,
		BackoffMax: 200 * time.Millisecond}
}

// Filter is what the reader of partition k subscribes to on this broker.
func (b *B) Filter(k int) string {
	if b.Kind == Mosquitto {
		return topic.UnmappedFilter
	}
	return topic.PartitionFilter(k)
}

// Reader is the bare session of partition k: as ingest connects, with a handler of the test's.
func (b *B) Reader(k int, h mqttlink.Handler) mqttlink.Options {
	o := b.Service(topic.IngestClient(k))
	o.Persistent, o.ManualAck, o.Handler = true, true, h
	o.Subscribe = []mqttlink.Filter{{Topic: b.Filter(k), QoS: 1}}
	return o
}

// Link opens a link, waits until it stands, and closes it with the test.
func Link(t testing.TB, o mqttlink.Options) *mqttlink.Link {
	t.Helper()
	l, err := mqttlink.New(o)
	if err != nil {
		t.Fatalf("mqtttest: %v", err)
	}
	l.Open()
	t.Cleanup(l.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := l.WaitUp(ctx); err != nil {
		t.Fatalf("mqtttest: %s does not connect: %v", o.ClientID, err)
	}
	return l
}

// Eventually polls until ok, and fails the test after twenty seconds.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
