package simulate_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
)

func tianmen(t testing.TB) *simulate.Outline {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("..", "demo", "tianmen_demo.geojson"))
	if err != nil {
		t.Fatal(err)
	}
	o, err := simulate.ReadOutline(doc)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func options(t testing.TB) simulate.Options {
	o := simulate.Options{
		Seed: 7, People: 50, Wristbands: 12, Start: time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC), City: tianmen(t),
		KeepOut:   simulate.Circle{Lon: simulate.DemoKeepOut.Lon, Lat: simulate.DemoKeepOut.Lat, RadiusM: simulate.DemoKeepOut.RadiusM},
		KeepOutAt: simulate.DemoKeepOut.Town, Outside: simulate.TianmenOutside(),
		Misdeeds: []simulate.Misdeed{
			{Person: 0, Deed: simulate.LeaveCity, After: 9 * time.Hour, Duration: 4 * time.Hour},
			{Person: 1, Deed: simulate.EnterKeepOut, After: 10 * time.Hour, Duration: time.Hour},
			{Person: 2, Deed: simulate.FallSilent, After: 11 * time.Hour, Duration: 3 * time.Hour},
			{Person: 20, Deed: simulate.LeaveCity, After: 12 * time.Hour, Duration: 6 * time.Hour},
		},
	}
	for _, f := range simulate.TianmenOffices() {
		o.Towns = append(o.Towns, f.Town)
	}
	return o
}

func TestOfficesLieInTheCityAndTheOtherPlacesDoNot(t *testing.T) {
	t.Parallel()
	city := tianmen(t)
	offices := simulate.TianmenOffices()
	if len(offices) != 26 {
		t.Errorf("%d offices, want 26", len(offices))
	}
	for _, o := range offices {
		if d := city.Distance(o.Lon, o.Lat); d > -2500 {
			t.Errorf("%s lies %.0f m from the edge (negative: inside); its people need room", o.Name, d)
		}
	}
	for _, o := range simulate.TianmenOutside() {
		if d := city.Distance(o.Lon, o.Lat); d < 1000 {
			t.Errorf("%s lies %.0f m from the edge, which is not clearly outside", o.Name, d)
		}
	}
}

func TestSameSeedSameDay(t *testing.T) {
	t.Parallel()
	day := func(step time.Duration) []simulate.Message {
		o := options(t)
		w, err := simulate.New(o)
		if err != nil {
			t.Fatal(err)
		}
		var ms []simulate.Message
		for at := o.Start; at.Before(o.Start.Add(24 * time.Hour)); at = at.Add(step) {
			ms = append(ms, w.Step(at.Add(step))...)
		}
		return ms
	}
	a, b := day(time.Minute), day(time.Hour)
	if len(a) == 0 || len(a) != len(b) {
		t.Fatalf("%d messages stepped by minutes, %d by hours", len(a), len(b))
	}
	for i := range a {
		if !reflect.DeepEqual(a[i], b[i]) {
			t.Fatalf("message %d differs with the step", i)
		}
	}
}

func TestPeopleKeepTheLawUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	o := options(t)
	w, err := simulate.New(o)
	if err != nil {
		t.Fatal(err)
	}
	bad := map[int]bool{}
	for _, m := range o.Misdeeds {
		bad[m.Person] = true
	}
	fixes, checks := 0, 0
	for _, m := range w.Step(o.Start.Add(24 * time.Hour)) {
		for _, ob := range m.Observations {
			if m.Kind == devices.KindFix {
				fixes++
			} else {
				checks++
			}
			if bad[m.Person] || ob.Place.Method == devices.MethodCell {
				continue
			}
			if d := o.City.Distance(ob.Place.Lon, ob.Place.Lat); d > -500 {
				t.Errorf("person %d was told to stay and was seen %.0f m from the edge", m.Person, d)
			}
			if d := o.KeepOut.Distance(ob.Place.Lon, ob.Place.Lat); d < 250 {
				t.Errorf("person %d was seen %.0f m from the prohibited place", m.Person, d)
			}
		}
		if _, err := devices.AppendJSON(nil, m.Report()); err != nil {
			t.Fatalf("a message does not encode: %v", err)
		}
	}
	if checks != 38*3 {
		t.Errorf("%d check-ins by 38 phones, want three each", checks)
	}
	if fixes < 12*1440*9/10-3*60 || fixes > 12*1440 {
		t.Errorf("%d fixes by 12 wristbands in a day", fixes)
	}
	for _, tr := range w.Truth(o.Start.Add(24 * time.Hour)) {
		if !tr.Visible {
			t.Errorf("nothing that was sent shows that person %d did %s: %s", tr.Person, tr.Deed, tr.Why)
		}
	}
}

func TestDemandIsAnswered(t *testing.T) {
	t.Parallel()
	o := options(t)
	w, err := simulate.New(o)
	if err != nil {
		t.Fatal(err)
	}
	at := o.Start.Add(10 * time.Hour)
	w.Step(at)
	w.Demand(w.Serial(30), 4711, at)
	for _, m := range w.Step(at.Add(10 * time.Minute)) {
		if m.Person == 30 && m.Observations[0].Answers == 4711 {
			return
		}
	}
	t.Error("the demand was not answered within ten minutes")
}

func TestIdentityNumbersAreNobodys_R120(t *testing.T) {
	t.Parallel()
	weights := []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	for n := range 3000 {
		id := simulate.InventedIDNumber(n)
		if len(id) != 18 {
			t.Fatalf("%q has not 18 characters", id)
		}
		sum := 0
		for i, w := range weights {
			sum += int(id[i]-'0') * w
		}
		if "10X98765432"[sum%11] == id[17] {
			t.Fatalf("%s has a right check digit", id)
		}
	}
}

func TestAWorldGoesOnAndForgets(t *testing.T) {
	t.Parallel()
	o := options(t)
	w, err := simulate.New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.Step(o.Start.Add(24 * time.Hour))
	now := o.Start.Add(24 * time.Hour)
	lon, lat := w.At(5, now)
	later := []simulate.Misdeed{{Person: 5, Deed: simulate.LeaveCity, After: 36 * time.Hour, Duration: 2 * time.Hour}}
	if err := w.Add(now, later); err != nil {
		t.Fatal(err)
	}
	if x, y := w.At(5, now); x != lon || y != lat {
		t.Error("what people will do moves where they are")
	}
	w.Step(o.Start.Add(40 * time.Hour))
	truth := w.Truth(o.Start.Add(40 * time.Hour))
	if len(truth) != 2 || truth[1].Person != 5 || truth[1].From.Before(o.Start.Add(36*time.Hour)) || truth[1].From.After(o.Start.Add(37*time.Hour)) {
		t.Errorf("the truth is %v; want who is away for six hours more, and the new one", truth)
	}
	if err := w.Add(now, []simulate.Misdeed{{Person: 999, Deed: simulate.LeaveCity, Duration: time.Hour}}); err == nil {
		t.Error("somebody who is not there does something")
	}
}
