package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
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

const (
	overloadDevices = 40
	overloadEach    = 1000    // messages a device hands over at once: far more than can be taken in meanwhile
	overloadMemory  = 1 << 30 // with the race detector; the program alone needs a third of it
)

// TestOverload_R118: devices hand over in one moment many times what can be stored in it. The broker keeps what does not fit, the
// queues of ingest stay as long as they are, memory stays bounded, and everything comes out, once. (R118 asks for 10,000 devices at
// one a minute for a day, 14.4 million fixes; this is 40,000 at once, and make bench has 5,000 devices at 2,600 a second.)
func TestOverload_R118(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	url, dir := pgtest.Database(t), t.TempDir()
	if out, err := program(t, "migrate", "--database-url", url, "--data-dir", dir).result(); err != nil {
		t.Fatalf("migrate: %v: %s", err, out)
	}
	keysFile := filepath.Join(dir, "overload-keys")
	keys, _, err := crypto.LoadOrCreate(keysFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := pgtest.Pool(t, url)
	var serials []string
	for i := range overloadDevices {
		serials = append(serials, fmt.Sprintf("LOAD-%02d", i))
	}
	if err := seedBench(t.Context(), pool, serials, crypto.DeviceMAC(keys)); err != nil {
		t.Fatal(err)
	}
	addr := freeAddress(t)
	p := program(t, "up", "--database-url", url, "--data-dir", dir, "--keys-file", keysFile, "--http-listen", "127.0.0.1:0", "--mqtt-listen", addr,
		"--broker-sync", "interval", "--ingest-rate", "0")
	p.waitFor("zhijiao is ready")
	page := p.said("page")
	first := time.Now().UTC().Truncate(time.Second).Add(-overloadEach * time.Second)
	var sending sync.WaitGroup
	for i, serial := range serials {
		l := mqtttest.Link(t, mqttlink.Options{URL: "tcp://" + addr, ClientID: serial, Password: mqtttest.Secret(serial)})
		sending.Go(func() {
			payload := func(n int) []byte {
				return fmt.Appendf(nil, `{"v":1,"boot":1,"datum":"WGS-84","obs":[{"seq":%d,"at":%q,"lon":%.6f,"lat":30.65,"acc":8.5,"method":"gnss"}]}`,
					n+1, first.Add(time.Duration(n)*time.Second).Format(time.RFC3339), 113.16+float64(i)*0.001+float64(n)*1e-6)
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			left := make([]int, overloadEach)
			for n := range left {
				left[n] = n
			}
			for len(left) > 0 { // what is not acknowledged is sent again, as devices do
				if err := l.WaitUp(ctx); err != nil {
					t.Errorf("%s: %v", serial, err)
					return
				}
				open := make([]mqttlink.Receipt, 0, len(left))
				for _, n := range left {
					open = append(open, l.Send(topic.Up(devices.Serial(serial), devices.KindFix), 1, payload(n)))
				}
				var again []int
				for k, r := range open {
					if r.Wait(ctx) != nil {
						again = append(again, left[k])
					}
				}
				left = again
			}
		})
	}
	acked := make(chan struct{})
	go func() { sending.Wait(); close(acked) }()
	var memory int64
	var deepest float64
	const want = overloadDevices * overloadEach
	eventually(t, "everything is stored", func() bool {
		memory = max(memory, residentBytes(p.cmd.Process.Pid))
		deepest = max(deepest, metricOf(t, page, "zhijiao_ingest_queue_depth"))
		stored, err := storedFixes(t.Context(), pool)
		return err == nil && stored >= want
	})
	<-acked
	t.Logf("%d at once: at most %d MiB in use and %.0f in the queues", want, memory>>20, deepest)
	if memory > overloadMemory {
		t.Errorf("%d MiB in use", memory>>20)
	}
	if deepest > 2*2000 { // two sessions, each given so much before it acknowledges
		t.Errorf("%.0f messages in the queues", deepest)
	}
	counts, err := devices.LoadCounts(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	if fixes := counts[devices.CountKey{Kind: devices.KindFix, Outcome: devices.Stored}]; fixes != want || counts.Open() != 0 {
		t.Errorf("%d stored, %d sent, the accounting: %v", fixes, want, counts)
	}
	eventually(t, "and it is healthy", func() bool { code, _ := get(t, page+"/healthz"); return code == http.StatusOK })
}

// metricOf reads one metric without labels.
func metricOf(t testing.TB, page, name string) float64 {
	t.Helper()
	resp, err := http.Get(page + "/metrics")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(body)
	if m == nil {
		return 0
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Errorf("metric %s: %v", name, err)
	}
	return v
}
