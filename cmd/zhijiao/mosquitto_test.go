package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/internal/crypto"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/pgtest"
	"zhijiao/internal/topic"
)

// TestMosquittoByExport: `broker export` writes the files a real Mosquitto runs under, `serve` probes it and reads it, a canary comes
// through, a device is let in by the secret it was enrolled with, and out within seconds when it is revoked.
func TestMosquittoByExport_R36(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	url, dir := pgtest.Database(t), t.TempDir()
	files, password, pidFile := filepath.Join(dir, "mosquitto"), filepath.Join(dir, "password"), filepath.Join(dir, "pid")
	if err := os.WriteFile(password, []byte(strings.Repeat("p", 24)), 0o600); err != nil {
		t.Fatal(err)
	}
	devicePort, servicePort := mqtttest.FreePort(t), mqtttest.FreePort(t)
	settings := []string{"--database-url", url, "--data-dir", dir, "--broker-password-file", password, "--broker-mapped=false",
		"--broker-url", "tcp://127.0.0.1:" + servicePort, "--http-listen", "127.0.0.1:0"}
	if out, err := program(t, append([]string{"migrate"}, settings...)...).result(); err != nil {
		t.Fatalf("migrate: %v: %s", err, out)
	}
	keys, _, err := crypto.LoadOrCreate(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	pool := pgtest.Pool(t, url)
	var device, old devices.Enrolled
	tx := func(do func(pgx.Tx) error) {
		t.Helper()
		if err := pgx.BeginFunc(ctx, pool, do); err != nil {
			t.Fatal(err)
		}
	}
	tx(func(tx pgx.Tx) (err error) {
		if device, err = devices.Enrol(ctx, tx, keys, devices.Enrolment{Serial: "D1", Class: devices.Phone, At: time.Now()}); err != nil {
			return err
		}
		if old, err = devices.Enrol(ctx, tx, keys, devices.Enrolment{Serial: "OLD", Class: devices.Phone, At: time.Now()}); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE device_credential SET mosquitto = NULL WHERE device_id = $1`, old.ID)
		return err
	})
	e := program(t, append([]string{"broker", "export", "--dir", files, "--follow", "--reload", pidFile,
		"--listener", devicePort + " 127.0.0.1", "--service-listener", servicePort + " 127.0.0.1"}, settings...)...)
	e.waitFor("1 devices cannot connect until they have a new secret (zhijiao device secret): OLD")
	if strings.Contains(e.output(), device.Secret) {
		t.Error("a secret was printed")
	}
	config, err := os.ReadFile(filepath.Join(files, "mosquitto.conf"))
	if err != nil {
		t.Fatal(err)
	}
	m := mqtttest.StartMosquitto(t, dir, string(config), "127.0.0.1:"+devicePort)
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(m.PID())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := program(t, append([]string{"serve"}, settings...)...)
	page := ""
	eventually(t, "it says where the console is", func() bool {
		found := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(s.output())
		page = found
		return found != ""
	})
	eventually(t, "ready: the canary came through Mosquitto and out of the database", func() bool {
		_, body := get(t, page+"/healthz")
		return strings.Contains(body, `"status":"ready"`) || strings.Contains(body, `"status": "ready"`)
	})
	lost := make(chan error, 100)
	link := mqtttest.Link(t, mqttlink.Options{URL: "tcp://127.0.0.1:" + devicePort, ClientID: "D1", Password: device.Secret, OnChange: func(err error) {
		if err != nil {
			lost <- err
		}
	}})
	at := time.Now().UTC().Format(time.RFC3339)
	if err := link.Publish(ctx, topic.Up("D1", devices.KindStatus), 1, []byte(`{"v":1,"boot":1,"obs":[{"seq":1,"at":"`+at+`","battery":50}]}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what the device said is in the database", func() bool {
		var n int
		if err := pool.QueryRow(ctx, `SELECT count(*) FROM device_health WHERE device_id = $1 AND battery = 50`, device.ID).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 1
	})
	tx(func(tx pgx.Tx) error { return devices.Revoke(ctx, tx, device.ID, time.Now()) })
	select {
	case <-lost:
	case <-time.After(20 * time.Second):
		t.Error("a revoked device is still connected")
	}
	s.stop()
	e.stop()
}
