package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/devices/jt808"
	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
)

// startJT808 lets terminals that speak JT/T 808 in, where it is configured.
func (a *App) startJT808(ctx context.Context) error {
	cfg := a.cfg.JT808
	if cfg.Listen == "" {
		return nil
	}
	if a.terminals == nil {
		if err := a.startTerminals(ctx); err != nil {
			return err
		}
	}
	tlsConfig, err := serverTLS(cfg.Listener)
	if err != nil {
		return fmt.Errorf("jt808: %w", err)
	}
	link, err := a.gatewayLink("jt808")
	if err != nil {
		return err
	}
	g, err := jt808.New(jt808.Options{
		Listen: cfg.Listen, TLS: tlsConfig, Link: link, Terminals: a.terminals, MAC: crypto.DeviceMAC(a.keys), Clock: a.clock,
		Register: a.registerTerminal, Quarantine: a.quarantineFrames, Answer: a.answerCommand, Makers: cfg.Makers, MaxConnections: cfg.Connections,
		Log: a.log.With("component", "jt808"), Registry: a.registry,
	})
	if err != nil {
		return err
	}
	if err := g.Start(); err != nil {
		return err
	}
	a.stops.push("JT/T 808", g.Stop)
	a.health.set("jt808", func(context.Context) error { return g.Ready() })
	a.jt808 = g.Addr().String()
	a.log.Info("terminals are let in", "jt808", a.jt808, "tls", tlsConfig != nil)
	return nil
}

// registerTerminal issues the secret of a terminal that registers. It is good at once: the terminal comes with it before the ledger
// has told us.
func (a *App) registerTerminal(ctx context.Context, serial devices.Serial, identity string) (secret string, err error) {
	var device id.Device
	err = pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) error {
		device, secret, err = devices.Register(ctx, tx, a.keys, serial, identity, a.clock.Now())
		return err
	})
	if err != nil {
		return "", err
	}
	some, err := devices.TerminalsOf(ctx, a.pool, device)
	if err != nil {
		return "", err
	}
	a.terminals.Put(some)
	return secret, nil
}

func (a *App) quarantineFrames(ctx context.Context, list []devices.Refused) error {
	return pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) error { return devices.Quarantine(ctx, tx, a.keys, list) })
}

// answerCommand records what a terminal said of a command.
func (a *App) answerCommand(ctx context.Context, serial devices.Serial, said devices.CommandAnswer) error {
	device, err := devices.Find(ctx, a.pool, serial)
	if err != nil {
		return err
	}
	said.Device, said.At = device.ID, a.clock.Now()
	return devices.AnswerCommands(ctx, a.pool, said)
}
