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
	bin := Tool(t, "mosquitto")
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		t.Fatalf("mqtttest: %v", err)
	}
	if port == "0" {
		port = freePort(t)
	}
	window := o.Window
	if window == 0 {
		window = 200
	}
	config := fmt.Sprintf("listener %s %s\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages %d\n"+
		"persistence true\npersistence_location %s/\nautosave_interval 1\n", port, host, window, o.StoreDir)
	if os.Geteuid() == 0 {
		config += "user root\n" // it would else give up the right to its folder
	}
	file := filepath.Join(o.StoreDir, "mosquitto.conf")
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
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	addr := net.JoinHostPort(host, port)
	for deadline := time.Now().Add(15 * time.Second); ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			break
		}
		select {
		case <-ended:
			t.Fatalf("mqtttest: mosquitto ended: %s", out.String())
		default:
		}
		if time.Now().After(deadline) {
			_ = cmd.Process.Kill()
			<-ended
			t.Fatalf("mqtttest: mosquitto does not listen on %s: %s", addr, out.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "tcp://" + addr, func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
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

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("mqtttest: %v", err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
