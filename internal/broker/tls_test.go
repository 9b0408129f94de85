package broker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/internal/broker"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/topic"
)

// selfSigned is a certificate for 127.0.0.1 and who trusts it.
func selfSigned(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "zhijiao test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12},
		&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// With TLS an address that is not loopback is fine, and whoever speaks plain is not understood.
func TestTLS(t *testing.T) {
	t.Parallel()
	server, client := selfSigned(t)
	b, err := broker.Start(t.Context(), broker.Options{Listen: "0.0.0.0:0", TLS: server, StoreDir: t.TempDir(),
		Sync: broker.SyncInterval, MAC: mqtttest.MAC, ServiceSecret: mqtttest.ServiceSecret,
		Log: slog.New(slog.DiscardHandler), Register: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := b.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	b.Update(mqtttest.Registry("WB-1"))
	_, port, _ := net.SplitHostPort(b.Addr())
	if !strings.HasPrefix(b.URL(), "tls://") {
		t.Errorf("URL %s", b.URL())
	}
	m := &mqtttest.B{Kind: mqtttest.Embedded, URL: "tls://127.0.0.1:" + port, Partitions: 1}
	got := &mqtttest.Collector{}
	with := func(o mqttlink.Options) mqttlink.Options { o.TLS = client; return o }
	mqtttest.Link(t, with(m.Reader(0, got.Handle)))
	device := mqtttest.Link(t, with(m.Device("WB-1")))
	publish(t, device, topic.Up("WB-1", "fix"), "over TLS")
	mqtttest.Eventually(t, "it comes", func() bool { return got.HasPayload("over TLS") })

	plain := m.Device("WB-1")
	plain.URL = "tcp://127.0.0.1:" + port
	refused(t, plain)
	stranger := m.Device("WB-1")
	stranger.TLS = &tls.Config{MinVersion: tls.VersionTLS12} // trusts nobody we know
	refused(t, stranger)
}

// nats-server cannot forbid retained messages. The exact topics bound what a device can leave behind: one each, which a
// reader that comes back is given once more and the core knows as heard before.
func TestRetainedMessagesAreBounded(t *testing.T) {
	t.Parallel()
	b, _ := open(t, mqtttest.Options{Devices: []string{"WB-1"}})
	device := mqtttest.Link(t, b.Device("WB-1"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, where := range []string{"up/WB-1/fix", "up/WB-1/fix", "up/WB-1/status", "up/WB-2/fix", "p/0/up/WB-2/fix", "x/y"} {
		if err := device.SendRetained(where, 1, []byte("kept")).Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	mqtttest.Eventually(t, "all is read", func() bool {
		waiting, given := b.Embedded.Backlog()
		return waiting+given == 0
	})
	// A reader that takes over gets what is retained, and nothing else.
	next := &mqtttest.Collector{}
	mqtttest.Link(t, b.Reader(0, next.Handle))
	publish(t, device, topic.Up("WB-1", "checkin"), "last")
	mqtttest.Eventually(t, "the last", func() bool { return next.HasPayload("last") })
	seen := map[string]int{}
	for _, m := range next.Messages() {
		seen[m.Topic]++
	}
	if len(seen) != 3 || seen["p/0/up/WB-1/fix"] > 1 || seen["p/0/up/WB-1/status"] > 1 {
		t.Errorf("retained: %v", seen)
	}
}
