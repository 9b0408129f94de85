package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
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

// TestBrokerAlone: `zhijiao broker` admits by the registry in the database and learns by the ledger who may speak.
func TestBrokerAlone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	url, dir := pgtest.Database(t), t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(strings.Repeat("p", 24)), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := []string{"--database-url", url, "--data-dir", dir, "--broker-password-file", password, "--mqtt-listen", "127.0.0.1:0", "--broker-partitions", "1"}
	if out, err := program(t, append([]string{"broker"}, settings...)...).result(); err == nil || !strings.Contains(out, "zhijiao migrate") {
		t.Errorf("without a schema: %v: %s", err, out)
	}
	if out, err := program(t, append([]string{"migrate"}, settings...)...).result(); err != nil {
		t.Fatalf("migrate: %v: %s", err, out)
	}
	p := program(t, append([]string{"broker"}, settings...)...)
	p.waitFor("the broker listens at tcp://")
	address := regexp.MustCompile(`listens at (tcp://\S+)`).FindStringSubmatch(p.output())[1]

	reader := mqttlink.Options{URL: address, ClientID: topic.IngestClient(0), Password: strings.Repeat("p", 24), Persistent: true,
		Subscribe: []mqttlink.Filter{{Topic: topic.PartitionFilter(0), QoS: 1}}, Handler: func(context.Context, mqttlink.Message) {}}
	mqtttest.Link(t, reader)

	keys, err := crypto.Load(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	pool := pgtest.Pool(t, url)
	var device devices.Enrolled
	tx := func(do func(pgx.Tx) error) {
		t.Helper()
		if err := pgx.BeginFunc(ctx, pool, do); err != nil {
			t.Fatal(err)
		}
	}
	tx(func(tx pgx.Tx) (err error) {
		device, err = devices.Enrol(ctx, tx, keys, devices.Enrolment{Serial: "D1", Class: devices.Phone, At: time.Now()})
		return err
	})
	lost := make(chan error, 100)
	link := mqtttest.Link(t, mqttlink.Options{URL: address, ClientID: "D1", Password: device.Secret, OnChange: func(err error) {
		if err != nil {
			lost <- err
		}
	}})
	for len(lost) > 0 {
		<-lost // it may have knocked before the ledger told of it
	}
	raw := mqtttest.DialRaw(t, address)
	raw.Write(mqtttest.Connect{ClientID: "D2", User: "D2", Password: "a guess"}.Packet())
	eventually(t, "who knocked under another's name is in the quarantine (R40)", func() bool {
		var n int
		if err := pool.QueryRow(ctx, `SELECT count(*) FROM quarantine WHERE serial = 'D2' AND reason = 'not_permitted' AND field = 'connect'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n > 0
	})
	tx(func(tx pgx.Tx) error { return devices.Revoke(ctx, tx, device.ID, time.Now()) })
	select {
	case <-lost:
	case <-time.After(20 * time.Second):
		t.Error("a revoked device is still connected")
	}
	eventually(t, "the revoked device is kept out", func() bool { up, err := link.Connected(); return !up && err != nil })
	p.stop()
}
