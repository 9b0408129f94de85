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
		parsed, err := ParseSchedule(spec.Doc)
		switch {
		case err != nil:
			return nil, &Refused{Field: "doc", Reason: BadSchedule, Detail: err.Error()}
		case parsed.never():
			return nil, &Refused{Field: "doc", Reason: BadSchedule, Detail: "schedule: exceptions: without rows, and no window on any date: it never applies"}
		}
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

// RecordedSchedule is a schedule as it is now.
type RecordedSchedule struct {
	ID      ScheduleID
	Org     id.Org
	OrgName string // short
	Name    string
	Version int
	Valid   Interval
	Rules   int // that go by it now
	*Schedule
}

// Schedules are those of an organisation and of those above and below it, at an instant; one that is not valid yet is shown
// as it will be first. scope 0 is the platform itself.
func Schedules(ctx context.Context, q Querier, scope id.Org, now time.Time) ([]RecordedSchedule, error) {
	rows, err := q.Query(ctx, `SELECT DISTINCT ON (s.schedule_id) s.schedule_id, s.org_id, o.short_name, s.name, v.version, lower(v.valid), upper(v.valid), v.doc,
			(SELECT count(*) FROM rule r WHERE r.schedule_id = s.schedule_id AND upper_inf(r.recorded) AND r.valid @> $2::timestamptz)
		FROM schedule s JOIN org o USING (org_id) JOIN schedule_version v USING (schedule_id) WHERE upper_inf(v.recorded) AND (upper(v.valid) IS NULL OR upper(v.valid) > $2)
		  AND ($1 = 0 OR s.org_id IN (SELECT org_subtree($1) UNION SELECT org_above($1)))
		ORDER BY s.schedule_id, lower(v.valid)`, int64(scope), now)
	if err != nil {
		return nil, fmt.Errorf("read schedules: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r RecordedSchedule, err error) {
		var from, until *time.Time
		var doc []byte
		if err := row.Scan(&r.ID, &r.Org, &r.OrgName, &r.Name, &r.Version, &from, &until, &doc, &r.Rules); err != nil {
			return r, err
		}
		r.Valid = between(from, until)
		r.Schedule, err = ParseSchedule(doc)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("read schedules: %w", err)
	}
	return list, nil
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
