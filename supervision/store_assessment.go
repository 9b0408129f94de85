package supervision

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// Assessment is 个人信息保护影响评估 of a kind of rule or a source of data (R115). It is kept, and never changed: another one follows it.
type Assessment struct {
	ID          int64      `json:"id"`
	What        string     `json:"what"` // rule_kind, source
	Code        string     `json:"code"`
	DocumentNo  string     `json:"document_no"`
	Lawful      string     `json:"lawful"`
	Impact      string     `json:"impact"`
	Measures    string     `json:"measures"`
	Assessor    string     `json:"assessor"`
	Reviewer    string     `json:"reviewer"`
	Provisional bool       `json:"provisional"` // shipped with the program; the centre's own is to follow
	From        time.Time  `json:"from"`
	Until       *time.Time `json:"until"`
}

// PutAssessment records an assessment.
func (s *Store) PutAssessment(ctx context.Context, by id.Account, a Assessment) (int64, error) {
	if a.What != "rule_kind" && a.What != "source" {
		return 0, &FieldError{"what", Malformed, "rule_kind or source"}
	}
	for field, words := range map[string]string{"code": a.Code, "document_no": a.DocumentNo, "lawful": a.Lawful, "impact": a.Impact, "measures": a.Measures, "assessor": a.Assessor, "reviewer": a.Reviewer} {
		if err := text(field, words); err != nil {
			return 0, err
		}
	}
	switch {
	case a.Assessor == a.Reviewer:
		return 0, &FieldError{"reviewer", SamePerson, "who assessed does not review"}
	case a.From.IsZero() || a.Until != nil && !a.From.Before(*a.Until):
		return 0, &FieldError{"until", EmptyInterval, "it has a beginning and no earlier end"}
	}
	err := s.change(ctx, "put an assessment", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		if err := tx.QueryRow(ctx, `INSERT INTO assessment (what, code, document_no, lawful, impact, measures, assessor, reviewer, valid, recorded_at, recorded_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, tstzrange($9, $10), $11, $12) RETURNING assessment_id`, a.What, a.Code, a.DocumentNo, a.Lawful, a.Impact, a.Measures, a.Assessor, a.Reviewer,
			a.From, a.Until, now, null(by)).Scan(&a.ID); err != nil {
			return nil, err
		}
		e, err := entry("assessment.put", "assessment", a.ID, now, map[string]any{"what": a.What, "code": a.Code, "by": by})
		return []ledger.Entry{e}, err
	})
	return a.ID, err
}

// Assessments are the newest of each kind of rule and source that are current at an instant; what nobody but the program's makers assessed is provisional.
func Assessments(ctx context.Context, q Querier, at time.Time) ([]Assessment, error) {
	rows, err := q.Query(ctx, `SELECT DISTINCT ON (what, code) assessment_id, what, code, document_no, lawful, impact, measures, assessor, reviewer, provisional, lower(valid), upper(valid)
		FROM assessment WHERE valid @> $1::timestamptz ORDER BY what, code, assessment_id DESC`, at)
	if err != nil {
		return nil, fmt.Errorf("read assessments: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Assessment])
	if err != nil {
		return nil, fmt.Errorf("read assessments: %w", err)
	}
	return list, nil
}
