package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	defaultTTL   = 5 * time.Second
	defaultEvery = time.Second
	leaveWait    = 3 * time.Second
)

// ErrFenced is the error of a commit under a lease that somebody else holds by now.
var ErrFenced = errors.New("ingest: another process has taken the partition over")

// errNotOurs is why no connection is made: this process was not in touch for so long that a successor may read.
var errNotOurs = errors.New("ingest: the lease of the partition is not certain")

// LeaseOptions are what Leases are built of.
type LeaseOptions struct {
	// Database is how to connect: one connection of its own, so that no other work delays the sign of life.
	Database *pgx.ConnConfig
	// Instance is the name of this process: no two that run have the same.
	Instance   string
	Partitions int
	// TTL is how long a process that hangs keeps what it reads: 5 s. One that ends loses it at once, because its session in the
	// database ends with it. Every is how often it says that it runs: 1 s. Machine time.
	TTL, Every time.Duration

	Log      *slog.Logger
	Register prometheus.Registerer
}

// Leases spread partitions over the processes that run, each read by one process at a time. They are transport: what is
// committed under a lease that was taken over meanwhile fails (Lease.Fence), however long its owner hung and wherever.
type Leases struct {
	o LeaseOptions

	mu     sync.Mutex
	held   map[int]*Lease
	sure   time.Time // of the newest look that showed what is held as held: sure until TTL after it
	others *seen     // as last looked
	failed error     // why the last look failed

	granted []chan *Lease // by partition, capacity 1
	waiting []atomic.Bool // by partition: its reader has nothing left to do for an earlier lease
	state   func() (backlog, hears bool)
	cancel  context.CancelFunc
	done    chan struct{}

	collectors []prometheus.Collector
	takings    prometheus.Counter
	losses     prometheus.Counter
}

// Lease is the right to read one partition, and to commit what was read. A nil lease is of one who reads alone.
type Lease struct {
	of        *Leases
	partition int
	epoch     int64
	lost      chan struct{} // closed when it is somebody else's, or nobody can tell, or it is to be given back
	once      sync.Once
}

// NewLeases prepares; nothing is taken before Start.
func NewLeases(o LeaseOptions) (*Leases, error) {
	if o.Database == nil || o.Instance == "" || o.Partitions < 1 || o.Log == nil || o.Register == nil {
		return nil, errors.New("ingest: leases need a database, the name of the process, partitions, a log and a metrics registry")
	}
	if o.TTL == 0 {
		o.TTL = defaultTTL
	}
	if o.Every == 0 {
		o.Every = defaultEvery
	}
	o.Database = o.Database.Copy()
	o.Database.RuntimeParams["lock_timeout"] = leaseTimeout
	l := &Leases{o: o, held: map[int]*Lease{}, done: make(chan struct{}), state: func() (bool, bool) { return true, false }}
	l.waiting = make([]atomic.Bool, o.Partitions)
	for range o.Partitions {
		l.granted = append(l.granted, make(chan *Lease, 1))
	}
	l.takings = prometheus.NewCounter(prometheus.CounterOpts{Name: "zhijiao_ingest_leases_taken_total", Help: "Partitions this process began to read."})
	l.losses = prometheus.NewCounter(prometheus.CounterOpts{Name: "zhijiao_ingest_leases_lost_total", Help: "Partitions this process had to stop reading at once."})
	l.collectors = []prometheus.Collector{l.takings, l.losses,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zhijiao_ingest_leases", Help: "Partitions this process reads."}, func() float64 {
			l.mu.Lock()
			defer l.mu.Unlock()
			return float64(len(l.held))
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zhijiao_ingest_processes", Help: "Processes that read, this one among them."}, func() float64 {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.others == nil {
				return 0
			}
			return float64(len(l.others.processes))
		})}
	for _, c := range l.collectors {
		if err := o.Register.Register(c); err != nil {
			return nil, fmt.Errorf("ingest: leases: metrics: %w", err)
		}
	}
	return l, nil
}

// Start takes what is free. state says of this process whether it lags behind, and whether it hears.
func (l *Leases) Start(state func() (backlog, hears bool)) {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	if state != nil {
		l.state = state
	}
	go l.run(ctx)
}

// Stop gives everything back. Whoever reads must have stopped reading.
func (l *Leases) Stop() {
	if l.cancel != nil {
		l.cancel()
		<-l.done
	}
	for _, c := range l.collectors {
		l.o.Register.Unregister(c)
	}
}

// acquire waits until this process is to read a partition.
func (l *Leases) acquire(ctx context.Context, partition int) (*Lease, error) {
	if l == nil {
		return nil, ctx.Err()
	}
	l.waiting[partition].Store(true)
	defer l.waiting[partition].Store(false)
	select {
	case lease := <-l.granted[partition]:
		return lease, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Fence is for the transaction of a batch: see geofence.Batch.
func (l *Lease) Fence(ctx context.Context, tx pgx.Tx) error {
	err := fence(ctx, tx, l.partition, l.epoch)
	if errors.Is(err, ErrFenced) {
		l.of.drop(l, err)
	}
	return err
}

// certain is nil while nobody else can have taken the partition over.
func (l *Lease) certain() error {
	if l == nil {
		return nil
	}
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	if l.of.held[l.partition] != l || time.Since(l.of.sure) >= l.of.o.TTL {
		return errNotOurs
	}
	return nil
}

// gone is closed when reading has to end.
func (l *Lease) gone() <-chan struct{} {
	if l == nil {
		return nil
	}
	return l.lost
}

// release says that reading has ended. The partition is given back at the next look, or was somebody else's already.
func (l *Lease) release() {
	if l == nil {
		return
	}
	l.end()
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	if l.of.held[l.partition] == l {
		delete(l.of.held, l.partition)
	}
}

func (l *Lease) end() { l.once.Do(func() { close(l.lost) }) }

// drop ends a lease that is somebody else's, or may be.
func (l *Leases) drop(lease *Lease, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[lease.partition] != lease {
		return
	}
	delete(l.held, lease.partition)
	l.losses.Inc()
	lease.end()
	l.o.Log.Warn("a partition is no longer ours", "partition", lease.partition, "epoch", lease.epoch, "why", why)
}

// Covered is nil when every partition is read by a process that runs, as last looked, and says what is not when not.
func (l *Leases) Covered() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return fmt.Errorf("who reads what is not known: %w", l.failed)
	}
	if l.others == nil {
		return errors.New("who reads what is not known yet")
	}
	for k := range l.o.Partitions {
		if l.others.leases[k].owner == "" {
			return fmt.Errorf("partition %d is read by nobody", k)
		}
	}
	return nil
}

// elsewhere says of the other processes whether one lags behind, and whether all hear.
func (l *Leases) elsewhere() (backlog, hears bool) {
	if l == nil {
		return false, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	hears = true
	if l.others == nil {
		return true, false
	}
	for name, p := range l.others.processes {
		if name == l.o.Instance {
			continue
		}
		owns := false
		for _, lease := range l.others.leases {
			owns = owns || lease.owner == name
		}
		if owns {
			backlog, hears = backlog || p.backlog, hears && p.hears
		}
	}
	return backlog, hears
}

// run says that this process runs, looks who else does, takes and gives back, over and over.
func (l *Leases) run(ctx context.Context) {
	defer close(l.done)
	var conn *pgx.Conn
	tick := time.NewTicker(l.o.Every)
	defer tick.Stop()
	for ctx.Err() == nil {
		looking, cancel := context.WithTimeout(ctx, l.o.TTL)
		err := l.turn(looking, &conn)
		cancel()
		l.settle(ctx, err)
		if err != nil && conn != nil {
			conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // what is wrong with it is known
			conn = nil
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	l.mu.Lock()
	held := l.held
	l.held = map[int]*Lease{}
	l.mu.Unlock()
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWait)
	defer cancel()
	for _, lease := range held {
		lease.end()
	}
	if conn == nil {
		return
	}
	for _, lease := range held {
		if err := giveBack(bye, conn, lease.partition, lease.epoch); err != nil {
			l.o.Log.Warn("a partition was not given back: it is free as soon as this process has ended", "error", err)
			break
		}
	}
	if err := leave(bye, conn, l.o.Instance); err != nil {
		l.o.Log.Warn("the end of this process was not told", "error", err)
	}
	conn.Close(bye) //nolint:errcheck // it ends with us
}

// settle keeps why a look failed, and ends what is no longer certain.
func (l *Leases) settle(ctx context.Context, err error) {
	l.mu.Lock()
	if ctx.Err() == nil {
		if err != nil && l.failed == nil {
			l.o.Log.Warn("who reads what cannot be looked up", "error", err)
		}
		l.failed = err
	}
	var lost []*Lease
	if time.Since(l.sure) >= l.o.TTL {
		for _, lease := range l.held {
			lost = append(lost, lease)
		}
	}
	l.mu.Unlock()
	for _, lease := range lost {
		l.drop(lease, errNotOurs)
	}
}

// turn is one round.
func (l *Leases) turn(ctx context.Context, conn **pgx.Conn) error {
	if *conn == nil {
		c, err := pgx.ConnectConfig(ctx, l.o.Database)
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		*conn = c
	}
	begin := time.Now()
	backlog, hears := l.state()
	if err := beat(ctx, *conn, l.o.Instance, backlog, hears); err != nil {
		return err
	}
	if n, err := endSessions(ctx, *conn, l.o.TTL); err != nil {
		return err
	} else if n > 0 {
		l.o.Log.Warn("ended the sessions of a process that hangs", "sessions", n)
	}
	s, err := look(ctx, *conn, l.o.TTL)
	if err != nil {
		return err
	}
	l.mu.Lock()
	held := make(map[int]*Lease, len(l.held))
	var lost []*Lease
	for k, lease := range l.held {
		if now := s.leases[k]; now.owner == l.o.Instance && now.epoch == lease.epoch {
			held[k] = lease
		} else {
			lost = append(lost, lease)
		}
	}
	l.sure = begin // of those that are held still; the others go now
	l.mu.Unlock()
	for _, lease := range lost {
		l.drop(lease, ErrFenced)
	}
	// What the row says is ours and we do not read: a session that has ended its reading, or one before a hang.
	for k, lease := range s.leases {
		if lease.owner == l.o.Instance && held[k] == nil && len(l.granted[k]) == 0 {
			if err := giveBack(ctx, *conn, k, lease.epoch); lockedOut(err) {
				continue // a commit under way of ours: the next round
			} else if err != nil {
				return err
			}
			s.leases[k] = seenLease{epoch: lease.epoch}
		}
	}
	if err := l.balance(ctx, *conn, s, held); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.others = s
	return nil
}

// balance takes free partitions up to a fair share, and gives one back at a time when another process has less than its own.
func (l *Leases) balance(ctx context.Context, conn *pgx.Conn, s *seen, held map[int]*Lease) error {
	for k := range l.o.Partitions {
		if len(held) >= mostFor(s, l.o.Instance, l.o.Partitions) {
			break
		}
		if s.leases[k].owner != "" || !l.waiting[k].Load() {
			continue
		}
		epoch, ok, err := take(ctx, conn, l.o.TTL, k, l.o.Instance)
		if lockedOut(err) {
			continue // a commit under way of whoever had it: the next round tries again
		}
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		lease := &Lease{of: l, partition: k, epoch: epoch, lost: make(chan struct{})}
		held[k] = lease
		s.leases[k] = seenLease{l.o.Instance, epoch}
		l.mu.Lock()
		l.held[k] = lease
		l.mu.Unlock()
		l.takings.Inc()
		l.o.Log.Info("this process reads a partition", "partition", k, "epoch", epoch)
		l.granted[k] <- lease
	}
	if k, ok := tooMany(s, l.o.Instance, l.o.Partitions); ok && held[k] != nil {
		l.o.Log.Info("a partition is given back: another process has room for it", "partition", k)
		held[k].end() // its reader finishes the commit under way and releases it
	}
	return nil
}

// owned is which partitions each process has that runs.
func (s *seen) owned(partitions int) map[string][]int {
	owned := map[string][]int{}
	for name := range s.processes {
		owned[name] = nil
	}
	for k, lease := range s.leases {
		if _, runs := owned[lease.owner]; runs && k < partitions {
			owned[lease.owner] = append(owned[lease.owner], k)
		}
	}
	return owned
}

// mostFor says how many partitions an instance may have: a fair share rounded down while another process has less than that,
// and rounded up when all have.
func mostFor(s *seen, instance string, partitions int) int {
	owned := s.owned(partitions)
	n := max(len(owned), 1)
	for name, list := range owned {
		if name != instance && len(list) < partitions/n {
			return max(partitions/n, 1)
		}
	}
	return (partitions + n - 1) / n
}

// tooMany says which partition an instance gives back: its highest, when it has the most of all (the first by name of those
// who do), more than a fair share rounded down, and somebody has less than that.
func tooMany(s *seen, instance string, partitions int) (int, bool) {
	owned := s.owned(partitions)
	least := partitions / max(len(owned), 1)
	richest, poor := "", false
	for name, list := range owned {
		if len(list) < least {
			poor = true
		}
		if richest == "" || len(list) > len(owned[richest]) || len(list) == len(owned[richest]) && name < richest {
			richest = name
		}
	}
	if !poor || richest != instance || len(owned[instance]) <= least {
		return 0, false
	}
	return slices.Max(owned[instance]), true
}
