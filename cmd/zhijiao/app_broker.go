package main

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/cmd/zhijiao/config"
	"zhijiao/devices"
	"zhijiao/internal/broker"
	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// registryRetry is the pause before the registry is read again after an error.
const registryRetry = time.Second

// violationPatience is how long the trace of a refused act waits for the database.
const violationPatience = 5 * time.Second

// startBroker runs the embedded broker. Its authenticator answers from a snapshot of the registry, kept fresh by the
// ledger, so that devices come and go while the database is away.
func (a *App) startBroker(ctx context.Context) error {
	secret, err := a.cfg.Broker.Password()
	if err != nil {
		return err
	}
	if secret == "" { // the sessions are in this process: nobody else needs to know it
		var b [32]byte
		rand.Read(b[:])
		secret = base64.RawURLEncoding.EncodeToString(b[:])
	}
	tlsConfig, err := serverTLS(a.cfg.MQTT)
	if err != nil {
		return fmt.Errorf("mqtt: %w", err)
	}
	var clientCA *x509.CertPool
	if a.cfg.ClientCA != "" {
		if clientCA, err = certPool(a.cfg.ClientCA); err != nil {
			return fmt.Errorf("mqtt.client_ca_file: %w", err)
		}
	}
	cluster, err := brokerCluster(a.cfg.Broker.Cluster)
	if err != nil {
		return err
	}
	b, err := broker.Start(ctx, broker.Options{
		Cluster: cluster, ClientCA: clientCA,
		Listen: a.cfg.MQTT.Listen, TLS: tlsConfig, StoreDir: a.storeDir(), Sync: broker.Sync(a.cfg.Broker.Sync),
		Partitions: a.cfg.Broker.Partitions, MAC: crypto.DeviceMAC(a.keys), ServiceSecret: secret,
		OnViolation: a.recordViolation, OnUsed: a.secretUsed, Log: a.log.With("component", "broker"), Register: a.registry,
	})
	if err != nil {
		return err
	}
	a.broker, a.brokerSecret = b, secret
	a.stops.push("broker", b.Stop)
	pos, err := a.loadRegistry(ctx)
	if err != nil {
		return err
	}
	a.loops.run("registry", func(ctx context.Context) error { return a.followRegistry(ctx, pos) })
	a.log.Info("the broker listens", "mqtt", b.URL(), "sync", a.cfg.Broker.Sync, "partitions", b.Partitions())
	return nil
}

// brokerCluster is the broker's place in a cluster; nil: it is alone.
func brokerCluster(c config.Cluster) (*broker.Cluster, error) {
	if c.Node == "" {
		return nil, nil
	}
	out := &broker.Cluster{Node: c.Node, Listen: c.Listen, Peers: c.PeerList()}
	if c.Cert == "" {
		return out, nil
	}
	both, err := nodeTLS(c)
	if err != nil {
		return nil, fmt.Errorf("broker.cluster: %w", err)
	}
	out.TLS = both
	return out, nil
}

// recordViolation leaves a trace of what a client tried and was refused (R40). What it tried to say is not known here.
func (a *App) recordViolation(v broker.Violation) {
	ctx, cancel := context.WithTimeout(context.Background(), violationPatience)
	defer cancel()
	err := pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) error {
		return devices.Quarantine(ctx, tx, a.keys, []devices.Refused{{ReceivedAt: a.clock.Now(), Serial: devices.Serial(v.Client),
			Kind: devices.Kind(v.Act), Outcome: devices.Rejected, Reason: devices.NotPermitted, Field: string(v.Act), Boot: -1, Seq: -1}})
	})
	if err != nil {
		a.log.Error("a refused act of a client left no trace", "act", string(v.Act), "client", v.Client, "err", err)
	}
}

// loadRegistry gives the broker the whole registry and returns the position of the ledger from which to follow it: what
// changes while it is read is seen again.
func (a *App) loadRegistry(ctx context.Context) (int64, error) {
	pos, err := ledger.Head(ctx, a.pool)
	if err != nil {
		return 0, err
	}
	registry, err := devices.Credentials(ctx, a.pool)
	if err != nil {
		return 0, err
	}
	a.broker.Update(registry)
	return pos, nil
}

// followRegistry tells the broker of every device that the ledger says has changed.
func (a *App) followRegistry(ctx context.Context, pos int64) error {
	for {
		err := ledger.Follow(ctx, a.pool, a.listener, pos, func(entries []ledger.Entry) error {
			if err := a.updateRegistry(ctx, entries); err != nil {
				return err
			}
			pos = entries[len(entries)-1].Pos
			return nil
		})
		if ctx.Err() != nil {
			return nil
		}
		a.log.Error("the registry could not be followed, it will be tried again", "component", "registry", "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(registryRetry):
		}
	}
}

func (a *App) updateRegistry(ctx context.Context, entries []ledger.Entry) error {
	var changed []id.Device
	for _, e := range entries {
		if d := id.Device(e.EntityID); strings.HasPrefix(e.Kind, "device.") && !slices.Contains(changed, d) {
			changed = append(changed, d)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	credentials, err := devices.CredentialsOf(ctx, a.pool, changed...)
	if err != nil {
		return err
	}
	for serial, macs := range credentials {
		a.broker.Put(serial, macs...)
	}
	return nil
}
