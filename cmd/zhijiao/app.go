package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"zhijiao/alerts"
	"zhijiao/cmd/zhijiao/config"
	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/ingest"
	"zhijiao/internal/broker"
	"zhijiao/internal/clock"
	"zhijiao/internal/cluster"
	"zhijiao/internal/crypto"
	"zhijiao/internal/ledger"
	"zhijiao/supervision"
)

// plan is what one process runs: `up` everything, `serve` all but the broker, `broker` the broker alone.
type plan struct {
	migrate   bool   // bring the schema up, else check it
	mode      string // of a database that is new
	broker    bool   // run the embedded broker
	server    bool   // run ingest, the engine, alerts and the console
	demo      bool   // load invented people and let them live
	freePorts bool   // take another port when a default one is taken
	stepped   bool   // somebody moves the clock, and settles the past before it moves

	clock *clock.Setting // of a rehearsal whose clock was never set; nil: the machine's time
}

// App is the running program. newApp builds and starts it from top to bottom, Stop ends it from bottom to top.
type App struct {
	cfg      *config.Config
	log      *slog.Logger
	plan     plan
	mode     string
	registry *prometheus.Registry
	stops    *stopStack
	loops    *background // what lives as long as the database connections
	work     *background // what lives by the clock, and ends before it
	failed   chan error

	pool     *pgxpool.Pool
	keys     *crypto.Keys
	clock    *clock.DB
	listener *ledger.Listener

	supervision *supervision.Store
	zones       *geofence.Store
	alerts      *alerts.Store
	engine      *geofence.Engine

	broker       *broker.Broker // nil: it runs elsewhere
	elsewhere    elsewhere      // what we know of it then
	brokerSecret string
	canary       *ingest.Canary     // nil: the broker does not know our registry
	terminals    *devices.Terminals // what gateways know of those they speak for
	reading      atomic.Pointer[ingest.Ingest]

	health health
	page   string // address of the console
	jt808  string // address for JT/T 808 terminals; empty: none
	// address where devices fetch their secrets; empty: none
	instance  string // this process, among those that read
	enrolment string
	osmand    string // address for trackers over HTTP; empty: none
	demo      demo
	ready     atomic.Bool
}

// newApp starts everything in the order of the list it walks. When one part fails, those already started are stopped.
func newApp(ctx context.Context, cfg *config.Config, log *slog.Logger, p plan) (*App, error) {
	a := &App{cfg: cfg, log: log, plan: p, instance: instanceName(), registry: prometheus.NewRegistry(), stops: &stopStack{log: log}, failed: make(chan error, 1)}
	if p.freePorts {
		otherPorts(cfg, log)
	}
	a.loops = newBackground(a.fail)
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, part := range a.parts() {
		if err := ctx.Err(); err != nil {
			return nil, errors.Join(err, a.Stop())
		}
		if err := part.start(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", part.name, err), a.Stop())
		}
		log.Debug("started", "part", part.name)
	}
	return a, nil
}

// part is one step of the start. What it starts it pushes on the stack of stops.
type part struct {
	name  string
	start func(context.Context) error
}

// parts is the program as a list that can be read.
func (a *App) parts() []part {
	list := []part{
		{"data folder", a.startFolder},
		{"database", a.startDatabase},
		{"schema", a.startSchema},
		{"keys", a.startKeys},
		{"ledger", a.startLedger},
		{"clock", a.startClock},
	}
	if a.plan.server {
		list = append(list, part{"core", a.startCore}, part{"console", a.startConsole})
	}
	if a.plan.broker {
		list = append(list, part{"broker", a.startBroker})
	}
	if a.plan.server {
		list = append(list, part{"ingest", a.startIngest}, part{"commands", a.startCommands}, part{"canary", a.startCanary},
			part{"terminals", a.startJT808}, part{"trackers", a.startOsmAnd}, part{"enrolment", a.startEnrolment},
			part{"self-test", a.startSelfTest})
	}
	if a.plan.demo {
		list = append(list, part{"demo", a.startDemo})
	}
	return list
}

// fail records why the program cannot go on; the first reason counts.
func (a *App) fail(err error) {
	select {
	case a.failed <- err:
	default:
	}
}

// Run waits until ctx ends or a part fails, then stops everything.
func (a *App) Run(ctx context.Context) error {
	var err error
	select {
	case <-ctx.Done():
		a.log.Info("stopping")
	case err = <-a.failed:
		a.log.Error("stopping, because a part failed", "err", err)
	}
	return errors.Join(err, a.Stop())
}

// Stop ends every part, the latest first.
func (a *App) Stop() error { return a.stops.stop() }

func (a *App) startFolder(ctx context.Context) error {
	if err := settleFolder(ctx, a.cfg, a.log); err != nil {
		return err
	}
	if !a.plan.broker { // the broker's store is what two programs must not share; PostgreSQL has a lock of its own
		return nil
	}
	unlock, err := lockFolder(a.cfg.DataDir)
	if err != nil {
		return err
	}
	a.stops.push("data folder", unlock)
	return nil
}

// startDatabase starts the private PostgreSQL unless an address is configured, and connects.
func (a *App) startDatabase(ctx context.Context) error {
	url := a.cfg.Database.URL
	if url == "" {
		c, err := cluster.Start(ctx, cluster.Options{Dir: a.cfg.DataDir, Account: a.cfg.Database.Account, Log: a.log.With("component", "cluster")})
		if err != nil {
			return err
		}
		a.stops.push("private PostgreSQL", c.Stop)
		a.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "zhijiao_cluster_restarts_total", Help: "Times the private PostgreSQL died and was started again.",
		}, func() float64 { return float64(c.Restarts()) }))
		a.loops.run("private PostgreSQL", func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return nil
			case <-c.Done():
				return errors.New("it ended for good")
			}
		})
		url = c.URL("")
	}
	pool, err := openPool(ctx, a.log, url, ingest.SessionName(a.instance), a.cfg.Database.Pool)
	if err != nil {
		return err
	}
	a.pool = pool
	a.stops.push("database connections", func(context.Context) error { pool.Close(); return nil })
	a.registry.MustRegister(poolCollectors(pool)...)
	// Loops use the pool: they end before it does.
	a.stops.push("background", a.loops.stop)
	return nil
}

func poolCollectors(pool *pgxpool.Pool) []prometheus.Collector {
	gauge := func(name, help string, value func(*pgxpool.Stat) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(pool.Stat()) })
	}
	return []prometheus.Collector{
		gauge("zhijiao_database_connections", "Connections to the database.", func(s *pgxpool.Stat) float64 { return float64(s.TotalConns()) }),
		gauge("zhijiao_database_connections_used", "Connections to the database that are in use.", func(s *pgxpool.Stat) float64 { return float64(s.AcquiredConns()) }),
		gauge("zhijiao_database_connections_max", "The most connections there may be.", func(s *pgxpool.Stat) float64 { return float64(s.MaxConns()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "zhijiao_database_waits_total", Help: "Times somebody waited for a connection."},
			func() float64 { return float64(pool.Stat().EmptyAcquireCount()) }),
	}
}

func (a *App) startSchema(ctx context.Context) error {
	if a.plan.migrate {
		mode, err := migrateUp(ctx, a.pool, a.plan.mode)
		a.mode = mode
		return err
	}
	mode, err := checkedMode(ctx, a.pool)
	a.mode = mode
	return err
}

// startKeys reads the keys. New ones are made only while nothing is sealed with the old ones: a lost file would
// otherwise go unnoticed until somebody needs a name.
func (a *App) startKeys(ctx context.Context) error {
	keys, err := openKeys(ctx, a.cfg, a.log, a.pool)
	a.keys = keys
	return err
}

// startLedger listens for news of the ledger, for all who follow it in this process.
func (a *App) startLedger(context.Context) error {
	a.listener = ledger.NewListener(a.pool, a.log)
	a.loops.run("ledger", a.listener.Run)
	return nil
}

// startClock opens domain time. A clock that runs scaled writes down where it is when it stops, so everything that reads
// it stops before.
func (a *App) startClock(ctx context.Context) error {
	if a.plan.clock != nil {
		if err := firstClock(ctx, a.pool, *a.plan.clock); err != nil {
			return err
		}
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c, err := clock.Open(running, a.pool, a.log)
	if err != nil {
		cancel()
		return err
	}
	a.clock = c
	a.stops.push("clock", func(ctx context.Context) error {
		cancel()
		select {
		case <-c.Done():
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	return nil
}

// storeDir is where the embedded broker keeps its messages.
func (a *App) storeDir() string { return filepath.Join(a.cfg.DataDir, "broker") }

// brokerStore is that folder where the broker is ours.
func brokerStore(cfg *config.Config) string {
	if cfg.Broker.URL != "" {
		return ""
	}
	return filepath.Join(cfg.DataDir, "broker")
}
