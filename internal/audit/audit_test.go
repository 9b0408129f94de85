package audit_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/internal/audit"
	"zhijiao/internal/crypto"
	"zhijiao/internal/ledger"
	"zhijiao/internal/pgtest"
)

// book is a ledger that is sealed.
type book struct {
	*testing.T
	pool   *pgxpool.Pool
	sealer *audit.Sealer
	public []crypto.Public
}

func newBook(t *testing.T) *book {
	t.Helper()
	pool := pgtest.Schema(t)
	key := crypto.Random().Signer(crypto.AuditSeal)
	public := []crypto.Public{key.Public()}
	return &book{t, pool, &audit.Sealer{Pool: pool, Key: key, Anchor: filepath.Join(t.TempDir(), "anchor"), Log: slog.New(slog.DiscardHandler)}, public}
}

func (b *book) write(n int) {
	b.Helper()
	for range n {
		err := pgx.BeginFunc(b.Context(), b.pool, func(tx pgx.Tx) error {
			return ledger.Append(b.Context(), tx, ledger.Entry{At: time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC), Kind: "thing.happened", Entity: "thing", EntityID: 1, Version: 1, Body: []byte(`{"who": 1}`)})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func (b *book) seal() {
	b.Helper()
	if err := b.sealer.Seal(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func (b *book) verify() audit.Report {
	b.Helper()
	r, err := audit.Verify(b.Context(), b.pool, b.public, b.sealer.Anchor, nil)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// as a superuser, whom no trigger stops.
func (b *book) tamper(sql string, args ...any) {
	b.Helper()
	err := pgx.BeginFunc(b.Context(), b.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(b.Context(), "SET LOCAL session_replication_role = replica"); err != nil {
			return err
		}
		tag, err := tx.Exec(b.Context(), sql, args...)
		if err == nil && tag.RowsAffected() == 0 && !strings.HasPrefix(sql, "TRUNCATE") {
			return fmt.Errorf("nothing was tampered with: %s", sql)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// TestTamperingIsFound_R106: whatever somebody does who may do everything in the database, the first row it shows in is named.
func TestTamperingIsFound_R106(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(b *book)
		what string
		pos  int64
	}{
		"a body is edited":        {func(b *book) { b.tamper(`UPDATE ledger SET body = '{"who": 2}' WHERE pos = 7`) }, audit.Edited, 7},
		"a kind is edited":        {func(b *book) { b.tamper(`UPDATE ledger SET kind = 'thing.undone' WHERE pos = 3`) }, audit.Edited, 3},
		"a time is edited":        {func(b *book) { b.tamper(`UPDATE ledger SET at = at + interval '1 microsecond' WHERE pos = 12`) }, audit.Edited, 12},
		"an org is taken away":    {func(b *book) { b.tamper(`UPDATE ledger SET subject_id = 0 WHERE pos = 2`) }, audit.Edited, 2},
		"a row is deleted":        {func(b *book) { b.tamper(`DELETE FROM ledger WHERE pos = 5`) }, audit.Deleted, 5},
		"the last row is deleted": {func(b *book) { b.tamper(`DELETE FROM ledger WHERE pos = 20`) }, audit.Deleted, 20},
		"two rows change places": {func(b *book) {
			b.tamper(`UPDATE ledger SET pos = -10 WHERE pos = 10`)
			b.tamper(`UPDATE ledger SET pos = 10 WHERE pos = 11`)
			b.tamper(`UPDATE ledger SET pos = 11 WHERE pos = -10`)
		}, audit.Edited, 10},
		"a row is put in": {func(b *book) {
			b.tamper(`DELETE FROM ledger WHERE pos = 8`)
			b.tamper(`INSERT INTO ledger (pos, at, kind, entity, entity_id, version) VALUES (8, now(), 'x', 'x', 1, 1)`)
		}, audit.Edited, 8},
		"everything is gone": {func(b *book) { b.tamper(`TRUNCATE ledger`) }, audit.Deleted, 1},
		"the end is cut off": {func(b *book) {
			b.tamper(`DELETE FROM ledger WHERE pos > 10`)
			b.tamper(`DELETE FROM audit_seal WHERE n > 1`)
		}, audit.CutOff, 0},
		"a seal is gone": {func(b *book) { b.tamper(`DELETE FROM audit_seal WHERE n = 1`) }, audit.BrokenSeal, 0},
		"a seal's leaves are swapped for those of an edited row": {func(b *book) {
			b.tamper(`UPDATE ledger SET body = '{}' WHERE pos = 7`)
			b.tamper(`UPDATE audit_seal SET leaves = overlay(leaves placing '\x00'::bytea from 1) WHERE n = 1`)
		}, audit.BrokenSeal, 0},
		"everything is sealed anew with another key": {func(b *book) {
			b.tamper(`UPDATE ledger SET body = '{}' WHERE pos = 7`)
			b.tamper(`DELETE FROM audit_seal`)
			other := *b.sealer
			other.Key, other.Anchor = crypto.Random().Signer(crypto.AuditSeal), filepath.Join(b.TempDir(), "other")
			if err := other.Seal(context.Background()); err != nil {
				b.Fatal(err)
			}
		}, audit.Forged, 0},
		"everything is sealed anew with the key": {func(b *book) {
			b.tamper(`UPDATE ledger SET body = '{}' WHERE pos = 7`)
			b.tamper(`DELETE FROM audit_seal`)
			other := *b.sealer
			other.Anchor = filepath.Join(b.TempDir(), "other")
			if err := other.Seal(context.Background()); err != nil {
				b.Fatal(err)
			}
		}, audit.OtherHistory, 0},
		"nothing was sealed for hours": {func(b *book) { b.tamper(`UPDATE audit_seal SET at = at - interval '3 hours' WHERE n = 1`) }, audit.BrokenSeal, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			b.write(10)
			b.seal()
			b.write(10)
			b.seal()
			if r := b.verify(); len(r.Findings) != 0 || r.Rows != 20 || r.Seals != 2 || r.Unsealed != 0 {
				t.Fatalf("before: %+v", r)
			}
			c.do(b)
			r := b.verify()
			if len(r.Findings) == 0 {
				t.Fatal("nobody notices")
			}
			if f := r.Findings[0]; f.What != c.what || f.Pos != c.pos {
				t.Errorf("first: %s; want %s of row %d", f, c.what, c.pos)
			}
		})
	}
}

// TestOnlyAppended: what a program may do to the ledger and its seals without switching triggers off is add to them.
func TestOnlyAppended_R106(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.write(3)
	b.seal()
	for _, sql := range []string{"UPDATE ledger SET kind = 'x'", "DELETE FROM ledger", "TRUNCATE ledger", "UPDATE audit_seal SET at = now()", "DELETE FROM audit_seal", "TRUNCATE audit_seal"} {
		if _, err := b.pool.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s: done", sql)
		}
	}
	b.seal() // nothing was written: nothing to seal within the hour
	if r := b.verify(); r.Seals != 1 || len(r.Findings) != 0 {
		t.Errorf("%+v", r)
	}
	b.write(2)
	if r := b.verify(); r.Unsealed != 2 || len(r.Findings) != 0 {
		t.Errorf("%+v", r)
	}
	// The copy was lost, or the disk it is on was away for a while: it is made whole again.
	if err := os.WriteFile(b.sealer.Anchor, []byte(`{"n":1,"at`), 0o600); err != nil {
		t.Fatal(err)
	}
	b.seal()
	raw, err := os.ReadFile(b.sealer.Anchor)
	if err != nil || strings.Count(string(raw), `"signature"`) != 2 {
		t.Errorf("%s %v", raw, err)
	}
	if r := b.verify(); r.Seals != 2 || r.Rows != 5 || len(r.Findings) != 0 {
		t.Errorf("%+v", r)
	}
}
