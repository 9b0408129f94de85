package console

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	request     *prometheus.HistogramVec
	clients     prometheus.Gauge
	disconnects *prometheus.CounterVec
	sent        *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		request:     prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "zhijiao_http_request_seconds", Help: "Time to answer a request.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 7)}, []string{"method", "route"}),
		clients:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "zhijiao_websocket_clients", Help: "Websockets open."}),
		disconnects: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zhijiao_websocket_disconnects_total", Help: "Websockets closed."}, []string{"reason"}),
		sent:        prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zhijiao_websocket_frames_total", Help: "Frames queued for websockets."}, []string{"type"}),
	}
	if reg != nil {
		reg.MustRegister(m.request, m.clients, m.disconnects, m.sent)
	}
	return m
}
