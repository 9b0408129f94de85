package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// Querier is a pool, a connection or a transaction.
type Querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

const columns = `a.alert_id, a.violation_id, a.subject_id, a.org_id, a.kind, a.channel, a.class, a.legal_basis, a.state, a.version,
	a.opened_at, a.raised_at, a.due_at, a.violation_state, a.review, coalesce(a.acknowledged_by, 0), a.acknowledged_at,
	coalesce(a.closed_by, 0), a.closed_at, coalesce(a.conclusion, ''), a.follow_up_on, coalesce(a.outage_id, 0), a.route, a.step, a.escalates_at`

func scan(row pgx.CollectableRow) (a Alert, err error) {
	var acknowledged, closed, followUp, escalates *time.Time
	err = row.Scan(&a.ID, &a.Violation, &a.Subject, &a.Org, &a.Kind, &a.Channel, &a.Class, &a.Basis, &a.State, &a.Version,
		&a.OpenedAt, &a.RaisedAt, &a.DueAt, &a.ViolationState, &a.Review, &a.AcknowledgedBy, &acknowledged,
		&a.ClosedBy, &closed, &a.Conclusion, &followUp, &a.Outage, &a.Route, &a.Step, &escalates)
	for to, from := range map[*time.Time]*time.Time{&a.AcknowledgedAt: acknowledged, &a.ClosedAt: closed, &a.FollowUpOn: followUp, &a.EscalatesAt: escalates} {
		if from != nil {
			*to = from.UTC()
		}
	}
	a.OpenedAt, a.RaisedAt, a.DueAt = a.OpenedAt.UTC(), a.RaisedAt.UTC(), a.DueAt.UTC()
	return a, err
}

func one(ctx context.Context, q Querier, sql string, args ...any) (*Alert, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	a, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &a, nil
}

// handlingOf is the row of the handling table for a violation: valid at t as recorded at t. known is false, and the row
// unknownHandling, where there is none.
func handlingOf(ctx context.Context, q Querier, v *geofence.ViolationBody, t time.Time) (h handling, known bool, err error) {
	return readHandling(ctx, q, v.Kind, v.Channel, t)
}

// handlingAt is handlingOf of an alert.
func handlingAt(ctx context.Context, q Querier, kind geofence.ViolationKind, channel devices.Class, t time.Time) (handling, error) {
	h, _, err := readHandling(ctx, q, kind, channel, t)
	return h, err
}

func readHandling(ctx context.Context, q Querier, kind geofence.ViolationKind, channel devices.Class, t time.Time) (h handling, known bool, err error) {
	var seconds, escalate int
	err = q.QueryRow(ctx, `SELECT class, acknowledge_s, heals, coalesce(escalate_s, acknowledge_s), day, night FROM handling
		WHERE kind = $1 AND channel = $2 AND valid @> $3::timestamptz AND recorded @> $3::timestamptz`,
		string(kind), string(channel), t).Scan(&h.class, &seconds, &h.heals, &escalate, &h.day, &h.night)
	if errors.Is(err, pgx.ErrNoRows) {
		return unknownHandling, false, nil
	}
	if err != nil {
		return h, false, fmt.Errorf("read the handling table: %w", err)
	}
	h.acknowledge, h.escalate = time.Duration(seconds)*time.Second, time.Duration(escalate)*time.Second
	return h, true, nil
}

// allowedClass is the most an alert on a legal basis may be, less where the rule binds only at some times (R17): valid at t as recorded at t; a lead where there is no such basis.
func allowedClass(ctx context.Context, q Querier, basis string, timed bool, t time.Time) (Class, error) {
	c := Lead
	err := q.QueryRow(ctx, "SELECT CASE WHEN $3 THEN timed_class ELSE max_class END FROM legal_basis WHERE code = $1 AND valid @> $2::timestamptz AND recorded @> $2::timestamptz", basis, t, timed).Scan(&c)
	if errors.Is(err, pgx.ErrNoRows) {
		return Lead, nil
	}
	if err != nil {
		return c, fmt.Errorf("read the legal basis: %w", err)
	}
	return c, nil
}

func hasAlert(ctx context.Context, q Querier, v geofence.ViolationID) (has bool, err error) {
	err = q.QueryRow(ctx, "SELECT EXISTS (SELECT FROM alert WHERE violation_id = $1)", int64(v)).Scan(&has)
	return has, err
}

func insertAlert(ctx context.Context, tx pgx.Tx, a *Alert) error {
	return tx.QueryRow(ctx, `INSERT INTO alert (violation_id, subject_id, org_id, kind, channel, class, legal_basis, state, version,
			opened_at, raised_at, due_at, violation_state, review, outage_id, route, step, escalates_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, nullif($15::bigint, 0), $16, $17, $18) RETURNING alert_id`,
		int64(a.Violation), int64(a.Subject), int64(a.Org), string(a.Kind), string(a.Channel), string(a.Class), a.Basis, string(a.State), a.Version,
		a.OpenedAt, a.RaisedAt, a.DueAt, string(a.ViolationState), a.Review, int64(a.Outage), a.Route, a.Step, null(a.EscalatesAt)).Scan(&a.ID)
}

// lockDue locks alerts that nobody took charge of in time, and that stand under no incident.
func lockDue(ctx context.Context, tx pgx.Tx, now time.Time, most int) ([]Alert, error) {
	rows, err := tx.Query(ctx, "SELECT "+columns+" FROM alert a WHERE state = 'open' AND escalates_at <= $1 AND outage_id IS NULL ORDER BY escalates_at, alert_id LIMIT $2 FOR UPDATE SKIP LOCKED", now, most)
	if err != nil {
		return nil, fmt.Errorf("read what is due: %w", err)
	}
	list, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("read what is due: %w", err)
	}
	return list, nil
}

// lockOfViolation locks the newest alert of a violation; nil when it has none.
func lockOfViolation(ctx context.Context, tx pgx.Tx, v geofence.ViolationID) (*Alert, error) {
	return one(ctx, tx, "SELECT "+columns+" FROM alert a WHERE violation_id = $1 ORDER BY alert_id DESC LIMIT 1 FOR UPDATE", int64(v))
}

// bump writes the changing part of a locked alert under its next version.
func bump(ctx context.Context, tx pgx.Tx, a *Alert) error {
	a.Version++
	_, err := tx.Exec(ctx, `UPDATE alert SET state = $2, version = $3, violation_state = $4, acknowledged_by = nullif($5, 0), acknowledged_at = $6,
			closed_by = nullif($7, 0), closed_at = $8, conclusion = nullif($9, ''), follow_up_on = $10, opened_at = $11, step = $12, escalates_at = $13
		WHERE alert_id = $1`, int64(a.ID), string(a.State), a.Version, string(a.ViolationState), int64(a.AcknowledgedBy), null(a.AcknowledgedAt),
		int64(a.ClosedBy), null(a.ClosedAt), string(a.Conclusion), null(a.FollowUpOn), a.OpenedAt, a.Step, null(a.EscalatesAt))
	if err != nil {
		return fmt.Errorf("write alert: %w", err)
	}
	return nil
}

// lastAct is who changed an alert last and when; looking at it changes nothing.
func lastAct(ctx context.Context, q Querier, alert ID) (by id.Account, at time.Time, err error) {
	err = q.QueryRow(ctx, `SELECT coalesce(account_id, 0), at FROM alert_event
		WHERE alert_id = $1 AND act <> 'viewed' ORDER BY seq DESC LIMIT 1`, int64(alert)).Scan(&by, &at)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("read history: %w", err)
	}
	return by, at.UTC(), nil
}

// countOpen counts every alert that is not closed, by class.
func countOpen(ctx context.Context, q Querier) (map[Class]int, error) {
	rows, err := q.Query(ctx, "SELECT class, count(*) FROM alert WHERE state <> 'closed' GROUP BY 1")
	if err != nil {
		return nil, err
	}
	out := map[Class]int{}
	var class Class
	var n int
	_, err = pgx.ForEachRow(rows, []any{&class, &n}, func() error { out[class] = n; return nil })
	return out, err
}

func null(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// insertEvent adds a line to the history of a locked alert.
func insertEvent(ctx context.Context, tx pgx.Tx, alert ID, act string, by Act, at time.Time, body []byte) error {
	_, err := tx.Exec(ctx, `INSERT INTO alert_event (alert_id, seq, act, account_id, at, client, body)
		SELECT $1, coalesce(max(seq), 0) + 1, $2, nullif($3::bigint, 0), $4, $5, $6::jsonb FROM alert_event WHERE alert_id = $1`,
		int64(alert), act, int64(by.Account), at, by.Client, string(body))
	return err
}

func entryOf(a *Alert, act string, at time.Time) (ledger.Entry, error) {
	body, err := json.Marshal(a.body())
	if err != nil {
		return ledger.Entry{}, err
	}
	return ledger.Entry{At: at, Kind: entryPrefix + act, Org: a.Org, Subject: a.Subject, Entity: "alert", EntityID: int64(a.ID), Version: a.Version, Body: body}, nil
}
