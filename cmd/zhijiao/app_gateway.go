package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/topic"
)

// startTerminals reads the registry for the gateways of this process and keeps it fresh by the ledger, so that they know their
// terminals while the database is away.
func (a *App) startTerminals(ctx context.Context) error {
	a.terminals = new(devices.Terminals)
	pos, err := a.loadTerminals(ctx)
	if err != nil {
		return err
	}
	a.loops.run("terminals", func(ctx context.Context) error {
		for {
			err := ledger.Follow(ctx, a.pool, a.listener, pos, func(entries []ledger.Entry) error {
				if err := a.updateTerminals(ctx, entries); err != nil {
					return err
				}
				pos = entries[len(entries)-1].Pos
				return nil
			})
			if ctx.Err() != nil {
				return nil
			}
			a.log.Error("the registry could not be followed, it will be tried again", "component", "terminals", "err", err)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(registryRetry):
			}
		}
	})
	return nil
}

// loadTerminals reads the whole registry and returns the position of the ledger from which to follow it: what changes while it
// is read is seen again.
func (a *App) loadTerminals(ctx context.Context) (int64, error) {
	pos, err := ledger.Head(ctx, a.pool)
	if err != nil {
		return 0, err
	}
	all, err := devices.LoadTerminals(ctx, a.pool)
	if err != nil {
		return 0, err
	}
	a.terminals.Replace(all)
	return pos, nil
}

func (a *App) updateTerminals(ctx context.Context, entries []ledger.Entry) error {
	var changed []id.Device
	for _, e := range entries {
		if e.Kind == devices.KindModelDatum { // of any number of devices
			_, err := a.loadTerminals(ctx)
			return err
		}
		if d := id.Device(e.EntityID); strings.HasPrefix(e.Kind, "device.") && !slices.Contains(changed, d) {
			changed = append(changed, d)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	some, err := devices.TerminalsOf(ctx, a.pool, changed...)
	if err == nil {
		a.terminals.Put(some)
	}
	return err
}

// gatewayLink is the session of one gateway, not yet open. Every gateway has its own.
func (a *App) gatewayLink(component string) (mqttlink.Options, error) {
	link, err := a.link()
	if err != nil {
		return link, err
	}
	var b [6]byte
	rand.Read(b[:])
	link.ClientID, link.Log = topic.GatewayClient(hex.EncodeToString(b[:])), a.log.With("component", component)
	return link, nil
}
