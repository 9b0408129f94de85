package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zhijiao/internal/pgtest"
)

// certificate writes a certificate made out to a name that is not the address anybody connects to.
func certificate(t *testing.T, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// TestTLS: with certificates both listeners may face the network, and our own sessions and the canary get through.
func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t, "zhijiao.example")
	p := program(t, "up", "--database-url", pgtest.Database(t), "--data-dir", t.TempDir(), "--http-listen", "0.0.0.0:0", "--mqtt-listen", "0.0.0.0:0",
		"--http-tls-cert", cert, "--http-tls-key", key, "--mqtt-tls-cert", cert, "--mqtt-tls-key", key)
	p.waitFor("zhijiao is ready")
	page, mqtt := p.said("page"), p.said("devices")
	if !strings.HasPrefix(page, "https://") || !strings.HasPrefix(mqtt, "tls://") {
		t.Errorf("%s, %s", page, mqtt)
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	eventually(t, "healthz says ready", func() bool {
		resp, err := client.Get("https://127.0.0.1:" + portOf(t, page) + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK && resp.Header.Get("Strict-Transport-Security") != ""
	})
	p.stop()
}

func portOf(t *testing.T, url string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestOwnTLSTrustsOneCertificate: another certificate, even one of the same name, is not our broker's.
func TestOwnTLSTrustsOneCertificate(t *testing.T) {
	t.Parallel()
	load := func() tls.Certificate {
		c, k := certificate(t, "zhijiao.example")
		pair, err := tls.LoadX509KeyPair(c, k)
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	ours, theirs := load(), load()
	for _, c := range []struct {
		served tls.Certificate
		fine   bool
	}{{ours, true}, {theirs, false}} {
		a, b := net.Pipe()
		go tls.Server(a, &tls.Config{Certificates: []tls.Certificate{c.served}}).Handshake()
		err := tls.Client(b, ownTLS(&tls.Config{Certificates: []tls.Certificate{ours}})).Handshake()
		if (err == nil) != c.fine {
			t.Errorf("served %v: %v", c.fine, err)
		}
		a.Close()
		b.Close()
	}
}
