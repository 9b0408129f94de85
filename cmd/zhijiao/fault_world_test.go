package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/cluster"
	"zhijiao/internal/crypto"
	"zhijiao/internal/fail"
	"zhijiao/internal/id"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/pgtest"
	"zhijiao/internal/topic"
)

const (
	faultDevices    = 6
	faultPartitions = 4
	faultStep       = 10 * time.Second     // domain time between two fixes of a device
	faultPace       = 5 * time.Millisecond // and machine time
	cycleFixes      = 120                  // a device leaves its zone once in so many fixes
	outsideFrom     = 40                   // of a cycle, for ten minutes
	outsideUntil    = 100
	faultDays       = 25 // in which everything lies that devices tell of
	faultPatience   = 60 * time.Second
)

// envPoint makes a child end or stop itself at a point: name:kill:3 at the third time it comes there.
const envPoint = "ZHIJIAO_TEST_POINT"

// armPoint is called in a child.
func armPoint(spec string) {
	parts := strings.Split(spec, ":")
	signal := map[string]syscall.Signal{"kill": syscall.SIGKILL, "stop": syscall.SIGSTOP}[parts[1]]
	left, _ := strconv.Atoi(parts[2])
	var n atomic.Int64
	fail.Arm(func(point string) {
		if point == parts[0] && n.Add(1) == int64(left) {
			syscall.Kill(os.Getpid(), signal)
			time.Sleep(100 * time.Millisecond) // until the signal has come; a process that was stopped goes on from here
		}
	})
}

// faultWorld is a broker, servers and a database, each a process that can be killed, and devices that publish all the while.
type faultWorld struct {
	t        testing.TB
	cluster  *cluster.Cluster
	pool     *pgxpool.Pool
	settings []string
	keys     string // file
	mqtt     string // of the broker, or of the first node
	nodes    []*faultNode
	serials  []string
	first    time.Time

	broker  *process
	servers map[string]*process

	pauses  sync.RWMutex // held for reading by a device while it sends one fix
	sent    [faultDevices]atomic.Int64
	acked   [faultDevices]atomic.Int64
	ending  atomic.Bool
	devices sync.WaitGroup
	how     func(device int) sending // how fixes are sent now
	howMu   sync.Mutex
}

// sending is how a device sends a fix: so many times.
type sending struct{ copies int }

// newFaultWorld starts everything. link changes the addresses a server is given.
func newFaultWorld(t testing.TB, folder string) *faultWorld {
	t.Helper()
	return newFaultWorldOf(t, folder, 1)
}

// faultNode is one broker of a cluster.
type faultNode struct {
	mqtt, route, dir string
	*process
}

// newFaultWorldOf is one with so many brokers.
func newFaultWorldOf(t testing.TB, folder string, brokers int) *faultWorld {
	t.Helper()
	ctx := context.Background()
	w := &faultWorld{t: t, mqtt: freeAddress(t), servers: map[string]*process{},
		first: time.Now().UTC().Truncate(time.Second).AddDate(0, 0, -faultDays)}
	cl, err := cluster.Start(ctx, cluster.Options{Dir: folder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := cl.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	w.cluster = cl
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(strings.Repeat("p", 24)), 0o600); err != nil {
		t.Fatal(err)
	}
	w.settings = []string{"--data-dir", dir, "--broker-password-file", password, "--broker-partitions", strconv.Itoa(faultPartitions), "--ingest-rate", "0"}
	if out, err := program(t, append([]string{"migrate", "--database-url", cl.URL("")}, w.settings...)...).result(); err != nil {
		t.Fatalf("migrate: %v: %s", err, out)
	}
	keys, _, err := crypto.LoadOrCreate(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range faultDevices {
		w.serials = append(w.serials, fmt.Sprintf("FAULT-%02d", i))
	}
	w.pool = pgtest.Pool(t, cl.URL(""))
	if err := seedBench(ctx, w.pool, w.serials, crypto.DeviceMAC(keys)); err != nil {
		t.Fatal(err)
	}
	w.nodes = append(w.nodes, &faultNode{mqtt: w.mqtt, route: freeAddress(t), dir: t.TempDir()})
	for len(w.nodes) < brokers {
		w.nodes = append(w.nodes, &faultNode{mqtt: freeAddress(t), route: freeAddress(t), dir: t.TempDir()})
	}
	if brokers == 1 {
		w.startBroker()
	} else {
		w.keys = filepath.Join(dir, "keys")
		for i := range w.nodes { // none of them is there before two are
			w.launchNode(i)
		}
		for _, n := range w.nodes {
			n.waitFor("the broker listens")
		}
	}
	w.startServer("a")
	return w
}

// launchNode starts a node of a cluster, and does not wait for it.
func (w *faultWorld) launchNode(i int) {
	var peers []string
	for _, n := range w.nodes {
		peers = append(peers, n.route)
	}
	n := w.nodes[i]
	n.process = program(w.t, append(append([]string{"broker"}, w.settings...), "--database-url", w.cluster.URL(""), "--mqtt-listen", n.mqtt, "--data-dir", n.dir, "--keys-file", w.keys,
		"--broker-cluster-node", fmt.Sprintf("n%d", i+1), "--broker-cluster-listen", n.route, "--broker-cluster-peers", strings.Join(peers, ","))...)
}

// urls are the nodes, beginning with the one that is whose turn.
func (w *faultWorld) urls(turn int) string {
	var out []string
	for i := range w.nodes {
		out = append(out, "tcp://"+w.nodes[(i+turn)%len(w.nodes)].mqtt)
	}
	return strings.Join(out, ",")
}

func (w *faultWorld) startBroker() {
	w.broker = program(w.t, append([]string{"broker", "--database-url", w.cluster.URL(""), "--mqtt-listen", w.mqtt}, w.settings...)...)
	w.broker.waitFor("the broker listens")
}

// startServer starts a server by a name. More arguments come later than those of the world, and so replace them; an environment
// is name=value.
func (w *faultWorld) startServer(name string, more ...string) *process {
	w.t.Helper()
	p := w.launch(name, nil, more...)
	p.waitFor("the console is at")
	return p
}

func (w *faultWorld) launch(name string, env []string, more ...string) *process {
	w.t.Helper()
	args := append([]string{"serve", "--http-listen", "127.0.0.1:0"}, w.settings...)
	for flag, value := range map[string]string{"--database-url": w.cluster.URL(""), "--broker-url": w.urls(0)} {
		if !slices.Contains(more, flag) {
			args = append(args, flag, value)
		}
	}
	p := programWith(w.t, env, append(args, more...)...)
	w.servers[name] = p
	return p
}

// publish starts the devices: each sends its fixes in order, and sends one again until it is acknowledged.
func (w *faultWorld) publish() {
	for i, serial := range w.serials {
		link, err := mqttlink.New(mqttlink.Options{URL: w.urls(i), ClientID: serial, Password: mqtttest.Secret(serial),
			BackoffMin: 20 * time.Millisecond, BackoffMax: 200 * time.Millisecond, Timeout: 3 * time.Second})
		if err != nil {
			w.t.Fatal(err)
		}
		link.Open()
		w.devices.Go(func() {
			defer link.Close()
			pace := time.NewTicker(faultPace)
			defer pace.Stop()
			for n := int64(1); !w.ending.Load() || n%cycleFixes != 1; n++ {
				<-pace.C
				w.pauses.RLock()
				w.sent[i].Store(n)
				for range w.sending(i).copies {
					w.send(link, serial, w.fix(i, n))
				}
				w.acked[i].Store(n)
				w.pauses.RUnlock()
			}
		})
	}
}

func (w *faultWorld) sending(device int) sending {
	w.howMu.Lock()
	defer w.howMu.Unlock()
	if w.how == nil {
		return sending{copies: 1}
	}
	return w.how(device)
}

// send sends one fix until it is acknowledged: a device has nothing else to do.
func (w *faultWorld) send(link *mqttlink.Link, serial string, payload []byte) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		err := link.WaitUp(ctx)
		if err == nil {
			err = link.Publish(ctx, topic.Up(devices.Serial(serial), devices.KindFix), 1, payload)
		}
		cancel()
		if err == nil {
			return
		}
	}
}

// fix is the nth fix of a device: in the zone, far outside for a while in every cycle, and back.
func (w *faultWorld) fix(device int, n int64) []byte {
	lon := 113.16 + float64(device)*0.001 + float64(n%1000)*1e-6
	if k := (n - 1) % cycleFixes; k >= outsideFrom && k < outsideUntil {
		lon += 0.8
	}
	at := w.first.Add(time.Duration(n-1) * faultStep).Format("2006-01-02T15:04:05Z")
	return fmt.Appendf(nil, `{"v":1,"boot":1,"sent":%q,"datum":"WGS-84","obs":[{"seq":%d,"at":%q,"lon":%.6f,"lat":30.65,"acc":8.5,"method":"gnss","sats":9}]}`,
		time.Now().UTC().Format(time.RFC3339), n, at, lon)
}

// total is how many fixes are acknowledged.
func (w *faultWorld) total() (n int64) {
	for i := range w.acked {
		n += w.acked[i].Load()
	}
	return n
}

// one reads one number; while the database is away it is -1.
func (w *faultWorld) one(sql string, args ...any) (n int64) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := w.pool.QueryRow(ctx, sql, args...).Scan(&n); err != nil {
		return -1
	}
	return n
}

const faultStored = `SELECT coalesce(sum(n), 0)::bigint FROM observation_count WHERE kind = 'fix' AND outcome = 'stored'`

// recovered waits until everything that was acknowledged before is stored, and more than that, and returns how long it took.
func (w *faultWorld) recovered(what string, since time.Time, before int64) time.Duration {
	w.t.Helper()
	for end := time.Now().Add(faultPatience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if w.one(faultStored) > before+faultDevices {
			return time.Since(since)
		}
	}
	w.t.Errorf("%s: %d fixes were acknowledged before, %d are stored a minute after", what, before, w.one(faultStored))
	return faultPatience
}

// await waits until so many more fixes are acknowledged.
func (w *faultWorld) await(more int64) {
	w.t.Helper()
	want := w.total() + more
	eventually(w.t, fmt.Sprintf("%d more acknowledged", more), func() bool { return w.total() >= want })
}

// tally is what became of what was sent.
type faultTally struct{ acked, lost, duplicated int64 }

// count holds the devices up, waits until everything is still, and looks what is there.
func (w *faultWorld) count() faultTally {
	w.t.Helper()
	w.pauses.Lock()
	defer w.pauses.Unlock()
	for end := time.Now().Add(faultPatience); time.Now().Before(end) && w.one(faultStored) < w.total(); {
		time.Sleep(50 * time.Millisecond)
	}
	return w.tally()
}

// settled is count for a broker that may lose what it acknowledged: it waits until no more comes.
func (w *faultWorld) settled() faultTally {
	w.t.Helper()
	for last, same := int64(-1), 0; same < 40; time.Sleep(50 * time.Millisecond) {
		if n := w.one(faultStored); n == last {
			same++
		} else {
			last, same = n, 0
		}
	}
	return w.tally()
}

// tally looks what is there, the way the console does: days that are over are being packed meanwhile.
func (w *faultWorld) tally() (c faultTally) {
	w.t.Helper()
	ctx := context.Background()
	c.acked = w.total()
	for i, serial := range w.serials {
		subject, org := id.Subject(w.one(`SELECT subject_id FROM binding JOIN device USING (device_id) WHERE serial = $1`, serial)), id.Org(w.one(`SELECT min(org_id) FROM org`))
		list, err := geofence.ReadTrack(ctx, w.pool, org, time.Now(), subject, w.first, time.Now(), math.MaxInt)
		if err != nil {
			w.t.Error(err)
		}
		type key struct{ boot, seq int64 }
		seen := make(map[key]bool, len(list))
		acked := w.acked[i].Load()
		missing := acked
		for _, f := range list {
			k := key{f.Boot, f.Seq}
			if seen[k] {
				c.duplicated++
			} else if f.Seq <= acked {
				missing--
			}
			seen[k] = true
		}
		if c.lost += missing; missing > 0 {
			told := 0
			for n := int64(1); n <= acked && told < 5; n++ {
				if !seen[key{1, n}] {
					told++
					w.t.Logf("%s: %d of %d is missing", serial, n, acked)
				}
			}
		}
	}
	return c
}

// finish lets every device end its cycle, and holds what is there against what was done.
func (w *faultWorld) finish() {
	t := w.t
	t.Helper()
	w.ending.Store(true)
	w.devices.Wait()
	if c := w.count(); c.lost != 0 || c.duplicated != 0 {
		t.Errorf("%d of %d acknowledged are lost, %d are there twice", c.lost, c.acked, c.duplicated)
	}
	cycles := w.total() / cycleFixes
	const raised = `SELECT count(*) FROM alert WHERE kind = 'left_zone'`
	for end := time.Now().Add(faultPatience); w.one(raised) < cycles && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
	}
	if w.one(raised) != cycles {
		w.tellEpisodes()
	}
	if n := w.one(raised); n != cycles {
		t.Errorf("%d alerts, somebody left %d times", n, cycles)
	}
	// What came in another order is derived again when nothing more comes.
	eventually(t, "the past of nobody waits to be derived again", func() bool { return w.one(`SELECT count(*) FROM subject_state WHERE dirty_from IS NOT NULL`) == 0 })
	if n := w.one(`SELECT count(*) FROM violation WHERE kind = 'left_zone' AND state <> 'withdrawn'`); n != cycles {
		t.Errorf("%d episodes, somebody left %d times", n, cycles)
	}
	if n := w.one(`SELECT count(*) FROM violation WHERE kind = 'left_zone' AND state = 'open'`); n != 0 {
		t.Errorf("%d episodes are open though everybody is back", n)
	}
	if n := w.one(`SELECT count(*) FROM violation a JOIN violation b USING (subject_id, rule_id, kind) WHERE a.violation_id < b.violation_id
		AND a.state <> 'withdrawn' AND b.state <> 'withdrawn' AND a.opened_at < coalesce(b.closed_at, 'infinity') AND b.opened_at < coalesce(a.closed_at, 'infinity')`); n != 0 {
		t.Errorf("%d pairs of episodes of one rule overlap", n)
	}
	if a, l := w.one(`SELECT count(*) FROM alert`), w.one(`SELECT count(*) FROM ledger WHERE kind = 'alert.raised'`); a != l {
		t.Errorf("%d alerts, %d times the ledger says raised", a, l)
	}
	if n := w.one(`SELECT count(*) FROM ledger`) - w.one(`SELECT count(DISTINCT pos) FROM ledger`); n != 0 {
		t.Errorf("%d positions of the ledger are there twice", n)
	}
	w.accounted()
}

// accounted holds that everything received is accounted for.
func (w *faultWorld) accounted() {
	w.t.Helper()
	v, err := devices.LoadCounts(context.Background(), w.pool)
	if err != nil {
		w.t.Fatal(err)
	}
	if v.Open() != 0 {
		w.t.Errorf("the accounting does not close: %v", v)
	}
}

// tellEpisodes logs what is known of who left when.
func (w *faultWorld) tellEpisodes() {
	rows, err := w.pool.Query(context.Background(), `SELECT concat_ws(' ', s.local_no, 'dirty', st.dirty_from, 'version', st.version, 'front', st.state -> 'front' ->> 'at', 'episodes', (SELECT string_agg(concat_ws('/', v.violation_id,
		extract(epoch FROM v.opened_at - $1)::int / 10 % 120, extract(epoch FROM v.opened_at - $1)::int / 1200, v.state, extract(epoch FROM v.closed_at - $1)::int / 10 % 120, (SELECT count(*) FROM alert a WHERE a.violation_id = v.violation_id)), ' ' ORDER BY v.opened_at) FROM violation v WHERE v.subject_id = s.subject_id AND kind = 'left_zone'))
		FROM subject s JOIN subject_state st USING (subject_id) ORDER BY 1`, w.first)
	if err != nil {
		w.t.Error(err)
		return
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	w.t.Logf("%v\n%s", err, strings.Join(list, "\n"))
}

// versions reads how often everybody's state was written.
func (w *faultWorld) versions() map[int64]int64 {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	rows, err := w.pool.Query(ctx, `SELECT subject_id, version FROM subject_state`)
	if err != nil {
		return nil
	}
	out := map[int64]int64{}
	var s, n int64
	if _, err := pgx.ForEachRow(rows, []any{&s, &n}, func() error { out[s] = n; return nil }); err != nil {
		return nil
	}
	return out
}

// stateOf is the kernel's letter for a process: T is stopped.
func stateOf(pid int) string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	return rest[:min(1, len(rest))]
}
