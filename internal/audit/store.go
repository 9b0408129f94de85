package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/internal/crypto"
)

const (
	// Every is how often what was written is sealed.
	Every = time.Minute
	// heartbeat is how often a seal is made even though nothing was written.
	heartbeat = time.Hour
	// atOnce is how many rows a seal holds at most.
	atOnce = 50_000
	// lock keeps two processes from sealing at once: 'zjau'.
	lock = 0x7a6a6175
)

// Sealer seals the ledger.
type Sealer struct {
	Pool   *pgxpool.Pool
	Key    crypto.Signer
	Anchor string // file on another path than the database's
	Log    *slog.Logger
}

// Run seals every minute until ctx ends.
func (s *Sealer) Run(ctx context.Context) error {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		if err := s.Seal(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("the ledger was not sealed, it will be tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Seal seals everything that is written and not sealed, and copies seals to the file that are not there yet.
func (s *Sealer) Seal(ctx context.Context) error {
	for {
		more, err := s.sealOnce(ctx)
		if err != nil || !more {
			return err
		}
	}
}

func (s *Sealer) sealOnce(ctx context.Context) (more bool, err error) {
	var sealed *Seal
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		var mine bool
		if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1, 'audit_seal'::regclass::oid::int)", lock).Scan(&mine); err != nil || !mine {
			return err
		}
		prev, err := lastSeal(ctx, tx)
		if err != nil {
			return err
		}
		after := int64(0)
		if err := tx.QueryRow(ctx, "SELECT coalesce(max(positions[cardinality(positions)]), 0) FROM audit_seal").Scan(&after); err != nil {
			return err
		}
		// Whoever appends to the ledger holds its lock until commit: a row that is seen has all before it.
		rows, err := readRows(ctx, tx, after, 0, atOnce)
		if err != nil {
			return err
		}
		var now time.Time
		if err := tx.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&now); err != nil {
			return err
		}
		if len(rows) == 0 && prev != nil && now.Sub(prev.At) < heartbeat {
			return nil
		}
		more = len(rows) == atOnce
		if sealed, err = sealRows(prev, now, rows, s.Key); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO audit_seal (n, algorithm, at, positions, leaves, root, prev, hash, signature) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			sealed.N, sealed.Algorithm, sealed.At, sealed.Positions, sealed.Leaves, sealed.Root, sealed.Prev, sealed.Hash, sealed.Signature)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("seal the ledger: %w", err)
	}
	return more, s.copyOut(ctx, sealed)
}

// copyOut appends to the file what it does not have.
func (s *Sealer) copyOut(ctx context.Context, sealed *Seal) error {
	if s.Anchor == "" || sealed == nil {
		return nil
	}
	have, err := readAnchor(s.Anchor)
	if err != nil {
		return err
	}
	if _, ok := have[sealed.N-1]; ok || sealed.N == 1 {
		return appendAnchor(s.Anchor, sealed)
	}
	rows, err := s.Pool.Query(ctx, sealColumns+" ORDER BY n")
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, scanSeal)
	if err != nil {
		return err
	}
	var missing []*Seal
	for i := range all {
		if _, ok := have[all[i].N]; !ok {
			missing = append(missing, &all[i])
		}
	}
	return appendAnchor(s.Anchor, missing...)
}

const sealColumns = "SELECT n, algorithm, at, positions, leaves, root, prev, hash, signature FROM audit_seal"

func scanSeal(row pgx.CollectableRow) (s Seal, err error) {
	err = row.Scan(&s.N, &s.Algorithm, &s.At, &s.Positions, &s.Leaves, &s.Root, &s.Prev, &s.Hash, &s.Signature)
	return s, err
}

func lastSeal(ctx context.Context, tx pgx.Tx) (*Seal, error) {
	rows, err := tx.Query(ctx, sealColumns+" ORDER BY n DESC LIMIT 1")
	if err != nil {
		return nil, err
	}
	s, err := pgx.CollectExactlyOneRow(rows, scanSeal)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &s, err
}

// readRows are rows of the ledger after a position, up to another (0: all), at most so many (0: all).
func readRows(ctx context.Context, tx pgx.Tx, after, to int64, limit int) ([]Row, error) {
	rows, err := tx.Query(ctx, rowColumns+`
		WHERE pos > $1 AND ($2 = 0 OR pos <= $2) ORDER BY pos LIMIT nullif($3, 0)`, after, to, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanRow)
}

const rowColumns = "SELECT pos, at, written_at, kind, coalesce(org_id, -1), coalesce(subject_id, -1), entity, entity_id, version, body::text FROM ledger"

func scanRow(row pgx.CollectableRow) (r Row, err error) {
	err = row.Scan(&r.Pos, &r.At, &r.WrittenAt, &r.Kind, &r.Org, &r.Subject, &r.Entity, &r.EntityID, &r.Version, &r.Body)
	r.At, r.WrittenAt = r.At.UTC(), r.WrittenAt.UTC()
	return r, err
}

// Verify compares the ledger with its seals, the seals with one another and with the copy outside of the database. progress is told of rows; it
// may be nil.
func Verify(ctx context.Context, pool *pgxpool.Pool, keys []crypto.Public, anchor string, progress func(rows int64)) (Report, error) {
	v := verifier{keys: keys}
	var err error
	if anchor != "" {
		if v.anchor, err = readAnchor(anchor); err != nil {
			return v.report, err
		}
	}
	err = pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		after, n := int64(0), int64(0)
		for {
			rows, err := tx.Query(ctx, sealColumns+" WHERE n > $1 ORDER BY n LIMIT 100", n)
			if err != nil {
				return err
			}
			seals, err := pgx.CollectRows(rows, scanSeal)
			if err != nil {
				return err
			}
			for i := range seals {
				s := &seals[i]
				v.seal(s)
				n = s.N
				to := after
				if len(s.Positions) > 0 {
					to = max(after, s.Positions[len(s.Positions)-1])
				}
				if to > after {
					found, err := readRows(ctx, tx, after, to, 0)
					if err != nil {
						return err
					}
					v.rows(s, found)
					after = to
				}
				if progress != nil {
					progress(v.report.Rows)
				}
			}
			if len(seals) == 0 {
				break
			}
		}
		var now time.Time
		if err := tx.QueryRow(ctx, "SELECT count(*), clock_timestamp() FROM ledger WHERE pos > $1", after).Scan(&v.report.Unsealed, &now); err != nil {
			return err
		}
		v.end(now)
		return nil
	})
	if err != nil {
		return v.report, fmt.Errorf("verify the audit: %w", err)
	}
	return v.report, nil
}
