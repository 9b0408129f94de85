package geofence

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type engineMetrics struct {
	seconds *prometheus.HistogramVec
	retries *prometheus.CounterVec
	effects *prometheus.CounterVec
	held    prometheus.Gauge
	past    *prometheus.CounterVec
	outages *prometheus.GaugeVec
}

func newEngineMetrics(reg prometheus.Registerer) *engineMetrics {
	m := &engineMetrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "zhijiao_engine_transaction_seconds",
			Help: "Duration of the engine's committed transactions, with all attempts.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}, []string{"what"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zhijiao_engine_retries_total",
			Help: "Attempts that another transaction got in the way of."}, []string{"what", "reason"}),
		effects: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zhijiao_engine_effects_total",
			Help: "What evaluation asked for."}, []string{"effect", "kind"}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{Name: "zhijiao_engine_timers_held",
			Help: "1 while timers wait for observations that are not taken in yet."}),
		past: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zhijiao_engine_derived_total",
			Help: "Of the past that was derived again: subjects, observations judged, entries that tell of a difference, failures; sightings that rules about several people judged."}, []string{"what"}),
		outages: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "zhijiao_outages",
			Help: "Areas that are away, and people who could not be verified and were not checked again yet."}, []string{"what"}),
	}
	if reg != nil {
		reg.MustRegister(m.outages, m.seconds, m.retries, m.effects, m.held, m.past)
	}
	return m
}

func (m *engineMetrics) derived(d time.Duration, evaluated, changes int) {
	m.seconds.WithLabelValues("derive").Observe(d.Seconds())
	m.past.WithLabelValues("subjects").Inc()
	m.past.WithLabelValues("observations").Add(float64(evaluated))
	m.past.WithLabelValues("entries").Add(float64(changes))
}

func (m *engineMetrics) companies(d time.Duration, judged int) {
	m.seconds.WithLabelValues("company").Observe(d.Seconds())
	m.past.WithLabelValues("sightings").Add(float64(judged))
}

func (m *engineMetrics) retried(what, reason string) { m.retries.WithLabelValues(what, reason).Inc() }

func (m *engineMetrics) took(what string, d time.Duration, effects []decided) {
	m.seconds.WithLabelValues(what).Observe(d.Seconds())
	for i := range effects {
		switch x := &effects[i].effect; {
		case x.Open != nil:
			m.effects.WithLabelValues("opened", string(x.Open.Kind)).Inc()
		case x.Amend != nil:
			m.effects.WithLabelValues("amended", string(x.Amend.Kind)).Inc()
		case x.Close != nil:
			m.effects.WithLabelValues("closed", string(x.Close.Kind)).Inc()
		case x.Ask != nil:
			m.effects.WithLabelValues("asked", "check").Inc()
		case x.Settle != nil:
			m.effects.WithLabelValues("settled", "check").Inc()
		}
	}
}
