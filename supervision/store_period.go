package supervision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

const periodColumns = `period_id, code, title, title_en, amount, unit, first_day, roll, inclusive, citation, evidence, lower(valid), upper(valid)`

func scanPeriod(row pgx.CollectableRow) (p Period, err error) {
	var until *time.Time
	err = row.Scan(&p.ID, &p.Code, &p.Title, &p.TitleEN, &p.Amount, &p.Unit, &p.FirstDay, &p.Roll, &p.Inclusive, &p.Citation, &p.Evidence, &p.From, &until)
	p.From = p.From.UTC()
	if until != nil {
		p.Until = until.UTC()
	}
	return p, err
}

// Periods is the rule table as it stands recorded, by code and in order of time.
func Periods(ctx context.Context, q Querier) ([]Period, error) {
	rows, err := q.Query(ctx, "SELECT "+periodColumns+" FROM period WHERE upper_inf(recorded) ORDER BY code, lower(valid)")
	if err != nil {
		return nil, fmt.Errorf("read the periods: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanPeriod)
	if err != nil {
		return nil, fmt.Errorf("read the periods: %w", err)
	}
	return list, nil
}

// law is the rule table at an instant.
func (s *Store) law(ctx context.Context, q Querier, at time.Time) (*Law, error) {
	list, err := Periods(ctx, q)
	if err != nil {
		return nil, err
	}
	off := DayOff(weekend)
	if s.daysOff != nil {
		if off, err = s.daysOff(ctx, q); err != nil {
			return nil, err
		}
	}
	return NewLaw(at, list, off), nil
}

// PutPeriod has a period apply in another form from p.From on; what applied until then stays, and so does what was decided by it. The
// unit, the way of counting, the citation and the evidence are as given.
func (s *Store) PutPeriod(ctx context.Context, by id.Account, p Period) error {
	switch {
	case len(p.Amount) == 0:
		return &FieldError{"amount", Missing, "how many of the unit"}
	case p.From.IsZero():
		return &FieldError{"from", Missing, "since when it applies"}
	case p.Citation == "":
		return &FieldError{"citation", Missing, "what it rests on"}
	}
	return s.change(ctx, "put a period", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		rows, err := tx.Query(ctx, "SELECT "+periodColumns+" FROM period WHERE code = $1 AND upper_inf(recorded) ORDER BY lower(valid) FOR UPDATE", p.Code)
		if err != nil {
			return nil, err
		}
		list, err := pgx.CollectRows(rows, scanPeriod)
		if err != nil {
			return nil, err
		}
		if len(list) == 0 {
			return nil, ErrNotFound
		}
		last := list[len(list)-1]
		if p.From.Before(last.From) {
			return nil, &FieldError{"from", NotAfterTheLast, "not earlier than the version that applies last"}
		}
		var recorded time.Time
		if err := tx.QueryRow(ctx, `UPDATE period SET recorded = tstzrange(lower(recorded), greatest($2, lower(recorded) + interval '1 microsecond'))
			WHERE period_id = $1 RETURNING upper(recorded)`, last.ID, now).Scan(&recorded); err != nil {
			return nil, err
		}
		if p.Title == "" {
			p.Title, p.TitleEN = last.Title, last.TitleEN
		}
		insert := func(v Period) (n int64, err error) {
			err = tx.QueryRow(ctx, `INSERT INTO period (code, title, title_en, amount, unit, first_day, roll, inclusive, citation, evidence, valid, recorded, recorded_by)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, tstzrange($11, $12), tstzrange($13, NULL), $14) RETURNING period_id`,
				p.Code, v.Title, v.TitleEN, v.Amount, v.Unit, v.FirstDay, v.Roll, v.Inclusive, v.Citation, v.Evidence, v.From, null(v.Until), recorded, null(by)).Scan(&n)
			return n, err
		}
		if last.From.Before(p.From) {
			before := last
			before.Until = p.From
			if _, err := insert(before); err != nil {
				return nil, err
			}
		}
		p.Until = time.Time{}
		n, err := insert(p)
		if err != nil {
			return nil, err
		}
		e, err := entry("period.put", "period", n, now, map[string]any{"code": p.Code, "amount": p.Amount, "unit": p.Unit, "from": p.From.UTC(), "by": by})
		return []ledger.Entry{e}, err
	})
}

// PeriodNamed is the version of a period that applies at an instant, else ErrNotFound.
func PeriodNamed(ctx context.Context, q Querier, code string, at time.Time) (Period, error) {
	rows, err := q.Query(ctx, "SELECT "+periodColumns+" FROM period WHERE upper_inf(recorded) AND code = $1 AND valid @> $2::timestamptz", code, at)
	if err != nil {
		return Period{}, fmt.Errorf("read a period: %w", err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanPeriod)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, ErrNotFound
	}
	if err != nil {
		return p, fmt.Errorf("read a period: %w", err)
	}
	return p, nil
}
