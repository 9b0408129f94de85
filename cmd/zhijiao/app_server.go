package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/alerts"
	"zhijiao/console"
	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/audit"
	"zhijiao/internal/crypto"
	"zhijiao/internal/ledger"
	"zhijiao/internal/rowsec"
	"zhijiao/supervision"
)

const (
	// selfTest bounds how long the canary may take at start.
	selfTest = 60 * time.Second
	// sweepEvery is how often what has been kept long enough is removed.
	sweepEvery = time.Minute
	// sourcesHold is how long sources are not judged because messages wait that have not been read: far less than the quarter of an
	// hour within which it is to be told.
	sourcesHold = 5 * time.Minute
	// notByItself is longer than any rehearsal: who steps it says when the past is to be derived again.
	notByItself = 1000 * time.Hour
)

// startCore builds what decides, and what makes work of it.
func (a *App) startCore(ctx context.Context) error {
	a.supervision = supervision.NewStore(a.pool, a.clock, a.keys)
	a.zones = geofence.NewStore(a.pool, a.clock)
	a.supervision.Keep(a.zones, daysOff)
	a.alerts = alerts.NewStore(a.pool, a.clock)
	o := geofence.Options{Pool: a.pool, Clock: a.clock, Keys: a.keys, Backlog: a.backlog, Hears: a.hears, Listener: a.listener, Log: a.log, Register: a.registry}
	if a.plan.stepped {
		o.Settled, o.Patience = notByItself, notByItself
	}
	engine, err := geofence.New(o)
	if err != nil {
		return err
	}
	a.engine = engine
	if _, err := engine.Begin(ctx); err != nil {
		return err
	}
	a.work = newBackground(a.fail)
	a.stops.push("core", a.work.stop)
	a.registry.MustRegister(devices.NewCollector(a.pool, a.log), devices.NewSourceCollector(a.pool, a.clock.Now, a.log), geofence.NewCalendarCollector(a.pool, a.clock, a.log))
	a.work.run("timers", engine.Run)
	alertMetrics := alerts.NewMetrics(a.registry)
	tail := alerts.NewTail(a.pool, a.listener, a.clock, a.log, ledger.NewMetrics(a.registry), alertMetrics)
	a.work.run("alerts", tail.Run)
	escalator := &alerts.Escalator{Pool: a.pool, Clock: a.clock, Log: a.log.With("component", "alerts"), Metrics: alertMetrics}
	a.work.run("escalation", escalator.Run)
	a.work.run("sweep", a.sweep)
	sealer := &audit.Sealer{Pool: a.pool, Key: a.keys.Signer(crypto.AuditSeal), Anchor: a.cfg.AuditAnchor(), Log: a.log.With("component", "audit")}
	a.work.run("audit", sealer.Run)
	a.work.run("archive", newArchive(a.cfg, a.pool, a.clock, a.log, a.registry).Run)
	watch := newLimitWatch(a.pool, a.clock, a.log.With("component", "limits"), brokerStore(a.cfg))
	a.registry.MustRegister(watch)
	a.work.run("limits", watch.run)
	a.work.run("credentials", a.endReplaced)
	a.health.set("database", a.checkDatabase)
	a.health.set("ledger", a.checkLedger)
	a.health.set("accounting", a.checkAccounting)
	return nil
}

// backlog tells the engine that messages wait which it has not seen: timers hold until it has.
func (a *App) backlog() bool {
	in := a.reading.Load()
	return in == nil || in.Ready() != nil || in.Backlog()
}

// hears tells the engine that what devices say would reach us.
func (a *App) hears() bool {
	in := a.reading.Load()
	return in != nil && in.Hears()
}

// sweep removes what has been kept long enough, and tells what never came.
func (a *App) sweep(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var waiting, retained time.Time // machine time since which messages wait; at which it was looked what goes
	for {
		if n, err := devices.PurgeQuarantine(ctx, a.pool, a.clock.Now()); err != nil {
			if ctx.Err() == nil {
				a.log.Warn("the quarantine was not swept, it will be tried again", "err", err)
			}
		} else if n > 0 {
			a.log.Info("swept the quarantine", "removed", n)
		}
		a.tellGaps(ctx)
		if time.Since(retained) >= retainEvery {
			retained = time.Now()
			a.retain(ctx)
		}
		if n, err := a.supervision.Remind(ctx); err != nil {
			if ctx.Err() == nil {
				a.log.Warn("nobody was reminded of what is due, it will be tried again", "err", err)
			}
		} else if n > 0 {
			a.log.Info("tasks became due", "tasks", n)
		}
		if !a.backlog() {
			waiting = time.Time{}
		} else if waiting.IsZero() {
			waiting = time.Now()
		}
		if waiting.IsZero() || time.Since(waiting) >= sourcesHold {
			a.watchSources(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// retainEvery is how often it is looked whose data have been kept long enough.
const retainEvery = 6 * time.Hour

// retain gives people who have none yet the index they are found by, and deletes or blocks what has been kept long enough.
func (a *App) retain(ctx context.Context) {
	if n, err := a.supervision.Index(ctx); err != nil {
		if ctx.Err() == nil {
			a.log.Warn("people were not indexed, it will be tried again", "err", err)
		}
	} else if n > 0 {
		a.log.Info("people can be found by what identifies them now", "people", n)
	}
	r, err := a.supervision.Retain(ctx, a.zones, false, nil)
	switch {
	case err != nil && ctx.Err() == nil:
		a.log.Warn("what was kept long enough was not deleted, it will be tried again", "err", err)
	case err == nil && len(r.Erased)+r.Held > 0:
		a.log.Info("looked whose data have been kept long enough", "deleted_or_blocked", len(r.Erased), "held", r.Held)
	}
}

// daysOff has periods of working days counted by the calendar that rules go by.
func daysOff(ctx context.Context, q supervision.Querier) (supervision.DayOff, error) {
	c, err := geofence.LoadCalendar(ctx, q, time.Time{})
	if err != nil {
		return nil, err
	}
	return c.Off, nil
}

// tellGaps records what never arrived.
func (a *App) tellGaps(ctx context.Context) {
	var n int
	err := pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) (err error) {
		n, err = devices.TellGaps(ctx, tx, a.clock.Now())
		return err
	})
	switch {
	case err != nil && ctx.Err() == nil:
		a.log.Warn("it was not looked what is missing of devices, it will be tried again", "err", err)
	case err == nil && n > 0:
		a.log.Warn("sequences of devices never arrived: zhijiao device gaps lists them", "devices", n)
	}
}

// watchSources tells of sources whose data is older than the limit, and of those that are in step again (R46).
func (a *App) watchSources(ctx context.Context) {
	var told []devices.Source
	err := pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) (err error) {
		told, err = devices.WatchSources(ctx, tx, a.clock.Now(), time.Duration(a.cfg.SourcesLimit)*time.Minute)
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			a.log.Warn("it was not looked how old the data of sources is, it will be tried again", "err", err)
		}
		return
	}
	for _, s := range told {
		if s.StaleSince.IsZero() {
			a.log.Info("the data of a source is in step again", "source", s.Source)
		} else {
			a.log.Warn("the data of a source is out of step: nothing newer came", "source", s.Source, "devices", s.Devices, "behind", s.Lag.Round(time.Second))
		}
	}
}

// startConsole serves the API, the front end, /healthz and /metrics. It starts before the broker, so that whoever watches
// sees the rest start.
func (a *App) startConsole(ctx context.Context) error {
	tlsConfig, err := serverTLS(a.cfg.HTTP)
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	if tlsConfig != nil && a.cfg.UKeyCA != "" { // certificates of UKeys: asked for, and not demanded
		if tlsConfig.ClientCAs, err = certPool(a.cfg.UKeyCA); err != nil {
			return fmt.Errorf("http.client_ca_file: %w", err)
		}
		tlsConfig.ClientAuth = tls.VerifyClientCertIfGiven
	}
	reads, err := rowsec.Open(ctx, a.pool, readConns(a.cfg.Database.Pool))
	if err != nil {
		return err
	}
	a.stops.push("connections of readers", func(context.Context) error { reads.Close(); return nil })
	sso, err := a.singleSignOn()
	if err != nil {
		return err
	}
	server, err := console.New(console.Options{
		SingleSignOn: sso,
		Pool:         a.pool, Reads: reads, Keys: a.keys, AuditKeys: a.keys.Publics(crypto.AuditSeal), AuditAnchor: a.cfg.AuditAnchor(), EvidenceFont: a.cfg.EvidenceFont, Clock: a.clock, Listener: a.listener, Supervision: a.supervision, Alerts: a.alerts, Zones: a.zones,
		Log: a.log, Registerer: a.registry, Gatherer: a.registry, Health: a.health.list(a.gateways()...), Secure: tlsConfig != nil,
		Version: version, Mode: a.mode, Starting: func() bool { return !a.ready.Load() },
	})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.HTTP.Listen)
	if err != nil {
		return err
	}
	a.page = "http://" + shownAddress(listener.Addr())
	if tlsConfig != nil {
		a.page = "https://" + shownAddress(listener.Addr())
		listener = tls.NewListener(listener, tlsConfig)
	}
	srv := &http.Server{
		Handler: server, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(a.log.With("component", "http").Handler(), slog.LevelDebug),
	}
	loops := newBackground(a.fail)
	loops.run("console", server.Run)
	loops.run("http", func(context.Context) error {
		if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	a.stops.push("console", func(ctx context.Context) error {
		loops.cancel() // websockets say goodbye; they are no requests that Shutdown would wait for
		if err := srv.Shutdown(ctx); err != nil {
			return errors.Join(err, srv.Close())
		}
		return loops.stop(ctx)
	})
	a.log.Info("the console listens", "page", a.page)
	return nil
}

// singleSignOn is the site's identity provider; nil: none.
func (a *App) singleSignOn() (*console.SingleSignOn, error) {
	o := a.cfg.SingleSignOn
	if o.Issuer == "" {
		return nil, nil
	}
	secret, err := o.Secret()
	if err != nil {
		return nil, err
	}
	return &console.SingleSignOn{Name: o.Name, Issuer: o.Issuer, ClientID: o.ClientID, Secret: secret, Redirect: o.Redirect}, nil
}

// readConns is how many connections requests read over, beside those that everything else works with.
func readConns(pool int) int32 { return int32(max(2, pool/2)) }

// shownAddress is an address that can be typed into a browser: one that stands for every address of the machine becomes
// the machine's name.
func shownAddress(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return a.String()
	}
	host, err := os.Hostname()
	if err != nil {
		return a.String()
	}
	return net.JoinHostPort(host, strconv.Itoa(tcp.Port))
}

// startSelfTest lets the program be ready when a canary has come out of the database. With a broker elsewhere the program
// serves meanwhile, and says that it is starting.
func (a *App) startSelfTest(ctx context.Context) error {
	if a.canary == nil {
		a.ready.Store(true)
		return nil
	}
	if a.broker == nil {
		a.work.run("self-test", func(ctx context.Context) error {
			if err := a.canary.Await(ctx); err != nil {
				return err
			}
			a.ready.Store(true)
			a.log.Info("the canary has come out of the database: ready")
			return nil
		})
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, selfTest)
	defer cancel()
	if err := a.canary.Await(ctx); err != nil {
		return err
	}
	a.ready.Store(true)
	return nil
}

// startDemo brings in the people who do not exist.
func (a *App) startDemo(ctx context.Context) error {
	d, err := loadDemo(ctx, a)
	if err != nil {
		return err
	}
	a.demo = d
	people := newBackground(a.fail)
	people.run("demo", d.run)
	a.stops.push("demo", people.stop)
	return nil
}
