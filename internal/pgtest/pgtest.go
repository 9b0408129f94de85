package pgtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/migrations"
)

const stepTimeout = 30 * time.Second

// Schema returns a pool on a fresh schema with all tables, gone after the test. Tables are found by search_path, the
// extensions in public.
func Schema(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return Pool(t, URL(t))
}

// URL returns the address of a fresh schema with all tables, gone after the test.
func URL(t testing.TB) string {
	t.Helper()
	url, drop := freshSchema(t, "t_"+random())
	t.Cleanup(drop)
	if err := inConn(url, func(ctx context.Context, c *pgx.Conn) error { return migrations.To(ctx, c, -1) }); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	return url
}

// Database returns the address of an empty database of its own, gone after the test. Nothing is migrated in it.
func Database(t testing.TB) string {
	t.Helper()
	base := need(t)
	name := "zhijiao_test_" + random()
	exec := func(sql string) error {
		return inConn(base, func(ctx context.Context, c *pgx.Conn) error { _, err := c.Exec(ctx, sql); return err })
	}
	if err := exec("CREATE DATABASE " + name); err != nil {
		t.Fatalf("make a database: %v", err)
	}
	t.Cleanup(func() {
		if err := exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("drop the database: %v", err)
		}
	})
	return inDatabase(base, name)
}

// Empty returns the address of a fresh schema with nothing in it, for tests of migrations.
func Empty(t testing.TB) string {
	t.Helper()
	url, drop := freshSchema(t, "t_"+random())
	t.Cleanup(drop)
	return url
}

// Pool opens a pool that is closed before what the test set up earlier is dropped.
func Pool(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatalf("address of the test database: %v", err)
	}
	cfg.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		t.Fatalf("pool: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// Tx returns a transaction in a schema that all such tests share, rolled back after the test.
func Tx(t testing.TB) pgx.Tx {
	t.Helper()
	need(t)
	url, err := sharedSchema()
	if err != nil {
		t.Fatalf("shared schema: %v", err)
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { conn.Close(ctx) }) //nolint:errcheck // the test is over
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	t.Cleanup(func() { tx.Rollback(ctx) }) //nolint:errcheck // the connection goes with it
	return tx
}

// sharedSchema is made once a process and goes with the server; a server that stays keeps one small schema a process.
var sharedSchema = sync.OnceValues(func() (string, error) {
	base, err := server()
	if err != nil {
		return "", err
	}
	name := "shared_" + random()
	base = inDatabase(base, database)
	url := withParam(base, "search_path", name+",public")
	if err := inConn(base, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "CREATE SCHEMA "+name)
		return err
	}); err != nil {
		return "", err
	}
	return url, inConn(url, func(ctx context.Context, c *pgx.Conn) error { return migrations.To(ctx, c, -1) })
})

func freshSchema(t testing.TB, name string) (string, func()) {
	t.Helper()
	base := inDatabase(need(t), database)
	exec := func(sql string) error {
		return inConn(base, func(ctx context.Context, c *pgx.Conn) error { _, err := c.Exec(ctx, sql); return err })
	}
	if err := exec("CREATE SCHEMA " + name); err != nil {
		t.Fatalf("make a schema: %v", err)
	}
	return withParam(base, "search_path", name+",public"), func() {
		if err := exec("DROP SCHEMA " + name + " CASCADE"); err != nil {
			t.Errorf("drop the schema: %v", err)
		}
	}
}

// need returns the address of the server; a test that needs one fails without it, it is never skipped.
func need(t testing.TB) string {
	t.Helper()
	base, err := server()
	if err != nil {
		t.Fatalf("no test database: %v", err)
	}
	return base
}

func inConn(url string, do func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing was left to say
	return do(ctx, conn)
}

func random() string {
	var b [6]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
