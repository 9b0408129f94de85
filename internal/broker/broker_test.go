package broker_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"zhijiao/internal/broker"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/topic"
)

const patience = 20 * time.Second

// open starts a broker with a bare reader in every partition, so that devices may connect.
func open(t *testing.T, o mqtttest.Options) (*mqtttest.B, *mqtttest.Collector) {
	t.Helper()
	b := mqtttest.Broker(t, o)
	got := &mqtttest.Collector{}
	for k := range b.Partitions {
		mqtttest.Link(t, b.Reader(k, got.Handle))
	}
	select {
	case <-b.Embedded.Opened():
	case <-time.After(patience):
		t.Fatal("the gate does not open though every partition has its reader")
	}
	return b, got
}

func publish(t *testing.T, l *mqttlink.Link, topic, payload string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := l.Publish(ctx, topic, 1, []byte(payload)); err != nil {
		t.Fatalf("publish to %s: %v", topic, err)
	}
}

// refused connects and expects not to be let in.
func refused(t *testing.T, o mqttlink.Options) {
	t.Helper()
	changes := make(chan error, 16)
	o.OnChange = func(err error) {
		select {
		case changes <- err:
		default:
		}
	}
	l, err := mqttlink.New(o)
	if err != nil {
		t.Fatal(err)
	}
	l.Open()
	defer l.Close()
	select {
	case err := <-changes:
		if err == nil {
			t.Fatalf("%s as %s was let in", o.ClientID, o.Username)
		}
	case <-time.After(patience):
		t.Fatal("neither let in nor refused")
	}
}

// metric reads one series from the broker's registry.
func metric(t *testing.T, b *mqtttest.B, name string, labels ...string) float64 {
	t.Helper()
	families, err := b.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	next:
		for _, m := range f.GetMetric() {
			for i, l := range m.GetLabel() {
				if i < len(labels) && l.GetValue() != labels[i] {
					continue next
				}
			}
			if m.GetCounter() != nil {
				return m.GetCounter().GetValue()
			}
			return m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s%v", name, labels)
	return 0
}

type violations struct {
	mu  sync.Mutex
	all []broker.Violation
}

func (v *violations) add(x broker.Violation) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all = append(v.all, x)
}

func (v *violations) has(act broker.Act, client, detail string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, x := range v.all {
		if x.Act == act && x.Client == client && x.Detail == detail && x.Remote != "" {
			return true
		}
	}
	return false
}

func TestOptionsRefuseWhatIsUnsafe(t *testing.T) {
	t.Parallel()
	good := func() broker.Options {
		return broker.Options{Listen: "127.0.0.1:0", StoreDir: t.TempDir(), MAC: mqtttest.MAC,
			ServiceSecret: mqtttest.ServiceSecret, Log: slog.New(slog.DiscardHandler), Register: prometheus.NewRegistry()}
	}
	for name, c := range map[string]struct {
		change func(*broker.Options)
		says   string
	}{
		"open address without TLS": {func(o *broker.Options) { o.Listen = "0.0.0.0:1883" }, "TLS"},
		"every address":            {func(o *broker.Options) { o.Listen = ":1883" }, "TLS"},
		"no port":                  {func(o *broker.Options) { o.Listen = "127.0.0.1" }, "listen address"},
		"no store":                 {func(o *broker.Options) { o.StoreDir = "" }, "store"},
		"sync sometimes":           {func(o *broker.Options) { o.Sync = "sometimes" }, "sync"},
		"short secret":             {func(o *broker.Options) { o.ServiceSecret = "short" }, "16"},
		"no MAC":                   {func(o *broker.Options) { o.MAC = nil }, "digest"},
		"too many partitions":      {func(o *broker.Options) { o.Partitions = 1000 }, "partitions"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good()
			c.change(&o)
			b, err := broker.Start(t.Context(), o)
			if err == nil {
				_ = b.Stop(context.Background())
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q does not say %q", err, c.says)
			}
		})
	}
}

// While ingest is away its durable consumer stands: devices stay connected, and what they send waits.
func TestWhatIsPublishedWhileTheReaderIsAwayWaits(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{Devices: []string{"WB-1"}})
	got := &mqtttest.Collector{}
	reader := mqtttest.Link(t, b.Reader(0, got.Handle))
	device := mqtttest.Link(t, b.Device("WB-1"))
	reader.Close()
	for i := range 50 {
		publish(t, device, topic.Up("WB-1", "fix"), fmt.Sprint(i))
	}
	reader.Open()
	mqtttest.Eventually(t, "all that waited comes", func() bool { return len(got.Messages()) == 50 })
	for i, p := range got.Payloads() {
		if p != fmt.Sprint(i) {
			t.Fatalf("message %d is %s: a backlog comes in order", i, p)
		}
	}
}

// Trap: a will, and a PUBLISH in one segment with CONNECT, stay unmapped on any account but the global one.
func TestWillIsMapped(t *testing.T) {
	t.Parallel()
	b, got := open(t, mqtttest.Options{Partitions: 2, Devices: []string{"WB-1"}})
	raw := mqtttest.DialRaw(t, b.URL)
	raw.Write(mqtttest.Connect{ClientID: "WB-1", User: "WB-1", Password: mqtttest.Secret("WB-1"),
		WillTopic: "up/WB-1/status", WillPayload: "gone"}.Packet())
	if kind, body := raw.Read(); kind != 2 || body[1] != 0 {
		t.Fatalf("CONNACK %d %v", kind, body)
	}
	raw.Close()
	mqtttest.Eventually(t, "the will comes mapped", func() bool {
		return got.Has("p/0/up/WB-1/status", "gone") || got.Has("p/1/up/WB-1/status", "gone")
	})
}

func TestPublishSentTogetherWithConnectIsMapped(t *testing.T) {
	t.Parallel()
	b, got := open(t, mqtttest.Options{Partitions: 2, Devices: []string{"WB-1"}})
	raw := mqtttest.DialRaw(t, b.URL)
	raw.Write(
		mqtttest.Connect{ClientID: "WB-1", User: "WB-1", Password: mqtttest.Secret("WB-1")}.Packet(),
		mqtttest.PublishPacket(1, "up/WB-1/fix", []byte("at once")))
	if kind, _ := raw.Read(); kind != 2 {
		t.Fatalf("no CONNACK but %d", kind)
	}
	if kind, _ := raw.Read(); kind != 4 {
		t.Fatalf("no PUBACK but %d", kind)
	}
	mqtttest.Eventually(t, "it comes mapped", func() bool {
		return got.Has("p/0/up/WB-1/fix", "at once") || got.Has("p/1/up/WB-1/fix", "at once")
	})
}

// Every device is in one partition, and its messages come in the order it sent them.
func TestOrderPerDevice(t *testing.T) {
	t.Parallel()
	const devices, each = 20, 40
	var serials []string
	for i := range devices {
		serials = append(serials, fmt.Sprintf("WB-%d", i))
	}
	b, got := open(t, mqtttest.Options{Partitions: 4, Devices: serials})
	var wg sync.WaitGroup
	for _, s := range serials {
		l := mqtttest.Link(t, b.Device(s))
		wg.Go(func() {
			var last mqttlink.Receipt
			for i := range each {
				last = l.Send(topic.Up("X", "fix"), 1, nil) // foreign: dropped, and must not disturb the order
				last = l.Send("up/"+s+"/fix", 1, []byte(fmt.Sprint(i)))
			}
			if err := last.Wait(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	mqtttest.Eventually(t, "all messages", func() bool { return len(got.Messages()) == devices*each })
	next, topics := map[string]int{}, map[string]string{}
	used := map[string]bool{}
	for _, m := range got.Messages() {
		serial, _, ok := topic.Parse(m.Topic)
		if !ok {
			t.Fatalf("topic %s", m.Topic)
		}
		s := string(serial)
		if topics[s] == "" {
			topics[s] = m.Topic
			used[m.Topic[:3]] = true
		}
		if m.Topic != topics[s] || string(m.Payload) != fmt.Sprint(next[s]) {
			t.Fatalf("%s: %s in %s, expected %d in %s", s, m.Payload, m.Topic, next[s], topics[s])
		}
		next[s]++
	}
	if len(used) < 2 {
		t.Errorf("twenty devices all in one partition of four")
	}
}

// Trap: over MaxPayload the connection is cut and the device resends for ever, so it lies far above the decoder's limit.
func TestPayloadFarOverTheDecodersLimitArrives(t *testing.T) {
	t.Parallel()
	b, got := open(t, mqtttest.Options{Devices: []string{"WB-1"}})
	device := mqtttest.Link(t, b.Device("WB-1"))
	big := strings.Repeat("x", 200<<10)
	publish(t, device, topic.Up("WB-1", "fix"), big)
	mqtttest.Eventually(t, "200 KiB come", func() bool { return len(got.Messages()) == 1 })
	if len(got.Messages()[0].Payload) != len(big) {
		t.Error("not whole")
	}
}

// The broker starts again on its store, with every session and what waited in it, and refuses fewer partitions.
func TestRestartOnItsStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mqtttest.Broker(t, mqtttest.Options{StoreDir: dir, Partitions: 2, Devices: []string{"WB-1"}})
	got := &mqtttest.Collector{NoAck: true}
	for k := range 2 {
		mqtttest.Link(t, b.Reader(k, got.Handle)).Close()
	}
	device := mqtttest.Link(t, b.Device("WB-1"))
	publish(t, device, topic.Up("WB-1", "fix"), "before")
	device.Close()
	b.Stop()

	if _, err := broker.Start(t.Context(), broker.Options{Listen: "127.0.0.1:0", StoreDir: dir, Partitions: 1,
		MAC: mqtttest.MAC, ServiceSecret: mqtttest.ServiceSecret, Log: slog.New(slog.DiscardHandler),
		Register: prometheus.NewRegistry()}); err == nil || !strings.Contains(err.Error(), "2 partitions") {
		t.Fatalf("fewer partitions: %v", err)
	}

	b = mqtttest.Broker(t, mqtttest.Options{StoreDir: dir, Partitions: 2, Devices: []string{"WB-1"}})
	device = mqtttest.Link(t, b.Device("WB-1")) // before any reader: the consumers stand in the store
	publish(t, device, topic.Up("WB-1", "fix"), "after")
	all := &mqtttest.Collector{}
	for k := range 2 {
		mqtttest.Link(t, b.Reader(k, all.Handle))
	}
	mqtttest.Eventually(t, "both come", func() bool { return len(all.Messages()) == 2 })
	if p := all.Payloads(); p[0] != "before" || p[1] != "after" {
		t.Errorf("came %v", p)
	}
}

func TestStopIsBoundedAndMetricsAreGone(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.Embedded.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.Embedded.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if n, err := testutil.GatherAndCount(b.Metrics); err != nil || n != 0 {
		t.Errorf("%d metrics left: %v", n, err)
	}
	if b.Embedded.Ready() == nil {
		t.Error("ready though stopped")
	}
}

// A port that is taken is an error with a reason, soon.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{})
	began := time.Now()
	_, err := broker.Start(t.Context(), broker.Options{Listen: b.Embedded.Addr(), StoreDir: t.TempDir(), MAC: mqtttest.MAC,
		ServiceSecret: mqtttest.ServiceSecret, Log: slog.New(slog.DiscardHandler), Register: prometheus.NewRegistry()})
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("said %v", err)
	}
	if time.Since(began) > patience/2 {
		t.Error("only after a long time")
	}
}

// N may grow: what waits in the old partitions is still read, and devices are let in when the new ones have readers.
func TestMorePartitions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var serials []string
	for i := range 12 {
		serials = append(serials, fmt.Sprintf("WB-%d", i))
	}
	b := mqtttest.Broker(t, mqtttest.Options{StoreDir: dir, Partitions: 2, Devices: serials})
	for k := range 2 {
		mqtttest.Link(t, b.Reader(k, (&mqtttest.Collector{NoAck: true}).Handle)).Close()
	}
	for _, s := range serials {
		publish(t, mqtttest.Link(t, b.Device(s)), "up/"+s+"/fix", "old "+s)
	}
	b.Stop()

	b = mqtttest.Broker(t, mqtttest.Options{StoreDir: dir, Partitions: 5, Devices: serials})
	got := &mqtttest.Collector{}
	for k := range 2 {
		mqtttest.Link(t, b.Reader(k, got.Handle))
	}
	refused(t, b.Device(serials[0]))
	for k := 2; k < 5; k++ {
		mqtttest.Link(t, b.Reader(k, got.Handle))
	}
	for _, s := range serials {
		publish(t, mqtttest.Link(t, b.Device(s)), "up/"+s+"/fix", "new "+s)
	}
	mqtttest.Eventually(t, "old and new", func() bool {
		for _, s := range serials {
			if !got.HasPayload("old "+s) || !got.HasPayload("new "+s) {
				return false
			}
		}
		return true
	})
}
