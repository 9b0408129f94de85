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

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/devices/enrolment"
)

// startEnrolment lets devices exchange codes for their secrets, where it is configured.
func (a *App) startEnrolment(ctx context.Context) error {
	cfg := a.cfg.Enrol
	if cfg.Listen == "" {
		return nil
	}
	tlsConfig, err := serverTLS(cfg)
	if err != nil {
		return fmt.Errorf("enrol: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return err
	}
	a.enrolment = listener.Addr().String()
	if tlsConfig != nil {
		listener = tls.NewListener(listener, tlsConfig)
	}
	log := a.log.With("component", "enrolment")
	srv := &http.Server{
		Handler:     enrolment.New(enrolment.Options{Exchange: a.exchangeCode, Log: log, Register: a.registry}),
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	loops := newBackground(a.fail)
	loops.run("enrolment", func(context.Context) error {
		if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	a.stops.push("enrolment", func(ctx context.Context) error {
		if err := srv.Shutdown(ctx); err != nil {
			return errors.Join(err, srv.Close())
		}
		return loops.stop(ctx)
	})
	a.log.Info("devices may fetch their secrets", "enrol", a.enrolment, "tls", tlsConfig != nil)
	return nil
}

// exchangeCode counts a wrong try: what is refused is committed as well.
func (a *App) exchangeCode(ctx context.Context, serial devices.Serial, code string) (secret string, err error) {
	var refused error
	err = pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) (err error) {
		secret, err = devices.UseCode(ctx, tx, a.keys, serial, code, a.clock.Now())
		if errors.Is(err, devices.ErrCode) {
			refused, err = err, nil
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return secret, refused
}
