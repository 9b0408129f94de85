package jt808

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	frames       *prometheus.CounterVec
	refused      *prometheus.CounterVec
	replies      *prometheus.CounterVec
	observations *prometheus.CounterVec
	commands     *prometheus.CounterVec
	turnedAway   *prometheus.CounterVec
	ended        *prometheus.CounterVec
	unpublished  prometheus.Counter
	untraced     prometheus.Counter
	untold       prometheus.Counter
	publish      prometheus.Histogram
}

func newMetrics(g *Gateway, r prometheus.Registerer) *metrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zhijiao_jt808_" + name, Help: help}, labels)
	}
	m := &metrics{
		frames:       vec("frames_total", "Frames of terminals that could be opened, by message.", "message"),
		refused:      vec("refused_total", "Frames, or parts of them, that were refused, by reason and field.", "reason", "field"),
		replies:      vec("replies_total", "General replies to terminals, by result.", "result"),
		observations: vec("observations_total", "Observations the broker has acknowledged, by kind.", "kind"),
		commands:     vec("commands_total", "Commands for terminals that are connected here, by kind and what became of them.", "kind", "result"),
		turnedAway:   vec("turned_away_total", "Connections that were not let in, by why.", "why"),
		ended:        vec("ended_total", "Connections that ended, by why.", "why"),
		unpublished: prometheus.NewCounter(prometheus.CounterOpts{Name: "zhijiao_jt808_unpublished_total",
			Help: "Messages the broker did not acknowledge: the terminal was not answered, and sends them again."}),
		untraced: prometheus.NewCounter(prometheus.CounterOpts{Name: "zhijiao_jt808_untraced_total",
			Help: "Refusals that left no trace in the quarantine, because there were too many or the database is away."}),
		untold: prometheus.NewCounter(prometheus.CounterOpts{Name: "zhijiao_jt808_untold_total",
			Help: "Commands that were carried out and could not be recorded so; they come again."}),
		publish: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "zhijiao_jt808_publish_seconds",
			Help: "From a terminal's message to the broker's acknowledgement.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}),
	}
	if r != nil {
		r.MustRegister(m.frames, m.refused, m.replies, m.observations, m.commands, m.turnedAway, m.ended, m.unpublished, m.untraced, m.untold, m.publish,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zhijiao_jt808_connections", Help: "Connections that are open."},
				func() float64 { all, _ := g.counts(); return float64(all) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zhijiao_jt808_terminals", Help: "Terminals that are connected and authenticated."},
				func() float64 { _, known := g.counts(); return float64(known) }))
	}
	return m
}
