package ledger

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics says how far the durable readers are behind. The zero pointer counts nothing.
type Metrics struct {
	seconds, entries *prometheus.GaugeVec
	failures         *prometheus.CounterVec
}

// NewMetrics registers the metrics of ledger readers.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		seconds:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "zhijiao_ledger_lag_seconds", Help: "Age of the oldest ledger entry a reader has not taken effect of."}, []string{"reader"}),
		entries:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "zhijiao_ledger_lag_entries", Help: "Positions of the ledger a reader has not got to; none when nothing waits."}, []string{"reader"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zhijiao_ledger_reader_failures_total", Help: "Batches a reader could not take effect of and will try again."}, []string{"reader"}),
	}
	if reg != nil {
		reg.MustRegister(m.seconds, m.entries, m.failures)
	}
	return m
}

func (m *Metrics) lag(reader string, n int64, since time.Duration) {
	m.seconds.WithLabelValues(reader).Set(since.Seconds())
	m.entries.WithLabelValues(reader).Set(float64(n))
}

func (m *Metrics) failed(reader string) {
	if m != nil {
		m.failures.WithLabelValues(reader).Inc()
	}
}
