package supervision

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// FieldPositions is what may serve community correction alone (社区矫正法 29 ¶3).
const FieldPositions = "positions"

// Disclosure is 提供: what of a subject was given to whom, on what basis, for what (R102).
type Disclosure struct {
	ID            int64      `json:"id"`
	Subject       id.Subject `json:"subject"`
	Basis         string     `json:"basis"`
	RecipientKind string     `json:"recipient_kind"` // court, procuratorate, police, other
	Recipient     string     `json:"recipient"`
	DocumentNo    string     `json:"document_no"` // of what was asked by
	Fields        []string   `json:"fields"`
	Purpose       string     `json:"purpose"`
	From          time.Time  `json:"from"`
	Until         time.Time  `json:"until"`
	RecordedAt    time.Time  `json:"recorded_at"`
}

// DisclosureBasis is on what data may be given to others.
type DisclosureBasis struct {
	Code       string   `json:"code"`
	Title      string   `json:"title"`
	TitleEN    string   `json:"title_en"`
	Citation   string   `json:"citation"`
	Recipients []string `json:"recipients"`
	Positions  bool     `json:"positions"`
	Juveniles  bool     `json:"juveniles"`
}

// DisclosureBases are those of a day.
func DisclosureBases(ctx context.Context, q Querier, at time.Time) ([]DisclosureBasis, error) {
	rows, err := q.Query(ctx, `SELECT code, title, title_en, citation, recipients, positions, juveniles FROM disclosure_basis WHERE upper_inf(recorded) AND valid @> $1::timestamptz ORDER BY disclosure_basis_id`, at)
	if err != nil {
		return nil, fmt.Errorf("read on what data are given: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DisclosureBasis])
	if err != nil {
		return nil, fmt.Errorf("read on what data are given: %w", err)
	}
	return list, nil
}

// May says what stands against a disclosure on a basis; nil: nothing. b is nil where there is no such basis.
func (d *Disclosure) May(b *DisclosureBasis, who *Subject) error {
	switch {
	case b == nil:
		return &LawError{FieldError{"basis", NoBasis, "data are given on a basis in law alone"}, "个人信息保护法 13、34"}
	case !slices.Contains(b.Recipients, d.RecipientKind):
		return &LawError{FieldError{"recipient_kind", NoBasis, "this basis is not for this kind of organ"}, b.Citation}
	case slices.Contains(d.Fields, FieldPositions) && !b.Positions:
		return &LawError{FieldError{"fields", NotForThisPurpose, "positions serve community correction alone"}, "社区矫正法 29 ¶3"}
	case who.Juvenile && !b.Juveniles:
		return &LawError{FieldError{"subject", OfAJuvenile, "the record of a minor is given to nobody but who handles a case"}, "社区矫正法 54"}
	case len(d.Fields) == 0:
		return &FieldError{"fields", Missing, "what is given"}
	case d.DocumentNo == "":
		return &FieldError{"document_no", NoDocument, "what it was asked by"}
	case d.From.IsZero() || !d.From.Before(d.Until):
		return &FieldError{"until", EmptyInterval, "of which time"}
	}
	if err := text("recipient", d.Recipient); err != nil {
		return err
	}
	return text("purpose", d.Purpose)
}

// Disclose records that data of a subject in scope are given to an organ, before they are.
func (s *Store) Disclose(ctx context.Context, a Actor, scope id.Org, d Disclosure) (int64, error) {
	if !a.decides() {
		return 0, refusedStaff
	}
	err := s.change(ctx, "record a disclosure", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		who, err := s.Subject(ctx, tx, scope, d.Subject)
		if err != nil {
			return nil, err
		}
		bases, err := DisclosureBases(ctx, tx, now)
		if err != nil {
			return nil, err
		}
		var basis *DisclosureBasis
		if n := slices.IndexFunc(bases, func(b DisclosureBasis) bool { return b.Code == d.Basis }); n >= 0 {
			basis = &bases[n]
		}
		if err := d.May(basis, &who); err != nil {
			return nil, err
		}
		if err := tx.QueryRow(ctx, `INSERT INTO disclosure (subject_id, basis, recipient_kind, recipient, document_no, fields, purpose, stretch, decided_by, recorded_at, recorded_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, tstzrange($8, $9), $10, $11, $12) RETURNING disclosure_id`, d.Subject, d.Basis, d.RecipientKind, d.Recipient, d.DocumentNo, d.Fields, d.Purpose,
			d.From, d.Until, null(a.Officer), now, null(a.Account)).Scan(&d.ID); err != nil {
			return nil, err
		}
		e, err := entry("disclosure.recorded", "disclosure", d.ID, now, map[string]any{"by": a.Account, "basis": d.Basis, "recipient_kind": d.RecipientKind, "fields": d.Fields})
		e.Org, e.Subject = who.Office, d.Subject
		return []ledger.Entry{e}, err
	})
	return d.ID, err
}

// Disclosures are those about subjects in scope, of one where it is given, the newest first.
func (s *Store) Disclosures(ctx context.Context, q Querier, scope id.Org, subject id.Subject) ([]Disclosure, error) {
	rows, err := q.Query(ctx, `SELECT p.disclosure_id, p.subject_id, p.basis, p.recipient_kind, p.recipient, p.document_no, p.fields, p.purpose, lower(p.stretch), upper(p.stretch), p.recorded_at
		FROM disclosure p WHERE`+inScope+` AND ($3 = 0 OR p.subject_id = $3) ORDER BY p.disclosure_id DESC LIMIT 500`, scope, s.clock.Now(), subject)
	if err != nil {
		return nil, fmt.Errorf("read disclosures: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Disclosure])
	if err != nil {
		return nil, fmt.Errorf("read disclosures: %w", err)
	}
	return append([]Disclosure{}, list...), nil
}
