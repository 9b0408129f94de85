package geofence

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// telling is the engine without its database: what came, what was said, and the state between.
type telling struct {
	t       testing.TB
	s       *subject
	now     time.Time
	history []Past
	known   []*episode
	kept    []checkpoint
	dirty   time.Time
	judged  int // observations that derivations judged
	passes  int
	told    []string
	asked   Asked
}

func newTelling(t testing.TB, f *Facts) *telling {
	return &telling{t: t, s: &subject{id: 1, known: &subjectFacts{facts: f}}}
}

func (w *telling) applying() *applying {
	a := &applying{engine: &Engine{log: slog.New(slog.DiscardHandler)}, open: map[episodeKey]*episode{}, checks: map[checkKey]*pendingCheck{}}
	for _, v := range w.known {
		v.dirty, v.fresh = false, false
		if v.State == ViolationOpen {
			a.open[episodeKey{1, v.Rule, v.Kind}] = v
		}
	}
	for i := range 1000 {
		a.ids, a.checkIDs = append(a.ids, ViolationID(len(w.known)+i+1)), append(a.checkIDs, id.Check(i+1))
	}
	return a
}

func (w *telling) done(a *applying) {
	for _, v := range a.episodes {
		if v.fresh {
			w.known = append(w.known, v)
		}
	}
	for _, c := range a.touched {
		if c.fresh {
			w.asked.Demands = append(w.asked.Demands, DemandFact{c.rule, c.because, c.asked, c.due})
		}
	}
	for _, e := range a.entries {
		if strings.HasPrefix(e.Kind, "violation.") {
			w.told = append(w.told, e.Kind)
		}
	}
}

// take takes an input in as the engine does.
func (w *telling) take(in *Input) {
	w.t.Helper()
	w.now = later(in.Now, w.now)
	effects, _ := evaluate(w.s, in, w.now, nil, nil)
	w.kept = append(w.kept, w.s.checkpoints...)
	w.s.checkpoints = nil
	a := w.applying()
	for i := range effects {
		if err := a.one(&effects[i]); err != nil {
			w.t.Fatal(err)
		}
	}
	w.done(a)
	if in.Observed != nil {
		w.history = append(w.history, Past{*in.Observed, in.Binding, in.Flags})
	}
	if d := w.s.dirty; !d.IsZero() && (w.dirty.IsZero() || d.Before(w.dirty)) {
		w.dirty = d
	}
	w.s.dirty = time.Time{}
}

// derive derives the past again from where it is dirty.
func (w *telling) derive() {
	w.t.Helper()
	if w.dirty.IsZero() {
		return
	}
	w.passes++
	var base State
	slices.SortStableFunc(w.kept, func(a, b checkpoint) int { return a.at.Compare(b.at) })
	for _, c := range w.kept {
		if c.at.Before(w.dirty) {
			base = State{}
			if err := json.Unmarshal(c.state, &base); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	d := NewDerivation(base, w.s.known.facts, &w.asked, w.s.state.Since, w.dirty, w.now)
	slices.SortStableFunc(w.history, func(a, b Past) int {
		return cmp.Or(a.Observation.At.Compare(b.Observation.At), cmp.Compare(a.Binding.Device, b.Binding.Device), cmp.Compare(a.Observation.Seq, b.Observation.Seq))
	})
	for i := range w.history {
		p := &w.history[i]
		in := Input{At: p.Observation.At, Observed: &p.Observation, Binding: p.Binding}
		if d.base.Front.after(&in) {
			continue
		}
		if err := d.Take(p); err != nil {
			w.t.Fatal(err)
		}
	}
	d.Finish(w.s.state.Front.At)
	w.judged += d.Evaluated
	a := w.applying()
	r := derivingRound{now: w.now, subject: w.s}
	matches := reconcile(undecided(slices.DeleteFunc(slices.Clone(w.known), func(v *episode) bool { return v.State == ViolationWithdrawn }), d.base), d.Episodes.List)
	for i := range matches {
		if err := r.settle(a, &matches[i], d); err != nil {
			w.t.Fatal(err)
		}
	}
	w.done(a)
	w.kept = slices.DeleteFunc(w.kept, func(c checkpoint) bool { return !c.at.Before(w.dirty) })
	w.kept = append(w.kept, d.checkpoints...)
	w.s.state, w.dirty = d.State, time.Time{}
}

// final is the set that must not depend on the order of arrival. Demands are made on what was known, so what became of
// them is not in it.
func (w *telling) final() []string {
	var out []string
	for _, v := range w.known {
		if v.State == ViolationWithdrawn || v.Kind == CheckUnanswered {
			continue
		}
		e := v.evidence
		for _, x := range []*Evidence{&e.Opened, e.Closed} {
			if x != nil {
				x.Now = time.Time{}
			}
		}
		grounds, _ := json.Marshal([]any{e.Opened.Fixes, e.Opened.At, e.Closed})
		h := fnv.New32()
		h.Write(grounds)
		out = append(out, fmt.Sprintf("rule %d %s %s to %s on %x", v.Rule, v.Kind, v.OpenedAt.Format(time.TimeOnly), v.ClosedAt.Format(time.TimeOnly), h.Sum32()))
	}
	slices.Sort(out)
	return out
}

// story is some hours of a subject with a wristband and a phone: near the edge, out and back, into and through a place to
// keep out of, silent for a while.
func story(r *rand.Rand, f *Facts, hours int) (out []Past) {
	scale, _ := degreeScale(30.65)
	for c := range f.Bindings {
		b := &f.Bindings[c]
		every, seq, east := time.Minute, int64(0), 0.0
		if b.Class == devices.Phone {
			every = 25 * time.Minute
		}
		for at := t0.Add(time.Duration(c) * time.Second); at.Before(t0.Add(time.Duration(hours) * time.Hour)); at = at.Add(every/2 + time.Duration(r.Int64N(int64(every)))) {
			if r.IntN(60) == 0 {
				at = at.Add(time.Duration(r.IntN(90)) * time.Minute)
			}
			switch r.IntN(12) {
			case 0:
				east = r.Float64() * 8000
			case 1:
				east = 4950 + r.Float64()*200
			default:
				east += r.NormFloat64() * 300
			}
			seq++
			o := devices.Observation{Kind: devices.KindFix, Seq: seq, At: at.Truncate(time.Millisecond), Place: &devices.Place{Lon: 113.16 + east/scale, Lat: 30.65,
				Accuracy: 5 + 30*r.Float64(), Method: []devices.Method{devices.MethodGNSS, devices.MethodGNSS, devices.MethodGNSS, devices.MethodWiFi, devices.MethodCell}[r.IntN(5)]}}
			battery := r.IntN(100)
			switch r.IntN(40) {
			case 0:
				o.Place, o.Kind, o.Health.Strap = nil, devices.KindStatus, devices.StrapOpen
			case 1, 2:
				o.Place, o.Kind, o.Health.Battery = nil, devices.KindStatus, &battery
			case 3:
				o.Place, o.Kind, o.Health.LastGasp = nil, devices.KindStatus, "power_off"
			case 4, 5, 6:
				o.Kind = devices.KindCheckIn
			}
			out = append(out, Past{Observation: o, Binding: b})
		}
	}
	slices.SortStableFunc(out, func(a, b Past) int { return a.Observation.At.Compare(b.Observation.At) })
	return out
}

// watched is a subject with a wristband and a phone, held to a zone, to keep out of another, and to be heard.
func watched(t testing.TB) *Facts {
	w := newWorld(t, StayIn, dense)
	w.withPhone()
	f := &w.facts
	f.Zones[2] = []*Zone{squareAt(t, 2, 113.16+3000/95_700.0, 30.65, 700)}
	for i, k := range []RuleKind{KeepOut, Silence, Silence, Strap, Power, Location, Dwell, Separation, Presence, CheckInDue, StayIn} {
		r := f.Rules[0]
		r.ID, r.Kind, r.Params, r.Zone = RuleID(2+i), k, DefaultParams(k), 0
		if len(kinds[k].zones) > 0 {
			r.Zone = 2
		}
		if i == 2 {
			r.Params.Class = devices.Phone
		}
		if kinds[k].timed || i == 10 {
			r.Schedule = 1
		}
		if k == Dwell {
			r.Params.DwellAfter = 10 * time.Minute
		}
		f.Rules = append(f.Rules, r)
	}
	s, err := ParseSchedule([]byte(`{"rows":[{"from":"10:30","until":"11:30"},{"from":"12:00","until":"12:45"},{"from":"14:10","until":"16:00"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	f.Schedules = map[ScheduleID][]ScheduleVersion{1: {{Interval{}, s}}}
	f.Attachments = []AttachmentFact{{t0.Add(100 * time.Minute), ResetConfirmed}, {t0.Add(4 * time.Hour), SeparationAccepted}, {t0.Add(270 * time.Minute), ResetConfirmed}}
	f.Deaf = []Interval{{t0.Add(130 * time.Minute), t0.Add(140 * time.Minute)}}
	return f
}

// inOrder is what is found when everything comes at once and in order.
func inOrder(t testing.TB, f *Facts, story []Past, end time.Time) *telling {
	w := newTelling(t, f)
	w.take(&Input{At: t0.Add(-time.Second), Now: t0})
	for i := range story {
		p := &story[i]
		w.take(&Input{At: p.Observation.At, Now: p.Observation.At, Observed: &p.Observation, Binding: p.Binding})
	}
	w.take(&Input{At: end, Now: end})
	return w
}

// TestFinalSetDoesNotDependOnTheOrderOfArrival_R36: whatever is shuffled, held back and derived on the way, what is found
// in the end is what is found in order: the same rules, kinds, beginnings, ends and grounds.
func TestFinalSetDoesNotDependOnTheOrderOfArrival_R36(t *testing.T) {
	t.Parallel()
	f := watched(t)
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 7))
		const hours = 5
		told := story(r, f, hours)
		end := t0.Add((hours + 3) * time.Hour)
		want := inOrder(t, f, told, end)
		if want.dirty != (time.Time{}) {
			rt.Fatal("in order, and yet dirty")
		}

		type arrival struct {
			at time.Time
			p  *Past
		}
		var mail []arrival
		backlog := r.IntN(2) == 0
		for i := range told {
			p := &told[i]
			at := p.Observation.At
			switch {
			case backlog && p.Binding.Class == devices.Wristband && at.After(t0.Add(time.Hour)) && at.Before(t0.Add(4*time.Hour)):
				at = t0.Add(4 * time.Hour) // an offline backlog, at once
			case r.IntN(4) == 0:
				at = at.Add(time.Duration(r.Int64N(int64(2 * time.Hour))))
			default:
				at = at.Add(time.Duration(r.IntN(3000)) * time.Millisecond)
			}
			mail = append(mail, arrival{at, p})
		}
		slices.SortStableFunc(mail, func(a, b arrival) int { return a.at.Compare(b.at) })
		got := newTelling(t, f)
		got.take(&Input{At: t0.Add(-time.Second), Now: t0})
		for _, m := range mail {
			if r.IntN(10) == 0 {
				got.take(&Input{At: m.at, Now: m.at}) // the clock is looked at
			}
			if r.IntN(40) == 0 {
				got.derive()
			}
			got.take(&Input{At: m.p.Observation.At, Now: m.at, Observed: &m.p.Observation, Binding: m.p.Binding})
		}
		got.take(&Input{At: end, Now: end})
		got.derive()
		got.take(&Input{At: end, Now: end}) // timers of what was derived
		a, b := want.final(), got.final()
		if !slices.Equal(a, b) {
			rt.Fatalf("only in order:\n%s\nonly as it came:\n%s", without(a, b), without(b, a))
		}
		if len(a) == 0 && r.IntN(3) == 0 {
			rt.Skip("nothing happened")
		}
		wantState, _ := json.Marshal(forgetful(want.s.state))
		gotState, _ := json.Marshal(forgetful(got.s.state))
		if string(wantState) != string(gotState) {
			rt.Fatalf("states differ:\n%s\n%s", wantState, gotState)
		}
	})
}

// without are the lines of a that b has not.
func without(a, b []string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(a), func(l string) bool { return slices.Contains(b, l) }), "\n")
}

// forgetful is a state without what was asked: that depends on when we knew.
func forgetful(s State) State {
	s = s.clone()
	s.Front = Front{} // the timer of a demand may be the last thing that happened
	for i := range s.Rules {
		rs := &s.Rules[i]
		rs.Ask, rs.AskedAt, rs.Unheard, rs.UnheardAt = nil, time.Time{}, "", time.Time{}
	}
	return s
}

// TestDerivingAgainChangesNothing_R36: what was found in order is found again, from any checkpoint, and nothing is told.
func TestDerivingAgainChangesNothing_R36(t *testing.T) {
	t.Parallel()
	f := watched(t)
	found := 0
	for seed := range uint64(40) {
		if t.Failed() {
			break
		}
		r := rand.New(rand.NewPCG(seed, 8))
		w := inOrder(t, f, story(r, f, 5), t0.Add(8*time.Hour))
		before, said := w.final(), len(w.told)
		found += len(before)
		for range 4 {
			w.dirty = t0.Add(time.Duration(r.Int64N(int64(8 * time.Hour))))
			w.derive()
		}
		if after := w.final(); !slices.Equal(before, after) || len(w.told) != said {
			t.Errorf("seed %d: told %v\nbefore:\n%s\nafter:\n%s", seed, w.told[said:], strings.Join(before, "\n"), strings.Join(after, "\n"))
		}
	}
	if found < 40 {
		t.Errorf("only %d episodes: the stories are dull", found)
	}
}

// TestBacklogCostsOnePass_R36: a three-day backlog that comes at once is judged no more than three times.
func TestBacklogCostsOnePass_R36(t *testing.T) {
	t.Parallel()
	f := watched(t)
	r := rand.New(rand.NewPCG(3, 9))
	told := story(r, f, 72)
	w := newTelling(t, f)
	w.take(&Input{At: t0.Add(-time.Second), Now: t0})
	now := t0.Add(72 * time.Hour)
	w.take(&Input{At: now, Now: now}) // the clock went on meanwhile
	for i := range told {
		p := &told[i]
		w.take(&Input{At: p.Observation.At, Now: now, Observed: &p.Observation, Binding: p.Binding})
	}
	w.derive()
	w.take(&Input{At: now, Now: now})
	if w.passes != 1 || w.judged > 3*len(told) || w.judged < len(told) {
		t.Errorf("%d observations were judged %d times in %d passes", len(told), w.judged, w.passes)
	}
	want := inOrder(t, f, told, now)
	if a, b := want.final(), w.final(); !slices.Equal(a, b) {
		t.Errorf("only in order:\n%s\nonly as a backlog:\n%s", without(a, b), without(b, a))
	}
}
