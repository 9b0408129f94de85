package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/internal/broker"
	"zhijiao/internal/cluster"
	"zhijiao/internal/crypto"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/pgtest"
)

const (
	benchPairs      = 5
	benchDevices    = 40
	benchPartitions = 2 // as shipped
	benchStep       = 100 * time.Millisecond
	benchWindow     = 100
	benchInFlight   = 2000 // what a session of ours is given before it acknowledges
)

// TestBench measures what the whole path takes in (devices, broker, ingest, evaluation under two rules a subject, commit)
// against what the bare broker delivers to as many bare sessions that only acknowledge: in one run, as the median of
// interleaved pairs, because a machine that does other things as well is slow for both. It is run by `make bench`.
func TestBench(t *testing.T) {
	if os.Getenv("ZHIJIAO_TEST_BENCH") == "" {
		t.Skip("a measurement of minutes: make bench")
	}
	for _, c := range []benchCase{
		{kind: mqtttest.Embedded, sync: broker.SyncAlways, each: 250, fixes: 1},
		{kind: mqtttest.Embedded, sync: broker.SyncInterval, each: 1000, fixes: 1},
		{kind: mqtttest.Embedded, sync: broker.SyncInterval, each: 200, fixes: 20},
		{kind: mqtttest.Mosquitto, each: 1000, fixes: 1},
		{kind: mqtttest.Mosquitto, each: 200, fixes: 20},
	} {
		t.Run(c.String(), func(t *testing.T) { benchPairsOf(t, c) })
	}
}

// benchCase is a broker, and how many messages a device sends a round with how many fixes each.
type benchCase struct {
	kind        mqtttest.Kind
	sync        broker.Sync
	each, fixes int
}

// String names it.
func (c benchCase) String() string {
	name := string(c.kind)
	if c.kind == mqtttest.Embedded {
		name = "sync " + string(c.sync)
	}
	if c.fixes > 1 {
		name += fmt.Sprintf(", %d fixes a message", c.fixes)
	}
	return name
}

func benchPairsOf(t *testing.T, c benchCase) {
	path := newBenchPath(t, c)
	var bare, whole, ratio []float64
	for round := range benchPairs {
		load := path.load(round)
		b := mqtttest.Bare(t, mqtttest.Options{Kind: c.kind, Sync: c.sync, Partitions: benchPartitions, StoreDir: t.TempDir(), Window: benchInFlight}, load) * float64(c.fixes)
		w := path.run(load)
		bare, whole, ratio = append(bare, b), append(whole, w), append(ratio, w/b)
		t.Logf("pair %d: bare broker %6.0f/s, whole path %6.0f/s, ratio %.2f", round+1, b, w, w/b)
	}
	t.Logf("%v, %d devices: bare broker %.0f fixes/s, whole path %.0f fixes/s, ratio %.2f (%.2f to %.2f); medians of %d interleaved pairs",
		c, benchDevices, median(bare), median(whole), median(ratio), slices.Min(ratio), slices.Max(ratio), benchPairs)
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// benchPath is the running program with devices that may speak for subjects, wristbands under an authority, a stay-in and
// a silence rule each.
type benchPath struct {
	t       *testing.T
	pool    *pgxpool.Pool
	broker  *mqtttest.B
	serials []string
	benchCase
	first time.Time
}

func newBenchPath(t *testing.T, c benchCase) *benchPath {
	t.Helper()
	return newBenchPathWith(t, c)
}

// newBenchPathWith also lets others in, who speak for nobody.
func newBenchPathWith(t *testing.T, c benchCase, others ...string) *benchPath {
	t.Helper()
	url, dir := benchDatabase(t), t.TempDir()
	if out, err := program(t, "migrate", "--database-url", url, "--data-dir", dir).result(); err != nil {
		t.Fatalf("migrate: %v: %s", err, out)
	}
	keysFile := filepath.Join(dir, "bench-keys")
	keys, _, err := crypto.LoadOrCreate(keysFile)
	if err != nil {
		t.Fatal(err)
	}
	p := &benchPath{t: t, pool: pgtest.Pool(t, url), benchCase: c}
	for i := range benchDevices {
		p.serials = append(p.serials, fmt.Sprintf("BENCH-%02d", i))
	}
	if err := seedBench(t.Context(), p.pool, append(slices.Clone(p.serials), others...), crypto.DeviceMAC(keys)); err != nil {
		t.Fatal(err)
	}
	p.first = time.Now().UTC().Truncate(time.Second).Add(-5 * time.Minute).Add(-2 * benchPairs * time.Duration(c.each*c.fixes) * benchStep)
	if c.kind == mqtttest.Mosquitto {
		p.broker = mqtttest.Broker(t, mqtttest.Options{Kind: c.kind, StoreDir: t.TempDir(), Window: benchInFlight})
		password := filepath.Join(dir, "password") // this Mosquitto asks for none
		if err := os.WriteFile(password, []byte(mqtttest.Secret("bench")), 0o600); err != nil {
			t.Fatal(err)
		}
		program(t, "serve", "--database-url", url, "--data-dir", dir, "--keys-file", keysFile, "--http-listen", "127.0.0.1:0", "--broker-password-file", password, "--ingest-rate", "0",
			"--broker-url", p.broker.URL, "--broker-mapped", "false", "--broker-partitions", fmt.Sprint(benchPartitions)).waitFor("the console is at")
		return p
	}
	addr := freeAddress(t)
	program(t, "up", "--database-url", url, "--data-dir", dir, "--keys-file", keysFile, "--http-listen", "127.0.0.1:0", "--ingest-rate", "0",
		"--mqtt-listen", addr, "--broker-sync", string(c.sync), "--broker-partitions", fmt.Sprint(benchPartitions)).waitFor("ready")
	p.broker = &mqtttest.B{Kind: mqtttest.Embedded, URL: "tcp://" + addr, Partitions: benchPartitions}
	return p
}

// load is the fixes of one round: every device goes a metre a step, well inside its zone.
func (p *benchPath) load(round int) mqtttest.Load {
	return mqtttest.Load{Serials: p.serials, Each: p.each, Window: benchWindow, Payload: func(_ string, i int) []byte {
		doc := fmt.Appendf(nil, `{"v":1,"boot":1,"sent":%q,"datum":"WGS-84","obs":[`, time.Now().UTC().Format(time.RFC3339))
		for n := range p.fixes {
			seq := (round*p.each+i-1)*p.fixes + n + 1
			if n > 0 {
				doc = append(doc, ',')
			}
			at := p.first.Add(time.Duration(seq-1) * benchStep).Format("2006-01-02T15:04:05.000Z")
			doc = fmt.Appendf(doc, `{"seq":%d,"at":%q,"lon":%.6f,"lat":30.65,"acc":8.5,"method":"gnss","speed":1.2,"sats":9,"battery":83,"strap":"closed",`+
				`"cell":"460-00-1234-5678","signal":-85}`, seq, at, 113.16+float64(seq%20000)*1e-6)
		}
		return append(doc, "]}"...)
	}}
}

// run sends one round through the running program and returns fixes a second, from the first publish to the last commit.
func (p *benchPath) run(load mqtttest.Load) float64 {
	p.t.Helper()
	before, err := storedFixes(p.t.Context(), p.pool)
	if err != nil {
		p.t.Fatal(err)
	}
	want := before + int64(load.Total()*p.fixes)
	var begun time.Time
	wait := load.Start(p.t, p.broker, func() { begun = time.Now() })
	for {
		stored, err := storedFixes(p.t.Context(), p.pool)
		if err != nil {
			p.t.Fatal(err)
		}
		if stored == want {
			break
		}
		if time.Since(begun) > 5*time.Minute {
			outcomes, _ := outcomesOf(context.WithoutCancel(p.t.Context()), p.pool)
			p.t.Fatalf("%d of %d fixes stored; outcomes: %s", stored-before, load.Total()*p.fixes, outcomes)
		}
		time.Sleep(5 * time.Millisecond)
	}
	rate := float64(load.Total()*p.fixes) / time.Since(begun).Seconds()
	wait()
	return rate
}

// benchDatabase is a PostgreSQL of its own on the disk the broker's store is on, with the settings it is run with: what
// pgtest gives may live in memory, and would flatter the path.
func benchDatabase(t *testing.T) string {
	t.Helper()
	c, err := cluster.Start(t.Context(), cluster.Options{Dir: dataFolder(t), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := c.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return c.URL("")
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
