package migrations_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/pgtest"
	"zhijiao/migrations"
)

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(ctx) })
	return conn
}

func relations(t *testing.T, conn *pgx.Conn) int {
	t.Helper()
	var n int
	err := conn.QueryRow(context.Background(), `SELECT
		(SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname <> 'schema_version') +
		(SELECT count(*) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace)`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestUpDownUp(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	conn := connect(t, pgtest.Empty(t))
	if err := migrations.Up(ctx, conn); err != nil {
		t.Fatal(err)
	}
	made := relations(t, conn)
	for v := migrations.Newest() - 1; v >= 0; v-- { // each file takes back exactly what it made
		if err := migrations.To(ctx, conn, v); err != nil {
			t.Fatalf("down to %d: %v", v, err)
		}
	}
	if n := relations(t, conn); n != 0 {
		t.Errorf("%d tables, indexes, sequences or functions left after down", n)
	}
	if err := migrations.Up(ctx, conn); err != nil {
		t.Fatalf("up again: %v", err)
	}
	if n := relations(t, conn); n != made {
		t.Errorf("up again made %d, the first time %d", n, made)
	}
}

func TestCheckRefusesOlderAndNewer(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	conn := connect(t, pgtest.Empty(t))
	if err := migrations.Check(ctx, conn); !errors.Is(err, migrations.ErrVersion) {
		t.Errorf("empty: %v", err)
	}
	if err := migrations.Up(ctx, conn); err != nil {
		t.Fatal(err)
	}
	if err := migrations.Check(ctx, conn); err != nil {
		t.Errorf("current: %v", err)
	}
	if _, err := conn.Exec(ctx, "UPDATE schema_version SET version = version + 1"); err != nil {
		t.Fatal(err)
	}
	if err := migrations.Check(ctx, conn); !errors.Is(err, migrations.ErrVersion) {
		t.Errorf("newer: %v", err)
	}
	if err := migrations.Up(ctx, conn); !errors.Is(err, migrations.ErrVersion) {
		t.Errorf("up on a newer schema: %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t) // without extensions: they are what goes wrong at once
	var wg sync.WaitGroup
	for range 4 {
		conn := connect(t, url)
		wg.Go(func() {
			if err := migrations.Up(context.Background(), conn); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := migrations.Check(context.Background(), connect(t, url)); err != nil {
		t.Error(err)
	}
}
