package mqtttest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// startMosquitto runs Debian's mosquitto with the settings a deployment on it needs: without max_queued_messages 0 it
// drops what its queue of a thousand cannot hold, silently.
func startMosquitto(t testing.TB, o Options) (url string, stop func()) {
	t.Helper()
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		t.Fatalf("mqtttest: %v", err)
	}
	if port == "0" {
		port = FreePort(t)
	}
	window := o.Window
	if window == 0 {
		window = 200
	}
	config := fmt.Sprintf("listener %s %s\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages %d\n"+
		"persistence true\npersistence_location %s/\nautosave_interval 1\n", port, host, window, o.StoreDir)
	addr := net.JoinHostPort(host, port)
	return "tcp://" + addr, StartMosquitto(t, o.StoreDir, config, addr).Stop
}

// MosquittoProcess is a mosquitto that runs.
type MosquittoProcess struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// Reload has it read its password and permission files again.
func (m *MosquittoProcess) Reload() { _ = m.cmd.Process.Signal(syscall.SIGHUP) }

// PID is its process.
func (m *MosquittoProcess) PID() int { return m.cmd.Process.Pid }

// Stop ends it in good order.
func (m *MosquittoProcess) Stop() {
	_ = m.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-m.ended:
	case <-time.After(10 * time.Second):
		_ = m.cmd.Process.Kill()
		<-m.ended
	}
}

// StartMosquitto runs mosquitto with a configuration until the test ends, and returns when it listens on the address.
func StartMosquitto(t testing.TB, dir, config, addr string) *MosquittoProcess {
	t.Helper()
	bin := Tool(t, "mosquitto")
	if os.Geteuid() == 0 {
		config += "user root\n" // it would else give up the right to its folder
	}
	file := filepath.Join(dir, "mosquitto.run.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatalf("mqtttest: %v", err)
	}
	var out bytes.Buffer
	cmd := exec.Command(bin, "-c", file)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // nothing is left behind by a killed test
	if err := cmd.Start(); err != nil {
		t.Fatalf("mqtttest: %v", err)
	}
	m := &MosquittoProcess{cmd: cmd, ended: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(m.ended) }()
	t.Cleanup(m.Stop)
	for deadline := time.Now().Add(15 * time.Second); ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			return m
		}
		select {
		case <-m.ended:
			t.Fatalf("mqtttest: mosquitto ended: %s", out.String())
		default:
		}
		if time.Now().After(deadline) {
			_ = cmd.Process.Kill()
			<-m.ended
			t.Fatalf("mqtttest: mosquitto does not listen on %s: %s", addr, out.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Tool finds a program the test needs. Without it the test fails where CI is set, and is skipped, saying so, elsewhere.
func Tool(t testing.TB, name string) string {
	t.Helper()
	bin, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if err != nil {
			bin, err = exec.LookPath(filepath.Join(dir, name))
		}
	}
	if err == nil {
		return bin
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed; apt-get install mosquitto mosquitto-clients", name)
	}
	t.Skipf("%s is not installed, so this is not tested here; apt-get install mosquitto mosquitto-clients", name)
	return ""
}

// FreePort is a loopback port nobody listens on at the moment.
func FreePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("mqtttest: %v", err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
