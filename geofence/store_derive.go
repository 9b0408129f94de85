package geofence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// claimDirty locks a subject that is to be derived again and has been left alone for settled, or has waited for patience.
func (e *Engine) claimDirty(ctx context.Context, tx pgx.Tx, settled, patience time.Duration) (*subject, time.Time, Why, error) {
	var s id.Subject
	var from time.Time
	var doc []byte
	var why Why
	err := tx.QueryRow(ctx, `SELECT subject_id, dirty_from, dirty_why FROM subject_state WHERE dirty_from IS NOT NULL
		AND (dirty_at <= clock_timestamp() - make_interval(secs => $1::float8) OR dirty_since <= clock_timestamp() - make_interval(secs => $2))
		ORDER BY CASE WHEN $1::float8 > 0 THEN dirty_since END, subject_id LIMIT 1 FOR UPDATE SKIP LOCKED`, settled.Seconds(), patience.Seconds()).Scan(&s, &from, &doc)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, from, why, nil
	}
	if err != nil {
		return nil, from, why, fmt.Errorf("look for subjects to derive again: %w", err)
	}
	why.What = lateData
	if doc != nil {
		if err := json.Unmarshal(doc, &why); err != nil {
			return nil, from, why, fmt.Errorf("why subject %d is to be derived again: %w", s, err)
		}
	}
	why.From = from.UTC()
	out, err := e.lockSubjects(ctx, tx, []id.Subject{s})
	return out[s], from.UTC(), why, err
}

// postponeDirty leaves a subject alone for a while whose past could not be derived; what comes late meanwhile has it tried at once.
func postponeDirty(ctx context.Context, q Querier, s id.Subject, wait time.Duration) error {
	if _, err := q.Exec(ctx, `UPDATE subject_state SET dirty_at = clock_timestamp() + make_interval(secs => $2), dirty_since = clock_timestamp() + make_interval(secs => $2)
		WHERE subject_id = $1 AND dirty_from IS NOT NULL`, s, wait.Seconds()); err != nil {
		return fmt.Errorf("postpone deriving the past of a subject: %w", err)
	}
	return nil
}

// lastCheckpoint is the state of a subject before an instant; the zero State where none is kept.
func lastCheckpoint(ctx context.Context, q Querier, s id.Subject, before time.Time) (state State, err error) {
	var doc []byte
	err = q.QueryRow(ctx, `SELECT state FROM state_checkpoint WHERE subject_id = $1 AND at < $2 ORDER BY at DESC LIMIT 1`, s, before).Scan(&doc)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return State{}, nil
	case err != nil:
		return state, fmt.Errorf("read a checkpoint: %w", err)
	}
	if err := json.Unmarshal(doc, &state); err != nil {
		return state, fmt.Errorf("checkpoint of subject %d: %w", s, err)
	}
	return state, nil
}

// loadAsked reads what rules asked of a subject because of fixes later than since, and what is still waited for.
func loadAsked(ctx context.Context, q Querier, s id.Subject, since time.Time) (*Asked, error) {
	rows, err := q.Query(ctx, `SELECT rule_id, because_at, asked_at, due_at FROM check_demand
		WHERE subject_id = $1 AND reason = 'confirm' AND because_at > $2 ORDER BY check_id`, s, since)
	if err != nil {
		return nil, fmt.Errorf("read what was asked: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d DemandFact, err error) {
		err = row.Scan(&d.Rule, &d.Because, &d.Asked, &d.Due)
		d.Because, d.Asked, d.Due = d.Because.UTC(), d.Asked.UTC(), d.Due.UTC()
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("read what was asked: %w", err)
	}
	return &Asked{list}, nil
}

type demandKey struct {
	rule    RuleID
	because int64
}

// loadSettled reads the demands that rules made because of fixes later than since, or that were pending then.
func loadSettled(ctx context.Context, tx pgx.Tx, s id.Subject, since time.Time) (map[demandKey]*pendingCheck, error) {
	rows, err := tx.Query(ctx, `SELECT check_id, coalesce(command_id, 0), subject_id, device_id, rule_id, asked_at, due_at, state, because_at FROM check_demand
		WHERE subject_id = $1 AND reason = 'confirm' AND (because_at > $2 OR due_at > $2 OR state = 'pending')`, s, since)
	if err != nil {
		return nil, fmt.Errorf("read demands: %w", err)
	}
	out := map[demandKey]*pendingCheck{}
	c := pendingCheck{}
	var because *time.Time
	_, err = pgx.ForEachRow(rows, []any{&c.check, &c.command, &c.subject, &c.device, &c.rule, &c.asked, &c.due, &c.state, &because}, func() error {
		if because != nil {
			one := c
			one.asked, one.due, one.because = one.asked.UTC(), one.due.UTC(), because.UTC()
			out[demandKey{one.rule, because.UnixNano()}] = &one
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read demands: %w", err)
	}
	return out, nil
}

// loadEpisodes reads the violations of a subject that were not decided to their end when a state was as it is.
func loadEpisodes(ctx context.Context, tx pgx.Tx, s id.Subject, base *State) ([]*episode, error) {
	rows, err := tx.Query(ctx, `SELECT `+violationColumns+` FROM violation WHERE subject_id = $1 AND state <> 'withdrawn'
		AND (closed_at IS NULL OR closed_at > $2) ORDER BY violation_id`, s, base.Front.At.AddDate(0, -1, 0))
	if err != nil {
		return nil, fmt.Errorf("read violations: %w", err)
	}
	all, err := pgx.CollectRows(rows, scanEpisode)
	if err != nil {
		return nil, fmt.Errorf("read violations: %w", err)
	}
	all = slices.DeleteFunc(all, func(v *episode) bool { k := kinds[v.evidence.Opened.Kind]; return k != nil && k.company })
	return undecided(all, base), nil
}

// moveFlags corrects the flags of stored fixes.
func moveFlags(ctx context.Context, tx pgx.Tx, s id.Subject, list []moved) error {
	if len(list) == 0 {
		return nil
	}
	at, device, boot, seq, flags := make([]time.Time, len(list)), make([]int64, len(list)), make([]int64, len(list)), make([]int64, len(list)), make([]int16, len(list))
	for i, m := range list {
		at[i], device[i], boot[i], seq[i], flags[i] = m.at, int64(m.device), m.boot, m.seq, int16(m.flags)
	}
	_, err := tx.Exec(ctx, `UPDATE position p SET flags = v.flags FROM unnest($2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[], $6::smallint[])
		AS v (at, device, boot, seq, flags) WHERE p.subject_id = $1 AND p.fix_at = v.at AND p.device_id = v.device AND p.boot = v.boot AND p.seq = v.seq`,
		s, at, device, boot, seq, flags)
	if err != nil {
		return fmt.Errorf("correct flags: %w", err)
	}
	return nil
}

// saveDerived writes the state, the checkpoints that hold now, and that nothing is left to derive.
func saveDerived(ctx context.Context, tx pgx.Tx, s *subject, from time.Time, list []checkpoint, now time.Time) error {
	if _, err := tx.Exec(ctx, `UPDATE subject_state SET dirty_from = NULL, dirty_why = NULL, dirty_since = NULL, dirty_at = NULL WHERE subject_id = $1`, s.id); err != nil {
		return fmt.Errorf("save what was derived: %w", err)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM state_checkpoint WHERE subject_id = $1 AND at >= $2`, s.id, from); err != nil {
		return fmt.Errorf("drop checkpoints: %w", err)
	}
	s.checkpoints = list
	_, err := saveStates(ctx, tx, map[id.Subject]*subject{s.id: s}, now)
	return err
}

// writeCheckpoints keeps states as they were at some instants.
func writeCheckpoints(ctx context.Context, tx pgx.Tx, subjects map[id.Subject]*subject) error {
	var ids []int64
	var at []time.Time
	var docs []string
	for _, s := range subjects {
		for _, c := range s.checkpoints {
			ids, at, docs = append(ids, int64(s.id)), append(at, c.at), append(docs, string(c.state))
		}
		s.checkpoints = nil
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO state_checkpoint (subject_id, at, state) SELECT DISTINCT ON (s, a) s, a, d::jsonb
		FROM unnest($1::bigint[], $2::timestamptz[], $3::text[]) AS v (s, a, d) ORDER BY s, a
		ON CONFLICT (subject_id, at) DO UPDATE SET state = excluded.state`, ids, at, docs)
	if err != nil {
		return fmt.Errorf("keep checkpoints: %w", err)
	}
	return nil
}

// readPast reads what history holds of a subject after a place in event order, up to an instant (zero: to its end), in event
// order: fixes, check-ins, and what devices said of themselves while they spoke for this subject. Where known is not zero
// only what was received by then is read.
func readPast(ctx context.Context, q Querier, f *Facts, after Front, until, known time.Time, take func(*Past) error) error {
	r := pastReader{facts: f, after: after, take: take, checkIns: map[heardKey]bool{}}
	if err := r.readRest(ctx, q, until, known); err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	rows, err := q.Query(ctx, `SELECT fix_at, device_id, boot, seq, received_at, lon_e7, lat_e7, accuracy_m, method, flags, answers, skew_ms, battery, strap, charging, last_gasp
		FROM position WHERE subject_id = $1 AND fix_at >= $2 AND ($3::timestamptz IS NULL OR fix_at < $3) AND ($4::timestamptz IS NULL OR received_at <= $4)
		ORDER BY fix_at, device_id, boot, seq`, f.Subject, after.At, orNull(until), orNull(known))
	if err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := r.position(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	return r.upTo(nil)
}

// pastReader puts the rows of three tables in event order.
type pastReader struct {
	facts    *Facts
	after    Front
	take     func(*Past) error
	rest     []Past // check-ins without a place and statuses, in event order; those before next are told
	next     int
	checkIns map[heardKey]bool // those that gave a place
	bound    *BindingFact      // the last one found

	p        Past
	place    devices.Place
	lon, lat int32
	accuracy *float32
	answers  *int64
	skew     *int32
	battery  *int16
	strap    *int16
	lastly   *string
}

// readRest reads everything but places; it is little.
func (r *pastReader) readRest(ctx context.Context, q Querier, until, known time.Time) error {
	var devs []int64
	var from []time.Time
	var to []*time.Time
	for i := range r.facts.Bindings {
		b := &r.facts.Bindings[i]
		devs, from, to = append(devs, int64(b.Device)), append(from, b.Valid.From), append(to, orNull(b.Valid.Until))
	}
	rows, err := q.Query(ctx, `
		SELECT c.at, c.device_id, c.boot, c.seq, c.received_at, c.answers, 'checkin', EXISTS (SELECT FROM position p WHERE p.subject_id = c.subject_id AND p.fix_at = c.at
		       AND p.device_id = c.device_id AND p.boot = c.boot AND p.seq = c.seq), c.battery, c.strap, c.charging, c.last_gasp
		  FROM check_in c WHERE c.subject_id = $1 AND c.at >= $2 AND ($3::timestamptz IS NULL OR c.at < $3) AND ($7::timestamptz IS NULL OR c.received_at <= $7)
		UNION ALL
		SELECT s.at, s.device_id, s.boot, s.seq, s.received_at, NULL, 'status', false, s.battery, s.strap, s.charging, s.last_gasp
		  FROM unnest($4::bigint[], $5::timestamptz[], $6::timestamptz[]) AS b (device, since, until)
		  JOIN device_status s ON s.device_id = b.device AND s.at >= greatest(b.since, $2) AND (b.until IS NULL OR s.at < b.until)
		 WHERE ($3::timestamptz IS NULL OR s.at < $3) AND ($7::timestamptz IS NULL OR s.received_at <= $7)
		 ORDER BY 1, 2, 3, 4`, r.facts.Subject, r.after.At, orNull(until), devs, from, to, orNull(known))
	if err != nil {
		return err
	}
	var device id.Device
	var placed bool
	var lastly *string
	var p Past
	o := &p.Observation
	_, err = pgx.ForEachRow(rows, []any{&o.At, &device, &o.Boot, &o.Seq, &o.ReceivedAt, &r.answers, &o.Kind, &placed, &r.battery, &r.strap, &o.Health.Charging, &lastly}, func() error {
		if placed {
			r.checkIns[heardKey{device, o.Boot, o.Seq}] = true
			return nil
		}
		one := p
		r.health(&one)
		if lastly != nil {
			one.Observation.Health.LastGasp = *lastly
		}
		if one.Binding = r.binding(device, o.At); one.Binding != nil {
			r.rest = append(r.rest, one)
		}
		return nil
	})
	return err
}

// health completes an observation with what was scanned beside it.
func (r *pastReader) health(p *Past) {
	o := &p.Observation
	o.At, o.ReceivedAt = o.At.UTC(), o.ReceivedAt.UTC()
	o.Answers, o.Health.Battery, o.Health.Strap = 0, nil, devices.StrapUnknown
	if r.answers != nil {
		o.Answers = id.Check(*r.answers)
		p.Flags |= Answer
	}
	if r.battery != nil {
		v := int(*r.battery)
		o.Health.Battery = &v
	}
	if r.strap != nil {
		o.Health.Strap = devices.Strap(*r.strap)
	}
}

// position tells one row of position, and before it what is older.
func (r *pastReader) position(rows pgx.Rows) error {
	p, o := &r.p, &r.p.Observation
	var device id.Device
	if err := rows.Scan(&o.At, &device, &o.Boot, &o.Seq, &o.ReceivedAt, &r.lon, &r.lat, &r.accuracy, &r.place.Method, &p.Flags, &r.answers, &r.skew,
		&r.battery, &r.strap, &o.Health.Charging, &r.lastly); err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	r.health(p)
	o.Health.LastGasp = ""
	if r.lastly != nil {
		o.Health.LastGasp = *r.lastly
	}
	r.place.Lon, r.place.Lat, r.place.Accuracy = float64(r.lon)/1e7, float64(r.lat)/1e7, 0
	if r.accuracy != nil {
		r.place.Accuracy = float64(*r.accuracy)
	}
	o.Place, o.SentAt, o.Kind = &r.place, time.Time{}, devices.KindFix
	if r.skew != nil {
		o.SentAt = o.ReceivedAt.Add(-time.Duration(*r.skew) * time.Millisecond)
	}
	if len(r.checkIns) > 0 && r.checkIns[heardKey{device, o.Boot, o.Seq}] {
		o.Kind = devices.KindCheckIn
	}
	if p.Binding = r.binding(device, o.At); p.Binding == nil {
		return nil // its binding was corrected since: it speaks for nobody we know
	}
	if err := r.upTo(p); err != nil {
		return err
	}
	return r.tell(p)
}

// upTo tells what comes before p in event order; nil: all that is left.
func (r *pastReader) upTo(p *Past) error {
	for ; r.next < len(r.rest); r.next++ {
		x := &r.rest[r.next]
		if p != nil {
			front := p.front()
			if !front.after(x.input()) {
				return nil
			}
		}
		if err := r.tell(x); err != nil {
			return err
		}
	}
	return nil
}

func (r *pastReader) tell(p *Past) error {
	if r.after.after(p.input()) {
		return nil
	}
	return r.take(p)
}

// binding is the binding of a device at t; the last one is usually it again.
func (r *pastReader) binding(d id.Device, t time.Time) *BindingFact {
	if b := r.bound; b == nil || b.Device != d || !b.Valid.Contains(t) {
		r.bound = r.facts.bindingOf(d, t)
	}
	return r.bound
}

func (p *Past) input() *Input {
	return &Input{At: p.Observation.At, Observed: &p.Observation, Binding: p.Binding}
}

func (p *Past) front() Front { return p.input().key() }

// bindingOf is the binding of a device at t.
func (f *Facts) bindingOf(d id.Device, t time.Time) *BindingFact {
	for i := range f.Bindings {
		if b := &f.Bindings[i]; b.Device == d && b.Valid.Contains(t) {
			return b
		}
	}
	return nil
}
