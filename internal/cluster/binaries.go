package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// oldest is the oldest major version of PostgreSQL that the schema works on.
const oldest = 14

// ErrNoPrograms is wrapped when no suitable PostgreSQL is installed.
var ErrNoPrograms = errors.New("no suitable PostgreSQL is installed")

// binaries is one installed PostgreSQL.
type binaries struct {
	dir     string // where postgres and initdb are
	major   int
	postgis bool // the PostGIS extension is installed for it
}

func (b binaries) path(name string) string { return filepath.Join(b.dir, name) }

// installed lists what there is, the newest first.
func installed(ctx context.Context) []binaries {
	var dirs []string
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin"} {
		found, _ := filepath.Glob(pattern) //nolint:errcheck // the patterns are constant and well-formed
		dirs = append(dirs, found...)
	}
	if p, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	seen := map[string]bool{}
	var all []binaries
	for _, dir := range dirs {
		if b, ok := inspect(ctx, dir); ok && !seen[dir] {
			seen[dir] = true
			all = append(all, b)
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].major > all[j].major })
	return all
}

func inspect(ctx context.Context, dir string) (binaries, bool) {
	b := binaries{dir: dir}
	for _, name := range []string{"postgres", "initdb"} {
		if _, err := os.Stat(b.path(name)); err != nil {
			return b, false
		}
	}
	out, err := exec.CommandContext(ctx, b.path("postgres"), "-V").Output() // postgres (PostgreSQL) 15.18 (Debian ...)
	if err != nil {
		return b, false
	}
	fields := strings.Fields(string(out))
	if len(fields) < 3 {
		return b, false
	}
	b.major, err = strconv.Atoi(strings.SplitN(fields[2], ".", 2)[0])
	if err != nil {
		return b, false
	}
	share := filepath.Join(filepath.Dir(dir), "share")
	if out, err := exec.CommandContext(ctx, b.path("pg_config"), "--sharedir").Output(); err == nil {
		share = strings.TrimSpace(string(out))
	}
	for _, s := range []string{share, "/usr/share/postgresql/" + strconv.Itoa(b.major)} {
		if _, err := os.Stat(filepath.Join(s, "extension", "postgis.control")); err == nil {
			b.postgis = true
		}
	}
	return b, true
}

// choose picks the programs for a data folder: those of its PG_VERSION, else the newest that has PostGIS.
func choose(all []binaries, data string) (binaries, error) {
	version, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err == nil {
		want := strings.TrimSpace(string(version))
		for _, b := range all {
			if strconv.Itoa(b.major) == want {
				if !b.postgis {
					return b, fmt.Errorf("%w: PostGIS is missing for PostgreSQL %d (Debian: apt-get install postgresql-%d-postgis-3)", ErrNoPrograms, b.major, b.major)
				}
				return b, nil
			}
		}
		return binaries{}, fmt.Errorf("%w: %s was made by PostgreSQL %s (Debian: apt-get install postgresql-%s postgresql-%s-postgis-3)", ErrNoPrograms, data, want, want, want)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return binaries{}, fmt.Errorf("read the version of the cluster: %w", err)
	}
	for _, b := range all {
		if b.postgis && b.major >= oldest {
			return b, nil
		}
	}
	return binaries{}, fmt.Errorf("%w: version %d or newer with PostGIS is needed (Debian: apt-get install postgresql postgresql-postgis)", ErrNoPrograms, oldest)
}
