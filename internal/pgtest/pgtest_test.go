package pgtest_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/pgtest"
	"zhijiao/migrations"
)

func TestSchemasAreSeparate(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	a, b := pgtest.Schema(t), pgtest.Schema(t)
	if _, err := a.Exec(ctx, "INSERT INTO deployment (mode) VALUES ('live')"); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := b.QueryRow(ctx, "SELECT count(*) FROM deployment").Scan(&n); err != nil || n != 0 {
		t.Fatalf("rows of another schema: %d, %v", n, err)
	}
}

func TestTxSeesTheTables(t *testing.T) {
	t.Parallel()
	for range 2 { // rolled back: the second insert of the one row succeeds
		t.Run("", func(t *testing.T) {
			if _, err := pgtest.Tx(t).Exec(context.Background(), "INSERT INTO deployment (mode) VALUES ('live')"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestDatabaseIsEmpty(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if err := migrations.Up(ctx, conn); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkSchema(b *testing.B) {
	for b.Loop() {
		pgtest.Schema(b)
	}
}
