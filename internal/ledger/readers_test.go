package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"zhijiao/internal/ledger"
	"zhijiao/internal/pgtest"
	"zhijiao/migrations"
)

var silent = slog.New(slog.DiscardHandler)

// run runs something that ends with its context, and waits for it at the end of the test.
func run(t *testing.T, loop func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = loop(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// until polls for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// effects takes effect by naming an organisation after each entry: a name twice is an effect twice.
func effects(ctx context.Context, tx pgx.Tx, es []ledger.Entry) error {
	for _, e := range es {
		if _, err := tx.Exec(ctx, "INSERT INTO org (kind, name, short_name) VALUES ('squadron', $1, $1)", fmt.Sprint(e.EntityID)); err != nil {
			return err
		}
	}
	return nil
}

func effectsIn(t *testing.T, pool *pgxpool.Pool) (names []string) {
	t.Helper()
	rows, err := pool.Query(t.Context(), "SELECT name FROM org ORDER BY org_id")
	if err != nil {
		t.Fatal(err)
	}
	if names, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		t.Fatal(err)
	}
	return names
}

func TestFollowResumesWhereItBrokeOff_R59(t *testing.T) {
	t.Parallel()
	pool := pgtest.Schema(t)
	for n := range int64(10) {
		appendOne(t, pool, n)
	}
	lost := errors.New("connection lost")
	var got []int64
	after := int64(0)
	// Every connection takes three entries and breaks; more are written in between. The client resumes with the last
	// position that it took.
	for round := int64(0); len(got) < 15; round++ {
		taken := 0
		err := ledger.Follow(t.Context(), pool, nil, after, func(es []ledger.Entry) error {
			for _, e := range es {
				if taken == 3 {
					return lost
				}
				got, after, taken = append(got, e.EntityID), e.Pos, taken+1
			}
			return lost
		})
		if !errors.Is(err, lost) {
			t.Fatal(err)
		}
		if round < 5 {
			appendOne(t, pool, 10+round)
		}
	}
	if want := []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}; !slices.Equal(got, want) {
		t.Errorf("across reconnects came %v, want each once and in order", got)
	}
}

func TestKilledInTheMiddleRepeatsWithoutDoubleEffect(t *testing.T) {
	t.Parallel()
	pool, ctx := pgtest.Schema(t), t.Context()
	for n := range int64(3) {
		appendOne(t, pool, n)
	}
	kill, committed := true, 0
	tail := &ledger.Tail{Name: "killed", Pool: pool, Log: silent, Committed: func() { committed++ },
		Handle: func(ctx context.Context, tx pgx.Tx, es []ledger.Entry) error {
			if err := effects(ctx, tx, es); err != nil {
				return err
			}
			if kill { // the server loses the connection after the effect, before the commit
				_, err := pool.Exec(ctx, "SELECT pg_terminate_backend($1)", tx.Conn().PgConn().PID())
				return err
			}
			return nil
		}}
	if _, err := tail.Step(ctx); err != nil { // makes the cursor
		t.Fatal(err)
	}
	if _, err := tail.Step(ctx); err == nil {
		t.Fatal("committed on a dead connection")
	}
	if names := effectsIn(t, pool); len(names) != 0 || committed != 0 {
		t.Fatalf("after the kill there are effects %v, said committed %d times", names, committed)
	}
	kill = false
	until(t, "the cursor, which the dying connection may hold for a moment", func() bool {
		n, err := tail.Step(ctx)
		if err != nil || n != 0 && n != 3 {
			t.Fatalf("took %d entries, %v", n, err)
		}
		return n == 3
	})
	if names := effectsIn(t, pool); !slices.Equal(names, []string{"0", "1", "2"}) || committed != 1 {
		t.Errorf("effects %v, said committed %d times", names, committed)
	}
}

func TestPoisonIsSeenAndNeverSkipped(t *testing.T) {
	t.Parallel()
	pool := pgtest.Schema(t)
	reg := prometheus.NewPedanticRegistry()
	metrics := ledger.NewMetrics(reg)
	value := func(name string) float64 { return gathered(t, reg, name) }

	var poisoned atomic.Bool
	poisoned.Store(true)
	handle := func(ctx context.Context, tx pgx.Tx, es []ledger.Entry) error {
		if poisoned.Load() && slices.ContainsFunc(es, func(e ledger.Entry) bool { return e.EntityID == 1 }) {
			return errors.New("cannot make sense of it")
		}
		return effects(ctx, tx, es)
	}
	newTail := func() *ledger.Tail {
		return &ledger.Tail{Name: "strict", Pool: pool, Log: silent, Metrics: metrics, Handle: handle}
	}
	stop := run(t, newTail().Run)
	appendOne(t, pool, 0)
	until(t, "the first entry", func() bool { return len(effectsIn(t, pool)) == 1 })
	appendOne(t, pool, 1)
	appendOne(t, pool, 2)
	until(t, "two failures", func() bool { return value("zhijiao_ledger_reader_failures_total") >= 2 })
	if n, age := value("zhijiao_ledger_lag_entries"), value("zhijiao_ledger_lag_seconds"); n != 2 || age <= 0 {
		t.Errorf("while it cannot go on the lag is %v entries, %v s", n, age)
	}
	if names := effectsIn(t, pool); !slices.Equal(names, []string{"0"}) {
		t.Errorf("past the entry that fails it went on with %v", names)
	}
	stop() // and a restart with what was wrong mended
	poisoned.Store(false)
	run(t, newTail().Run)
	until(t, "no lag", func() bool { return value("zhijiao_ledger_lag_entries") == 0 })
	if names := effectsIn(t, pool); !slices.Equal(names, []string{"0", "1", "2"}) {
		t.Errorf("effects %v", names)
	}
}

// gathered is the value of a metric with one series; 0 when there is none yet.
func gathered(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return 0
}

func TestListenerComesBack(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := pgtest.Database(t) // NOTIFY is heard in the whole database: one of our own
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the test is over
	if err := migrations.Up(ctx, conn); err != nil {
		t.Fatal(err)
	}
	pool := pgtest.Pool(t, url)
	l := ledger.NewListener(pool, silent)
	woken, cancel := l.Subscribe()
	defer cancel()
	run(t, l.Run)
	signal := func(what string) {
		t.Helper()
		select {
		case <-woken:
		case <-time.After(30 * time.Second):
			t.Fatalf("not woken %s", what)
		}
	}
	signal("when it began to listen")
	appendOne(t, pool, 1)
	signal("by an entry")
	var cut int
	if err := conn.QueryRow(ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND query = 'LISTEN ledger'`).Scan(&cut); err != nil || cut != 1 {
		t.Fatalf("cut %d connections, %v", cut, err)
	}
	signal("when it listened again")
	appendOne(t, pool, 2)
	signal("by an entry after that")
}

func TestLagIsNoneWhenNothingWaits(t *testing.T) {
	t.Parallel()
	pool, ctx := pgtest.Schema(t), t.Context()
	reg := prometheus.NewPedanticRegistry()
	tail := &ledger.Tail{Name: "calm", Pool: pool, Log: silent, Metrics: ledger.NewMetrics(reg), Handle: effects}
	// Positions have gaps: an append that was undone leaves one.
	appendOne(t, pool, 1)
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(ledger.Append(ctx, tx, entry(2)), tx.Rollback(ctx)); err != nil {
		t.Fatal(err)
	}
	appendOne(t, pool, 3)
	run(t, tail.Run)
	until(t, "all effects", func() bool { return len(effectsIn(t, pool)) == 2 })
	until(t, "lag told", func() bool { return testutil.CollectAndCount(reg, "zhijiao_ledger_lag_entries") == 1 })
	until(t, "no lag", func() bool {
		return gathered(t, reg, "zhijiao_ledger_lag_entries") == 0 && gathered(t, reg, "zhijiao_ledger_lag_seconds") == 0
	})
}
