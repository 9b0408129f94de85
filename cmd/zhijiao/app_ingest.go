package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/ingest"
	"zhijiao/internal/crypto"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/topic"
)

// sessionsWait bounds how long `up` waits for its own sessions at its own broker.
const sessionsWait = 30 * time.Second

// canaryModel marks the canary's device in the registry.
const canaryModel = "canary"

// link is how sessions of ours reach the broker, whichever it is.
func (a *App) link() (mqttlink.Options, error) {
	if a.broker != nil {
		server, err := serverTLS(a.cfg.MQTT)
		return mqttlink.Options{URL: a.broker.URL(), TLS: ownTLS(server), Password: a.brokerSecret}, err
	}
	return linkElsewhere(a.cfg)
}

// startIngest opens the sessions that read what devices publish. With a broker of our own it waits until they are
// subscribed: only then does the broker let devices in.
func (a *App) startIngest(ctx context.Context) error {
	link, err := a.link()
	if err != nil {
		return err
	}
	unmapped, partitions := a.broker == nil && !a.cfg.Broker.Mapped, a.cfg.Broker.Partitions
	sessions := partitions
	if unmapped {
		sessions = 1
	}
	leases, err := ingest.NewLeases(ingest.LeaseOptions{
		Database: a.pool.Config().ConnConfig, Instance: a.instance, Partitions: sessions,
		Log: a.log.With("component", "leases"), Register: a.registry,
	})
	if err != nil {
		return err
	}
	in, err := ingest.New(ingest.Options{
		Link: link, Partitions: partitions, Unmapped: unmapped, Leases: leases,
		Decode: ingest.JSON(a.keys.Digest()), Observer: a.engine, Clock: a.clock, Ping: a.pool.Ping,
		Limit: ingest.Limit{Rate: float64(a.cfg.Ingest.Rate), Burst: float64(a.cfg.Ingest.Burst), Backlog: float64(a.cfg.Ingest.Backlog)},
		Log:   a.log.With("component", "ingest"), Register: a.registry,
	})
	if err != nil {
		return err
	}
	in.Start()
	a.reading.Store(in)
	a.health.set("ingest", func(context.Context) error { return in.Ready() })
	a.health.set("broker", func(context.Context) error {
		if a.broker != nil {
			return a.broker.Ready()
		}
		return errors.Join(in.Ready(), a.elsewhere.health()) // what we know of one that runs elsewhere
	})
	a.stops.push("ingest", in.Stop)
	if unmapped {
		return a.watchElsewhere(link)
	}
	if a.broker == nil {
		return nil // it may come later; health says so until then
	}
	ctx, cancel := context.WithTimeout(ctx, sessionsWait)
	defer cancel()
	if err := in.WaitReady(ctx); err != nil {
		return err
	}
	select {
	case <-a.broker.Opened():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("devices are not let in: %w", a.broker.Ready())
	}
}

// instanceName names this process among those that run: the machine and process for whoever looks, the rest so that no two
// are the same.
func instanceName() string {
	host, _ := os.Hostname() //nolint:errcheck // the rest tells processes apart
	var b [4]byte
	rand.Read(b[:])
	return fmt.Sprintf("%s:%d:%s", host, os.Getpid(), hex.EncodeToString(b[:]))
}

// startCommands sends what is to go down to devices.
func (a *App) startCommands(context.Context) error {
	link, err := a.link()
	if err != nil {
		return err
	}
	var b [6]byte
	rand.Read(b[:])
	link.ClientID, link.Log = topic.CommandClient(hex.EncodeToString(b[:])), a.log.With("component", "commands")
	l, err := mqttlink.New(link)
	if err != nil {
		return err
	}
	l.Open()
	a.stops.push("command session", func(context.Context) error { l.Close(); return nil })
	sender := devices.NewSender(devices.SenderOptions{
		Pool: a.pool, Clock: a.clock, Log: a.log, Register: a.registry,
		Publish: func(ctx context.Context, serial devices.Serial, payload []byte) error {
			return l.Publish(ctx, topic.Down(serial), 0, payload)
		},
	})
	a.work.run("commands", func(ctx context.Context) error { sender.Run(ctx); return nil })
	return nil
}

// startCanary lets a device of our own publish through the real listener, and look for it in the database: permissions are
// checked on mapped topics and a publish that breaks them is acknowledged all the same, so nothing less proves the path.
func (a *App) startCanary(ctx context.Context) error {
	serial := canarySerial(a.cfg.DataDir)
	device, secret, err := a.enrolCanary(ctx, serial)
	if err != nil {
		return err
	}
	link, err := a.link()
	if err != nil {
		return err
	}
	if link.Username == "" { // else the broker does not know our registry: our own session goes the same way as devices, but for their permissions
		link.Password = secret
	}
	if a.broker != nil { // its own news comes by the ledger, in a moment; the canary need not be turned away until then
		a.broker.Put(string(serial), crypto.DeviceMAC(a.keys)([]byte(secret)))
	}
	c, err := ingest.NewCanary(ingest.CanaryOptions{
		Link: link, Serial: serial, Clock: a.clock, Log: a.log.With("component", "canary"), Register: a.registry,
		Seen: func(ctx context.Context, boot, seq int64) (bool, error) {
			return statusStored(ctx, a.pool, device, boot, seq)
		},
	})
	if err != nil {
		return err
	}
	c.Start()
	a.canary = c
	a.health.set("canary", func(context.Context) error { return c.Health() })
	a.stops.push("canary", func(context.Context) error { c.Stop(); return nil })
	return nil
}

// canarySerial names one canary for each program that can run at the same time.
func canarySerial(dataDir string) devices.Serial {
	host, _ := os.Hostname() //nolint:errcheck // without a name the folder alone tells programs apart
	sum := sha256.Sum256([]byte(host + "\x00" + dataDir))
	return devices.Serial(topic.CanaryPrefix + hex.EncodeToString(sum[:6]))
}

// enrolCanary makes the canary's device when there is none, and gives it a new secret, which nobody else learns.
func (a *App) enrolCanary(ctx context.Context, serial devices.Serial) (device devices.Device, secret string, err error) {
	now := a.clock.Now()
	err = pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) error {
		found, err := devices.Find(ctx, tx, serial)
		switch {
		case errors.Is(err, devices.ErrUnknownDevice):
			e, err := devices.Enrol(ctx, tx, a.keys, devices.Enrolment{Serial: serial, Class: devices.Phone, Model: canaryModel, At: now})
			device, secret = devices.Device{ID: e.ID, Serial: serial}, e.Secret
			return err
		case err != nil:
			return err
		}
		device = found
		secret, err = devices.IssueSecret(ctx, tx, a.keys, found.ID, now, true)
		return err
	})
	return device, secret, err
}
