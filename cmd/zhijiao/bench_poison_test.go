package main

import (
	"fmt"
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
// is not among them: garbage, at a fixed share of their rate. It is compared with the same devices alone, which leaves the broker a tenth
// less to carry, and with every tenth message a healthy one of another device. Interleaved in one run, the limit as shipped. It is run by
// `make bench`.
func TestBenchPoison_R37(t *testing.T) {
	if os.Getenv("ZHIJIAO_TEST_BENCH") == "" {
		t.Skip("a measurement of minutes: make bench")
	}
	path := newBenchPathWith(t, benchCase{kind: mqtttest.Embedded, sync: broker.SyncInterval, each: 1000, fixes: 1}, "POISON-1", "HEALTHY-1")
	said := 0
	healthy := func() (devices.Kind, []byte) {
		said++
		return devices.KindStatus, fmt.Appendf(nil, `{"v":1,"boot":1,"obs":[{"seq":%d,"at":%q,"battery":70}]}`, said, time.Now().UTC().Format(time.RFC3339Nano))
	}
	poison := func() (devices.Kind, []byte) {
		return devices.KindFix, []byte(`{"v":1,"obs":[{"at":"never","lon":1e99`)
	}
	var alone, beside, poisoned, ratio, toAlone []float64
	for round := range benchPairs {
		a := path.run(path.load(3 * round))
		stop := path.beside("HEALTHY-1", a/9, healthy) // a tenth of all
		h := path.run(path.load(3*round + 1))
		stop()
		stop = path.beside("POISON-1", a/9, poison)
		p := path.run(path.load(3*round + 2))
		sent := stop()
		alone, beside, poisoned, ratio, toAlone = append(alone, a), append(beside, h), append(poisoned, p), append(ratio, p/h), append(toAlone, p/a)
		t.Logf("round %d: alone %6.0f/s, beside as many healthy messages %6.0f/s, beside %d poison messages %6.0f/s", round+1, a, h, sent, p)
	}
	t.Logf("%d devices: alone %.0f fixes/s, with 10 %% healthy messages of another %.0f, with 10 %% poison %.0f; poison to healthy %.2f, poison to alone %.2f; medians of %d interleaved rounds",
		benchDevices, median(alone), median(beside), median(poisoned), median(ratio), median(toAlone), benchPairs)
}

// beside sends what a device says, at a rate of messages a second, until the function it returns is called, which says how many.
func (p *benchPath) beside(serial string, rate float64, say func() (devices.Kind, []byte)) (stop func() int) {
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
				kind, payload := say()
				link.Send(topic.Up(devices.Serial(serial), kind), 1, payload)
				sent++
			}
		}
	})
	return func() int { close(end); running.Wait(); link.Close(); return sent }
}
