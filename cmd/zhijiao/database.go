package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/cmd/zhijiao/config"
	"zhijiao/internal/clock"
	"zhijiao/internal/cluster"
	"zhijiao/migrations"
)

// errMode is wrapped when a database is not of the kind that a command needs.
var errMode = errors.New("this database is of the other kind")

// Modes of a deployment.
const (
	modeLive      = "live"
	modeRehearsal = "rehearsal"
)

const (
	databaseWait  = 60 * time.Second
	databaseRetry = 200 * time.Millisecond
)

// startingCodes are what a PostgreSQL says that is shutting down, crashed or starting.
var startingCodes = []string{"57P01", "57P02", "57P03"}

// openPool connects. Sessions of ours that stall inside a transaction are ended by the database, so that what took over
// from them is not kept waiting.
func openPool(ctx context.Context, log *slog.Logger, url, name string, size int) (*pgxpool.Pool, error) {
	pc, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("database_url cannot be read") // the error repeats the address, and that may hold a password
	}
	pc.MaxConns = int32(size)
	pc.MaxConnIdleTime = 5 * time.Minute
	for name, value := range map[string]string{
		"application_name": name, "timezone": "UTC", "idle_in_transaction_session_timeout": "3s",
	} {
		if _, given := pc.ConnConfig.RuntimeParams[name]; !given {
			pc.ConnConfig.RuntimeParams[name] = value
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if err := awaitDatabase(ctx, log, pool); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connect: %w", err)
	}
	return pool, nil
}

// awaitDatabase waits a while for a database that is starting, recovering or away: after a power cut it starts beside us.
// One that refuses us for another reason will go on refusing.
func awaitDatabase(ctx context.Context, log *slog.Logger, pool *pgxpool.Pool) error {
	ctx, cancel := context.WithTimeout(ctx, databaseWait)
	defer cancel()
	for said := false; ; said = true {
		err := pool.Ping(ctx)
		var refused *pgconn.PgError
		if err == nil || errors.As(err, &refused) && !slices.Contains(startingCodes, refused.Code) {
			return err
		}
		if !said {
			log.Warn("waiting for the database", "at_most", databaseWait, "err", err)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(databaseRetry):
		}
	}
}

// withConn lends one connection of the pool to what works on a connection.
func withConn(ctx context.Context, pool *pgxpool.Pool, do func(context.Context, *pgx.Conn) error) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	defer conn.Release()
	return do(ctx, conn.Conn())
}

// migrateUp refuses an unsafe database, brings the schema up and makes the deployment's row when it is new.
func migrateUp(ctx context.Context, pool *pgxpool.Pool, mode string) (string, error) {
	var got string
	err := withConn(ctx, pool, func(ctx context.Context, conn *pgx.Conn) error {
		if err := checkSafety(ctx, conn); err != nil {
			return err
		}
		if err := migrations.Up(ctx, conn); err != nil {
			return err
		}
		var err error
		got, err = ensureDeployment(ctx, conn, mode)
		return err
	})
	return got, err
}

// oneDatabase gives a command that does one thing a database: the configured one, the private one that runs in data_dir
// already, or the private one started for as long as the command runs.
func oneDatabase(ctx context.Context, cfg *config.Config, log *slog.Logger, do func(context.Context, *pgxpool.Pool) error) error {
	url := cfg.Database.URL
	if url == "" {
		if err := settleFolder(ctx, cfg, log); err != nil {
			return err
		}
		opts := cluster.Options{Dir: cfg.DataDir, Account: cfg.Database.Account, Log: log}
		c, err := cluster.Start(ctx, opts)
		switch {
		case errors.Is(err, cluster.ErrInUse):
			if url, err = cluster.Address(opts); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			url = c.URL("")
			defer func() {
				stop, cancel := context.WithTimeout(context.Background(), stepTime)
				defer cancel()
				if err := c.Stop(stop); err != nil {
					log.Error("stop the private PostgreSQL", "err", err)
				}
			}()
		}
	}
	pool, err := openPool(ctx, log, url, "zhijiao", 4)
	if err != nil {
		return err
	}
	defer pool.Close()
	return do(ctx, pool)
}

// currentDatabase is oneDatabase with the schema checked.
func currentDatabase(ctx context.Context, cfg *config.Config, log *slog.Logger, do func(context.Context, *pgxpool.Pool) error) error {
	return oneDatabase(ctx, cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
		if err := withConn(ctx, pool, migrations.Check); err != nil {
			return err
		}
		return do(ctx, pool)
	})
}

// openClock opens domain time for a command that does one thing.
func openClock(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) (clock.Clock, func(), error) {
	ctx, cancel := context.WithCancel(ctx)
	c, err := clock.Open(ctx, pool, log)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	return c, func() { cancel(); <-c.Done() }, nil
}
