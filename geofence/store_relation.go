package geofence

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// RelationKind is what the other one is to a subject.
type RelationKind string

const (
	Victim       RelationKind = "victim"     // 被害人: agreed to be located
	Accomplice   RelationKind = "accomplice" // 同案人
	OtherRelated RelationKind = "other"
)

// RelationSpec is who is to stay away from whom, by whose decision, from when to when (实施办法 25).
type RelationSpec struct {
	ID         RelationID // 0: a new one
	Subject    id.Subject // who stays away
	Other      id.Subject // from whom: another subject, or somebody who is protected
	Kind       RelationKind
	DocumentNo string    // of the county's approval
	ConsentNo  string    // of the other's consent; a victim has to agree
	From       time.Time // zero: from now on
	Until      time.Time // zero: open
}

// PutRelation records a relation, or what a recorded one is to be from an instant on. A consent that is withdrawn is a
// relation that ends then.
func (s *Store) PutRelation(ctx context.Context, by id.Account, scope id.Org, r RelationSpec) (RelationID, error) {
	err := s.change(ctx, "put a relation", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		if r.From.IsZero() {
			r.From = now
		}
		if err := r.check(); err != nil {
			return nil, err
		}
		version, recorded := 0, now
		if err := lockScoped(ctx, tx, r.Subject, scope, now, Why{What: "relation", Entity: int64(r.ID), By: by, At: now, From: now}); err != nil {
			return nil, err
		}
		var err error
		if r.ID == 0 {
			err = tx.QueryRow(ctx, `SELECT nextval('relation_id')`).Scan(&r.ID)
		} else {
			version, recorded, err = succeedRelation(ctx, tx, now, &r, r.From, r.Until)
		}
		if err != nil {
			return nil, err
		}
		version++
		tag, err := tx.Exec(ctx, `INSERT INTO relation (relation_id, version, subject_id, other_id, kind, document_no, consent_no, valid, recorded, recorded_by)
			SELECT $1, $2, $3, $4, $5, $6, $7, tstzrange($8, $9), tstzrange($10, NULL), nullif($11::bigint, 0) WHERE EXISTS (SELECT FROM subject WHERE subject_id = $4)`,
			r.ID, version, r.Subject, r.Other, r.Kind, r.DocumentNo, r.ConsentNo, r.From, orNull(r.Until), recorded, int64(by))
		if err != nil {
			return nil, err
		}
		if tag.RowsAffected() == 0 {
			return nil, &Refused{Field: "other", Reason: NoSuchSubject, Detail: "nobody is recorded under this number"}
		}
		return r.changed(ctx, tx, "relation.put", by, now, r.From, version)
	})
	return r.ID, err
}

// EndRelation ends a relation at an instant (zero: now): the approval was lifted, or the consent withdrawn.
func (s *Store) EndRelation(ctx context.Context, by id.Account, scope id.Org, relation RelationID, at time.Time) error {
	return s.change(ctx, "end a relation", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		if at.IsZero() {
			at = now
		}
		r := RelationSpec{ID: relation}
		err := tx.QueryRow(ctx, `SELECT subject_id FROM relation WHERE relation_id = $1 AND upper_inf(recorded) LIMIT 1`, relation).Scan(&r.Subject)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, &Refused{Field: "relation", Reason: NoRelation, Detail: "no such relation"}
		}
		if err != nil {
			return nil, err
		}
		if err := lockScoped(ctx, tx, r.Subject, scope, now, Why{What: "relation", Entity: int64(relation), By: by, At: now, From: now}); err != nil {
			return nil, err
		}
		version, _, err := succeedRelation(ctx, tx, now, &r, at, time.Time{})
		if err != nil {
			return nil, err
		}
		return r.changed(ctx, tx, "relation.ended", by, now, at, version)
	})
}

func (r *RelationSpec) check() error {
	switch {
	case r.Other == 0 || r.Other == r.Subject:
		return &Refused{Field: "other", Reason: NoSuchSubject, Detail: "somebody else"}
	case r.Kind != Victim && r.Kind != Accomplice && r.Kind != OtherRelated:
		return &Refused{Field: "kind", Reason: BadKind, Detail: "victim, accomplice or other"}
	case r.DocumentNo == "":
		return &Refused{Field: "document_no", Reason: NoDocument, Detail: "the county approves who is kept away from whom (实施办法 25)"}
	case r.Kind == Victim && r.ConsentNo == "":
		return &Refused{Field: "consent_no", Reason: NoDocument, Detail: "a victim is located by consent alone"}
	case !r.Until.IsZero() && !r.From.Before(r.Until):
		return &Refused{Field: "until", Reason: EmptyInterval, Detail: "later than it begins"}
	}
	return nil
}

func succeedRelation(ctx context.Context, tx pgx.Tx, now time.Time, r *RelationSpec, from, until time.Time) (int, time.Time, error) {
	var its bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM relation WHERE relation_id = $1 AND subject_id = $2 AND upper_inf(recorded))", r.ID, r.Subject).Scan(&its); err != nil {
		return 0, now, err
	}
	if !its {
		return 0, now, &Refused{Field: "relation", Reason: NoRelation, Detail: "no such relation of this subject"}
	}
	return succeed(ctx, tx, now, from, until, versioned{table: "relation", key: "relation_id", id: int64(r.ID),
		columns: "subject_id, other_id, kind, document_no, consent_no"})
}

// changed has the rules that rest on a relation judged again from an instant, and tells the ledger.
func (r *RelationSpec) changed(ctx context.Context, tx pgx.Tx, kind string, by id.Account, now, from time.Time, version int) ([]ledger.Entry, error) {
	why := Why{What: "relation", Entity: int64(r.ID), By: by, At: now, From: from}
	if _, err := tx.Exec(ctx, `SELECT company_changed(array_agg(DISTINCT rule_id), $2, $3) FROM rule WHERE relation_id = $1 HAVING count(*) > 0`, r.ID, from, why.doc()); err != nil {
		return nil, err
	}
	var org id.Org
	err := tx.QueryRow(ctx, `SELECT org_id FROM subject_office WHERE subject_id = $1 AND upper_inf(recorded)
		ORDER BY valid @> $2::timestamptz DESC, lower(valid) DESC LIMIT 1`, r.Subject, now).Scan(&org)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{"kind": r.Kind})
	return []ledger.Entry{{At: now, Kind: kind, Org: org, Subject: r.Subject, Entity: "relation", EntityID: int64(r.ID), Version: version, Body: body}}, err
}

// related refuses a rule whose relation is not recorded of its subject.
func related(ctx context.Context, tx pgx.Tx, r *RuleSpec) error {
	var there bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM relation WHERE relation_id = $1 AND subject_id = $2 AND upper_inf(recorded))`, r.Relation, r.Subject).Scan(&there); err != nil {
		return err
	}
	if !there {
		return &Refused{Field: "relation", Reason: NoRelation, Detail: "no such relation of this subject"}
	}
	return nil
}

// companyRule has a rule about several people judged from its beginning, or again from where its new version begins.
func companyRule(ctx context.Context, tx pgx.Tx, r *RuleSpec, why Why) error {
	tag, err := tx.Exec(ctx, `INSERT INTO company_state (rule_id, at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, r.ID, r.From)
	if err != nil || tag.RowsAffected() > 0 {
		return err
	}
	_, err = tx.Exec(ctx, `SELECT company_changed($1, $2, $3)`, []int64{int64(r.ID)}, r.From, why.doc())
	return err
}
