package geofence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/devices"
	"zhijiao/geofence/track"
	"zhijiao/internal/id"
)

// companyLock is held shared by who stores positions, from before it looks at the front until it commits, and alone by who
// moves the front: so a position is either seen by the rules or known to be late.
const companyLock = 0x7a6a_636f

// moveCompanyFront has everything up to an instant belong to the past.
func moveCompanyFront(ctx context.Context, pool *pgxpool.Pool, mark time.Time) error {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, companyLock); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE company_front SET at = $1 WHERE at < $1`, mark)
		return err
	})
	if err != nil {
		return fmt.Errorf("move the front of rules about several people: %w", err)
	}
	return nil
}

// noteCompanyLate notes whose positions are timed before the front, and from when. Positions of the transaction are
// stored after it asked.
func noteCompanyLate(ctx context.Context, tx pgx.Tx, from map[id.Subject]time.Time) error {
	if len(from) == 0 {
		return nil
	}
	var b pgx.Batch
	b.Queue(`SELECT pg_advisory_xact_lock_shared($1)`, companyLock)
	var front time.Time
	b.Queue(`SELECT at FROM company_front`).QueryRow(func(row pgx.Row) error { return row.Scan(&front) })
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("look at the front of rules about several people: %w", err)
	}
	var ids []int64
	var at []time.Time
	for s, t := range from {
		if !t.After(front) {
			ids, at = append(ids, int64(s)), append(at, t)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO company_late (subject_id, from_at) SELECT s, t FROM unnest($1::bigint[], $2::timestamptz[]) AS v (s, t) ORDER BY s
		ON CONFLICT (subject_id) DO UPDATE SET from_at = least(company_late.from_at, excluded.from_at), late_at = clock_timestamp()`, ids, at)
	if err != nil {
		return fmt.Errorf("note who is late: %w", err)
	}
	return nil
}

// spreadCompanyLate has the rules that concern those who were late judged again from there.
func spreadCompanyLate(ctx context.Context, pool *pgxpool.Pool, settled, patience time.Duration) error {
	_, err := pool.Exec(ctx, `
		WITH late AS (DELETE FROM company_late WHERE late_at <= clock_timestamp() - make_interval(secs => $1::float8)
		      OR late_since <= clock_timestamp() - make_interval(secs => $2::float8) RETURNING subject_id, from_at),
		hit AS (SELECT c.rule_id, min(l.from_at) AS from_at FROM company_state c JOIN late l ON EXISTS (
		      SELECT FROM rule r WHERE r.rule_id = c.rule_id AND (r.subject_id = l.subject_id
		          OR r.relation_id IN (SELECT relation_id FROM relation WHERE other_id = l.subject_id)
		          OR r.org_id IS NOT NULL AND EXISTS (SELECT FROM subject_office o WHERE o.subject_id = l.subject_id AND o.org_id IN (SELECT org_subtree(r.org_id)))))
		      GROUP BY c.rule_id)
		UPDATE company_state c SET dirty_from = least(c.dirty_from, h.from_at) FROM hit h WHERE c.rule_id = h.rule_id AND c.at >= h.from_at`,
		settled.Seconds(), patience.Seconds())
	if err != nil {
		return fmt.Errorf("spread who is late: %w", err)
	}
	return nil
}

// claim locks a rule that has something to do.
func (r *companyRound) claim(ctx context.Context, tx pgx.Tx) error {
	var doc, why []byte
	var dirty *time.Time
	err := tx.QueryRow(ctx, `SELECT rule_id, at, state, dirty_from, dirty_why FROM company_state WHERE at < $1 OR dirty_from IS NOT NULL
		ORDER BY rule_id LIMIT 1 FOR UPDATE SKIP LOCKED`, r.mark).Scan(&r.rule, &r.state.At, &doc, &dirty, &why)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for rules about several people: %w", err)
	}
	at := r.state.At.UTC()
	if err := json.Unmarshal(doc, &r.state); err != nil {
		return fmt.Errorf("state of rule %d: %w", r.rule, err)
	}
	r.state.At = at
	if dirty != nil {
		r.dirty, r.why = dirty.UTC(), Why{What: lateData}
		if why != nil {
			if err := json.Unmarshal(why, &r.why); err != nil {
				return fmt.Errorf("why rule %d is judged again: %w", r.rule, err)
			}
		}
		r.why.From = r.dirty
	}
	return nil
}

func (r *companyRound) save(ctx context.Context, tx pgx.Tx) error {
	doc, err := json.Marshal(&r.state)
	if err != nil {
		return fmt.Errorf("state of rule %d: %w", r.rule, err)
	}
	_, err = tx.Exec(ctx, `UPDATE company_state SET at = $2, state = $3, dirty_from = NULL, dirty_why = NULL WHERE rule_id = $1`, r.rule, r.state.At, string(doc))
	if err != nil {
		return fmt.Errorf("save the state of rule %d: %w", r.rule, err)
	}
	return nil
}

// companyFacts reads everything that bears on a rule about several people, as it was recorded; zero: now.
func (e *Engine) companyFacts(ctx context.Context, tx pgx.Tx, rule RuleID, known time.Time) (*CompanyFacts, error) {
	f := &CompanyFacts{}
	zones, schedules := map[ZoneID]bool{}, map[ScheduleID]bool{}
	var relation, org int64
	rows, err := tx.Query(ctx, `SELECT version, coalesce(subject_id, 0), kind, coalesce(zone_id, 0), legal_basis, document_no, params, coalesce(schedule_id, 0),
		lower(valid), upper(valid), coalesce(relation_id, 0), coalesce(org_id, 0) FROM rule WHERE rule_id = $1 AND `+recordedAt(known)+` ORDER BY version`, rule)
	if err != nil {
		return nil, fmt.Errorf("read rule %d: %w", rule, err)
	}
	r := Rule{ID: rule}
	var params []byte
	var from, until *time.Time
	_, err = pgx.ForEachRow(rows, []any{&r.Version, &r.Subject, &r.Kind, &r.Zone, &r.Basis, &r.DocumentNo, (*pgxBytes)(&params), &r.Schedule, &from, &until, &relation, &org}, func() (err error) {
		if r.Params, err = ParseParams(r.Kind, params); err != nil {
			return fmt.Errorf("version %d: %w", r.Version, err)
		}
		r.Valid = between(from, until)
		zones[r.Zone] = r.Zone != 0
		if r.Schedule != 0 {
			schedules[r.Schedule] = true
		}
		f.Rules = append(f.Rules, r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read rule %d: %w", rule, err)
	}
	if err := readSchedules(ctx, tx, schedules, known, map[id.Subject]*subjectFacts{0: {facts: &f.Facts}}); err != nil {
		return nil, err
	}
	if f.Zones, err = e.readZones(ctx, tx, zones, known); err != nil {
		return nil, err
	}
	if err := readMembers(ctx, tx, f, relation, org, known); err != nil {
		return nil, err
	}
	return f, readFloors(ctx, tx, f.Members, known, func(_ id.Subject, x FloorFact) { f.Floors = append(f.Floors, x) })
}

// readMembers reads whose fixes a rule looks at.
func readMembers(ctx context.Context, tx pgx.Tx, f *CompanyFacts, relation, org int64, known time.Time) error {
	if relation != 0 {
		rows, err := tx.Query(ctx, `SELECT other_id, lower(valid), upper(valid) FROM relation WHERE relation_id = $1 AND `+recordedAt(known)+` ORDER BY version`, relation)
		if err != nil {
			return fmt.Errorf("read relation %d: %w", relation, err)
		}
		var v RelationFact
		var from, until *time.Time
		if _, err := pgx.ForEachRow(rows, []any{&v.Other, &from, &until}, func() error {
			v.Valid = between(from, until)
			f.Relations = append(f.Relations, v)
			return nil
		}); err != nil {
			return fmt.Errorf("read relation %d: %w", relation, err)
		}
	}
	others := make([]id.Subject, 0, len(f.Relations)+1)
	for _, v := range f.Relations {
		others = append(others, v.Other)
	}
	if len(f.Rules) > 0 && f.Rules[0].Subject != 0 {
		others = append(others, f.Rules[0].Subject)
	}
	rows, err := tx.Query(ctx, `SELECT subject_id FROM subject_office WHERE org_id IN (SELECT org_subtree($1)) AND `+recordedAt(known)+`
		UNION SELECT unnest($2::bigint[]) ORDER BY 1`, org, others)
	if err != nil {
		return fmt.Errorf("read whom a rule is about: %w", err)
	}
	if f.Members, err = pgx.CollectRows(rows, pgx.RowTo[id.Subject]); err != nil {
		return fmt.Errorf("read whom a rule is about: %w", err)
	}
	return nil
}

// readSightings reads firm fixes that speak for persons, later than after and up to until, in event order. Where known is
// not zero only those received by then.
func readSightings(ctx context.Context, q Querier, members []id.Subject, after, until, known time.Time, take func(*Sighting)) error {
	const mute = OutOfOrder | Impossible | Skewed | Frozen | Detached
	class, err := classesOf(ctx, q, members)
	if err != nil {
		return fmt.Errorf("read sightings: %w", err)
	}
	in := span{From: after.Add(time.Microsecond), Until: until.Add(time.Microsecond), Known: known}
	err = readFixes(ctx, q, members, in, func(s id.Subject, f *track.Fix) error {
		if Flag(f.Flags)&mute != 0 || f.Method != devices.MethodGNSS && f.Method != devices.MethodRF {
			return nil
		}
		x := Sighting{Subject: s, Class: class[f.Binding],
			Mark: Mark{Device: f.Device, Boot: f.Boot, Seq: f.Seq, At: f.At, LonE7: f.LonE7, LatE7: f.LatE7, Method: f.Method}}
		if f.Accuracy != nil {
			x.Mark.Claimed = claimed(float64(*f.Accuracy))
		}
		take(&x)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read sightings: %w", err)
	}
	return nil
}

// classesOf is the class of device of every binding that subjects ever had.
func classesOf(ctx context.Context, q Querier, subjects []id.Subject) (map[id.Binding]devices.Class, error) {
	rows, err := q.Query(ctx, `SELECT binding_id, class FROM binding WHERE subject_id = ANY ($1)`, subjects)
	if err != nil {
		return nil, err
	}
	out := map[id.Binding]devices.Class{}
	var b id.Binding
	var c devices.Class
	_, err = pgx.ForEachRow(rows, []any{&b, &c}, func() error { out[b] = c; return nil })
	return out, err
}

// companyJudged is up to where a rule about several people was judged.
func companyJudged(ctx context.Context, q Querier, rule RuleID) (time.Time, error) {
	var at time.Time
	if err := q.QueryRow(ctx, `SELECT at FROM company_state WHERE rule_id = $1`, rule).Scan(&at); err != nil {
		return at, fmt.Errorf("read up to where rule %d was judged: %w", rule, err)
	}
	return at.UTC(), nil
}

// loadCompanyEpisodes reads what stands of a rule about several people.
func loadCompanyEpisodes(ctx context.Context, q Querier, rule RuleID) ([]*episode, error) {
	rows, err := q.Query(ctx, `SELECT `+violationColumns+` FROM violation WHERE rule_id = $1 AND state <> 'withdrawn' ORDER BY violation_id`, rule)
	if err != nil {
		return nil, fmt.Errorf("read violations of rule %d: %w", rule, err)
	}
	return pgx.CollectRows(rows, scanEpisode)
}
