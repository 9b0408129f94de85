package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// candidate is what login needs of an account.
type candidate struct {
	id       id.Account
	org      id.Org
	phc      string
	totp     []byte   // sealed; nil: none
	totpStep int64    // the last that was used
	keys     [][]byte // of certificates
}

var errNoAccount = errors.New("no such account")

func (s *Server) candidate(ctx context.Context, name string) (candidate, error) {
	var c candidate
	err := s.Pool.QueryRow(ctx, `SELECT account_id, org_id, password_hash, totp, totp_step,
			ARRAY(SELECT key_sha256 FROM account_certificate k WHERE k.account_id = a.account_id AND k.revoked_at IS NULL)
		FROM account a WHERE name = $1 AND disabled_at IS NULL`, name).Scan(&c.id, &c.org, &c.phc, &c.totp, &c.totpStep, &c.keys)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, errNoAccount
	}
	if err != nil {
		return c, fmt.Errorf("read an account: %w", err)
	}
	return c, nil
}

// candidateOf is candidate for who somebody is at the site's identity provider.
func (s *Server) candidateOf(ctx context.Context, key string) (c candidate, name string, err error) {
	err = s.Pool.QueryRow(ctx, "SELECT name FROM account WHERE single_sign_on = $1 AND disabled_at IS NULL", key).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, "", errNoAccount
	}
	if err != nil {
		return c, "", fmt.Errorf("read an account: %w", err)
	}
	c, err = s.candidate(ctx, name)
	return c, name, err
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

// loginFailed counts a failure, of a name that exists or not. That of an account is written down as well.
func (s *Server) loginFailed(ctx context.Context, c candidate, name, address string) error {
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if err := countFailure(ctx, tx, name, address); err != nil || c.id == 0 {
			return err
		}
		return s.tell(ctx, tx, "session.refused", 0, c.id, c.org, map[string]any{"client": address})
	})
	if err != nil {
		return fmt.Errorf("count a failed login: %w", err)
	}
	return nil
}

func countFailure(ctx context.Context, q querier, name, address string) error {
	_, err := q.Exec(ctx, `INSERT INTO login_failure AS f (key, failures, last_at)
		SELECT key, 1, clock_timestamp() FROM unnest($1::bytea[]) key ORDER BY key
		ON CONFLICT (key) DO UPDATE SET last_at = excluded.last_at,
			failures = CASE WHEN f.last_at < clock_timestamp() - make_interval(secs => $5) THEN 1 ELSE f.failures + 1 END,
			locked_until = CASE WHEN f.last_at >= clock_timestamp() - make_interval(secs => $5)
				AND f.failures + 1 >= CASE WHEN f.key = $2 THEN $3::int ELSE $4::int END
				THEN clock_timestamp() + make_interval(secs => $5) END`,
		[][]byte{failureKey(name, address), failureKey(name, "")}, failureKey(name, address), pairFailures, accountFailures, lockFor.Seconds())
	return err
}

// openSession starts a session and returns its token, which is nowhere else. An earlier session of the same browser ends. A TOTP step is used up.
func (s *Server) openSession(ctx context.Context, c candidate, name, client, factor string, step int64, earlier []byte, rehash string) (token string, err error) {
	token, csrf := randomToken(32), randomToken(16)
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "UPDATE account_session SET ended_at = clock_timestamp() WHERE token_hash = $1 AND ended_at IS NULL", earlier); err != nil {
			return err
		}
		if err := useStep(ctx, tx, c.id, step); err != nil {
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
		if _, err := tx.Exec(ctx, `INSERT INTO account_session (token_hash, account_id, csrf, client, factor, expires_at)
			VALUES ($1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6))`, sumOf(token), int64(c.id), csrf, client, factor, sessionMost.Seconds()); err != nil {
			return err
		}
		return s.tell(ctx, tx, "session.opened", c.id, c.id, c.org, map[string]any{"client": client, "factor": factor})
	})
	if errors.Is(err, errRefused) {
		return "", err
	}
	if err != nil {
		return "", fmt.Errorf("open a session: %w", err)
	}
	return token, nil
}

// useStep makes a TOTP step good no more; errRefused where somebody was quicker.
func useStep(ctx context.Context, tx pgx.Tx, account id.Account, step int64) error {
	if step == 0 {
		return nil
	}
	tag, err := tx.Exec(ctx, "UPDATE account SET totp_step = $2 WHERE account_id = $1 AND totp_step < $2", int64(account), step)
	if err == nil && tag.RowsAffected() == 0 {
		return errRefused
	}
	return err
}

// tell writes in the ledger what somebody did to an account, last in its transaction.
func (s *Server) tell(ctx context.Context, tx pgx.Tx, kind string, by, account id.Account, org id.Org, body map[string]any) error {
	entity, _, _ := strings.Cut(kind, ".")
	return s.tellOf(ctx, tx, kind, entity, int64(account), by, org, 0, body)
}

// tellOf is tell about anything: who did it is always in the body.
func (s *Server) tellOf(ctx context.Context, tx pgx.Tx, kind, entity string, entityID int64, by id.Account, org id.Org, subject id.Subject, body map[string]any) error {
	if body == nil {
		body = map[string]any{}
	}
	body["by"] = int64(by)
	doc, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return ledger.Append(ctx, tx, ledger.Entry{At: s.Clock.Now(), Kind: kind, Org: org, Subject: subject, Entity: entity, EntityID: entityID, Version: 1, Body: doc})
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

// coversFor are the duties an account (a) covers just now, as a text that changes when they do.
const coversFor = `coalesce((SELECT string_agg(c.cover_id::text, ',' ORDER BY c.cover_id) FROM cover_duty c
			WHERE c.account_id = a.account_id AND c.ended_at IS NULL AND c.valid @> clock_timestamp()), '')`

// modeLive is the mode of a deployment with people in it.
const modeLive = "live"

var errNoSession = errors.New("no session")

// seenEvery is how exactly it is remembered when a session was used last.
const seenEvery = 30 * time.Second

// session looks a token up. touch remembers that a person used it.
func (s *Server) session(ctx context.Context, hash []byte, touch bool) (session, error) {
	v := session{hash: hash}
	a := &v.account
	var roles []string
	var due bool
	var stepped, aged float64
	var policy struct {
		profile      *string
		secondFactor *bool
		version      *int
	}
	err := s.Pool.QueryRow(ctx, `SELECT x.csrf, x.seen_at < clock_timestamp() - make_interval(secs => $2), x.seen_at < clock_timestamp() - make_interval(secs => $3),
			a.account_id, a.name, coalesce(f.name, a.name), o.org_id, o.name, o.short_name,
			ARRAY(SELECT role FROM account_role r WHERE r.account_id = a.account_id ORDER BY role),
			`+coversFor+`, x.factor, extract(epoch FROM clock_timestamp() - x.stepped_at)::float8, a.totp IS NOT NULL, a.must_change,
			extract(epoch FROM clock_timestamp() - a.password_set_at)::float8, p.version, p.profile, p.second_factor
		FROM account_session x JOIN account a USING (account_id) JOIN org o ON o.org_id = a.org_id LEFT JOIN officer f ON f.officer_id = a.officer_id
			LEFT JOIN (SELECT * FROM security_policy ORDER BY version DESC LIMIT 1) p ON true
		WHERE x.token_hash = $1 AND a.disabled_at IS NULL AND x.ended_at IS NULL AND x.expires_at > clock_timestamp()`,
		hash, sessionIdle.Seconds(), seenEvery.Seconds()).
		Scan(&v.csrf, &v.idle, &due, &a.ID, &a.Name, &a.DisplayName, &a.Org, &a.OrgName, &a.OrgShort, &roles,
			&a.Cover, &v.factor, &stepped, &a.TOTP, &v.mustChange, &aged, &policy.version, &policy.profile, &policy.secondFactor)
	if errors.Is(err, pgx.ErrNoRows) {
		return v, errNoSession
	}
	if err != nil {
		return v, fmt.Errorf("read a session: %w", err)
	}
	for _, r := range roles {
		a.Roles = append(a.Roles, Role(r))
	}
	if a.Scope = a.Org; a.Cover != "" {
		a.Scope = id.Covering(a.ID)
	}
	v.policy = policyOf(Dengbao3)
	v.policy.SecondFactor = s.Mode == modeLive
	if policy.version != nil {
		v.policy = policyOf(Profile(*policy.profile))
		v.policy.Version, v.policy.SecondFactor = *policy.version, *policy.secondFactor
	}
	v.stepped = time.Duration(stepped * float64(time.Second))
	if v.policy.MaxAge > 0 && aged > v.policy.MaxAge.Seconds() && v.factor != factorSSO {
		v.mustChange = true
	}
	if touch && due && !v.idle {
		if _, err := s.Pool.Exec(ctx, "UPDATE account_session SET seen_at = clock_timestamp() WHERE token_hash = $1 AND ended_at IS NULL", hash); err != nil {
			return v, fmt.Errorf("remember that a session was used: %w", err)
		}
	}
	return v, nil
}

func (s *Server) endSession(ctx context.Context, v *session) error {
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "UPDATE account_session SET ended_at = clock_timestamp() WHERE token_hash = $1 AND ended_at IS NULL", v.hash); err != nil {
			return err
		}
		return s.tell(ctx, tx, "session.ended", v.account.ID, v.account.ID, v.account.Org, nil)
	})
	if err != nil {
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
