package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// envMain makes this test program be the program, with its own arguments.
const envMain = "ZHIJIAO_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(envMain) != "" {
		os.Unsetenv(envMain)
		if spec := os.Getenv(envPoint); spec != "" {
			armPoint(spec)
		}
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// dataFolder is reachable by the account that runs PostgreSQL, unlike t.TempDir, whose parent is 0700 for root.
func dataFolder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "zj-up-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eventually(t, "no process left on "+dir, func() bool { return len(processesOn(dir)) == 0 })
		os.RemoveAll(dir)
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "data")
}

// process is the program, run as a child.
type process struct {
	t   testing.TB
	cmd *exec.Cmd

	done chan struct{} // closed when it has ended; err is set then
	err  error

	mu  sync.Mutex
	out bytes.Buffer
}

// Write collects what the child says.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// program starts the program; it is killed at the end of the test if it still runs.
func program(t testing.TB, args ...string) *process {
	t.Helper()
	return start(t, func(*exec.Cmd) {}, args...)
}

// start is program with what is different about it.
func start(t testing.TB, change func(*exec.Cmd), args ...string) *process {
	t.Helper()
	p := &process{t: t, done: make(chan struct{}), cmd: exec.Command(os.Args[0], args...)}
	p.cmd.Env = append(os.Environ(), envMain+"=1")
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.WaitDelay = 5 * time.Second
	change(p.cmd)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("zhijiao %s said:\n%s", strings.Join(args, " "), p.output())
		}
	})
	return p
}

// up starts everything on free ports and waits until it is ready.
func up(t testing.TB, dir string, args ...string) *process {
	t.Helper()
	p := program(t, append([]string{"up", "--data-dir", dir, "--http-listen", "127.0.0.1:0", "--mqtt-listen", "127.0.0.1:0"}, args...)...)
	p.waitFor("zhijiao is ready")
	return p
}

// waitFor waits until the program has said something.
func (p *process) waitFor(what string) {
	p.t.Helper()
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); {
		if strings.Contains(p.output(), what) {
			return
		}
		select {
		case <-p.done:
			p.t.Fatalf("it ended before it said %q: %v", what, p.err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	p.t.Fatalf("it never said %q", what)
}

// stop asks the program to end and waits until it has.
func (p *process) stop() {
	p.t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		if p.err != nil {
			p.t.Errorf("it ended with %v", p.err)
		}
	case <-time.After(60 * time.Second):
		p.t.Fatal("it did not stop")
	}
}

// kill ends the program with kill -9.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// result waits for a command that ends by itself.
func (p *process) result() (string, error) {
	<-p.done
	return p.output(), p.err
}

// eventually polls, with a deadline.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}

// processesOn lists processes that work in a folder or name it in their arguments; zombies do not count, nor do we.
func processesOn(dir string) []string {
	var found []string
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		cwd, _ := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		args, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if strings.HasPrefix(cwd, dir) || bytes.Contains(args, []byte(dir)) {
			found = append(found, e.Name()+" "+string(bytes.ReplaceAll(args, []byte{0}, []byte{' '})))
		}
	}
	return found
}

// get fetches a page of the program.
func get(t testing.TB, url string) (int, string) {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			return 0, err.Error()
		}
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
