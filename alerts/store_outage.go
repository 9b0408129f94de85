package alerts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/geofence"
	"zhijiao/internal/id"
)

// outageOf is the outage that goes on in which somebody is listed and was not verified; 0: none.
func outageOf(ctx context.Context, tx pgx.Tx, s id.Subject) (o geofence.OutageID, err error) {
	err = tx.QueryRow(ctx, `SELECT outage_id FROM outage_person JOIN outage o USING (outage_id) WHERE subject_id = $1 AND o.ended_at IS NULL AND verified_how IS DISTINCT FROM 'heard'
		ORDER BY outage_id LIMIT 1`, s).Scan(&o)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look for an outage: %w", err)
	}
	return o, nil
}

var heldKinds = func() (out []string) {
	for k := range catalogue {
		if geofence.Held(k) {
			out = append(out, string(k))
		}
	}
	return out
}()

// holdAlerts puts the reminders of those listed, which nobody has taken charge of, under the incident.
func holdAlerts(ctx context.Context, tx pgx.Tx, b *geofence.OutageBody, _ time.Time) ([]Alert, string, error) {
	rows, err := tx.Query(ctx, `UPDATE alert a SET outage_id = $1, version = version + 1 WHERE subject_id = ANY ($2) AND state = 'open' AND class <> 'alarm'
		AND kind = ANY ($3) AND outage_id IS NULL AND EXISTS (SELECT FROM outage o WHERE o.outage_id = $1 AND o.ended_at IS NULL) RETURNING `+columns,
		b.Outage, b.Subjects, heldKinds)
	return collected(rows, err, "held")
}

// releaseAlerts has those that still stand under an incident that is over come back to the queue, with their time anew.
func releaseAlerts(ctx context.Context, tx pgx.Tx, b *geofence.OutageBody, now time.Time) ([]Alert, string, error) {
	rows, err := tx.Query(ctx, `UPDATE alert a SET outage_id = NULL, version = version + 1, due_at = greatest(due_at, $2::timestamptz + (due_at - raised_at)),
			escalates_at = greatest(escalates_at, $2::timestamptz + (escalates_at - raised_at))
		WHERE outage_id = $1 AND state <> 'closed' RETURNING `+columns, b.Outage, now)
	return collected(rows, err, "released")
}

func collected(rows pgx.Rows, err error, act string) ([]Alert, string, error) {
	if err != nil {
		return nil, act, fmt.Errorf("write alerts: %w", err)
	}
	list, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, act, fmt.Errorf("write alerts: %w", err)
	}
	return list, act, nil
}

// HeldUnder is how many reminders in scope stand under each incident.
func HeldUnder(ctx context.Context, q Querier, scope id.Org) (map[geofence.OutageID]int, error) {
	rows, err := q.Query(ctx, `SELECT outage_id, count(*) FROM alert WHERE outage_id IS NOT NULL AND state <> 'closed' AND org_id IN (SELECT org_subtree($1)) GROUP BY outage_id`, int64(scope))
	if err != nil {
		return nil, fmt.Errorf("count what is held: %w", err)
	}
	out := map[geofence.OutageID]int{}
	var o geofence.OutageID
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&o, &n}, func() error { out[o] = n; return nil }); err != nil {
		return nil, fmt.Errorf("count what is held: %w", err)
	}
	return out, nil
}
