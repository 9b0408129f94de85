package alerts

import (
	"context"

	"github.com/jackc/pgx/v5"

	"zhijiao/geofence"
)

// stageEnd records that the condition ended, or that the machine takes back what it said. The alert stays what it is:
// ended or withdrawn, it waits for a person's conclusion.
func stageEnd(ctx context.Context, tx pgx.Tx, s *step) error {
	a, err := lockOfViolation(ctx, tx, s.violation.Violation)
	if err != nil || a == nil {
		return err
	}
	s.alert = a
	a.ViolationState = s.violation.State
	if err := bump(ctx, tx, a); err != nil {
		return err
	}
	act := "violation_closed"
	if s.violation.State == geofence.ViolationWithdrawn {
		act = "withdrawn"
	}
	return s.record(ctx, tx, act, s.violation)
}
