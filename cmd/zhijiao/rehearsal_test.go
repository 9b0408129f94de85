package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
)

// toldBy is by which kinds of alert a kind of violation is told. A kind that the platform cannot tell yet is not in it.
var toldBy = map[string][]string{
	"left_zone":      {"left_zone", "check_unanswered"}, // a phone that is asked and does not answer
	"entered_zone":   {"entered_zone", "check_unanswered"},
	"passed_through": {"passed_through", "entered_zone"},
	"device_silent":  {"device_silent"},
	"power_lost":     {"power_lost"},
	"location_lost":  {"location_lost"},
	"strap_opened":   {"strap_opened"},
	"separated":      {"separated"},
	"absent":         {"absent", "left_zone", "check_unanswered", "unverified"}, // at night by the edge of home, at the office by a look
	"dwelt":          {"dwelt"},
	"near":           {"near"},
	"gathered":       {"gathered"},
	"area_outage":    {}, // is told as an incident, not as an alert
}

// alerted is an alert as the test looks at it.
type alerted struct {
	Person int // index in the world
	Kind   string
	Class  string
	At     time.Time
	Until  time.Time // of the violation; far away while it is open
}

func (a alerted) String() string {
	return fmt.Sprintf("%s %s of person %d, %s to %s", a.Class, a.Kind, a.Person, clocked(a.At), clocked(a.Until))
}

func clocked(t time.Time) string { return t.In(shanghai).Format("01-02 15:04") }

// alertsOf are the alerts that were raised, also those that were withdrawn when what came late refuted them.
func alertsOf(t testing.TB, app *App) []alerted {
	t.Helper()
	rows, err := app.pool.Query(t.Context(), `SELECT substr(s.local_no, 4)::int - 1, a.kind, a.class, a.opened_at, coalesce(v.closed_at, '9999-01-01')
		FROM alert a JOIN violation v USING (violation_id) JOIN subject s ON s.subject_id = a.subject_id ORDER BY a.alert_id`)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[alerted])
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// areaAway is an outage as the test looks at it.
type areaAway struct {
	Key          string
	Since, Until time.Time
}

func outagesOf(t testing.TB, app *App) []areaAway {
	t.Helper()
	rows, err := app.pool.Query(t.Context(), `SELECT key, since, coalesce(ended_at, '9999-01-01') FROM outage WHERE scope = 'operator'`)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[areaAway])
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// tells reports whether an alert is about a misdeed: of the right kind and person, and there while it went on.
func tells(a *alerted, m *simulate.Truth) bool {
	return (a.Person == m.Person || slices.Contains(m.With, serialOf(a.Person))) && slices.Contains(toldBy[m.Kind], a.Kind) &&
		!a.At.After(m.Until.Add(15*time.Minute)) && a.Until.After(m.From.Add(-15*time.Minute))
}

func serialOf(person int) devices.Serial {
	return devices.Serial(fmt.Sprintf("%sW%05d", simulate.SerialPrefix, person+1))
}

// met reports whether an alert tells of a meeting that nobody planned and that was: two who may not meet wait in the same
// office on a Monday morning.
func met(w *simulate.World, a *alerted) bool {
	if a.Kind != "near" {
		return false
	}
	for t := a.At.Add(-time.Minute); t.Before(a.At.Add(5 * time.Minute)); t = t.Add(10 * time.Second) {
		if w.Near(a.Person, t, 100) {
			return true
		}
	}
	return false
}

// hold holds alerts against the truth: everything that what was sent could show has its alert, and every 报警 is about
// something that was.
func hold(t testing.TB, w *simulate.World, truth []simulate.Truth, raised []alerted, away []areaAway) {
	t.Helper()
	visible, told, beyond := 0, 0, map[string]int{}
	for i := range truth {
		m := &truth[i]
		if toldBy[m.Kind] == nil {
			beyond[m.Kind]++
			continue
		}
		if !m.Visible {
			continue
		}
		visible++
		if m.Kind == "area_outage" && slices.ContainsFunc(away, func(a areaAway) bool {
			return a.Key == m.Operator && a.Since.Before(m.Until) && a.Until.After(m.From)
		}) || slices.ContainsFunc(raised, func(a alerted) bool { return tells(&a, m) }) {
			told++
		} else {
			t.Errorf("no alert: person %d (%s) %s, %s to %s, %d fixes", m.Person, m.Serial, m.Deed, clocked(m.From), clocked(m.Until), m.Fixes)
		}
	}
	for i := range raised {
		a := &raised[i]
		if a.Class == "alarm" && !met(w, a) && !slices.ContainsFunc(truth, func(m simulate.Truth) bool { return tells(a, &m) }) {
			t.Errorf("a 报警 about nothing: %v", a)
		}
	}
	judged := len(truth)
	for _, n := range beyond {
		judged -= n
	}
	t.Logf("%d things went wrong of kinds that are told, %d of others (%v); what was sent could not show %d of them (%.0f %%); of the %d others %d have an alert",
		judged, len(truth)-judged, beyond, judged-visible, 100*float64(judged-visible)/float64(max(judged, 1)), visible, told)
}

// TestAWeekOfEverything: people with everything that goes wrong and everything that is odd, dense and sparse, through
// broker, PostGIS, engine and alerts. Long (make check-long): 500 people and a week.
func TestAWeekOfEverything(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	r := rehearsal{people: 120, wristbands: 20, days: 1, misdeeds: 16, seed: 5, batch: 5, step: longestStep, behaviours: simulate.AllBehaviours()}
	if os.Getenv("ZHIJIAO_TEST_LONG") == "1" {
		r.people, r.wristbands, r.days, r.misdeeds = 500, 25, 7, 20
	}
	app := rehearseStepped(t, time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)) // midnight in Tianmen, and a Monday
	began := time.Now()
	truth, err := r.live(t.Context(), app, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d people, %d with wristbands, lived %d days in %v", r.people, r.wristbands, r.days, time.Since(began).Round(time.Second))
	hold(t, r.lived, truth, alertsOf(t, app), outagesOf(t, app))
	counts, err := devices.LoadCounts(t.Context(), app.pool)
	if err != nil {
		t.Fatal(err)
	}
	// A clock that is behind tells of times before its device was enrolled.
	early := counts[devices.CountKey{Kind: devices.KindFix, Outcome: devices.Withheld, Reason: devices.NotEnrolled}]
	if counts.Open() != 0 || counts.Total(devices.Rejected) != 0 || counts.Total(devices.Withheld) != early || counts.Total(devices.Duplicate) == 0 {
		t.Errorf("open %d, rejected %d, withheld %d, duplicate %d: %v", counts.Open(), counts.Total(devices.Rejected), counts.Total(devices.Withheld), counts.Total(devices.Duplicate), counts)
	}
	if err := replayCheck(t.Context(), app.pool, 0, t.Output(), io.Discard); err != nil {
		t.Error(err)
	}
}
