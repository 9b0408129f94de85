package ingest_test

import (
	"testing"

	"zhijiao/devices"
	"zhijiao/ingest"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/topic"
)

// TestFloodOfOneDevice: who sends more than a device may is refused and acknowledged, counted to the last observation, with one trace;
// what another kept while it was away comes whole, and a third notices nothing.
func TestFloodOfOneDevice_R37(t *testing.T) {
	t.Parallel()
	for _, kind := range []mqtttest.Kind{mqtttest.Embedded, mqtttest.Mosquitto} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := mqtttest.Broker(t, mqtttest.Options{Kind: kind, Devices: []string{"FLOOD", "AWAY", "QUIET"}})
			s := start(t, b, &recorder{}, func(o *ingest.Options) { o.Limit = ingest.Limit{Rate: 5, Burst: 60, Backlog: 3000} })
			flood, away, quiet := mqtttest.Link(t, b.Device("FLOOD")), mqtttest.Link(t, b.Device("AWAY")), mqtttest.Link(t, b.Device("QUIET"))
			var open []mqttlink.Receipt
			publish := func(l *mqttlink.Link, serial devices.Serial, from, to int) {
				open = append(open, l.Send(topic.Up(serial, devices.KindFix), 1, payload(from, to)))
			}
			for i := range 1000 {
				publish(flood, "FLOOD", 4990, 4991) // a minute ago
				publish(flood, "FLOOD", 4992, 4993)
				publish(away, "AWAY", 2*i+1, 2*i+1) // an hour ago
				publish(away, "AWAY", 2*i+2, 2*i+2)
				if i%50 == 0 {
					publish(quiet, "QUIET", 4950+i/50, 4950+i/50)
				}
			}
			for _, r := range open {
				if err := r.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			const all = 2*1000*2 + 2000 + 20
			mqtttest.Eventually(t, "everything is accounted for", func() bool { return s.rec.received() == all })
			of := map[devices.Serial]int{}
			for _, o := range s.rec.observations() {
				of[o.Serial]++
			}
			if of["FLOOD"] != 120 || of["AWAY"] != 2000 || of["QUIET"] != 20 {
				t.Errorf("taken in: %v", of)
			}
			var refused, traces int64
			for _, r := range s.rec.refusals() {
				if r.Serial != "FLOOD" || r.Fault.Reason != devices.RateLimited {
					t.Fatalf("refused: %+v", r)
				}
				if refused += 1 + r.More; !r.Silent {
					traces++
				}
			}
			if refused != 2*1000*2-120 || traces != 1 {
				t.Errorf("%d observations refused with %d traces", refused, traces)
			}
			if n := counter(t, s.metrics, "zhijiao_ingest_rate_limited_total", ""); n != 2000-60 {
				t.Errorf("%v messages limited", n)
			}
		})
	}
}
