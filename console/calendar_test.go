package console_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"zhijiao/console"
	"zhijiao/geofence"
)

type calendarDoc struct {
	Year       int                 `json:"year"`
	Source     string              `json:"source"`
	Official   bool                `json:"official"`
	RecordedAt *time.Time          `json:"recorded_at"`
	RecordedBy string              `json:"recorded_by"`
	Days       []geofence.NamedDay `json:"days"`
}

type calendarsDoc struct {
	Years, Missing []int
	May            bool `json:"may_edit"`
}

// byWorkdays has Li's rules go by the days off of this year.
func (b *bench) byWorkdays(t *testing.T) {
	t.Helper()
	n, _, err := geofence.NewStore(b.pool, b.clock).PutSchedule(t.Context(), 0, 0, geofence.ScheduleSpec{Org: b.city, Name: "工作日夜间",
		Doc: json.RawMessage(`{"rows":[{"days":[1,2,3,4,5],"on":"workday","from":"22:00","until":"06:00"}]}`), From: now.AddDate(0, -1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := geofence.NewStore(b.pool, b.clock).PutRule(t.Context(), 0, 0, geofence.RuleSpec{Subject: b.li, Kind: geofence.StayIn, Zone: 1,
		Basis: "leave_city", Schedule: n, From: now.AddDate(0, 0, -1)}); err != nil {
		t.Fatal(err)
	}
}

// TestCalendarIsEdited_R16: an officer of the whole city records a year and changes a day; it is told who did, people whose
// rules go by it are judged again, and the warning ends.
func TestCalendarIsEdited_R16(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.byWorkdays(t)
	u := b.user(t, "wang", b.city, console.Commander)
	var all calendarsDoc
	u.get(t, "/api/calendar", &all)
	if len(all.Years) != 0 || !slices.Equal(all.Missing, []int{2026}) || !all.May {
		t.Fatalf("%+v", all)
	}
	c := u.stream(t, snapshotPos(t, u))
	until(t, c, func(m message) bool { return m.Type == "beat" && slices.Equal(m.Missing, []int{2026}) })

	if status, body := u.do(t, "GET", "/healthz", nil); status != http.StatusOK || !strings.Contains(string(body), `"warnings":{"calendar":"rules go by the days off of 2026`) {
		t.Errorf("%d %s", status, body)
	}

	var doc calendarDoc
	u.get(t, "/api/calendar/2026", &doc)
	if doc.Year != 2026 || doc.RecordedAt != nil || len(doc.Days) != 0 {
		t.Fatalf("%+v", doc)
	}
	doc.Source, doc.Official, doc.Days = " 国办发明电〔2025〕7号 ", true, []geofence.NamedDay{{Date: "2026-10-01", Off: true, Name: "国庆节"}}
	status, body := u.do(t, "PUT", "/api/calendar/2026", doc.put())
	if err := json.Unmarshal(body, &doc); status != http.StatusOK || err != nil || doc.RecordedAt == nil || doc.RecordedBy != "wang" || doc.Source != "国办发明电〔2025〕7号" || len(doc.Days) != 1 {
		t.Fatalf("%d %s", status, body)
	}
	until(t, c, func(m message) bool { return m.Type == "beat" && len(m.Missing) == 0 })

	doc.Days = append(doc.Days, geofence.NamedDay{Date: "2026-11-23", Off: true, Name: "临时放假"})
	was := doc.put()
	if status, body = u.do(t, "PUT", "/api/calendar/2026", was); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if status, body = u.do(t, "PUT", "/api/calendar/2026", was); status != http.StatusConflict || code(body) != "calendar_changed" {
		t.Errorf("begun on what was replaced: %d %s", status, body)
	}
	var dirty, entries int
	b.scan(t, &dirty, "SELECT count(*) FROM subject_state WHERE subject_id = $1 AND dirty_why ->> 'what' = 'calendar' AND (dirty_why ->> 'by')::bigint > 0", b.li)
	b.scan(t, &entries, "SELECT count(*) FROM ledger WHERE kind = 'calendar.put' AND entity_id = 2026")
	if dirty != 1 || entries != 2 {
		t.Errorf("%d people are judged again, %d entries", dirty, entries)
	}
	b.scan(t, &entries, "SELECT count(*) FROM calendar_year y JOIN account a ON a.account_id = y.recorded_by WHERE a.name = 'wang'")
	if entries != 2 {
		t.Errorf("%d versions say who recorded them", entries)
	}
}

// put is the body of the change that was begun on a calendar.
func (d *calendarDoc) put() map[string]any {
	return map[string]any{"source": d.Source, "official": d.Official, "recorded_at": d.RecordedAt, "days": slices.Clone(d.Days)}
}

// TestCalendarRefuses_R16: who answers for a part changes what holds for all of it not; who administers does not see it; a
// forged request is none; what is wrong is named by its field; and nothing was recorded in the end.
func TestCalendarRefuses_R16(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "wang", b.city, console.OfficerRole)
	good := map[string]any{"source": "通知", "official": false, "recorded_at": nil, "days": []any{}}
	with := func(key string, v any) map[string]any {
		m := map[string]any{}
		for k, was := range good {
			m[k] = was
		}
		m[key] = v
		return m
	}
	day := func(date, name string) []any { return []any{map[string]any{"date": date, "off": true, "name": name}} }
	for name, c := range map[string]struct {
		who    *user
		method string
		path   string
		body   map[string]any
		change func(*http.Request)
		status int
		want   string // code and field
	}{
		"of an office":      {b.user(t, "li", b.yuekou, console.Commander, console.OfficerRole), "PUT", "/api/calendar/2026", good, nil, 403, "whole_only "},
		"an administrator":  {b.user(t, "root", b.city, console.SystemAdmin), "PUT", "/api/calendar/2026", good, nil, 403, "no_case_data "},
		"nobody":            {b.browser(), "PUT", "/api/calendar/2026", good, nil, 401, "no_session "},
		"forged":            {u, "PUT", "/api/calendar/2026", good, func(r *http.Request) { r.Header.Set("X-CSRF-Token", "x") }, 403, "csrf "},
		"of another site":   {u, "PUT", "/api/calendar/2026", good, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 403, "cross_origin "},
		"no source":         {u, "PUT", "/api/calendar/2026", with("source", " "), nil, 422, "empty_name source"},
		"a NUL":             {u, "PUT", "/api/calendar/2026", with("source", "a\x00"), nil, 422, "malformed source"},
		"year of the law":   {u, "PUT", "/api/calendar/2019", good, nil, 422, "bad_year year"},
		"no year":           {u, "PUT", "/api/calendar/this", good, nil, 404, "not_found "},
		"no date":           {u, "PUT", "/api/calendar/2026", with("days", day("2026-02-30", "")), nil, 422, "bad_day days[0].date"},
		"of another year":   {u, "PUT", "/api/calendar/2026", with("days", day("2025-12-31", "")), nil, 422, "bad_day days[0].date"},
		"twice":             {u, "PUT", "/api/calendar/2026", with("days", append(day("2026-05-01", ""), day("2026-05-01", "")...)), nil, 422, "bad_day days[1].date"},
		"a long name":       {u, "PUT", "/api/calendar/2026", with("days", day("2026-05-01", strings.Repeat("长", 41))), nil, 422, "bad_day days[0].name"},
		"a field of theirs": {u, "PUT", "/api/calendar/2026", with("year", 2026), nil, 400, "malformed "},
		"on what is not":    {u, "PUT", "/api/calendar/2026", with("recorded_at", now), nil, 409, "calendar_changed recorded_at"},
		"a file of nothing": {u, "POST", "/api/calendar/read", map[string]any{"text": "hello"}, nil, 422, "bad_day file"},
		"a file with fault": {u, "POST", "/api/calendar/read", map[string]any{"text": "2026-10-01,1,a\n2026-10-02,x,b"}, nil, 422, "bad_day line 2"},
	} {
		change := func(*http.Request) {}
		if c.change != nil {
			change = c.change
		}
		status, body := c.who.do(t, c.method, c.path, c.body, change)
		var p struct {
			Error struct{ Code, Field string }
		}
		_ = json.Unmarshal(body, &p) //nolint:errcheck // then it is not what is wanted
		if status != c.status || p.Error.Code+" "+p.Error.Field != c.want {
			t.Errorf("%s: %d %s, want %d %s", name, status, body, c.status, c.want)
		}
	}
	var n int
	b.scan(t, &n, "SELECT count(*) FROM calendar_year")
	if n != 0 {
		t.Errorf("%d calendars were recorded", n)
	}
}

// TestCalendarFileAndSchedulesAreShown_R16: a file is read and not recorded; an office sees the schedules of the city, and
// that it may not change the calendar.
func TestCalendarFileAndSchedulesAreShown_R16(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.byWorkdays(t)
	u := b.user(t, "li", b.yuekou, console.OfficerRole)
	status, body := u.do(t, "POST", "/api/calendar/read", map[string]any{"text": `{"year":2026,"papers":["http://a"],"days":[{"name":"元旦","date":"2026-01-01","isOffDay":true}]}`})
	var doc calendarDoc
	if err := json.Unmarshal(body, &doc); status != http.StatusOK || err != nil || doc.Year != 2026 || doc.Source != "http://a" || len(doc.Days) != 1 || doc.RecordedAt != nil {
		t.Errorf("%d %s", status, body)
	}
	var all calendarsDoc
	u.get(t, "/api/calendar", &all)
	if len(all.Years) != 0 || all.May {
		t.Errorf("%+v", all)
	}
	var list struct {
		Schedules []struct {
			Name string
			Org  struct {
				ShortName string `json:"short_name"`
			}
			Rules      int
			ByCalendar bool `json:"by_calendar"`
			Doc        struct {
				Rows []struct{ From, Until string }
			}
		}
	}
	u.get(t, "/api/schedules", &list)
	if len(list.Schedules) != 1 {
		t.Fatalf("%+v", list)
	}
	if s := list.Schedules[0]; s.Name != "工作日夜间" || s.Org.ShortName != "天门" || s.Rules != 1 || !s.ByCalendar || len(s.Doc.Rows) != 1 || s.Doc.Rows[0].From != "22:00" {
		t.Errorf("%+v", s)
	}
}
