package alerts

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/geofence"
)

// Metrics of alerts. The zero pointer counts nothing.
type Metrics struct {
	raised    *prometheus.CounterVec
	unhandled prometheus.Counter
	escalated *prometheus.CounterVec
	delay     prometheus.Histogram
	open      *openAlerts
}

// NewMetrics registers the metrics of alerts.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		raised: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zhijiao_alerts_raised_total", Help: "Alerts raised."}, []string{"class", "kind"}),
		unhandled: prometheus.NewCounter(prometheus.CounterOpts{Name: "zhijiao_alerts_without_handling_total",
			Help: "Alerts raised of a kind and channel that the handling table says nothing of: they became reminders."}),
		escalated: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zhijiao_alerts_escalated_total",
			Help: "Alerts that nobody took charge of in time, by who has them then."}, []string{"with"}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "zhijiao_fix_to_alert_seconds",
			Help:    "Machine time from taking in the deciding observation, or from a timer, to the committed alert.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 14)}),
		open: &openAlerts{desc: prometheus.NewDesc("zhijiao_alerts_open", "Alerts that are not closed.", []string{"class"}, nil)},
	}
	if reg != nil {
		reg.MustRegister(m.raised, m.unhandled, m.escalated, m.delay, m.open)
	}
	return m
}

// raised is what metrics are told of a new alert.
type raised struct {
	class     Class
	kind      geofence.ViolationKind
	takenIn   time.Time // machine time; zero: not known
	unhandled bool
}

func (m *Metrics) raise(a raised) {
	if m == nil {
		return
	}
	m.raised.WithLabelValues(string(a.class), string(a.kind)).Inc()
	if a.unhandled {
		m.unhandled.Inc()
	}
	if !a.takenIn.IsZero() {
		m.delay.Observe(max(0, time.Since(a.takenIn).Seconds()))
	}
}

func (m *Metrics) escalate(with string) {
	if m != nil {
		m.escalated.WithLabelValues(with).Inc()
	}
}

// count says in which database the open alerts are counted.
func (m *Metrics) count(pool *pgxpool.Pool) {
	if m != nil {
		m.open.pool.Store(pool)
	}
}

// openTimeout bounds how long whoever scrapes waits for the database.
const openTimeout = 2 * time.Second

// openAlerts counts what is not closed when it is asked, so that it is right in every process, whoever closed what. When
// the database does not answer it says nothing rather than something old.
type openAlerts struct {
	desc *prometheus.Desc
	pool atomic.Pointer[pgxpool.Pool]
}

// Describe implements prometheus.Collector.
func (o *openAlerts) Describe(ch chan<- *prometheus.Desc) { ch <- o.desc }

// Collect implements prometheus.Collector.
func (o *openAlerts) Collect(ch chan<- prometheus.Metric) {
	pool := o.pool.Load()
	if pool == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	counts, err := countOpen(ctx, pool)
	if err != nil {
		return
	}
	for _, c := range []Class{Alarm, Reminder, Lead} {
		ch <- prometheus.MustNewConstMetric(o.desc, prometheus.GaugeValue, float64(counts[c]), string(c))
	}
}
