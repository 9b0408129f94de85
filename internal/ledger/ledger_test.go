package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"slices"
	"sync"
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

var at = time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)

func entry(n int64) ledger.Entry {
	return ledger.Entry{At: at, Kind: "thing.happened", Entity: "thing", EntityID: n, Version: 1, Body: []byte(`{"a": 1}`)}
}

func appendOne(t testing.TB, pool *pgxpool.Pool, n int64) {
	t.Helper()
	if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error { return ledger.Append(t.Context(), tx, entry(n)) }); err != nil {
		t.Error(err)
	}
}

// follow collects entity ids until want have come.
func follow(ctx context.Context, t testing.TB, pool *pgxpool.Pool, l *ledger.Listener, after int64, want int) []int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var got []int64
	done := errors.New("enough")
	err := ledger.Follow(ctx, pool, l, after, func(es []ledger.Entry) error {
		for _, e := range es {
			got = append(got, e.EntityID)
		}
		if len(got) >= want {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		t.Fatalf("followed %d of %d entries: %v", len(got), want, err)
	}
	return got
}

func TestCommitInReverseSkipsNothing(t *testing.T) {
	t.Parallel()
	pool, ctx := pgtest.Schema(t), t.Context()
	first, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Rollback(ctx) //nolint:errcheck // committed below
	if _, err := first.Exec(ctx, "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	appendOne(t, pool, 2) // began later, committed earlier
	if got := follow(ctx, t, pool, nil, 0, 1); !slices.Equal(got, []int64{2}) {
		t.Fatalf("read %v", got)
	}
	head, err := ledger.Head(ctx, pool)
	if err != nil {
		t.Fatal(err)
	}
	if err := ledger.Append(ctx, first, entry(1)); err != nil {
		t.Fatal(err)
	}
	if err := first.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if got := follow(ctx, t, pool, nil, head, 1); !slices.Equal(got, []int64{1}) {
		t.Errorf("the reader went on with %v, want the row of the transaction that began first", got)
	}
}

func TestOpenWriterDelaysNothing(t *testing.T) {
	t.Parallel()
	pool, ctx := pgtest.Schema(t), t.Context()
	// A writer of this schema and one of another database, both holding a transaction open that has written.
	here, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Rollback(ctx) //nolint:errcheck // that is the point
	if _, err := here.Exec(ctx, "INSERT INTO ledger_cursor (reader) VALUES ('open')"); err != nil {
		t.Fatal(err)
	}
	elsewhere, err := pgx.Connect(ctx, pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close(context.WithoutCancel(ctx))
	if _, err := elsewhere.Exec(ctx, "BEGIN; CREATE TABLE held (n int)"); err != nil {
		t.Fatal(err)
	}
	appendOne(t, pool, 7)
	if got := follow(ctx, t, pool, nil, 0, 1); !slices.Equal(got, []int64{7}) {
		t.Errorf("read %v", got)
	}
}

func TestManyAppendersOneOrder(t *testing.T) {
	t.Parallel()
	pool, ctx := pgtest.Schema(t), t.Context()
	l := ledger.NewListener(pool, slog.New(slog.DiscardHandler))
	lctx, stop := context.WithCancel(ctx)
	listening := make(chan struct{})
	go func() { defer close(listening); _ = l.Run(lctx) }()
	defer func() { stop(); <-listening }()

	const writers, each = 6, 40
	live := make(chan []int64, 1)
	go func() { live <- follow(ctx, t, pool, l, 0, writers*each) }()
	var wg sync.WaitGroup
	for w := range int64(writers) {
		wg.Go(func() {
			for n := range int64(each) {
				appendOne(t, pool, w*1000+n)
			}
		})
	}
	wg.Wait()
	got := <-live
	if again := follow(ctx, t, pool, nil, 0, writers*each); !slices.Equal(got, again) {
		t.Error("following live and reading back differ")
	}
	seen := map[int64]int64{}
	for _, n := range got {
		w := n / 1000
		if n%1000 != seen[w] {
			t.Fatalf("writer %d: entry %d came where %d was due", w, n%1000, seen[w])
		}
		seen[w]++
	}
}

func TestTailTakesEffectOnce(t *testing.T) {
	t.Parallel()
	pool, ctx := pgtest.Schema(t), t.Context()
	for n := range int64(5) {
		appendOne(t, pool, n)
	}
	fail := true
	tail := &ledger.Tail{Name: "effects", Pool: pool, Log: slog.New(slog.DiscardHandler),
		Handle: func(ctx context.Context, tx pgx.Tx, es []ledger.Entry) error {
			for _, e := range es {
				if _, err := tx.Exec(ctx, "INSERT INTO org (kind, name, short_name) VALUES ('squadron', $1, $1)", fmt.Sprint(e.EntityID)); err != nil {
					return err
				}
			}
			if fail {
				return errors.New("killed here")
			}
			return nil
		}}
	if _, err := tail.Step(ctx); err != nil { // makes the cursor
		t.Fatal(err)
	}
	if _, err := tail.Step(ctx); err == nil {
		t.Fatal("the failing handler was not reported")
	}
	fail = false
	for {
		n, err := tail.Step(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	var effects, distinct int
	if err := pool.QueryRow(ctx, "SELECT count(*), count(DISTINCT name) FROM org").Scan(&effects, &distinct); err != nil {
		t.Fatal(err)
	}
	if effects != 5 || distinct != 5 {
		t.Errorf("%d effects of %d entries, want each of 5 once", effects, distinct)
	}
}

func TestTwoTailsOfOneNameTakeTurns(t *testing.T) {
	t.Parallel()
	pool, ctx := pgtest.Schema(t), t.Context()
	inside, goOn := make(chan struct{}), make(chan struct{})
	slow := &ledger.Tail{Name: "one", Pool: pool, Log: slog.New(slog.DiscardHandler),
		Handle: func(context.Context, pgx.Tx, []ledger.Entry) error { close(inside); <-goOn; return nil }}
	if _, err := slow.Step(ctx); err != nil {
		t.Fatal(err)
	}
	appendOne(t, pool, 1)
	done := make(chan error, 1)
	go func() { _, err := slow.Step(ctx); done <- err }()
	<-inside
	other := &ledger.Tail{Name: "one", Pool: pool, Log: slog.New(slog.DiscardHandler),
		Handle: func(context.Context, pgx.Tx, []ledger.Entry) error { t.Error("both read the same entry"); return nil }}
	if n, err := other.Step(ctx); n != 0 || err != nil {
		t.Errorf("the second reader got %d entries, %v", n, err)
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n, err := other.Step(ctx); n != 0 || err != nil {
		t.Errorf("after the first had read, the second got %d entries, %v", n, err)
	}
}

func TestHistoryIsAppendOnly(t *testing.T) {
	t.Parallel()
	pool := pgtest.Schema(t)
	appendOne(t, pool, 1)
	for _, sql := range []string{"UPDATE ledger SET kind = 'x'", "DELETE FROM ledger"} {
		if _, err := pool.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s was let through", sql)
		}
	}
}

func TestDumpAndRestoreGoesOn(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	from, to := pgtest.Database(t), pgtest.Database(t)
	conn, err := pgx.Connect(ctx, from)
	if err != nil {
		t.Fatal(err)
	}
	if err := migrations.Up(ctx, conn); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(ctx); err != nil {
		t.Fatal(err)
	}
	pool := pgtest.Pool(t, from)
	for n := range int64(9) {
		appendOne(t, pool, n)
	}
	tail := &ledger.Tail{Name: "reader", Pool: pool, Log: slog.New(slog.DiscardHandler),
		Handle: func(context.Context, pgx.Tx, []ledger.Entry) error { return nil }}
	for range 2 {
		if _, err := tail.Step(ctx); err != nil {
			t.Fatal(err)
		}
	}
	dump := exec.CommandContext(ctx, "sh", "-c", `pg_dump "$1" | psql -q -v ON_ERROR_STOP=1 "$2" >/dev/null`, "sh", from, to)
	if out, err := dump.CombinedOutput(); err != nil {
		t.Fatalf("dump and restore: %v\n%s", err, out)
	}
	restored := pgtest.Pool(t, to)
	appendOne(t, restored, 9)
	var got []int64
	tail = &ledger.Tail{Name: "reader", Pool: restored, Log: slog.New(slog.DiscardHandler),
		Handle: func(_ context.Context, _ pgx.Tx, es []ledger.Entry) error {
			for _, e := range es {
				got = append(got, e.EntityID)
			}
			return nil
		}}
	if _, err := tail.Step(ctx); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []int64{9}) {
		t.Errorf("in the restored cluster the reader went on with %v, want exactly the new entry", got)
	}
}

func TestMetricsAreWellNamed(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	ledger.NewMetrics(reg)
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}
