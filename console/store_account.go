package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

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
	if len(n.Password) < 12 {
		return 0, errors.New("add account: a password has at least 12 characters")
	}
	phc, err := newArgon().hash(ctx, n.Password)
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
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.ConstraintName {
		case "account_name_key":
			return 0, ErrTaken
		case "account_name_check":
			return 0, fmt.Errorf("add account: name: lower-case letters, digits, dot, dash and underscore, 2 to 63 of them")
		case "account_role_role_check":
			return 0, fmt.Errorf("add account: role: unknown")
		}
		if pg.Code == "P0001" {
			return 0, fmt.Errorf("add account: %s", pg.Message)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("add account: %w", err)
	}
	return account, nil
}

// SetPassword gives an account a new password and ends its sessions.
func SetPassword(ctx context.Context, pool *pgxpool.Pool, name, password string) error {
	phc, err := newArgon().hash(ctx, password)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var account id.Account
		if err := tx.QueryRow(ctx, `UPDATE account SET password_hash = $2, failures = 0, locked_until = NULL WHERE name = $1 RETURNING account_id`, name, phc).Scan(&account); err != nil {
			return fmt.Errorf("set password: %w", err)
		}
		_, err := tx.Exec(ctx, "UPDATE account_session SET ended_at = clock_timestamp() WHERE account_id = $1 AND ended_at IS NULL", int64(account))
		return err
	})
}

// candidate is what login needs of an account.
type candidate struct {
	id     id.Account
	phc    string
	locked bool
}

func (s *Server) candidate(ctx context.Context, name string) (candidate, error) {
	var c candidate
	err := s.Pool.QueryRow(ctx, `SELECT account_id, password_hash, coalesce(locked_until > clock_timestamp(), false) FROM account WHERE name = $1 AND disabled_at IS NULL`, name).
		Scan(&c.id, &c.phc, &c.locked)
	return c, err
}

// Failures beyond these lock an account for a while, longer each time, at most a quarter of an hour (等保 8.1.4.1 b).
const failuresAllowed = 5

func (s *Server) loginFailed(ctx context.Context, account id.Account) error {
	_, err := s.Pool.Exec(ctx, `UPDATE account SET failures = failures + 1,
		locked_until = CASE WHEN failures + 1 >= $2 THEN clock_timestamp() + least(interval '15 minutes', interval '30 seconds' * 2 ^ least(failures + 1 - $2, 5)) END
		WHERE account_id = $1`, int64(account), failuresAllowed)
	return err
}

// openSession starts a session and returns its token, which is nowhere else. An earlier session of the same browser ends.
func (s *Server) openSession(ctx context.Context, account id.Account, client string, earlier []byte, rehash string) (token string, err error) {
	raw := make([]byte, 32)
	rand.Read(raw)
	csrf := make([]byte, 16)
	rand.Read(csrf)
	token = base64.RawURLEncoding.EncodeToString(raw)
	sum := sha256.Sum256([]byte(token))
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "UPDATE account_session SET ended_at = clock_timestamp() WHERE token_hash = $1 AND ended_at IS NULL", earlier); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE account SET failures = 0, locked_until = NULL, password_hash = coalesce(nullif($2, ''), password_hash) WHERE account_id = $1", int64(account), rehash); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO account_session (token_hash, account_id, csrf, client, expires_at)
			VALUES ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5))`, sum[:], int64(account), base64.RawURLEncoding.EncodeToString(csrf), client, sessionMost.Seconds())
		return err
	})
	return token, err
}

var errNoSession = errors.New("no session")

// session looks a token up, and remembers that it was used.
func (s *Server) session(ctx context.Context, hash []byte) (session, error) {
	v := session{hash: hash}
	a := &v.account
	var roles []string
	err := s.Pool.QueryRow(ctx, `UPDATE account_session x SET seen_at = clock_timestamp()
		FROM account a JOIN org o ON o.org_id = a.org_id LEFT JOIN officer f ON f.officer_id = a.officer_id
		WHERE x.token_hash = $1 AND a.account_id = x.account_id AND a.disabled_at IS NULL AND x.ended_at IS NULL
		  AND x.expires_at > clock_timestamp() AND x.seen_at > clock_timestamp() - make_interval(secs => $2)
		RETURNING x.csrf, x.expires_at, a.account_id, a.name, coalesce(f.name, a.name), o.org_id, o.name, o.short_name,
		  ARRAY(SELECT role FROM account_role r WHERE r.account_id = a.account_id ORDER BY role)`, hash, sessionIdle.Seconds()).
		Scan(&v.csrf, &v.expires, &a.ID, &a.Name, &a.DisplayName, &a.Org, &a.OrgName, &a.OrgShort, &roles)
	if errors.Is(err, pgx.ErrNoRows) {
		return v, errNoSession
	}
	for _, r := range roles {
		a.Roles = append(a.Roles, Role(r))
	}
	return v, err
}

func (s *Server) endSession(ctx context.Context, hash []byte) error {
	_, err := s.Pool.Exec(ctx, "UPDATE account_session SET ended_at = clock_timestamp() WHERE token_hash = $1 AND ended_at IS NULL", hash)
	return err
}

// liveSessions returns which of these sessions still stand: a websocket of one that does not is closed.
func (s *Server) liveSessions(ctx context.Context, hashes [][]byte) (map[string]bool, error) {
	rows, err := s.Pool.Query(ctx, `UPDATE account_session x SET seen_at = clock_timestamp() FROM account a
		WHERE x.token_hash = ANY($1) AND a.account_id = x.account_id AND a.disabled_at IS NULL AND x.ended_at IS NULL AND x.expires_at > clock_timestamp()
		RETURNING x.token_hash`, hashes)
	if err != nil {
		return nil, err
	}
	live := map[string]bool{}
	var h []byte
	_, err = pgx.ForEachRow(rows, []any{&h}, func() error { live[string(h)] = true; return nil })
	return live, err
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
