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
	"zhijiao/geofence/track"
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
	tag, err := tx.Exec(ctx, `UPDATE position p SET flags = v.flags FROM unnest($2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[], $6::smallint[])
		AS v (at, device, boot, seq, flags), binding b WHERE p.subject_id = $1 AND p.fix_at = v.at AND p.boot = v.boot AND p.seq = v.seq
		AND b.binding_id = p.binding_id AND b.device_id = v.device`,
		s, at, device, boot, seq, flags)
	if err != nil {
		return fmt.Errorf("correct flags: %w", err)
	}
	if tag.RowsAffected() < int64(len(list)) {
		return moveFlagsPacked(ctx, tx, s, list)
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
	err := readFixes(ctx, q, []id.Subject{f.Subject}, span{after.At, until, known}, func(_ id.Subject, x *track.Fix) error { return r.position(x) })
	if err != nil {
		return err
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

	p     Past
	place devices.Place
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
		SELECT c.at, c.device_id, c.boot, c.seq, c.received_at, coalesce(c.answers, 0), 'checkin', c.placed, c.battery, c.strap, c.charging, coalesce(c.last_gasp, '')
		  FROM check_in c WHERE c.subject_id = $1 AND c.at >= $2 AND ($3::timestamptz IS NULL OR c.at < $3) AND ($7::timestamptz IS NULL OR c.received_at <= $7)
		UNION ALL
		SELECT s.at, s.device_id, s.boot, s.seq, s.received_at, 0, 'status', false, s.battery, s.strap, s.charging, coalesce(s.last_gasp, '')
		  FROM unnest($4::bigint[], $5::timestamptz[], $6::timestamptz[]) AS b (device, since, until)
		  JOIN device_status s ON s.device_id = b.device AND s.at >= greatest(b.since, $2) AND (b.until IS NULL OR s.at < b.until)
		 WHERE ($3::timestamptz IS NULL OR s.at < $3) AND ($7::timestamptz IS NULL OR s.received_at <= $7)
		 ORDER BY 1, 2, 3, 4`, r.facts.Subject, r.after.At, orNull(until), devs, from, to, orNull(known))
	if err != nil {
		return err
	}
	var device id.Device
	var placed bool
	var battery, strap *int16
	var p Past
	o := &p.Observation
	_, err = pgx.ForEachRow(rows, []any{&o.At, &device, &o.Boot, &o.Seq, &o.ReceivedAt, &o.Answers, &o.Kind, &placed, &battery, &strap, &o.Health.Charging, &o.Health.LastGasp}, func() error {
		if placed {
			r.checkIns[heardKey{device, o.Boot, o.Seq}] = true
			return nil
		}
		one := p
		one.health(battery, strap)
		if one.Binding = r.binding(device, o.At); one.Binding != nil {
			r.rest = append(r.rest, one)
		}
		return nil
	})
	return err
}

// health completes an observation with what was read beside it.
func (p *Past) health(battery, strap *int16) {
	o := &p.Observation
	o.At, o.ReceivedAt = o.At.UTC(), o.ReceivedAt.UTC()
	o.Health.Battery, o.Health.Strap = nil, devices.StrapUnknown
	if o.Answers != 0 {
		p.Flags |= Answer
	}
	if battery != nil {
		v := int(*battery)
		o.Health.Battery = &v
	}
	if strap != nil {
		o.Health.Strap = devices.Strap(*strap)
	}
}

// position tells one fix, and before it what is older.
func (r *pastReader) position(f *track.Fix) error {
	p, o := &r.p, &r.p.Observation
	o.At, o.ReceivedAt, o.Boot, o.Seq, o.Answers, p.Flags = f.At, f.ReceivedAt, f.Boot, f.Seq, f.Answers, Flag(f.Flags)
	p.health(f.Battery, f.Strap)
	o.Health.Charging, o.Health.LastGasp = f.Charging, f.LastGasp
	r.place.Method, r.place.Lon, r.place.Lat, r.place.Accuracy = f.Method, float64(f.LonE7)/1e7, float64(f.LatE7)/1e7, 0
	if f.Accuracy != nil {
		r.place.Accuracy = float64(*f.Accuracy)
	}
	o.Place, o.SentAt, o.Kind = &r.place, time.Time{}, devices.KindFix
	if f.SkewMS != nil {
		o.SentAt = o.ReceivedAt.Add(-time.Duration(*f.SkewMS) * time.Millisecond)
	}
	if len(r.checkIns) > 0 && r.checkIns[heardKey{f.Device, o.Boot, o.Seq}] {
		o.Kind = devices.KindCheckIn
	}
	if p.Binding = r.binding(f.Device, o.At); p.Binding == nil {
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
