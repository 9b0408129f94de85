package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"zhijiao/cmd/zhijiao/config"
)

// serverTLS is what a listener is protected by; nil without a certificate, which config lets through on a loopback
// address only.
func serverTLS(l config.Listener) (*tls.Config, error) {
	if l.TLSCert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(l.TLSCert, l.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

// ownTLS is how sessions of this process talk to its own broker: the certificate must be the very one the listener was
// given. It is made out to a name that devices use, which is not the address we connect to.
func ownTLS(server *tls.Config) *tls.Config {
	if server == nil {
		return nil
	}
	own := server.Certificates[0].Certificate[0]
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // replaced by a stricter check
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || !bytes.Equal(s.PeerCertificates[0].Raw, own) {
				return errors.New("the broker does not show our own certificate")
			}
			return nil
		},
	}
}

// nodeTLS is how nodes of a cluster talk: each shows its certificate to the other, whoever called.
func nodeTLS(c config.Cluster) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	pool, err := certPool(c.CAFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
		MinVersion: tls.VersionTLS12}, nil
}

func certPool(caFile string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", caFile)
	}
	return pool, nil
}

// clientTLS is how sessions of ours talk to a broker that runs elsewhere.
func clientTLS(caFile string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return c, nil
	}
	pool, err := certPool(caFile)
	if err != nil {
		return nil, fmt.Errorf("broker.ca_file: %w", err)
	}
	c.RootCAs = pool
	return c, nil
}
