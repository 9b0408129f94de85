package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/devices"
	"zhijiao/internal/id"
	"zhijiao/migrations"
)

// oldestDatabase is PostgreSQL 14, as server_version_num tells it.
const oldestDatabase = 140000

// checkSafety refuses a database on which a commit does not mean that the rows are kept, or that cannot be written to.
func checkSafety(ctx context.Context, conn *pgx.Conn) error {
	var fsync, pages, commit, version string
	var replica bool
	err := conn.QueryRow(ctx, `SELECT current_setting('fsync'), current_setting('full_page_writes'),
		current_setting('synchronous_commit'), current_setting('server_version_num'), pg_is_in_recovery()`).
		Scan(&fsync, &pages, &commit, &version, &replica)
	if err != nil {
		return fmt.Errorf("read the settings of the database: %w", err)
	}
	var errs []error
	refuse := func(bad bool, why string) {
		if bad {
			errs = append(errs, errors.New(why))
		}
	}
	n, err := strconv.Atoi(version)
	refuse(err != nil || n < oldestDatabase, "the database is PostgreSQL "+version+", 14 or newer is needed")
	refuse(fsync != "on", "the database runs with fsync=off: what was acknowledged would be lost with the machine")
	refuse(pages != "on", "the database runs with full_page_writes=off: a crash of the machine may tear its pages")
	refuse(commit == "off", "the database runs with synchronous_commit=off: what was acknowledged would be lost in a crash")
	refuse(replica, "the database is a replica: decisions are made on the primary only")
	return errors.Join(errs...)
}

// ensureDeployment makes the one row that says what the database is for, and returns what it says. A row that is there is
// never changed; a rehearsal asked of a live database is refused.
func ensureDeployment(ctx context.Context, conn *pgx.Conn, mode string) (string, error) {
	if _, err := conn.Exec(ctx, "INSERT INTO deployment (mode) VALUES ($1) ON CONFLICT DO NOTHING", mode); err != nil {
		return "", fmt.Errorf("make the deployment: %w", err)
	}
	var got string
	if err := conn.QueryRow(ctx, "SELECT mode FROM deployment").Scan(&got); err != nil {
		return "", fmt.Errorf("read the deployment: %w", err)
	}
	if mode == modeRehearsal && got == modeLive {
		return got, fmt.Errorf("%w: it was made for real people; a demo or rehearsal needs a fresh data_dir (or database)", errMode)
	}
	return got, nil
}

// checkedMode refuses an unsafe database or another schema, and returns what the database is for.
func checkedMode(ctx context.Context, pool *pgxpool.Pool) (mode string, err error) {
	err = withConn(ctx, pool, func(ctx context.Context, conn *pgx.Conn) error {
		if err := checkSafety(ctx, conn); err != nil {
			return err
		}
		if err := migrations.Check(ctx, conn); err != nil {
			return err
		}
		err := conn.QueryRow(ctx, "SELECT mode FROM deployment").Scan(&mode)
		if errors.Is(err, pgx.ErrNoRows) {
			return errors.New("the database does not say what it is for: run `zhijiao migrate`")
		}
		return err
	})
	return mode, err
}

// anythingSealed tells whether the database holds what only the keys file opens.
func anythingSealed(ctx context.Context, pool *pgxpool.Pool) (bool, error) {
	var sealed bool
	err := pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM subject_person) OR EXISTS (SELECT FROM device_credential)
		OR EXISTS (SELECT FROM quarantine WHERE payload IS NOT NULL)`).Scan(&sealed)
	if err != nil {
		return false, fmt.Errorf("look for what is sealed: %w", err)
	}
	return sealed, nil
}

// statusStored tells whether a status of a device is in the database.
func statusStored(ctx context.Context, pool *pgxpool.Pool, device devices.Device, boot, seq int64) (bool, error) {
	var stored bool
	err := pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM device_status WHERE device_id = $1 AND boot = $2 AND seq = $3)", device.ID, boot, seq).Scan(&stored)
	return stored, err
}

// oldestUnread is how long the oldest entry that a reader of the ledger has not taken effect of has waited.
func oldestUnread(ctx context.Context, pool *pgxpool.Pool, reader string) (time.Duration, error) {
	var seconds float64
	err := pool.QueryRow(ctx, `SELECT coalesce(extract(epoch FROM clock_timestamp() - (SELECT written_at FROM ledger
		WHERE pos > coalesce((SELECT pos FROM ledger_cursor WHERE reader = $1), 0) ORDER BY pos LIMIT 1)), 0)::float8`, reader).Scan(&seconds)
	if err != nil {
		return 0, fmt.Errorf("look how far %s has read: %w", reader, err)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// loginTaken tells whether an account has the name.
func loginTaken(ctx context.Context, pool *pgxpool.Pool, name string) (bool, error) {
	var taken bool
	if err := pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM account WHERE name = $1)", name).Scan(&taken); err != nil {
		return false, fmt.Errorf("look for the account: %w", err)
	}
	return taken, nil
}

// anyAccount tells whether somebody can log in.
func anyAccount(ctx context.Context, pool *pgxpool.Pool) (bool, error) {
	var any bool
	if err := pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM account)").Scan(&any); err != nil {
		return false, fmt.Errorf("look for accounts: %w", err)
	}
	return any, nil
}

// officerOf is the officer of an account that can log in; 0: there is none.
func officerOf(ctx context.Context, q devices.Querier, login string) (id.Officer, error) {
	var officer id.Officer
	err := q.QueryRow(ctx, `SELECT coalesce((SELECT officer_id FROM account WHERE name = $1 AND disabled_at IS NULL), 0)`, login).Scan(&officer)
	if err != nil {
		return 0, fmt.Errorf("look for the officer: %w", err)
	}
	return officer, nil
}

// subjectNumbered is the subject with a local number.
func subjectNumbered(ctx context.Context, q devices.Querier, no string) (s id.Subject, err error) {
	err = q.QueryRow(ctx, "SELECT subject_id FROM subject WHERE local_no = $1", no).Scan(&s)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("there is no subject %q", no)
	}
	return s, err
}
