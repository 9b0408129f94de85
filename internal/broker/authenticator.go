package broker

import (
	"crypto/subtle"
	"crypto/tls"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

	"zhijiao/internal/topic"
)

// Reason is why a connection was refused: a metric label.
type Reason string

const (
	ReasonProtocol   Reason = "protocol"    // not an MQTT client
	ReasonClientID   Reason = "client_id"   // client id is not the user name: an attempt to take a session over
	ReasonReserved   Reason = "reserved"    // one of our own names without our secret, or one we do not use
	ReasonSerial     Reason = "serial"      // no name a device can have
	ReasonNoRegistry Reason = "no_registry" // nobody has told us yet who may speak
	ReasonUnknown    Reason = "unknown"     // not in the registry, or revoked
	ReasonSecret     Reason = "secret"      // wrong secret
	ReasonCert       Reason = "certificate" // none, or another's
	ReasonGate       Reason = "gate"        // not every partition has a reader yet; the device tries again
)

var reasons = []Reason{ReasonProtocol, ReasonClientID, ReasonReserved, ReasonSerial, ReasonNoRegistry, ReasonUnknown,
	ReasonSecret, ReasonCert, ReasonGate}

// authenticator decides who is let in, and as what. It runs in the read loop of the connection, which holds no lock.
type authenticator struct{ b *Broker }

// Check implements server.Authentication.
func (a authenticator) Check(c server.ClientAuthentication) bool {
	b := a.b
	opts := c.GetOpts()
	if opts.Token != "" && subtle.ConstantTimeCompare([]byte(opts.Token), []byte(b.internal)) == 1 && c.GetOpts().Username == "" {
		c.RegisterUser(&server.User{Username: "zhijiao"}) // ourselves, in this process: no other door takes a token
		return true
	}
	client, remote := a.clientID(c.GetID()), ""
	if addr := c.RemoteAddress(); addr != nil {
		remote = addr.String()
	}
	perms, reason := a.decide(client, opts.Username, opts.Password, c.GetTLSConnectionState(), c.GetID())
	if reason != "" {
		b.metrics.refused.WithLabelValues(string(reason)).Inc()
		// A closed gate is our own state, and devices knock on it again and again: nothing for the audit.
		if reason != ReasonGate && reason != ReasonNoRegistry {
			b.report(Violation{Act: ActConnect, Client: clip(client), Remote: remote, Detail: string(reason)})
		}
		return false
	}
	c.RegisterUser(&server.User{Username: opts.Username, Permissions: perms})
	if _, ok := topic.IngestPartition(client); ok {
		b.gate.look()
	}
	return true
}

func (a authenticator) decide(client, user, password string, shown *tls.ConnectionState, conn uint64) (*server.Permissions, Reason) {
	b := a.b
	if client == "" {
		return nil, ReasonProtocol
	}
	if !b.prepared.Load() {
		return nil, ReasonGate
	}
	// A client id taken over is a session taken over: with it go its subscription and what it has not acknowledged.
	if client != user {
		return nil, ReasonClientID
	}
	if strings.HasPrefix(client, topic.ServicePrefix) {
		perms, known := servicePermissions(client, b.opts.Partitions)
		if !known || subtle.ConstantTimeCompare([]byte(password), []byte(b.opts.ServiceSecret)) != 1 {
			return nil, ReasonReserved
		}
		if topic.IsGatewayClient(client) && !b.gate.open() { // what it published would be acknowledged and thrown away
			return nil, ReasonGate
		}
		return perms, ""
	}
	if !topic.ValidSerial(client) {
		return nil, ReasonSerial
	}
	if !b.gate.open() {
		return nil, ReasonGate
	}
	if b.opts.ClientCA != nil && !strings.HasPrefix(client, topic.CanaryPrefix) && !certified(client, shown) {
		return nil, ReasonCert
	}
	perms, err := b.partition.devicePermissions(client)
	if err != nil {
		b.log.Error("permissions of a device", "client", client, "error", err)
		return nil, ReasonSerial
	}
	mac := b.opts.MAC([]byte(password))
	if reason := b.admissions.admit(client, mac, conn); reason != "" {
		return nil, reason
	}
	b.used(client, mac)
	return perms, ""
}

// certified says whether a device showed the certificate made out to it. That it is signed by who may sign the handshake has seen.
func certified(serial string, shown *tls.ConnectionState) bool {
	return shown != nil && len(shown.VerifiedChains) > 0 && shown.PeerCertificates[0].Subject.CommonName == serial
}

// clientID asks the server: the authenticator is not told the MQTT client id, but the connection's information has it.
// It is empty for anything that is not an MQTT connection.
func (a authenticator) clientID(conn uint64) string {
	z, err := a.b.server.Connz(&server.ConnzOptions{CID: conn})
	if err != nil || len(z.Conns) != 1 {
		return ""
	}
	return z.Conns[0].MQTTClient
}

// clip bounds what a stranger can make us keep.
func clip(s string) string {
	if len(s) > topic.MaxSerial {
		return s[:topic.MaxSerial]
	}
	return s
}
