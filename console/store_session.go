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

	"zhijiao/internal/id"
)

// candidate is what login needs of an account.
type candidate struct {
	id  id.Account
	phc string
}

var errNoAccount = errors.New("no such account")

func (s *Server) candidate(ctx context.Context, name string) (candidate, error) {
	var c candidate
	err := s.Pool.QueryRow(ctx, "SELECT account_id, password_hash FROM account WHERE name = $1 AND disabled_at IS NULL", name).Scan(&c.id, &c.phc)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, errNoAccount
	}
	if err != nil {
		return c, fmt.Errorf("read an account: %w", err)
	}
	return c, nil
}

// Failed logins (等保 8.1.4.1 b). Five from one address lock that account for that address alone, so that nobody locks
// another out. Guesses spread over many addresses lock the account for addresses it never was opened from.
const (
	pairFailures    = 5
	accountFailures = 50
	lockFor         = 15 * time.Minute
	knownFor        = 90 * 24 * time.Hour
)

// failureKey is what failures of a name from an address are counted under; address "" is all of them. What was typed as a
// name is often a password: it is not kept.
func failureKey(name, address string) []byte {
	sum := sha256.Sum256([]byte(name + "\x00" + address))
	return sum[:]
}

// locked is for how long a name may not be tried from an address.
func (s *Server) locked(ctx context.Context, name, address string) (time.Duration, error) {
	var seconds float64
	err := s.Pool.QueryRow(ctx, `SELECT coalesce(max(extract(epoch FROM locked_until - clock_timestamp())), 0)::float8 FROM login_failure
		WHERE locked_until > clock_timestamp() AND (key = $1 OR key = $2 AND NOT EXISTS (
			SELECT FROM account_session x JOIN account a USING (account_id)
			WHERE a.name = $3 AND x.client = $4 AND x.created_at > clock_timestamp() - make_interval(secs => $5)))`,
		failureKey(name, address), failureKey(name, ""), name, address, knownFor.Seconds()).Scan(&seconds)
	if err != nil {
		return 0, fmt.Errorf("read failed logins: %w", err)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// loginFailed counts a failure, of a name that exists or not.
func (s *Server) loginFailed(ctx context.Context, name, address string) error {
	_, err := s.Pool.Exec(ctx, `INSERT INTO login_failure AS f (key, failures, last_at)
		SELECT key, 1, clock_timestamp() FROM unnest($1::bytea[]) key ORDER BY key
		ON CONFLICT (key) DO UPDATE SET last_at = excluded.last_at,
			failures = CASE WHEN f.last_at < clock_timestamp() - make_interval(secs => $5) THEN 1 ELSE f.failures + 1 END,
			locked_until = CASE WHEN f.last_at >= clock_timestamp() - make_interval(secs => $5)
				AND f.failures + 1 >= CASE WHEN f.key = $2 THEN $3::int ELSE $4::int END
				THEN clock_timestamp() + make_interval(secs => $5) END`,
		[][]byte{failureKey(name, address), failureKey(name, "")}, failureKey(name, address), pairFailures, accountFailures, lockFor.Seconds())
	if err != nil {
		return fmt.Errorf("count a failed login: %w", err)
	}
	return nil
}

// openSession starts a session and returns its token, which is nowhere else. An earlier session of the same browser ends.
func (s *Server) openSession(ctx context.Context, c candidate, name, client string, earlier []byte, rehash string) (token string, err error) {
	token, csrf := randomToken(32), randomToken(16)
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "UPDATE account_session SET ended_at = clock_timestamp() WHERE token_hash = $1 AND ended_at IS NULL", earlier); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM login_failure WHERE key = $1", failureKey(name, client)); err != nil {
			return err
		}
		if rehash != "" { // unless the password was changed since it was checked
			if _, err := tx.Exec(ctx, "UPDATE account SET password_hash = $2 WHERE account_id = $1 AND password_hash = $3", int64(c.id), rehash, c.phc); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `INSERT INTO account_session (token_hash, account_id, csrf, client, expires_at)
			VALUES ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5))`, sumOf(token), int64(c.id), csrf, client, sessionMost.Seconds())
		return err
	})
	if err != nil {
		return "", fmt.Errorf("open a session: %w", err)
	}
	return token, nil
}

func randomToken(bytes int) string {
	raw := make([]byte, bytes)
	rand.Read(raw) // never fails
	return base64.RawURLEncoding.EncodeToString(raw)
}

func sumOf(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

var errNoSession = errors.New("no session")

// seenEvery is how exactly it is remembered when a session was used last.
const seenEvery = 30 * time.Second

// session looks a token up. touch remembers that a person used it.
func (s *Server) session(ctx context.Context, hash []byte, touch bool) (session, error) {
	v := session{hash: hash}
	a := &v.account
	var roles []string
	var due bool
	err := s.Pool.QueryRow(ctx, `SELECT x.csrf, x.seen_at < clock_timestamp() - make_interval(secs => $2), x.seen_at < clock_timestamp() - make_interval(secs => $3),
			a.account_id, a.name, coalesce(f.name, a.name), o.org_id, o.name, o.short_name,
			ARRAY(SELECT role FROM account_role r WHERE r.account_id = a.account_id ORDER BY role)
		FROM account_session x JOIN account a USING (account_id) JOIN org o ON o.org_id = a.org_id LEFT JOIN officer f ON f.officer_id = a.officer_id
		WHERE x.token_hash = $1 AND a.disabled_at IS NULL AND x.ended_at IS NULL AND x.expires_at > clock_timestamp()`,
		hash, sessionIdle.Seconds(), seenEvery.Seconds()).
		Scan(&v.csrf, &v.idle, &due, &a.ID, &a.Name, &a.DisplayName, &a.Org, &a.OrgName, &a.OrgShort, &roles)
	if errors.Is(err, pgx.ErrNoRows) {
		return v, errNoSession
	}
	if err != nil {
		return v, fmt.Errorf("read a session: %w", err)
	}
	for _, r := range roles {
		a.Roles = append(a.Roles, Role(r))
	}
	if touch && due && !v.idle {
		if _, err := s.Pool.Exec(ctx, "UPDATE account_session SET seen_at = clock_timestamp() WHERE token_hash = $1 AND ended_at IS NULL", hash); err != nil {
			return v, fmt.Errorf("remember that a session was used: %w", err)
		}
	}
	return v, nil
}

func (s *Server) endSession(ctx context.Context, hash []byte) error {
	if _, err := s.Pool.Exec(ctx, "UPDATE account_session SET ended_at = clock_timestamp() WHERE token_hash = $1 AND ended_at IS NULL", hash); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// sweepEvery is how often what is over is thrown away.
const sweepEvery = 10 * time.Minute

// sweep forgets failed logins of yesterday, and sessions that say nothing any more of where an account is known from.
func (s *Server) sweep(ctx context.Context) {
	for _, stale := range []string{
		"DELETE FROM login_failure WHERE last_at < clock_timestamp() - interval '1 day'",
		"DELETE FROM account_session WHERE expires_at < clock_timestamp() - interval '180 days'",
	} {
		if _, err := s.Pool.Exec(ctx, stale); err != nil && ctx.Err() == nil {
			s.Log.Warn("what is over could not be swept", "err", err)
		}
	}
}
