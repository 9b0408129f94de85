package alerts

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of alerts. The zero pointer counts nothing.
type Metrics struct {
	raised *prometheus.CounterVec
	delay  prometheus.Histogram
}

// NewMetrics registers the metrics of alerts.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		raised: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zhijiao_alerts_raised_total", Help: "Alerts raised."}, []string{"class", "kind"}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "zhijiao_fix_to_alert_seconds",
			Help: "Machine time from taking in the deciding observation, or from a timer, to the alert.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 14)}),
	}
	if reg != nil {
		reg.MustRegister(m.raised, m.delay)
	}
	return m
}

func (m *Metrics) raise(a *Alert, takenIn time.Time) {
	if m == nil {
		return
	}
	m.raised.WithLabelValues(string(a.Class), string(a.Kind)).Inc()
	if !takenIn.IsZero() {
		m.delay.Observe(max(0, time.Since(takenIn).Seconds()))
	}
}
