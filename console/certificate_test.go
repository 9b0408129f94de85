package console_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"testing"
	"time"

	"zhijiao/console"
)

// authority makes client certificates.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	a.cert = a.sign(t, a.key, nil, time.Hour)
	return a
}

// sign makes a certificate for a key; parent nil: of itself.
func (a *authority) sign(t *testing.T, key *ecdsa.PrivateKey, parent *x509.Certificate, valid time.Duration) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "zhijiao"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(valid),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true}
	if parent == nil {
		parent, template.IsCA, template.KeyUsage = template, true, x509.KeyUsageCertSign
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// TestLoginByCertificate_R108: an account that was joined with the key of a UKey is let in with its password and that key, not with the password
// alone, not by another's key, nor by a certificate of another authority or one that is over; renewed for the same key it stays good.
func TestLoginByCertificate_R108(t *testing.T) {
	b := setup(t)
	b.add(t, "wei.chen", b.yuekou, console.OfficerRole)
	b.demandTwoFactors(t)
	site, stranger := newAuthority(t), newAuthority(t)
	ours := newKey(t)
	sum := sha256.Sum256(site.sign(t, ours, site.cert, time.Hour).RawSubjectPublicKeyInfo)
	if err := console.JoinCertificate(t.Context(), b.pool, now, "wei.chen", sum[:], "UKey 1"); err != nil {
		t.Fatal(err)
	}
	if err := console.JoinCertificate(t.Context(), b.pool, now, "wei.chen", sum[:], "UKey 1"); err == nil {
		t.Error("one key twice")
	}
	roots := x509.NewCertPool()
	roots.AddCert(site.cert)
	server := httptest.NewUnstartedServer(b.server)
	server.TLS = &tls.Config{ClientCAs: roots, ClientAuth: tls.VerifyClientCertIfGiven}
	server.StartTLS()
	t.Cleanup(server.Close)
	plain := b.http
	t.Cleanup(func() { b.http = plain })
	b.http = server
	with := func(key *ecdsa.PrivateKey, cert *x509.Certificate) *user {
		jar, _ := cookiejar.New(nil) //nolint:errcheck // it has no error to return
		transport := server.Client().Transport.(*http.Transport).Clone()
		if cert != nil {
			transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}, nil
			}
		}
		t.Cleanup(transport.CloseIdleConnections)
		return &user{b: b, client: &http.Client{Jar: jar, Timeout: wait, Transport: transport}}
	}
	for range 2 { // the second one is a renewal
		u := with(ours, site.sign(t, ours, site.cert, time.Hour))
		if status, body := u.enterWith(t, "wei.chen", password, ""); status != http.StatusOK {
			t.Fatalf("with its key: %d %s", status, body)
		}
		if f := u.me["proven"].(map[string]any)["factor"]; f != "certificate" {
			t.Errorf("proven by %v", f)
		}
		u.get(t, "/api/alerts", &map[string]any{})
	}
	if status, body := with(nil, nil).enterWith(t, "wei.chen", password, ""); status != http.StatusUnauthorized || code(body) != "certificate_needed" {
		t.Errorf("with the password alone: %d %s", status, body)
	}
	theirs := newKey(t)
	if status, body := with(theirs, site.sign(t, theirs, site.cert, time.Hour)).enterWith(t, "wei.chen", password, ""); status != http.StatusUnauthorized {
		t.Errorf("with another's key: %d %s", status, body)
	}
	if status, _ := with(ours, site.sign(t, ours, site.cert, time.Hour)).enterWith(t, "wei.chen", "not-the-password-1A", ""); status != http.StatusUnauthorized {
		t.Errorf("with the key alone: %d", status)
	}
	for name, cert := range map[string]*x509.Certificate{"of another authority": stranger.sign(t, ours, stranger.cert, time.Hour), "that is over": site.sign(t, ours, site.cert, -time.Hour)} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/api/login", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := with(ours, cert).client.Do(req); err == nil {
			_ = res.Body.Close()
			t.Errorf("a certificate %s is taken", name)
		}
	}
	b.exec(t, "UPDATE account_certificate SET revoked_at = clock_timestamp()")
	u := with(ours, site.sign(t, ours, site.cert, time.Hour))
	if status, _ := u.enterWith(t, "wei.chen", password, ""); status == http.StatusOK {
		if status, body := u.do(t, "GET", "/api/alerts", nil); status != http.StatusForbidden {
			t.Errorf("with a key that was revoked: %d %s", status, body)
		}
	}
}
