package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/devices"
	"zhijiao/internal/cluster"
	"zhijiao/internal/crypto"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/pgtest"
	"zhijiao/internal/topic"
)

const (
	crashDevices = 6
	crashFixes   = 360              // of a device
	crashStep    = 10 * time.Second // between them
	outsideFrom  = 120              // fixes that lie outside the zone: twenty minutes of them, in the middle of the faults
	outsideUntil = 240
)

// crash is a broker, a server and a database, each a process that can be killed, and devices that publish meanwhile.
type crash struct {
	t        *testing.T
	cluster  *cluster.Cluster
	pool     *pgxpool.Pool
	settings []string
	mqtt     string
	serials  []string
	first    time.Time
	acked    atomic.Int64

	broker, server *process
}

// TestKillInTheMiddle: while devices publish, the server, the broker and PostgreSQL are killed with -9, one after the
// other, and started again. No acknowledged observation is missing, none is there twice, everybody who left the zone has
// exactly one alert of it, and the accounting closes. ZHIJIAO_TEST_FAULTS says how many rounds; make faults takes many.
func TestKillInTheMiddle(t *testing.T) {
	t.Parallel()
	rounds := 1
	if n, err := strconv.Atoi(os.Getenv("ZHIJIAO_TEST_FAULTS")); err == nil && n > 0 {
		rounds = n
	}
	for range rounds {
		t.Run("", func(t *testing.T) {
			c := newCrash(t)
			done := c.publish()
			total := int64(crashDevices * crashFixes)
			c.when(total/6, "server", func() { c.server.kill(); c.startServer() })
			c.when(total*2/6, "database", func() { syscall.Kill(c.cluster.Pid(), syscall.SIGKILL) })
			c.when(total*3/6, "broker", func() { c.broker.kill(); c.startBroker() })
			c.when(total*4/6, "all three", func() {
				c.server.kill()
				c.broker.kill()
				syscall.Kill(c.cluster.Pid(), syscall.SIGKILL)
				c.startBroker()
				c.startServer()
			})
			done()
			c.check()
		})
	}
}

func newCrash(t *testing.T) *crash {
	t.Helper()
	ctx := context.Background()
	c := &crash{t: t, mqtt: freeAddress(t), first: time.Now().UTC().Truncate(time.Second).Add(-crashFixes * crashStep)}
	cl, err := cluster.Start(ctx, cluster.Options{Dir: dataFolder(t)})
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
	c.cluster = cl
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(strings.Repeat("p", 24)), 0o600); err != nil {
		t.Fatal(err)
	}
	c.settings = []string{"--database-url", cl.URL(""), "--data-dir", dir, "--broker-password-file", password}
	if out, err := program(t, append([]string{"migrate"}, c.settings...)...).result(); err != nil {
		t.Fatalf("migrate: %v: %s", err, out)
	}
	keys, _, err := crypto.LoadOrCreate(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range crashDevices {
		c.serials = append(c.serials, fmt.Sprintf("CRASH-%02d", i))
	}
	c.pool = pgtest.Pool(t, cl.URL(""))
	if err := seedBench(ctx, c.pool, c.serials, crypto.DeviceMAC(keys)); err != nil {
		t.Fatal(err)
	}
	c.startBroker()
	c.startServer()
	return c
}

func (c *crash) startBroker() {
	c.broker = program(c.t, append([]string{"broker", "--mqtt-listen", c.mqtt}, c.settings...)...)
	c.broker.waitFor("the broker listens")
}

func (c *crash) startServer() {
	c.server = program(c.t, append([]string{"serve", "--broker-url", "tcp://" + c.mqtt, "--http-listen", "127.0.0.1:0"}, c.settings...)...)
	c.server.waitFor("the console is at")
}

// when does harm as soon as so many observations have been acknowledged.
func (c *crash) when(acked int64, what string, harm func()) {
	c.t.Helper()
	eventually(c.t, fmt.Sprintf("%d acknowledged before harm to %s", acked, what), func() bool { return c.acked.Load() >= acked })
	harm()
}

// publish starts the devices: each sends its fixes in order, and sends one again until it is acknowledged. What it returns
// waits for all of them.
func (c *crash) publish() (wait func()) {
	var wg sync.WaitGroup
	for i, serial := range c.serials {
		link, err := mqttlink.New(mqttlink.Options{URL: "tcp://" + c.mqtt, ClientID: serial, Password: mqtttest.Secret(serial),
			BackoffMin: 20 * time.Millisecond, BackoffMax: 200 * time.Millisecond, Timeout: 3 * time.Second})
		if err != nil {
			c.t.Fatal(err)
		}
		link.Open()
		wg.Go(func() {
			defer link.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
			defer cancel()
			for n := 1; n <= crashFixes; n++ {
				if err := c.send(ctx, link, serial, c.fix(i, n)); err != nil {
					c.t.Errorf("%s: fix %d: %v", serial, n, err)
					return
				}
				c.acked.Add(1)
			}
		})
	}
	return wg.Wait
}

func (c *crash) send(ctx context.Context, link *mqttlink.Link, serial string, payload []byte) error {
	for {
		if err := link.WaitUp(ctx); err != nil {
			return err
		}
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := link.Publish(try, topic.Up(devices.Serial(serial), devices.KindFix), 1, payload)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
}

// fix is the nth fix of a device: in the zone, then twenty minutes far outside, then back.
func (c *crash) fix(device, n int) []byte {
	lon := 113.16 + float64(device)*0.001 + float64(n)*1e-6
	if n >= outsideFrom && n < outsideUntil {
		lon += 0.8
	}
	at := c.first.Add(time.Duration(n-1) * crashStep).Format("2006-01-02T15:04:05Z")
	return fmt.Appendf(nil, `{"v":1,"boot":1,"sent":%q,"datum":"WGS-84","obs":[{"seq":%d,"at":%q,"lon":%.6f,"lat":30.65,"acc":8.5,"method":"gnss","sats":9}]}`,
		time.Now().UTC().Format(time.RFC3339), n, at, lon)
}

// check looks at what is left when everything has come to rest.
func (c *crash) check() {
	t, ctx := c.t, context.Background()
	t.Helper()
	one := func(sql string, args ...any) (n int64) {
		t.Helper()
		if err := c.pool.QueryRow(ctx, sql, args...).Scan(&n); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return n
	}
	want := int64(crashDevices * crashFixes)
	const stored = `SELECT count(*) FROM position JOIN device USING (device_id) WHERE serial LIKE 'CRASH-%'`
	eventually(t, "everything acknowledged is stored", func() bool { return one(stored) >= want })
	if n := one(`SELECT count(DISTINCT (serial, boot, seq)) FROM position JOIN device USING (device_id) WHERE serial LIKE 'CRASH-%'`); n != want || one(stored) != want {
		t.Errorf("%d rows, %d different ones, %d were acknowledged", one(stored), n, want)
	}
	const raised = `SELECT count(*) FROM alert WHERE kind = 'left_zone'`
	eventually(t, "everybody who left has an alert", func() bool { return one(raised) >= crashDevices })
	if n, people := one(raised), one(`SELECT count(DISTINCT subject_id) FROM alert WHERE kind = 'left_zone'`); n != crashDevices || people != crashDevices {
		t.Errorf("%d alerts of %d people, %d left", n, people, crashDevices)
	}
	if n := one(`SELECT count(*) FROM violation WHERE kind = 'left_zone'`); n != crashDevices {
		t.Errorf("%d episodes, %d people left once", n, crashDevices)
	}
	if a, l := one(`SELECT count(*) FROM alert`), one(`SELECT count(*) FROM ledger WHERE kind = 'alert.raised'`); a != l {
		t.Errorf("%d alerts, %d times the ledger says raised", a, l)
	}
	// Redelivered messages may still be on their way: what counts is that it closes at every moment, and at the end.
	counts := func() devices.Counts {
		v, err := devices.LoadCounts(ctx, c.pool)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := counts(); v.Open() != 0 || v[devices.CountKey{Kind: devices.KindFix, Outcome: devices.Stored}] != want {
		t.Errorf("the accounting does not close, or stored is not %d: %v", want, v)
	}
}
