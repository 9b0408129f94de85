package alerts

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// stageAmend folds what the machine found since into the alert of its episode, so that whoever looks at it is told. A
// closed alert takes it too: the record is of the episode, and the conclusion stays a person's.
func stageAmend(ctx context.Context, tx pgx.Tx, s *step) error {
	a, err := lockOfViolation(ctx, tx, s.violation.Violation)
	if err != nil || a == nil {
		return err
	}
	s.alert = a
	a.ViolationState, a.OpenedAt = s.violation.State, s.violation.OpenedAt
	if err := bump(ctx, tx, a); err != nil {
		return err
	}
	return s.record(ctx, tx, "amended", s.violation)
}
