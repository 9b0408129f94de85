package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"zhijiao/devices/osmand"
	"zhijiao/internal/crypto"
	"zhijiao/internal/mqttlink"
)

// startOsmAnd lets trackers over HTTP in, where it is configured.
func (a *App) startOsmAnd(ctx context.Context) error {
	cfg := a.cfg.OsmAnd
	if cfg.Listen == "" {
		return nil
	}
	if a.terminals == nil {
		if err := a.startTerminals(ctx); err != nil {
			return err
		}
	}
	token, err := cfg.ForwardToken()
	if err != nil {
		return err
	}
	tlsConfig, err := serverTLS(cfg.Listener)
	if err != nil {
		return fmt.Errorf("osmand: %w", err)
	}
	options, err := a.gatewayLink("osmand")
	if err != nil {
		return err
	}
	link, err := mqttlink.New(options)
	if err != nil {
		return err
	}
	log := a.log.With("component", "osmand")
	g := osmand.New(osmand.Options{
		Publish: func(ctx context.Context, topic string, payload []byte) error {
			return link.Publish(ctx, topic, 1, payload)
		},
		Terminals: a.terminals, MAC: crypto.DeviceMAC(a.keys), ForwardToken: token, Clock: a.clock, Quarantine: a.quarantineFrames, Log: log, Registry: a.registry,
	})
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return err
	}
	a.osmand = listener.Addr().String()
	if tlsConfig != nil {
		listener = tls.NewListener(listener, tlsConfig)
	}
	link.Open()
	a.health.set("osmand", func(context.Context) error {
		if up, err := link.Connected(); !up {
			return fmt.Errorf("osmand: no session at the broker: %w", errors.Join(err, mqttlink.ErrNotConnected))
		}
		return nil
	})
	// The address lines of this server hold places: nothing it says of a request goes into a log, not even on request.
	srv := &http.Server{Handler: g, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 24 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	loops := newBackground(a.fail)
	loops.run("osmand", func(context.Context) error {
		if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	loops.run("osmand traces", g.Run)
	a.stops.push("OsmAnd", func(ctx context.Context) error {
		defer link.Close()
		if err := srv.Shutdown(ctx); err != nil {
			return errors.Join(err, srv.Close())
		}
		return loops.stop(ctx)
	})
	a.log.Info("trackers over HTTP are let in", "osmand", a.osmand, "tls", tlsConfig != nil, "forwarding", token != "")
	return nil
}
