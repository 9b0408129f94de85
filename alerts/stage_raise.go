package alerts

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/geofence"
)

// stageRaise opens the alert of an episode, unless it has one: reading an entry again changes nothing.
func stageRaise(ctx context.Context, tx pgx.Tx, s *step) error {
	v := s.violation
	if has, err := hasAlert(ctx, tx, v.Violation); err != nil || has {
		return err
	}
	return raiseNew(ctx, tx, s)
}

// raiseNew opens an alert of the step's violation.
func raiseNew(ctx context.Context, tx pgx.Tx, s *step) error {
	v := s.violation
	h, known, err := handlingOf(ctx, tx, v, s.now)
	if err != nil {
		return err
	}
	if !known {
		s.log.Warn("the handling table says nothing of a violation", "violation_id", v.Violation, "kind", string(v.Kind), "channel", string(v.Channel))
	}
	allowed, err := allowedClass(ctx, tx, v.Basis, v.Timed, s.now)
	if err != nil {
		return err
	}
	calendar, err := geofence.LoadCalendar(ctx, tx, time.Time{})
	if err != nil {
		return err
	}
	a := raise(v, h, allowed, s.now, calendar.Off)
	if err := underOutage(ctx, tx, &a); err != nil {
		return err
	}
	if err := insertAlert(ctx, tx, &a); err != nil {
		return err
	}
	s.alert = &a
	s.raised = append(s.raised, raised{class: a.Class, kind: a.Kind, takenIn: v.TakenInAt, unhandled: !known})
	return s.record(ctx, tx, "raised", v)
}
