// Package zhijiao_test keeps the table of docs/architecture.md true: who may import whom, and where SQL stands.
package zhijiao_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "zhijiao"

// houses lists, for each package at the root, the ones it may import besides internal. Arrows point at the core;
// siblings meet only in cmd.
var houses = map[string][]string{
	"devices":     {},
	"supervision": {},
	"geofence":    {"devices", "supervision"},
	"ingest":      {"geofence", "devices"},
	"alerts":      {"geofence", "devices", "supervision"},
	"evidence":    {"devices", "supervision", "geofence", "alerts"},
	"console":     {"devices", "supervision", "geofence", "alerts", "evidence"},
	"transfer":    {"devices", "supervision", "migrations"},
	"migrations":  {},
	"internal":    {"devices", "migrations"}, // the values that stand in topics; the schema of the tests' databases
	"cmd":         {"devices", "supervision", "geofence", "ingest", "alerts", "evidence", "transfer", "console", "migrations", "cmd"},
}

// only lists what few may import, by prefix of the import path: the folders that may. Tests may as well where a bare
// client or a fake of the outside world is what they need.
var only = map[string][]string{
	"github.com/eclipse/paho.mqtt.golang": {"internal/mqttlink"},
	"github.com/gorilla/websocket":        {"console"},
	"github.com/nats-io/nats-server":      {"internal/broker"},
	"github.com/jackc/tern":               {"migrations"},
	"github.com/spf13/cobra":              {"cmd"},
	module + "/internal/pgtest":           {"internal/pgtest"},
	module + "/internal/mqtttest":         {"internal/mqtttest"},
	"testing":                             {"internal/pgtest", "internal/mqtttest"},
}

// pure lists files by pattern that may import none of these: evaluation is a function of its arguments.
var pure = []struct {
	files     *regexp.Regexp
	forbidden []string
}{
	{regexp.MustCompile(`^geofence/(evaluate|due|findings|evidence|state|verdict|kind_|distance|flag|params)[^/]*\.go$`),
		[]string{"net", "net/http", "os", "database/sql", "math/rand", "math/rand/v2", "github.com/jackc/pgx/v5", "log/slog", "sync"}},
	{regexp.MustCompile(`^geofence/`), []string{"net/http", "github.com/gorilla/websocket"}},
}

var (
	sqlText = regexp.MustCompile(`(?is)^\s*(select\b.+|insert\s+into\b.+|update\s+\w+(\s+(as\s+)?\w+)?\s+set\b.+|delete\s+from\b.+|with\s+(recursive\s+)?\w+(\s*\([\w, ]+\))?\s+as\s+(not\s+materialized\s+|materialized\s+)?\(.+|create\s+(table|database|schema|extension|index)\b.+|listen\s+\w+\s*$)`)
	stText  = regexp.MustCompile(`\bST_[A-Z]`)
)

type source struct {
	path    string // slashes, from the root
	test    bool
	imports []string
	file    *ast.File
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (slices.Contains([]string{"node_modules", "data", "bin", "dist"}, d.Name()) || len(d.Name()) > 1 && d.Name()[0] == '.') {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return err
		}
		s := source{path: filepath.ToSlash(p), test: strings.HasSuffix(p, "_test.go"), file: file}
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, name)
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func house(p string) string { return strings.SplitN(p, "/", 2)[0] }

func TestImportTable(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if !strings.Contains(s.path, "/") {
			continue // this test
		}
		from := house(s.path)
		allowed, known := houses[from]
		if !known {
			t.Errorf("%s: %s is not in the table of houses", s.path, from)
			continue
		}
		for _, imp := range s.imports {
			ours, isOurs := strings.CutPrefix(imp, module+"/")
			if to := house(ours); isOurs && to != from && to != "internal" && !slices.Contains(allowed, to) {
				t.Errorf("%s imports %s: %s may not", s.path, imp, from)
			}
		}
	}
}

func TestImportsOfFew(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		dir := path.Dir(s.path)
		for _, imp := range s.imports {
			for prefix, dirs := range only {
				if s.test || imp != prefix && !strings.HasPrefix(imp, prefix+"/") {
					continue
				}
				if !slices.ContainsFunc(dirs, func(d string) bool { return dir == d || strings.HasPrefix(dir, d+"/") }) {
					t.Errorf("%s imports %s, which only %s may", s.path, imp, strings.Join(dirs, ", "))
				}
			}
			for _, p := range pure {
				if !s.test && p.files.MatchString(s.path) && slices.Contains(p.forbidden, imp) {
					t.Errorf("%s imports %s", s.path, imp)
				}
			}
		}
	}
}

// TestWhereSQLStands: statements stand in store*.go, and what PostGIS computes is asked for by geofence alone.
func TestWhereSQLStands(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.path, "internal/pgtest/") {
			continue
		}
		store := strings.HasPrefix(path.Base(s.path), "store")
		ast.Inspect(s.file, func(n ast.Node) bool {
			if f, ok := n.(*ast.Field); ok && f.Tag != nil {
				return false
			}
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				return true
			}
			if !store && sqlText.MatchString(text) {
				t.Errorf("%s: SQL outside of store*.go: %.60q", s.path, text)
			}
			if stText.MatchString(text) && !strings.HasPrefix(s.path, "geofence/") && !strings.HasPrefix(s.path, "migrations/") {
				t.Errorf("%s: PostGIS outside of geofence: %.60q", s.path, text)
			}
			return true
		})
	}
}

// TestDocumented: every package says what it is for.
func TestDocumented(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if dir := path.Dir(s.path); dir != "." && !s.test {
			documented[dir] = documented[dir] || s.file.Doc.Text() != ""
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no comment", dir)
		}
	}
}
