package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"syscall"
)

// Role and Database are what the server makes for the program: one superuser, one database.
const (
	Role     = "zhijiao"
	Database = "zhijiao"
)

// tuning is written to zhijiao.conf at each start; an operator's ALTER SYSTEM goes over it.
var tuning = map[string]string{
	"shared_buffers":                        "256MB",
	"max_connections":                       "200",
	"max_wal_size":                          "4GB",
	"min_wal_size":                          "256MB",
	"wal_compression":                       "on",
	"checkpoint_timeout":                    "15min",
	"random_page_cost":                      "1.1",
	"jit":                                   "off", // short statements only: compiling them costs more than running them
	"timezone":                              "UTC",
	"log_timezone":                          "UTC",
	"log_directory":                         "log",
	"log_filename":                          "postgresql-%a.log", // a week, then over again
	"log_rotation_age":                      "1d",
	"log_rotation_size":                     "0",
	"log_line_prefix":                       "%m [%p] ",
	"log_lock_waits":                        "on",
	"log_checkpoints":                       "off",
	"logging_collector":                     "on",
	"unix_socket_group":                     "",
	"max_pred_locks_per_transaction":        "64",
	"autovacuum_vacuum_insert_scale_factor": "0.05",
	"autovacuum_analyze_scale_factor":       "0.02",
	"log_truncate_on_rotation":              "on",
	"cluster_name":                          "zhijiao",
}

// insisted goes on the command line, where nothing overrides it: what a commit means, who may talk to the server, and
// that no value of a row (a coordinate, say) comes into its log.
func insisted(run string) map[string]string {
	return map[string]string{
		"listen_addresses":                  "",
		"unix_socket_directories":           run,
		"unix_socket_permissions":           "0700",
		"port":                              "5432",
		"fsync":                             "on",
		"full_page_writes":                  "on",
		"synchronous_commit":                "on",
		"log_error_verbosity":               "terse",
		"log_parameter_max_length":          "0",
		"log_parameter_max_length_on_error": "0",
	}
}

// initialise makes the cluster beside its final place and renames it, so that a start killed half way leaves nothing
// that looks finished.
func (c *Cluster) initialise(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(c.data, "PG_VERSION")); err == nil {
		return nil
	}
	entries, err := os.ReadDir(c.data)
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty and not a PostgreSQL cluster: move it away", c.data)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("data folder: %w", err)
	}
	c.log.Info("making a PostgreSQL cluster", "dir", c.data, "version", c.bin.major, "account", c.acc.name)
	half := c.data + ".new"
	if err := errors.Join(os.RemoveAll(half), os.Mkdir(half, 0o700), c.acc.own(half)); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	out, err := c.runAsAccount(ctx, c.bin.path("initdb"), "-D", half, "-U", Role, "--data-checksums", "--encoding=UTF8",
		"--locale=C", "--auth-local=peer", "--auth-host=reject", "--no-instructions")
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, lastLines(out, 5))
	}
	if err := os.RemoveAll(c.data); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	if err := os.Rename(half, c.data); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	return nil
}

// runAsAccount runs a program of PostgreSQL to its end; it ends with us.
func (c *Cluster) runAsAccount(ctx context.Context, program string, args ...string) ([]byte, error) {
	runtime.LockOSThread() // the signal on our death goes by thread
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.SysProcAttr, cmd.Env, cmd.Dir = c.acc.attr(syscall.SIGKILL), c.acc.environment(), "/"
	return cmd.CombinedOutput()
}

// configure writes what each start decides anew: the settings, and who is admitted.
func (c *Cluster) configure() error {
	settings := map[string]string{}
	for k, v := range tuning {
		settings[k] = v
	}
	for k, v := range c.opts.Settings {
		settings[k] = v
	}
	names := make([]string, 0, len(settings))
	for k := range settings {
		names = append(names, k)
	}
	sort.Strings(names)
	var conf strings.Builder
	conf.WriteString("# Written by zhijiao at each start. Use ALTER SYSTEM for settings of your own.\n")
	for _, k := range names {
		fmt.Fprintf(&conf, "%s = '%s'\n", k, strings.ReplaceAll(settings[k], "'", "''"))
	}
	var ident strings.Builder
	for _, name := range admitted() {
		fmt.Fprintf(&ident, "zhijiao %q %s\n", name, Role)
	}
	main := filepath.Join(c.data, "postgresql.conf")
	text, err := os.ReadFile(main)
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	const include = "include_if_exists = 'zhijiao.conf'\n"
	if !bytes.Contains(text, []byte(include)) {
		text = append(text, []byte("\n"+include)...)
	}
	for name, content := range map[string]string{
		"zhijiao.conf":    conf.String(),
		"pg_ident.conf":   ident.String(),
		"pg_hba.conf":     "# Written by zhijiao at each start.\nlocal all all peer map=zhijiao\nlocal replication all peer map=zhijiao\n",
		"postgresql.conf": string(text),
	} {
		if err := c.writeAtomically(filepath.Join(c.data, name), content); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

func (c *Cluster) writeAtomically(path, content string) error {
	half := path + ".new"
	if err := os.WriteFile(half, []byte(content), 0o600); err != nil {
		return err
	}
	if err := c.acc.own(half); err != nil {
		return err
	}
	return os.Rename(half, path)
}

func lastLines(out []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, " | ")
}
