package geofence_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"zhijiao/geofence"
)

// workdays is a schedule of the whole of every workday, and a rule of a subject that goes by it.
func (p *place) workdays() geofence.ScheduleID {
	p.Helper()
	n, _, err := p.store.PutSchedule(p.Context(), 0, 0, geofence.ScheduleSpec{Org: p.office, Name: "工作日",
		Doc: json.RawMessage(`{"rows":[{"on":"workday","from":"00:00","until":"24:00"}]}`), From: noon.AddDate(0, -1, 0)})
	p.ok(err)
	return n
}

// TestCalendarEditJudgesAgain_R16: somebody is outside on a Monday, which is a breach on workdays. An officer records that
// the Monday was a day off: it never was one. It turns out to be worked after all: it is one again. A day to come bears on
// nobody's past, and a new name on nobody.
func TestCalendarEditJudgesAgain_R16(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.wearer("W1")
	p.rule(geofence.RuleSpec{Subject: s, Kind: geofence.StayIn, Zone: p.putZone(0, geofence.Activity, 0, 500), Basis: "prohibition", DocumentNo: "天司禁〔2026〕1号", Schedule: p.workdays()})
	p.observe(p.fix("W1", noon, 0), p.fix("W1", noon.Add(2*time.Minute), 3000), p.fix("W1", noon.Add(5*time.Minute), 3000))
	p.tick(noon.Add(10 * time.Minute))
	p.derive()
	p.want(1, "violation WHERE kind = 'left_zone' AND state = 'open'")

	put := func(days ...geofence.NamedDay) {
		t.Helper()
		p.ok(p.store.PutCalendar(t.Context(), 0, geofence.CalendarSpec{Year: 2026, Source: "国办发明电〔2025〕7号", Official: true, Days: days}))
	}
	christmas := geofence.NamedDay{Date: "2026-12-25", Off: true}
	put(christmas)
	p.want(0, "subject_state WHERE dirty_from IS NOT NULL")
	put(christmas, geofence.NamedDay{Date: "2026-11-23", Off: true, Name: "校庆"})
	p.want(1, "subject_state WHERE dirty_from = $1 AND dirty_why ->> 'what' = 'calendar'", time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC))
	p.tick(noon.Add(10 * time.Minute))
	p.derive()
	p.want(1, "violation WHERE state = 'withdrawn'")
	p.want(1, "ledger WHERE kind = 'violation.withdrawn' AND body -> 'why' ->> 'what' = 'calendar' AND body -> 'why' ->> 'entity_id' = '2026'")
	put(christmas, geofence.NamedDay{Date: "2026-11-23", Off: true, Name: "另一个名字"})
	p.want(0, "subject_state WHERE dirty_from IS NOT NULL")

	put()
	p.tick(noon.Add(11 * time.Minute))
	p.derive()
	p.want(1, "violation WHERE kind = 'left_zone' AND state = 'open'")
	p.want(4, "ledger WHERE kind = 'calendar.put'")
	p.want(4, "calendar_year") // what was recorded is kept
	p.want(1, "calendar_year WHERE upper_inf(recorded)")
}

// TestCalendarIsNotOverwritten_R16: a change that was begun on what somebody else has replaced meanwhile is refused.
func TestCalendarIsNotOverwritten_R16(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	spec := geofence.CalendarSpec{Year: 2026, Source: "通知", Days: []geofence.NamedDay{{Date: "2026-10-01", Off: true, Name: "国庆节"}}, On: &time.Time{}}
	p.ok(p.store.PutCalendar(t.Context(), 0, spec))
	refused(t, p.store.PutCalendar(t.Context(), 0, spec), geofence.CalendarChanged)
	c, err := geofence.CalendarOf(t.Context(), p.pool, 2026)
	p.ok(err)
	if c.Source != "通知" || !slices.Equal(c.Days, spec.Days) || c.Official || !c.At.Equal(noon) {
		t.Errorf("%+v", c)
	}
	spec.On, spec.Days = &c.At, nil
	p.ok(p.store.PutCalendar(t.Context(), 0, spec))
	for field, change := range map[string]func(*geofence.CalendarSpec){
		"source":       func(c *geofence.CalendarSpec) { c.Source = "" },
		"year":         func(c *geofence.CalendarSpec) { c.Year = 1999 },
		"days[0].date": func(c *geofence.CalendarSpec) { c.Days = []geofence.NamedDay{{Date: "2025-10-01"}} },
	} {
		bad := geofence.CalendarSpec{Year: 2026, Source: "通知"}
		change(&bad)
		if err := p.store.PutCalendar(t.Context(), 0, bad); err == nil || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if c, err = geofence.CalendarOf(t.Context(), p.pool, 2026); err != nil || len(c.Days) != 0 {
		t.Errorf("%+v %v", c, err)
	}
}

// TestMissingCalendarIsTold_R16: a year is missing when a rule that binds in it goes by its days off; the next year counts
// from December on, by the clock of Asia/Shanghai.
func TestMissingCalendarIsTold_R16(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	missing := func(at time.Time, want ...int) {
		t.Helper()
		got, err := geofence.MissingCalendars(t.Context(), p.pool, at)
		p.ok(err)
		if !slices.Equal(got, want) && len(got)+len(want) > 0 {
			t.Errorf("at %v %v are missing, want %v", at, got, want)
		}
	}
	s := p.person(time.Time{})
	days := p.workdays()
	missing(noon) // nobody goes by it
	p.rule(geofence.RuleSpec{Subject: s, Kind: geofence.StayIn, Zone: p.zone, Basis: "leave_city", Schedule: days, Until: time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)})
	missing(noon, 2026)
	collector := geofence.NewCalendarCollector(p.pool, p.clock, p.log)
	if n := testutil.ToFloat64(collector); n != 1 {
		t.Errorf("the metric says %v", n)
	}
	newYear := time.Date(2026, 12, 31, 16, 0, 0, 0, time.UTC)
	missing(time.Date(2026, 11, 30, 15, 59, 59, 0, time.UTC), 2026)
	missing(time.Date(2026, 11, 30, 16, 0, 0, 0, time.UTC), 2026, 2027)
	spec, _ := geofence.BuiltinCalendar(2026)
	p.ok(p.store.PutCalendar(t.Context(), 0, spec))
	missing(noon)
	if n := testutil.ToFloat64(collector); n != 0 {
		t.Errorf("the metric says %v", n)
	}
	missing(time.Date(2026, 11, 30, 16, 0, 0, 0, time.UTC), 2027)
	missing(newYear, 2027)
	missing(time.Date(2027, 6, 2, 0, 0, 0, 0, time.UTC))  // the rule has ended
	missing(time.Date(2027, 12, 2, 0, 0, 0, 0, time.UTC)) // and does not bind in 2028
	list, err := geofence.Schedules(t.Context(), p.pool, p.office, noon)
	p.ok(err)
	if len(list) != 1 || list[0].ID != days || list[0].Rules != 1 || !list[0].UsesCalendar() || list[0].Name != "工作日" {
		t.Errorf("%+v", list)
	}
}
