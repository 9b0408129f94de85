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

	open *prometheus.Desc // commands

	mu   sync.Mutex
	gaps [4]*prometheus.Desc
	sum  GapTotals

	last Counts // told again while the database is away: a counter that vanishes looks like a restart
}

// NewCollector exports the account of observations as zhijiao_observations_total by kind, outcome and reason.
func NewCollector(q Querier, log *slog.Logger) prometheus.Collector {
	return &collector{q: q, log: log, desc: prometheus.NewDesc("zhijiao_observations_total",
		"Observations by outcome: received = stored + withheld + rejected + duplicate.", []string{"kind", "outcome", "reason"}, nil),
		open: prometheus.NewDesc("zhijiao_commands_open", "Commands that have not come to an end, by kind and state.", []string{"kind", "state"}, nil),
		gaps: [4]*prometheus.Desc{
			prometheus.NewDesc("zhijiao_device_gaps", "Devices of which sequences are missing that later ones have overtaken for a quarter of an hour.", nil, nil),
			prometheus.NewDesc("zhijiao_device_gap_sequences", "Sequences that are missing so, of all devices.", nil, nil),
			prometheus.NewDesc("zhijiao_device_lost_total", "Sequences that were ever found missing so. Some may have come afterwards.", nil, nil),
			prometheus.NewDesc("zhijiao_device_conflicts_total", "Sequences that came again with another content, of all devices (R41).", nil, nil),
		}}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.desc
	out <- c.open
	for _, d := range c.gaps {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	counts, err := LoadCounts(ctx, c.q)
	sum, gapErr := LoadGapTotals(ctx, c.q)
	if open, err := LoadOpenCommands(ctx, c.q); err == nil {
		for k, n := range open {
			out <- prometheus.MustNewConstMetric(c.open, prometheus.GaugeValue, float64(n), string(k.Kind), string(k.State))
		}
	}
	c.mu.Lock()
	if err != nil {
		c.log.Warn("account of observations not read for metrics", "component", "devices", "err", err)
		counts = c.last
	}
	c.last = counts
	if gapErr == nil {
		c.sum = sum
	}
	sum = c.sum
	c.mu.Unlock()
	out <- prometheus.MustNewConstMetric(c.gaps[0], prometheus.GaugeValue, float64(sum.Devices))
	out <- prometheus.MustNewConstMetric(c.gaps[1], prometheus.GaugeValue, float64(sum.Missing))
	out <- prometheus.MustNewConstMetric(c.gaps[2], prometheus.CounterValue, float64(sum.Lost))
	out <- prometheus.MustNewConstMetric(c.gaps[3], prometheus.CounterValue, float64(sum.Conflicts))
	for k, n := range counts {
		out <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(n), string(k.Kind), string(k.Outcome), string(k.Reason))
	}
}
