package mosquitto_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zhijiao/internal/crypto"
	"zhijiao/internal/mosquitto"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/topic"
)

// TestFilesKeepDevicesApart: a real Mosquitto under the exported files lets a device be itself alone, whatever it calls itself, and
// puts out whoever is no longer in them.
func TestFilesKeepDevicesApart_R40(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	devicePort, servicePort := mqtttest.FreePort(t), mqtttest.FreePort(t)
	user := func(name string) mosquitto.User {
		return mosquitto.User{Name: name, Hash: crypto.MosquittoHash(mqtttest.Secret(name))}
	}
	site := mosquitto.Site{Dir: dir, DeviceListen: devicePort + " 127.0.0.1", ServiceListen: servicePort + " 127.0.0.1",
		Devices: []mosquitto.User{user("WB-1"), user("WB-2")}, Service: mosquitto.User{Name: "zhijiao", Hash: crypto.MosquittoHash(mqtttest.ServiceSecret)}}
	write := func() bool {
		t.Helper()
		changed, err := site.Write(dir)
		if err != nil {
			t.Fatal(err)
		}
		return changed
	}
	if !write() || write() {
		t.Error("written anew although nothing changed, or not written at all")
	}
	config, err := os.ReadFile(filepath.Join(dir, mosquitto.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	m := mqtttest.StartMosquitto(t, dir, string(config), net.JoinHostPort("127.0.0.1", devicePort))
	devices, service := "tcp://127.0.0.1:"+devicePort, "tcp://127.0.0.1:"+servicePort

	var got mqtttest.Collector
	reader := mqttlink.Options{URL: service, ClientID: topic.IngestClient(0), Username: "zhijiao", Password: mqtttest.ServiceSecret, Persistent: true,
		ManualAck: true, Handler: got.Handle}
	for _, f := range topic.UnmappedFilters {
		reader.Subscribe = append(reader.Subscribe, mqttlink.Filter{Topic: f, QoS: 1})
	}
	readerLink := mqtttest.Link(t, reader)

	device := func(serial, client string) mqttlink.Options {
		return mqttlink.Options{URL: devices, ClientID: client, Username: serial, Password: mqtttest.Secret(serial), BackoffMin: 20 * time.Millisecond}
	}
	var commands mqtttest.Collector
	one := device("WB-1", "WB-1")
	one.Subscribe, one.Handler = []mqttlink.Filter{{Topic: topic.Down("WB-1")}}, commands.Handle
	wb1 := mqtttest.Link(t, one)
	wb2 := mqtttest.Link(t, device("WB-2", "WB-1")) // another's client id
	wb2.Close()
	taken := mqtttest.Link(t, device("WB-2", topic.IngestClient(0))) // ours: it becomes its own second connection
	ctx := t.Context()
	publish := func(l *mqttlink.Link, where, what string) {
		t.Helper()
		if err := l.Publish(ctx, where, 1, []byte(what)); err != nil {
			t.Errorf("%s: %v", where, err)
		}
	}
	_ = taken.Publish(ctx, "up/WB-1/fix", 1, []byte("foreign")) // dropped, and the connection is cut, before it hears of the acknowledgement or after
	mqtttest.Eventually(t, "it is back", func() bool { return taken.Publish(ctx, "up/WB-2/fix", 1, []byte("own of 2")) == nil })
	publish(wb1, "up/WB-1/fix", "own of 1")
	publish(wb1, "owntracks/WB-1/phone", "owntracks")
	mqtttest.Eventually(t, "what devices may say arrives", func() bool {
		return got.Has("up/WB-2/fix", "own of 2") && got.Has("up/WB-1/fix", "own of 1") && got.Has("owntracks/WB-1/phone", "owntracks")
	})
	if got.HasPayload("foreign") {
		t.Error("a device spoke for another")
	}
	if up, err := readerLink.Connected(); !up {
		t.Errorf("a device took our session over: %v", err)
	}
	publish(readerLink, topic.Down("WB-1"), "command")
	mqtttest.Eventually(t, "a command arrives", func() bool { return commands.HasPayload("command") })

	refused := func(what string, o mqttlink.Options) {
		t.Helper()
		l, err := mqttlink.New(o)
		if err != nil {
			t.Fatal(err)
		}
		l.Open()
		defer l.Close()
		ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		if err := l.WaitUp(ctx); err == nil {
			t.Errorf("let in: %s", what)
		}
	}
	wrong := device("WB-1", "WB-1")
	wrong.Password = "a guess"
	refused("a wrong secret", wrong)
	ours := reader
	ours.URL = devices
	refused("our password at the devices' door", ours)
	theirs := device("WB-1", "WB-1")
	theirs.URL = service
	refused("a device at our door", theirs)

	site.Devices = []mosquitto.User{user("WB-1")} // WB-2 is revoked
	write()
	m.Reload()
	mqtttest.Eventually(t, "who is revoked is put out", func() bool { up, _ := taken.Connected(); return !up })
	if up, err := wb1.Connected(); !up {
		t.Errorf("who is not revoked was put out: %v", err)
	}
}

// TestHash: salted, in the form of Mosquitto; and a name its file cannot hold is refused.
func TestHash(t *testing.T) {
	t.Parallel()
	h := crypto.MosquittoHash("secret")
	if !strings.HasPrefix(h, "$7$101$") || len(strings.Split(h, "$")) != 5 || h == crypto.MosquittoHash("secret") {
		t.Error(h)
	}
	site := mosquitto.Site{Dir: t.TempDir(), Service: mosquitto.User{Name: "zhijiao:ingest:0", Hash: h}}
	if _, err := site.Write(site.Dir); err == nil {
		t.Error("a name with a colon was written")
	}
}
