package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
)

// replacedEvery is how often it is looked whether the overlap of a replaced secret is over. What ends then is cut within a second more.
const replacedEvery = 5 * time.Second

// secretUsed ends the secrets that the one a device came with replaces.
func (a *App) secretUsed(serial string, mac []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), violationPatience)
	defer cancel()
	var ended bool
	err := pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) (err error) {
		ended, err = devices.SecretUsed(ctx, tx, devices.Serial(serial), mac, a.clock.Now())
		return err
	})
	switch {
	case err != nil:
		a.log.Warn("the secrets that a new one replaces stay until it is used again, or their time is over", "client", serial, "err", err)
	case ended:
		a.log.Info("a device came with its new secret: earlier ones ended", "client", serial)
	}
}

// endReplaced ends the secrets whose overlap is over.
func (a *App) endReplaced(ctx context.Context) error {
	tick := time.NewTicker(replacedEvery)
	defer tick.Stop()
	for {
		var n int
		err := pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) (err error) {
			n, err = devices.EndReplaced(ctx, tx, a.clock.Now())
			return err
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			a.log.Warn("replaced secrets were not ended, it will be tried again", "err", err)
		case n > 0:
			a.log.Info("secrets ended whose overlap was over", "devices", n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
