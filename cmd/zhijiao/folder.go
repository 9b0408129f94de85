package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"zhijiao/cmd/zhijiao/config"
	"zhijiao/internal/cluster"
)

// settleFolder makes data_dir absolute, and moves it when a private PostgreSQL could not live there: started by root it
// runs as another account, which cannot enter, say, a home of mode 0700. The new place is always the same one and said.
func settleFolder(ctx context.Context, cfg *config.Config, log *slog.Logger) error {
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	if cfg.Database.URL == "" {
		placed, err := cluster.Place(ctx, dir, cfg.Database.Account)
		if err != nil {
			return err
		}
		if placed != dir {
			log.Warn("the account that runs PostgreSQL cannot enter data_dir: the data live elsewhere", "data_dir", dir, "instead", placed)
			dir = placed
		}
	}
	cfg.DataDir = dir
	return nil
}

// lockFolder makes data_dir and keeps a second server out of it; the kernel gives the lock back however we end.
func lockFolder(dir string) (func(context.Context) error, error) {
	if err := os.MkdirAll(dir, 0o711); err != nil { // the database's account passes through; what is inside is 0700
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "server.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data_dir: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another zhijiao runs on %s: stop it first, or choose another data_dir", dir)
		}
		return nil, fmt.Errorf("lock data_dir: %w", err)
	}
	return func(context.Context) error { return f.Close() }, nil
}
