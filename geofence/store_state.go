package geofence

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/internal/id"
	"zhijiao/supervision"
)

// lockSubjects locks the rows of subjects, in order of their ids, and brings states and facts.
func (e *Engine) lockSubjects(ctx context.Context, tx pgx.Tx, ids []id.Subject) (map[id.Subject]*subject, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	const lock = `SELECT subject_id, version, facts, state, next_due FROM subject_state WHERE subject_id = ANY ($1) ORDER BY subject_id FOR UPDATE`
	out, err := e.readStates(ctx, tx, lock, ids)
	if err != nil {
		return nil, err
	}
	if len(out) < len(ids) { // whoever binds a device makes the row; a subject without one is as good
		if _, err := tx.Exec(ctx, `INSERT INTO subject_state (subject_id) SELECT s FROM unnest($1::bigint[]) s ORDER BY s ON CONFLICT DO NOTHING`, ids); err != nil {
			return nil, fmt.Errorf("make states of subjects: %w", err)
		}
		if out, err = e.readStates(ctx, tx, lock, ids); err != nil {
			return nil, err
		}
	}
	return out, e.loadFacts(ctx, tx, out)
}

// readStates reads rows of subject_state that sql locks.
func (e *Engine) readStates(ctx context.Context, tx pgx.Tx, sql string, args ...any) (map[id.Subject]*subject, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("lock subjects: %w", err)
	}
	out := map[id.Subject]*subject{}
	var one subject
	var doc []byte
	var due *time.Time
	_, err = pgx.ForEachRow(rows, []any{&one.id, &one.version, &one.number, (*pgxBytes)(&doc), &due}, func() error {
		s := one
		if due != nil {
			s.due = due.UTC()
		}
		var kept bool
		if s.state, kept = e.cache.takeState(s.id, s.version); !kept {
			if err := json.Unmarshal(doc, &s.state); err != nil {
				return fmt.Errorf("state of subject %d: %w", s.id, err)
			}
		}
		out[s.id] = &s
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("lock subjects: %w", err)
	}
	return out, nil
}

// pgxBytes scans a jsonb as it is, without a copy; it is good until the next row.
type pgxBytes []byte

// ScanBytes implements pgtype.BytesScanner.
func (b *pgxBytes) ScanBytes(v []byte) error { *b = v; return nil }

// saveStates writes the states that were evaluated, each against the version it was read at, and returns the earliest
// timer that is set. A timer is only ever moved forward here: one that fires early arms itself again, and so a fix does
// not rewrite the index of timers.
func saveStates(ctx context.Context, tx pgx.Tx, subjects map[id.Subject]*subject, now time.Time) (earliest time.Time, err error) {
	var ids, versions []int64
	var docs []string
	var due, dirty []*time.Time
	for _, s := range subjects {
		if !s.changed {
			continue
		}
		doc, err := json.Marshal(&s.state)
		if err != nil {
			return earliest, fmt.Errorf("state of subject %d: %w", s.id, err)
		}
		next := s.due
		if want := NextDue(&s.state, s.known.facts, now); next.IsZero() || !want.IsZero() && want.Before(next) {
			next = want
		}
		var at *time.Time
		if !next.IsZero() {
			at = &next
			if !next.Equal(s.due) && (earliest.IsZero() || next.Before(earliest)) {
				earliest = next
			}
		}
		ids, versions, docs = append(ids, int64(s.id)), append(versions, s.version), append(docs, string(doc))
		due, dirty = append(due, at), append(dirty, orNull(s.dirty))
	}
	if err := writeCheckpoints(ctx, tx, subjects); err != nil {
		return earliest, err
	}
	return earliest, writeStates(ctx, tx, ids, versions, docs, due, dirty)
}

func writeStates(ctx context.Context, tx pgx.Tx, ids, versions []int64, docs []string, due, dirty []*time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	tag, err := tx.Exec(ctx, `UPDATE subject_state s SET version = s.version + 1, state = v.state::jsonb, next_due = v.due,
			dirty_from = least(s.dirty_from, v.dirty), dirty_since = CASE WHEN v.dirty IS NULL THEN s.dirty_since ELSE coalesce(s.dirty_since, clock_timestamp()) END,
			dirty_at = CASE WHEN v.dirty IS NULL THEN s.dirty_at ELSE clock_timestamp() END
		FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::timestamptz[], $5::timestamptz[]) AS v (subject_id, version, state, due, dirty)
		WHERE s.subject_id = v.subject_id AND s.version = v.version`, ids, versions, docs, due, dirty)
	if err != nil {
		return fmt.Errorf("save states: %w", err)
	}
	if tag.RowsAffected() != int64(len(ids)) {
		return errVersion
	}
	return nil
}

// loadBindings returns the bindings of devices under their locks.
func (e *Engine) loadBindings(ctx context.Context, tx pgx.Tx, known map[devices.Serial]*devices.Known) (map[id.Device][]BindingFact, error) {
	out := make(map[id.Device][]BindingFact, len(known))
	numbers := map[id.Device]int64{}
	var stale []id.Device
	for _, k := range known {
		if b := e.cache.bindingsAt(k.ID, k.Facts); b != nil {
			out[k.ID] = b.bindings
			continue
		}
		numbers[k.ID] = k.Facts
		stale = append(stale, k.ID)
	}
	if len(stale) == 0 {
		return out, nil
	}
	slices.Sort(stale)
	loaded, err := devices.LoadBindings(ctx, tx, stale)
	if err != nil {
		return nil, err
	}
	for _, d := range stale {
		list := make([]BindingFact, 0, len(loaded[d]))
		for _, b := range loaded[d] {
			list = append(list, BindingFact{ID: b.ID, Device: b.Device, Class: b.Class, Subject: b.Subject, Interval: b.Interval, Finest: b.Finest,
				Valid: Interval{b.From, b.Until}})
		}
		out[d] = list
		e.cache.putBindings(d, &deviceBindings{numbers[d], list})
	}
	return out, nil
}

// loadFacts gives every locked subject its facts, from the cache where their number has not moved.
func (e *Engine) loadFacts(ctx context.Context, tx pgx.Tx, subjects map[id.Subject]*subject) error {
	var stale []id.Subject
	for _, s := range subjects {
		if s.known = e.cache.factsAt(s.id, s.number); s.known == nil {
			stale = append(stale, s.id)
		}
	}
	if len(stale) == 0 {
		return nil
	}
	slices.Sort(stale)
	loaded, err := e.readFacts(ctx, tx, stale, time.Time{})
	if err != nil {
		return err
	}
	for _, n := range stale {
		s := subjects[n]
		s.known = loaded[n]
		s.known.facts.Version = s.number
		e.cache.putFacts(s.known)
	}
	return nil
}

// recordedAt is the condition that a row says what was recorded at an instant of domain time; zero: now.
func recordedAt(known time.Time) string {
	if known.IsZero() {
		return "upper_inf(recorded)"
	}
	return "recorded @> '" + known.UTC().Format(time.RFC3339Nano) + "'::timestamptz"
}

// readFacts reads everything that bears on subjects, as it was recorded at an instant; zero: now.
func (e *Engine) readFacts(ctx context.Context, tx pgx.Tx, ids []id.Subject, known time.Time) (map[id.Subject]*subjectFacts, error) {
	out := make(map[id.Subject]*subjectFacts, len(ids))
	for _, s := range ids {
		out[s] = &subjectFacts{facts: &Facts{Subject: s}}
	}
	approvals, err := supervision.AuthoritiesAt(ctx, tx, ids, known)
	if err != nil {
		return nil, err
	}
	for s, list := range approvals {
		for _, a := range list {
			out[s].facts.Authorities = append(out[s].facts.Authorities, Interval{a.From, a.Until})
		}
	}
	if err := readBindingFacts(ctx, tx, ids, known, out); err != nil {
		return nil, err
	}
	if err := readOffices(ctx, tx, ids, out); err != nil {
		return nil, err
	}
	if err := readAttachments(ctx, tx, ids, known, out); err != nil {
		return nil, err
	}
	if err := readFloors(ctx, tx, ids, known, func(s id.Subject, f FloorFact) { out[s].facts.Floors = append(out[s].facts.Floors, f) }); err != nil {
		return nil, err
	}
	if err := readDeaf(ctx, tx, out); err != nil {
		return nil, err
	}
	if err := readSuspensions(ctx, tx, ids, known, func(s id.Subject, v Suspension) { out[s].facts.Suspensions = append(out[s].facts.Suspensions, v) }); err != nil {
		return nil, err
	}
	return out, e.readRules(ctx, tx, ids, known, out)
}

func readBindingFacts(ctx context.Context, tx pgx.Tx, ids []id.Subject, known time.Time, out map[id.Subject]*subjectFacts) error {
	rows, err := tx.Query(ctx, `SELECT binding_id, device_id, class, subject_id, interval_s, finest_s, lower(valid), upper(valid) FROM binding
		WHERE subject_id = ANY ($1) AND `+recordedAt(known)+` ORDER BY subject_id, lower(valid), binding_id`, ids)
	if err != nil {
		return fmt.Errorf("read bindings of subjects: %w", err)
	}
	var b BindingFact
	var interval, finest int
	var from, until *time.Time
	_, err = pgx.ForEachRow(rows, []any{&b.ID, &b.Device, &b.Class, &b.Subject, &interval, &finest, &from, &until}, func() error {
		b.Interval, b.Finest, b.Valid = time.Duration(interval)*time.Second, time.Duration(finest)*time.Second, between(from, until)
		out[b.Subject].facts.Bindings = append(out[b.Subject].facts.Bindings, b)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read bindings of subjects: %w", err)
	}
	return nil
}

func readOffices(ctx context.Context, tx pgx.Tx, ids []id.Subject, out map[id.Subject]*subjectFacts) error {
	rows, err := tx.Query(ctx, `SELECT subject_id, org_id, lower(valid), upper(valid) FROM subject_office
		WHERE subject_id = ANY ($1) AND upper_inf(recorded) ORDER BY subject_id, lower(valid)`, ids)
	if err != nil {
		return fmt.Errorf("read offices of subjects: %w", err)
	}
	var s id.Subject
	var o officeInterval
	var from, until *time.Time
	_, err = pgx.ForEachRow(rows, []any{&s, &o.org, &from, &until}, func() error {
		o.valid = between(from, until)
		out[s].offices = append(out[s].offices, o)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read offices of subjects: %w", err)
	}
	return nil
}

// between is a range of the database as an interval; no bound is a zero time.
func between(from, until *time.Time) (v Interval) {
	if from != nil {
		v.From = from.UTC()
	}
	if until != nil {
		v.Until = until.UTC()
	}
	return v
}

// readRules reads rules and the zones they are about.
func (e *Engine) readRules(ctx context.Context, tx pgx.Tx, ids []id.Subject, known time.Time, out map[id.Subject]*subjectFacts) error {
	rows, err := tx.Query(ctx, `SELECT rule_id, version, subject_id, kind, coalesce(zone_id, 0), legal_basis, document_no, params, coalesce(schedule_id, 0), lower(valid), upper(valid)
		FROM rule WHERE subject_id = ANY ($1) AND `+recordedAt(known)+` ORDER BY subject_id, rule_id, version`, ids)
	if err != nil {
		return fmt.Errorf("read rules: %w", err)
	}
	wanted, schedules := map[ZoneID]bool{}, map[ScheduleID]bool{}
	var r Rule
	var params []byte
	var from, until *time.Time
	_, err = pgx.ForEachRow(rows, []any{&r.ID, &r.Version, &r.Subject, &r.Kind, &r.Zone, &r.Basis, &r.DocumentNo, (*pgxBytes)(&params), &r.Schedule, &from, &until}, func() error {
		var err error
		if r.Params, err = ParseParams(r.Kind, params); err != nil {
			return fmt.Errorf("rule %d version %d: %w", r.ID, r.Version, err)
		}
		r.Valid = between(from, until)
		wanted[r.Zone] = r.Zone != 0
		if r.Schedule != 0 {
			schedules[r.Schedule] = true
		}
		out[r.Subject].facts.Rules = append(out[r.Subject].facts.Rules, r)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read rules: %w", err)
	}
	if err := readSchedules(ctx, tx, schedules, known, out); err != nil {
		return err
	}
	zones, err := e.readZones(ctx, tx, wanted, known)
	if err != nil {
		return err
	}
	for _, s := range out {
		s.facts.Zones = map[ZoneID][]*Zone{}
		for _, r := range s.facts.Rules {
			if z := zones[r.Zone]; z != nil {
				s.facts.Zones[r.Zone] = z
			}
		}
	}
	return nil
}

// readZones returns the versions of zones as they were recorded, by validity; each is prepared once for all subjects.
func (e *Engine) readZones(ctx context.Context, tx pgx.Tx, wanted map[ZoneID]bool, known time.Time) (map[ZoneID][]*Zone, error) {
	var ids []ZoneID
	for z, ok := range wanted {
		if ok {
			ids = append(ids, z)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	slices.Sort(ids)
	rows, err := tx.Query(ctx, `SELECT zone_id, version FROM zone_version WHERE zone_id = ANY ($1) AND `+recordedAt(known)+` ORDER BY zone_id, lower(valid)`, ids)
	if err != nil {
		return nil, fmt.Errorf("read zones: %w", err)
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k zoneKey, err error) {
		err = row.Scan(&k.id, &k.version)
		return k, err
	})
	if err != nil {
		return nil, fmt.Errorf("read zones: %w", err)
	}
	out := map[ZoneID][]*Zone{}
	for _, k := range keys {
		z := e.cache.zone(k)
		if z == nil {
			if z, err = prepareZone(ctx, tx, k); err != nil {
				return nil, err
			}
			e.cache.putZone(z)
		}
		out[k.id] = append(out[k.id], z)
	}
	return out, nil
}

func prepareZone(ctx context.Context, tx pgx.Tx, k zoneKey) (*Zone, error) {
	var shape Shape
	var doc []byte
	var radius *float64
	var from, until *time.Time
	err := tx.QueryRow(ctx, `SELECT shape, ST_AsEWKB(geom), radius_m, lower(valid), upper(valid) FROM zone_version WHERE zone_id = $1 AND version = $2`,
		k.id, k.version).Scan(&shape, &doc, &radius, &from, &until)
	if err != nil {
		return nil, fmt.Errorf("read zone %d version %d: %w", k.id, k.version, err)
	}
	var metres float64
	if radius != nil {
		metres = *radius
	}
	return zoneFromEWKB(k.id, k.version, between(from, until), shape, doc, metres)
}

// makePartitions makes the partitions of days that have none, outside of any batch.
func (e *Engine) makePartitions(ctx context.Context, days missingDays) error {
	for _, d := range days {
		if _, err := e.o.Pool.Exec(ctx, "SELECT position_partition($1::date)", d.Format(time.DateOnly)); err != nil {
			return fmt.Errorf("make the partition of %s: %w", d.Format(time.DateOnly), err)
		}
		e.cache.putDay(d)
	}
	return nil
}
