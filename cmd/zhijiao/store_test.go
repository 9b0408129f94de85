package main

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/pgtest"
)

func TestDeploymentNeverChanges(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	live := pgtest.Schema(t)
	for range 2 {
		if mode, err := migrateUp(ctx, live, modeLive); err != nil || mode != modeLive {
			t.Fatalf("%s, %v", mode, err)
		}
	}
	if _, err := migrateUp(ctx, live, modeRehearsal); !errors.Is(err, errMode) {
		t.Errorf("a demo on a live database: %v", err)
	}
	rehearsal := pgtest.Schema(t)
	if mode, err := migrateUp(ctx, rehearsal, modeRehearsal); err != nil || mode != modeRehearsal {
		t.Fatalf("%s, %v", mode, err)
	}
	if mode, err := migrateUp(ctx, rehearsal, modeLive); err != nil || mode != modeRehearsal {
		t.Errorf("a rehearsal stays one: %s, %v", mode, err)
	}
}

func TestUnsafeDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if err := checkSafety(ctx, conn); err != nil {
		t.Fatalf("a safe one: %v", err)
	}
	if _, err := conn.Exec(ctx, "SET synchronous_commit = off"); err != nil {
		t.Fatal(err)
	}
	if err := checkSafety(ctx, conn); err == nil {
		t.Error("synchronous_commit=off is let through")
	}
}
