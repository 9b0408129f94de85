package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/cmd/zhijiao/config"
	"zhijiao/internal/crypto"
)

// openKeys reads the keys file. A new one is made only for a database in which nothing is sealed yet: otherwise a lost
// file would go unnoticed until every device is refused and no name can be read.
func openKeys(ctx context.Context, cfg *config.Config, log *slog.Logger, pool *pgxpool.Pool) (*crypto.Keys, error) {
	path := cfg.Keys()
	keys, err := crypto.Load(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	sealed, err := anythingSealed(ctx, pool)
	if err != nil {
		return nil, err
	}
	if sealed {
		return nil, fmt.Errorf("%s is missing, and this database holds what only it opens: put the file back from its copy (or set keys_file)", path)
	}
	keys, created, err := crypto.LoadOrCreateOf(path, crypto.Suite(cfg.Suite))
	if created {
		log.Warn("made a new keys file: keep a copy of it in another place than the copies of the database", "keys_file", path)
	}
	return keys, err
}
