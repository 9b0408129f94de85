package broker_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/devices"
	"zhijiao/internal/broker"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/topic"
)

const childEnv = "ZHIJIAO_TEST_BROKER_STORE"

// TestMain runs the broker alone when the test binary was started as the child that gets killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
		return
	}
	os.Exit(m.Run())
}

func child(dir string) {
	b, err := broker.Start(context.Background(), broker.Options{
		Listen: "127.0.0.1:0", StoreDir: dir, Sync: broker.SyncAlways, Partitions: 2,
		MAC: mqtttest.MAC, ServiceSecret: mqtttest.ServiceSecret,
		Log: slog.New(slog.DiscardHandler), Register: prometheus.NewRegistry(),
	})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	b.Update(mqtttest.Registry("WB-0", "WB-1", "WB-2", "WB-3"))
	fmt.Println(b.URL())
	_, _ = io.Copy(io.Discard, os.Stdin) // until killed, or until the parent is gone
}

// spawn starts the child and returns its URL and the way to kill it.
func spawn(t *testing.T, dir string) (url string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	kill = func() {
		once.Do(func() {
			_ = cmd.Process.Kill() // SIGKILL
			_ = stdin.Close()
			_ = cmd.Wait()
		})
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "tcp://") {
		t.Fatalf("the broker's process said %q: %v", line, err)
	}
	return strings.TrimSpace(line), kill
}

// Under sync always, kill -9 of the broker while devices publish loses nothing it acknowledged, and it starts again on
// its store without help.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var mu sync.Mutex
	acked := map[string]bool{}
	received := &mqtttest.Collector{}
	for round := range 3 {
		url, kill := spawn(t, dir)
		b := &mqtttest.B{Kind: mqtttest.Embedded, URL: url, Partitions: 2}
		// The readers of a round take some and acknowledge, and are gone with the broker in the middle of it.
		for k := range 2 {
			mqtttest.Link(t, b.Reader(k, received.Handle))
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for d := range 4 {
			serial := fmt.Sprintf("WB-%d", d)
			l := mqtttest.Link(t, b.Device(serial))
			wg.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					payload := fmt.Sprintf("%d/%s/%d", round, serial, i)
					if l.Publish(ctx, "up/"+serial+"/fix", 1, []byte(payload)) != nil {
						return
					}
					mu.Lock()
					acked[payload] = true
					mu.Unlock()
				}
			})
		}
		mqtttest.Eventually(t, "acknowledged publishes", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(acked) > (round+1)*300
		})
		kill()
		cancel()
		wg.Wait()
	}
	url, kill := spawn(t, dir)
	defer kill()
	b := &mqtttest.B{Kind: mqtttest.Embedded, URL: url, Partitions: 2}
	for k := range 2 {
		mqtttest.Link(t, b.Reader(k, received.Handle))
	}
	mqtttest.Eventually(t, "everything acknowledged is delivered", func() bool {
		got := map[string]bool{}
		for _, p := range received.Payloads() {
			got[p] = true
		}
		for p := range acked {
			if !got[p] {
				return false
			}
		}
		return true
	})
	t.Logf("%d acknowledged, none lost", len(acked))
}

// Trap: a thousand consumers a stream is the default; the 1,001st subscription would be refused.
func TestMoreThanAThousandConsumers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a thousand sessions take ten seconds")
	}
	const n = 1010
	var serials []string
	for i := range n {
		serials = append(serials, fmt.Sprintf("PH-%d", i))
	}
	b, _ := open(t, mqtttest.Options{Devices: serials, StoreDir: memoryDir(t)})
	work := make(chan string)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for serial := range work {
				o := b.Device(serial)
				o.Persistent, o.Handler = true, func(context.Context, mqttlink.Message) {}
				o.Subscribe = []mqttlink.Filter{{Topic: topic.Down(devices.Serial(serial)), QoS: 1}}
				l, err := mqttlink.New(o)
				if err != nil {
					t.Error(err)
					return
				}
				l.Open()
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				if err := l.WaitUp(ctx); err != nil {
					t.Errorf("%s: %v", serial, err)
				}
				cancel()
				l.Close() // the consumer of a persistent session stays
			}
		})
	}
	for _, s := range serials {
		work <- s
	}
	close(work)
	wg.Wait()
}

// memoryDir is a folder in memory where there is one: a thousand consumers are three thousand small files, which on a disk
// take a quarter of a minute and prove nothing more.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "zhijiao-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
