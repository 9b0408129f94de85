package broker

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	refused    *prometheus.CounterVec
	violations *prometheus.CounterVec
	unreported prometheus.Counter
	kicked     prometheus.Counter
}

func newMetrics(b *Broker) (*metrics, error) {
	m := &metrics{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zhijiao_broker_refused_total",
			Help: "Connections refused, by reason."}, []string{"reason"}),
		violations: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zhijiao_broker_violations_total",
			Help: "What a connected client tried beyond its permissions; a publish among them was acknowledged and dropped."},
			[]string{"act"}),
		unreported: prometheus.NewCounter(prometheus.CounterOpts{Name: "zhijiao_broker_unreported_total",
			Help: "Violations that did not reach the audit because its queue was full."}),
		kicked: prometheus.NewCounter(prometheus.CounterOpts{Name: "zhijiao_broker_kicked_total",
			Help: "Connections cut because their credential was withdrawn."}),
	}
	for _, r := range reasons {
		m.refused.WithLabelValues(string(r))
	}
	for _, a := range []Act{ActPublish, ActSubscribe} {
		m.violations.WithLabelValues(string(a))
	}
	connections := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zhijiao_broker_connections",
		Help: "Open MQTT connections, ours among them."}, func() float64 { return float64(b.server.NumClients()) })
	known := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zhijiao_broker_registry_devices",
		Help: "Devices that may connect."}, func() float64 { return float64(b.admissions.size()) })
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zhijiao_broker_gate_open",
		Help: "1 when every partition has its reader and devices may connect."}, func() float64 {
		if b.gate.open() {
			return 1
		}
		return 0
	})
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zhijiao_broker_waiting_messages",
		Help: "Messages acknowledged to devices that no reader has been given yet."}, func() float64 {
		n, _ := b.Backlog()
		return float64(n)
	})
	given := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zhijiao_broker_unacknowledged_messages",
		Help: "Messages given to a reader that it has not acknowledged."}, func() float64 {
		_, n := b.Backlog()
		return float64(n)
	})
	b.collectors = []prometheus.Collector{m.refused, m.violations, m.unreported, m.kicked, connections, known, open, waiting, given}
	for _, c := range b.collectors {
		if err := b.opts.Register.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
