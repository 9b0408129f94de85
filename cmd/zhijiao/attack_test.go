package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/crypto"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/pgtest"
	"zhijiao/internal/topic"
)

// TestAttacks holds row 24 of the test matrix on the running program: while some devices publish, others and strangers send broken packets, begin
// connections that never get on, speak for others, come under others' names, play a captured day again, send what is too large, and
// connect in a storm. All of it is refused and on record, and what the rest says is stored to the last fix.
func TestAttacks_R37_R40_R41(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	url, dir := pgtest.Database(t), t.TempDir()
	if out, err := program(t, "migrate", "--database-url", url, "--data-dir", dir).result(); err != nil {
		t.Fatalf("migrate: %v: %s", err, out)
	}
	keysFile := filepath.Join(dir, "attack-keys")
	keys, _, err := crypto.LoadOrCreate(keysFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := pgtest.Pool(t, url)
	victims, insider, captured, storm := []string{"GOOD-1", "GOOD-2", "GOOD-3", "GOOD-4"}, "EVIL-1", "EVIL-2", "EVIL-3"
	if err := seedBench(t.Context(), pool, append(slices.Clone(victims), insider, captured, storm), crypto.DeviceMAC(keys)); err != nil {
		t.Fatal(err)
	}
	addr := freeAddress(t)
	p := program(t, "up", "--database-url", url, "--data-dir", dir, "--keys-file", keysFile, "--http-listen", "127.0.0.1:0", "--mqtt-listen", addr,
		"--broker-sync", "interval", "--ingest-burst", "100000")
	p.waitFor("zhijiao is ready")
	page := p.said("page")
	w := &attackWorld{t: t, addr: addr, first: time.Now().UTC().Truncate(time.Second).Add(-time.Hour)}

	// A day is captured, and what came of it is known.
	const day = 300
	as := func(serial string) *mqttlink.Link {
		return mqtttest.Link(t, mqttlink.Options{URL: "tcp://" + addr, ClientID: serial, Password: mqtttest.Secret(serial)})
	}
	link := as(captured)
	w.publish(link, captured, 1, day)
	stored := func() (n int64) { n, _ = storedFixes(t.Context(), pool); return n }
	eventually(t, "the day is stored", func() bool { return stored() == day })

	before := w.serve(victims, time.Second) // nobody harms anybody yet
	stop, attacks := make(chan struct{}), sync.WaitGroup{}
	attack := func(do func(r *rand.Rand)) {
		attacks.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(len(victims))))
			for {
				select {
				case <-stop:
					return
				default:
					do(r)
				}
			}
		})
	}
	attack(w.malformed)
	attack(func(*rand.Rand) { w.publish(link, captured, 1, day) }) // the captured day
	evil := as(insider)
	attack(func(*rand.Rand) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		for _, where := range []string{topic.Up(devices.Serial(victims[0]), devices.KindFix), "p/0/up/GOOD-1/fix", "p/1/up/GOOD-1/fix", "$SYS/x", "$MQTT/msgs/x", "down/GOOD-1/cmd"} {
			_ = evil.Send(where, 1, w.fix(1, 113.96)).Wait(ctx)
		}
		large := []byte(`{"v":1,"boot":1,"datum":"WGS-84","obs":[` + strings.Repeat(" ", devices.MaxPayload) + `]}`)
		_ = evil.Send(topic.Up(devices.Serial(insider), devices.KindFix), 1, large).Wait(ctx)
		_ = evil.Send(topic.Up(devices.Serial(insider), devices.KindFix), 1, []byte(strings.Replace(string(w.fix(1, 113.96)), `"boot"`, `"device":"GOOD-1","boot"`, 1))).Wait(ctx)
	})
	attack(func(*rand.Rand) { // as somebody else, with one's own secret; and under another name than one's own
		w.connect(victims[1], victims[1], mqtttest.Secret(insider))
		w.connect(victims[1], insider, mqtttest.Secret(insider))
		w.connect(topic.IngestClient(0), topic.IngestClient(0), mqtttest.Secret(insider))
	})
	attack(func(*rand.Rand) { w.connect(storm, storm, mqtttest.Secret(storm)) })
	slow := w.slowloris(100)
	during := w.serve(victims, 8*time.Second)
	close(stop)
	attacks.Wait()
	eventually(t, "everything of the others is stored", func() bool { return stored() == day+before.sent+during.sent })
	t.Logf("PUBACK p99 alone %s, under attack %s", before.p99(), during.p99())

	// What the attacks were is on record, and nothing of them is anywhere.
	for name, sql := range map[string]string{
		"publishes as somebody else": `reason = 'not_permitted' AND serial = 'EVIL-1' AND field = 'publish'`,
		"connections as others":      `reason = 'not_permitted' AND serial = 'GOOD-2' AND field = 'connect'`,
		"what is too large":          `reason = 'oversized' AND serial = 'EVIL-1'`,
		"another device's payload":   `reason = 'identity_mismatch' AND serial = 'EVIL-1'`,
	} {
		eventually(t, name+" left a trace", func() bool {
			var n int
			return pool.QueryRow(t.Context(), `SELECT count(*) FROM quarantine WHERE `+sql).Scan(&n) == nil && n > 0
		})
	}
	counts, err := devices.LoadCounts(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	if counts.Total(devices.Duplicate) < day {
		t.Errorf("%d repetitions of a captured day were counted", counts.Total(devices.Duplicate))
	}
	eventually(t, "the accounting closes", func() bool {
		c, err := devices.LoadCounts(t.Context(), pool)
		return err == nil && c.Open() == 0
	})
	var violations int
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM violation WHERE kind = 'left_zone'`).Scan(&violations); err != nil || violations != 0 {
		t.Errorf("%d people left their zone, %v", violations, err)
	}
	eventually(t, "connections that never got on are closed", func() bool { return slow() == 0 })
	eventually(t, "and it is healthy", func() bool { code, _ := get(t, page+"/healthz"); return code == http.StatusOK })
}

// attackWorld is where it happens.
type attackWorld struct {
	t     *testing.T
	addr  string
	first time.Time
	mu    sync.Mutex
	seq   map[string]int
}

func (w *attackWorld) fix(n int, lon float64) []byte {
	return fmt.Appendf(nil, `{"v":1,"boot":1,"datum":"WGS-84","obs":[{"seq":%d,"at":%q,"lon":%.6f,"lat":30.65,"acc":8.5,"method":"gnss"}]}`,
		n, w.first.Add(time.Duration(n)*time.Second).Format(time.RFC3339), lon+float64(n%100)*1e-6)
}

// publish sends fixes from one sequence to another, all at once.
func (w *attackWorld) publish(l *mqttlink.Link, serial string, from, to int) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var open []mqttlink.Receipt
	for n := from; n <= to; n++ {
		open = append(open, l.Send(topic.Up(devices.Serial(serial), devices.KindFix), 1, w.fix(n, 113.16)))
	}
	for _, r := range open {
		if err := r.Wait(ctx); err != nil {
			w.t.Errorf("%s: %v", serial, err)
			return
		}
	}
}

// served is what devices that mean no harm met.
type served struct {
	sent int64
	took []time.Duration
}

func (s *served) p99() time.Duration { return percentile(s.took, 99).Round(time.Millisecond / 10) }

// serve has devices publish for a while, each fifty times a second, one after the other is acknowledged.
func (w *attackWorld) serve(serials []string, span time.Duration) *served {
	out := &served{}
	var running sync.WaitGroup
	for _, serial := range serials {
		w.mu.Lock()
		if w.seq == nil {
			w.seq = map[string]int{}
		}
		n := w.seq[serial]
		w.mu.Unlock()
		running.Go(func() {
			l := mqtttest.Link(w.t, mqttlink.Options{URL: "tcp://" + w.addr, ClientID: serial, Password: mqtttest.Secret(serial)})
			defer l.Close()
			pace := time.NewTicker(20 * time.Millisecond)
			defer pace.Stop()
			for end := time.Now().Add(span); time.Now().Before(end); <-pace.C {
				n++
				begun := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				err := l.Publish(ctx, topic.Up(devices.Serial(serial), devices.KindFix), 1, w.fix(n, 113.16))
				cancel()
				if err != nil {
					w.t.Errorf("%s: %v", serial, err)
					return
				}
				w.mu.Lock()
				out.sent, out.took = out.sent+1, append(out.took, time.Since(begun))
				w.mu.Unlock()
			}
			w.mu.Lock()
			w.seq[serial] = n
			w.mu.Unlock()
		})
	}
	running.Wait()
	return out
}

// dial opens a connection without saying anything.
func (w *attackWorld) dial() net.Conn {
	c, err := net.DialTimeout("tcp", w.addr, 5*time.Second)
	if err != nil {
		w.t.Errorf("nobody answers: %v", err)
		return nil
	}
	return c
}

// malformed sends what is no MQTT, or nearly.
func (w *attackWorld) malformed(r *rand.Rand) {
	c := w.dial()
	if c == nil {
		return
	}
	defer c.Close()
	packet := mqtttest.Connect{ClientID: "GOOD-1", User: "GOOD-1", Password: "x"}.Packet()
	switch r.IntN(4) {
	case 0: // noise
		packet = make([]byte, 1+r.IntN(2000))
		for i := range packet {
			packet[i] = byte(r.Uint32())
		}
	case 1: // a bit is wrong
		packet[r.IntN(len(packet))] ^= 1 << r.IntN(8)
	case 2: // it says that it is longer than anything
		packet = append([]byte{0x10, 0xff, 0xff, 0xff, 0x7f}, packet...)
	case 3: // a publish before anything else
		packet = append([]byte{0x30, 0x05, 0, 3}, "a/b"...)
	}
	_ = c.SetDeadline(time.Now().Add(100 * time.Millisecond))
	_, _ = c.Write(packet)
	_, _ = io.Copy(io.Discard, c)
}

// connect comes under a name; whether it is let in is for the trace.
func (w *attackWorld) connect(client, user, password string) {
	c := w.dial()
	if c == nil {
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	_, _ = c.Write(mqtttest.Connect{ClientID: client, User: user, Password: password}.Packet())
	var ack [4]byte
	_, _ = io.ReadFull(c, ack[:])
}

// slowloris opens connections that begin a packet and never end it; the function it returns says how many are still open.
func (w *attackWorld) slowloris(n int) (open func() int) {
	var list []net.Conn
	for range n {
		if c := w.dial(); c != nil {
			_, _ = c.Write(binary.BigEndian.AppendUint16([]byte{0x10, 0x7f}, 4))
			list = append(list, c)
			w.t.Cleanup(func() { c.Close() })
		}
	}
	return func() (n int) {
		for _, c := range list {
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := c.Read(make([]byte, 1)); err != nil {
				if e, ok := err.(net.Error); ok && e.Timeout() {
					n++
				}
			}
		}
		return n
	}
}
