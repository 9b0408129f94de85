package geofence

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zhijiao/devices"
)

// closedKinds are the kinds of what effects close.
func closedKinds(es []Effect) (kinds []ViolationKind) {
	for _, e := range es {
		if e.Close != nil {
			kinds = append(kinds, e.Close.Kind)
		}
	}
	return kinds
}

// as returns the world with another number on its zone: the same place, recorded again.
func (w *world) renumber() {
	z := *w.facts.Zones[1][0]
	z.Version++
	w.facts.Zones[1] = []*Zone{&z}
	w.facts.Version++
}

// TestEditKeepsWhatIsOpen_R29: fixes inside before those outside must not close what the latter opened.
func TestEditKeepsWhatIsOpen_R29(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense)
	w.fix(0, 4000, 8)
	w.fix(time.Minute, 4000, 8)
	w.fix(2*time.Minute, 5900, 8)
	want(t, "second outside fix, far out", w.fix(3*time.Minute, 6900, 8), LeftZone)
	w.renumber()
	if es := w.tick(3*time.Minute + time.Second); len(es) != 0 {
		t.Errorf("the same zone recorded again: %+v", es)
	}
}

// TestBeginsWithTheFactThatMakesIt_R29: what a new zone makes a violation began with the zone, not with the fix.
func TestBeginsWithTheFactThatMakesIt_R29(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense)
	for n := range 4 {
		w.fix(time.Duration(n)*time.Minute, 3000, 8)
	}
	edited := t0.Add(3*time.Minute + 20*time.Second)
	small := *square(t, 1, 2000)
	small.Version, small.Valid.From = 2, edited
	w.facts.Zones[1][0].Valid.Until = edited
	w.facts.Zones[1] = append(w.facts.Zones[1], &small)
	w.facts.Version++
	if due := NextDue(&w.state, &w.facts, t0.Add(3*time.Minute)); !due.Equal(edited) {
		t.Fatalf("a zone that begins at %v is due at %v", edited, due)
	}
	es := w.tick(3*time.Minute + 20*time.Second)
	want(t, "the zone shrank", es, LeftZone)
	if len(es) > 0 && !es[0].Open.At.Equal(edited) {
		t.Errorf("began at %v, before there was such a zone", es[0].Open.At)
	}
}

// TestRuleThatBeginsLater: the last known state decides at the moment a rule begins, and on a sparse channel asks.
func TestRuleThatBeginsLater(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{dense, sparse} {
		w := newWorld(t, StayIn, interval)
		begins := t0.Add(10 * time.Minute)
		w.facts.Rules[0].Valid.From = begins
		for n := range 4 {
			want(t, "no rule yet", w.fix(time.Duration(n)*time.Minute, 8000, 8))
		}
		if interval == sparse {
			w.state.Channel[1].Recent = w.state.Channel[1].Recent[3:] // phones do not speak so often
		}
		if due := NextDue(&w.state, &w.facts, t0.Add(4*time.Minute)); !due.Equal(begins) {
			t.Fatalf("interval %v: due %v", interval, due)
		}
		es := w.tick(10 * time.Minute)
		if interval == dense {
			want(t, "the rule begins while away", es, LeftZone)
			if !es[0].Open.At.Equal(begins) {
				t.Errorf("began at %v", es[0].Open.At)
			}
		} else if len(es) != 1 || es[0].Ask == nil || es[0].Ask.Device != 1 {
			t.Errorf("the rule begins while a phone was last seen away: %+v", es)
		}
	}
}

// TestZoneThatEnds: without a zone nobody is outside of it.
func TestZoneThatEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense)
	for n := range 4 {
		w.fix(time.Duration(n)*time.Minute, 8000, 8)
	}
	w.tick(4 * time.Minute)
	ends := t0.Add(5 * time.Minute)
	w.facts.Zones[1][0].Valid.Until = ends
	w.facts.Version++
	if due := NextDue(&w.state, &w.facts, t0.Add(4*time.Minute)); !due.Equal(ends) {
		t.Fatalf("due %v", due)
	}
	if got := closedKinds(w.tick(5 * time.Minute)); !reflect.DeepEqual(got, []ViolationKind{LeftZone}) {
		t.Errorf("closed %v", got)
	}
	want(t, "outside of nothing", w.fix(6*time.Minute, 8000, 8))
	if due := NextDue(&w.state, &w.facts, t0.Add(time.Hour)); !due.IsZero() {
		t.Errorf("still due at %v", due)
	}
}

// TestGapBetweenVersionsOfARule: what was open ends with the version that opened it.
func TestGapBetweenVersionsOfARule(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense)
	for n := range 4 {
		w.fix(time.Duration(n)*time.Minute, 8000, 8)
	}
	next := w.facts.Rules[0]
	next.Version, next.Valid.From = 2, t0.Add(time.Hour)
	w.facts.Rules[0].Valid.Until = t0.Add(10 * time.Minute)
	w.facts.Rules = append(w.facts.Rules, next)
	es := w.tick(11 * time.Minute)
	if len(es) != 1 || es[0].Close == nil || !es[0].Close.At.Equal(t0.Add(10*time.Minute)) {
		t.Errorf("in the gap: %+v", es)
	}
	want(t, "in the gap", w.fix(12*time.Minute, 8000, 8))
	for n := range 4 {
		want(t, "in the gap", w.fix(time.Duration(50+n)*time.Minute, 8000, 8))
	}
	es = w.tick(time.Hour)
	want(t, "again in force", es, LeftZone)
	if len(es) > 0 && es[0].Open.RuleVersion != 2 {
		t.Errorf("by version %d", es[0].Open.RuleVersion)
	}
}

// TestAfternoonIsNotTheEvening_R16: a window opens, and the last that was heard of somebody is hours old: nobody is alarmed,
// the device is asked; what it answers decides, and no answer is told as that.
func TestAfternoonIsNotTheEvening_R16(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{dense, sparse} {
		for _, answer := range []string{"home", "away", "none"} {
			w := newWorld(t, StayIn, interval)
			w.on(t, &w.facts.Rules[0], `{"rows":[{"from":"16:00","until":"22:00"}]}`)
			for n := range 4 {
				want(t, "before the window", w.fix(time.Duration(n)*time.Minute, 8000, 8))
			}
			asks := 0
			for _, x := range w.tick(6 * time.Hour) {
				switch {
				case x.Ask != nil:
					asks++
				case x.Open != nil:
					t.Errorf("%v: opened %s on what was told six hours ago", interval, x.Open.Kind)
				}
			}
			if asks != 1 {
				t.Errorf("%v: asked %d times", interval, asks)
			}
			var kinds []ViolationKind
			switch answer {
			case "home":
				kinds = opened(w.fix(6*time.Hour+2*time.Minute, 0, 8))
			case "away":
				kinds = append(opened(w.fix(6*time.Hour+2*time.Minute, 8000, 8)), opened(w.fix(6*time.Hour+5*time.Minute, 8000, 8))...)
			}
			kinds = append(kinds, opened(w.tick(6*time.Hour+11*time.Minute))...)
			if want := map[string][]ViolationKind{"home": nil, "away": {LeftZone}, "none": {CheckUnanswered}}[answer]; !slices.Equal(kinds, want) {
				t.Errorf("%v, %s: %v, want %v", interval, answer, kinds, want)
			}
		}
	}
}

// TestBacklogFromBeforeTheEnd_R36: what an ended rule finds in a backlog is found, marked late, and ends with the rule.
func TestBacklogFromBeforeTheEnd_R36(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense)
	w.fix(0, 0, 8)
	w.facts.Rules[0].Valid.Until = t0.Add(time.Hour)
	w.tick(time.Hour)
	d := NewDerivation(State{}, &w.facts, nil, t0, t0, t0.Add(2*time.Hour))
	for n := range 5 {
		at := t0.Add(time.Duration(30+n) * time.Minute)
		o := devices.Observation{Seq: int64(100 + n), At: at, Place: &devices.Place{Lon: 113.36, Lat: 30.65, Accuracy: 8, Method: devices.MethodGNSS}}
		in := Input{At: at, Now: t0.Add(2 * time.Hour), Observed: &o, Binding: &w.facts.Bindings[0]}
		if es := Evaluate(&w.state, &in, &w.facts, nil); len(es) > 0 || in.Flags&OutOfOrder == 0 {
			t.Errorf("judged behind the end of the rule: %+v", es)
		}
		if err := d.Take(&Past{Observation: o, Binding: &w.facts.Bindings[0]}); err != nil {
			t.Fatal(err)
		}
	}
	d.Finish(t0.Add(2 * time.Hour))
	if list := d.Episodes.List; len(list) != 1 || !list[0].Opened.Late || list[0].Closed == nil || !list[0].Closed.At.Equal(t0.Add(time.Hour)) || len(d.State.Rules) != 0 {
		t.Errorf("%+v", list)
	}
}

// Property: the same rules and places recorded again find and end nothing, whenever that happens.
func TestJudgingAgainFindsNothingNew(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		k := rapid.SampledFrom([]RuleKind{StayIn, KeepOut}).Draw(rt, "kind")
		interval := rapid.SampledFrom([]time.Duration{dense, sparse}).Draw(rt, "interval")
		w := newWorld(t, k, interval)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		at := time.Duration(0)
		for range 80 {
			at += time.Duration(r.IntN(int(3 * time.Minute)))
			w.send(at, math.Round(r.NormFloat64()*4000), 5+40*r.Float64(), devices.Method(1+r.IntN(3)))
			if r.IntN(4) > 0 {
				continue
			}
			w.tick(at)
			w.renumber()
			before, _ := json.Marshal(w.state)
			if es := w.tick(at); len(opened(es)) > 0 || len(closedKinds(es)) > 0 {
				rt.Fatalf("at %v: %d effects: opened %v closed %v\n%s", at, len(es), opened(es), closedKinds(es), before)
			}
		}
	})
}
