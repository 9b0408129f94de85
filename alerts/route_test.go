package alerts

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// at is an instant in Tianmen: 2026-11-23 is a Monday.
func at(day, hour, minute int) time.Time {
	return time.Date(2026, 11, day, hour, minute, 0, 0, shanghai)
}

func weekends(t time.Time) bool {
	d := t.In(shanghai).Weekday()
	return d == time.Saturday || d == time.Sunday
}

// TestRoutes_R56: by day the office and the command centre have it, by night and on days off the watch; a matter for the morning waits for the first
// morning that is worked, and is the office's from then on; a lead is never a matter for the night; who is last has it for good.
func TestRoutes_R56(t *testing.T) {
	t.Parallel()
	alarm := handling{class: Alarm, acknowledge: 2 * time.Minute, escalate: 5 * time.Minute, day: []string{"office+centre", Leader}, night: []string{Watch, Leader, Police}}
	quiet := handling{class: Reminder, acknowledge: time.Hour, escalate: time.Hour, day: []string{Office}, night: []string{Morning}}
	weekly := handling{class: Lead, acknowledge: 2 * time.Hour, day: []string{Weekly}, night: []string{Weekly}}
	for name, c := range map[string]struct {
		h         handling
		class     Class
		at        time.Time
		route     []string
		due, next time.Time
	}{
		"an alarm by day":             {alarm, Alarm, at(23, 10, 0), alarm.day, at(23, 10, 2), at(23, 10, 5)},
		"the last minute of the day":  {alarm, Alarm, at(23, 21, 59), alarm.day, at(23, 22, 1), at(23, 22, 4)},
		"an alarm by night":           {alarm, Alarm, at(23, 22, 0), alarm.night, at(23, 22, 2), at(23, 22, 5)},
		"before seven":                {alarm, Alarm, at(24, 6, 59), alarm.night, at(24, 7, 1), at(24, 7, 4)},
		"on a day off":                {alarm, Alarm, at(28, 11, 0), alarm.night, at(28, 11, 2), at(28, 11, 5)},
		"a reminder by day":           {quiet, Reminder, at(23, 10, 0), quiet.day, at(23, 11, 0), time.Time{}},
		"a reminder by night":         {quiet, Reminder, at(23, 23, 0), []string{Morning, Office}, at(24, 9, 30), at(24, 8, 30)},
		"after midnight":              {quiet, Reminder, at(24, 0, 30), []string{Morning, Office}, at(24, 9, 30), at(24, 8, 30)},
		"a reminder before a weekend": {quiet, Reminder, at(27, 22, 30), []string{Morning, Office}, at(30, 9, 30), at(30, 8, 30)},
		"a lead by day":               {alarm, Lead, at(23, 10, 0), []string{Morning, Office}, at(24, 8, 32), at(24, 8, 30)},
		"a lead by night":             {alarm, Lead, at(23, 23, 0), []string{Morning, Office}, at(24, 8, 32), at(24, 8, 30)},
		"a matter for the week":       {weekly, Lead, at(23, 23, 0), []string{Weekly}, at(30, 23, 0), time.Time{}},
	} {
		a := Alert{Class: c.class}
		assign(&a, c.h, c.at, weekends)
		if !slices.Equal(a.Route, c.route) || !a.DueAt.Equal(c.due) || !a.EscalatesAt.Equal(c.next) || a.Step != 0 {
			t.Errorf("%s: %v due %v, goes on %v", name, a.Route, a.DueAt.In(shanghai), a.EscalatesAt.In(shanghai))
		}
	}
	a := Alert{Class: Alarm}
	assign(&a, alarm, at(23, 23, 0), weekends)
	for _, want := range []string{Leader, Police} {
		goOn(&a, alarm, a.EscalatesAt)
		if got := a.With(); !slices.Equal(got, []string{want}) {
			t.Errorf("with %v, want %s", got, want)
		}
	}
	if !a.EscalatesAt.IsZero() {
		t.Error("it goes on from the last")
	}
	assign(&a, alarm, at(23, 10, 0), weekends)
	if got := a.With(); !slices.Equal(got, []string{Office, Centre}) {
		t.Errorf("with %v", got)
	}
}

// TestEveryAlertReachesSomebody_R56: whatever the table says and whenever it is, an alert is with somebody, is due after now, and the way on ends.
func TestEveryAlertReachesSomebody_R56(t *testing.T) {
	t.Parallel()
	who := []string{Office, Centre, Watch, Leader, Police, Morning, Weekly, "office+centre"}
	rapid.Check(t, func(t *rapid.T) {
		h := handling{acknowledge: time.Duration(rapid.IntRange(1, 86400).Draw(t, "acknowledge")) * time.Second}
		h.escalate = h.acknowledge + time.Duration(rapid.IntRange(0, 86400).Draw(t, "escalate"))*time.Second
		h.day = rapid.SliceOfN(rapid.SampledFrom(who), 1, 5).Draw(t, "day")
		h.night = rapid.SliceOfN(rapid.SampledFrom(who), 1, 5).Draw(t, "night")
		now := at(1, 0, 0).Add(time.Duration(rapid.IntRange(0, 60*86400).Draw(t, "now")) * time.Second)
		a := Alert{Class: rapid.SampledFrom([]Class{Alarm, Reminder, Lead}).Draw(t, "class")}
		assign(&a, h, now, weekends)
		if !a.DueAt.After(now) {
			t.Fatalf("due %v at %v", a.DueAt, now)
		}
		if h.class == Lead && a.Route[0] != Morning && a.Route[0] != Weekly {
			t.Fatalf("a lead is with %v", a.Route)
		}
		for n := 0; !a.EscalatesAt.IsZero(); n++ {
			if n > 5 || !a.EscalatesAt.After(now) {
				t.Fatalf("it goes on for ever, or back: %v", a.Route)
			}
			now = a.EscalatesAt
			goOn(&a, h, now)
			if len(a.With()) == 0 {
				t.Fatal("it is with nobody")
			}
		}
	})
}
