package geofence

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/supervision"
)

// trackTables hold where somebody was and what their device said; evidence_pack, what violations rest on, is none of them.
var trackTables = []string{"position", "position_pack", "current_position", "check_in", "check_demand", "state_checkpoint"}

// Erase deletes where a subject was, but for what violations rest on: it keeps supervision's promise that what was kept long enough goes (R113). The
// track around each violation is kept as evidence first.
func (s *Store) Erase(ctx context.Context, tx pgx.Tx, subject id.Subject) (before, after map[string]int64, err error) {
	count := func() (map[string]int64, error) {
		out := map[string]int64{}
		for _, t := range append([]string{"evidence_pack"}, trackTables...) {
			var n int64
			if err := tx.QueryRow(ctx, "SELECT count(*) FROM "+t+" WHERE subject_id = $1", int64(subject)).Scan(&n); err != nil {
				return nil, fmt.Errorf("count %s: %w", t, err)
			}
			out[t] = n
		}
		return out, nil
	}
	if before, err = count(); err != nil {
		return nil, nil, err
	}
	if before["position"] > 0 {
		return nil, nil, supervision.ErrHeld // it is packed first: evidence is kept as packs
	}
	if _, err := tx.Exec(ctx, `WITH v AS (SELECT violation_id, unnest(array[subject_id] || ARRAY(SELECT jsonb_array_elements_text(evidence -> 'opened' -> 'with')::bigint)) AS subject_id,
			opened_at - interval '`+evidenceAround+`' AS since, coalesce(closed_at, 'infinity') + interval '`+evidenceAround+`' AS until FROM violation WHERE state <> 'withdrawn')
		INSERT INTO evidence_pack (violation_id, subject_id, hour, hours, fixes, data) SELECT v.violation_id, k.subject_id, k.hour, k.hours, k.fixes, k.data FROM v JOIN position_pack k USING (subject_id)
		WHERE k.subject_id = $1 AND k.hour < v.until AND k.hour + make_interval(hours => k.hours) > v.since ON CONFLICT DO NOTHING`, int64(subject)); err != nil {
		return nil, nil, fmt.Errorf("keep evidence: %w", err)
	}
	for _, t := range trackTables {
		if _, err := tx.Exec(ctx, "DELETE FROM "+t+" WHERE subject_id = $1", int64(subject)); err != nil {
			return nil, nil, fmt.Errorf("erase %s: %w", t, err)
		}
	}
	after, err = count()
	return before, after, err
}
