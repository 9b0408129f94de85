package ingest_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/devices"
	"zhijiao/ingest"
	"zhijiao/internal/mqtttest"
)

const canarySerial = "canary"

func canary(t *testing.T, b *mqtttest.B, seen func(context.Context, int64, int64) (bool, error)) (*ingest.Canary, *prometheus.Registry) {
	t.Helper()
	r := prometheus.NewRegistry()
	c, err := ingest.NewCanary(ingest.CanaryOptions{
		Link: b.Device(canarySerial), Serial: canarySerial, Clock: standing{}, Seen: seen,
		Every: 30 * time.Millisecond, Patience: 500 * time.Millisecond, Poll: 2 * time.Millisecond,
		Log: slog.New(slog.DiscardHandler), Register: r,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	t.Cleanup(c.Stop)
	return c, r
}

// inRecorder looks for the canary's observation where the recorder keeps what it was given.
func inRecorder(rec *recorder) func(context.Context, int64, int64) (bool, error) {
	return func(_ context.Context, boot, seq int64) (bool, error) {
		for _, o := range rec.observations() {
			if o.Serial == canarySerial && o.Kind == devices.KindStatus && o.Boot == boot && o.Seq == seq && o.Place == nil {
				return true, nil
			}
		}
		return false, nil
	}
}

func TestCanaryGoesThroughAndAgain(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{Devices: []string{canarySerial}})
	s := start(t, b, &recorder{}, nil)
	c, r := canary(t, b, inRecorder(s.rec))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Await(ctx); err != nil {
		t.Fatal(err)
	}
	mqtttest.Eventually(t, "it goes on", func() bool { return counter(t, r, "zhijiao_canary_seconds", "") >= 3 })
	if err := c.Health(); err != nil {
		t.Error(err)
	}
	if counter(t, r, "zhijiao_canary_silent_seconds", "") < 0 {
		t.Error("silent though seen")
	}
}

// Permissions are checked on mapped subjects, and a publish that breaks them is acknowledged: the self-test does not
// take the broker's word.
func TestCanaryDoesNotTrustTheAcknowledgement(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{Devices: []string{canarySerial}})
	start(t, b, &recorder{}, nil)
	c, r := canary(t, b, func(context.Context, int64, int64) (bool, error) { return false, nil })
	mqtttest.Eventually(t, "it says so", func() bool {
		err := c.Health()
		return err != nil && strings.Contains(err.Error(), "never in the database")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if c.Await(ctx) == nil {
		t.Error("the self-test passes")
	}
	if counter(t, r, "zhijiao_canary_failures_total", "") == 0 || counter(t, r, "zhijiao_canary_silent_seconds", "") != -1 {
		t.Error("not in the metrics")
	}
}

func TestCanaryFallsSilentAndRecovers(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{Devices: []string{canarySerial}})
	s := start(t, b, &recorder{}, nil)
	var broken atomic.Bool
	look := inRecorder(s.rec)
	c, _ := canary(t, b, func(ctx context.Context, boot, seq int64) (bool, error) {
		if broken.Load() {
			return false, errors.New("the database is away")
		}
		return look(ctx, boot, seq)
	})
	mqtttest.Eventually(t, "healthy", func() bool { return c.Health() == nil })
	broken.Store(true)
	mqtttest.Eventually(t, "silent", func() bool {
		err := c.Health()
		return err != nil && strings.Contains(err.Error(), "silent for")
	})
	broken.Store(false)
	mqtttest.Eventually(t, "healthy again", func() bool { return c.Health() == nil })
}

// A canary that is not in the registry is refused like any device, and that is what health says.
func TestCanaryThatIsNotLetIn(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{})
	start(t, b, &recorder{}, nil)
	c, _ := canary(t, b, func(context.Context, int64, int64) (bool, error) { return true, nil })
	mqtttest.Eventually(t, "it says so", func() bool {
		err := c.Health()
		return err != nil && strings.Contains(err.Error(), "not let in")
	})
}
