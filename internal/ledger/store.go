package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Querier is a pool, a connection or a transaction.
type Querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// appended is an entry as the SQL function ledger_append reads it: absent where the column is to be NULL.
type appended struct {
	At       time.Time       `json:"at"`
	Kind     string          `json:"kind"`
	Org      *int64          `json:"org_id,omitempty"`
	Subject  *int64          `json:"subject_id,omitempty"`
	Entity   string          `json:"entity"`
	EntityID int64           `json:"entity_id"`
	Version  int             `json:"version"`
	Body     json.RawMessage `json:"body,omitempty"`
}

// Append writes entries to the ledger. It must be the last statement of its transaction: from here to commit nobody
// else can append. Without entries it does nothing and takes no lock.
func Append(ctx context.Context, tx pgx.Tx, entries ...Entry) error {
	if len(entries) == 0 {
		return nil
	}
	rows := make([]appended, len(entries))
	for i, e := range entries {
		rows[i] = appended{At: e.At, Kind: e.Kind, Entity: e.Entity, EntityID: e.EntityID, Version: e.Version, Body: e.Body}
		if v := int64(e.Org); v != 0 {
			rows[i].Org = &v
		}
		if v := int64(e.Subject); v != 0 {
			rows[i].Subject = &v
		}
	}
	doc, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("append to the ledger: %w", err)
	}
	if _, err := tx.Exec(ctx, "SELECT ledger_append($1::jsonb)", string(doc)); err != nil {
		return fmt.Errorf("append to the ledger: %w", err)
	}
	return nil
}

// Read returns up to limit entries after pos, in order of pos.
func Read(ctx context.Context, q Querier, after int64, limit int) ([]Entry, error) {
	rows, err := q.Query(ctx, `SELECT pos, at, kind, coalesce(org_id, 0), coalesce(subject_id, 0), entity, entity_id, version, body, written_at
		FROM ledger WHERE pos > $1 ORDER BY pos LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Entry, error) {
		var e Entry
		err := row.Scan(&e.Pos, &e.At, &e.Kind, &e.Org, &e.Subject, &e.Entity, &e.EntityID, &e.Version, &e.Body, &e.WrittenAt)
		e.At = e.At.UTC()
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return entries, nil
}

// Head is the position of the newest entry; 0 when there is none.
func Head(ctx context.Context, q Querier) (int64, error) {
	var pos int64
	if err := q.QueryRow(ctx, "SELECT coalesce(max(pos), 0) FROM ledger").Scan(&pos); err != nil {
		return 0, fmt.Errorf("read the head of the ledger: %w", err)
	}
	return pos, nil
}

// lag is how far a reader at pos is behind: positions not yet read, and since when the oldest of them waits. Positions are
// counted and not rows, so that asking costs the same however far behind it is; at 0 nothing waits.
func lag(ctx context.Context, q Querier, pos int64) (n int64, since time.Duration, err error) {
	var seconds float64
	err = q.QueryRow(ctx, `SELECT greatest(coalesce((SELECT max(pos) FROM ledger), 0) - $1, 0),
		greatest(coalesce(extract(epoch FROM clock_timestamp() - (SELECT written_at FROM ledger WHERE pos > $1 ORDER BY pos LIMIT 1)), 0), 0)::float8`,
		pos).Scan(&n, &seconds)
	return n, time.Duration(seconds * float64(time.Second)), err
}

// lockCursor locks the cursor of a durable reader until the transaction ends and returns it. ok is false when another
// process holds it.
func lockCursor(ctx context.Context, tx pgx.Tx, reader string) (pos int64, ok bool, err error) {
	err = tx.QueryRow(ctx, "SELECT pos FROM ledger_cursor WHERE reader = $1 FOR UPDATE SKIP LOCKED", reader).Scan(&pos)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	return pos, err == nil, err
}

// makeCursor makes the cursor of a reader that has none, at the beginning. It looks first: an insert would wait for
// whoever is moving the cursor.
func makeCursor(ctx context.Context, q Querier, reader string) error {
	_, err := q.Exec(ctx, `INSERT INTO ledger_cursor (reader) SELECT $1
		WHERE NOT EXISTS (SELECT FROM ledger_cursor WHERE reader = $1) ON CONFLICT DO NOTHING`, reader)
	return err
}

func moveCursor(ctx context.Context, tx pgx.Tx, reader string, pos int64) error {
	_, err := tx.Exec(ctx, "UPDATE ledger_cursor SET pos = $2, moved_at = clock_timestamp() WHERE reader = $1", reader, pos)
	return err
}

// CursorOf is where a durable reader has got to; 0 when it never read.
func CursorOf(ctx context.Context, q Querier, reader string) (int64, error) {
	var pos int64
	err := q.QueryRow(ctx, "SELECT pos FROM ledger_cursor WHERE reader = $1", reader).Scan(&pos)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return pos, err
}
