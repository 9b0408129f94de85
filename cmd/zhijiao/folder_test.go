package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zhijiao/cmd/zhijiao/config"
)

func TestOneServerAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unlock, err := lockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockFolder(dir); err == nil || !strings.Contains(err.Error(), "another zhijiao") {
		t.Errorf("a second one: %v", err)
	}
	if err := unlock(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := lockFolder(dir); err != nil {
		t.Errorf("after the first: %v", err)
	}
}

func TestUnreachableFolderIsMoved(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root runs PostgreSQL as another account")
	}
	closed := filepath.Join(t.TempDir(), "home")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{DataDir: filepath.Join(closed, "data")}
	if err := settleFolder(context.Background(), cfg, slog.New(slog.DiscardHandler)); err != nil || strings.HasPrefix(cfg.DataDir, closed) {
		t.Errorf("%s, %v", cfg.DataDir, err)
	}
	external := &config.Config{DataDir: filepath.Join(closed, "data"), Database: config.Database{URL: "postgres:///x"}}
	if err := settleFolder(context.Background(), external, slog.New(slog.DiscardHandler)); err != nil || external.DataDir != filepath.Join(closed, "data") {
		t.Errorf("without a private PostgreSQL: %s, %v", external.DataDir, err)
	}
}
