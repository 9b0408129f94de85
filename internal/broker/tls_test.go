package broker_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
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

// TestClientCertificates: where devices need certificates, a device comes in with its own and its secret; not without, not with another
// device's, not with one that somebody else signed, and not without the secret. Our own sessions need none.
func TestClientCertificates_R40(t *testing.T) {
	t.Parallel()
	server, client := selfSigned(t)
	ours, strangers := newAuthority(t), newAuthority(t)
	b, err := broker.Start(t.Context(), broker.Options{Listen: "127.0.0.1:0", TLS: server, ClientCA: ours.pool, StoreDir: t.TempDir(),
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
	b.Update(mqtttest.Registry("WB-1", "WB-2", "canary-1"))
	m := &mqtttest.B{Kind: mqtttest.Embedded, URL: b.URL(), Partitions: 1}
	got := &mqtttest.Collector{}
	with := func(o mqttlink.Options, certificates ...tls.Certificate) mqttlink.Options {
		o.TLS = client.Clone()
		o.TLS.Certificates = certificates
		return o
	}
	mqtttest.Link(t, with(m.Reader(0, got.Handle)))
	device := mqtttest.Link(t, with(m.Device("WB-1"), ours.certificate(t, "WB-1")))
	publish(t, device, topic.Up("WB-1", "fix"), "with a certificate")
	canary := mqtttest.Link(t, with(m.Device("canary-1")))
	publish(t, canary, topic.Up("canary-1", "fix"), "and ourselves")
	mqtttest.Eventually(t, "it comes", func() bool { return got.HasPayload("with a certificate") && got.HasPayload("and ourselves") })
	refused(t, with(m.Device("WB-2")))
	refused(t, with(m.Device("WB-2"), ours.certificate(t, "WB-1")))
	refused(t, with(m.Device("WB-2"), strangers.certificate(t, "WB-2")))
	wrong := with(m.Device("WB-2"), ours.certificate(t, "WB-2"))
	wrong.Password = "not its secret at all"
	refused(t, wrong)
	mqtttest.Link(t, with(m.Device("WB-2"), ours.certificate(t, "WB-2")))
}

// authority signs certificates of devices.
type authority struct {
	pool *x509.CertPool
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "devices"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{pool: x509.NewCertPool(), key: key}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

// certificate is one of a device.
func (a *authority) certificate(t *testing.T, serial string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: serial}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestRetainedMessagesAreNotKept: what a device says with the retain flag is delivered like anything else, and is not left on
// the disk: neither while the broker runs nor after.
func TestRetainedMessagesAreNotKept(t *testing.T) {
	t.Parallel()
	store := t.TempDir()
	b, _ := open(t, mqtttest.Options{Devices: []string{"WB-1"}, StoreDir: store})
	got := &mqtttest.Collector{}
	mqtttest.Link(t, b.Reader(0, got.Handle))
	device := mqtttest.Link(t, b.Device("WB-1"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const secret = "113.7654321 was here"
	for _, where := range []string{"up/WB-1/fix", "up/WB-1/fix", "up/WB-1/status", "up/WB-2/fix", "p/0/up/WB-2/fix", "x/y"} {
		if err := device.SendRetained(where, 1, []byte(secret)).Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	mqtttest.Eventually(t, "it is delivered", func() bool { return len(got.Messages()) >= 3 })
	if n := len(got.Messages()); n != 3 {
		t.Errorf("%d messages were delivered, 3 were to permitted topics", n)
	}
	mqtttest.Eventually(t, "all is acknowledged", func() bool {
		waiting, given := b.Embedded.Backlog()
		return waiting+given == 0
	})
	retained := filepath.Join(store, "jetstream", "$G", "streams", "$MQTT_rmsgs")
	err := filepath.WalkDir(retained, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		doc, err := os.ReadFile(file)
		if bytes.Contains(doc, []byte("113.7654321")) {
			t.Errorf("%s holds what was said", file)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(store, "jetstream")); err != nil {
		t.Fatalf("the test looks in the wrong place: %v", err)
	}
}
