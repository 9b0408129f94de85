package alerts

import (
	"context"

	"github.com/jackc/pgx/v5"

	"zhijiao/geofence"
)

// stageAgain raises a new alert when an episode goes on, and becomes another matter, whose alert was closed as if there were
// nothing to it: a conclusion such as drift was about what was known then. Who is away for a good reason, or is being
// investigated for it, is not told of again.
func stageAgain(ctx context.Context, tx pgx.Tx, s *step) error {
	if s.alert.State != Closed || s.violation.State != geofence.ViolationOpen || s.alert.Conclusion.settles() {
		return nil
	}
	return raiseNew(ctx, tx, s)
}
