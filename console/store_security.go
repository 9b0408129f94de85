package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
)

// accountRow is an account as the security administrator sees it.
type accountRow struct {
	ID         int64      `json:"id"`
	Name       string     `json:"name"`
	Officer    string     `json:"officer"`
	Kind       string     `json:"kind"`
	Org        string     `json:"org"`
	OrgID      int64      `json:"org_id"`
	Roles      []string   `json:"roles"`
	TOTP       bool       `json:"totp"`
	Keys       int        `json:"certificates"`
	MustChange bool       `json:"must_change"`
	DisabledAt *time.Time `json:"disabled_at"`
	LastLogin  *time.Time `json:"last_login"`
}

func (s *Server) accounts(ctx context.Context, scope id.Org) ([]accountRow, error) {
	rows, err := s.Pool.Query(ctx, `SELECT a.account_id, a.name, coalesce(f.name, ''), coalesce(f.kind, ''), o.name, o.org_id,
			ARRAY(SELECT role FROM account_role r WHERE r.account_id = a.account_id ORDER BY role), a.totp IS NOT NULL,
			(SELECT count(*) FROM account_certificate k WHERE k.account_id = a.account_id AND k.revoked_at IS NULL), a.must_change, a.disabled_at,
			(SELECT max(created_at) FROM account_session x WHERE x.account_id = a.account_id)
		FROM account a JOIN org o ON o.org_id = a.org_id LEFT JOIN officer f USING (officer_id) WHERE a.org_id IN (SELECT org_subtree($1)) ORDER BY a.name LIMIT 2000`, int64(scope))
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[accountRow])
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	return append([]accountRow{}, list...), nil
}

// lockAccount locks an account of the scope; 404 where there is none.
func lockAccount(ctx context.Context, tx pgx.Tx, scope id.Org, account id.Account) (org id.Org, name string, err error) {
	err = tx.QueryRow(ctx, "SELECT org_id, name FROM account WHERE account_id = $1 AND org_id IN (SELECT org_subtree($2)) FOR UPDATE", int64(account), int64(scope)).Scan(&org, &name)
	if errors.Is(err, pgx.ErrNoRows) {
		err = problem{http.StatusNotFound, "not_found", "", nil}
	}
	return org, name, err
}

// setDisabled closes an account at once, or opens it again. Nobody closes their own.
func (s *Server) setDisabled(ctx context.Context, r *request, account id.Account, disabled bool) (ended [][]byte, err error) {
	by := r.session.account.ID
	if account == by {
		return nil, problem{http.StatusUnprocessableEntity, "not_your_own", "", nil}
	}
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		org, _, err := lockAccount(ctx, tx, r.scope(), account)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE account SET disabled_at = CASE WHEN $2 THEN clock_timestamp() END WHERE account_id = $1", int64(account), disabled); err != nil {
			return err
		}
		kind := "account.enabled"
		if disabled {
			kind = "account.disabled"
			if ended, err = endSessions(ctx, tx, account, nil); err != nil {
				return err
			}
		}
		return s.tell(ctx, tx, kind, by, account, org, nil)
	})
	return ended, err
}

// resetAccount gives an account a password that its owner has to change, and takes its second factor away: for who lost either.
func (s *Server) resetAccount(ctx context.Context, r *request, account id.Account) (password string, ended [][]byte, err error) {
	by := r.session.account.ID
	if account == by {
		return "", nil, problem{http.StatusUnprocessableEntity, "not_your_own", "", nil}
	}
	password = RandomPassword()
	phc, err := s.hasher.hash(ctx, password)
	if err != nil {
		return "", nil, err
	}
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		org, _, err := lockAccount(ctx, tx, r.scope(), account)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE account SET password_hash = $2, password_set_at = clock_timestamp(), must_change = true, totp = NULL, totp_step = 0 WHERE account_id = $1`, int64(account), phc); err != nil {
			return err
		}
		if ended, err = endSessions(ctx, tx, account, nil); err != nil {
			return err
		}
		return s.tell(ctx, tx, "account.reset", by, account, org, nil)
	})
	return password, ended, err
}

// Things that take two people.
const (
	signRoleGrant  = "role_grant"
	signPolicy     = "policy"
	signMassExport = "mass_export"
)

// signers are who may ask for something that takes two, and who may agree to it.
var signers = map[string]struct{ ask, agree []Role }{
	signRoleGrant:  {[]Role{SecurityAdmin}, []Role{SecurityAdmin, AuditAdmin}},
	signPolicy:     {[]Role{SecurityAdmin}, []Role{SecurityAdmin, AuditAdmin}},
	signMassExport: {[]Role{Commander}, []Role{Commander, Approver}},
}

// grant is the body of a role_grant: an account that is there, or a new one.
type grant struct {
	Account id.Account `json:"account,omitempty"`
	Name    string     `json:"name,omitempty"`    // of a new one
	Officer id.Officer `json:"officer,omitempty"` // of a new one
	Org     id.Org     `json:"org,omitempty"`     // of a new one
	Roles   []Role     `json:"roles"`
}

// policyChange is the body of a policy.
type policyChange struct {
	Profile      Profile `json:"profile"`
	SecondFactor bool    `json:"second_factor"`
}

// massExport is the body of a mass_export.
type massExport struct {
	What  string `json:"what"`  // subjects or alerts
	Clear bool   `json:"clear"` // with names and numbers
}

type countersignRow struct {
	ID        int64           `json:"id"`
	Kind      string          `json:"kind"`
	Body      json.RawMessage `json:"body"`
	Reason    string          `json:"reason"`
	AskedBy   accountRef      `json:"asked_by"`
	AskedAt   time.Time       `json:"asked_at"`
	DecidedBy *accountRef     `json:"decided_by"`
	DecidedAt *time.Time      `json:"decided_at"`
	Agreed    *bool           `json:"agreed"`
	Org       int64           `json:"-"`
}

const countersignColumns = `SELECT c.countersign_id, c.kind, c.body, c.reason, c.asked_by, coalesce(fa.name, a.name), c.asked_at, c.decided_by, coalesce(fd.name, d.name, ''), c.decided_at, c.agreed, c.org_id
	FROM countersign c JOIN account a ON a.account_id = c.asked_by LEFT JOIN officer fa ON fa.officer_id = a.officer_id
		LEFT JOIN account d ON d.account_id = c.decided_by LEFT JOIN officer fd ON fd.officer_id = d.officer_id`

func scanCountersign(row pgx.CollectableRow) (v countersignRow, err error) {
	var by *int64
	var name string
	err = row.Scan(&v.ID, &v.Kind, &v.Body, &v.Reason, &v.AskedBy.ID, &v.AskedBy.DisplayName, &v.AskedAt, &by, &name, &v.DecidedAt, &v.Agreed, &v.Org)
	if by != nil {
		v.DecidedBy = &accountRef{*by, name}
	}
	return v, err
}

// countersigns are what somebody asked for or may agree to, the open first.
func (s *Server) countersigns(ctx context.Context, r *request) ([]countersignRow, error) {
	kinds := []string{}
	for k, v := range signers {
		if r.session.account.is(v.agree...) || r.session.account.is(v.ask...) {
			kinds = append(kinds, k)
		}
	}
	rows, err := s.Pool.Query(ctx, countersignColumns+` WHERE c.kind = ANY ($1) AND c.org_id IN (SELECT org_subtree($2)) ORDER BY c.decided_at IS NOT NULL, c.countersign_id DESC LIMIT 200`,
		kinds, int64(r.scope()))
	if err != nil {
		return nil, fmt.Errorf("read what takes two: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanCountersign)
	if err != nil {
		return nil, fmt.Errorf("read what takes two: %w", err)
	}
	return append([]countersignRow{}, list...), nil
}

// ask puts something before a second person.
func (s *Server) ask(ctx context.Context, r *request, kind string, body any, reason string) (int64, error) {
	doc, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	a := &r.session.account
	var n int64
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "INSERT INTO countersign (kind, body, reason, org_id, asked_by) VALUES ($1, $2, $3, $4, $5) RETURNING countersign_id",
			kind, doc, reason, int64(a.Org), int64(a.ID)).Scan(&n); err != nil {
			return err
		}
		return s.tellOf(ctx, tx, "countersign.asked", "countersign", n, a.ID, a.Org, 0, map[string]any{"kind": kind, "body": json.RawMessage(doc)})
	})
	return n, err
}

// agree decides what somebody else asked for, and has it happen in the same transaction. What it made is shown once to who agreed: a password.
func (s *Server) agree(ctx context.Context, r *request, n int64, agreed bool) (password string, ended [][]byte, err error) {
	a := &r.session.account
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, countersignColumns+" WHERE c.countersign_id = $1 AND c.org_id IN (SELECT org_subtree($2)) FOR UPDATE OF c", n, int64(r.scope()))
		if err != nil {
			return err
		}
		v, err := pgx.CollectExactlyOneRow(rows, scanCountersign)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && !a.is(signers[v.Kind].agree...) {
			return problem{http.StatusNotFound, "not_found", "", nil}
		}
		if err != nil {
			return err
		}
		switch {
		case v.DecidedAt != nil:
			return problem{http.StatusConflict, "changed", "", nil}
		case v.AskedBy.ID == int64(a.ID):
			return problem{http.StatusForbidden, "second_person", "", nil}
		}
		if agreed { // by the rights of both now: who asked may have lost theirs since
			if err := s.mayStillAsk(ctx, tx, &v); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, "UPDATE countersign SET decided_by = $2, decided_at = clock_timestamp(), agreed = $3 WHERE countersign_id = $1", n, int64(a.ID), agreed); err != nil {
			return err
		}
		if agreed {
			switch v.Kind {
			case signRoleGrant:
				password, ended, err = s.grantRoles(ctx, tx, r, &v)
			case signPolicy:
				err = s.putPolicy(ctx, tx, &v)
			}
			if err != nil {
				return err
			}
		}
		return s.tellOf(ctx, tx, "countersign.decided", "countersign", n, a.ID, id.Org(v.Org), 0, map[string]any{"kind": v.Kind, "agreed": agreed, "asked_by": v.AskedBy.ID, "body": v.Body})
	})
	return password, ended, refusalProblem(err)
}

// mayStillAsk refuses what was asked by somebody who could not ask for it any more.
func (s *Server) mayStillAsk(ctx context.Context, tx pgx.Tx, v *countersignRow) error {
	var may bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM account a JOIN account_role r USING (account_id) WHERE a.account_id = $1 AND a.disabled_at IS NULL AND r.role = ANY ($2))`,
		v.AskedBy.ID, roleNames(signers[v.Kind].ask)).Scan(&may); err != nil {
		return fmt.Errorf("look who asked: %w", err)
	}
	if !may {
		return problem{http.StatusConflict, "asker_gone", "", nil}
	}
	return nil
}

// refusalProblem tells what the database refused about accounts and roles as a problem of the roles.
func refusalProblem(err error) error {
	var p problem
	if err == nil || errors.As(err, &p) {
		return err
	}
	if said := refusal(err); said != err {
		return problem{http.StatusUnprocessableEntity, "roles_refused", "roles", map[string]any{"why": said.Error()}}
	}
	return err
}

func (s *Server) grantRoles(ctx context.Context, tx pgx.Tx, r *request, v *countersignRow) (password string, ended [][]byte, err error) {
	var g grant
	if err := json.Unmarshal(v.Body, &g); err != nil {
		return "", nil, err
	}
	if g.Account == 0 {
		password = RandomPassword()
		phc, err := s.hasher.hash(ctx, password)
		if err != nil {
			return "", nil, err
		}
		if err := tx.QueryRow(ctx, `INSERT INTO account (name, officer_id, org_id, password_hash, must_change)
			SELECT $1, nullif($2::bigint, 0), $3, $4, true WHERE $3 IN (SELECT org_subtree($5)) RETURNING account_id`, g.Name, int64(g.Officer), int64(g.Org), phc, int64(r.scope())).Scan(&g.Account); err != nil {
			return "", nil, err
		}
	} else if g.Account == r.session.account.ID { // whoever gains by it is not the second person
		return "", nil, problem{http.StatusForbidden, "not_your_own", "", nil}
	} else if _, _, err := lockAccount(ctx, tx, r.scope(), g.Account); err != nil {
		return "", nil, err
	}
	if _, err := tx.Exec(ctx, "DELETE FROM account_role WHERE account_id = $1", int64(g.Account)); err != nil {
		return "", nil, err
	}
	for _, role := range g.Roles {
		if _, err := tx.Exec(ctx, "INSERT INTO account_role (account_id, role) VALUES ($1, $2)", int64(g.Account), string(role)); err != nil {
			return "", nil, err
		}
	}
	ended, err = endSessions(ctx, tx, g.Account, nil) // what they may is another thing now: they log in anew
	return password, ended, err
}

func (s *Server) putPolicy(ctx context.Context, tx pgx.Tx, v *countersignRow) error {
	var p policyChange
	if err := json.Unmarshal(v.Body, &p); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO security_policy (version, profile, second_factor, recorded_by, countersign_id)
		SELECT coalesce(max(version), 0) + 1, $1, $2, $3, $4 FROM security_policy`, string(p.Profile), p.SecondFactor, v.AskedBy.ID, v.ID)
	return err
}

// coverRow is a duty to cover for an office.
type coverRow struct {
	ID        int64      `json:"id"`
	Account   accountRef `json:"account"`
	Org       officeRef  `json:"org"`
	From      time.Time  `json:"from"`
	Until     time.Time  `json:"until"`
	Reason    string     `json:"reason"`
	GrantedBy accountRef `json:"granted_by"`
	EndedAt   *time.Time `json:"ended_at"`
	Now       bool       `json:"now"`
}

func (s *Server) covers(ctx context.Context, scope id.Org) ([]coverRow, error) {
	rows, err := s.Pool.Query(ctx, `SELECT c.cover_id, c.account_id, coalesce(f.name, a.name), o.org_id, o.short_name, lower(c.valid), upper(c.valid), c.reason, c.granted_by, coalesce(gf.name, g.name), c.ended_at,
			c.ended_at IS NULL AND c.valid @> clock_timestamp()
		FROM cover_duty c JOIN account a USING (account_id) LEFT JOIN officer f USING (officer_id) JOIN org o ON o.org_id = c.org_id
			JOIN account g ON g.account_id = c.granted_by LEFT JOIN officer gf ON gf.officer_id = g.officer_id
		WHERE c.org_id IN (SELECT org_subtree($1)) ORDER BY c.cover_id DESC LIMIT 200`, int64(scope))
	if err != nil {
		return nil, fmt.Errorf("read cover duties: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v coverRow, err error) {
		err = row.Scan(&v.ID, &v.Account.ID, &v.Account.DisplayName, &v.Org.ID, &v.Org.ShortName, &v.From, &v.Until, &v.Reason, &v.GrantedBy.ID, &v.GrantedBy.DisplayName, &v.EndedAt, &v.Now)
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("read cover duties: %w", err)
	}
	return append([]coverRow{}, list...), nil
}

// coverMost is how long somebody covers for an office at most by one grant.
const coverMost = 31 * 24 * time.Hour

// putCover has somebody of the scope look after an office of it for a time (R96).
func (s *Server) putCover(ctx context.Context, r *request, account id.Account, org id.Org, from, until time.Time, reason string) error {
	by := &r.session.account
	return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if _, _, err := lockAccount(ctx, tx, r.scope(), account); err != nil {
			return err
		}
		var in, administers bool
		var n int64
		if err := tx.QueryRow(ctx, "SELECT $1 IN (SELECT org_subtree($2)), EXISTS (SELECT FROM account_role WHERE account_id = $3 AND role = ANY ($4))",
			int64(org), int64(r.scope()), int64(account), roleNames(append([]Role{Prosecutor}, administrators...))).Scan(&in, &administers); err != nil {
			return err
		}
		if !in {
			return problem{http.StatusNotFound, "not_found", "", nil}
		}
		if administers {
			return problem{http.StatusUnprocessableEntity, "no_case_data", "account", nil}
		}
		if err := tx.QueryRow(ctx, "INSERT INTO cover_duty (account_id, org_id, valid, reason, granted_by) VALUES ($1, $2, tstzrange($3, $4), $5, $6) RETURNING cover_id",
			int64(account), int64(org), from, until, reason, int64(by.ID)).Scan(&n); err != nil {
			return err
		}
		return s.tellOf(ctx, tx, "cover.granted", "cover", n, by.ID, org, 0, map[string]any{"account": int64(account), "from": from, "until": until})
	})
}

// endCover ends a duty before its time.
func (s *Server) endCover(ctx context.Context, r *request, cover int64) error {
	return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		var org id.Org
		var account int64
		err := tx.QueryRow(ctx, `UPDATE cover_duty SET ended_at = clock_timestamp() WHERE cover_id = $1 AND ended_at IS NULL AND org_id IN (SELECT org_subtree($2)) RETURNING org_id, account_id`,
			cover, int64(r.scope())).Scan(&org, &account)
		if errors.Is(err, pgx.ErrNoRows) {
			return problem{http.StatusNotFound, "not_found", "", nil}
		}
		if err != nil {
			return err
		}
		return s.tellOf(ctx, tx, "cover.ended", "cover", cover, r.session.account.ID, org, 0, map[string]any{"account": account})
	})
}

// auditRow is a row of the ledger as the audit administrator reads it: who did what, when. What it says of a case stays closed.
type auditRow struct {
	Pos       int64           `json:"pos"`
	At        time.Time       `json:"at"`
	WrittenAt time.Time       `json:"written_at"`
	Kind      string          `json:"kind"`
	Entity    string          `json:"entity"`
	EntityID  int64           `json:"entity_id"`
	Org       string          `json:"org"`
	By        *accountRef     `json:"by"`
	Body      json.RawMessage `json:"body,omitempty"`
	Sealed    int64           `json:"sealed"` // by this seal; 0: not yet
}

// auditFilter says which rows; zero fields do not limit.
type auditFilter struct {
	Kind    string // a kind, or the beginning of some: account.
	Account int64
	Before  int64 // position
	From    time.Time
	Until   time.Time
}

// adminEntities are what an audit administrator may read whole: acts on accounts and access. The rest is cases.
var adminEntities = []string{"account", "session", "countersign", "cover", "access", "policy", "evidence", "export"}

// audit are rows of the ledger, the newest first, at most 200.
func (s *Server) audit(ctx context.Context, f *auditFilter) ([]auditRow, error) {
	rows, err := s.Pool.Query(ctx, `SELECT l.pos, l.at, l.written_at, l.kind, l.entity, l.entity_id, coalesce(o.short_name, ''), nullif(l.body ->> 'by', '0')::bigint, coalesce(fa.name, a.name, ''),
			CASE WHEN l.entity = ANY ($7) THEN l.body END, coalesce((SELECT min(n) FROM audit_seal x WHERE x.positions[cardinality(x.positions)] >= l.pos), 0)
		FROM ledger l LEFT JOIN org o USING (org_id) LEFT JOIN account a ON a.account_id = CASE WHEN l.body ->> 'by' ~ '^[0-9]+$' THEN (l.body ->> 'by')::bigint END LEFT JOIN officer fa ON fa.officer_id = a.officer_id
		WHERE ($1 = '' OR l.kind = $1 OR right($1, 1) = '.' AND starts_with(l.kind, $1)) AND ($2 = 0 OR l.body ->> 'by' = $2::text) AND ($3 = 0 OR l.pos < $3)
			AND ($4::timestamptz IS NULL OR l.written_at >= $4) AND ($5::timestamptz IS NULL OR l.written_at < $5) ORDER BY l.pos DESC LIMIT $6`,
		f.Kind, f.Account, f.Before, given(f.From), given(f.Until), 200, adminEntities)
	if err != nil {
		return nil, fmt.Errorf("read the audit: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v auditRow, err error) {
		var by *int64
		var name string
		err = row.Scan(&v.Pos, &v.At, &v.WrittenAt, &v.Kind, &v.Entity, &v.EntityID, &v.Org, &by, &name, &v.Body, &v.Sealed)
		if by != nil {
			v.By = &accountRef{*by, name}
		}
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the audit: %w", err)
	}
	return append([]auditRow{}, list...), nil
}

// accessRow is one look at one person.
type accessRow struct {
	ID        int64      `json:"id"`
	At        time.Time  `json:"at"`
	Account   accountRef `json:"account"`
	Subject   subjectRef `json:"subject"`
	What      string     `json:"what"`
	Purpose   string     `json:"purpose"`
	Alert     int64      `json:"alert,omitempty"`
	Note      string     `json:"note,omitempty"`
	ShownFrom *time.Time `json:"shown_from"`
	ShownTo   *time.Time `json:"shown_until"`
}

// accesses are who looked at whom in scope, the newest first; of one subject where it is given.
func (s *Server) accesses(ctx context.Context, scope id.Org, subject id.Subject, before int64) ([]accessRow, error) {
	rows, err := s.Reads.Query(ctx, `SELECT x.access_id, x.at, x.account_id, coalesce(f.name, a.name), x.subject_id, x.what, x.purpose, coalesce(x.alert_id, 0), x.note, lower(x.shown), upper(x.shown)
		FROM subject_access x JOIN account a USING (account_id) LEFT JOIN officer f USING (officer_id)
		WHERE EXISTS (SELECT FROM subject_office o WHERE o.subject_id = x.subject_id AND upper_inf(o.recorded) AND o.valid @> $2::timestamptz AND o.org_id IN (SELECT org_subtree($1)))
			AND ($3 = 0 OR x.subject_id = $3) AND ($4 = 0 OR x.access_id < $4) ORDER BY x.access_id DESC LIMIT 200`, int64(scope), s.Clock.Now(), int64(subject), before)
	if err != nil {
		return nil, fmt.Errorf("read who looked: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v accessRow, err error) {
		err = row.Scan(&v.ID, &v.At, &v.Account.ID, &v.Account.DisplayName, &v.Subject.ID, &v.What, &v.Purpose, &v.Alert, &v.Note, &v.ShownFrom, &v.ShownTo)
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("read who looked: %w", err)
	}
	return append([]accessRow{}, list...), nil
}

// validRoles refuses roles that are none.
func validRoles(roles []Role) error {
	if len(roles) == 0 {
		return problem{http.StatusUnprocessableEntity, "required", "roles", nil}
	}
	for _, r := range roles {
		if !slices.Contains(Roles, r) {
			return problem{http.StatusUnprocessableEntity, "unknown", "roles", nil}
		}
	}
	return nil
}

// plainReason refuses an empty or overlong reason.
func plainReason(field, text string) error {
	if strings.TrimSpace(text) == "" {
		return problem{http.StatusUnprocessableEntity, "required", field, nil}
	}
	return texts(field, text)
}
