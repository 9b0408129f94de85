package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/cmd/zhijiao/config"
	"zhijiao/geofence"
	"zhijiao/internal/clock"
	"zhijiao/internal/limits"
)

// limitsEvery is how often it is looked what may run out.
const limitsEvery = time.Hour

// newArchive is what keeps history as it is configured.
func newArchive(cfg *config.Config, pool *pgxpool.Pool, c clock.Clock, log *slog.Logger, r prometheus.Registerer) *geofence.Archive {
	return geofence.NewArchive(geofence.ArchiveOptions{Pool: pool, Clock: c, Log: log.With("component", "archive"), Registerer: r,
		PackAfter: time.Duration(cfg.History.PackAfterDays) * 24 * time.Hour, Keep: cfg.History.KeepMonths})
}

// limitWatch exports how full everything is that can run out, and warns from half on.
type limitWatch struct {
	pool         *pgxpool.Pool
	clock        clock.Clock
	log          *slog.Logger
	store        string // folder of the embedded broker; empty: it runs elsewhere
	ratio, until *prometheus.Desc

	mu     sync.Mutex
	list   []limits.Limit
	warned time.Time
}

func newLimitWatch(pool *pgxpool.Pool, c clock.Clock, log *slog.Logger, store string) *limitWatch {
	return &limitWatch{pool: pool, clock: c, log: log, store: store,
		ratio: prometheus.NewDesc("zhijiao_limit_used_ratio", "How much is used of what can run out, from 0 to 1; a warning from 0.5 on (R42).", []string{"limit"}, nil),
		until: prometheus.NewDesc("zhijiao_limit_full_timestamp_seconds", "When it will be full if it grows as in the last 30 days. Absent: never, or not known.", []string{"limit"}, nil)}
}

// Describe implements prometheus.Collector.
func (w *limitWatch) Describe(out chan<- *prometheus.Desc) { out <- w.ratio; out <- w.until }

// Collect implements prometheus.Collector.
func (w *limitWatch) Collect(out chan<- prometheus.Metric) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.list {
		out <- prometheus.MustNewConstMetric(w.ratio, prometheus.GaugeValue, l.Ratio(), l.Name)
		if !l.Full.IsZero() {
			out <- prometheus.MustNewConstMetric(w.until, prometheus.GaugeValue, float64(l.Full.Unix()), l.Name)
		}
	}
}

func (w *limitWatch) run(ctx context.Context) error {
	tick := time.NewTicker(limitsEvery)
	defer tick.Stop()
	for {
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("it was not looked what may run out, it will be tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look looks at all limits, and warns of those that are half full once a day.
func (w *limitWatch) look(ctx context.Context) error {
	now := w.clock.Now()
	list, err := readLimits(ctx, w.pool, w.store, now)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = list
	if now.Sub(w.warned) < 24*time.Hour {
		return nil
	}
	for _, l := range list {
		if l.Ratio() >= limits.WarnAt {
			w.warned = now
			w.log.Warn("a limit is half used up or more", "limit", l.Name, "used", fmt.Sprintf("%.0f %%", l.Ratio()*100), "full", fullAt(l))
		}
	}
	return nil
}

// readLimits looks at what can run out, and keeps today's sample.
func readLimits(ctx context.Context, pool *pgxpool.Pool, store string, now time.Time) ([]limits.Limit, error) {
	list, err := limits.Look(ctx, pool)
	if err != nil {
		return nil, err
	}
	if disk, ok := limits.Disk("broker_disk", store); ok {
		list = append(list, disk)
	}
	return list, limits.Record(ctx, pool, list, now)
}

func fullAt(l limits.Limit) string {
	if l.Full.IsZero() {
		return "-"
	}
	return l.Full.In(shanghai).Format(time.DateOnly)
}
