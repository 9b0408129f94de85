package geofence

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/twpayne/go-geom"
	"pgregory.net/rapid"

	"zhijiao/devices"
)

var t0 = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// square is a zone of side metres around 113.16 E 30.65 N.
func square(t testing.TB, id ZoneID, side float64) *Zone {
	t.Helper()
	return squareAt(t, id, 113.16, 30.65, side)
}

func squareAt(t testing.TB, id ZoneID, lon, lat, side float64) *Zone {
	t.Helper()
	east, north := degreeScale(lat)
	w, h := side/2/east, side/2/north
	ring := []geom.Coord{{lon - w, lat - h}, {lon + w, lat - h}, {lon + w, lat + h}, {lon - w, lat + h}, {lon - w, lat - h}}
	z, err := NewPolygon(id, 1, Interval{}, geom.NewMultiPolygon(geom.XY).MustSetCoords([][][]geom.Coord{{ring}}))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

type world struct {
	state State
	facts Facts
	class devices.Class
	seq   int64
}

// newWorld is a subject with a rule of a kind on a square of 10 km (or 1 km to keep out of), on a dense or sparse channel.
func newWorld(t testing.TB, k RuleKind, interval time.Duration) *world {
	t.Helper()
	w := &world{class: devices.Wristband}
	if interval > time.Hour {
		w.class = devices.Phone
	}
	side := 10_000.0
	if k == KeepOut {
		side = 1000
	}
	p := DefaultParams(k)
	p.Class = w.class
	w.facts = Facts{
		Subject: 1, Version: 1,
		Bindings:    []BindingFact{{ID: 1, Device: 1, Class: w.class, Subject: 1, Interval: interval, Valid: Interval{From: t0.Add(-time.Hour)}}},
		Authorities: []Interval{{From: t0.Add(-time.Hour)}},
		Rules:       []Rule{{ID: 1, Version: 1, Subject: 1, Kind: k, Basis: "leave_city", Params: p, Valid: Interval{From: t0.Add(-time.Hour)}}},
		Zones:       map[ZoneID][]*Zone{},
	}
	if k != Silence {
		w.facts.Rules[0].Zone = 1
		w.facts.Zones[1] = []*Zone{square(t, 1, side)}
	}
	return w
}

// fix sends a satellite fix east metres from the centre, after t0 by d.
func (w *world) fix(d time.Duration, east, accuracy float64) []Effect {
	return w.send(d, east, accuracy, devices.MethodGNSS)
}

func (w *world) send(d time.Duration, east, accuracy float64, m devices.Method) []Effect {
	return w.flagged(d, east, accuracy, m, 0)
}

// answer sends a fix that answers a demand.
func (w *world) answer(d time.Duration, east, accuracy float64, m devices.Method) []Effect {
	return w.flagged(d, east, accuracy, m, Answer)
}

func (w *world) flagged(d time.Duration, east, accuracy float64, m devices.Method, flags Flag) []Effect {
	scale, _ := degreeScale(30.65)
	w.seq++
	at := t0.Add(d)
	o := devices.Observation{Seq: w.seq, At: at, ReceivedAt: at, Place: &devices.Place{Lon: 113.16 + east/scale, Lat: 30.65, Accuracy: accuracy, Method: m}}
	return Evaluate(&w.state, &Input{At: at, Now: at, Observed: &o, Binding: &w.facts.Bindings[0], Flags: flags}, &w.facts, nil)
}

func (w *world) tick(d time.Duration) []Effect {
	return Evaluate(&w.state, &Input{At: t0.Add(d), Now: t0.Add(d)}, &w.facts, nil)
}

func opened(es []Effect) (kinds []ViolationKind) {
	for _, e := range es {
		if e.Open != nil {
			kinds = append(kinds, e.Open.Kind)
		}
	}
	return kinds
}

func want(t *testing.T, when string, es []Effect, kinds ...ViolationKind) {
	t.Helper()
	if got := opened(es); !reflect.DeepEqual(got, kinds) {
		t.Errorf("%s: opened %v, want %v", when, got, kinds)
	}
}

const dense, sparse = time.Minute, 8 * time.Hour

func TestSingleOverconfidentFixOpensNothing_R25(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{dense, sparse} {
		w := newWorld(t, StayIn, interval)
		want(t, "at home", w.fix(0, 4900, 8))
		want(t, "200 m out claiming 1.7 m", w.fix(time.Minute, 5200, 1.7))
		want(t, "home again", w.fix(2*time.Minute, 4900, 8))
		want(t, "and again", w.fix(3*time.Minute, 4900, 8))
		if w.state.Waiting() {
			t.Error("still waiting for a confirming fix")
		}
	}
}

func TestRealExitOpensByTheThirdOutsideFix_R26(t *testing.T) {
	t.Parallel()
	for start := 10.0; start <= 1000; start += 45 {
		w := newWorld(t, StayIn, dense)
		w.fix(0, 4000, 8)
		outside, openedAt := 0, 0
		for n := range 60 {
			if e := 5000 + start + 1000*float64(n); e > 5000 {
				outside++
			}
			if len(opened(w.fix(time.Duration(n+1)*time.Minute, 5000+start+1000*float64(n), 8))) > 0 {
				openedAt = outside
				break
			}
		}
		if openedAt == 0 || openedAt > 3 {
			t.Errorf("first outside fix at %.0f m: opened at outside fix %d", start, openedAt)
		}
	}
}

func TestExitNeedsBandCountAndGrace_R24(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense)
	for n := range 30 { // within the hysteresis band, for half an hour
		want(t, "40 m beyond the edge", w.fix(time.Duration(n)*time.Minute, 5040, 5))
	}
	w = newWorld(t, StayIn, dense)
	want(t, "first", w.fix(0, 5200, 10))
	want(t, "same place told twice", w.fix(2*time.Second, 5200, 10))
	want(t, "second, grace not over", w.fix(time.Minute, 5200, 10))
	want(t, "third", w.fix(2*time.Minute, 5200, 10), LeftZone)
	want(t, "fourth", w.fix(3*time.Minute, 5200, 10))
	if es := w.fix(4*time.Minute, 4000, 10); len(es) != 0 {
		t.Errorf("one fix back: %+v", es)
	}
	es := w.fix(5*time.Minute, 4000, 10)
	if len(es) != 1 || es[0].Close == nil || !es[0].Close.At.Equal(t0.Add(4*time.Minute)) {
		t.Errorf("two fixes back: %+v", es)
	}
}

func TestSparseChannelIsAskedFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, sparse)
	es := w.fix(0, 7000, 10)
	if len(es) != 1 || es[0].Ask == nil || !es[0].Ask.Due.Equal(t0.Add(10*time.Minute)) {
		t.Fatalf("first outside fix: %+v", es)
	}
	want(t, "the confirming fix", w.fix(3*time.Minute, 7100, 10), LeftZone)

	w = newWorld(t, StayIn, sparse)
	w.fix(0, 7000, 10)
	if due := NextDue(&w.state, &w.facts, t0); !due.Equal(t0.Add(10 * time.Minute)) {
		t.Fatalf("next due %v", due)
	}
	want(t, "before the deadline", w.tick(9*time.Minute))
	want(t, "no answer", w.tick(10*time.Minute), CheckUnanswered)
	want(t, "heard at last, still outside", w.fix(40*time.Minute, 7200, 10), LeftZone)

	w = newWorld(t, StayIn, sparse)
	w.fix(0, 7000, 10)
	es = w.fix(2*time.Minute, 1000, 10)
	if len(es) != 1 || es[0].Settle == nil || !es[0].Settle.Answered {
		t.Errorf("an answer from inside: %+v", es)
	}
}

// TestWiFiOnTheWrongSideNowAndThen_R27: a wireless network that is told wrongly once an hour, and a place inside between, is
// never an absence that nobody could verify; three of them in a row over a quarter of an hour are, and end with one inside.
func TestWiFiOnTheWrongSideNowAndThen_R27(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{dense, sparse} {
		for _, between := range []devices.Method{devices.MethodGNSS, devices.MethodWiFi} {
			w := newWorld(t, StayIn, interval)
			for n := range 30 {
				at := time.Duration(n) * time.Hour
				for _, es := range [][]Effect{w.send(at, 15_000, 20, devices.MethodWiFi), w.send(at+5*time.Minute, 0, 20, between), w.send(at+10*time.Minute, 0, 20, between)} {
					for _, k := range opened(es) {
						if k != CheckUnanswered {
							t.Fatalf("%v, between by method %d: opened %s after %v", interval, between, k, at)
						}
					}
				}
			}
			var kinds []ViolationKind
			for n := range 4 {
				kinds = append(kinds, opened(w.send(40*time.Hour+time.Duration(5*n)*time.Minute, 15_000, 20, devices.MethodWiFi))...)
			}
			kinds = slices.DeleteFunc(kinds, func(k ViolationKind) bool { return k == CheckUnanswered })
			if !slices.Equal(kinds, []ViolationKind{Unverified}) {
				t.Errorf("%v: in a row: %v", interval, kinds)
			}
			closed := append(closedKinds(w.fix(41*time.Hour, 0, 8)), closedKinds(w.fix(41*time.Hour+time.Minute, 0, 8))...)
			if !slices.Contains(closed, Unverified) {
				t.Errorf("%v: inside again: closed %v", interval, closed)
			}
		}
	}
}

func TestCellAndWiFiNeverOpenAlone_R27(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{dense, sparse} {
		for _, m := range []devices.Method{devices.MethodCell, devices.MethodWiFi} {
			w := newWorld(t, StayIn, interval)
			asked := false
			for n := range 60 {
				es := w.send(time.Duration(n)*time.Minute, 15_000, 800, m)
				for _, k := range opened(es) {
					if k != CheckUnanswered && (k != Unverified || m == devices.MethodCell || n < 12) { // by Wi-Fi for long: nobody can tell
						t.Fatalf("method %d opened %v", m, opened(es))
					}
				}
				for _, e := range es {
					asked = asked || e.Ask != nil
				}
			}
			if asked != (interval == sparse) {
				t.Errorf("interval %v, method %d: asked for a satellite fix: %v", interval, m, asked)
			}
		}
	}
}

func TestImpossibleFixMovesNothing_R28(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense)
	w.fix(0, 0, 8)
	scale, _ := degreeScale(30.65)
	o := devices.Observation{At: t0.Add(time.Minute), Place: &devices.Place{Lon: 113.16 + 200_000/scale, Lat: 30.65, Accuracy: 5, Method: devices.MethodGNSS}}
	in := Input{At: o.At, Now: o.At, Observed: &o, Binding: &w.facts.Bindings[0]}
	if es := Evaluate(&w.state, &in, &w.facts, nil); len(es) > 0 || in.Flags&Impossible == 0 {
		t.Errorf("200 km in a minute: flags %b, effects %+v", in.Flags, es)
	}
	want(t, "back", w.fix(2*time.Minute, 100, 8))
	if n := len(w.state.Channel[0].Recent); n != 2 {
		t.Errorf("%d fixes remembered, want the two that can be", n)
	}
}

func TestEdgeIsInside_R30(t *testing.T) {
	t.Parallel()
	z := square(t, 1, 1000)
	e := newReference(z).edges[0]
	for _, f := range []float64{0, 0.25, 0.5, 1} {
		if lon := e.lon1 + f*(e.lon2-e.lon1); !z.Covers(lon, e.lat1) {
			t.Errorf("the point at %v of the southern edge is not inside", f)
		}
	}
	if d := z.Distance(e.lon1, e.lat1); d != 0 {
		t.Errorf("a corner lies %v m from the edge", d)
	}
}

func TestSilenceByTheClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Silence, dense)
	w.fix(0, 0, 8)
	due := NextDue(&w.state, &w.facts, t0)
	if !due.Equal(t0.Add(30 * time.Minute)) {
		t.Fatalf("next due %v", due)
	}
	doc, _ := json.Marshal(w.state)
	want(t, "a moment early", w.tick(30*time.Minute-time.Second))
	punctual := w.tick(30 * time.Minute)
	want(t, "at the instant", punctual, DeviceSilent)
	// The same tick, fired two hours late.
	var state State
	if err := json.Unmarshal(doc, &state); err != nil {
		t.Fatal(err)
	}
	late := Evaluate(&state, &Input{At: due, Now: due.Add(2 * time.Hour)}, &w.facts, nil)
	if len(late) != 1 || !late[0].Open.At.Equal(punctual[0].Open.At) || late[0].Open.Late {
		t.Errorf("fired late it says %+v", late)
	}
	es := w.fix(50*time.Minute, 0, 8)
	if len(es) != 1 || es[0].Close == nil {
		t.Errorf("heard again: %+v", es)
	}
	// A device that speaks for nobody is not silent.
	w.facts.Bindings[0].Valid.Until = t0.Add(70 * time.Minute)
	w.facts.Version++
	want(t, "taken off", w.tick(70*time.Minute))
	if due := NextDue(&w.state, &w.facts, t0.Add(70*time.Minute)); !due.IsZero() {
		t.Errorf("a device that was taken off is due at %v", due)
	}
}

func TestKeepOutEntryAndPassage_R24_R32(t *testing.T) {
	t.Parallel()
	w := newWorld(t, KeepOut, dense)
	w.fix(0, 3000, 8)
	want(t, "first fix inside", w.fix(4*time.Minute, 0, 8))
	want(t, "second fix inside", w.fix(5*time.Minute, 50, 8), EnteredZone)
	w = newWorld(t, KeepOut, dense)
	w.fix(0, 900, 8)
	es := w.fix(time.Minute, -900, 8)
	want(t, "straight through", es, PassedThrough)
	if len(es) != 2 || es[1].Close == nil {
		t.Errorf("a passage ends at once: %+v", es)
	}
	w = newWorld(t, KeepOut, sparse)
	es = w.fix(0, 0, 8)
	if len(es) != 1 || es[0].Ask == nil {
		t.Errorf("a phone inside is asked first: %+v", es)
	}
}

func TestEditedZoneRejudgesThePresent_R29(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense)
	for n := range 5 {
		w.fix(time.Duration(n)*time.Minute, 3000, 8)
	}
	small := square(t, 1, 2000)
	small.Version = 2
	w.facts.Zones[1], w.facts.Version = []*Zone{small}, 2
	es := w.tick(5 * time.Minute)
	want(t, "the zone shrank around somebody who is outside it", es, LeftZone)
	if es[0].Open.ZoneVersion != 2 {
		t.Errorf("decided on zone version %d", es[0].Open.ZoneVersion)
	}
	w.facts.Zones[1], w.facts.Version = []*Zone{square(t, 1, 10_000)}, 3
	if es = w.tick(6 * time.Minute); len(es) != 1 || es[0].Close == nil {
		t.Errorf("the zone grew again: %+v", es)
	}
	w.facts.Rules[0].Valid.Until, w.facts.Version = t0.Add(7*time.Minute), 4
	w.tick(7 * time.Minute)
	if len(w.state.Rules) != 0 {
		t.Errorf("an ended rule leaves %+v", w.state.Rules)
	}
}

func TestEndedRuleClosesWhatItOpened(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense)
	for n := range 4 {
		w.fix(time.Duration(n)*time.Minute, 7000, 8)
	}
	w.facts.Rules[0].Valid.Until, w.facts.Version = t0.Add(10*time.Minute), 2
	if due := NextDue(&w.state, &w.facts, t0.Add(4*time.Minute)); !due.Equal(t0.Add(10 * time.Minute)) {
		t.Errorf("next due %v, want the end of the rule", due)
	}
	es := w.tick(time.Hour)
	if len(es) != 1 || es[0].Close == nil || !es[0].Close.At.Equal(t0.Add(10*time.Minute)) {
		t.Errorf("after the end of the rule: %+v", es)
	}
}

// Properties: the same input again changes nothing but the sequence of a duplicate, no violation opens twice, the same
// story gives the same bytes, and facts are never touched.
func TestProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		k := rapid.SampledFrom([]RuleKind{StayIn, KeepOut, Silence}).Draw(rt, "kind")
		interval := rapid.SampledFrom([]time.Duration{dense, sparse}).Draw(rt, "interval")
		seed := rapid.Uint64().Draw(rt, "seed")
		story := func() (State, []Effect) {
			w := newWorld(t, k, interval)
			r := rand.New(rand.NewPCG(seed, 1))
			before, _ := json.Marshal(w.facts.Rules)
			var all []Effect
			at := time.Duration(0)
			for range 60 {
				at += time.Duration(r.IntN(int(10 * time.Minute)))
				if r.IntN(4) == 0 {
					all = append(all, w.tick(at)...)
					continue
				}
				m := devices.Method(1 + r.IntN(3))
				all = append(all, w.send(at-time.Duration(r.IntN(3))*time.Minute, math.Round(r.NormFloat64()*6000), 5+40*r.Float64(), m)...)
			}
			if after, _ := json.Marshal(w.facts.Rules); string(after) != string(before) {
				rt.Fatal("facts were changed")
			}
			return w.state, all
		}
		s1, e1 := story()
		s2, e2 := story()
		b1, _ := json.Marshal([]any{s1, e1})
		b2, _ := json.Marshal([]any{s2, e2})
		if string(b1) != string(b2) {
			rt.Fatal("the same story gave other bytes")
		}
		open := map[ViolationKind]bool{}
		for _, e := range e1 {
			switch {
			case e.Open != nil && open[e.Open.Kind]:
				rt.Fatalf("%s opened twice", e.Open.Kind)
			case e.Open != nil:
				open[e.Open.Kind] = true
			case e.Close != nil && !open[e.Close.Kind]:
				rt.Fatalf("%s closed and was not open", e.Close.Kind)
			case e.Close != nil:
				open[e.Close.Kind] = false
			}
		}
		doc, err := json.Marshal(s1)
		if err != nil {
			rt.Fatal(err)
		}
		var back State
		if err := json.Unmarshal(doc, &back); err != nil {
			rt.Fatal(err)
		}
		if again, _ := json.Marshal(back); string(again) != string(doc) {
			rt.Fatalf("state does not survive the database:\n%s\n%s", doc, again)
		}
	})
}
