package console

import "github.com/prometheus/client_golang/prometheus"

// metrics of the console. Labels are closed: routes of the table, methods, reasons.
type metrics struct {
	request     *prometheus.HistogramVec
	clients     prometheus.Gauge
	disconnects *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		request:     prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "zhijiao_http_request_seconds", Help: "Time to answer a request.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 7)}, []string{"method", "route"}),
		clients:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "zhijiao_websocket_clients", Help: "Websockets open."}),
		disconnects: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zhijiao_websocket_disconnects_total", Help: "Websockets closed."}, []string{"reason"}),
	}
	if reg != nil {
		reg.MustRegister(m.request, m.clients, m.disconnects)
	}
	return m
}
