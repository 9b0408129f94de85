package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
)

// stepped remembers that whoever has a session proved who they are just now.
func (s *Server) stepped(ctx context.Context, v *session, step int64, client string) error {
	err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if err := useStep(ctx, tx, v.account.ID, step); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE account_session SET stepped_at = clock_timestamp() WHERE token_hash = $1", v.hash); err != nil {
			return err
		}
		return s.tell(ctx, tx, "session.proved", v.account.ID, v.account.ID, v.account.Org, map[string]any{"client": client})
	})
	if errors.Is(err, errRefused) {
		return problem{http.StatusForbidden, "not_you", "", nil}
	}
	if err != nil {
		return fmt.Errorf("remember who sits there: %w", err)
	}
	return nil
}

// putPassword replaces a password. It may be none of those the account had lately.
func (s *Server) putPassword(ctx context.Context, v *session, c candidate, password string) error {
	rows, err := s.Pool.Query(ctx, "SELECT password_hash FROM password_history WHERE account_id = $1 ORDER BY until DESC LIMIT $2", int64(c.id), v.policy.History-1)
	if err != nil {
		return fmt.Errorf("read earlier passwords: %w", err)
	}
	earlier, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("read earlier passwords: %w", err)
	}
	for _, phc := range append(earlier, c.phc) {
		same, _, err := s.hasher.check(ctx, password, phc)
		if err != nil {
			return err
		}
		if same {
			return problem{http.StatusUnprocessableEntity, "password_used_before", "new", map[string]any{"last": v.policy.History}}
		}
	}
	phc, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE account SET password_hash = $2, password_set_at = clock_timestamp(), must_change = false WHERE account_id = $1 AND password_hash = $3`, int64(c.id), phc, c.phc)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return problem{http.StatusConflict, "changed", "", nil}
		}
		if _, err := tx.Exec(ctx, "INSERT INTO password_history (account_id, password_hash) VALUES ($1, $2)", int64(c.id), c.phc); err != nil {
			return err
		}
		if _, err := endSessions(ctx, tx, c.id, v.hash); err != nil {
			return err
		}
		return s.tell(ctx, tx, "account.password_changed", c.id, c.id, v.account.Org, nil)
	})
	if err != nil {
		return fmt.Errorf("change a password: %w", err)
	}
	return nil
}

// putTOTP keeps a sealed secret, and ends all other sessions.
func (s *Server) putTOTP(ctx context.Context, v *session, sealed []byte) (c candidate, err error) {
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "UPDATE account SET totp = $2, totp_step = 0 WHERE account_id = $1", int64(v.account.ID), sealed); err != nil {
			return err
		}
		if _, err := endSessions(ctx, tx, v.account.ID, v.hash); err != nil {
			return err
		}
		return s.tell(ctx, tx, "account.second_factor_set", v.account.ID, v.account.ID, v.account.Org, nil)
	})
	if err != nil {
		return c, fmt.Errorf("keep a second factor: %w", err)
	}
	return s.candidate(ctx, v.account.Name)
}

// endSessions ends the sessions of an account but one, and returns which.
func endSessions(ctx context.Context, q querier, account id.Account, but []byte) ([][]byte, error) {
	rows, err := q.Query(ctx, "UPDATE account_session SET ended_at = clock_timestamp() WHERE account_id = $1 AND ended_at IS NULL AND token_hash IS DISTINCT FROM $2 RETURNING token_hash", int64(account), but)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[[]byte])
}

func (s *Server) endSessionsOf(ctx context.Context, by, account id.Account, org id.Org, but []byte) (ended [][]byte, err error) {
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if ended, err = endSessions(ctx, tx, account, but); err != nil {
			return err
		}
		return s.tell(ctx, tx, "account.sessions_ended", by, account, org, map[string]any{"sessions": len(ended)})
	})
	if err != nil {
		return nil, fmt.Errorf("end sessions: %w", err)
	}
	return ended, nil
}

type sessionRow struct {
	This      bool      `json:"this"`
	Client    string    `json:"client"`
	Factor    string    `json:"factor"`
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at"`
}

// sessionsOf are the sessions of an account that are open.
func (s *Server) sessionsOf(ctx context.Context, v *session) ([]sessionRow, error) {
	rows, err := s.Pool.Query(ctx, `SELECT token_hash = $2, client, factor, created_at, seen_at FROM account_session
		WHERE account_id = $1 AND ended_at IS NULL AND expires_at > clock_timestamp() ORDER BY seen_at DESC LIMIT 100`, int64(v.account.ID), v.hash)
	if err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[sessionRow])
	if err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	return append([]sessionRow{}, list...), nil
}
