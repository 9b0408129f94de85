package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/cluster"
)

// childDir makes this test program run a cluster until it is killed, instead of the tests.
const childDir = "ZHIJIAO_CLUSTER_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		c, err := cluster.Start(context.Background(), cluster.Options{Dir: dir})
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("ready", c.Pid())
		select {}
	}
	os.Exit(m.Run())
}

// folder is reachable by the account that runs the server, unlike t.TempDir, whose parent is 0700 for root.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "zj-cluster-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "data")
}

func start(t *testing.T, dir string) *cluster.Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := cluster.Start(ctx, cluster.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, c) })
	return c
}

func stop(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := c.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func query[T any](t *testing.T, c *cluster.Cluster, sql string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var v T
	if err := conn.QueryRow(ctx, sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// alive tells whether a process runs; a zombie does not.
func alive(pid int) bool {
	_, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "exe"))
	return err == nil
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}

func TestStartStopStartAgain(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := start(t, dir)
	for setting, want := range map[string]string{
		"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "data_checksums": "on", "server_encoding": "UTF8",
		"listen_addresses": "", "log_error_verbosity": "terse", "wal_compression": "pglz",
	} {
		if got := query[string](t, c, "SELECT current_setting('"+setting+"')"); got != want && !(setting == "wal_compression" && got == "on") {
			t.Errorf("%s = %q, want %q", setting, got, want)
		}
	}
	if os.Geteuid() == 0 {
		var st syscall.Stat_t
		if err := syscall.Stat(filepath.Join("/proc", strconv.Itoa(c.Pid())), &st); err != nil || st.Uid == 0 {
			t.Errorf("the server runs as uid %d, %v", st.Uid, err)
		}
	}
	if n := query[int](t, c, "WITH x AS (SELECT 1) SELECT 41 + count(*) FROM x"); n != 42 {
		t.Error(n)
	}
	if beside, err := cluster.Address(cluster.Options{Dir: dir}); err != nil || beside != c.URL("") {
		t.Errorf("beside it: %s, %v", beside, err)
	}
	pid := c.Pid()
	if _, err := cluster.Start(context.Background(), cluster.Options{Dir: dir}); !errors.Is(err, cluster.ErrInUse) {
		t.Errorf("a second program on the folder: %v", err)
	}
	stop(t, c)
	stop(t, c) // twice is once
	if alive(pid) {
		t.Error("the server outlived Stop")
	}
	query[int](t, start(t, dir), "SELECT 1")
}

func TestRestartsWhenItDies(t *testing.T) {
	t.Parallel()
	c := start(t, folder(t))
	query[string](t, c, "SELECT set_config('zhijiao.x', 'y', false)")
	pid := c.Pid()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another server answers", func() bool {
		if p := c.Pid(); p == 0 || p == pid {
			return false
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		conn, err := pgx.Connect(ctx, c.URL(""))
		if err != nil {
			return false
		}
		return conn.Close(ctx) == nil
	})
	if c.Restarts() < 1 {
		t.Error("the restart is not counted")
	}
}

// TestProgramKilled: the program that runs the cluster is killed with -9; nothing stays, and the next start is clean.
func TestProgramKilled(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pid, errPid := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "ready ")))
	if err := errors.Join(err, errPid); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	c := start(t, dir) // at once: it has to wait for the orphan
	if alive(pid) {
		t.Error("the former server still runs")
	}
	query[int](t, c, "SELECT 1")
}

// TestStalePidOfAnother: after a crash the number in postmaster.pid may belong to any process; it is not ours to end.
func TestStalePidOfAnother(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	stop(t, start(t, dir))
	sleeper := exec.Command("sleep", "60")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sleeper.Process.Kill(); sleeper.Wait() })
	stale := fmt.Sprintf("%d\n%s\n1\n5432\n\n\n", sleeper.Process.Pid, filepath.Join(dir, "postgres"))
	if err := os.WriteFile(filepath.Join(dir, "postgres", "postmaster.pid"), []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	query[int](t, start(t, dir), "SELECT 1")
	if !alive(sleeper.Process.Pid) {
		t.Error("somebody else's process was ended")
	}
}

func TestLongPathHasAShortSocket(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), strings.Repeat("long/", 30))
	c := start(t, dir)
	if u := c.URL(""); strings.Contains(u, "long") {
		t.Errorf("the socket is below the long path: %s", u)
	}
	query[int](t, c, "SELECT 1")
}

func TestUnreachableFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root runs the server as another account")
	}
	home := folder(t)
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	asked := filepath.Join(home, "clone", "data")
	_, err := cluster.Start(context.Background(), cluster.Options{Dir: asked})
	if !errors.Is(err, cluster.ErrUnreachable) || !strings.Contains(err.Error(), home+" ") {
		t.Errorf("the fault is not named: %v", err)
	}
	first, err := cluster.Place(context.Background(), asked, "")
	if err != nil || strings.HasPrefix(first, home) {
		t.Fatalf("placed at %s, %v", first, err)
	}
	if second, err := cluster.Place(context.Background(), asked, ""); err != nil || second != first {
		t.Errorf("another place the second time: %s, %v", second, err)
	}
	fine := folder(t)
	if got, err := cluster.Place(context.Background(), fine, ""); err != nil || got != fine {
		t.Errorf("moved without need: %s, %v", got, err)
	}
}

func TestOtherFilesAreLeftAlone(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if err := os.MkdirAll(filepath.Join(dir, "postgres"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	letter := filepath.Join(dir, "postgres", "letter.txt")
	if err := os.WriteFile(letter, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Start(context.Background(), cluster.Options{Dir: dir}); err == nil {
		t.Error("made a cluster over somebody's files")
	}
	if text, err := os.ReadFile(letter); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestFolderOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if err := os.MkdirAll(filepath.Join(dir, "postgres"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "postgres", "PG_VERSION"), []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := cluster.Start(context.Background(), cluster.Options{Dir: dir})
	if !errors.Is(err, cluster.ErrNoPrograms) || !strings.Contains(err.Error(), "PostgreSQL 9") {
		t.Errorf("%v", err)
	}
}
