package devices

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const collectTimeout = 2 * time.Second

// collector reads the account when it is scraped, so that the metric survives a restart and cannot differ from the table.
type collector struct {
	q    Querier
	log  *slog.Logger
	desc *prometheus.Desc

	mu   sync.Mutex
	last Counts // told again while the database is away: a counter that vanishes looks like a restart
}

// NewCollector exports the account of observations as zhijiao_observations_total by kind, outcome and reason.
func NewCollector(q Querier, log *slog.Logger) prometheus.Collector {
	return &collector{q: q, log: log, desc: prometheus.NewDesc("zhijiao_observations_total",
		"Observations by outcome: received = stored + withheld + rejected + duplicate.", []string{"kind", "outcome", "reason"}, nil)}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) { out <- c.desc }

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	counts, err := LoadCounts(ctx, c.q)
	c.mu.Lock()
	if err != nil {
		c.log.Warn("account of observations not read for metrics", "component", "devices", "err", err)
		counts = c.last
	}
	c.last = counts
	c.mu.Unlock()
	for k, n := range counts {
		out <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(n), string(k.Kind), string(k.Outcome), string(k.Reason))
	}
}
