package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// NewAccount is an account to add.
type NewAccount struct {
	Name     string // [a-z0-9._-], what one logs in with
	Officer  id.Officer
	Org      id.Org // root of what it may see
	Roles    []Role
	Password string
	At       time.Time // domain time
}

// ErrTaken means that the name is another account's.
var ErrTaken = errors.New("console: this account name is taken")

// AddAccount adds an account with its roles.
func AddAccount(ctx context.Context, pool *pgxpool.Pool, n NewAccount) (id.Account, error) {
	if len(n.Roles) == 0 {
		return 0, errors.New("add account: it needs a role")
	}
	phc, err := hashNew(ctx, n.Password)
	if err != nil {
		return 0, err
	}
	var account id.Account
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `INSERT INTO account (name, officer_id, org_id, password_hash) VALUES ($1, nullif($2::bigint, 0), $3, $4) RETURNING account_id`,
			n.Name, int64(n.Officer), int64(n.Org), phc).Scan(&account); err != nil {
			return err
		}
		for _, r := range n.Roles {
			if _, err := tx.Exec(ctx, "INSERT INTO account_role (account_id, role) VALUES ($1, $2)", int64(account), string(r)); err != nil {
				return err
			}
		}
		return ledger.Append(ctx, tx, ledger.Entry{At: n.At, Kind: "account.added", Org: n.Org, Entity: "account", EntityID: int64(account), Version: 1})
	})
	if err != nil {
		return 0, fmt.Errorf("add account: %w", refusal(err))
	}
	return account, nil
}

// refusal says in words what the database refused.
func refusal(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	switch pg.ConstraintName {
	case "account_name_key":
		return ErrTaken
	case "account_name_check":
		return errors.New("name: lower-case letters, digits, dot, dash and underscore, 2 to 63 of them")
	case "account_org_id_fkey":
		return errors.New("org: there is no such organisation")
	case "account_officer_id_fkey":
		return errors.New("officer: there is no such officer")
	case "account_role_role_check":
		return fmt.Errorf("role: one of %s", strings.Join(roleNames(Roles), ", "))
	case "account_role_pkey":
		return errors.New("role: the same one twice")
	}
	if pg.Code == "P0001" { // raised by the exclusion of roles (R108)
		return errors.New(pg.Message)
	}
	return err
}

const passwordLeast = 12

func hashNew(ctx context.Context, password string) (string, error) {
	if utf8.RuneCountInString(password) < passwordLeast || len(password) > passwordMost {
		return "", fmt.Errorf("password: %d characters or more", passwordLeast)
	}
	return newArgon().hash(ctx, password)
}

// SetPassword gives an account a new password and ends its sessions.
func SetPassword(ctx context.Context, pool *pgxpool.Pool, name, password string) error {
	phc, err := hashNew(ctx, password)
	if err != nil {
		return fmt.Errorf("set password: %w", err)
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var account id.Account
		err := tx.QueryRow(ctx, "UPDATE account SET password_hash = $2 WHERE name = $1 RETURNING account_id", name, phc).Scan(&account)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("set password: there is no account %q", name)
		}
		if err != nil {
			return fmt.Errorf("set password: %w", err)
		}
		_, err = tx.Exec(ctx, "UPDATE account_session SET ended_at = clock_timestamp() WHERE account_id = $1 AND ended_at IS NULL", int64(account))
		return err
	})
}

// displayNames are how accounts are called, by id.
func (s *Server) displayNames(ctx context.Context, q querier, ids []int64) (map[id.Account]string, error) {
	rows, err := q.Query(ctx, "SELECT account_id, coalesce(f.name, a.name) FROM account a LEFT JOIN officer f USING (officer_id) WHERE account_id = ANY($1)", ids)
	if err != nil {
		return nil, err
	}
	out := map[id.Account]string{}
	var account id.Account
	var name string
	_, err = pgx.ForEachRow(rows, []any{&account, &name}, func() error { out[account] = name; return nil })
	return out, err
}

// JoinCertificate has an account prove itself by the key of a client certificate, named by the SHA-256 of its public key.
func JoinCertificate(ctx context.Context, pool *pgxpool.Pool, at time.Time, login string, key []byte, label string) error {
	return join(ctx, pool, at, login, "account.certificate_added", `INSERT INTO account_certificate (account_id, key_sha256, label) SELECT account_id, $2, $3 FROM account WHERE name = $1 RETURNING account_id`, key, label)
}

// JoinSingleSignOn has an account log in as who it is at the site's identity provider (SingleSignOnKey); nil ends that.
func JoinSingleSignOn(ctx context.Context, pool *pgxpool.Pool, at time.Time, login string, key *string) error {
	kind := "account.single_sign_on_set"
	if key == nil {
		kind = "account.single_sign_on_ended"
	}
	return join(ctx, pool, at, login, kind, "UPDATE account SET single_sign_on = $2 WHERE name = $1 RETURNING account_id", key)
}

// join changes how an account proves itself, and writes that down.
func join(ctx context.Context, pool *pgxpool.Pool, at time.Time, login, kind, sql string, args ...any) error {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var account, org int64
		if err := tx.QueryRow(ctx, sql, append([]any{login}, args...)...).Scan(&account); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, "SELECT org_id FROM account WHERE account_id = $1", account).Scan(&org); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Entry{At: at, Kind: kind, Org: id.Org(org), Entity: "account", EntityID: account, Version: 1})
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("there is no account %q", login)
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23505" {
		return errors.New("another account proves itself by that already")
	}
	if err != nil {
		return fmt.Errorf("change how %s logs in: %w", login, err)
	}
	return nil
}
