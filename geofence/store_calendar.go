package geofence

import (
	"context"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// CalendarSpec is what is ordered for one year.
type CalendarSpec struct {
	Year     int
	Source   string // the notice it stands in
	Official bool
	Days     []NamedDay
	// Eve are days of the December before that the notice of this year is about. They belong to the calendar of their own
	// year: PutCalendar leaves them alone, see WithEve.
	Eve []NamedDay
	// On is when what this change was begun on was recorded: the change is refused if that is not what is recorded now. The
	// zero time stands for a year of which nothing was recorded; nil: whatever is recorded is replaced.
	On *time.Time
}

// NamedDay is a date that is not what its weekday says, or a weekend that belongs to a holiday.
type NamedDay struct {
	Date string `json:"date"` // 2026-10-01
	Off  bool   `json:"off"`
	Name string `json:"name"`
}

// RecordedCalendar is what is recorded of one year.
type RecordedCalendar struct {
	CalendarSpec
	At time.Time
	By id.Account // 0: the platform itself
}

// Years of which a calendar may be recorded, and how long a source and a name may be.
const (
	firstCalendar, lastCalendar = 2020, 2100
	longestSource, longestName  = 200, 40
)

// checkDays says what is wrong with the year and its days.
func (spec *CalendarSpec) checkDays() error {
	if spec.Year < firstCalendar || spec.Year > lastCalendar {
		return &Refused{Field: "year", Reason: BadYear, Detail: fmt.Sprintf("%d is not between %d and %d", spec.Year, firstCalendar, lastCalendar)}
	}
	seen := make(map[string]bool, len(spec.Days))
	for i, d := range spec.Days {
		at, err := time.Parse(time.DateOnly, d.Date)
		switch {
		case err != nil:
			return &Refused{Field: fmt.Sprintf("days[%d].date", i), Reason: BadDay, Detail: fmt.Sprintf("%q is no date", d.Date)}
		case at.Year() != spec.Year:
			return &Refused{Field: fmt.Sprintf("days[%d].date", i), Reason: BadDay, Detail: fmt.Sprintf("%s is no date of %d: it belongs to the calendar of its own year", d.Date, spec.Year)}
		case seen[d.Date]:
			return &Refused{Field: fmt.Sprintf("days[%d].date", i), Reason: BadDay, Detail: d.Date + " is there twice"}
		case utf8.RuneCountInString(d.Name) > longestName:
			return &Refused{Field: fmt.Sprintf("days[%d].name", i), Reason: BadDay, Detail: fmt.Sprintf("longer than %d characters", longestName)}
		}
		seen[d.Date] = true
	}
	return nil
}

// WithEve is the calendar of a year with the days that the notice of the next year is about.
func (c *RecordedCalendar) WithEve(eve []NamedDay) CalendarSpec {
	spec := c.CalendarSpec
	spec.Days, spec.On = slices.Clone(spec.Days), &c.At
	for _, d := range eve {
		if i := slices.IndexFunc(spec.Days, func(was NamedDay) bool { return was.Date == d.Date }); i >= 0 {
			spec.Days[i] = d
		} else {
			spec.Days = append(spec.Days, d)
		}
	}
	return spec
}

// PutCalendar records what is ordered for a year, in place of what was recorded of it. From the first day that is another
// now, rules that go by days off are judged again, at once, and their past is derived again.
func (s *Store) PutCalendar(ctx context.Context, by id.Account, spec CalendarSpec) error {
	return s.change(ctx, "put a calendar", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		if spec.Source == "" || utf8.RuneCountInString(spec.Source) > longestSource {
			return nil, &Refused{Field: "source", Reason: EmptyName, Detail: fmt.Sprintf("the notice it stands in, in at most %d characters", longestSource)}
		}
		if err := spec.checkDays(); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, "LOCK TABLE calendar_year IN SHARE ROW EXCLUSIVE MODE"); err != nil {
			return nil, err
		}
		was, err := recordedCalendars(ctx, tx, spec.Year)
		if err != nil {
			return nil, err
		}
		var before RecordedCalendar
		if len(was) == 1 {
			before = was[0]
		}
		if spec.On != nil && !spec.On.Equal(before.At) {
			return nil, &Refused{Field: "recorded_at", Reason: CalendarChanged, Detail: "somebody else has changed this calendar"}
		}
		if err := recordCalendar(ctx, tx, by, now, before.At, &spec); err != nil {
			return nil, err
		}
		if from := firstChange(before.Days, spec.Days); !from.IsZero() {
			if err := factsChangedWhere(ctx, tx, now, Why{What: "calendar", Entity: int64(spec.Year), By: by, At: now, From: from},
				`EXISTS (SELECT FROM schedule_version v WHERE v.schedule_id = r.schedule_id AND upper_inf(v.recorded) AND `+byDaysOff+`) AND $1::int > 0`, spec.Year); err != nil {
				return nil, err
			}
		}
		return []ledger.Entry{{At: now, Kind: "calendar.put", Entity: "calendar", EntityID: int64(spec.Year), Version: 1}}, nil
	})
}

// byDaysOff holds of versions v of schedules that go by days off.
const byDaysOff = `v.doc @? '$.rows[*].on ? (@ == "workday" || @ == "day_off")'`

// recordCalendar ends what was recorded at an instant of a year, and records what is ordered now.
func recordCalendar(ctx context.Context, tx pgx.Tx, by id.Account, now, before time.Time, spec *CalendarSpec) error {
	recorded := now
	if !before.IsZero() && !now.After(before) { // on a clock that stands still two records of the same instant still follow one another
		recorded = before.Add(time.Microsecond)
	}
	for _, sql := range []string{
		`UPDATE calendar_year SET recorded = tstzrange(lower(recorded), $2) WHERE year = $1 AND upper_inf(recorded)`,
		`UPDATE calendar_day SET recorded = tstzrange(lower(recorded), $2) WHERE extract(year FROM day) = $1 AND upper_inf(recorded)`,
	} {
		if _, err := tx.Exec(ctx, sql, spec.Year, recorded); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `INSERT INTO calendar_year (year, source, official, recorded, recorded_by) VALUES ($1, $2, $3, tstzrange($4, NULL), nullif($5::bigint, 0))`,
		spec.Year, spec.Source, spec.Official, recorded, int64(by)); err != nil {
		return err
	}
	dates, off, names := make([]string, len(spec.Days)), make([]bool, len(spec.Days)), make([]string, len(spec.Days))
	for i, d := range spec.Days {
		dates[i], off[i], names[i] = d.Date, d.Off, d.Name
	}
	_, err := tx.Exec(ctx, `INSERT INTO calendar_day (day, off, name, recorded, recorded_by)
		SELECT d::date, o, n, tstzrange($4, NULL), nullif($5::bigint, 0) FROM unnest($1::text[], $2::boolean[], $3::text[]) AS v (d, o, n)`,
		dates, off, names, recorded, int64(by))
	return err
}

// firstChange is when the first day begins that is off in one of two lists and worked in the other; zero: there is none.
func firstChange(before, after []NamedDay) (first time.Time) {
	a, b := calendarOf(before), calendarOf(after)
	for _, d := range append(append([]NamedDay{}, before...), after...) {
		day := localDay(noonOf(d.Date))
		if from := midnight(day); a.off(day) != b.off(day) && (first.IsZero() || from.Before(first)) {
			first = from
		}
	}
	return first
}

func calendarOf(days []NamedDay) *Calendar {
	list := make([]CalendarDay, len(days))
	for i, d := range days {
		list[i] = CalendarDay{noonOf(d.Date), d.Off}
	}
	return NewCalendar(nil, list)
}

// noonOf is noon in Asia/Shanghai of a date that was checked.
func noonOf(date string) time.Time {
	at, err := time.Parse(time.DateOnly, date)
	if err != nil {
		panic(err)
	}
	return at.Add(4 * time.Hour)
}

// Calendars are what is recorded of every year, oldest first.
func Calendars(ctx context.Context, q Querier) ([]RecordedCalendar, error) {
	return recordedCalendars(ctx, q, 0)
}

// CalendarOf is what is recorded of one year, or ErrNotFound.
func CalendarOf(ctx context.Context, q Querier, year int) (RecordedCalendar, error) {
	list, err := recordedCalendars(ctx, q, year)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return RecordedCalendar{}, err
	}
	return list[0], nil
}

// recordedCalendars are those of one year, or with 0 of all.
func recordedCalendars(ctx context.Context, q Querier, year int) ([]RecordedCalendar, error) {
	rows, err := q.Query(ctx, `SELECT y.year, y.source, y.official, lower(y.recorded), coalesce(y.recorded_by, 0),
			array_agg(d.day::text ORDER BY d.day) FILTER (WHERE d.day IS NOT NULL), array_agg(d.off ORDER BY d.day) FILTER (WHERE d.day IS NOT NULL),
			array_agg(d.name ORDER BY d.day) FILTER (WHERE d.day IS NOT NULL)
		FROM calendar_year y LEFT JOIN calendar_day d ON extract(year FROM d.day) = y.year AND upper_inf(d.recorded)
		WHERE upper_inf(y.recorded) AND $1::int IN (0, y.year) GROUP BY 1, 2, 3, 4, 5 ORDER BY 1`, year)
	if err != nil {
		return nil, fmt.Errorf("read calendars: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c RecordedCalendar, err error) {
		var dates, names []string
		var off []bool
		if err := row.Scan(&c.Year, &c.Source, &c.Official, &c.At, (*int64)(&c.By), &dates, &off, &names); err != nil {
			return c, err
		}
		for i := range dates {
			c.Days = append(c.Days, NamedDay{dates[i], off[i], names[i]})
		}
		return c, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read calendars: %w", err)
	}
	return list, nil
}

// LoadCalendar reads what was recorded of days off at an instant; zero: now.
func LoadCalendar(ctx context.Context, q Querier, known time.Time) (*Calendar, error) {
	rows, err := q.Query(ctx, `SELECT year FROM calendar_year WHERE `+recordedAt(known)+` ORDER BY year`)
	if err != nil {
		return nil, fmt.Errorf("read the calendar: %w", err)
	}
	years, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return nil, fmt.Errorf("read the calendar: %w", err)
	}
	rows, err = q.Query(ctx, `SELECT day, off FROM calendar_day WHERE `+recordedAt(known)+` ORDER BY day`)
	if err != nil {
		return nil, fmt.Errorf("read the calendar: %w", err)
	}
	days, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d CalendarDay, err error) {
		err = row.Scan(&d.Date, &d.Off)
		d.Date = d.Date.UTC().Add(4 * time.Hour) // noon in Asia/Shanghai
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the calendar: %w", err)
	}
	return NewCalendar(years, days), nil
}

// YearsWithoutCalendar are the years from one instant to another of which no calendar is recorded although a rule that binds
// in that year goes by days off: until it is, Saturdays and Sundays are taken for the only days off.
func YearsWithoutCalendar(ctx context.Context, q Querier, from, until time.Time) ([]int, error) {
	rows, err := q.Query(ctx, `WITH years AS (
			SELECT y, tstzrange(greatest($1, make_timestamptz(y, 1, 1, 0, 0, 0, 'Asia/Shanghai')),
				least($2, make_timestamptz(y + 1, 1, 1, 0, 0, 0, 'Asia/Shanghai') - interval '1 microsecond'), '[]') AS span
			FROM generate_series(extract(year FROM $1::timestamptz AT TIME ZONE 'Asia/Shanghai')::int, extract(year FROM $2::timestamptz AT TIME ZONE 'Asia/Shanghai')::int) AS y)
		SELECT y FROM years WHERE NOT EXISTS (SELECT FROM calendar_year c WHERE c.year = y AND upper_inf(c.recorded))
		  AND EXISTS (SELECT FROM rule r JOIN schedule_version v USING (schedule_id) WHERE upper_inf(r.recorded) AND upper_inf(v.recorded)
			AND r.valid && span AND v.valid && span AND `+byDaysOff+`) ORDER BY 1`, from, until)
	if err != nil {
		return nil, fmt.Errorf("look for years without a calendar: %w", err)
	}
	years, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return nil, fmt.Errorf("look for years without a calendar: %w", err)
	}
	return years, nil
}

// MissingCalendars are the years whose calendar has to be recorded now: this one, and from December on the next, which the
// State Council orders in November.
func MissingCalendars(ctx context.Context, q Querier, now time.Time) ([]int, error) {
	until := now
	if local := now.Add(shanghaiOffset * time.Second).UTC(); local.Month() == time.December {
		until = time.Date(local.Year()+1, 12, 31, 0, 0, 0, 0, time.UTC)
	}
	return YearsWithoutCalendar(ctx, q, now, until)
}
