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

// heard is the domain time at which any device of the people of each office was last heard. An office whose devices are all
// silent is not told that data is fresh because others' is; nor does the canary count, which is bound to nobody.
func (s *Server) heard(ctx context.Context, q querier, now time.Time) (map[id.Org]time.Time, error) {
	rows, err := q.Query(ctx, `SELECT o.org_id, max(h.heard_at) FROM device_health h
		JOIN binding b ON b.device_id = h.device_id AND upper_inf(b.recorded) AND b.valid @> $1::timestamptz
		JOIN subject_office o ON o.subject_id = b.subject_id AND upper_inf(o.recorded) AND o.valid @> $1::timestamptz
		WHERE h.heard_at IS NOT NULL GROUP BY o.org_id`, now)
	if err != nil {
		return nil, fmt.Errorf("read when data came last: %w", err)
	}
	out := map[id.Org]time.Time{}
	var org id.Org
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&org, &at}, func() error { out[org] = at.UTC(); return nil })
	if err != nil {
		return nil, fmt.Errorf("read when data came last: %w", err)
	}
	return out, nil
}

// newest is the latest of what was heard of the offices somebody may see; zero: never.
func newest(heard map[id.Org]time.Time, orgs map[id.Org]bool) (at time.Time) {
	for org, t := range heard {
		if orgs[org] && t.After(at) {
			at = t
		}
	}
	return at
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
	cover string
	watch bool
}

// liveSessions returns which of these sessions still stand. An open stream keeps no session awake.
func (s *Server) liveSessions(ctx context.Context, hashes [][]byte) (map[string]liveSession, error) {
	rows, err := s.Pool.Query(ctx, `SELECT x.token_hash, a.org_id, `+coversFor+`, coalesce(bool_or(r.role = ANY($3)), false) FROM account_session x
		JOIN account a USING (account_id) LEFT JOIN account_role r USING (account_id)
		WHERE x.token_hash = ANY($1) AND a.disabled_at IS NULL AND x.ended_at IS NULL AND x.expires_at > clock_timestamp()
		GROUP BY x.token_hash, a.account_id, x.seen_at
		HAVING x.seen_at > clock_timestamp() - make_interval(secs => $2) OR coalesce(bool_or(r.role = $4), false)`,
		hashes, sessionIdle.Seconds(), watchRoles(), string(wallRole))
	if err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	live := map[string]liveSession{}
	var hash []byte
	var v liveSession
	if _, err := pgx.ForEachRow(rows, []any{&hash, &v.org, &v.cover, &v.watch}, func() error { live[string(hash)] = v; return nil }); err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	return live, nil
}
