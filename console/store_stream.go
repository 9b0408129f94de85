package console

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/alerts"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// offices tells which office supervises each subject at now, for all the process streams to; each client is told of its
// own organisation alone.
func (s *Server) offices(ctx context.Context, q querier, now time.Time) (map[id.Subject]id.Org, error) {
	rows, err := q.Query(ctx, "SELECT subject_id, org_id FROM subject_office WHERE upper_inf(recorded) AND valid @> $1::timestamptz", now)
	if err != nil {
		return nil, fmt.Errorf("read offices: %w", err)
	}
	out := map[id.Subject]id.Org{}
	var subject id.Subject
	var org id.Org
	if _, err := pgx.ForEachRow(rows, []any{&subject, &org}, func() error { out[subject] = org; return nil }); err != nil {
		return nil, fmt.Errorf("read offices: %w", err)
	}
	return out, nil
}

// orgSet is an organisation and everything under it.
func (s *Server) orgSet(ctx context.Context, root id.Org) (map[id.Org]bool, error) {
	rows, err := s.Pool.Query(ctx, "SELECT org_subtree($1)", int64(root))
	if err != nil {
		return nil, fmt.Errorf("read the organisation: %w", err)
	}
	out := map[id.Org]bool{}
	var org id.Org
	if _, err := pgx.ForEachRow(rows, []any{&org}, func() error { out[org] = true; return nil }); err != nil {
		return nil, fmt.Errorf("read the organisation: %w", err)
	}
	return out, nil
}

// dataAt is the domain time at which any device of a person was last heard; zero: never. The canary speaks all the time and
// does not count: that our own path works says nothing of the people's devices.
func (s *Server) dataAt(ctx context.Context, q querier) (time.Time, error) {
	var at *time.Time
	if err := q.QueryRow(ctx, "SELECT max(heard_at) FROM device_health JOIN device USING (device_id) WHERE model <> 'canary'").Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("read when data came last: %w", err)
	}
	if at == nil {
		return time.Time{}, nil
	}
	return at.UTC(), nil
}

// lag is the age of the oldest ledger entry that the alerts, or this process's streams (told up to pos), have not taken in.
func (s *Server) lag(ctx context.Context, q querier, pos int64) (time.Duration, error) {
	raised, err := ledger.CursorOf(ctx, q, alerts.ReaderName)
	if err != nil {
		return 0, fmt.Errorf("read the lag: %w", err)
	}
	var seconds float64
	err = q.QueryRow(ctx, `SELECT coalesce((SELECT extract(epoch FROM clock_timestamp() - written_at) FROM ledger WHERE pos > $1 ORDER BY pos LIMIT 1), 0)::float8`,
		min(pos, raised)).Scan(&seconds)
	if err != nil {
		return 0, fmt.Errorf("read the lag: %w", err)
	}
	return max(0, time.Duration(seconds*float64(time.Second))), nil
}

// liveSession is what may change of a session while its websocket is open.
type liveSession struct {
	org   id.Org
	cases bool
}

// liveSessions returns which of these sessions still stand. An open stream keeps no session awake.
func (s *Server) liveSessions(ctx context.Context, hashes [][]byte) (map[string]liveSession, error) {
	rows, err := s.Pool.Query(ctx, `SELECT x.token_hash, a.org_id, coalesce(bool_or(r.role = ANY($3)), false) FROM account_session x
		JOIN account a USING (account_id) LEFT JOIN account_role r USING (account_id)
		WHERE x.token_hash = ANY($1) AND a.disabled_at IS NULL AND x.ended_at IS NULL AND x.expires_at > clock_timestamp()
		GROUP BY x.token_hash, a.org_id, x.seen_at
		HAVING x.seen_at > clock_timestamp() - make_interval(secs => $2) OR coalesce(bool_or(r.role = $4), false)`,
		hashes, sessionIdle.Seconds(), roleNames(caseRoles), string(wallRole))
	if err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	live := map[string]liveSession{}
	var hash []byte
	var v liveSession
	if _, err := pgx.ForEachRow(rows, []any{&hash, &v.org, &v.cases}, func() error { live[string(hash)] = v; return nil }); err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	return live, nil
}
