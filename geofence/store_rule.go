package geofence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// inScope says whether the subject $1 is supervised now ($3) by the organisation $2 or one under it; 0 is the platform.
const inScope = `($2 = 0 OR EXISTS (SELECT FROM subject_office o WHERE o.subject_id = $1 AND upper_inf(o.recorded) AND o.valid @> $3::timestamptz
	AND o.org_id IN (SELECT org_subtree($2))))`

// PutRule records a rule, or a new version of one from spec.From on; the subject is judged again at once.
func (s *Store) PutRule(ctx context.Context, by id.Account, scope id.Org, spec RuleSpec) (RuleID, int, error) {
	var version int
	err := s.change(ctx, "put a rule", func(tx pgx.Tx, now time.Time) (entries []ledger.Entry, err error) {
		if spec.From.IsZero() {
			spec.From = now
		}
		if err := spec.check(); err != nil {
			return nil, err
		}
		if version, err = putRule(ctx, tx, by, scope, now, &spec); err != nil {
			return nil, err
		}
		e, err := ruleEntry(ctx, tx, "rule.put", &spec, version, now)
		return []ledger.Entry{e}, err
	})
	return spec.ID, version, err
}

func putRule(ctx context.Context, tx pgx.Tx, by id.Account, scope id.Org, now time.Time, r *RuleSpec) (version int, err error) {
	// The zone first: whoever edits it locks it before those it applies to.
	if err := fitting(ctx, tx, r); err != nil {
		return 0, err
	}
	why := Why{What: "rule", Entity: int64(r.ID), By: by, At: now, From: r.From}
	if err := r.lock(ctx, tx, scope, now, why); err != nil {
		return 0, err
	}
	recorded := now
	if r.ID == 0 {
		err = tx.QueryRow(ctx, "SELECT nextval('rule_id')").Scan(&r.ID)
	} else {
		version, recorded, err = succeedRule(ctx, tx, now, r, r.From, r.Until)
	}
	if err != nil {
		return 0, err
	}
	if err = insertRule(ctx, tx, by, r, version, recorded); err != nil || !kinds[r.Kind].company {
		return version + 1, err
	}
	return version + 1, companyRule(ctx, tx, r, why)
}

// insertRule writes the version of a rule that follows on version.
func insertRule(ctx context.Context, tx pgx.Tx, by id.Account, r *RuleSpec, version int, recorded time.Time) error {
	params := r.Params
	if len(params) == 0 {
		params = json.RawMessage("{}")
	}
	_, err := tx.Exec(ctx, `INSERT INTO rule (rule_id, version, subject_id, kind, zone_id, legal_basis, document_no, params, valid, recorded, recorded_by, schedule_id, org_id, relation_id)
		VALUES ($1, $2, nullif($3::bigint, 0), $4, nullif($5::bigint, 0), $6, $7, $8, tstzrange($9, $10), tstzrange($11, NULL), nullif($12::bigint, 0), nullif($13::bigint, 0),
			nullif($14::bigint, 0), nullif($15::bigint, 0))`,
		r.ID, version+1, r.Subject, r.Kind, r.Zone, r.Basis, r.DocumentNo, string(params), r.From, orNull(r.Until), recorded, int64(by), r.Schedule, r.Org, r.Relation)
	return err
}

// lock locks what a rule is about, if it is in scope, and tells that the facts about it change.
func (r *RuleSpec) lock(ctx context.Context, tx pgx.Tx, scope id.Org, now time.Time, why Why) error {
	if r.Org == 0 {
		return lockScoped(ctx, tx, r.Subject, scope, now, why)
	}
	var in bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM org WHERE org_id = $1) AND ($2 = 0 OR $1 IN (SELECT org_subtree($2)))", r.Org, int64(scope)).Scan(&in); err != nil {
		return err
	}
	if !in {
		return &Refused{Field: "org", Reason: NoSuchOrg, Detail: "not in your part of the organisation"}
	}
	return nil
}

// fitting checks a rule against its legal basis and its zone, and keeps both from changing until commit.
func fitting(ctx context.Context, tx pgx.Tx, r *RuleSpec) error {
	var known bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM legal_basis WHERE code = $1 AND valid @> $2::timestamptz AND upper_inf(recorded))`, r.Basis, r.From).Scan(&known); err != nil {
		return err
	}
	if !known {
		return &Refused{Field: "legal_basis", Reason: NoBasis, Detail: "every rule rests on a legal basis in force when it begins (社区矫正法 34)"}
	}
	if r.Schedule != 0 {
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM schedule WHERE schedule_id = $1)`, r.Schedule).Scan(&known); err != nil {
			return err
		}
		if !known {
			return &Refused{Field: "schedule", Reason: NoSuchSchedule, Detail: "no such schedule"}
		}
	}
	if r.Relation != 0 {
		if err := related(ctx, tx, r); err != nil {
			return err
		}
	}
	if r.Zone == 0 {
		return nil
	}
	var purpose Purpose
	err := tx.QueryRow(ctx, "SELECT purpose FROM zone WHERE zone_id = $1 FOR SHARE", r.Zone).Scan(&purpose)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return &Refused{Field: "zone", Reason: NoSuchZone, Detail: "no such zone"}
	case err != nil:
		return err
	case !slices.Contains(kinds[r.Kind].zones, purpose):
		return &Refused{Field: "zone", Reason: WrongPurpose, Detail: fmt.Sprintf("a rule of kind %s is not about a zone of purpose %s", r.Kind, purpose)}
	case purpose == Prohibited && r.Basis != "prohibition":
		return &Refused{Field: "legal_basis", Reason: WrongPurpose, Detail: "a prohibited zone rests on a prohibition order (刑法 38、72)"}
	}
	return nil
}

// lockScoped locks the state of a subject in scope and tells that the facts about it change.
func lockScoped(ctx context.Context, tx pgx.Tx, s id.Subject, scope id.Org, now time.Time, why Why) error {
	var in bool
	if err := tx.QueryRow(ctx, "SELECT "+inScope+" AND EXISTS (SELECT FROM subject WHERE subject_id = $1)", s, int64(scope), now).Scan(&in); err != nil {
		return err
	}
	if !in {
		return &Refused{Field: "subject", Reason: NoSuchSubject, Detail: "no such subject in your part of the organisation"}
	}
	_, err := tx.Exec(ctx, "SELECT facts_changed($1, $2, $3, $4)", []id.Subject{s}, now, why.From, why.doc())
	return err
}

// succeedRule makes room for a new version of a rule of the subject.
func succeedRule(ctx context.Context, tx pgx.Tx, now time.Time, r *RuleSpec, from, until time.Time) (int, time.Time, error) {
	var its bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM rule WHERE rule_id = $1 AND coalesce(subject_id, 0) = $2 AND coalesce(org_id, 0) = $3 AND upper_inf(recorded))",
		r.ID, r.Subject, r.Org).Scan(&its); err != nil {
		return 0, now, err
	}
	if !its {
		return 0, now, &Refused{Field: "rule", Reason: NoSuchRule, Detail: "no such rule of this subject"}
	}
	return succeed(ctx, tx, now, from, until, versioned{table: "rule", key: "rule_id", id: int64(r.ID),
		columns: ruleColumns})
}

// ruleColumns is what a rule says, beside its interval.
const ruleColumns = "subject_id, kind, zone_id, legal_basis, document_no, params, schedule_id, org_id, relation_id"

// EndRule ends a rule at an instant; what it found before stays.
func (s *Store) EndRule(ctx context.Context, scope id.Org, rule RuleID, at time.Time) error {
	return s.change(ctx, "end a rule", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		if at.IsZero() {
			at = now
		}
		spec := RuleSpec{ID: rule}
		err := tx.QueryRow(ctx, `SELECT coalesce(subject_id, 0), coalesce(org_id, 0), kind, coalesce(zone_id, 0), legal_basis FROM rule
			WHERE rule_id = $1 AND upper_inf(recorded) ORDER BY version DESC LIMIT 1`, rule).
			Scan(&spec.Subject, &spec.Org, &spec.Kind, &spec.Zone, &spec.Basis)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, &Refused{Field: "rule", Reason: NoSuchRule, Detail: "no such rule"}
		}
		if err != nil {
			return nil, err
		}
		why := Why{What: "rule", Entity: int64(rule), At: now, From: at}
		if err := spec.lock(ctx, tx, scope, now, why); err != nil {
			return nil, err
		}
		version, _, err := succeedRule(ctx, tx, now, &spec, at, time.Time{})
		if err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, "SELECT company_changed($1, $2, $3)", []int64{int64(rule)}, at, why.doc()); err != nil {
			return nil, err
		}
		e, err := ruleEntry(ctx, tx, "rule.ended", &spec, version, now)
		return []ledger.Entry{e}, err
	})
}

func ruleEntry(ctx context.Context, tx pgx.Tx, kind string, r *RuleSpec, version int, now time.Time) (ledger.Entry, error) {
	org := r.Org
	err := tx.QueryRow(ctx, `SELECT org_id FROM subject_office WHERE subject_id = $1 AND upper_inf(recorded)
		ORDER BY valid @> $2::timestamptz DESC, lower(valid) DESC LIMIT 1`, r.Subject, now).Scan(&org)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return ledger.Entry{}, err
	}
	body, err := json.Marshal(map[string]any{"kind": r.Kind, "zone_id": r.Zone, "legal_basis": r.Basis})
	return ledger.Entry{At: now, Kind: kind, Org: org, Subject: r.Subject, Entity: "rule", EntityID: int64(r.ID), Version: version, Body: body}, err
}
