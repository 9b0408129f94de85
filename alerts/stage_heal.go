package alerts

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// stageHeal closes by itself (自行恢复) a reminder whose cause ended, that policy lets heal, and that nobody has taken
// charge of.
func stageHeal(ctx context.Context, tx pgx.Tx, s *step) error {
	h, _, err := handlingOf(ctx, tx, s.violation, s.alert.RaisedAt)
	if err != nil || !healsNow(s.alert, h) {
		return err
	}
	s.alert.State, s.alert.Conclusion, s.alert.ClosedAt = Closed, Healed, s.now
	if err := bump(ctx, tx, s.alert); err != nil {
		return err
	}
	return s.record(ctx, tx, "healed", nil)
}
