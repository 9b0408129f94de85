package alerts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/geofence"
	"zhijiao/internal/clock"
	"zhijiao/internal/ledger"
)

// Store is alerts for people: what they read and what they do.
type Store struct {
	pool  *pgxpool.Pool
	clock clock.Clock
}

// NewStore returns the alerts of a database.
func NewStore(pool *pgxpool.Pool, c clock.Clock) *Store { return &Store{pool, c} }

// Acknowledge takes charge of an alert (受理). Whoever was second gets a *Conflict that says who was first; the same
// account again changes nothing.
func (s *Store) Acknowledge(ctx context.Context, act Act) (Alert, error) {
	return s.do(ctx, act, "acknowledged", nil, func(a *Alert, now time.Time) (bool, error) {
		switch {
		case a.State == Acknowledged && a.AcknowledgedBy == act.Account:
			return false, nil
		case a.State == Acknowledged:
			return false, &Conflict{a.AcknowledgedBy, a.AcknowledgedAt, a.State, a.Version}
		case a.State == Closed:
			return false, &Conflict{a.ClosedBy, a.ClosedAt, a.State, a.Version}
		}
		a.State, a.AcknowledgedBy, a.AcknowledgedAt = Acknowledged, act.Account, now
		return true, nil
	})
}

// Note adds a note, to a closed alert as well.
func (s *Store) Note(ctx context.Context, act Act, text string) (Alert, error) {
	text, err := tidy(text)
	if err != nil {
		return Alert{}, err
	}
	if text == "" {
		return Alert{}, &FieldError{"text", "required"}
	}
	return s.do(ctx, act, "noted", map[string]string{"text": text}, func(*Alert, time.Time) (bool, error) { return true, nil })
}

// Close ends an alert with a conclusion (办结). Only whoever took charge of it closes it, and only the version they saw.
func (s *Store) Close(ctx context.Context, act Act, c Conclude) (Alert, error) {
	if err := c.check(); err != nil {
		return Alert{}, err
	}
	body := map[string]string{"conclusion": string(c.Conclusion), "text": c.Text}
	if !c.FollowUpOn.IsZero() {
		body["follow_up_on"] = c.FollowUpOn.Format(time.DateOnly)
	}
	return s.do(ctx, act, "closed", body, func(a *Alert, now time.Time) (bool, error) {
		switch {
		case a.State == Closed && a.ClosedBy == act.Account && a.Conclusion == c.Conclusion:
			return false, nil
		case a.State == Closed:
			return false, &Conflict{a.ClosedBy, a.ClosedAt, a.State, a.Version}
		case a.State == Open:
			return false, &FieldError{"state", "not_acknowledged"}
		case a.AcknowledgedBy != act.Account:
			return false, &Conflict{a.AcknowledgedBy, a.AcknowledgedAt, a.State, a.Version}
		case act.Version != 0 && act.Version < a.Version:
			// The machine may have amended it meanwhile, or a colleague noted something: whoever concludes has seen what
			// they conclude on.
			return false, errStale
		case c.Conclusion == Healed && a.ViolationState == geofence.ViolationOpen:
			return false, &FieldError{"conclusion", "still_open"}
		case !c.FollowUpOn.IsZero() && c.FollowUpOn.Format(time.DateOnly) <= now.In(shanghai).Format(time.DateOnly):
			return false, &FieldError{"follow_up_on", "past"}
		}
		a.State, a.ClosedBy, a.ClosedAt, a.Conclusion, a.FollowUpOn = Closed, act.Account, now, c.Conclusion, c.FollowUpOn
		return true, nil
	})
}

// Viewed records that somebody looked at what an alert says of a person, once an hour and account (R107).
func (s *Store) Viewed(ctx context.Context, act Act) error {
	now := s.clock.Now()
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		a, err := s.lock(ctx, tx, act)
		if err != nil {
			return err
		}
		var recent bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM alert_event WHERE alert_id = $1 AND act = 'viewed' AND account_id = $2 AND written_at > clock_timestamp() - interval '1 hour')`,
			int64(a.ID), int64(act.Account)).Scan(&recent); err != nil || recent {
			return err
		}
		return insertEvent(ctx, tx, a.ID, "viewed", act, now, []byte("{}"))
	})
}

func (s *Store) lock(ctx context.Context, tx pgx.Tx, act Act) (*Alert, error) {
	a, err := one(ctx, tx, "SELECT "+columns+" FROM alert a WHERE alert_id = $1 AND org_id IN (SELECT org_subtree($2)) FOR UPDATE", int64(act.Alert), int64(act.Scope))
	if err != nil {
		return nil, fmt.Errorf("lock alert: %w", err)
	}
	if a == nil {
		return nil, ErrNotFound
	}
	return a, nil
}

// errStale says that the alert is not the version the actor saw; do makes a *Conflict of it that says who changed it.
var errStale = errors.New("another version")

// do changes one alert under its lock, with its line of history and its ledger entry. change reports false when there is
// nothing to change.
func (s *Store) do(ctx context.Context, act Act, name string, body any, change func(a *Alert, now time.Time) (bool, error)) (Alert, error) {
	var out Alert
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		a, err := s.lock(ctx, tx, act)
		if err != nil {
			return err
		}
		now := s.clock.Now()
		changed, err := change(a, now)
		out = *a
		if errors.Is(err, errStale) {
			c := &Conflict{State: a.State, Version: a.Version}
			if c.By, c.At, err = lastAct(ctx, tx, a.ID); err != nil {
				return err
			}
			return c
		}
		if err != nil || !changed {
			return err
		}
		if err := bump(ctx, tx, a); err != nil {
			return err
		}
		doc := []byte("{}")
		if body != nil {
			if doc, err = json.Marshal(body); err != nil {
				return err
			}
		}
		if err := insertEvent(ctx, tx, a.ID, name, act, now, doc); err != nil {
			return fmt.Errorf("write history: %w", err)
		}
		out = *a
		e, err := entryOf(a, name, now)
		if err != nil {
			return err
		}
		return ledger.Append(ctx, tx, e)
	})
	return out, err
}
