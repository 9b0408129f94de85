package ingest_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/ingest"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
)

func probe(t *testing.T, url string) *ingest.Probed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	p, err := ingest.Probe(ctx, mqttlink.Options{URL: url}, ingest.ProbeMessages)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestProbeFindsDrops: what Mosquitto drops at its defaults is found at start, and not after the first outage.
func TestProbeFindsDrops_R36(t *testing.T) {
	t.Parallel()
	dir, addr := t.TempDir(), "127.0.0.1:"+mqtttest.FreePort(t)
	_, port, _ := net.SplitHostPort(addr)
	mqtttest.StartMosquitto(t, dir, "listener "+port+" 127.0.0.1\nallow_anonymous true\n", addr)
	p := probe(t, "tcp://"+addr)
	if p.Lost < 150 || p.Window >= 100 {
		t.Errorf("%+v at its defaults", p)
	}
	faults := strings.Join(p.Faults(), "; ")
	if !strings.Contains(faults, "max_queued_messages 0") || !strings.Contains(faults, "max_inflight_messages") {
		t.Errorf("faults: %s", faults)
	}
}

func TestProbeOfGoodSettings_R36(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{Kind: mqtttest.Mosquitto, Window: 2000})
	if p := probe(t, b.URL); p.Lost != 0 || p.Disorder != 0 || p.Window != p.Sent || p.Faults() != nil {
		t.Errorf("%+v: %v", p, p.Faults())
	}
}

// TestWatchOfDrops: Mosquitto counts what it dropped, and we read it.
func TestWatchOfDrops_R36(t *testing.T) {
	t.Parallel()
	dir, addr := t.TempDir(), "127.0.0.1:"+mqtttest.FreePort(t)
	_, port, _ := net.SplitHostPort(addr)
	mqtttest.StartMosquitto(t, dir, "listener "+port+" 127.0.0.1\nallow_anonymous true\nmax_queued_messages 10\nsys_interval 1\n", addr)
	w, err := ingest.NewWatch(mqttlink.Options{URL: "tcp://" + addr}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	w.Start()
	t.Cleanup(w.Stop)
	mqtttest.Eventually(t, "it says who it is", func() bool { return strings.Contains(w.Version(), "mosquitto") })
	probe(t, "tcp://"+addr)
	mqtttest.Eventually(t, "it says what it dropped", func() bool { n, known := w.Dropped(); return known && n > 1000 })
}
