package geofence

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestBuiltinCalendars_R16: every calendar the program carries can be read and names its notice, and in it only Saturdays
// and Sundays are worked; that of 2026 is as the notice of 4 November 2025 says.
func TestBuiltinCalendars_R16(t *testing.T) {
	t.Parallel()
	files, err := calendars.ReadDir("calendars")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, f := range files {
		year, err := strconv.Atoi(strings.TrimSuffix(f.Name(), ".csv"))
		if err != nil {
			t.Fatal(err)
		}
		spec, ok := BuiltinCalendar(year)
		if !ok || spec.Year != year || !spec.Official || !strings.HasPrefix(spec.Source, "国办发明电") {
			t.Errorf("%s: %v %+v", f.Name(), ok, spec)
		}
		for _, d := range spec.Days {
			if w := weekday(localDay(noonOf(d.Date))); !d.Off && w < 6 || d.Name == "" {
				t.Errorf("%+v falls on weekday %d", d, w)
			}
		}
	}
	spec, _ := BuiltinCalendar(2026)
	c := calendarOf(spec.Days)
	n := 0
	for day := localDay(noonOf("2026-01-01")); day <= localDay(noonOf("2026-12-31")); day++ {
		if !c.off(day) {
			n++
		}
	}
	if n != 248 { // 261 days from Monday to Friday, 19 of them off, 6 worked at weekends
		t.Errorf("%d workdays", n)
	}
	if _, ok := BuiltinCalendar(1999); ok {
		t.Error("a calendar of 1999")
	}
}

// TestReadCalendar_R16: both kinds of file say the same, one that was written is read, and what is wrong is refused with
// its place.
func TestReadCalendar_R16(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{
		`{"$id":"x","year":2027,"papers":["http://a"],"days":[{"name":"元旦","date":"2027-01-01","isOffDay":true},{"name":"元旦","date":"2027-01-03","isOffDay":false}]}`,
		"# source: http://a\nday,off,name\n2027-01-01,1,元旦\n2027-01-03,0,元旦\n",
		"\ufeff# source: http://a\r\n2027-01-01, off ,元旦\r\n2027-01-03,班,元旦",
	} {
		spec, err := ReadCalendar(strings.NewReader(doc))
		if err != nil || spec.Year != 2027 || spec.Source != "http://a" || spec.Official || len(spec.Days) != 2 ||
			spec.Days[0] != (NamedDay{"2027-01-01", true, "元旦"}) || spec.Days[1] != (NamedDay{"2027-01-03", false, "元旦"}) {
			t.Errorf("%q: %+v %v", doc, spec, err)
		}
	}
	spec, _ := BuiltinCalendar(2026)
	var out bytes.Buffer
	if err := WriteCalendar(&out, &spec); err != nil {
		t.Fatal(err)
	}
	if again, err := ReadCalendar(&out); err != nil || again.Source != spec.Source || len(again.Days) != len(spec.Days) {
		t.Errorf("written and read: %+v %v", again, err)
	}
	for _, doc := range []string{
		"2022-12-31,1,元旦\n2023-01-01,1,元旦\n2023-01-02,1,元旦",
		`{"year":2023,"days":[{"name":"元旦","date":"2022-12-31","isOffDay":true},{"name":"元旦","date":"2023-01-01","isOffDay":true},{"name":"元旦","date":"2023-01-02","isOffDay":true}]}`,
	} {
		spec, err := ReadCalendar(strings.NewReader(doc))
		if err != nil || spec.Year != 2023 || len(spec.Days) != 2 || len(spec.Eve) != 1 || spec.Eve[0] != (NamedDay{"2022-12-31", true, "元旦"}) {
			t.Errorf("%q: %+v %v", doc, spec, err)
		}
		was := RecordedCalendar{CalendarSpec: CalendarSpec{Year: 2022, Days: []NamedDay{{"2022-12-31", false, "x"}, {"2022-10-01", true, "国庆节"}}}}
		if merged := was.WithEve(spec.Eve); len(merged.Days) != 2 || merged.Days[0] != spec.Eve[0] || was.Days[0].Name != "x" {
			t.Errorf("%+v", merged)
		}
	}
	for doc, field := range map[string]string{
		``:                                     "file",
		"day,off,name\n":                       "file",
		"2027-01-01,1":                         "file",
		`{"year":2027,"days":"none"}`:          "file",
		"2027-01-01,1,a\n2027-01-02,perhaps,b": "line 2",
		"2027-13-01,1,a":                       "line 1",
		"2027-01-01,1,a\n2027-01-01,0,b":       "days[1].date",
		"2027-01-01,1,a\n2026-11-30,0,b":       "days[1].date",
		"1999-01-01,1,a":                       "year",
		"2027-01-01,1," + strings.Repeat("长", 41):                                  "days[0].name",
		`{"year":2027,"days":[{"name":"元旦","date":"2027-01-01"}]}`:                 "days[0].isOffDay",
		`{"year":2027,"days":[{"name":"元旦","date":"01.01.2027","isOffDay":true}]}`: "days[0].date",
		`{"days":[{"name":"元旦","date":"2027-01-01","isOffDay":true}]}`:             "year",
	} {
		var r *Refused
		if _, err := ReadCalendar(strings.NewReader(doc)); !errors.As(err, &r) || r.Field != field {
			t.Errorf("%q: %v, want field %s", doc, err, field)
		}
	}
}

// TestFirstChange_R16: the past is derived again from the first day that is another, and not at all for names.
func TestFirstChange_R16(t *testing.T) {
	t.Parallel()
	was := []NamedDay{{"2026-05-01", true, "劳动节"}, {"2026-05-09", false, ""}, {"2026-05-02", true, ""}}
	for name, c := range map[string]struct {
		after []NamedDay
		want  string
	}{
		"the same":          {was, ""},
		"renamed":           {[]NamedDay{{"2026-05-01", true, "x"}, {"2026-05-09", false, "y"}}, ""}, // the 2nd is a Saturday
		"a day off gone":    {[]NamedDay{{"2026-05-09", false, ""}}, "2026-04-30T16:00:00Z"},
		"a worked day gone": {[]NamedDay{{"2026-05-01", true, ""}}, "2026-05-08T16:00:00Z"},
		"one more":          {append([]NamedDay{{"2026-12-31", true, ""}}, was...), "2026-12-30T16:00:00Z"},
		"two more":          {append([]NamedDay{{"2026-12-31", true, ""}, {"2026-06-01", true, ""}}, was...), "2026-05-31T16:00:00Z"},
	} {
		got := ""
		if at := firstChange(was, c.after); !at.IsZero() {
			got = at.Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%s: from %q, want %q", name, got, c.want)
		}
	}
}
