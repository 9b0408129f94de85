package alerts

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
)

// Filter says which alerts to list. Zero fields filter nothing.
type Filter struct {
	State  State // Open means not closed
	Class  Class
	Org    id.Org // and those under it
	Before ID     // alerts raised before this one: the cursor
	Limit  int    // default 50, at most 500
}

// List returns alerts in the scope, newest first.
func (s *Store) List(ctx context.Context, q Querier, scope id.Org, f Filter) ([]Alert, error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	rows, err := q.Query(ctx, "SELECT "+columns+` FROM alert a WHERE org_id IN (SELECT org_subtree($1))
		AND ($2 = '' OR $2 = 'open' AND state <> 'closed' OR state = $2) AND ($3 = '' OR class = $3)
		AND ($4 = 0 OR org_id IN (SELECT org_subtree($4)))
		AND ($5 = 0 OR (raised_at, alert_id) < (SELECT b.raised_at, b.alert_id FROM alert b WHERE b.alert_id = $5))
		ORDER BY raised_at DESC, alert_id DESC LIMIT $6`,
		int64(scope), string(f.State), string(f.Class), int64(f.Org), int64(f.Before), min(f.Limit, 500))
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	out, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	return out, nil
}

// NotClosed returns every alert in the scope that is not closed, the most pressing first.
func (s *Store) NotClosed(ctx context.Context, q Querier, scope id.Org) ([]Alert, error) {
	rows, err := q.Query(ctx, "SELECT "+columns+" FROM alert a WHERE state <> 'closed' AND org_id IN (SELECT org_subtree($1)) ORDER BY due_at, alert_id", int64(scope))
	if err != nil {
		return nil, fmt.Errorf("list open alerts: %w", err)
	}
	out, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("list open alerts: %w", err)
	}
	return out, nil
}

// Get returns one alert in the scope.
func (s *Store) Get(ctx context.Context, q Querier, scope id.Org, alert ID) (Alert, error) {
	a, err := one(ctx, q, "SELECT "+columns+" FROM alert a WHERE alert_id = $1 AND org_id IN (SELECT org_subtree($2))", int64(alert), int64(scope))
	if err != nil {
		return Alert{}, fmt.Errorf("read alert: %w", err)
	}
	if a == nil {
		return Alert{}, ErrNotFound
	}
	return *a, nil
}

// Every returns alerts by id, whoever may see them: the caller bounds what it hands on by their Org.
func (s *Store) Every(ctx context.Context, q Querier, ids []ID) ([]Alert, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	raw := make([]int64, len(ids))
	for i, v := range ids {
		raw[i] = int64(v)
	}
	rows, err := q.Query(ctx, "SELECT "+columns+" FROM alert a WHERE alert_id = ANY($1) ORDER BY alert_id", raw)
	if err != nil {
		return nil, fmt.Errorf("read alerts: %w", err)
	}
	return pgx.CollectRows(rows, scan)
}

// GetMany returns some alerts by id; those out of scope are left out.
func (s *Store) GetMany(ctx context.Context, q Querier, scope id.Org, ids []ID) (map[ID]Alert, error) {
	raw := make([]int64, len(ids))
	for i, v := range ids {
		raw[i] = int64(v)
	}
	rows, err := q.Query(ctx, "SELECT "+columns+" FROM alert a WHERE alert_id = ANY($1) AND org_id IN (SELECT org_subtree($2))", raw, int64(scope))
	if err != nil {
		return nil, fmt.Errorf("read alerts: %w", err)
	}
	list, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("read alerts: %w", err)
	}
	out := make(map[ID]Alert, len(list))
	for _, a := range list {
		out[a.ID] = a
	}
	return out, nil
}

// History returns the lines of an alert's history in order. The caller has seen that the alert is in scope.
func (s *Store) History(ctx context.Context, q Querier, alert ID) ([]Event, error) {
	rows, err := q.Query(ctx, "SELECT seq, act, coalesce(account_id, 0), at, written_at, client, body FROM alert_event WHERE alert_id = $1 ORDER BY seq", int64(alert))
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Event, error) {
		var e Event
		err := r.Scan(&e.Seq, &e.Act, &e.Account, &e.At, &e.WrittenAt, &e.Client, &e.Body)
		e.At, e.WrittenAt = e.At.UTC(), e.WrittenAt.UTC()
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return out, nil
}

// Counts is how many alerts are not closed, by class and by office.
type Counts struct {
	ByClass map[Class]int
	ByOrg   map[id.Org]int
}

// OpenCounts counts what is not closed in the scope, and does not stand under an incident.
func (s *Store) OpenCounts(ctx context.Context, q Querier, scope id.Org) (Counts, error) {
	c := Counts{map[Class]int{}, map[id.Org]int{}}
	rows, err := q.Query(ctx, "SELECT class, org_id, count(*) FROM alert WHERE state <> 'closed' AND outage_id IS NULL AND org_id IN (SELECT org_subtree($1)) GROUP BY 1, 2", int64(scope))
	if err != nil {
		return c, fmt.Errorf("count open alerts: %w", err)
	}
	var class Class
	var org id.Org
	var n int
	_, err = pgx.ForEachRow(rows, []any{&class, &org, &n}, func() error { c.ByClass[class] += n; c.ByOrg[org] += n; return nil })
	if err != nil {
		return c, fmt.Errorf("count open alerts: %w", err)
	}
	return c, nil
}

// RaisedByHour counts the alerts raised in each of the 24 hours before now, the oldest first.
func (s *Store) RaisedByHour(ctx context.Context, q Querier, scope id.Org, now time.Time) ([24]int, error) {
	var out [24]int
	rows, err := q.Query(ctx, `SELECT 23 - floor(extract(epoch FROM $2::timestamptz - raised_at) / 3600)::int, count(*) FROM alert
		WHERE raised_at > $2::timestamptz - interval '24 hours' AND raised_at <= $2 AND org_id IN (SELECT org_subtree($1)) GROUP BY 1`, int64(scope), now)
	if err != nil {
		return out, fmt.Errorf("count raised alerts: %w", err)
	}
	var h, n int
	_, err = pgx.ForEachRow(rows, []any{&h, &n}, func() error {
		if h >= 0 && h < 24 {
			out[h] = n
		}
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("count raised alerts: %w", err)
	}
	return out, nil
}
