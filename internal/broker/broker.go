package broker

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
)

const startTimeout = 60 * time.Second // JetStream reads its folder first

// Broker is one running broker. It is started by Start and ended by Stop, once each.
type Broker struct {
	opts       Options
	log        *slog.Logger
	server     *server.Server
	partition  partitioner
	admissions admissions
	gate       *gate
	metrics    *metrics
	collectors []prometheus.Collector
	reports    chan Violation
	uses       chan use
	stop       chan struct{}
	stopped    chan struct{}
	once       sync.Once
	fatal      atomic.Pointer[string]
	addr       string
	inside     *nats.Conn  // of a node of a cluster, to ask the others
	internal   string      // what we ourselves connect with, inside the process
	prepared   atomic.Bool // the store is as it is to be: clients may come
}

// Start opens the store, sets the mapping and listens. Devices are refused until Update has said who may speak and every
// partition has its reader; our own sessions are let in at once.
func Start(ctx context.Context, o Options) (*Broker, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	partition, err := newPartitioner(o.Partitions)
	if err != nil {
		return nil, err
	}
	if err := keepPartitions(o.StoreDir, o.Partitions); err != nil {
		return nil, err
	}
	b := &Broker{
		opts: o, log: o.Log, partition: partition, admissions: admissions{conns: map[string]admission{}},
		reports: make(chan Violation, reportQueue), uses: make(chan use, reportQueue), stop: make(chan struct{}), stopped: make(chan struct{}), internal: rand.Text(),
	}
	b.gate = newGate(b)
	if b.server, err = server.NewServer(b.serverOptions()); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	b.server.SetLoggerV2(&logger{log: o.Log, violate: b.violated, fatal: func(s string) { b.fatal.Store(&s) }}, false, false, false)
	// On the global account, before the listener opens: on another one a PUBLISH sent together with CONNECT, and every
	// will, stays unmapped, is acknowledged and lost.
	for _, m := range mappings(o.Partitions) {
		if err := b.server.GlobalAccount().AddMapping(m.from, m.to); err != nil {
			return nil, fmt.Errorf("broker: mapping: %w", err)
		}
	}
	if b.metrics, err = newMetrics(b); err != nil {
		b.unregister()
		return nil, fmt.Errorf("broker: metrics: %w", err)
	}
	if err := b.listen(ctx); err != nil {
		b.unregister()
		b.server.Shutdown()
		return nil, err
	}
	go b.gate.run(b.stop)
	go b.deliverReports()
	return b, nil
}

func (b *Broker) serverOptions() *server.Options {
	host, port, _ := net.SplitHostPort(b.opts.Listen)
	n, _ := strconv.Atoi(port)
	if n == 0 {
		n = server.RANDOM_PORT
	}
	o := &server.Options{
		ServerName:                 "zhijiao",
		DontListen:                 true, // MQTT is the only door
		NoSigs:                     true,
		JetStream:                  true,
		StoreDir:                   b.opts.StoreDir,
		SyncAlways:                 b.opts.Sync == SyncAlways,
		SyncInterval:               time.Second,
		DisableJetStreamBanner:     true,
		MaxPayload:                 MaxPayload,
		CustomClientAuthentication: authenticator{b},
		MQTT: server.MQTTOpts{
			Host: host, Port: n, TLSConfig: b.listenerTLS(), TLSTimeout: 10, AuthTimeout: 10,
			AckWait: b.opts.AckWait, MaxAckPending: uint16(b.opts.MaxAckPending),
		},
	}
	if c := b.opts.Cluster; c != nil {
		c.join(o, b.opts.ServiceSecret)
	}
	// A thousand consumers a stream is nats-server's default, and every MQTT QoS 1 subscription is one of one stream.
	o.JetStreamLimits.DefaultMaxConsumers = -1
	return o
}

// listenerTLS asks for certificates where devices need them. The handshake lets who has none go on: our own sessions have none, and the
// authenticator tells who is who.
func (b *Broker) listenerTLS() *tls.Config {
	if b.opts.ClientCA == nil {
		return b.opts.TLS
	}
	c := b.opts.TLS.Clone()
	c.ClientCAs, c.ClientAuth = b.opts.ClientCA, tls.VerifyClientCertIfGiven
	return c
}

// listen starts the server and waits until the MQTT listener is open, or it has said why not.
func (b *Broker) listen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	go b.server.Start()
	for !b.server.ReadyForConnections(50 * time.Millisecond) {
		if why := b.fatal.Load(); why != nil {
			return fmt.Errorf("broker: %s", *why)
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("broker: not listening on %s: %w", b.opts.Listen, err)
		}
	}
	if !b.server.JetStreamEnabled() {
		return errors.New("broker: JetStream did not start: see the log")
	}
	if err := b.forgetRetained(ctx); err != nil {
		return err
	}
	if err := b.catchUp(ctx); err != nil {
		return err
	}
	if err := b.answer(); err != nil {
		return err
	}
	b.prepared.Store(true)
	v, err := b.server.Varz(nil)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	host, _, _ := net.SplitHostPort(b.opts.Listen)
	b.addr = net.JoinHostPort(host, strconv.Itoa(v.MQTT.Port))
	return nil
}

// Addr is where the MQTT listener is: host:port.
func (b *Broker) Addr() string { return b.addr }

// Partitions is N.
func (b *Broker) Partitions() int { return b.opts.Partitions }

// URL is Addr as an MQTT client takes it.
func (b *Broker) URL() string {
	if b.opts.TLS != nil {
		return "tls://" + b.addr
	}
	return "tcp://" + b.addr
}

// Update says who may speak from now on, and cuts every connection that no longer may.
func (b *Broker) Update(r Registry) { b.cut(b.admissions.replace(r)...) }

// Put says which secrets of one device are good from now on; none means it is revoked. Its connection is cut if the
// secret it came with is not among them.
func (b *Broker) Put(serial string, macs ...[]byte) {
	if conn, found := b.admissions.put(serial, macs); found {
		b.cut(conn)
	}
}

func (b *Broker) cut(conns ...uint64) {
	for _, conn := range conns {
		if err := b.server.DisconnectClientByID(conn); err == nil {
			b.metrics.kicked.Inc()
		}
	}
}

// Ready is nil when devices may connect, and says what is missing when not.
func (b *Broker) Ready() error {
	if why := b.fatal.Load(); why != nil {
		return fmt.Errorf("broker: %s", *why)
	}
	if !b.server.Running() {
		return errors.New("broker: not running")
	}
	if err := b.current(); err != nil {
		return err
	}
	if !b.gate.open() {
		return errors.New("broker: not every partition has its reader; devices are refused")
	}
	return nil
}

// Opened is closed when every partition has had its reader for the first time.
func (b *Broker) Opened() <-chan struct{} { return b.gate.opened }

// Stop ends the broker: connections are closed, the store is synced. It waits no longer than ctx.
func (b *Broker) Stop(ctx context.Context) error {
	b.once.Do(func() {
		b.unregister()
		close(b.stop)
		go func() {
			defer close(b.stopped)
			b.server.Shutdown()
			b.server.WaitForShutdown()
			<-b.gate.done
		}()
	})
	select {
	case <-b.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("broker: still stopping: %w", ctx.Err())
	}
}

func (b *Broker) unregister() {
	for _, c := range b.collectors {
		b.opts.Register.Unregister(c)
	}
}

// keepPartitions remembers N in the store. With fewer partitions than before, what waits in the last ones would never be
// read, though it was acknowledged: that is refused. More are safe: the old sessions stay, and drain what they have.
func keepPartitions(dir string, n int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	file := filepath.Join(dir, "partitions")
	raw, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("broker: %w", err)
	}
	if err == nil {
		was, err := strconv.Atoi(strings.TrimSpace(string(raw)))
		if err != nil {
			return fmt.Errorf("broker: %s does not hold a number of partitions", file)
		}
		if n < was {
			return fmt.Errorf("broker: %s was made for %d partitions and %d were asked for: what waits in the others would "+
				"never be read; keep %d, or more", dir, was, n, was)
		}
		if n == was {
			return nil
		}
	}
	tmp := file + ".new"
	if err := os.WriteFile(tmp, []byte(strconv.Itoa(n)+"\n"), 0o600); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	if err := os.Rename(tmp, file); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	return nil
}
