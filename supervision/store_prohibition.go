package supervision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// PutProhibition records an order, or what a recorded one is to be: the rules that follow from it begin and end with it (R18).
func (s *Store) PutProhibition(ctx context.Context, by id.Account, p Prohibition) (int64, error) {
	err := s.change(ctx, "put a prohibition order", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		org, err := officeOf(ctx, tx, p.Subject, now)
		if err != nil {
			return nil, err
		}
		var category Category
		if err := tx.QueryRow(ctx, "SELECT category FROM subject WHERE subject_id = $1 FOR SHARE", p.Subject).Scan(&category); err != nil {
			return nil, err
		}
		v, err := sentenceAt(ctx, tx, p.Subject, now)
		if err != nil {
			return nil, err
		}
		law, err := s.law(ctx, tx, p.From)
		if err != nil {
			return nil, err
		}
		if err := p.check(category, v, law); err != nil {
			return nil, err
		}
		version, recorded := 0, now
		if p.ID == 0 {
			err = tx.QueryRow(ctx, "SELECT nextval('prohibition_id')").Scan(&p.ID)
		} else {
			err = tx.QueryRow(ctx, `UPDATE prohibition SET recorded = tstzrange(lower(recorded), greatest($2, lower(recorded) + interval '1 microsecond'))
				WHERE prohibition_id = $1 AND subject_id = $3 AND upper_inf(recorded) RETURNING version, upper(recorded)`, p.ID, now, p.Subject).Scan(&version, &recorded)
			if errors.Is(err, pgx.ErrNoRows) {
				return nil, ErrNotFound
			}
		}
		if err != nil {
			return nil, err
		}
		version++
		envelope, err := s.keys.Seal(crypto.Person, sealedOrder(p.ID, version), []byte(p.Wording))
		if err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO prohibition (prohibition_id, version, subject_id, type, document_no, court, sealed, zones, relations, valid, recorded, recorded_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, tstzrange($10, $11), tstzrange($12, NULL), $13)`,
			p.ID, version, p.Subject, p.Type, p.DocumentNo, p.Court, envelope, none(p.Zones), none(p.Relations), p.From, p.Until, recorded, null(by)); err != nil {
			return nil, err
		}
		if p.Type != ForbidActivity {
			if s.rules == nil {
				return nil, errors.New("nobody keeps rules here")
			}
			change := RuleChange{Kind: ProhibitionOrder, Source: fmt.Sprintf("prohibition/%d", p.ID), Subject: p.Subject, Org: org, Zones: p.Zones, Relations: p.Relations,
				From: p.From, Until: p.Until, DocumentNo: p.DocumentNo}
			if err := s.rules.Change(ctx, tx, by, now, []RuleChange{change}); err != nil {
				return nil, err
			}
		}
		e, err := entry("prohibition.put", "prohibition", p.ID, now, map[string]any{"type": p.Type, "from": p.From.UTC(), "until": p.Until.UTC(), "by": by})
		e.Org, e.Subject, e.Version = org, p.Subject, version
		return []ledger.Entry{e}, err
	})
	return p.ID, err
}

func sealedOrder(n int64, version int) string { return fmt.Sprintf("prohibition/%d/%d", n, version) }

// none is a slice that is not NULL in the database.
func none(v []int64) []int64 {
	if v == nil {
		return []int64{}
	}
	return v
}

// Prohibitions are the orders about a subject as recorded now, the newest first. The caller limits whom it asks about.
func (s *Store) Prohibitions(ctx context.Context, q Querier, subject id.Subject) ([]Prohibition, error) {
	rows, err := q.Query(ctx, `SELECT prohibition_id, version, subject_id, type, document_no, court, sealed, zones, relations, lower(valid), upper(valid) FROM prohibition
		WHERE subject_id = $1 AND upper_inf(recorded) ORDER BY lower(valid) DESC, prohibition_id DESC`, subject)
	if err != nil {
		return nil, fmt.Errorf("read the prohibition orders: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Prohibition, err error) {
		var version int
		var envelope []byte
		if err := row.Scan(&p.ID, &version, &p.Subject, &p.Type, &p.DocumentNo, &p.Court, &envelope, &p.Zones, &p.Relations, &p.From, &p.Until); err != nil {
			return p, err
		}
		p.From, p.Until = p.From.UTC(), p.Until.UTC()
		words, err := s.keys.Open(crypto.Person, sealedOrder(p.ID, version), envelope)
		p.Wording = string(words)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the prohibition orders: %w", err)
	}
	return list, nil
}
