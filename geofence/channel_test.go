package geofence

import (
	"encoding/json"
	"testing"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// withPhone gives the subject of a wristband world a phone as well.
func (w *world) withPhone() *BindingFact {
	w.facts.Bindings = append(w.facts.Bindings, BindingFact{ID: 2, Device: 2, Class: devices.Phone, Subject: 1, Interval: sparse, Valid: Interval{From: t0.Add(-time.Hour)}})
	return &w.facts.Bindings[1]
}

// from sends a satellite fix of a binding.
func (w *world) from(b *BindingFact, d time.Duration, east float64) []Effect {
	scale, _ := degreeScale(30.65)
	w.seq++
	o := devices.Observation{Seq: w.seq, At: t0.Add(d), Place: &devices.Place{Lon: 113.16 + east/scale, Lat: 30.65, Accuracy: 8, Method: devices.MethodGNSS}}
	return Evaluate(&w.state, &Input{At: o.At, Now: o.At, Observed: &o, Binding: b}, &w.facts, nil)
}

// TestTwoDevicesDoNotFight: a phone left at home neither closes what the wristband found nor hides it.
func TestTwoDevicesDoNotFight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense)
	phone := w.withPhone()
	for n := range 20 {
		d := time.Duration(n) * time.Minute
		es := w.from(&w.facts.Bindings[0], d, 9000)
		if n == 1 {
			want(t, "the wristband is out", es, LeftZone)
		} else if len(opened(es))+len(closedKinds(es)) > 0 {
			t.Errorf("fix %d of the wristband: %+v", n, es)
		}
		if es := w.from(phone, d+30*time.Second, 0); len(opened(es))+len(closedKinds(es)) > 0 {
			t.Errorf("fix %d of the phone at home: %+v", n, es)
		}
	}
}

// TestWhoSpeaksNoMoreDoesNotHoldItOpen: once the wristband is off, the phone may say that the person is back.
func TestWhoSpeaksNoMoreDoesNotHoldItOpen(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *world){
		"taken off":        func(w *world) { w.facts.Bindings[0].Valid.Until = t0.Add(time.Hour) },
		"approval ran out": func(w *world) { w.facts.Authorities[0].Until = t0.Add(time.Hour) },
		"approval and band": func(w *world) {
			w.facts.Authorities[0].Until, w.facts.Bindings[0].Valid.Until = t0.Add(time.Hour), t0.Add(time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, StayIn, dense)
			phone := w.withPhone()
			for n := range 3 {
				w.from(&w.facts.Bindings[0], time.Duration(n)*time.Minute, 9000)
			}
			if es := w.from(phone, 30*time.Minute, 0); len(closedKinds(es)) > 0 {
				t.Errorf("the phone closes while the wristband speaks: %+v", es)
			}
			end(w)
			if es := w.from(phone, 2*time.Hour, 0); len(closedKinds(es)) != 1 {
				t.Errorf("the phone does not close it: %+v", es)
			}
		})
	}
}

// TestCellFixEndsNoRun: a cell fix errs beyond what it claims; one of them inside undoes no satellite fix outside.
func TestCellFixEndsNoRun_R24(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense)
	w.fix(0, 5200, 8)
	w.send(30*time.Second, 3000, 300, devices.MethodCell)
	w.fix(time.Minute, 5200, 8)
	want(t, "third outside fix", w.fix(2*time.Minute, 5200, 8), LeftZone)
	w = newWorld(t, StayIn, dense)
	w.fix(0, 5200, 8)
	w.send(30*time.Second, 1000, 40, devices.MethodWiFi)
	w.send(60*time.Second, 1000, 40, devices.MethodWiFi)
	w.fix(2*time.Minute, 5200, 8)
	want(t, "the run began anew", w.fix(3*time.Minute, 5200, 8))
}

// TestMoreFixesThanUsual: a rule may ask for more fixes than evaluation remembers otherwise.
func TestMoreFixesThanUsual_R24(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense)
	w.facts.Rules[0].Params.Count = 7
	for n := range 6 {
		want(t, "not enough", w.fix(time.Duration(n)*time.Minute, 9000, 8))
	}
	want(t, "the seventh", w.fix(6*time.Minute, 9000, 8), LeftZone)
}

// TestPoorAnswerIsNoSilence: who answers with a place that decides nothing did answer.
func TestPoorAnswerIsNoSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, sparse)
	w.fix(0, 7000, 10)
	w.send(5*time.Minute, 5000, 300, devices.MethodWiFi) // anywhere around the edge
	es := w.tick(10 * time.Minute)
	if len(es) != 1 || es[0].Settle == nil || !es[0].Settle.Answered {
		t.Errorf("the demand ran out after a poor answer: %+v", es)
	}
	want(t, "the next outside fix is the second", w.fix(8*time.Hour, 7000, 10), LeftZone)
}

// TestWiFiBearsOutASatelliteFix_R27: by themselves Wi-Fi fixes open nothing; as the answer to a demand that a satellite fix
// caused they are not by themselves.
func TestWiFiBearsOutASatelliteFix_R27(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, sparse)
	w.fix(0, 9000, 10)
	es := w.answer(4*time.Minute, 9100, 40, devices.MethodWiFi)
	want(t, "the answer, by Wi-Fi", es, LeftZone)
	if len(es) != 2 || es[0].Settle == nil || !es[0].Settle.Answered || len(es[1].Open.Evidence.Fixes) != 2 {
		t.Errorf("%+v", es)
	}
	w = newWorld(t, StayIn, sparse)
	w.send(0, 9000, 40, devices.MethodWiFi)
	want(t, "Wi-Fi bears out Wi-Fi", w.send(4*time.Minute, 9100, 40, devices.MethodWiFi))
	w = newWorld(t, StayIn, dense)
	w.fix(0, 9000, 10)
	want(t, "nobody asked", w.send(4*time.Minute, 9100, 40, devices.MethodWiFi))
}

// TestCellFixesDoNotAskOverAndOver: a phone that sees no sky is not asked every ten minutes.
func TestCellFixesDoNotAskOverAndOver_R27(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, sparse)
	asked := 0
	for n := range 36 {
		for _, e := range append(w.send(time.Duration(5*n)*time.Minute, 15_000, 800, devices.MethodCell), w.tick(time.Duration(5*n+4)*time.Minute)...) {
			if e.Ask != nil {
				asked++
			}
			if e.Open != nil {
				t.Errorf("opened %v", e.Open.Kind)
			}
		}
	}
	if asked != 3 {
		t.Errorf("asked %d times in three hours", asked)
	}
}

// TestSilenceOnlyWhileExpectedToSpeak: without an approval a wristband is not expected to speak, with the next one it is.
func TestSilenceOnlyWhileExpectedToSpeak(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Silence, dense)
	w.facts.Authorities = []Interval{{t0.Add(-time.Hour), t0.Add(10 * time.Minute)}, {t0.Add(5 * time.Hour), t0.Add(9 * time.Hour)}}
	w.fix(0, 0, 8)
	at := t0
	var found []Effect
	for range 20 {
		if at = NextDue(&w.state, &w.facts, at); at.IsZero() {
			break
		}
		found = append(found, w.tick(at.Sub(t0))...)
	}
	if len(found) != 2 || found[0].Open == nil || !found[0].Open.At.Equal(t0.Add(5*time.Hour)) || !found[0].Open.Evidence.Now.Equal(t0.Add(5*time.Hour+30*time.Minute)) {
		t.Fatalf("found %+v", found)
	}
	if found[1].Close == nil || !found[1].Close.At.Equal(t0.Add(9*time.Hour)) {
		t.Errorf("closed %+v", found[1])
	}
}

// TestExtensionIsNoNewBeginning: an approval that follows on another does not set the clock of silence back.
func TestExtensionIsNoNewBeginning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Silence, dense)
	w.facts.Authorities = []Interval{{t0.Add(20 * time.Minute), time.Time{}}, {t0.Add(-time.Hour), t0.Add(20 * time.Minute)}}
	w.fix(0, 0, 8)
	if due := NextDue(&w.state, &w.facts, t0); !due.Equal(t0.Add(30 * time.Minute)) {
		t.Errorf("due %v", due)
	}
	want(t, "silent", w.tick(30*time.Minute), DeviceSilent)
}

// TestDuplicatesChangeNothing_R35: the same fix again leaves the same state and has no effect.
func TestDuplicatesChangeNothing_R35(t *testing.T) {
	t.Parallel()
	for _, k := range []RuleKind{StayIn, KeepOut} {
		for _, interval := range []time.Duration{dense, sparse} {
			w := newWorld(t, k, interval)
			for n, east := range []float64{0, 9000, 9100, 200, 100, 0, 9000} {
				w.fix(time.Duration(n)*time.Minute, east, 8)
				before, _ := json.Marshal(w.state)
				w.seq--
				if es := w.fix(time.Duration(n)*time.Minute, east, 8); len(es) > 0 {
					t.Errorf("%s: the duplicate of fix %d: %+v", k, n, es)
				}
				if after, _ := json.Marshal(w.state); string(after) != string(before) {
					t.Errorf("%s: the duplicate of fix %d changed the state:\n%s\n%s", k, n, before, after)
				}
			}
		}
	}
}

// TestOutOfOrderMovesNothing_R36: an older fix is flagged and leaves the present as it is.
func TestOutOfOrderMovesNothing_R36(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense)
	w.fix(0, 0, 8)
	w.fix(10*time.Minute, 9000, 8)
	want(t, "out", w.fix(11*time.Minute, 9000, 8), LeftZone)
	before, _ := json.Marshal(w.state.Rules)
	for n := range 5 {
		if es := w.fix(time.Duration(2+n)*time.Minute, 0, 8); len(es) > 0 {
			t.Errorf("late fix inside: %+v", es)
		}
	}
	if after, _ := json.Marshal(w.state.Rules); string(after) != string(before) {
		t.Errorf("the present moved:\n%s\n%s", before, after)
	}
}

// TestFrozenFixMovesNothing_R28: the same place to the centimetre for an hour is a receiver that has stuck.
func TestFrozenFixMovesNothing_R28(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense)
	frozen := 0
	for n := range 90 {
		o := devices.Observation{Seq: int64(n), At: t0.Add(time.Duration(n) * time.Minute), Place: &devices.Place{Lon: 113.16, Lat: 30.65, Accuracy: 5, Method: devices.MethodGNSS}}
		in := Input{At: o.At, Now: o.At, Observed: &o, Binding: &w.facts.Bindings[0]}
		Evaluate(&w.state, &in, &w.facts, nil)
		if in.Flags&Frozen != 0 {
			frozen++
		}
	}
	if frozen != 30 {
		t.Errorf("%d of 90 identical fixes flagged", frozen)
	}
	w.fix(91*time.Minute, 9000, 8)
	want(t, "it was the receiver: really out", w.fix(92*time.Minute, 9050, 8), LeftZone)
}

// TestFastTrainIsPossible_R28: 350 km/h on the rails is no impossible move.
func TestFastTrainIsPossible_R28(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense)
	found := 0
	for n := range 10 {
		found += len(opened(w.fix(time.Duration(n)*time.Minute, float64(n)*5833, 10)))
	}
	if found != 1 {
		t.Errorf("%d violations of somebody who left by train", found)
	}
}

// TestEvidenceSaysEverything_R15: every finding names rule and zone versions, the legal basis and all thresholds, and
// survives the database.
func TestEvidenceSaysEverything_R15(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense)
	w.facts.Rules[0].Params.Band = 77
	w.fix(0, 9000, 3)
	es := w.fix(time.Minute, 9100, 3)
	want(t, "out", es, LeftZone)
	f := es[0].Open
	if f.RuleVersion != 1 || f.Zone != 1 || f.ZoneVersion != 1 || f.Evidence.Basis != "leave_city" || f.Evidence.Engine != EngineVersion || len(f.Evidence.Fixes) != 2 {
		t.Errorf("%+v", f)
	}
	m := f.Evidence.Fixes[1]
	if m.Device != id.Device(1) || m.Claimed != 300 || m.Accuracy != 1000 || m.Verdict != Outside || m.Margin < 409_000 || m.Margin > 411_000 {
		t.Errorf("%+v", m)
	}
	doc, err := json.Marshal(f.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	var back Evidence
	if err := json.Unmarshal(doc, &back); err != nil {
		t.Fatal(err)
	}
	if back.Thresholds != w.facts.Rules[0].Params {
		t.Errorf("thresholds come back as %+v", back.Thresholds)
	}
}

// TestPassages_R32: who crosses fast and stays short passes through; who is slow or stays has entered.
func TestPassages_R32(t *testing.T) {
	t.Parallel()
	type step struct {
		at   time.Duration
		east float64
	}
	for name, c := range map[string]struct {
		way  []step
		want []ViolationKind
	}{
		"one fix inside, out on the other side": {[]step{{0, -900}, {time.Minute, 0}, {2 * time.Minute, 900}}, []ViolationKind{PassedThrough}},
		"one fix astray":                        {[]step{{0, -900}, {time.Minute, 0}, {2 * time.Minute, -900}}, nil},
		"fast through, many fixes": {[]step{{0, -900}, {20 * time.Second, -450}, {35 * time.Second, -100}, {50 * time.Second, 250}, {65 * time.Second, 450}, {85 * time.Second, 900}},
			[]ViolationKind{PassedThrough}},
		"fast in and stays":    {[]step{{0, -900}, {20 * time.Second, -400}, {40 * time.Second, 0}, {60 * time.Second, 20}, {150 * time.Second, 20}}, []ViolationKind{EnteredZone}},
		"walks through":        {[]step{{0, -600}, {2 * time.Minute, -400}, {4 * time.Minute, -200}, {10 * time.Minute, 400}, {12 * time.Minute, 600}}, []ViolationKind{EnteredZone}},
		"passes by":            {[]step{{0, 900}, {time.Minute, 2000}}, nil},
		"too long ago to tell": {[]step{{0, -900}, {time.Hour, 900}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, KeepOut, 20*time.Second)
			var all []Effect
			for _, s := range c.way {
				all = append(all, w.fix(s.at, s.east, 8)...)
			}
			want(t, name, all, c.want...)
		})
	}
	// Seen fast inside and no more: nobody has left again.
	w := newWorld(t, KeepOut, 20*time.Second)
	for _, s := range []step{{0, -900}, {20 * time.Second, -400}, {40 * time.Second, 0}} {
		want(t, "fast in", w.fix(s.at, s.east, 8))
	}
	due := NextDue(&w.state, &w.facts, t0.Add(40*time.Second))
	if !due.Equal(t0.Add(140 * time.Second)) {
		t.Fatalf("an entry that is waited for is due at %v", due)
	}
	want(t, "and silent", w.tick(140*time.Second), EnteredZone)
	if due := NextDue(&w.state, &w.facts, t0.Add(140*time.Second)); !due.IsZero() {
		t.Errorf("due again at %v", due)
	}
}
