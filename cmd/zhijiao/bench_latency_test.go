package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"zhijiao/devices"
	"zhijiao/internal/broker"
	"zhijiao/internal/crypto"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/pgtest"
	"zhijiao/internal/topic"
)

const (
	latencyDevices = 5000
	latencyLeavers = 240 // of them: each leaves its zone once, and says nothing else
	latencyRate    = 2600
	latencySpan    = 30 * time.Second
	latencyStep    = 10 * time.Second // of one rate, when the highest is looked for
)

// TestBenchLatency measures, with thousands of devices connected and so many fixes a second (open loop: nobody waits for anybody),
// how long a publish takes to its PUBACK, and the publish of a fix that opens an alert to its websocket frame. Run by make bench.
func TestBenchLatency(t *testing.T) {
	if os.Getenv("ZHIJIAO_TEST_BENCH") == "" {
		t.Skip("a measurement of minutes: make bench")
	}
	t.Run("sync interval", func(t *testing.T) {
		p := newLatencyPath(t, broker.SyncInterval)
		t.Log(p.run(latencyRate, latencySpan))
	})
	t.Run("sync always", func(t *testing.T) { highest(t, newLatencyPath(t, broker.SyncAlways), "one node, sync always") })
	t.Run("three nodes, sync interval", func(t *testing.T) {
		highest(t, newLatencyPathOf(t, broker.SyncInterval, broker.Nodes), "three nodes on this machine, sync interval")
	})
	t.Run("three nodes, sync always", func(t *testing.T) {
		highest(t, newLatencyPathOf(t, broker.SyncAlways, broker.Nodes), "three nodes on this machine, its one disk written six times a message, sync always")
	})
}

// highest finds the highest rate that holds.
func highest(t *testing.T, p *latencyPath, what string) {
	t.Helper()
	best := 0
	for _, rate := range []int{200, 400, 600, 800, 1000, 1200, 1400, 1800, 2600} {
		r := p.run(rate, latencyStep)
		t.Log(r)
		if len(r.alerts) == 0 || percentile(r.puback, 99) > 250*time.Millisecond || percentile(r.alerts, 99) > 500*time.Millisecond {
			break
		}
		best = rate
	}
	t.Logf("%s: at %d fixes/s p99 of PUBACK is under 250 ms and of alerts under 500 ms", what, best)
}

// latencyPath is the running program, its devices connected, and somebody who watches the wall.
type latencyPath struct {
	t        *testing.T
	program  *process
	nodes    []*process // of a cluster
	links    []*mqttlink.Link
	serials  []string
	subjects map[int64]int // device by subject
	left     int           // devices that have left
	turn     int
	seq      []int64

	mu   sync.Mutex
	seen map[int]time.Time // when an alert of a device came
}

// latencies are what was measured at one rate.
type latencies struct {
	rate, sent     int
	puback, alerts []time.Duration
	rss            int64
	behind         time.Duration // how far the load itself fell behind its pace
}

// String is one line of the report.
func (l latencies) String() string {
	return fmt.Sprintf("%d fixes/s from %d devices (%d sent): PUBACK p50 %v p99 %v; alert on the wall p50 %v p99 %v (%d alerts); program and broker %d MiB; the load was %v late at most",
		l.rate, latencyDevices, l.sent, percentile(l.puback, 50).Round(time.Millisecond/10), percentile(l.puback, 99).Round(time.Millisecond/10),
		percentile(l.alerts, 50).Round(time.Millisecond), percentile(l.alerts, 99).Round(time.Millisecond), len(l.alerts), l.rss>>20, l.behind.Round(time.Millisecond))
}

// percentile of durations; 0 of none.
func percentile(d []time.Duration, p int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d))
	return s[min(len(s)-1, len(s)*p/100)]
}

func newLatencyPath(t *testing.T, sync broker.Sync) *latencyPath {
	t.Helper()
	return newLatencyPathOf(t, sync, 1)
}

func newLatencyPathOf(t *testing.T, sync broker.Sync, nodes int) *latencyPath {
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
	p := &latencyPath{t: t, subjects: map[int64]int{}, seq: make([]int64, latencyDevices), seen: map[int]time.Time{}}
	for i := range latencyDevices {
		p.serials = append(p.serials, fmt.Sprintf("BENCH-%04d", i+1))
	}
	pool := pgtest.Pool(t, url)
	if err := seedBench(t.Context(), pool, p.serials, crypto.DeviceMAC(keys)); err != nil {
		t.Fatal(err)
	}
	for i := range latencyDevices {
		var s int64
		if i < latencyLeavers {
			if err := pool.QueryRow(t.Context(), `SELECT subject_id FROM subject WHERE local_no = $1`, p.serials[i]).Scan(&s); err != nil {
				t.Fatal(err)
			}
			p.subjects[s] = i
		}
	}
	settings := []string{"--database-url", url, "--data-dir", dir, "--keys-file", keysFile}
	out, err := program(t, append([]string{"officer", "add", "--login", "wall", "--name", "张伟", "--org", "天门市司法局", "--role", "commander"}, settings...)...).result()
	if err != nil {
		t.Fatalf("officer add: %v: %s", err, out)
	}
	urls := "tcp://" + freeAddress(t)
	if nodes == 1 {
		p.program = program(t, append([]string{"up", "--http-listen", "127.0.0.1:0", "--mqtt-listen", strings.TrimPrefix(urls, "tcp://"), "--broker-sync", string(sync)}, settings...)...)
	} else {
		urls = p.cluster(sync, nodes, settings)
	}
	p.program.waitFor("zhijiao is ready")
	p.watch(out)
	list := strings.Split(urls, ",")
	for i, serial := range p.serials {
		b := &mqtttest.B{Kind: mqtttest.Embedded, URL: strings.Join(append(slices.Clone(list[i%len(list):]), list[:i%len(list)]...), ",")}
		link, err := mqttlink.New(b.Device(serial))
		if err != nil {
			t.Fatal(err)
		}
		link.Open()
		p.links = append(p.links, link)
	}
	t.Cleanup(func() {
		for _, l := range p.links {
			go l.Close()
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, l := range p.links {
		if err := l.WaitUp(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// cluster starts nodes and a server that reads from them.
func (p *latencyPath) cluster(sync broker.Sync, nodes int, settings []string) string {
	p.t.Helper()
	password := filepath.Join(p.t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(strings.Repeat("p", 24)), 0o600); err != nil {
		p.t.Fatal(err)
	}
	var urls, peers []string
	for range nodes {
		urls, peers = append(urls, "tcp://"+freeAddress(p.t)), append(peers, freeAddress(p.t))
	}
	common := append(slices.Clone(settings), "--broker-password-file", password)
	for i := range nodes {
		p.nodes = append(p.nodes, program(p.t, append(append([]string{"broker"}, common...), "--data-dir", dataFolder(p.t), "--mqtt-listen", strings.TrimPrefix(urls[i], "tcp://"), "--broker-sync", string(sync),
			"--broker-cluster-node", fmt.Sprintf("n%d", i+1), "--broker-cluster-listen", peers[i], "--broker-cluster-peers", strings.Join(peers, ","))...))
	}
	for _, n := range p.nodes {
		n.waitFor("the broker listens")
	}
	p.program = program(p.t, append(append([]string{"up"}, common...), "--http-listen", "127.0.0.1:0", "--broker-url", strings.Join(urls, ","))...)
	return strings.Join(urls, ",")
}

// watch opens the wall's websocket, and notes when an alert of a device comes.
func (p *latencyPath) watch(added string) {
	p.t.Helper()
	page := p.program.said("page")
	client := login(p.t, page, "wall", regexp.MustCompile(`password\s+(\S+)`).FindStringSubmatch(added)[1])
	resp, err := client.Get(page + "/api/snapshot")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var snapshot struct {
		Pos int64 `json:"pos"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&snapshot); err != nil {
		p.t.Fatal(err)
	}
	d := websocket.Dialer{Jar: client.Jar}
	c, _, err := d.Dial("ws"+strings.TrimPrefix(page, "http")+fmt.Sprintf("/ws?pos=%d", snapshot.Pos), http.Header{"Origin": {page}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	go func() {
		for {
			var frame struct {
				Alerts []struct {
					Subject struct {
						ID int64 `json:"id"`
					} `json:"subject"`
				} `json:"alerts"`
			}
			if c.ReadJSON(&frame) != nil {
				return
			}
			now := time.Now()
			p.mu.Lock()
			for _, a := range frame.Alerts {
				if i, ok := p.subjects[a.Subject.ID]; ok && p.seen[i].IsZero() {
					p.seen[i] = now
				}
			}
			p.mu.Unlock()
		}
	}()
}

func (p *latencyPath) fix(i int, at time.Time, lon float64) []byte {
	p.seq[i]++
	return fmt.Appendf(nil, `{"v":1,"boot":1,"sent":%q,"datum":"WGS-84","obs":[{"seq":%d,"at":%q,"lon":%.6f,"lat":30.65,"acc":8.5,"method":"gnss","speed":1.2,"sats":9,`+
		`"battery":83,"strap":"closed","cell":"460-00-1234-5678","signal":-85}]}`, time.Now().UTC().Format(time.RFC3339), p.seq[i], at.UTC().Format("2006-01-02T15:04:05.000Z"), lon)
}

// run sends at a rate for a while. Twice a second somebody leaves the zone, far enough to be told at the second fix.
func (p *latencyPath) run(rate int, span time.Duration) latencies {
	p.t.Helper()
	out := latencies{rate: rate}
	var mu sync.Mutex
	var open sync.WaitGroup
	ctx, cancel := context.WithTimeout(p.t.Context(), span+time.Minute)
	defer cancel()
	send := func(i int, payload []byte) {
		begun := time.Now()
		receipt := p.links[i].Send(topic.Up(devices.Serial(p.serials[i]), devices.KindFix), 1, payload)
		open.Go(func() {
			if receipt.Wait(ctx) == nil {
				took := time.Since(begun)
				mu.Lock()
				out.puback = append(out.puback, took)
				mu.Unlock()
			}
		})
	}
	told := map[int]time.Time{} // when the fix was published that is to open an alert
	begin, leave := time.Now(), time.Now()
	leaving := -1
	for n := 0; ; n++ {
		due := begin.Add(time.Duration(n) * time.Second / time.Duration(rate))
		if due.Sub(begin) > span {
			break
		}
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		} else {
			out.behind = max(out.behind, -wait)
		}
		if now := time.Now(); now.After(leave) {
			leave = now.Add(250 * time.Millisecond)
			if leaving >= 0 {
				told[leaving] = time.Now()
				send(leaving, p.fix(leaving, time.Now(), 113.96))
				leaving = -1
			} else if p.left < latencyLeavers {
				leaving, p.left = p.left, p.left+1
				send(leaving, p.fix(leaving, time.Now().Add(-30*time.Second), 113.96))
			}
		}
		i := latencyLeavers + p.turn%(latencyDevices-latencyLeavers)
		p.turn++
		send(i, p.fix(i, time.Now(), 113.16+float64(p.seq[i]%1000)*1e-6))
		out.sent++
	}
	open.Wait()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		p.mu.Lock()
		missing := 0
		for i := range told {
			if p.seen[i].IsZero() {
				missing++
			}
		}
		p.mu.Unlock()
		if missing == 0 {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, at := range told {
		if s := p.seen[i]; !s.IsZero() {
			out.alerts = append(out.alerts, s.Sub(at))
		} else {
			p.t.Errorf("the alert of device %d never came", i)
		}
	}
	out.rss = residentBytes(p.program.cmd.Process.Pid)
	for _, n := range p.nodes {
		out.rss += residentBytes(n.cmd.Process.Pid)
	}
	return out
}

// residentBytes is the memory a process has in use.
func residentBytes(pid int) int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10
		}
	}
	return 0
}
