package supervision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/internal/clock"
	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// Store keeps all of it in the database.
type Store struct {
	pool  *pgxpool.Pool
	clock clock.Clock
	keys  crypto.Provider

	rules   Rules
	daysOff func(context.Context, Querier) (DayOff, error)
}

// NewStore returns the store of a database. keys opens and seals what identifies a person.
func NewStore(pool *pgxpool.Pool, c clock.Clock, keys crypto.Provider) *Store {
	return &Store{pool: pool, clock: c, keys: keys}
}

// Keep has the store tell decisions to who keeps the rules, and count working days by a calendar. Called once, before the store is used.
func (s *Store) Keep(rules Rules, daysOff func(context.Context, Querier) (DayOff, error)) {
	s.rules, s.daysOff = rules, daysOff
}

// Querier is a pool, a connection or a transaction.
type Querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// change runs do in a transaction and appends what it returns to the ledger, last. now is the one domain time of it.
func (s *Store) change(ctx context.Context, what string, do func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error)) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		entries, err := do(tx, s.clock.Now())
		if err != nil {
			return err
		}
		return ledger.Append(ctx, tx, entries...)
	})
	if err == nil {
		return nil
	}
	err = byConstraint(err)
	var refused *FieldError
	if errors.As(err, &refused) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}

// factsChanged locks the subject's state, ends caches of facts about it, and has it judged at once; where the fact reaches
// back before now its past is derived again from there, and what that changes tells who recorded which fact.
func factsChanged(ctx context.Context, tx pgx.Tx, now, since time.Time, entity string, by id.Account, subject id.Subject) error {
	_, err := tx.Exec(ctx, "SELECT facts_changed($1, $2, $3, jsonb_build_object('what', $4::text, 'by', $5::bigint, 'at', $2::timestamptz))",
		[]id.Subject{subject}, now, since, entity, int64(by))
	return err
}

// officeOf is the office that supervises a subject at an instant, as recorded now; the ledger is scoped by it.
func officeOf(ctx context.Context, q Querier, subject id.Subject, at time.Time) (id.Org, error) {
	var org id.Org
	err := q.QueryRow(ctx, `SELECT org_id FROM subject_office WHERE subject_id = $1 AND upper_inf(recorded)
		ORDER BY valid @> $2::timestamptz DESC, lower(valid) DESC LIMIT 1`, subject, at).Scan(&org)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, ErrNotFound
	}
	return org, err
}

// null is nil for a zero value: NULL in the database.
func null[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
