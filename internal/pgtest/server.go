package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/cluster"
	"zhijiao/migrations"
)

// EnvURL names the variable with the address of a server to use; its role must be allowed to make databases.
const EnvURL = "ZHIJIAO_TEST_DATABASE_URL"

// database is where the schemas of tests live.
const database = "zhijiao_test"

const startTimeout = 2 * time.Minute

// stopServer is never called: the server ends with the process. It is kept because it holds the pipe that the watching shell
// waits on, and a pipe that nothing refers to is closed by the garbage collector.
var stopServer func() error

// server is started at most once a process.
var server = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	base := os.Getenv(EnvURL)
	if base == "" {
		var err error
		if base, stopServer, err = StartServer(ctx); err != nil {
			return "", err
		}
	}
	return base, prepare(ctx, base)
})

// prepare makes the database of the tests' schemas, once, whoever comes first.
func prepare(ctx context.Context, base string) error {
	conn, err := pgx.Connect(ctx, base)
	if err != nil {
		return fmt.Errorf("connect to the test server: %w", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing was left to say
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtext('zhijiao pgtest'))"); err != nil {
		return fmt.Errorf("lock the test server: %w", err)
	}
	var there bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", database).Scan(&there); err != nil {
		return fmt.Errorf("look for the test database: %w", err)
	}
	if !there {
		if _, err := conn.Exec(ctx, "CREATE DATABASE "+database); err != nil {
			return fmt.Errorf("make the test database: %w", err)
		}
	}
	inside, err := pgx.Connect(ctx, inDatabase(base, database))
	if err != nil {
		return fmt.Errorf("connect to the test database: %w", err)
	}
	defer inside.Close(ctx) //nolint:errcheck // nothing was left to say
	return migrations.Prepare(ctx, inside)
}

// StartServer starts a private server in a folder for temporary files and returns its address and what stops it. Should
// this process end without stopping it, the kernel ends the server and a watching shell removes the folder.
func StartServer(ctx context.Context) (string, func() error, error) {
	dir, err := os.MkdirTemp(roomy(), "zhijiao-pgtest-")
	if err != nil {
		return "", nil, fmt.Errorf("folder of the test server: %w", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", nil, fmt.Errorf("folder of the test server: %w", err)
	}
	c, err := cluster.Start(ctx, cluster.Options{Dir: dir, Hasty: true, Settings: map[string]string{
		"shared_buffers": "128MB", "max_connections": "300", "autovacuum_naptime": "10min", "max_wal_size": "1GB",
		"max_locks_per_transaction": "256", "logging_collector": "off",
		"dynamic_shared_memory_type": "mmap", // in the folder, and gone with it however the server ends
	}})
	if err != nil {
		os.RemoveAll(dir)
		return "", nil, fmt.Errorf("start the test server: %w", err)
	}
	watch, err := watchdog(dir)
	if err != nil {
		c.Stop(ctx) //nolint:errcheck // the error above is the one to tell
		os.RemoveAll(dir)
		return "", nil, err
	}
	stop := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		err := c.Stop(ctx)
		watch()
		return err
	}
	return c.URL("postgres"), stop, nil
}

// roomy is memory when there is enough of it: fsync stays on and costs nothing there.
func roomy() string {
	const enough = 4 << 30
	var st syscall.Statfs_t
	if syscall.Statfs("/dev/shm", &st) == nil && st.Bavail*uint64(st.Bsize) > enough {
		if probe, err := os.MkdirTemp("/dev/shm", "zhijiao-"); err == nil {
			os.Remove(probe)
			return "/dev/shm"
		}
	}
	return ""
}

// watchdog starts a shell that waits for this process to end (the pipe it reads closes), then for the server to be gone,
// and removes the folder. The returned function does the same at once and waits for it.
func watchdog(dir string) (func(), error) {
	pid, err := os.ReadFile(filepath.Join(dir, "postgres", "postmaster.pid"))
	if err != nil {
		return nil, fmt.Errorf("watch the test server: %w", err)
	}
	var server int
	if _, err := fmt.Sscan(string(pid), &server); err != nil {
		return nil, fmt.Errorf("watch the test server: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("watch the test server: %w", err)
	}
	cmd := exec.Command("/bin/sh", "-c", `read -r _; n=0; while [ -d "/proc/$1/cwd" ] && [ $n -lt 300 ]; do sleep 0.1; n=$((n+1)); done; rm -rf "$2"`,
		"sh", strconv.Itoa(server), dir)
	cmd.Stdin, cmd.Dir, cmd.SysProcAttr = r, "/", &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("watch the test server: %w", err)
	}
	r.Close()
	return func() {
		w.Close()
		cmd.Wait() //nolint:errcheck // what it could not remove is in the folder for temporary files
	}, nil
}

// inDatabase turns the address of a server into that of one of its databases.
func inDatabase(base, name string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base // Connect will say what is wrong with it
	}
	u.Path = "/" + name
	return u.String()
}

// withParam adds a run-time parameter to an address.
func withParam(base, key, value string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base // Connect will say what is wrong with it
	}
	q := u.Query()
	q.Set(key, value)
	u.RawQuery = q.Encode()
	return u.String()
}
