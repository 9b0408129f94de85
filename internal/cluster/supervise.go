package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	firstPause = 200 * time.Millisecond // before the server is started again
	longPause  = 5 * time.Second        // the longest such pause
	calmAfter  = time.Minute            // a server that lived this long starts the pauses over
	orphanFast = 20 * time.Second       // given to a server whose program was killed to finish by itself
)

// supervise starts the server and starts it again whenever it dies, until Stop. Before ready a death is final: then the
// reason is in the settings or the data, and the caller is told. The goroutine keeps its thread for life, because the
// signal the kernel sends the server when we are killed is tied to the thread that started it.
func (c *Cluster) supervise(ready <-chan struct{}) {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	defer close(c.ended)
	pause, first := firstPause, time.Now()
	for {
		began := time.Now()
		err := c.serveOnce()
		select {
		case <-c.stopping:
			return
		default:
		}
		select {
		case <-ready:
		default:
			if strings.Contains(c.startLog(), "is still in use") && time.Since(first) < orphanFast {
				time.Sleep(firstPause) // processes of a killed server notice within moments that it is gone
				continue
			}
			c.failed = fmt.Errorf("PostgreSQL ended while starting: %w: %s", err, c.startLog())
			return
		}
		if time.Since(began) > calmAfter {
			pause = firstPause
		}
		c.restarts.Add(1)
		c.log.Error("PostgreSQL ended by itself; starting it again", "err", err, "pause", pause, "restarts", c.restarts.Load())
		select {
		case <-c.stopping:
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, longPause)
		if err := c.settle(context.Background()); err != nil {
			c.log.Error("cannot clear the way for PostgreSQL", "err", err)
		}
	}
}

// serveOnce runs the server to its end.
func (c *Cluster) serveOnce() error {
	out, err := os.Create(filepath.Join(c.opts.Dir, "postgres.start.log"))
	if err != nil {
		return fmt.Errorf("log of the start: %w", err)
	}
	defer out.Close()
	args := []string{"-D", c.data}
	for k, v := range insisted(c.run) {
		args = append(args, "-c", k+"="+v)
	}
	onDeath := syscall.SIGINT // fast: roll back, write everything, end
	if c.opts.Hasty {
		onDeath = syscall.SIGQUIT
	}
	cmd := exec.Command(c.bin.path("postgres"), args...)
	cmd.SysProcAttr, cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.acc.attr(onDeath), c.acc.environment(), "/", out, out

	c.mu.Lock()
	select {
	case <-c.stopping:
		c.mu.Unlock()
		return nil
	default:
	}
	if err := cmd.Start(); err != nil {
		c.mu.Unlock()
		return err
	}
	c.proc = cmd.Process
	c.mu.Unlock()

	err = cmd.Wait()
	c.mu.Lock()
	c.proc = nil
	c.mu.Unlock()
	if err == nil {
		err = errors.New("it ended without an error")
	}
	return err
}

// startLog is what the server said before its own log took over.
func (c *Cluster) startLog() string {
	text, err := os.ReadFile(filepath.Join(c.opts.Dir, "postgres.start.log"))
	if err != nil {
		return err.Error()
	}
	return lastLines(text, 5)
}

// settle makes sure that no server runs on the data before ours does. We hold the lock of the folder, so a server that
// is there has lost its program: it was told to end by the kernel, and gets a while, then is made to. A postmaster.pid
// that names a process which is not a server on this folder is left over from a crash; after a restart of a machine or
// container its number may be anybody's, and PostgreSQL would refuse to start.
func (c *Cluster) settle(ctx context.Context) error {
	file := filepath.Join(c.data, "postmaster.pid")
	hard := time.Now().Add(orphanFast)
	asked := false
	for {
		pid, err := readPid(file)
		if err != nil {
			return err
		}
		if pid == 0 {
			return nil
		}
		if !c.isServer(pid) {
			if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("remove a stale postmaster.pid: %w", err)
			}
			return nil
		}
		switch {
		case !asked:
			c.log.Warn("a server without its program still runs on this data folder; ending it", "pid", pid)
			asked = true
			syscall.Kill(pid, syscall.SIGINT) //nolint:errcheck // it may have ended by itself
		case time.Now().After(hard):
			syscall.Kill(pid, syscall.SIGQUIT) //nolint:errcheck // it may have ended by itself
			hard = time.Now().Add(orphanFast)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the former PostgreSQL to end: %w", context.Cause(ctx))
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// readPid returns the process a postmaster.pid names, 0 when there is no file.
func readPid(file string) (int, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read postmaster.pid: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid <= 1 {
		return -1, nil // a crash cut it short: nobody's
	}
	return pid, nil
}

// isServer tells whether the process is a PostgreSQL on our folder: a server's working directory is its data folder.
// What we may not look at belongs to another account and cannot be one.
func (c *Cluster) isServer(pid int) bool {
	if pid < 0 {
		return false
	}
	cwd, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
	if err != nil {
		return false
	}
	real, err := filepath.EvalSymlinks(c.data)
	return err == nil && cwd == real
}
