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

// Decisions that are made elsewhere, on paper, and that others rest on: the sentence, sanctions, what was delegated.

func entry(kind, entity string, number int64, now time.Time, body map[string]any) (ledger.Entry, error) {
	b, err := json.Marshal(body)
	return ledger.Entry{At: now, Kind: kind, Entity: entity, EntityID: number, Version: 1, Body: b}, err
}

// Sentence is 矫正期限: from when until when somebody is under supervision.
type Sentence struct {
	ID           int64
	Subject      id.Subject
	DocumentNo   string
	DetainedDays int // before the judgment (刑法 41)
	From, Until  time.Time
}

// PutSentence records from when until when somebody is under supervision; what was recorded of it before stays on record.
func (s *Store) PutSentence(ctx context.Context, by id.Account, v Sentence) error {
	switch {
	case v.From.IsZero() || !v.From.Before(v.Until):
		return &FieldError{"until", EmptyInterval, "it has a beginning and a later end"}
	case v.DocumentNo == "":
		return &FieldError{"document_no", NoDocument, "the judgment or decision it stands in"}
	}
	return s.change(ctx, "put a sentence", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		org, err := officeOf(ctx, tx, v.Subject, now)
		if err != nil {
			return nil, err
		}
		var recorded time.Time
		err = tx.QueryRow(ctx, `UPDATE sentence SET recorded = tstzrange(lower(recorded), greatest($2, lower(recorded) + interval '1 microsecond'))
			WHERE subject_id = $1 AND upper_inf(recorded) RETURNING upper(recorded)`, v.Subject, now).Scan(&recorded)
		if errors.Is(err, pgx.ErrNoRows) {
			recorded = now
		} else if err != nil {
			return nil, err
		}
		if err := tx.QueryRow(ctx, `INSERT INTO sentence (subject_id, document_no, detained_days, valid, recorded, recorded_by)
			VALUES ($1, $2, $3, tstzrange($4, $5), tstzrange($6, NULL), $7) RETURNING sentence_id`,
			v.Subject, v.DocumentNo, v.DetainedDays, v.From, v.Until, recorded, null(by)).Scan(&v.ID); err != nil {
			return nil, err
		}
		e, err := entry("sentence.put", "sentence", v.ID, now, map[string]any{"from": v.From.UTC(), "until": v.Until.UTC(), "by": by})
		e.Org, e.Subject = org, v.Subject
		return []ledger.Entry{e}, err
	})
}

// sentenceAt is the sentence that is on record; nil where none is.
func sentenceAt(ctx context.Context, q Querier, subject id.Subject, _ time.Time) (*Sentence, error) {
	v := Sentence{Subject: subject}
	err := q.QueryRow(ctx, `SELECT sentence_id, document_no, detained_days, lower(valid), upper(valid) FROM sentence WHERE subject_id = $1 AND upper_inf(recorded)
		ORDER BY upper(valid) DESC LIMIT 1`, subject).Scan(&v.ID, &v.DocumentNo, &v.DetainedDays, &v.From, &v.Until)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read a sentence: %w", err)
	}
	v.From, v.Until = v.From.UTC(), v.Until.UTC()
	return &v, nil
}

// SentenceOf is the sentence that is on record; nil where none is. The caller limits whom it asks about.
func (s *Store) SentenceOf(ctx context.Context, q Querier, subject id.Subject) (*Sentence, error) {
	return sentenceAt(ctx, q, subject, s.clock.Now())
}

// NoticeText is a version of what people are told.
type NoticeText struct {
	ID      int64  `json:"id"`
	Code    string `json:"code"` // positioning, check, privacy
	Version int    `json:"version"`
	Body    string `json:"body"`
}

// NoticeTexts are the latest versions.
func NoticeTexts(ctx context.Context, q Querier) ([]NoticeText, error) {
	rows, err := q.Query(ctx, `SELECT DISTINCT ON (code) notice_text_id, code, version, body FROM notice_text ORDER BY code, version DESC`)
	if err != nil {
		return nil, fmt.Errorf("read the notices: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v NoticeText, err error) {
		err = row.Scan(&v.ID, &v.Code, &v.Version, &v.Body)
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the notices: %w", err)
	}
	return list, nil
}

// SanctionKind says what was decided.
type SanctionKind string

const (
	Admonition SanctionKind = "admonition" // 训诫
	Warning    SanctionKind = "warning"    // 警告
	Penalty    SanctionKind = "penalty"    // 治安管理处罚
)

// Sanction is a decision of people on an investigation. The platform records it and never makes one.
type Sanction struct {
	ID         int64
	Subject    id.Subject
	Kind       SanctionKind
	Refused    bool // it is for refusing to report activities (ground 3 of 社区矫正法 29)
	DocumentNo string
	Organ      string
	DecidedAt  time.Time
}

// PutSanction records one.
func (s *Store) PutSanction(ctx context.Context, by id.Account, v Sanction) (int64, error) {
	switch {
	case v.Kind != Admonition && v.Kind != Warning && v.Kind != Penalty:
		return 0, &FieldError{"kind", Malformed, "an admonition, a warning or a penalty"}
	case v.DocumentNo == "":
		return 0, &FieldError{"document_no", NoDocument, "a decision has a number"}
	case v.Organ == "":
		return 0, &FieldError{"organ", Missing, "who decided"}
	}
	cause := "other"
	if v.Refused {
		cause = "refused_to_report"
	}
	err := s.change(ctx, "put a sanction", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		if v.DecidedAt.After(now) || v.DecidedAt.IsZero() {
			return nil, &FieldError{"decided_at", InTheFuture, "a decision is recorded when it was made"}
		}
		org, err := officeOf(ctx, tx, v.Subject, now)
		if err != nil {
			return nil, err
		}
		if err := tx.QueryRow(ctx, `INSERT INTO sanction (subject_id, kind, cause, document_no, organ, decided_at, recorded_at, recorded_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING sanction_id`, v.Subject, v.Kind, cause, v.DocumentNo, v.Organ, v.DecidedAt, now, null(by)).Scan(&v.ID); err != nil {
			return nil, err
		}
		e, err := entry("sanction.put", "sanction", v.ID, now, map[string]any{"kind": v.Kind, "by": by})
		e.Org, e.Subject = org, v.Subject
		return []ledger.Entry{e}, err
	})
	return v.ID, err
}

// Sanctions are those of a subject, the newest first.
func Sanctions(ctx context.Context, q Querier, subject id.Subject) ([]Sanction, error) {
	rows, err := q.Query(ctx, `SELECT sanction_id, subject_id, kind, cause = 'refused_to_report', document_no, organ, decided_at FROM sanction
		WHERE subject_id = $1 AND revoked_at IS NULL ORDER BY decided_at DESC, sanction_id`, subject)
	if err != nil {
		return nil, fmt.Errorf("read the sanctions: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v Sanction, err error) {
		err = row.Scan(&v.ID, &v.Subject, &v.Kind, &v.Refused, &v.DocumentNo, &v.Organ, &v.DecidedAt)
		v.DecidedAt = v.DecidedAt.UTC()
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the sanctions: %w", err)
	}
	return list, nil
}

// Delegate has an office grant short leave in the name of the organ above it (社区矫正法 9; 实施办法 27).
func (s *Store) Delegate(ctx context.Context, by id.Account, from, to id.Org, documentNo string, since, until time.Time) error {
	if documentNo == "" {
		return &FieldError{"document_no", NoDocument, "a delegation is a document somebody can read"}
	}
	return s.change(ctx, "delegate", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		var above bool
		if err := tx.QueryRow(ctx, "SELECT $1::bigint <> $2::bigint AND $2::bigint IN (SELECT org_subtree($1))", from, to).Scan(&above); err != nil {
			return nil, err
		}
		if !above {
			return nil, &LawError{FieldError{"by_org", WrongOrgan, "the organ above delegates to the office under it"}, "社区矫正法 9"}
		}
		var n int64
		if err := tx.QueryRow(ctx, `INSERT INTO delegation (power, by_org, to_org, document_no, valid, recorded, recorded_by)
			VALUES ('leave', $1, $2, $3, tstzrange($4, $5), tstzrange($6, NULL), $7) RETURNING delegation_id`, from, to, documentNo, since, null(until), now, null(by)).Scan(&n); err != nil {
			return nil, err
		}
		e, err := entry("delegation.put", "delegation", n, now, map[string]any{"power": "leave", "from": since.UTC(), "by": by})
		e.Org = to
		return []ledger.Entry{e}, err
	})
}
