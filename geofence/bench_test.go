package geofence_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/id"
)

// BenchmarkObserve takes in single fixes of 300 wristbands in batches of 1,000, as a city in rush hour sends them.
func BenchmarkObserve(b *testing.B) {
	p := newPlace(b)
	const people, size = 300, 1000
	subjects := make([]id.Subject, people)
	for i := range people {
		subjects[i] = p.wearer(devices.Serial(fmt.Sprintf("W%d", i)))
		p.rule(geofence.RuleSpec{Subject: subjects[i], Kind: geofence.Silence, Basis: "positioning"})
	}
	at := noon
	next := func() geofence.Batch {
		list := make([]devices.Observation, 0, size)
		for i := range size {
			n := i % people
			if n == 0 {
				at = at.Add(10 * time.Second)
			}
			list = append(list, p.fix(devices.Serial(fmt.Sprintf("W%d", n)), at.Add(time.Duration(n)*time.Millisecond), float64(n)))
		}
		return batch(list...)
	}
	p.ok(p.engine.Observe(context.Background(), next()))
	b.ResetTimer()
	for b.Loop() {
		b.StopTimer()
		one := next()
		b.StartTimer()
		p.ok(p.engine.Observe(context.Background(), one))
	}
	b.ReportMetric(size*float64(b.N)/b.Elapsed().Seconds(), "fixes/s")
}
