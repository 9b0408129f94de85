package geofence

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// naive says minute by minute what a schedule means.
func naive(s *Schedule, c *Calendar, t time.Time) bool {
	for _, day := range []int64{localDay(t) - 1, localDay(t)} {
		list, ok := s.exceptions[day]
		if !ok {
			for _, r := range s.rows {
				if r.days[weekday(day)] && (r.on == anyDay || (r.on == dayOff) == c.off(day)) {
					list = append(list, r.window)
				}
			}
		}
		sec := t.Sub(midnight(day)).Seconds()
		for _, w := range list {
			if sec >= float64(w.from) && sec < float64(w.until) {
				return true
			}
		}
	}
	return false
}

// TestScheduleMeansWhatItSays_R16: rows by weekday, midnight crossing, days off and worked Sundays, exceptions: At agrees
// with the definition at every instant, and the interval it gives is the largest in which that does not change.
func TestScheduleMeansWhatItSays_R16(t *testing.T) {
	t.Parallel()
	cal := NewCalendar([]int{2026}, []CalendarDay{{time.Date(2026, 10, 1, 4, 0, 0, 0, time.UTC), true}, {time.Date(2026, 10, 2, 4, 0, 0, 0, time.UTC), true},
		{time.Date(2026, 10, 10, 4, 0, 0, 0, time.UTC), false}, {time.Date(2026, 9, 27, 4, 0, 0, 0, time.UTC), false}})
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		hm := func() string { return fmt.Sprintf("%02d:%02d", r.IntN(24), r.IntN(4)*15) }
		var rows, exceptions []string
		for range 1 + r.IntN(3) {
			row := fmt.Sprintf(`{"from":%q,"until":%q`, hm(), []string{hm(), "24:00", "00:00"}[r.IntN(3)])
			if r.IntN(2) == 0 {
				row += fmt.Sprintf(`,"days":[%d]`, 1+r.IntN(7))
			}
			if r.IntN(3) == 0 {
				row += `,"on":"` + []string{"workday", "day_off"}[r.IntN(2)] + `"`
			}
			rows = append(rows, row+"}")
		}
		if r.IntN(3) == 0 {
			exceptions = append(exceptions, fmt.Sprintf(`{"date":"2026-10-%02d","windows":[%s]}`, 1+r.IntN(12), []string{"", `{"from":"20:00","until":"03:00"}`}[r.IntN(2)]))
		}
		doc := fmt.Sprintf(`{"rows":[%s],"exceptions":[%s]}`, strings.Join(rows, ","), strings.Join(exceptions, ","))
		s, err := ParseSchedule([]byte(doc))
		if err != nil {
			rt.Skip(err)
		}
		begin := time.Date(2026, 9, 25, 16, 0, 0, 0, time.UTC)
		for range 60 {
			at := begin.Add(time.Duration(r.IntN(18*24*60)) * time.Minute)
			in, v := s.At(at, cal)
			if in != naive(s, cal, at) {
				rt.Fatalf("%s at %v: %v", doc, at, in)
			}
			if !v.Contains(at) {
				rt.Fatalf("%s: %v is not in %v", doc, at, v)
			}
			for m := at; m.Before(v.Until) && m.Before(at.AddDate(0, 0, 9)); m = m.Add(15 * time.Minute) {
				if naive(s, cal, m) != in {
					rt.Fatalf("%s: %v in %v is another", doc, m, v)
				}
			}
			if !v.Until.IsZero() && naive(s, cal, v.Until) == in {
				rt.Fatalf("%s at %v: nothing changes at %v", doc, at, v.Until)
			}
			if !v.From.IsZero() && naive(s, cal, v.From.Add(-time.Minute)) == in {
				rt.Fatalf("%s at %v: nothing changed at %v", doc, at, v.From)
			}
		}
	})
}

// TestScheduleWithoutEnd_R16: windows that follow one another without a gap for ever have no end, and nobody waits for one.
func TestScheduleWithoutEnd_R16(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 9, 25, 16, 0, 0, 0, time.UTC) // midnight
	for doc, until := range map[string]time.Time{
		`{"rows":[{"from":"00:00","until":"24:00"}]}`:                                                          {},
		`{"rows":[{"from":"00:00","until":"00:00"}]}`:                                                          {},
		`{"rows":[{"from":"00:00","until":"12:00"},{"from":"12:00","until":"24:00"}]}`:                         {},
		`{"rows":[{"from":"06:00","until":"24:00"},{"from":"00:00","until":"06:00"}]}`:                         {},
		`{"rows":[{"from":"00:00","until":"24:00"}],"exceptions":[{"date":"2026-10-01","windows":[]}]}`:        begin.AddDate(0, 0, 5),
		`{"rows":[{"from":"00:00","until":"24:00"}],"exceptions":[{"date":"2027-12-24","windows":[]}]}`:        {},
		`{"rows":[{"from":"00:00","until":"24:00","days":[6,7]},{"from":"20:00","until":"00:00","days":[5]}]}`: begin.AddDate(0, 0, 2),
	} {
		s, err := ParseSchedule([]byte(doc))
		if err != nil {
			if strings.Contains(doc, `"until":"00:00"}]}`) {
				continue // refused is an answer too
			}
			t.Fatal(err)
		}
		in, v := s.At(begin.Add(time.Hour), nil)
		if !in || !v.Until.Equal(until) {
			t.Errorf("%s: %v, %v, and not until %v", doc, in, v, until)
		}
		if until.IsZero() && !v.From.IsZero() {
			t.Errorf("%s: begins at %v", doc, v.From)
		}
	}
}

// TestScheduleRefuses_R16 says what is refused, and of which field.
func TestScheduleRefuses_R16(t *testing.T) {
	t.Parallel()
	for doc, field := range map[string]string{
		`{}`: "rows:", `{"rows":[]}`: "rows:", `{"row":[]}`: "row",
		`{"rows":[{"from":"8:00","until":"09:00"}]}`:                                         "rows[0].from",
		`{"rows":[{"from":"08:00","until":"25:00"}]}`:                                        "rows[0].until",
		`{"rows":[{"from":"08:00","until":"08:00"}]}`:                                        "rows[0].until",
		`{"rows":[{"days":[0],"from":"08:00","until":"09:00"}]}`:                             "rows[0].days",
		`{"rows":[{"days":[1,1],"from":"08:00","until":"09:00"}]}`:                           "rows[0].days",
		`{"rows":[{"on":"holiday","from":"08:00","until":"09:00"}]}`:                         "rows[0].on",
		`{"rows":[{"from":"08:00","until":"10:00"},{"from":"09:00","until":"11:00"}]}`:       "rows[1]",
		`{"exceptions":[{"date":"2026-02-30","windows":[]}]}`:                                "exceptions[0].date",
		`{"exceptions":[{"date":"2026-02-03"},{"date":"2026-02-03"}]}`:                       "exceptions[1].date",
		`{"exceptions":[{"date":"2026-02-03","windows":[{"from":"08:00","until":"0900"}]}]}`: "exceptions[0].windows[0].until",
	} {
		if _, err := ParseSchedule([]byte(doc)); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v, and not about %s", doc, err, field)
		}
	}
}
