package devices

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// sourceCollector reads how far sources have come when it is scraped.
type sourceCollector struct {
	q          Querier
	now        func() time.Time
	log        *slog.Logger
	lag, stale *prometheus.Desc
}

// NewSourceCollector exports the watermarks of sources; now is domain time.
func NewSourceCollector(q Querier, now func() time.Time, log *slog.Logger) prometheus.Collector {
	return &sourceCollector{q: q, now: now, log: log,
		lag:   prometheus.NewDesc("zhijiao_source_lag_seconds", "Age of the newest data of each source: a wire and a class of device (R46).", []string{"source"}, nil),
		stale: prometheus.NewDesc("zhijiao_source_stale", "1 while the data of a source is older than its limit.", []string{"source"}, nil)}
}

// Describe implements prometheus.Collector.
func (c *sourceCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.lag
	out <- c.stale
}

// Collect implements prometheus.Collector.
func (c *sourceCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	list, err := LoadSources(ctx, c.q, c.now())
	if err != nil {
		c.log.Debug("sources not read for metrics", "component", "devices", "err", err)
		return
	}
	for _, s := range list {
		if !s.ObservedAt.IsZero() {
			out <- prometheus.MustNewConstMetric(c.lag, prometheus.GaugeValue, s.Lag.Seconds(), s.Source)
		}
		stale := 0.0
		if !s.StaleSince.IsZero() {
			stale = 1
		}
		out <- prometheus.MustNewConstMetric(c.stale, prometheus.GaugeValue, stale, s.Source)
	}
}
