package broker_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/internal/broker"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/topic"
)

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startCluster starts three nodes that talk over TLS.
func startCluster(t *testing.T) []*broker.Broker {
	t.Helper()
	a := newAuthority(t)
	nodeTLS := func(n int) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{a.certificate(t, fmt.Sprintf("n%d", n))}, RootCAs: a.pool, ClientCAs: a.pool,
			ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	}
	peers := []string{freePort(t), freePort(t), freePort(t)}
	nodes := make([]*broker.Broker, broker.Nodes)
	var wg sync.WaitGroup
	for n := range nodes {
		o := broker.Options{Listen: "127.0.0.1:0", StoreDir: t.TempDir(), Sync: broker.SyncInterval, Partitions: 2, MAC: mqtttest.MAC,
			ServiceSecret: mqtttest.ServiceSecret, Log: slog.New(slog.DiscardHandler), Register: prometheus.NewRegistry(),
			Cluster: &broker.Cluster{Node: fmt.Sprintf("n%d", n), Listen: peers[n], Peers: peers, TLS: nodeTLS(n)}}
		wg.Go(func() {
			b, err := broker.Start(context.WithoutCancel(t.Context()), o)
			if err != nil {
				t.Error(err)
				return
			}
			nodes[n] = b
			b.Update(mqtttest.Registry("WB-1", "WB-2"))
		})
	}
	wg.Wait()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for _, b := range nodes {
			if b != nil {
				if err := b.Stop(ctx); err != nil {
					t.Error(err)
				}
			}
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	return nodes
}

// TestClusterOverTLS: what a device publishes to one node a reader at another gets; one of three stops, and it goes on.
func TestClusterOverTLS(t *testing.T) {
	t.Parallel()
	nodes := startCluster(t)
	var urls []string
	for _, b := range nodes {
		urls = append(urls, b.URL())
	}
	at := func(o mqttlink.Options, turn int) mqttlink.Options {
		o.URL = strings.Join(append(slices.Clone(urls[turn:]), urls[:turn]...), ",")
		o.BackoffMin, o.BackoffMax = 20*time.Millisecond, 200*time.Millisecond
		return o
	}
	m := &mqtttest.B{Kind: mqtttest.Embedded, URL: urls[0], Partitions: 2}
	got := &mqtttest.Collector{}
	for k := range 2 {
		mqtttest.Link(t, at(m.Reader(k, got.Handle), k))
	}
	for _, b := range nodes {
		mqtttest.Eventually(t, "devices may connect", func() bool { return b.Ready() == nil })
	}
	one, two := mqtttest.Link(t, at(m.Device("WB-1"), 0)), mqtttest.Link(t, at(m.Device("WB-2"), 2))
	publish(t, one, topic.Up("WB-1", "fix"), "from the first node")
	publish(t, two, topic.Up("WB-2", "fix"), "from the third")
	mqtttest.Eventually(t, "both come", func() bool { return got.HasPayload("from the first node") && got.HasPayload("from the third") })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := nodes[0].Stop(ctx); err != nil {
		t.Fatal(err)
	}
	// The device and the readers find another node, each for itself; a reader is given what was published before it was back.
	mqtttest.Eventually(t, "the device is heard over another node", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return one.WaitUp(ctx) == nil && one.Publish(ctx, topic.Up("WB-1", "fix"), 1, []byte("from somewhere else")) == nil
	})
	mqtttest.Eventually(t, "and its reader is there too", func() bool { return got.HasPayload("from somewhere else") })
}

// TestClusterRefuses: what makes no cluster.
func TestClusterRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]broker.Cluster{
		"no name":          {Listen: "127.0.0.1:1", Peers: []string{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}},
		"two nodes":        {Node: "a", Listen: "127.0.0.1:1", Peers: []string{"127.0.0.1:1", "127.0.0.1:2"}},
		"plain, elsewhere": {Node: "a", Listen: "127.0.0.1:1", Peers: []string{"127.0.0.1:1", "127.0.0.1:2", "10.0.0.3:3"}},
	} {
		_, err := broker.Start(t.Context(), broker.Options{Listen: "127.0.0.1:0", StoreDir: t.TempDir(), Cluster: &c, MAC: mqtttest.MAC,
			ServiceSecret: mqtttest.ServiceSecret, Log: slog.New(slog.DiscardHandler), Register: prometheus.NewRegistry()})
		if err == nil {
			t.Errorf("%s: started", name)
		}
	}
}
