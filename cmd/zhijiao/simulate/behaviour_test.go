package simulate_test

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
)

// everything is a world in which everything happens.
func everything(t testing.TB, people, wristbands, days, daily int) (simulate.Options, *simulate.World) {
	t.Helper()
	o := options(t)
	all := simulate.AllBehaviours()
	o.People, o.Wristbands, o.Both, o.Batch, o.Windows, o.Concern, o.Quirks, o.Misdeeds = people, wristbands, wristbands/3, 5, true, simulate.DemoConcern, all.Quirks, nil
	w, err := simulate.New(o)
	if err != nil {
		t.Fatal(err)
	}
	plan := w.Plan(all.Deeds, days, daily)
	if err := w.Do(plan); err != nil {
		t.Fatal(err)
	}
	o.Misdeeds = plan
	return o, w
}

func TestEveryBehaviourTakesPlaceAndIsJudged(t *testing.T) {
	t.Parallel()
	const days = 4
	o, w := everything(t, 200, 60, days, 40)
	end := o.Start.AddDate(0, 0, days)
	sent := map[devices.Kind]int{}
	opened, died, again, skewed := 0, 0, 0, 0
	last := map[devices.Serial]simulate.Message{}
	at := o.Start
	for m := range w.All(end) {
		if m.At.Before(at) {
			t.Fatalf("a message of %s after one of %s", m.At, at)
		}
		at = m.At
		if _, err := devices.AppendJSON(nil, m.Report()); err != nil {
			t.Fatalf("a message does not encode: %v", err)
		}
		for _, ob := range m.Observations {
			sent[m.Kind]++
			if ob.Health.Strap == devices.StrapOpen {
				opened++
			}
			if ob.Health.LastGasp != "" {
				died++
			}
			if ob.At.Sub(m.Sent) > time.Second {
				t.Errorf("%s tells a time later than it sent it", m.Serial)
			}
		}
		if x, ok := last[m.Serial]; ok && reflect.DeepEqual(x.Observations, m.Observations) {
			again++
		}
		if d := m.Sent.Sub(m.At).Abs(); d > time.Second {
			skewed++
		}
		last[m.Serial] = m
	}
	if opened == 0 || died == 0 || again == 0 || skewed == 0 || sent[devices.KindStatus] == 0 || sent[devices.KindCheckIn] == 0 {
		t.Errorf("%d with an open strap, %d last words, %d sent twice, %d by a clock that is off, %v", opened, died, again, skewed, sent)
	}
	type tally struct{ visible, all int }
	by := map[simulate.Deed]tally{}
	for _, m := range w.Truth(end) {
		x := by[m.Deed]
		x.all++
		if m.Visible {
			x.visible++
		}
		by[m.Deed] = x
		if m.Visible == (m.Why != "") {
			t.Errorf("%s by %s is visible: %v, because %q", m.Deed, m.Serial, m.Visible, m.Why)
		}
		if m.Kind == "" || !m.Until.After(m.From) && m.Visible {
			t.Errorf("%s by %s (%q) from %s until %s", m.Deed, m.Serial, m.Kind, m.From, m.Until)
		}
	}
	t.Log(by)
	for _, d := range simulate.AllBehaviours().Deeds {
		switch x := by[d]; {
		case x.all == 0:
			t.Errorf("%s does not take place", d)
		case d == simulate.LeaveWithoutPhone && x.visible > 0:
			t.Errorf("%s can be seen, by a phone at home", d)
		case d != simulate.LeaveWithoutPhone && x.visible == 0:
			t.Errorf("none of %d %s can be seen", x.all, d)
		}
	}
}

func TestTheStepChangesNothing(t *testing.T) {
	t.Parallel()
	live := func(step time.Duration) (ms []simulate.Message, truth []simulate.Truth) {
		o, w := everything(t, 80, 30, 2, 12)
		end := o.Start.AddDate(0, 0, 2)
		for at := o.Start; at.Before(end); at = at.Add(step) {
			ms = append(ms, w.Step(at.Add(step))...)
		}
		return ms, w.Truth(end)
	}
	a, x := live(time.Minute)
	b, y := live(12 * time.Hour)
	if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(x, y) {
		t.Errorf("%d messages and %d misdeeds by minutes, %d and %d by half days, or others", len(a), len(x), len(b), len(y))
	}
}

// TestQuirksMakeNobodyLeave: near the boundary, with jumps and bad clocks, nobody law-abiding is seen where two fixes running
// would be held against them.
func TestQuirksMakeNobodyLeave(t *testing.T) {
	t.Parallel()
	o, w := everything(t, 200, 40, 2, 0)
	near, jumps := 0, 0
	run := map[devices.Serial]int{}
	for m := range w.All(o.Start.AddDate(0, 0, 2)) {
		for _, ob := range m.Observations {
			if ob.Place == nil || ob.Place.Method != devices.MethodGNSS {
				continue
			}
			d := o.City.Distance(ob.Place.Lon, ob.Place.Lat)
			if d > -700 {
				near++
			}
			if ob.Place.Accuracy < 2 {
				jumps++
			}
			if run[m.Serial]++; d < 0 {
				run[m.Serial] = 0
			}
			if run[m.Serial] > 1 {
				t.Fatalf("%s keeps the law and is seen %.0f m outside, again", m.Serial, d)
			}
		}
	}
	if near == 0 || jumps == 0 {
		t.Errorf("%d fixes near the boundary, %d jumps", near, jumps)
	}
	if n := len(w.Truth(o.Start.AddDate(0, 0, 2))); n > 0 {
		t.Errorf("%d things went wrong where nothing was to", n)
	}
}

// TestManyPeopleAreNotHeld: what is sent is handed out as time goes on.
func TestManyPeopleAreNotHeld(t *testing.T) {
	t.Parallel()
	people := 1000
	if os.Getenv("ZHIJIAO_TEST_LONG") == "1" {
		people = 10_000
	}
	o, w := everything(t, people, people/20, 1, people/25)
	at, n := o.Start, 0
	for m := range w.All(o.Start.AddDate(0, 0, 1)) {
		if n++; m.At.Before(at) {
			t.Fatal("out of order")
		}
		at = m.At
		if n == 1 && m.At.Sub(o.Start) > 6*time.Minute {
			t.Errorf("the first message comes %v after the start", m.At.Sub(o.Start))
		}
	}
	if n < people*10 {
		t.Errorf("%d messages", n)
	}
}

func TestBehaviours(t *testing.T) {
	t.Parallel()
	all := simulate.AllBehaviours()
	for _, c := range []struct {
		list          string
		deeds, quirks int
		wrong         string
	}{
		{"all", len(all.Deeds), len(all.Quirks), ""},
		{"none", 0, 0, ""},
		{"", 0, 0, ""},
		{"leave_city, skew", 1, 1, ""},
		{"all,-area_outage,-jumps", len(all.Deeds) - 1, len(all.Quirks) - 1, ""},
		{"leave_city,leave_city", 1, 0, ""},
		{"fly", 0, 0, "fly"},
		{"all,-fly", 0, 0, "fly"},
	} {
		b, err := simulate.ParseBehaviours(c.list)
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) || !strings.Contains(err.Error(), "leave_city") {
				t.Errorf("%q: %v", c.list, err)
			}
			continue
		}
		if err != nil || len(b.Deeds) != c.deeds || len(b.Quirks) != c.quirks {
			t.Errorf("%q: %v, %v", c.list, b, err)
		}
	}
	help := simulate.DescribeBehaviours()
	for _, d := range all.Deeds {
		if !strings.Contains(help, string(d)) || d.Kind() == "" {
			t.Errorf("%s: kind %q, or the help text is silent about it", d, d.Kind())
		}
	}
}

func TestAPlanIsDrawnAsAsked(t *testing.T) {
	t.Parallel()
	o, _ := everything(t, 200, 60, 7, 20)
	_, w := everything(t, 200, 60, 7, 20)
	if len(o.Misdeeds) < 7*16 {
		t.Errorf("%d misdeeds in seven days of 20", len(o.Misdeeds))
	}
	again := w.Plan(simulate.AllBehaviours().Deeds, 7, 20)
	if !reflect.DeepEqual(again, o.Misdeeds) {
		t.Error("the same options give another plan")
	}
	// Nobody does two things on two days running, and nothing after the strap was open.
	days := map[int][]simulate.Misdeed{}
	for _, m := range o.Misdeeds {
		for _, p := range append([]int{m.Person}, m.With...) {
			days[p] = append(days[p], m)
		}
	}
	for p, ms := range days {
		if p < 0 {
			continue
		}
		slices.SortFunc(ms, func(a, b simulate.Misdeed) int { return int(a.After - b.After) })
		for i := 1; i < len(ms); i++ {
			if ms[i-1].Deed == simulate.OpenStrap || ms[i].After-ms[i-1].After-ms[i-1].Duration < 12*time.Hour {
				t.Errorf("person %d: %s at %v and %s at %v", p, ms[i-1].Deed, ms[i-1].After, ms[i].Deed, ms[i].After)
			}
		}
	}
}

// A device that is told something does it once, and says so each time; what it cannot do it says as well.
func TestDevicesCarryOutCommands(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Misdeeds = nil
	w, err := simulate.New(o)
	if err != nil {
		t.Fatal(err)
	}
	at := o.Start.Add(10 * time.Minute)
	var band, phone devices.Serial
	for _, m := range w.Step(at) {
		if m.Kind == devices.KindFix {
			band = m.Serial
		}
	}
	for m := range w.All(at.Add(24 * time.Hour)) {
		if m.Kind == devices.KindCheckIn {
			phone, at = m.Serial, m.At
			break
		}
	}
	if band == "" || phone == "" {
		t.Fatal("nobody speaks")
	}
	tell := func(serial devices.Serial, id devices.CommandID, kind devices.CommandKind) {
		w.Tell(serial, devices.CommandMessage{ID: id, Kind: kind, At: at, Expires: at.Add(time.Hour), Every: 10 * time.Second}, at)
	}
	tell(band, 1, devices.CommandInterval)
	tell(band, 2, devices.CommandLocate)
	tell(band, 2, devices.CommandLocate)
	tell(phone, 3, devices.CommandInterval)
	tell(phone, 4, devices.CommandText)
	tell(band, 5, "sing")
	w.Tell(band, devices.CommandMessage{ID: 6, Kind: devices.CommandVibrate, Expires: at}, at) // too late
	said := map[devices.CommandID][]devices.CommandOutcome{}
	places, fixes := 0, 0
	for m := range w.All(at.Add(5 * time.Minute)) {
		for _, o := range m.Observations {
			if m.Serial == band && o.Command == 0 {
				fixes++
			}
			if o.Command == 0 {
				continue
			}
			said[o.Command] = append(said[o.Command], o.Outcome)
			if o.Place != nil {
				places++
			}
		}
	}
	want := map[devices.CommandID][]devices.CommandOutcome{1: {"done"}, 2: {"done", "done"}, 3: {"unsupported"}, 4: {"done"}, 5: {"unsupported"}}
	if !reflect.DeepEqual(said, want) || places != 1 {
		t.Errorf("%v, %d places", said, places)
	}
	if fixes < 25 {
		t.Errorf("%d reports in 5 minutes at one in 10 s", fixes)
	}
}
