package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Sync is when what the broker stores reaches the disk.
type Sync string

const (
	// SyncAlways: before the PUBACK. The default: an acknowledged observation survives the machine.
	SyncAlways Sync = "always"
	// SyncInterval: within a second. Survives the process, not the machine.
	SyncInterval Sync = "interval"
)

const (
	// MaxPayload is far above the decoder's limit: over it nats-server cuts the connection, and a device that resends
	// would do so for ever; between the two an oversized payload is refused with a reason.
	MaxPayload = 256 << 10
	// AckWait is after how long an unacknowledged message is sent to ingest again, and so the time a takeover costs.
	AckWait = 10 * time.Second
	// MaxAckPending is how many messages one partition's session is given before it acknowledges: the window, and the
	// length of ingest's queue.
	MaxAckPending = 2000
	// MaxPartitions bounds N: every partition is a session, a consumer and a writer.
	MaxPartitions = 256
)

// Options are what a Broker is built of.
type Options struct {
	Listen string      // host:port of the MQTT listener; port 0 takes a free one
	TLS    *tls.Config // nil only on a loopback address
	// ClientCA signs the certificates of devices: each shows one whose common name is its serial, beside its secret. nil: they need none.
	ClientCA   *x509.CertPool
	StoreDir   string // JetStream's folder
	Sync       Sync   // SyncAlways when empty
	Partitions int    // 1 when zero

	// Cluster makes this broker one of three that keep every message together; nil: it is alone.
	Cluster *Cluster

	// MAC is the keyed digest under which the registry keeps a device's secret.
	MAC func(secret []byte) []byte
	// ServiceSecret is what our own sessions give as their password. With everything in one process it is random and
	// lives as long as the process.
	ServiceSecret string

	// AckWait and MaxAckPending replace the constants of the same name where they are not zero: only a test that waits
	// for redelivery has a reason to.
	AckWait       time.Duration
	MaxAckPending int

	// OnViolation is told of refused connections, publishes and subscriptions, for the audit (R40): at once, and of the same
	// attempt again after a minute with its number. It is called from one goroutine and may take its time; what does not fit
	// the queue meanwhile is counted as not reported.
	OnViolation func(Violation)

	// OnUsed is told that a device with several good secrets was let in with the one of this digest: it has been given the new one. It is
	// called as OnViolation is; what does not fit the queue is told at the next connection.
	OnUsed func(serial string, mac []byte)

	Log      *slog.Logger
	Register prometheus.Registerer
}

// Nodes is how many brokers make a cluster: two of three agree, and one may be away.
const Nodes = 3

// Cluster is this broker's place among three. An acknowledged message is on the disks of two of them at least; one may be lost and
// its clients go to another. They share the keys of the platform, the secret of our own sessions, and the number of partitions.
type Cluster struct {
	Node   string      // its name, different from the others'
	Listen string      // host:port for the other nodes
	Peers  []string    // host:port of all three
	TLS    *tls.Config // both sides show a certificate; nil only on loopback addresses
}

func (o *Options) validate() error {
	if o.Sync == "" {
		o.Sync = SyncAlways
	}
	if o.Partitions == 0 {
		o.Partitions = 1
	}
	if o.AckWait == 0 {
		o.AckWait = AckWait
	}
	if o.MaxAckPending == 0 {
		o.MaxAckPending = MaxAckPending
	}
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("broker: "+format, args...))
		}
	}
	host, _, err := net.SplitHostPort(o.Listen)
	refuse(err != nil, "listen address %q: %v", o.Listen, err)
	refuse(err == nil && o.TLS == nil && !loopback(host),
		"%q is not a loopback address: devices send secrets and positions, so this listener needs TLS", o.Listen)
	refuse(o.ClientCA != nil && o.TLS == nil, "certificates of devices need TLS")
	refuse(o.StoreDir == "", "no store folder")
	if c := o.Cluster; c != nil {
		refuse(c.Node == "" || strings.ContainsAny(c.Node, " .*>\t"), "node name %q: one word, without dots", c.Node)
		refuse(len(c.Peers) != Nodes, "%d nodes: a cluster has %d", len(c.Peers), Nodes)
		for _, address := range append([]string{c.Listen}, c.Peers...) {
			host, _, err := net.SplitHostPort(address)
			refuse(err != nil, "address of a node %q: %v", address, err)
			refuse(err == nil && c.TLS == nil && !loopback(host), "%q is not a loopback address: what devices say goes from node to node, so this needs TLS", host)
		}
	}
	refuse(o.Sync != SyncAlways && o.Sync != SyncInterval, "sync %q is neither %q nor %q", o.Sync, SyncAlways, SyncInterval)
	refuse(o.Partitions < 1 || o.Partitions > MaxPartitions, "%d partitions: 1 to %d", o.Partitions, MaxPartitions)
	refuse(o.MaxAckPending < 1 || o.MaxAckPending > 65535, "max ack pending %d: 1 to 65535", o.MaxAckPending)
	refuse(o.MAC == nil, "no function to digest secrets with")
	refuse(len(o.ServiceSecret) < 16, "the secret of our own sessions needs 16 characters or more")
	refuse(o.Log == nil, "no log")
	refuse(o.Register == nil, "no metrics registry")
	return errors.Join(errs...)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
