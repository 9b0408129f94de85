package ingest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/internal/mqttlink"
	"zhijiao/internal/topic"
)

const (
	sysVersion = "$SYS/broker/version"
	sysDropped = "$SYS/broker/publish/messages/dropped"

	// watchBackoff is how often a broker that says nothing of itself, or refuses to, is asked.
	watchBackoff = time.Minute
)

// Watch reads what a broker that is not ours says of itself. Not every one does, and those that do not are not asked again often.
type Watch struct {
	link     *mqttlink.Link
	register prometheus.Registerer
	gauge    prometheus.Gauge
	log      *slog.Logger

	mu      sync.Mutex
	version string
	dropped int64
	known   bool
}

// NewWatch prepares; nothing is connected before Start.
func NewWatch(link mqttlink.Options, log *slog.Logger, register prometheus.Registerer) (*Watch, error) {
	w := &Watch{register: register, log: log, gauge: prometheus.NewGauge(prometheus.GaugeOpts{Name: "zhijiao_broker_dropped_messages",
		Help: "Messages that the broker elsewhere says it dropped at its limits since it started."})}
	var b [6]byte
	rand.Read(b[:])
	link.ClientID, link.Handler, link.Log = topic.WatchClient(hex.EncodeToString(b[:])), w.handle, nil
	link.Subscribe = []mqttlink.Filter{{Topic: sysVersion}, {Topic: sysDropped}}
	link.BackoffMin, link.BackoffMax = watchBackoff, watchBackoff
	var err error
	if w.link, err = mqttlink.New(link); err != nil {
		return nil, err
	}
	return w, register.Register(w.gauge)
}

// Start connects.
func (w *Watch) Start() { w.link.Open() }

// Stop disconnects.
func (w *Watch) Stop() {
	w.link.Close()
	w.register.Unregister(w.gauge)
}

// Dropped is how many messages the broker says it dropped, and whether it says.
func (w *Watch) Dropped() (n int64, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped, w.known
}

// Version is what the broker calls itself; empty when it does not say.
func (w *Watch) Version() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.version
}

func (w *Watch) handle(_ context.Context, m mqttlink.Message) {
	text := strings.TrimSpace(string(m.Payload))
	w.mu.Lock()
	defer w.mu.Unlock()
	switch m.Topic {
	case sysVersion:
		if len(text) > 100 || text == w.version {
			return
		}
		w.version = text
		w.log.Info("the broker elsewhere", "version", text)
	case sysDropped:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return
		}
		if w.known && n > w.dropped {
			w.log.Error("the broker dropped messages: some of what it acknowledged will never come", "now", n-w.dropped, "since it started", n)
		}
		w.dropped, w.known = n, true
		w.gauge.Set(float64(n))
	}
}
