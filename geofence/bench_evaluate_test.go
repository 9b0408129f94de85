package geofence

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"zhijiao/devices"
)

// ordinarySubject is a subject with a wristband who stays in the city, at home by night, away from two places, and is heard.
func ordinarySubject(t testing.TB) *world {
	w := newWorld(t, StayIn, 10*time.Second)
	home, err := NewCircle(2, 1, Interval{}, 113.16, 30.65, 200)
	if err != nil {
		t.Fatal(err)
	}
	away, err := NewCircle(3, 1, Interval{}, 113.20, 30.67, 300)
	if err != nil {
		t.Fatal(err)
	}
	school := polygonZone(t, star(rand.New(rand.NewPCG(1, 2)), 24, 113.13, 30.63, 0.003, 0.004))
	w.facts.Zones = map[ZoneID][]*Zone{1: {city(t, 1)}, 2: {home}, 3: {away}, 4: {school}}
	w.facts.Rules[0].Valid, w.facts.Bindings[0].Valid, w.facts.Authorities = Interval{}, Interval{}, []Interval{{}}
	night := w.with(StayIn)
	night.Zone = 2
	w.on(t, night, `{"rows":[{"from":"22:00","until":"06:00"}]}`)
	w.with(KeepOut).Zone = 3
	w.with(KeepOut).Zone = 4
	w.with(Silence)
	return w
}

// ordinaryDays are fixes of somebody who does nothing wrong: at home by night, about town by day.
func ordinaryDays(n int, every time.Duration) []devices.Observation {
	r := rand.New(rand.NewPCG(5, 5))
	list, places := make([]devices.Observation, n), make([]devices.Place, n)
	for i := range list {
		at := t0.Add(time.Duration(i) * every)
		lon, lat := 113.16, 30.65
		if h := at.In(time.FixedZone("", 8*3600)).Hour(); h >= 7 && h < 21 {
			s, c := math.Sincos(float64(i) / 700)
			lon, lat = lon+0.02*s, lat+0.02*c*s
		}
		places[i] = devices.Place{Lon: lon + (r.Float64()-0.5)*4e-4, Lat: lat + (r.Float64()-0.5)*4e-4, Accuracy: 4 + 10*r.Float64(), Method: devices.MethodGNSS}
		list[i] = devices.Observation{Seq: int64(i + 1), At: at, ReceivedAt: at, Place: &places[i]}
	}
	return list
}

// TestBenchEvaluate_R24 measures the full evaluation of fixes of a subject with five rules, on one core.
func TestBenchEvaluate_R24(t *testing.T) {
	needBench(t)
	w, list := ordinarySubject(t), ordinaryDays(400_000, 10*time.Second)
	var out []Effect
	var in Input
	effects := 0
	take := func(o *devices.Observation, shift time.Duration) {
		o.At = o.At.Add(shift)
		in = Input{At: o.At, Now: o.At, Observed: o, Binding: &w.facts.Bindings[0]}
		out = Evaluate(&w.state, &in, &w.facts, out[:0])
		effects += len(out)
	}
	for i := range list[:10_000] {
		take(&list[i], 0)
	}
	const size = 65_000
	rate, next := 0.0, 10_000
	for ; next+size <= len(list); next += size { // the best of six
		start := time.Now()
		for i := range list[next : next+size] {
			take(&list[next+i], 0)
		}
		rate = max(rate, size/time.Since(start).Seconds())
	}
	span := time.Duration(len(list)) * 10 * time.Second
	i := 0
	allocs := testing.AllocsPerRun(100_000, func() { take(&list[i], span); i++ })
	t.Logf("evaluated: %.2f M fixes/s under 5 rules, %.3f allocations a fix, %d effects", rate/1e6, allocs, effects)
}

// TestEvaluateAllocatesNothing_R24: in the steady state a fix costs no memory.
func TestEvaluateAllocatesNothing_R24(t *testing.T) {
	w, list := ordinarySubject(t), ordinaryDays(25_000, 10*time.Second)
	var out []Effect
	var in Input
	i, effects := 0, 0
	take := func() {
		o := &list[i]
		i++
		in = Input{At: o.At, Now: o.At, Observed: o, Binding: &w.facts.Bindings[0]}
		out = Evaluate(&w.state, &in, &w.facts, out[:0])
		effects += len(out)
	}
	for i < 9000 {
		take()
	}
	if n := testing.AllocsPerRun(10_000, take); n > 0 {
		t.Errorf("%.2f allocations a fix", n)
	}
	if effects > 0 {
		t.Errorf("%d effects of ordinary days", effects)
	}
}
