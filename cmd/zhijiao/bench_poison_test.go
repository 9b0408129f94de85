package main

import (
	"os"
	"sync"
	"testing"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/broker"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/topic"
)

// TestBenchPoison measures how much slower devices get what they say committed while every tenth message is poison of a device that
// is not among them: garbage, at a fixed share of their rate. Interleaved pairs in one run, the limit as shipped. It is run by `make bench`.
func TestBenchPoison_R37(t *testing.T) {
	if os.Getenv("ZHIJIAO_TEST_BENCH") == "" {
		t.Skip("a measurement of minutes: make bench")
	}
	path := newBenchPathWith(t, benchCase{kind: mqtttest.Embedded, sync: broker.SyncInterval, each: 1000, fixes: 1}, "POISON-1")
	var clean, poisoned, ratio []float64
	for pair := range benchPairs {
		c := path.run(path.load(2 * pair))
		stop := path.poison("POISON-1", c/9) // a tenth of all
		p := path.run(path.load(2*pair + 1))
		sent := stop()
		clean, poisoned, ratio = append(clean, c), append(poisoned, p), append(ratio, p/c)
		t.Logf("pair %d: alone %6.0f/s, beside %d poison messages %6.0f/s, ratio %.2f", pair+1, c, sent, p, p/c)
	}
	t.Logf("%d devices: alone %.0f fixes/s, with 10 %% poison %.0f fixes/s, ratio %.2f; medians of %d interleaved pairs", benchDevices, median(clean), median(poisoned),
		median(ratio), benchPairs)
}

// poison sends garbage as a device, at a rate of messages a second, until the function it returns is called, which says how many.
func (p *benchPath) poison(serial string, rate float64) (stop func() int) {
	p.t.Helper()
	link := mqtttest.Link(p.t, p.broker.Device(serial))
	end, sent := make(chan struct{}), 0
	var running sync.WaitGroup
	running.Go(func() {
		const step = 5 * time.Millisecond
		tick := time.NewTicker(step)
		defer tick.Stop()
		due := 0.0
		for {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			for due += rate * step.Seconds(); due >= 1; due-- {
				link.Send(topic.Up(devices.Serial(serial), devices.KindFix), 1, []byte(`{"v":1,"obs":[{"at":"never","lon":1e99`))
				sent++
			}
		}
	})
	return func() int { close(end); running.Wait(); link.Close(); return sent }
}
