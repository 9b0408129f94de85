package supervision

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

// PutAuthority records an approval that was made on paper: the person was told and has signed. An extension is another one that begins
// where the last ends.
func (s *Store) PutAuthority(ctx context.Context, by id.Account, a Authority) (int64, error) {
	if err := a.check(); err != nil {
		return 0, err
	}
	err := s.change(ctx, "put an authority", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		org, err := officeOf(ctx, tx, a.Subject, now)
		if err != nil {
			return nil, err
		}
		e, err := putAuthority(ctx, tx, now, by, org, &a)
		return []ledger.Entry{e}, err
	})
	return a.ID, err
}

func putAuthority(ctx context.Context, tx pgx.Tx, now time.Time, by id.Account, org id.Org, a *Authority) (e ledger.Entry, err error) {
	if err := factsChanged(ctx, tx, now, a.From, "authority", by, a.Subject); err != nil {
		return e, err
	}
	if a.ID, err = insertAuthority(ctx, tx, *a, now, by); err != nil {
		return e, err
	}
	return authorityEntry("authority.put", org, *a, now)
}

func insertAuthority(ctx context.Context, tx pgx.Tx, a Authority, recorded time.Time, by id.Account) (number int64, err error) {
	// On a clock that stands still a new record follows on one that was closed at the same instant.
	err = tx.QueryRow(ctx, `INSERT INTO authority (subject_id, ground, ground_record, approver_id, document_no, valid, recorded, recorded_by, informed_at, proceeding_id)
		VALUES ($1, $2, $3, $4, $5, tstzrange($6, $7), tstzrange(greatest($8::timestamptz,
			(SELECT max(upper(recorded)) FROM authority WHERE subject_id = $1 AND NOT upper_inf(recorded))), NULL), $9, $10, $11) RETURNING authority_id`,
		a.Subject, a.Ground, null(a.GroundRecord), a.Approver, a.DocumentNo, a.From, a.Until, recorded, null(by), a.Informed, null(a.Proceeding)).Scan(&number)
	return number, err
}

func authorityEntry(kind string, org id.Org, a Authority, now time.Time) (ledger.Entry, error) {
	body, err := json.Marshal(map[string]any{"ground": a.Ground, "document_no": a.DocumentNo, "from": a.From.UTC(), "until": a.Until.UTC()})
	return ledger.Entry{At: now, Kind: kind, Org: org, Subject: a.Subject, Entity: "authority", EntityID: a.ID, Version: 1, Body: body}, err
}

// LiftAuthority ends an approval early (R06): from at on, the wristband's places are no longer known. What was recorded
// first stays.
func (s *Store) LiftAuthority(ctx context.Context, by id.Account, subject id.Subject, authority int64, at time.Time) error {
	return s.change(ctx, "lift an authority", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		e, err := liftAuthority(ctx, tx, now, by, subject, authority, at)
		return []ledger.Entry{e}, err
	})
}

func liftAuthority(ctx context.Context, tx pgx.Tx, now time.Time, by id.Account, subject id.Subject, authority int64, at time.Time) (ledger.Entry, error) {
	a, none := Authority{ID: authority, Subject: subject}, ledger.Entry{}
	if err := factsChanged(ctx, tx, now, at, "authority", by, subject); err != nil {
		return none, err
	}
	var recorded time.Time
	err := tx.QueryRow(ctx, `UPDATE authority SET recorded = tstzrange(lower(recorded), greatest($2, lower(recorded) + interval '1 microsecond'))
		WHERE authority_id = $1 AND subject_id = $3 AND upper_inf(recorded)
		RETURNING ground, coalesce(ground_record, ''), approver_id, document_no, lower(valid), upper(valid), informed_at, coalesce(proceeding_id, 0), upper(recorded)`, authority, now, subject).
		Scan(&a.Ground, &a.GroundRecord, &a.Approver, &a.DocumentNo, &a.From, &a.Until, &a.Informed, &a.Proceeding, &recorded)
	if errors.Is(err, pgx.ErrNoRows) {
		return none, ErrNotFound
	}
	if err != nil {
		return none, err
	}
	if !at.Before(a.Until) {
		return none, &FieldError{"at", OutsideTheInterval, "earlier than the approval ends anyway"}
	}
	a.Until = at
	if at.After(a.From) {
		if a.ID, err = insertAuthority(ctx, tx, a, recorded, by); err != nil {
			return none, err
		}
	}
	org, err := officeOf(ctx, tx, a.Subject, now)
	if err != nil {
		return none, err
	}
	return authorityEntry("authority.lifted", org, a, now)
}

// authorityAt is the approval in force at an instant, as recorded now; nil where none is.
func authorityAt(ctx context.Context, q Querier, subject id.Subject, at time.Time) (*Authority, error) {
	all, err := Authorities(ctx, q, []id.Subject{subject})
	if err != nil {
		return nil, err
	}
	for i := range all[subject] {
		if a := &all[subject][i]; !at.Before(a.From) && at.Before(a.Until) {
			return a, nil
		}
	}
	return nil, nil
}

// lastAuthority is the approval that ended last before an instant; nil where there is none.
func lastAuthority(ctx context.Context, q Querier, subject id.Subject, at time.Time) (*Authority, error) {
	all, err := Authorities(ctx, q, []id.Subject{subject})
	if err != nil {
		return nil, err
	}
	var last *Authority
	for i := range all[subject] {
		if a := &all[subject][i]; !a.Until.After(at) {
			last = a
		}
	}
	return last, nil
}

// Authorities are the approvals of subjects as recorded now, each subject's in order of time.
func Authorities(ctx context.Context, q Querier, subjects []id.Subject) (map[id.Subject][]Authority, error) {
	return AuthoritiesAt(ctx, q, subjects, time.Time{})
}

// AuthoritiesAt is Authorities as they were recorded at an instant of domain time; zero: now.
func AuthoritiesAt(ctx context.Context, q Querier, subjects []id.Subject, known time.Time) (map[id.Subject][]Authority, error) {
	rows, err := q.Query(ctx, `SELECT authority_id, subject_id, ground, coalesce(ground_record, ''), approver_id, document_no, lower(valid), upper(valid), informed_at, coalesce(proceeding_id, 0)
		FROM authority WHERE subject_id = ANY ($1) AND CASE WHEN $2::timestamptz IS NULL THEN upper_inf(recorded) ELSE recorded @> $2 END
		ORDER BY subject_id, lower(valid)`, subjects, null(known))
	if err != nil {
		return nil, fmt.Errorf("read authorities: %w", err)
	}
	found := make(map[id.Subject][]Authority, len(subjects))
	var a Authority
	_, err = pgx.ForEachRow(rows, []any{&a.ID, &a.Subject, &a.Ground, &a.GroundRecord, &a.Approver, &a.DocumentNo, &a.From, &a.Until, &a.Informed, &a.Proceeding}, func() error {
		a.From, a.Until, a.Informed = a.From.UTC(), a.Until.UTC(), a.Informed.UTC()
		found[a.Subject] = append(found[a.Subject], a)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read authorities: %w", err)
	}
	return found, nil
}
