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
	"zhijiao/internal/ledger"
	"zhijiao/supervision"
)

// SuspensionSpec is a suspension to record: somebody is detained, in hospital, or their device is repaired or taken off by appointment.
type SuspensionSpec struct {
	Subject    id.Subject
	Cause      SuspensionCause
	DocumentNo string // the notice, the hospital's paper, the order of repair
	From       time.Time
	Until      time.Time // zero: until it is ended
}

// PutSuspension records one; nothing about the subject is judged for its interval (R23), the past included.
func (s *Store) PutSuspension(ctx context.Context, by id.Account, scope id.Org, v SuspensionSpec) (SuspensionID, error) {
	var n SuspensionID
	switch {
	case v.Cause != Detention && v.Cause != Hospital && v.Cause != Maintenance && v.Cause != Removal:
		return 0, &Refused{Field: "cause", Reason: BadKind, Detail: "detention, hospital, maintenance or removal: what a decision allows comes with the decision"}
	case v.DocumentNo == "":
		return 0, &Refused{Field: "document_no", Reason: NoDocument, Detail: "what it rests on"}
	case v.From.IsZero(), !v.Until.IsZero() && !v.From.Before(v.Until):
		return 0, &Refused{Field: "until", Reason: EmptyInterval, Detail: "it has a beginning and a later end"}
	case v.Cause == Removal && (v.Until.IsZero() || v.Until.Sub(v.From) > longestRemoval):
		return 0, &Refused{Field: "until", Reason: EmptyInterval, Detail: "an appointment to take the device off lasts four hours at most"}
	}
	var kinds []RuleKind
	if v.Cause == Removal {
		kinds = []RuleKind{Strap}
	}
	err := s.change(ctx, "put a suspension", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		if err := lockScoped(ctx, tx, v.Subject, scope, now, Why{What: "suspension", By: by, At: now, From: v.From}); err != nil {
			return nil, err
		}
		var err error
		if n, err = putSuspension(ctx, tx, by, now, 0, 0, v, kinds, 0); err != nil {
			return nil, err
		}
		e, err := suspensionEntry(ctx, tx, "suspension.put", v.Subject, n, now, map[string]any{"cause": v.Cause, "from": v.From.UTC(), "until": orNull(v.Until), "by": by})
		return []ledger.Entry{e}, err
	})
	return n, err
}

// longestRemoval is how long a strap may be open by appointment.
const longestRemoval = 4 * time.Hour

// EndSuspension ends one at an instant; what it suspended before stays suspended.
func (s *Store) EndSuspension(ctx context.Context, by id.Account, scope id.Org, suspension SuspensionID, at time.Time) error {
	return s.change(ctx, "end a suspension", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		if at.IsZero() {
			at = now
		}
		var subject id.Subject
		err := tx.QueryRow(ctx, `SELECT subject_id FROM suspension WHERE suspension_id = $1 AND upper_inf(recorded) AND cause IN ('detention', 'hospital', 'maintenance', 'removal')
			ORDER BY version LIMIT 1`, suspension).Scan(&subject)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, &Refused{Field: "suspension", Reason: NoSuchRule, Detail: "no such suspension"}
		}
		if err != nil {
			return nil, err
		}
		if err := lockScoped(ctx, tx, subject, scope, now, Why{What: "suspension", Entity: int64(suspension), By: by, At: now, From: at}); err != nil {
			return nil, err
		}
		if _, _, err := succeedSuspension(ctx, tx, now, suspension, at, time.Time{}); err != nil {
			return nil, err
		}
		e, err := suspensionEntry(ctx, tx, "suspension.ended", subject, suspension, now, map[string]any{"at": at.UTC(), "by": by})
		return []ledger.Entry{e}, err
	})
}

func suspensionEntry(ctx context.Context, tx pgx.Tx, kind string, subject id.Subject, n SuspensionID, now time.Time, body map[string]any) (ledger.Entry, error) {
	r := RuleSpec{Subject: subject}
	e, err := ruleEntry(ctx, tx, kind, &r, 1, now)
	if err != nil {
		return e, err
	}
	e.Entity, e.EntityID = "suspension", int64(n)
	e.Body, err = json.Marshal(body)
	return e, err
}

func succeedSuspension(ctx context.Context, tx pgx.Tx, now time.Time, n SuspensionID, from, until time.Time) (int, time.Time, error) {
	return succeed(ctx, tx, now, from, until, versioned{table: "suspension", key: "suspension_id", id: int64(n), columns: "subject_id, cause, kinds, zone_id, document_no"})
}

func putSuspension(ctx context.Context, tx pgx.Tx, by id.Account, now time.Time, n SuspensionID, version int, v SuspensionSpec, kinds []RuleKind, zone ZoneID) (SuspensionID, error) {
	if n == 0 {
		if err := tx.QueryRow(ctx, "SELECT nextval('suspension_id')").Scan(&n); err != nil {
			return 0, err
		}
	}
	_, err := tx.Exec(ctx, `INSERT INTO suspension (suspension_id, version, subject_id, cause, kinds, zone_id, document_no, valid, recorded, recorded_by)
		VALUES ($1, $2, $3, $4, $5, nullif($6::bigint, 0), $7, tstzrange($8, $9), tstzrange($10, NULL), nullif($11::bigint, 0))`,
		n, version+1, v.Subject, v.Cause, kinds, zone, v.DocumentNo, v.From, orNull(v.Until), now, int64(by))
	return n, err
}

// readSuspensions reads what suspends rules about subjects, as it was recorded at an instant.
func readSuspensions(ctx context.Context, tx pgx.Tx, ids []id.Subject, known time.Time, add func(id.Subject, Suspension)) error {
	rows, err := tx.Query(ctx, `SELECT subject_id, suspension_id, cause, kinds, coalesce(zone_id, 0), lower(valid), upper(valid) FROM suspension
		WHERE subject_id = ANY ($1) AND `+recordedAt(known)+` ORDER BY subject_id, lower(valid), suspension_id, version`, ids)
	if err != nil {
		return fmt.Errorf("read suspensions: %w", err)
	}
	var subject id.Subject
	var v Suspension
	var from, until *time.Time
	_, err = pgx.ForEachRow(rows, []any{&subject, &v.ID, &v.Cause, &v.Kinds, &v.Zone, &from, &until}, func() error {
		v.Valid = between(from, until)
		v.Kinds = slices.Clone(v.Kinds)
		add(subject, v)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read suspensions: %w", err)
	}
	return nil
}

// SuspensionsAt is what suspends rules about subjects in scope at an instant, as recorded now.
func SuspensionsAt(ctx context.Context, q devices.Querier, scope id.Org, at time.Time) (map[id.Subject][]Suspension, error) {
	rows, err := q.Query(ctx, `SELECT s.subject_id, s.suspension_id, s.cause, s.kinds, coalesce(s.zone_id, 0), lower(s.valid), upper(s.valid) FROM suspension s
		JOIN subject_office o ON o.subject_id = s.subject_id AND upper_inf(o.recorded) AND o.valid @> $2::timestamptz AND o.org_id IN (SELECT org_subtree($1))
		WHERE upper_inf(s.recorded) AND s.valid @> $2::timestamptz ORDER BY s.subject_id, lower(s.valid), s.suspension_id`, int64(scope), at)
	if err != nil {
		return nil, fmt.Errorf("read who is not judged: %w", err)
	}
	out := map[id.Subject][]Suspension{}
	var subject id.Subject
	var v Suspension
	var from, until *time.Time
	_, err = pgx.ForEachRow(rows, []any{&subject, &v.ID, &v.Cause, &v.Kinds, &v.Zone, &from, &until}, func() error {
		v.Valid = between(from, until)
		v.Kinds = slices.Clone(v.Kinds)
		out[subject] = append(out[subject], v)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read who is not judged: %w", err)
	}
	return out, nil
}

// Change makes of decisions what they mean to rules, in their own transaction: it keeps supervision's promise to who is granted leave.
func (s *Store) Change(ctx context.Context, tx pgx.Tx, by id.Account, now time.Time, changes []supervision.RuleChange) error {
	for i := range changes {
		if err := compile(ctx, tx, by, now, &changes[i]); err != nil {
			var refused *Refused
			if errors.As(err, &refused) {
				return &supervision.FieldError{Field: "zones", Code: supervision.Unknown, Detail: refused.Detail}
			}
			return err
		}
	}
	return nil
}

// brought is what a proceeding brought about here.
type brought struct {
	suspensions []SuspensionID
	zone        ZoneID
	rules       []RuleID
	overdue     RuleID
}

func compile(ctx context.Context, tx pgx.Tx, by id.Account, now time.Time, c *supervision.RuleChange) error {
	var b brought
	var until time.Time
	err := tx.QueryRow(ctx, `SELECT suspensions, coalesce(zone_id, 0), rules, coalesce(overdue_id, 0), until FROM decision_effect WHERE source = $1 FOR UPDATE`, c.Source).
		Scan(&b.suspensions, &b.zone, &b.rules, &b.overdue, &until)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	first := errors.Is(err, pgx.ErrNoRows)
	if first && c.End {
		return nil
	}
	// A decision bears on the subject from its beginning on; one that changes it from where the two differ.
	since := earlier(c.From, now)
	switch {
	case first:
	case c.Kind == supervision.ProhibitionOrder: // all of it may be another
		var from *time.Time
		if err := tx.QueryRow(ctx, `SELECT min(lower(valid)) FROM rule WHERE rule_id = ANY ($1) AND upper_inf(recorded)`, b.rules).Scan(&from); err != nil {
			return err
		}
		if from != nil {
			since = earlier(since, *from)
		}
	default:
		since = earlier(earlier(until, c.Until), now)
	}
	why := Why{What: string(c.Kind), By: by, At: now, From: since}
	if _, err := tx.Exec(ctx, "SELECT facts_changed($1, $2, $3, $4)", []id.Subject{c.Subject}, now, since, why.doc()); err != nil {
		return err
	}
	if first {
		if err := b.begin(ctx, tx, by, now, c); err != nil {
			return err
		}
	} else if err := b.again(ctx, tx, by, now, c); err != nil {
		return err
	}
	if err := b.watch(ctx, tx, by, now, c); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO decision_effect (source, suspensions, zone_id, rules, overdue_id, until) VALUES ($1, coalesce($2, '{}'::bigint[]), nullif($3::bigint, 0), coalesce($4, '{}'::bigint[]), nullif($5::bigint, 0), $6)
		ON CONFLICT (source) DO UPDATE SET suspensions = excluded.suspensions, zone_id = excluded.zone_id, rules = excluded.rules, overdue_id = excluded.overdue_id, until = excluded.until`,
		c.Source, b.suspensions, int64(b.zone), b.rules, int64(b.overdue), c.Until)
	return err
}

// begin makes what a decision means: rules that do not apply while it holds and, for a leave, where the person may be instead.
func (b *brought) begin(ctx context.Context, tx pgx.Tx, by id.Account, now time.Time, c *supervision.RuleChange) error {
	spec := SuspensionSpec{Subject: c.Subject, Cause: SuspensionCause(c.Kind), DocumentNo: c.DocumentNo, From: c.From, Until: c.Until}
	suspend := func(zone ZoneID, kinds ...RuleKind) error {
		n, err := putSuspension(ctx, tx, by, now, 0, 0, spec, kinds, zone)
		b.suspensions = append(b.suspensions, n)
		return err
	}
	switch c.Kind {
	case supervision.ProhibitionOrder:
		return b.putRules(ctx, tx, by, now, c, orderRules(c)...)
	case supervision.EntryProceeding:
		for _, z := range c.Zones {
			var prohibited bool
			if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM rule WHERE subject_id = $1 AND kind = $2 AND zone_id = $3 AND upper_inf(recorded) AND valid && tstzrange($4, $5))`,
				c.Subject, KeepOut, z, c.From, c.Until).Scan(&prohibited); err != nil {
				return err
			}
			if !prohibited {
				return &Refused{Field: "zones", Reason: NoSuchZone, Detail: "no prohibition keeps this person out of it then"}
			}
			if err := suspend(ZoneID(z), KeepOut); err != nil {
				return err
			}
		}
		return nil
	}
	home, err := pgxInts(ctx, tx, `SELECT DISTINCT zone_id FROM rule WHERE subject_id = $1 AND kind = $2 AND legal_basis = 'leave_city' AND zone_id IS NOT NULL AND upper_inf(recorded)
		AND valid && tstzrange($3, $4) ORDER BY zone_id`, c.Subject, StayIn, c.From, c.Until)
	if err != nil {
		return err
	}
	if b.zone, err = unionZone(ctx, tx, by, now, c, append(slices.Clone(home), c.Zones...)); err != nil {
		return err
	}
	for _, z := range home {
		if err := suspend(ZoneID(z), StayIn); err != nil {
			return err
		}
	}
	return b.putRules(ctx, tx, by, now, c, stayRule(c, b.zone))
}

// putRules records rules that a decision means.
func (b *brought) putRules(ctx context.Context, tx pgx.Tx, by id.Account, now time.Time, c *supervision.RuleChange, rules ...RuleSpec) error {
	for _, r := range rules {
		r.Subject, r.DocumentNo, r.From, r.Until = c.Subject, c.DocumentNo, c.From, c.Until
		if _, err := putRule(ctx, tx, by, 0, now, &r); err != nil {
			return err
		}
		b.rules = append(b.rules, r.ID)
	}
	return nil
}

// orderRules is what a prohibition order holds somebody to: to keep out of areas, and away from people (R18).
func orderRules(c *supervision.RuleChange) (rules []RuleSpec) {
	for _, z := range c.Zones {
		rules = append(rules, RuleSpec{Kind: KeepOut, Zone: ZoneID(z), Basis: "prohibition"})
	}
	for _, n := range c.Relations {
		rules = append(rules, RuleSpec{Kind: Proximity, Relation: RelationID(n), Basis: "prohibition"})
	}
	return rules
}

// stayRule is what a leave holds the person to instead: where they may be.
func stayRule(c *supervision.RuleChange, zone ZoneID) RuleSpec {
	r := RuleSpec{Kind: Leave, Zone: zone, Basis: "leave"}
	if c.Kind == supervision.RegularProceeding {
		r.Kind, r.Basis = StayIn, "leave_city" // beyond what is listed, leaving is leaving (R22)
	} else if c.Stay > 0 {
		r.Params = fmt.Appendf(nil, `{"dwell_after_s": %d}`, int(c.Stay.Seconds()))
	}
	return r
}

// again gives what a decision brought about another end.
func (b *brought) again(ctx context.Context, tx pgx.Tx, by id.Account, now time.Time, c *supervision.RuleChange) error {
	for _, n := range b.suspensions {
		v := SuspensionSpec{Subject: c.Subject}
		var kinds []RuleKind
		var zone ZoneID
		if err := tx.QueryRow(ctx, `SELECT cause, kinds, coalesce(zone_id, 0), document_no FROM suspension WHERE suspension_id = $1 ORDER BY version DESC LIMIT 1`, n).
			Scan(&v.Cause, &kinds, &zone, &v.DocumentNo); err != nil {
			return err
		}
		version, recorded, err := succeedSuspension(ctx, tx, now, n, c.From, time.Time{})
		if err != nil {
			return err
		}
		if v.From, v.Until = c.From, c.Until; v.From.Before(v.Until) {
			if _, err := putSuspension(ctx, tx, by, recorded, n, version, v, kinds, zone); err != nil {
				return err
			}
		}
	}
	if c.Kind == supervision.ProhibitionOrder { // another wording may name other places and people: what it brought about ends, and it begins anew
		for _, n := range b.rules {
			if _, _, err := clearRule(ctx, tx, now, n, ever); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, "SELECT company_changed($1, $2, $3)", []int64{int64(n)}, c.From, Why{What: string(c.Kind), By: by, At: now, From: c.From}.doc()); err != nil {
				return err
			}
		}
		b.rules = nil
		return b.begin(ctx, tx, by, now, c)
	}
	for _, n := range b.rules {
		r := stayRule(c, b.zone)
		r.ID, r.Subject, r.DocumentNo, r.From, r.Until = n, c.Subject, c.DocumentNo, c.From, c.Until
		if err := replaceRule(ctx, tx, by, now, &r); err != nil {
			return err
		}
	}
	return nil
}

// watch has a rule wait for the return, from the end of the leave on; or no longer.
func (b *brought) watch(ctx context.Context, tx pgx.Tx, by id.Account, now time.Time, c *supervision.RuleChange) error {
	r := RuleSpec{ID: b.overdue, Subject: c.Subject, Kind: Return, Basis: "leave", DocumentNo: c.DocumentNo, From: c.Until}
	var phone bool
	if err := tx.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM binding WHERE subject_id = $1 AND class = 'wristband' AND upper_inf(recorded) AND valid @> $2::timestamptz)`, c.Subject, now).Scan(&phone); err != nil {
		return err
	}
	r.Params = []byte(`{"class": "wristband"}`)
	if phone {
		r.Params = []byte(`{"class": "phone"}`)
	}
	switch {
	case c.Overdue && !c.End && b.overdue == 0:
		_, err := putRule(ctx, tx, by, 0, now, &r)
		b.overdue = r.ID
		return err
	case b.overdue == 0:
		return nil
	case c.Overdue && !c.End:
		version, recorded, err := clearRule(ctx, tx, now, b.overdue, c.From)
		if err != nil {
			return err
		}
		return insertRule(ctx, tx, by, &r, version, recorded)
	case c.End:
		_, _, err := clearRule(ctx, tx, now, b.overdue, now)
		return err
	default: // a delay was reported: the clock waits
		_, _, err := clearRule(ctx, tx, now, b.overdue, c.From)
		return err
	}
}

// ever is before anything that is recorded here.
var ever = time.Unix(0, 0)

// clearRule has a rule hold no more from an instant on.
func clearRule(ctx context.Context, tx pgx.Tx, now time.Time, n RuleID, from time.Time) (int, time.Time, error) {
	return succeed(ctx, tx, now, from, time.Time{}, versioned{table: "rule", key: "rule_id", id: int64(n), columns: ruleColumns})
}

// replaceRule has a rule hold from its beginning to its end, and at no other time after its beginning.
func replaceRule(ctx context.Context, tx pgx.Tx, by id.Account, now time.Time, r *RuleSpec) error {
	version, recorded, err := clearRule(ctx, tx, now, r.ID, r.From)
	if err != nil || !r.Until.IsZero() && !r.From.Before(r.Until) {
		return err
	}
	return insertRule(ctx, tx, by, r, version, recorded)
}

// unionZone is a zone of home and destination as one, as they are drawn when the leave begins.
func unionZone(ctx context.Context, tx pgx.Tx, by id.Account, now time.Time, c *supervision.RuleChange, zones []int64) (ZoneID, error) {
	var n ZoneID
	var found int
	err := tx.QueryRow(ctx, `SELECT count(*) FROM zone_version v JOIN zone z USING (zone_id) WHERE v.zone_id = ANY ($1) AND upper_inf(v.recorded) AND v.valid @> $2::timestamptz
		AND (z.purpose IN ('activity', 'destination'))`, zones, c.From).Scan(&found)
	if err != nil {
		return 0, err
	}
	slices.Sort(zones)
	if found != len(slices.Compact(zones)) {
		return 0, &Refused{Field: "zones", Reason: NoSuchZone, Detail: "a destination is a zone for that, drawn when the leave begins"}
	}
	if err := tx.QueryRow(ctx, `INSERT INTO zone (org_id, purpose, name) VALUES ($1, 'destination', $2) RETURNING zone_id`, c.Org, c.DocumentNo).Scan(&n); err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO zone_version (zone_id, version, shape, geom, datum, official, source, valid, recorded, recorded_by)
		SELECT $1, 1, 'polygon', ST_Multi(ST_CollectionExtract(ST_UnaryUnion(ST_Collect(CASE WHEN shape = 'polygon' THEN geom ELSE ST_Buffer(geom::geography, radius_m, 32)::geometry END)), 3)),
			'WGS-84', bool_and(official), $2, tstzrange($3, NULL), tstzrange($4, NULL), nullif($5::bigint, 0)
		FROM zone_version WHERE zone_id = ANY ($6) AND upper_inf(recorded) AND valid @> $3::timestamptz`,
		n, c.Source, c.From, now, int64(by), zones)
	return n, zoneRefusal(err)
}

func pgxInts(ctx context.Context, tx pgx.Tx, sql string, args ...any) ([]int64, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// NamedZone is a zone a decision may name.
type NamedZone struct {
	ID      ZoneID
	Name    string
	Purpose Purpose
}

// Destinations are the zones that a leave may go to or an entry be allowed into: those of scope's organisations and of what is above them.
func Destinations(ctx context.Context, q devices.Querier, scope id.Org, at time.Time) ([]NamedZone, error) {
	rows, err := q.Query(ctx, `SELECT z.zone_id, z.name, z.purpose FROM zone z WHERE z.purpose IN ('destination', 'prohibited') AND z.org_id IN (SELECT org_subtree($1) UNION SELECT org_above($1))
			AND EXISTS (SELECT FROM zone_version v WHERE v.zone_id = z.zone_id AND upper_inf(v.recorded) AND v.valid @> $2::timestamptz AND v.source NOT LIKE 'proceeding/%')
		ORDER BY z.name, z.zone_id LIMIT 5000`, int64(scope), at)
	if err != nil {
		return nil, fmt.Errorf("read the destinations: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d NamedZone, err error) {
		err = row.Scan(&d.ID, &d.Name, &d.Purpose)
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the destinations: %w", err)
	}
	return list, nil
}
