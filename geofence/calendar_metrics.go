package geofence

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/internal/clock"
)

const calendarCollectTime = 2 * time.Second

// calendarCollector reads which calendars are missing when it is scraped: an officer may have recorded one meanwhile.
type calendarCollector struct {
	q     Querier
	clock clock.Clock
	log   *slog.Logger
	desc  *prometheus.Desc

	mu   sync.Mutex
	last int // told again while the database is away
}

// NewCalendarCollector exports zhijiao_calendar_missing_years.
func NewCalendarCollector(q Querier, c clock.Clock, log *slog.Logger) prometheus.Collector {
	return &calendarCollector{q: q, clock: c, log: log, desc: prometheus.NewDesc("zhijiao_calendar_missing_years",
		"Years, this one and from December on the next, whose days off are not recorded although rules go by them.", nil, nil)}
}

// Describe implements prometheus.Collector.
func (c *calendarCollector) Describe(out chan<- *prometheus.Desc) { out <- c.desc }

// Collect implements prometheus.Collector.
func (c *calendarCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), calendarCollectTime)
	defer cancel()
	years, err := MissingCalendars(ctx, c.q, c.clock.Now())
	c.mu.Lock()
	if err != nil {
		c.log.Warn("missing calendars not read for metrics", "component", "geofence", "err", err)
	} else {
		c.last = len(years)
	}
	n := c.last
	c.mu.Unlock()
	out <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(n))
}
