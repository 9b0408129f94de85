package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/ingest"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/pgtest"
	"zhijiao/internal/topic"
)

// peer is one process that reads, as far as leases go: its own sessions, and a recorder whose commits are fenced by the real
// database.
type peer struct {
	*setup
	name    string
	metrics *prometheus.Registry
}

// join starts a process that shares the partitions of b.
func join(t *testing.T, b *mqtttest.B, url, name string, change func(*ingest.Options)) *peer {
	t.Helper()
	cc, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{name: name, metrics: prometheus.NewRegistry()}
	leases, err := ingest.NewLeases(ingest.LeaseOptions{Database: cc, Instance: name, Partitions: b.Partitions,
		TTL: time.Second, Every: 50 * time.Millisecond, Log: slog.New(slog.DiscardHandler), Register: p.metrics})
	if err != nil {
		t.Fatal(err)
	}
	pool := pgtest.Pool(t, url)
	rec := &recorder{}
	rec.set(func(ctx context.Context, batch geofence.Batch) error { return fenced(ctx, pool, batch, nil) })
	p.setup = start(t, b, rec, func(o *ingest.Options) {
		o.Leases, o.AckWait = leases, time.Second
		if change != nil {
			change(o)
		}
	})
	return p
}

// fenced is the transaction of a batch with nothing in it but what is asked first, and what happens then.
func fenced(ctx context.Context, pool *pgxpool.Pool, batch geofence.Batch, then func() error) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if err := batch.Fence(ctx, tx); err != nil {
			return err
		}
		if then != nil {
			return then()
		}
		return nil
	})
}

func (p *peer) leases(t *testing.T) int {
	return int(counter(t, p.metrics, "zhijiao_ingest_leases", ""))
}

// Partitions spread over the processes that run, and come back when one leaves; what devices say arrives all the while.
func TestPartitionsSpreadOverProcesses_R116(t *testing.T) {
	t.Parallel()
	serials := []string{"WB-1", "WB-2", "WB-3", "WB-4", "WB-5", "WB-6"}
	b := mqtttest.Broker(t, mqtttest.Options{Partitions: 4, Devices: serials, AckWait: time.Second})
	url := pgtest.URL(t)
	first := join(t, b, url, "first", nil)
	if n := first.leases(t); n != 4 {
		t.Fatalf("alone it reads %d of 4 partitions", n)
	}
	stop := make(chan struct{})
	type acked struct {
		serial string
		n      int
	}
	sent := make(chan acked, len(serials))
	for _, serial := range serials {
		device := mqtttest.Link(t, b.Device(serial))
		go func() {
			n := 0
			for ctx := context.Background(); ; n++ {
				select {
				case <-stop:
					sent <- acked{serial, n}
					return
				default:
				}
				try, cancel := context.WithTimeout(ctx, patience)
				err := device.Publish(try, topic.Up(devices.Serial(serial), "fix"), 1, payload(n+1, n+1))
				cancel()
				if err != nil {
					t.Errorf("%s: %v", serial, err)
					sent <- acked{serial, n}
					return
				}
			}
		}()
	}
	second := join(t, b, url, "second", nil)
	mqtttest.Eventually(t, "two each", func() bool { return first.leases(t) == 2 && second.leases(t) == 2 })
	third := join(t, b, url, "third", nil)
	mqtttest.Eventually(t, "nobody has none", func() bool {
		a, b, c := first.leases(t), second.leases(t), third.leases(t)
		return a+b+c == 4 && a > 0 && b > 0 && c > 0
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := second.in.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := third.in.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	mqtttest.Eventually(t, "all of them come back", func() bool { return first.leases(t) == 4 })
	mqtttest.Eventually(t, "and are read", func() bool { return first.in.Ready() == nil && !first.in.Backlog() })
	close(stop)
	of := map[string]int{}
	for range serials {
		a := <-sent
		of[a.serial] = a.n
	}
	mqtttest.Eventually(t, "nothing waits any more", func() bool { waiting, given := b.Embedded.Backlog(); return waiting+given == 0 })
	for serial, n := range of {
		for seq := 1; seq <= n; seq++ { // the recorder knows no windows: more than once is the engine's matter
			if first.times(serial, seq)+second.times(serial, seq)+third.times(serial, seq) == 0 {
				t.Errorf("%s: %d of %d was acknowledged and is nowhere", serial, seq, n)
			}
		}
		if n == 0 {
			t.Errorf("%s could not send anything", serial)
		}
	}
}

// times is how often a sequence was committed by this process.
func (p *peer) times(serial string, seq int) int {
	p.rec.mu.Lock()
	defer p.rec.mu.Unlock()
	return p.rec.committed[fmt.Sprintf("%s/%d", serial, seq)]
}

// Whoever hangs, even inside a transaction, commits nothing after its partition was taken over, and does not take the session
// back from its successor.
func TestWhoHungCommitsNothing_R116(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{Devices: []string{"WB-1"}, AckWait: time.Second})
	url := pgtest.URL(t)
	pool := pgtest.Pool(t, url)
	first := join(t, b, url, "first", nil)
	entered, release := make(chan struct{}, 8), make(chan struct{})
	var held geofence.Batch
	result := make(chan error, 1)
	first.rec.set(func(_ context.Context, batch geofence.Batch) error {
		held = batch
		entered <- struct{}{}
		<-release // as a process that was stopped before its transaction began
		err := fenced(context.Background(), pool, batch, nil)
		select {
		case result <- err:
		default:
		}
		return err
	})
	send(t, mqtttest.Link(t, b.Device("WB-1")), "WB-1", 1)
	<-entered
	// The successor takes over although the first one's signs of life go on: they are not what counts.
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), `UPDATE partition_lease SET owner = 'another', epoch = epoch + 1`); err != nil {
		t.Fatal(err)
	}
	close(release)
	if err := <-result; !errors.Is(err, ingest.ErrFenced) {
		t.Errorf("a commit under a lease that was taken over: %v", err)
	}
	if n := first.times("WB-1", 1); n != 0 {
		t.Error("it was committed")
	}
	if held.Fence == nil {
		t.Fatal("a batch without a fence")
	}
	// Nobody called another runs: the first one gets its partition back, and the message with it.
	first.rec.set(func(ctx context.Context, batch geofence.Batch) error { return fenced(ctx, pool, batch, nil) })
	mqtttest.Eventually(t, "it comes again", func() bool { return first.times("WB-1", 1) == 1 })
	if n := counter(t, first.metrics, "zhijiao_ingest_leases_lost_total", ""); n != 1 {
		t.Errorf("%v leases lost", n)
	}
}

// A transaction that is open holds off the takeover until it ends: both never commit.
func TestTakeoverWaitsForTheCommitUnderWay_R116(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{Devices: []string{"WB-1"}, AckWait: time.Second})
	url := pgtest.URL(t)
	pool := pgtest.Pool(t, url)
	first := join(t, b, url, "first", nil)
	inside, release := make(chan struct{}), make(chan struct{})
	first.rec.set(func(_ context.Context, batch geofence.Batch) error {
		return fenced(context.Background(), pool, batch, func() error {
			select {
			case <-inside:
			default:
				close(inside)
			}
			<-release
			return nil
		})
	})
	send(t, mqtttest.Link(t, b.Device("WB-1")), "WB-1", 1)
	<-inside
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), `SET lock_timeout = '50ms'`); err != nil {
		t.Fatal(err)
	}
	const takeover = `UPDATE partition_lease SET owner = 'another', epoch = epoch + 1`
	if _, err := conn.Exec(t.Context(), takeover); err == nil {
		t.Error("taken over while a commit was under way")
	}
	close(release)
	mqtttest.Eventually(t, "it is committed once", func() bool { return first.times("WB-1", 1) == 1 })
	mqtttest.Eventually(t, "and then it can be taken over", func() bool { _, err := conn.Exec(t.Context(), takeover); return err == nil })
}

// With a broker that cannot map, one session feeds several lanes; of one device everything stays in order.
func TestLanesKeepTheOrderOfADevice(t *testing.T) {
	t.Parallel()
	serials := []string{"WB-1", "WB-2", "WB-3", "WB-4", "WB-5", "WB-6", "WB-7", "WB-8"}
	b := mqtttest.Broker(t, mqtttest.Options{Kind: mqtttest.Mosquitto, Devices: serials})
	s := start(t, b, &recorder{}, func(o *ingest.Options) { o.Partitions = 4 })
	for _, serial := range serials {
		send(t, mqtttest.Link(t, b.Device(serial)), serial, 100)
	}
	mqtttest.Eventually(t, "all", func() bool { return len(s.rec.observations()) == 800 })
	last, counters := map[string]int64{}, map[int]bool{}
	for _, o := range s.rec.observations() {
		if o.Seq != last[string(o.Serial)]+1 {
			t.Fatalf("%s: %d after %d", o.Serial, o.Seq, last[string(o.Serial)])
		}
		last[string(o.Serial)] = o.Seq
	}
	s.rec.mu.Lock()
	defer s.rec.mu.Unlock()
	for _, batch := range s.rec.batches {
		counters[batch.Partition] = true
	}
	if len(counters) < 2 {
		t.Errorf("%d lanes were used", len(counters))
	}
}
