package ingest

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	batch       prometheus.Histogram
	commit      prometheus.Histogram
	handlerWait prometheus.Histogram
	lateness    prometheus.Histogram
	failed      prometheus.Counter
	poison      prometheus.Counter
	limited     prometheus.Counter
	redelivered prometheus.Counter
	paused      prometheus.Gauge
	reconnects  *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "zhijiao_ingest_batch_observations",
			Help: "Observations a batch.", Buckets: prometheus.ExponentialBuckets(1, 2, 12)}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "zhijiao_ingest_commit_seconds",
			Help: "Time the core took over one batch, failed ones too.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
		handlerWait: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "zhijiao_ingest_handler_wait_seconds",
			Help: "Time a message waited for room in the queue.", Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9)}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "zhijiao_ingest_lateness_seconds",
			Help:    "Domain time from an observation to its receipt.",
			Buckets: []float64{1, 5, 15, 60, 300, 1800, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600}}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{Name: "zhijiao_ingest_failed_batches_total",
			Help: "Batches the core did not commit."}),
		poison: prometheus.NewCounter(prometheus.CounterOpts{Name: "zhijiao_ingest_poison_total",
			Help: "Observations refused because they failed alone, every attempt."}),
		limited: prometheus.NewCounter(prometheus.CounterOpts{Name: "zhijiao_ingest_rate_limited_total",
			Help: "Messages refused because their device sends more than it may."}),
		redelivered: prometheus.NewCounter(prometheus.CounterOpts{Name: "zhijiao_ingest_redelivered_total",
			Help: "Messages the broker had sent before."}),
		paused: prometheus.NewGauge(prometheus.GaugeOpts{Name: "zhijiao_ingest_paused",
			Help: "Sessions closed on purpose because the database does not answer."}),
		reconnects: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zhijiao_ingest_reconnects_total",
			Help: "Sessions lost or closed, by whose doing."}, []string{"why"}),
	}
	m.reconnects.WithLabelValues("broker")
	m.reconnects.WithLabelValues("database")
	return m
}

func (i *Ingest) register() error {
	m := i.metrics
	depth := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zhijiao_ingest_queue_depth",
		Help: "Messages waiting, all partitions."}, func() float64 {
		n := 0
		for _, r := range i.readers {
			n += r.queued()
		}
		return float64(n)
	})
	connected := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zhijiao_ingest_sessions",
		Help: "Sessions that stand with their subscription granted."}, func() float64 {
		n := 0
		for _, r := range i.readers {
			if up, _ := r.link.Connected(); up {
				n++
			}
		}
		return float64(n)
	})
	i.collectors = []prometheus.Collector{m.batch, m.commit, m.handlerWait, m.lateness, m.failed, m.poison, m.limited, m.redelivered,
		m.paused, m.reconnects, depth, connected}
	for _, c := range i.collectors {
		if err := i.opts.Register.Register(c); err != nil {
			return err
		}
	}
	return nil
}
