// Package facts is what whoever records a fact about a subject does first: lock the subject's state, raise its facts number
// and make it due. From then to commit nobody evaluates that subject, and afterwards nobody evaluates it without the fact.
//
// Lock order, everywhere: devices, then subjects (by id), then the ledger.
package facts

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
)

// Touch locks the state rows of subjects, in order of id, and marks that what is known about them changes. now is domain
// time: the present is judged again at once.
func Touch(ctx context.Context, tx pgx.Tx, now time.Time, subjects ...id.Subject) error {
	if len(subjects) == 0 {
		return nil
	}
	ids := make([]int64, len(subjects))
	for i, s := range subjects {
		ids[i] = int64(s)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if _, err := tx.Exec(ctx, `INSERT INTO subject_state (subject_id) SELECT s FROM unnest($1::bigint[]) s
		WHERE NOT EXISTS (SELECT FROM subject_state WHERE subject_id = s) ORDER BY s ON CONFLICT DO NOTHING`, ids); err != nil {
		return fmt.Errorf("make subject state: %w", err)
	}
	if _, err := tx.Exec(ctx, "SELECT FROM subject_state WHERE subject_id = ANY($1) ORDER BY subject_id FOR UPDATE", ids); err != nil {
		return fmt.Errorf("lock subject state: %w", err)
	}
	if _, err := tx.Exec(ctx, `UPDATE subject_state SET facts = facts + 1, next_due = least(next_due, $2)
		WHERE subject_id = ANY($1)`, ids, now); err != nil {
		return fmt.Errorf("raise facts: %w", err)
	}
	return nil
}
