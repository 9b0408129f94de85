package migrations

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"regexp"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/tern/v2/migrate"
)

//go:embed *.sql
var files embed.FS

// prepareLock serialises CREATE EXTENSION over the whole database: run at once by two, all but one fail.
const prepareLock = int64(0x7a6a6578) // 'zjex'

// extensions are made in schema public, whatever schema the tables go to: an extension made in a schema of its own
// vanishes with it.
var extensions = []string{"postgis", "btree_gist"}

var schemaName = regexp.MustCompile(`\A[a-z_][a-z0-9_]*\z`)

// ErrVersion is what Check's errors about an older or a newer schema wrap.
var ErrVersion = errors.New("the schema of this database is not the one this program knows")

// Roles of the database server: Reader sees of case data what is in the scope that was set, Worker all of it. Nobody logs in as either.
const (
	Reader = "zhijiao_reader"
	Whole  = "zhijiao_whole" // a Reader whose scope is all there is
	Worker = "zhijiao_worker"
)

// Prepare makes the extensions and roles. It needs a role that may, and does nothing when they are there.
func Prepare(ctx context.Context, conn *pgx.Conn) error {
	if err := prepareRoles(ctx, conn); err != nil {
		return err
	}
	missing, err := missingExtensions(ctx, conn)
	if err != nil || len(missing) == 0 {
		return err
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin to make extensions: %w", err)
	}
	defer tx.Rollback(ctx) //nolint:errcheck // after a commit it has nothing to do; before one the error above counts
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", prepareLock); err != nil {
		return fmt.Errorf("lock to make extensions: %w", err)
	}
	for _, name := range extensions {
		if _, err := tx.Exec(ctx, "CREATE EXTENSION IF NOT EXISTS "+name+" SCHEMA public"); err != nil {
			return explainExtension(name, err)
		}
	}
	return tx.Commit(ctx)
}

// prepareRoles makes the roles, and whoever we are a member of both. Roles belong to the server: another database of it may make them at the
// same instant.
func prepareRoles(ctx context.Context, conn *pgx.Conn) error {
	var ready bool
	if err := conn.QueryRow(ctx, `SELECT coalesce(bool_and(pg_has_role(oid, 'MEMBER')), false) AND count(*) = 3 FROM pg_roles WHERE rolname = ANY ($1)`,
		[]string{Reader, Whole, Worker}).Scan(&ready); err != nil {
		return fmt.Errorf("look for roles: %w", err)
	}
	if ready {
		return nil
	}
	for _, name := range []string{Reader, Whole, Worker} {
		_, err := conn.Exec(ctx, "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '"+name+"') THEN CREATE ROLE "+name+
			" NOLOGIN; END IF; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$")
		if err == nil {
			_, err = conn.Exec(ctx, "DO $$ BEGIN IF NOT pg_has_role('"+name+"', 'MEMBER') THEN GRANT "+name+" TO CURRENT_USER; END IF; END $$")
		}
		if err == nil && name == Whole {
			_, err = conn.Exec(ctx, "DO $$ BEGIN IF NOT pg_has_role('"+Whole+"', '"+Reader+"', 'MEMBER') THEN GRANT "+Reader+" TO "+Whole+"; END IF; EXCEPTION WHEN unique_violation THEN NULL; END $$")
		}
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "42501" { // insufficient_privilege
			return fmt.Errorf("role %s is missing and this role may not make it: let an administrator run CREATE ROLE %s NOLOGIN and grant it to this one: %w", name, name, err)
		}
		if err != nil {
			return fmt.Errorf("make role %s: %w", name, err)
		}
	}
	return nil
}

func missingExtensions(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, "SELECT e FROM unnest($1::text[]) e WHERE e NOT IN (SELECT extname FROM pg_extension)", extensions)
	if err != nil {
		return nil, fmt.Errorf("look for extensions: %w", err)
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for extensions: %w", err)
	}
	return missing, nil
}

func explainExtension(name string, err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "42501": // insufficient_privilege
			return fmt.Errorf("extension %s is missing and this role may not make it: let an administrator run CREATE EXTENSION %s SCHEMA public: %w", name, name, err)
		case "0A000", "58P01": // feature_not_supported, undefined_file
			return fmt.Errorf("extension %s is not installed on the database server (Debian: postgresql-NN-postgis-3): %w", name, err)
		}
	}
	return fmt.Errorf("make extension %s: %w", name, err)
}

// Up prepares the database and applies what is missing. A schema newer than this program is refused.
func Up(ctx context.Context, conn *pgx.Conn) error {
	if err := Prepare(ctx, conn); err != nil {
		return err
	}
	return To(ctx, conn, -1)
}

// To moves the schema to a version, up or down; -1 is the newest. Down is for tests and for taking back an update.
func To(ctx context.Context, conn *pgx.Conn, version int32) error {
	table, err := versionTable(ctx, conn)
	if err != nil {
		return err
	}
	m, err := migrate.NewMigrator(ctx, conn, table)
	if err != nil {
		return fmt.Errorf("make the version table: %w", err)
	}
	if err := m.LoadMigrations(files); err != nil {
		return fmt.Errorf("load migrations: %w", err)
	}
	if version < 0 {
		version = int32(len(m.Migrations))
	}
	if err := m.MigrateTo(ctx, version); err != nil {
		var bad migrate.BadVersionError
		if errors.As(err, &bad) {
			return fmt.Errorf("%w: %w", ErrVersion, err)
		}
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// Newest is the version of the schema this program needs.
func Newest() int32 {
	names, err := migrate.FindMigrations(files)
	if err != nil { // embedded at build time: a gap in the numbers fails every test
		panic(err)
	}
	return int32(len(names))
}

// Check returns an error that wraps ErrVersion when the schema is older or newer than this program.
func Check(ctx context.Context, conn *pgx.Conn) error {
	table, err := versionTable(ctx, conn)
	if err != nil {
		return err
	}
	var have int32
	err = conn.QueryRow(ctx, "SELECT version FROM "+table).Scan(&have)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42P01" { // undefined_table
		have, err = 0, nil
	}
	if err != nil {
		return fmt.Errorf("read the schema version: %w", err)
	}
	switch want := Newest(); {
	case have < want:
		return fmt.Errorf("%w: it is at %d, the program needs %d: run `zhijiao migrate`", ErrVersion, have, want)
	case have > want:
		return fmt.Errorf("%w: it is at %d, the program knows %d: run the newer program", ErrVersion, have, want)
	}
	return nil
}

// versionTable names the table in the schema that new tables go to.
func versionTable(ctx context.Context, conn *pgx.Conn) (string, error) {
	var schema *string
	if err := conn.QueryRow(ctx, "SELECT current_schema()").Scan(&schema); err != nil {
		return "", fmt.Errorf("read the current schema: %w", err)
	}
	if schema == nil || !schemaName.MatchString(*schema) {
		return "", errors.New("the search_path of this connection names no schema (or one that is not plain lower-case letters, digits and _) to make tables in")
	}
	return *schema + ".schema_version", nil
}
