package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/alerts"
	"zhijiao/internal/id"
)

// look is one look at one person.
type look struct {
	subject     id.Subject
	what        string // track, person, evidence, export
	purpose     string
	alert       alerts.ID // that is the purpose
	from, until time.Time // the stretch that is shown
	note        string
}

// recordAccess keeps who looked at whom, at what and what for, in a table and in the ledger (R107). What is shown is shown after it.
func (s *Server) recordAccess(ctx context.Context, r *request, l *look) error {
	a := &r.session.account
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		var n int64
		if err := tx.QueryRow(ctx, `INSERT INTO subject_access (account_id, subject_id, what, purpose, alert_id, shown, at, client, note)
			VALUES ($1, $2, $3, $4, nullif($5::bigint, 0), tstzrange($6, $7), $8, $9, $10) RETURNING access_id`,
			int64(a.ID), int64(l.subject), l.what, l.purpose, int64(l.alert), l.from, l.until, s.Clock.Now(), r.client(), l.note).Scan(&n); err != nil {
			return err
		}
		return s.tellOf(ctx, tx, "access."+l.what, "access", n, a.ID, a.Org, l.subject, map[string]any{"purpose": l.purpose})
	})
	if err != nil {
		return fmt.Errorf("record who looked: %w", err)
	}
	return nil
}

type exceptionView struct {
	Code     string `json:"code"`
	Title    string `json:"title"`
	TitleEN  string `json:"title_en"`
	Citation string `json:"citation"`
}

// exceptions are what a refusal of a request may rest on.
func (s *Server) exceptions(ctx context.Context) ([]exceptionView, error) {
	rows, err := s.Reads.Query(ctx, "SELECT code, title, title_en, citation FROM request_exception ORDER BY code")
	if err != nil {
		return nil, fmt.Errorf("read exceptions: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[exceptionView])
	if err != nil {
		return nil, fmt.Errorf("read exceptions: %w", err)
	}
	return list, nil
}

// agreedExport is an export that somebody else agreed to and the caller asked for, while it may be fetched.
func (s *Server) agreedExport(ctx context.Context, r *request, n int64) (e massExport, err error) {
	var body json.RawMessage
	err = s.Pool.QueryRow(ctx, `SELECT body FROM countersign WHERE countersign_id = $1 AND kind = $2 AND agreed AND asked_by = $3 AND decided_at > clock_timestamp() - make_interval(secs => $4)`,
		n, signMassExport, int64(r.session.account.ID), exportFor.Seconds()).Scan(&body)
	if errors.Is(err, pgx.ErrNoRows) {
		return e, problem{http.StatusNotFound, "not_found", "", nil}
	}
	if err != nil {
		return e, fmt.Errorf("read what was agreed to: %w", err)
	}
	return e, json.Unmarshal(body, &e)
}

// recordExport keeps that a list left the house, and whom it showed.
func (s *Server) recordExport(ctx context.Context, r *request, n int64, e *massExport, subjects []id.Subject) error {
	a := &r.session.account
	return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if e.Clear {
			if _, err := tx.Exec(ctx, `INSERT INTO subject_access (account_id, subject_id, what, purpose, shown, at, client, note)
				SELECT $1::bigint, s, 'export', 'request', tstzrange($3::timestamptz, $3::timestamptz + interval '1 second'), $3, $4, $5 FROM unnest($2::bigint[]) s`, int64(a.ID), subjects, s.Clock.Now(), r.client(), strconv.FormatInt(n, 10)); err != nil {
				return err
			}
		}
		return s.tellOf(ctx, tx, "export.fetched", "export", n, a.ID, a.Org, 0, map[string]any{"what": e.What, "clear": e.Clear, "subjects": len(subjects)})
	})
}

// alertLines are the alerts of the scope as an export has them.
func (s *Server) alertLines(ctx context.Context, scope id.Org) ([][]string, error) {
	rows, err := s.Reads.Query(ctx, `SELECT a.alert_id, s.local_no, o.short_name, a.kind, a.class, a.state, a.opened_at, a.acknowledged_at, a.closed_at, coalesce(a.conclusion, '')
		FROM alert a JOIN subject s USING (subject_id) JOIN org o USING (org_id) WHERE a.org_id IN (SELECT org_subtree($1)) ORDER BY a.alert_id`, int64(scope))
	if err != nil {
		return nil, fmt.Errorf("read the alerts to export: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]string, error) {
		var n int64
		var no, office, kind, class, state, conclusion string
		var opened time.Time
		var acknowledged, closed *time.Time
		if err := row.Scan(&n, &no, &office, &kind, &class, &state, &opened, &acknowledged, &closed, &conclusion); err != nil {
			return nil, err
		}
		at := func(t *time.Time) string {
			if t == nil {
				return ""
			}
			return t.UTC().Format(time.RFC3339)
		}
		return []string{strconv.FormatInt(n, 10), no, office, kind, class, state, at(&opened), at(acknowledged), at(closed), conclusion}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the alerts to export: %w", err)
	}
	return list, nil
}
