package geofence

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zhijiao/devices"
)

// status sends what a device says of itself, after t0 by d.
func (w *world) status(d time.Duration, h devices.Health) []Effect {
	w.seq++
	o := devices.Observation{Kind: devices.KindStatus, Seq: w.seq, At: t0.Add(d), ReceivedAt: t0.Add(d), Health: h}
	return Evaluate(&w.state, &Input{At: o.At, Now: o.At, Observed: &o, Binding: &w.facts.Bindings[0]}, &w.facts, nil)
}

func (w *world) checkIn(d time.Duration) []Effect {
	w.seq++
	o := devices.Observation{Kind: devices.KindCheckIn, Seq: w.seq, At: t0.Add(d), ReceivedAt: t0.Add(d)}
	return Evaluate(&w.state, &Input{At: o.At, Now: o.At, Observed: &o, Binding: &w.facts.Bindings[0]}, &w.facts, nil)
}

// with adds a rule of a kind, on the zone of the world where the kind is about one.
func (w *world) with(k RuleKind) *Rule {
	r := w.facts.Rules[0]
	r.ID, r.Kind, r.Params, r.Zone = RuleID(len(w.facts.Rules)+1), k, DefaultParams(k), 0
	r.Params.Class = w.class
	if len(kinds[k].zones) > 0 {
		r.Zone = 1
	}
	w.facts.Rules = append(w.facts.Rules, r)
	return &w.facts.Rules[len(w.facts.Rules)-1]
}

// on puts a schedule on a rule.
func (w *world) on(t testing.TB, r *Rule, doc string) {
	t.Helper()
	s, err := ParseSchedule([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	r.Schedule = 1
	w.facts.Schedules = map[ScheduleID][]ScheduleVersion{1: {{Interval{}, s}}}
}

func (w *world) reset(d time.Duration) {
	w.facts.Attachments = append(w.facts.Attachments, AttachmentFact{t0.Add(d), ResetConfirmed})
	w.facts.Version++
}

// TestStrapThatClosesByItselfRestoresNothing_R122, on a channel that speaks often and on one that seldom does.
func TestStrapThatClosesByItselfRestoresNothing_R122(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{dense, sparse} {
		w := newWorld(t, StayIn, interval)
		w.with(Strap)
		w.fix(0, 0, 8)
		want(t, "the strap opens", w.status(time.Minute, devices.Health{Strap: devices.StrapOpen}), StrapBroken)
		want(t, "it closes", w.status(2*time.Minute, devices.Health{Strap: devices.StrapClosed}))
		for n := range 10 {
			in := w.fix(time.Duration(3+n)*time.Minute, 9000, 8)
			if len(in) > 0 {
				t.Errorf("%v: decided of the person: %+v", interval, in)
			}
		}
		w.reset(20 * time.Minute)
		if got := closedKinds(w.tick(20 * time.Minute)); !reflect.DeepEqual(got, []ViolationKind{StrapBroken}) {
			t.Errorf("%v: the reset closed %v", interval, got)
		}
		w.fix(21*time.Minute, 9000, 8)
		want(t, "and now a fix speaks for the person", w.fix(24*time.Minute, 9000, 8), LeftZone)
	}
}

// TestNoVerdictWhileLoose_R122: no sequence of fixes between strap-open, or an accepted separation, and a recorded reset
// decides anything about where the person is, whatever the rule, the channel and the clock.
func TestNoVerdictWhileLoose_R122(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 5))
		interval := []time.Duration{dense, sparse}[r.IntN(2)]
		w := newWorld(t, []RuleKind{StayIn, KeepOut}[r.IntN(2)], interval)
		w.facts.Zones[1] = append(w.facts.Zones[1], nil)[:1]
		w.with(Dwell)
		w.with(Separation)
		w.on(t, w.with(Presence), `{"rows":[{"from":"11:00","until":"12:00"},{"from":"13:00","until":"13:30"}]}`)
		phone := w.withPhone()
		at := time.Duration(0)
		move := func() []Effect {
			at += time.Duration(1+r.IntN(300)) * time.Second
			switch r.IntN(8) {
			case 0:
				return w.tick(at)
			case 1:
				return w.from(phone, at, float64(r.IntN(9000)))
			case 2:
				return w.status(at, devices.Health{Strap: devices.StrapClosed})
			}
			return w.send(at, float64(r.IntN(9000)), 5+20*r.Float64(), devices.Method(1+r.IntN(4)))
		}
		for range r.IntN(20) {
			move()
		}
		at += time.Second
		if r.IntN(2) == 0 {
			w.status(at, devices.Health{Strap: devices.StrapOpen})
		} else {
			w.facts.Attachments = append(w.facts.Attachments, AttachmentFact{t0.Add(at), SeparationAccepted})
			w.facts.Version++
			w.tick(at)
		}
		since := t0.Add(at)
		for range 40 {
			for _, e := range move() {
				f := e.Open
				if f == nil {
					f = e.Close
				}
				if f == nil {
					continue
				}
				if f.Kind != Unverified && f.Kind != CheckUnanswered && !(f.Kind == Absent && e.Close != nil) && !f.At.Before(since) && len(f.Evidence.Fixes) > 0 {
					rt.Fatalf("at %v, loose since %v: %s of %s", at, since, f.Kind, f.Evidence.Kind)
				}
				for _, m := range f.Evidence.Fixes {
					if m.At.After(since) {
						rt.Fatalf("at %v, loose since %v: %s rests on a fix of %v", at, since, f.Kind, m.At)
					}
				}
			}
		}
		for c := range w.state.Channel {
			for _, m := range w.state.Channel[c].Recent {
				if m.At.After(since) {
					rt.Fatalf("a fix of %v is remembered as the person's", m.At)
				}
			}
		}
	})
}

// TestPower: low once, charged once, and off is another thing than low.
func TestPower(t *testing.T) {
	t.Parallel()
	battery := func(v int) devices.Health { return devices.Health{Battery: &v} }
	for _, interval := range []time.Duration{dense, sparse} {
		w := newWorld(t, Silence, interval)
		w.with(Power)
		want(t, "full", w.status(0, battery(80)))
		want(t, "low", w.status(time.Minute, battery(20)), LowBattery)
		want(t, "lower", w.status(2*time.Minute, battery(15)))
		want(t, "a little more is not charged", w.status(3*time.Minute, battery(22)))
		h := battery(3)
		h.LastGasp = "battery"
		want(t, "off", w.status(4*time.Minute, h), PowerLost)
		if got := closedKinds(w.status(time.Hour, battery(90))); !slices.Contains(got, PowerLost) {
			t.Errorf("heard again, charged: closed %v", got)
		}
	}
}

// TestLocationLost: heard, but no place: not silent, not absent.
func TestLocationLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Silence, dense)
	w.with(Location)
	w.fix(0, 0, 8)
	var found []ViolationKind
	for n := range 40 {
		found = append(found, opened(w.status(time.Duration(1+n)*time.Minute, devices.Health{}))...)
	}
	if !slices.Equal(found, []ViolationKind{LocationLost}) {
		t.Errorf("found %v", found)
	}
	if got := closedKinds(w.fix(41*time.Minute, 0, 8)); !slices.Equal(got, []ViolationKind{LocationLost}) {
		t.Errorf("a place again: closed %v", got)
	}
}

// TestDwell: a long stay opens, a visit does not, and nobody knows what was in a gap.
func TestDwell(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{dense, 30 * time.Minute} {
		w := newWorld(t, StayIn, interval)
		w.facts.Rules = nil
		w.facts.Rules = append(w.facts.Rules, Rule{ID: 1, Version: 1, Subject: 1, Kind: Dwell, Zone: 1, Basis: "check", Params: DefaultParams(Dwell), Valid: Interval{From: t0.Add(-time.Hour)}})
		var found []ViolationKind
		for d := time.Duration(0); d <= time.Hour; d += interval {
			found = append(found, opened(w.fix(d, d.Minutes(), 8))...)
		}
		if !slices.Equal(found, []ViolationKind{Dwelt}) {
			t.Errorf("%v: found %v", interval, found)
		}
		if got := closedKinds(w.fix(2*time.Hour, 9000, 8)); !slices.Equal(got, []ViolationKind{Dwelt}) {
			t.Errorf("%v: left: closed %v", interval, got)
		}
		w.fix(3*time.Hour, 0, 8)
		want(t, "a gap", w.fix(8*time.Hour, 0, 8))
	}
}

// TestSeparation_R66: a phone that stays at home while the wristband goes is a lead, after a while.
func TestSeparation_R66(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense)
	w.with(Separation)
	phone := w.withPhone()
	var found []ViolationKind
	for n := range 30 {
		d := time.Duration(n) * time.Minute
		found = append(found, opened(w.from(phone, d, 0))...)
		found = append(found, opened(w.from(&w.facts.Bindings[0], d+10*time.Second, 2000))...)
	}
	if !slices.Equal(found, []ViolationKind{Apart}) {
		t.Errorf("found %v", found)
	}
	if got := closedKinds(w.from(phone, 31*time.Minute, 2000)); !slices.Equal(got, []ViolationKind{Apart}) {
		t.Errorf("together again: closed %v", got)
	}
}

// TestTimeWindowBindsOnlyWhileItIsOpen_R16: out by day is nobody's business, out at night is; the clock opens it when the
// window begins while the person is away, and ends it with the window.
func TestTimeWindowBindsOnlyWhileItIsOpen_R16(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense) // t0 is 10:00
	w.on(t, &w.facts.Rules[0], `{"rows":[{"from":"11:00","until":"12:00"}]}`)
	for n := range 50 {
		want(t, "before", w.fix(time.Duration(n)*time.Minute, 8000, 8))
	}
	es := w.tick(time.Hour)
	want(t, "the window opens while the person is away", es, LeftZone)
	if len(es) > 0 && !es[0].Open.At.Equal(t0.Add(time.Hour)) {
		t.Errorf("began at %v, the window at 11:00", es[0].Open.At)
	}
	es = w.tick(2 * time.Hour)
	if len(es) != 1 || es[0].Close == nil || !es[0].Close.At.Equal(t0.Add(2*time.Hour)) {
		t.Errorf("the window closes: %+v", es)
	}
	want(t, "after", w.fix(130*time.Minute, 8000, 8))
}

// TestPresence_R16: who is not there when the grace is over is absent; whom nobody could hear is not verified, and never
// called absent; a tick fired late says the same.
func TestPresence_R16(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before func(w *world)
		want   ViolationKind
	}{
		"there":           {func(w *world) { w.fix(62*time.Minute, 0, 8) }, ""},
		"came before":     {func(w *world) { w.fix(55*time.Minute, 0, 8) }, ""},
		"elsewhere":       {func(w *world) { w.fix(62*time.Minute, 9000, 8); w.fix(64*time.Minute, 9000, 8) }, Absent},
		"elsewhere once":  {func(w *world) { w.fix(62*time.Minute, 9000, 1.7) }, Unverified}, // too sure of itself
		"nothing heard":   {func(*world) {}, Unverified},
		"by a cell alone": {func(w *world) { w.send(62*time.Minute, 9000, 900, devices.MethodCell) }, Unverified},
		"strap opened": {func(w *world) {
			w.fix(62*time.Minute, 0, 8)
			w.status(63*time.Minute, devices.Health{Strap: devices.StrapOpen})
		}, Unverified},
	} {
		for _, interval := range []time.Duration{dense, sparse} {
			for _, fired := range []time.Duration{75 * time.Minute, 110 * time.Minute} {
				w := newWorld(t, StayIn, interval)
				w.facts.Rules = nil
				w.facts.Rules = append(w.facts.Rules, Rule{ID: 1, Version: 1, Subject: 1, Kind: Presence, Zone: 1, Basis: "prohibition", Params: DefaultParams(Presence), Valid: Interval{From: t0.Add(-time.Hour)}})
				w.on(t, &w.facts.Rules[0], `{"rows":[{"from":"11:00","until":"12:00"}]}`)
				w.fix(0, 0, 8)
				c.before(w)
				es := w.tick(fired)
				var got ViolationKind
				for _, x := range es {
					if x.Open == nil {
						continue
					}
					if got = x.Open.Kind; !x.Open.At.Equal(t0.Add(time.Hour)) {
						t.Errorf("%s: since %v", name, x.Open.At)
					}
				}
				if got != c.want {
					t.Errorf("%s, %v, fired at %v: %q, want %q", name, interval, fired, got, c.want)
				}
				if c.want == Absent {
					if closed := closedKinds(w.fix(112*time.Minute, 0, 8)); !slices.Equal(closed, []ViolationKind{Absent}) {
						t.Errorf("%s: came late: closed %v", name, closed)
					}
				}
			}
		}
	}
}

// TestPresenceByTheNextFix_R16: one fix elsewhere is not enough to call somebody absent; the next one tells, either way.
func TestPresenceByTheNextFix_R16(t *testing.T) {
	t.Parallel()
	for east, kinds := range map[float64][]ViolationKind{0: {}, 9000: {Absent}} {
		for _, interval := range []time.Duration{dense, sparse} {
			w := newWorld(t, StayIn, interval)
			w.facts.Rules = []Rule{{ID: 1, Version: 1, Subject: 1, Kind: Presence, Zone: 1, Basis: "prohibition", Params: DefaultParams(Presence), Valid: Interval{From: t0.Add(-time.Hour)}}}
			w.on(t, &w.facts.Rules[0], `{"rows":[{"from":"11:00","until":"13:00"}]}`)
			w.fix(50*time.Minute, 0, 8)
			w.fix(70*time.Minute, 9000, 8)
			w.tick(75 * time.Minute)
			es := w.fix(77*time.Minute, east, 8)
			if got := closedKinds(es); !slices.Equal(got, []ViolationKind{Unverified}) {
				t.Errorf("%v, then %v m away: closed %v", interval, east, got)
			}
			var opened []ViolationKind
			for _, x := range es {
				if x.Open != nil {
					opened = append(opened, x.Open.Kind)
				}
			}
			if len(opened) != len(kinds) || len(kinds) > 0 && opened[0] != kinds[0] {
				t.Errorf("%v, then %v m away: opened %v, want %v", interval, east, opened, kinds)
			}
		}
	}
}

// TestCheckInInEveryWindow_R16: windows that follow one another without a gap are two, and a window may be the whole day.
func TestCheckInInEveryWindow_R16(t *testing.T) {
	t.Parallel()
	for doc, missed := range map[string][]time.Duration{ // t0 is ten in the morning
		`{"rows":[{"from":"08:00","until":"12:00"},{"from":"12:00","until":"18:00"}]}`: {8 * time.Hour, 26 * time.Hour, 32 * time.Hour},
		`{"rows":[{"from":"00:00","until":"24:00"}]}`:                                  {38 * time.Hour},
	} {
		w := newWorld(t, StayIn, sparse)
		w.facts.Rules = []Rule{{ID: 1, Version: 1, Subject: 1, Kind: CheckInDue, Basis: "check", Params: DefaultParams(CheckInDue), Valid: Interval{From: t0.Add(-24 * time.Hour)}}}
		w.on(t, &w.facts.Rules[0], doc)
		w.tick(0)
		w.state.Since = t0.Add(-24 * time.Hour)
		w.checkIn(time.Hour) // in the morning's window, and in the day's
		var got []time.Duration
		for at := time.Hour; at < 40*time.Hour; at += 15 * time.Minute {
			for _, x := range w.tick(at) {
				if x.Open != nil && x.Open.Kind == CheckMissed {
					got = append(got, x.Open.At.Sub(t0))
					w.state.Rules[0].closes(x.Open.At) // each by itself
				}
			}
		}
		if !slices.Equal(got, missed) {
			t.Errorf("%s: missed at %v, want %v", doc, got, missed)
		}
	}
}

// TestStrapAfterSeparation_R122: that a separation was accepted does not hide that the strap is opened later.
func TestStrapAfterSeparation_R122(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, dense)
	w.facts.Rules = append(w.facts.Rules, Rule{ID: 2, Version: 1, Subject: 1, Kind: Strap, Basis: "positioning", Params: DefaultParams(Strap), Valid: Interval{From: t0.Add(-time.Hour)}})
	w.fix(0, 0, 8)
	w.facts.Attachments = append(w.facts.Attachments, AttachmentFact{At: t0.Add(time.Hour), What: SeparationAccepted})
	w.facts.Version++
	want(t, "separated", w.tick(time.Hour))
	es := w.status(2*time.Hour, devices.Health{Strap: devices.StrapOpen})
	want(t, "and the strap is opened", es, StrapBroken)
	if len(es) > 0 && !es[0].Open.At.Equal(t0.Add(2*time.Hour)) {
		t.Errorf("since %v", es[0].Open.At)
	}
}

// TestPresenceAsksWhoSpeaksSeldom_R16: a phone of which nothing is known when the window begins is asked then, once, and its
// answer counts.
func TestPresenceAsksWhoSpeaksSeldom_R16(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{dense, sparse} {
		w := newWorld(t, StayIn, interval)
		w.facts.Rules = []Rule{{ID: 1, Version: 1, Subject: 1, Kind: Presence, Zone: 1, Basis: "prohibition", Params: DefaultParams(Presence), Valid: Interval{From: t0.Add(-time.Hour)}}}
		w.on(t, &w.facts.Rules[0], `{"rows":[{"from":"11:00","until":"12:00"}]}`)
		w.fix(0, 0, 8)
		asks := 0
		for at := 55 * time.Minute; at < 65*time.Minute; at += time.Minute {
			for _, x := range w.tick(at) {
				if x.Ask != nil {
					asks++
				}
			}
		}
		if (asks == 1) != (interval == sparse) {
			t.Errorf("%v: asked %d times", interval, asks)
		}
		w.fix(66*time.Minute, 0, 8)
		for _, x := range w.tick(80 * time.Minute) {
			if x.Open != nil {
				t.Errorf("%v: %s although the answer said that all is well", interval, x.Open.Kind)
			}
		}
	}
}

// TestCheckInDue: one in every window, or it was missed; the next one heals it.
func TestCheckInDue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, StayIn, sparse)
	w.facts.Rules = nil
	w.facts.Rules = append(w.facts.Rules, Rule{ID: 1, Version: 1, Subject: 1, Kind: CheckInDue, Basis: "check", Params: DefaultParams(CheckInDue), Valid: Interval{From: t0.Add(-time.Hour)}})
	w.on(t, &w.facts.Rules[0], `{"rows":[{"from":"11:00","until":"12:00"},{"from":"17:00","until":"18:00"}]}`)
	w.tick(0)
	w.checkIn(65 * time.Minute)
	want(t, "in time", w.tick(3*time.Hour))
	want(t, "not over before the grace", w.tick(8*time.Hour+10*time.Minute))
	es := w.tick(9 * time.Hour)
	want(t, "missed", es, CheckMissed)
	if len(es) > 0 && !es[0].Open.At.Equal(t0.Add(8*time.Hour)) {
		t.Errorf("since %v", es[0].Open.At)
	}
	if got := closedKinds(w.checkIn(10 * time.Hour)); !slices.Equal(got, []ViolationKind{CheckMissed}) {
		t.Errorf("checked in: closed %v", got)
	}
}

// TestDeafIsNotSilence: nobody was silent while we did not listen; the clock begins anew when we do.
func TestDeafIsNotSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Silence, dense)
	w.fix(0, 0, 8)
	w.facts.Deaf = []Interval{{t0.Add(10 * time.Minute), t0.Add(3 * time.Hour)}}
	w.facts.Version++
	want(t, "deaf", w.tick(3*time.Hour+29*time.Minute))
	es := w.tick(3*time.Hour + 30*time.Minute)
	want(t, "listening, and still nothing", es, DeviceSilent)
	if len(es) > 0 && !es[0].Open.At.Equal(t0.Add(3*time.Hour)) {
		t.Errorf("silent since %v", es[0].Open.At)
	}
}
