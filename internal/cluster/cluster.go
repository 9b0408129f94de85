package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrInUse is wrapped when another process runs the cluster of the data folder.
var ErrInUse = errors.New("the data folder is in use by another process")

// Options say where and how. Only Dir is needed.
type Options struct {
	Dir      string            // the data folder: the cluster is Dir/postgres
	Account  string            // who runs the server when we are root; empty: postgres, else nobody
	Settings map[string]string // over the tuning of this package
	Hasty    bool              // when our process is killed, stop at once and recover at the next start: for tests
	Log      *slog.Logger
}

// Cluster is a running server.
type Cluster struct {
	opts Options
	log  *slog.Logger
	acc  account
	bin  binaries
	data string // Dir/postgres
	run  string // the folder of the socket
	lock *os.File

	restarts atomic.Int64
	stopping chan struct{}
	ended    chan struct{} // the supervisor has returned; failed says why when it was not asked to
	failed   error

	mu   sync.Mutex
	proc *os.Process
}

// Start makes the cluster when there is none, starts it and waits until it answers. It takes as long as recovery needs,
// or until ctx ends.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	opts.Dir = dir
	c := &Cluster{opts: opts, log: opts.Log, data: filepath.Join(dir, "postgres"), stopping: make(chan struct{}), ended: make(chan struct{})}
	if err := c.prepare(ctx); err != nil {
		c.unlock()
		return nil, err
	}
	ready := make(chan struct{})
	go c.supervise(ready)
	if err := c.waitReady(ctx); err != nil {
		close(ready)
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return nil, errors.Join(err, c.Stop(stop))
	}
	close(ready)
	if err := c.makeDatabase(ctx); err != nil {
		return nil, errors.Join(err, c.Stop(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// prepare does everything that comes before the server's process.
func (c *Cluster) prepare(ctx context.Context) error {
	var err error
	if c.acc, err = runAs(c.opts.Account); err != nil {
		return err
	}
	mode := os.FileMode(0o700)
	if c.acc.other {
		mode = 0o711 // the account passes through; what is inside has modes of its own
	}
	if err := c.acc.reaches(ctx, nearest(c.opts.Dir)); err != nil {
		return err
	}
	if err := os.MkdirAll(c.opts.Dir, mode); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	if err := c.acc.reaches(ctx, c.opts.Dir); err != nil {
		return err
	}
	if err := c.takeLock(); err != nil {
		return err
	}
	if c.bin, err = choose(installed(ctx), c.data); err != nil {
		return err
	}
	if err := c.settle(ctx); err != nil {
		return err
	}
	if err := c.initialise(ctx); err != nil {
		return err
	}
	if c.run, err = socketFolder(c.opts.Dir, c.acc); err != nil {
		return err
	}
	return c.configure()
}

// takeLock keeps a second process out; the kernel gives it back when we end, however we end.
func (c *Cluster) takeLock() error {
	path := filepath.Join(c.opts.Dir, "postgres.lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("lock the data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("%w: %s", ErrInUse, c.opts.Dir)
		}
		return fmt.Errorf("lock the data folder: %w", err)
	}
	c.lock = f
	return nil
}

func (c *Cluster) unlock() {
	if c.run != "" && !strings.HasPrefix(c.run, c.opts.Dir+"/") {
		os.Remove(c.run) // below the folder for temporary files; empty once the server has ended
	}
	if c.lock != nil {
		c.lock.Close()
	}
}

// waitReady polls until the server takes connections. While it recovers it says so, and we wait on.
func (c *Cluster) waitReady(ctx context.Context) error {
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.try(ctx, "postgres")
		if err == nil {
			return nil
		}
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code != "57P03" { // cannot_connect_now
			return fmt.Errorf("connect to the cluster: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for PostgreSQL: %w", context.Cause(ctx))
		case <-c.ended:
			return c.failed
		case <-tick.C:
		}
	}
}

func (c *Cluster) try(ctx context.Context, database string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL(database))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// URL is the address of a database of the cluster; empty: the program's own.
func (c *Cluster) URL(database string) string { return address(c.run, database) }

func address(run, database string) string {
	if database == "" {
		database = Database
	}
	q := url.Values{"host": {run}, "port": {"5432"}, "user": {Role}, "sslmode": {"disable"}}
	return "postgres:///" + database + "?" + q.Encode()
}

// Pid is the server's process, 0 while there is none.
func (c *Cluster) Pid() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.proc == nil {
		return 0
	}
	return c.proc.Pid
}

// Restarts counts how often the server died under us and was started again.
func (c *Cluster) Restarts() int64 { return c.restarts.Load() }

// Done is closed when the server has ended for good: stopped, or given up on.
func (c *Cluster) Done() <-chan struct{} { return c.ended }

// Stop ends the server: open transactions are rolled back and everything is written. When ctx ends first it is stopped
// the hard way, which the next start recovers from.
func (c *Cluster) Stop(ctx context.Context) error {
	c.mu.Lock()
	select {
	case <-c.stopping:
	default:
		close(c.stopping)
	}
	if c.proc != nil {
		c.proc.Signal(syscall.SIGINT) //nolint:errcheck // it may have ended already
	}
	c.mu.Unlock()
	var err error
	for _, harder := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGKILL} {
		select {
		case <-c.ended:
			c.unlock()
			return err
		case <-ctx.Done():
		}
		err = fmt.Errorf("PostgreSQL did not stop in time and was sent %v: %w", harder, context.Cause(ctx))
		c.mu.Lock()
		if c.proc != nil {
			c.proc.Signal(harder) //nolint:errcheck // it may have ended already
		}
		c.mu.Unlock()
		next, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		ctx = next
	}
	<-c.ended
	c.unlock()
	return err
}

// admitted lists the accounts of the machine that may connect: root and whoever started us.
func admitted() []string {
	names := []string{"root"}
	if me, err := user.Current(); err == nil && me.Username != "root" {
		names = append(names, me.Username)
	}
	return names
}
