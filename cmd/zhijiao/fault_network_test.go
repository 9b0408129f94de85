package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"zhijiao/internal/mqtttest"
)

// link is a network link of loopback that can be cut, and made bad.
type link struct {
	t     testing.TB
	proxy *toxiproxy.Proxy
}

// newLink is a link to an address.
func newLink(t testing.TB, to string) *link {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	l := &link{t, toxiproxy.NewProxy(server, "link", "127.0.0.1:0", to)}
	l.up()
	t.Cleanup(l.proxy.Stop)
	return l
}

func (l *link) up() {
	l.t.Helper()
	if err := l.proxy.Start(); err != nil {
		l.t.Fatal(err)
	}
}

func (l *link) cut() { l.proxy.Stop() }

// bad makes the link bad until the function it returns is called.
func (l *link) bad(kind, attributes string) (good func()) {
	l.t.Helper()
	doc := fmt.Sprintf(`{"name":"bad","type":%q,"stream":"downstream","attributes":%s}`, kind, attributes)
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(doc)); err != nil {
		l.t.Fatal(err)
	}
	return func() {
		if err := l.proxy.Toxics.RemoveToxic(context.Background(), "bad"); err != nil {
			l.t.Error(err)
		}
	}
}

// overTCP lets a database that listens on a socket alone be reached by TCP, as one on another machine is.
func overTCP(t testing.TB, address string) (host, dsn string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(u.Query().Get("host"), ".s.PGSQL."+u.Query().Get("port"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", socket)
			if err != nil {
				in.Close()
				continue
			}
			pipe := func(a, b net.Conn) { io.Copy(a, b); a.Close(); b.Close() }
			go pipe(in, out)
			go pipe(out, in)
		}
	}()
	return l.Addr().String(), "postgres://" + u.Query().Get("user") + "@%s" + u.Path + "?sslmode=disable"
}

// TestNetworkFaults_R116: links between server, broker and database are cut and slow: nothing is lost, nothing happens twice, and
// it goes on by itself.
func TestNetworkFaults_R116(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	w := newFaultWorld(t, dataFolder(t))
	w.servers["a"].kill()
	toBroker := newLink(t, w.mqtt)
	host, dsn := overTCP(t, w.cluster.URL(""))
	toDatabase := newLink(t, host)
	serve := func() {
		w.startServer("a", "--broker-url", "tcp://"+toBroker.proxy.Listen, "--database-url", fmt.Sprintf(dsn, toDatabase.proxy.Listen))
	}
	serve()
	w.publish()
	watch := w.watchVersions()
	away := func(l *link) func(*faultWorld, int) {
		return func(w *faultWorld, _ int) {
			l.cut()
			w.await(faultDevices * 20) // the broker takes it meanwhile
			l.up()
		}
	}
	slow := func(l *link, kind, attributes string) func(*faultWorld, int) {
		return func(w *faultWorld, _ int) {
			good := l.bad(kind, attributes)
			w.await(faultDevices * 20)
			good()
		}
	}
	rows := []faultRow{
		{"link to the broker cut", 1, away(toBroker)},
		{"link to the database cut", 1, away(toDatabase)},
		{"link to the broker 300 ms slow", 1, slow(toBroker, "latency", `{"latency":300,"jitter":100}`)},
		{"link to the database 50 ms slow", 1, slow(toDatabase, "latency", `{"latency":50,"jitter":20}`)},
		{"link to the broker in slices", 1, slow(toBroker, "slicer", `{"average_size":64,"size_variation":32,"delay":10}`)},
		{"link to the broker half open", 1, func(w *faultWorld, _ int) {
			good := toBroker.bad("timeout", `{"timeout":0}`) // nothing comes any more, and nobody says so
			w.await(faultDevices * 20)
			good()
		}},
	}
	var results []faultResult
	for _, row := range rows {
		if !t.Failed() {
			results = append(results, w.suffer(row, min(faultFactor(), 5)))
		}
	}
	w.finish()
	watch()
	t.Logf("\n%s", table(results))
}

// TestDiskFull_R116: the disk of the database is full. Nothing is acknowledged that is not stored, the server says what is wrong,
// and goes on when there is room again.
func TestDiskFull_R116(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can make a small file system: the disk is not filled up here")
	}
	small, err := os.MkdirTemp("", "zj-full-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(small, 0o711); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=400m,mode=0711", "zhijiao-full", small).CombinedOutput(); err != nil {
		os.Remove(small)
		t.Skipf("no small file system can be made here (%v: %s): the disk is not filled up", err, out)
	}
	t.Cleanup(func() {
		eventually(t, "the small file system is left", func() bool { return syscall.Unmount(small, 0) == nil })
		os.Remove(small)
	})
	w := newFaultWorld(t, filepath.Join(small, "data"))
	_, page, _ := strings.Cut(w.servers["a"].output(), "the console is at ")
	page, _, _ = strings.Cut(page, "\n")
	w.publish()
	watch := w.watchVersions()
	row := faultRow{"the disk of the database full", 1, func(w *faultWorld, _ int) {
		ballast, err := os.Create(filepath.Join(small, "ballast"))
		if err != nil {
			t.Fatal(err)
		}
		defer ballast.Close()
		block := make([]byte, 1<<20)
		for err == nil {
			_, err = ballast.Write(block)
		}
		for n := 64 << 10; n >= 512; n /= 2 { // to the last page
			for err = nil; err == nil; {
				_, err = ballast.Write(block[:n])
			}
		}
		eventually(t, "the server says that it cannot store", func() bool {
			code, body := get(t, page+"/healthz")
			return code == http.StatusServiceUnavailable && strings.Contains(body, "partition")
		})
		if err := os.Remove(ballast.Name()); err != nil {
			t.Fatal(err)
		}
		w.database()
	}}
	results := []faultResult{w.suffer(row, min(faultFactor(), 3))}
	w.finish()
	watch()
	t.Logf("\n%s", table(results))
}

// TestMosquittoKilled: Mosquitto keeps what it acknowledged in memory until its autosave. What it loses when it is killed is told,
// not judged; that nothing happens twice, and that what is stored is accounted for, holds with every broker.
func TestMosquittoKilled_R116(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	bin := mqtttest.Tool(t, "mosquitto")
	w := newFaultWorld(t, dataFolder(t))
	w.servers["a"].kill()
	w.broker.kill()
	host, port, _ := net.SplitHostPort(w.mqtt)
	folder := t.TempDir()
	config := filepath.Join(folder, "mosquitto.conf")
	text := fmt.Sprintf("listener %s %s\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 500\npersistence true\npersistence_location %s/\nautosave_interval 1\n",
		port, host, folder)
	if os.Geteuid() == 0 {
		text += "user root\n"
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var mosquitto *exec.Cmd
	start := func() {
		mosquitto = exec.Command(bin, "-c", config)
		mosquitto.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := mosquitto.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "mosquitto listens", func() bool {
			c, err := net.DialTimeout("tcp", w.mqtt, time.Second)
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
	start()
	t.Cleanup(func() { mosquitto.Process.Kill(); mosquitto.Wait() })
	w.startServer("a", "--broker-mapped", "false")
	w.publish()
	rounds := faultFactor()
	for range rounds {
		w.await(faultDevices * 20)
		mosquitto.Process.Kill()
		mosquitto.Wait()
		start()
	}
	w.await(faultDevices * 20)
	w.ending.Store(true)
	w.devices.Wait()
	c := w.settled()
	t.Logf("Mosquitto killed %d times: %d of %d acknowledged are lost, %d are there twice", rounds, c.lost, c.acked, c.duplicated)
	if c.duplicated != 0 {
		t.Errorf("%d are there twice", c.duplicated)
	}
	w.accounted()
}
