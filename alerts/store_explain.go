package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"zhijiao/geofence"
)

// LoadExplaining reads what Explain tells of a violation; the label is the caller's, who has seen that it is in scope.
// ErrNotFound says that there is no such violation.
func LoadExplaining(ctx context.Context, q Querier, violation geofence.ViolationID, label string) (*Explaining, error) {
	list, err := geofence.ViolationsByID(ctx, q, []geofence.ViolationID{violation})
	if err != nil {
		return nil, err
	}
	v, ok := list[violation]
	if !ok {
		return nil, ErrNotFound
	}
	x := &Explaining{Label: label, Engine: v.Engine, Body: v.ViolationBody}
	if err := json.Unmarshal(v.Evidence, &x.History); err != nil {
		return nil, fmt.Errorf("evidence of violation %d: %w", violation, err)
	}
	x.Body.Timed = false
	err = q.QueryRow(ctx, `SELECT coalesce((SELECT name FROM zone WHERE zone_id = nullif($1::bigint, 0)), ''),
		coalesce((SELECT schedule_id IS NOT NULL FROM rule WHERE rule_id = $2 AND version = $3), false)`, v.Zone, v.Rule, v.RuleVersion).Scan(&x.Zone, &x.Body.Timed)
	if err != nil {
		return nil, fmt.Errorf("read the rule of violation %d: %w", violation, err)
	}
	err = q.QueryRow(ctx, `SELECT title, title_en FROM legal_basis WHERE code = $1
		ORDER BY recorded @> $2::timestamptz DESC, valid @> $2::timestamptz DESC LIMIT 1`,
		x.History.Opened.Basis, v.DecidedAt).Scan(&x.Basis.ZH, &x.Basis.EN)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("read the legal basis of violation %d: %w", violation, err)
	}
	return x, nil
}
