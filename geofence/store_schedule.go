package geofence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// ScheduleSpec is a schedule to record, or what a recorded one is to be from an instant on.
type ScheduleSpec struct {
	ID   ScheduleID // 0: a new one
	Org  id.Org
	Name string
	Doc  json.RawMessage // see ParseSchedule
	From time.Time       // zero: from now on
}

// PutSchedule records a schedule, or a new version of one; those whose rules go by it are judged again at once.
func (s *Store) PutSchedule(ctx context.Context, by id.Account, scope id.Org, spec ScheduleSpec) (ScheduleID, int, error) {
	var version int
	err := s.change(ctx, "put a schedule", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		if spec.From.IsZero() {
			spec.From = now
		}
		if spec.Name == "" {
			return nil, &Refused{Field: "name", Reason: EmptyName, Detail: "a schedule has a name"}
		}
		if _, err := ParseSchedule(spec.Doc); err != nil {
			return nil, &Refused{Field: "doc", Reason: BadSchedule, Detail: err.Error()}
		}
		var err error
		if version, err = putSchedule(ctx, tx, by, scope, now, &spec); err != nil {
			return nil, err
		}
		return []ledger.Entry{{At: now, Kind: "schedule.put", Org: spec.Org, Entity: "schedule", EntityID: int64(spec.ID), Version: version}}, nil
	})
	return spec.ID, version, err
}

func putSchedule(ctx context.Context, tx pgx.Tx, by id.Account, scope id.Org, now time.Time, s *ScheduleSpec) (version int, err error) {
	recorded := now
	if s.ID == 0 {
		err = tx.QueryRow(ctx, `INSERT INTO schedule (org_id, name) SELECT $1, $2 WHERE EXISTS (SELECT FROM org WHERE org_id = $1)
			AND ($3 = 0 OR $1 IN (SELECT org_subtree($3))) RETURNING schedule_id`, s.Org, s.Name, int64(scope)).Scan(&s.ID)
		if errors.Is(err, pgx.ErrNoRows) {
			return 0, &Refused{Field: "org", Reason: NoSuchOrg, Detail: "not in your part of the organisation"}
		}
	} else {
		err = tx.QueryRow(ctx, `UPDATE schedule SET name = $3 WHERE schedule_id = $1 AND ($2 = 0 OR org_id IN (SELECT org_subtree($2))) RETURNING org_id`,
			s.ID, int64(scope), s.Name).Scan(&s.Org)
		if errors.Is(err, pgx.ErrNoRows) {
			return 0, &Refused{Field: "schedule", Reason: NoSuchSchedule, Detail: "no such schedule in your part of the organisation"}
		}
		if err != nil {
			return 0, err
		}
		if err := factsChangedWhere(ctx, tx, now, Why{What: "schedule", Entity: int64(s.ID), By: by, At: now, From: s.From},
			"r.schedule_id = $1", s.ID); err != nil {
			return 0, err
		}
		version, recorded, err = succeed(ctx, tx, now, s.From, time.Time{}, versioned{table: "schedule_version", key: "schedule_id", id: int64(s.ID), columns: "doc"})
	}
	if err != nil {
		return 0, err
	}
	version++
	_, err = tx.Exec(ctx, `INSERT INTO schedule_version (schedule_id, version, doc, valid, recorded, recorded_by)
		VALUES ($1, $2, $3, tstzrange($4, NULL), tstzrange($5, NULL), nullif($6::bigint, 0))`, s.ID, version, string(s.Doc), s.From, recorded, int64(by))
	return version, err
}

// CalendarSpec is what is ordered for one year.
type CalendarSpec struct {
	Year     int
	Source   string // the notice it stands in
	Official bool
	Days     []NamedDay
}

// NamedDay is a date that is not what its weekday says.
type NamedDay struct {
	Date string `json:"date"` // 2026-10-01
	Off  bool   `json:"off"`
	Name string `json:"name"`
}

// PutCalendar records what is ordered for a year, in place of what was recorded of it; rules that go by days off are judged
// again at once, and their past is derived again where it is another now.
func (s *Store) PutCalendar(ctx context.Context, by id.Account, spec CalendarSpec) error {
	return s.change(ctx, "put a calendar", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		if spec.Source == "" {
			return nil, &Refused{Field: "source", Reason: EmptyName, Detail: "the notice it stands in"}
		}
		dates, off, names := make([]string, len(spec.Days)), make([]bool, len(spec.Days)), make([]string, len(spec.Days))
		for i, d := range spec.Days {
			at, err := time.Parse(time.DateOnly, d.Date)
			if err != nil || at.Year() != spec.Year {
				return nil, &Refused{Field: "days", Reason: BadSchedule, Detail: fmt.Sprintf("%q is no date of %d", d.Date, spec.Year)}
			}
			dates[i], off[i], names[i] = d.Date, d.Off, d.Name
		}
		if _, err := tx.Exec(ctx, "LOCK TABLE calendar_year IN SHARE ROW EXCLUSIVE MODE"); err != nil {
			return nil, err
		}
		// On a clock that stands still two records of the same instant still follow one another.
		var recorded time.Time
		if err := tx.QueryRow(ctx, `SELECT greatest($1, max(lower(recorded)) + interval '1 microsecond') FROM calendar_year WHERE year = $2 AND upper_inf(recorded)`,
			now, spec.Year).Scan(&recorded); err != nil {
			return nil, err
		}
		for _, sql := range []string{
			`UPDATE calendar_year SET recorded = tstzrange(lower(recorded), $2) WHERE year = $1 AND upper_inf(recorded)`,
			`UPDATE calendar_day SET recorded = tstzrange(lower(recorded), $2) WHERE extract(year FROM day) = $1 AND upper_inf(recorded)`,
		} {
			if _, err := tx.Exec(ctx, sql, spec.Year, recorded); err != nil {
				return nil, err
			}
		}
		if _, err := tx.Exec(ctx, `INSERT INTO calendar_year (year, source, official, recorded, recorded_by) VALUES ($1, $2, $3, tstzrange($4, NULL), nullif($5::bigint, 0))`,
			spec.Year, spec.Source, spec.Official, recorded, int64(by)); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO calendar_day (day, off, name, recorded, recorded_by)
			SELECT d::date, o, n, tstzrange($4, NULL), nullif($5::bigint, 0) FROM unnest($1::text[], $2::boolean[], $3::text[]) AS v (d, o, n)`,
			dates, off, names, recorded, int64(by)); err != nil {
			return nil, err
		}
		from := time.Date(spec.Year, 1, 1, 0, 0, 0, 0, time.UTC).Add(-shanghaiOffset * time.Second)
		if err := factsChangedWhere(ctx, tx, now, Why{What: "calendar", Entity: int64(spec.Year), By: by, At: now, From: from},
			`EXISTS (SELECT FROM schedule_version v WHERE v.schedule_id = r.schedule_id AND upper_inf(v.recorded) AND v.doc::text LIKE '%"on"%') AND $1::int > 0`, spec.Year); err != nil {
			return nil, err
		}
		return []ledger.Entry{{At: now, Kind: "calendar.put", Entity: "calendar", EntityID: int64(spec.Year), Version: 1}}, nil
	})
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

// YearsWithoutCalendar are the years from one instant to another for which no calendar is recorded although a rule goes by
// days off.
func YearsWithoutCalendar(ctx context.Context, q Querier, from, until time.Time) ([]int, error) {
	rows, err := q.Query(ctx, `SELECT y::int FROM generate_series(extract(year FROM $1::timestamptz AT TIME ZONE 'Asia/Shanghai')::int, extract(year FROM $2::timestamptz AT TIME ZONE 'Asia/Shanghai')::int) AS y
		WHERE NOT EXISTS (SELECT FROM calendar_year c WHERE c.year = y AND upper_inf(c.recorded))
		  AND EXISTS (SELECT FROM rule r JOIN schedule_version v USING (schedule_id) WHERE upper_inf(r.recorded) AND upper_inf(v.recorded) AND r.valid && tstzrange($1, $2)
		      AND v.doc::text LIKE '%"on"%') ORDER BY 1`, from, until)
	if err != nil {
		return nil, fmt.Errorf("look for years without a calendar: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}

// readSchedules gives the facts of subjects the schedules their rules go by, and the calendar.
func readSchedules(ctx context.Context, tx pgx.Tx, wanted map[ScheduleID]bool, known time.Time, out map[id.Subject]*subjectFacts) error {
	if len(wanted) == 0 {
		return nil
	}
	ids := make([]ScheduleID, 0, len(wanted))
	for s := range wanted {
		ids = append(ids, s)
	}
	rows, err := tx.Query(ctx, `SELECT schedule_id, doc, lower(valid), upper(valid) FROM schedule_version WHERE schedule_id = ANY ($1) AND `+recordedAt(known)+`
		ORDER BY schedule_id, lower(valid)`, ids)
	if err != nil {
		return fmt.Errorf("read schedules: %w", err)
	}
	all := map[ScheduleID][]ScheduleVersion{}
	var n ScheduleID
	var doc []byte
	var from, until *time.Time
	_, err = pgx.ForEachRow(rows, []any{&n, &doc, &from, &until}, func() error {
		s, err := ParseSchedule(doc)
		if err != nil {
			return fmt.Errorf("schedule %d: %w", n, err)
		}
		all[n] = append(all[n], ScheduleVersion{between(from, until), s})
		return nil
	})
	if err != nil {
		return fmt.Errorf("read schedules: %w", err)
	}
	calendar, err := LoadCalendar(ctx, tx, known)
	if err != nil {
		return err
	}
	for _, s := range out {
		for i := range s.facts.Rules {
			if n := s.facts.Rules[i].Schedule; n != 0 {
				if s.facts.Schedules == nil {
					s.facts.Schedules, s.facts.Calendar = map[ScheduleID][]ScheduleVersion{}, calendar
				}
				s.facts.Schedules[n] = all[n]
			}
		}
	}
	return nil
}
