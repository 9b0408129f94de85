package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
	"zhijiao/internal/mqttlink"
)

// TestDeviceCommands: a device that the operator enrols and binds connects with the secret that was printed, and what it
// says is stored; without an approval a wristband is refused; who is revoked is out.
func TestDeviceCommands(t *testing.T) {
	t.Parallel()
	app := rehearseStepped(t, time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC))
	r := rehearsal{people: 2, wristbands: 1, days: 0, seed: 3, step: longestStep, only: []simulate.Misdeed{}}
	if _, err := r.live(t.Context(), app, io.Discard); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		root := newRoot()
		var out strings.Builder
		root.SetOut(&out)
		root.SetErr(io.Discard)
		root.SetArgs(append(args, "--data-dir", app.cfg.DataDir, "--database-url", app.cfg.Database.URL))
		err := root.ExecuteContext(t.Context())
		return out.String(), err
	}
	out, err := run("device", "add", "NEW-PHONE", "--class", "phone", "--org", "岳口")
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimSpace(out[strings.Index(out, "secret")+len("secret"):])
	if _, err := run("device", "add", "NEW-BAND", "--class", "wristband", "--org", "岳口"); err != nil {
		t.Fatal(err)
	}
	if _, err := run("device", "bind", "NEW-BAND", "--to", "TM-00002"); err == nil || !strings.Contains(err.Error(), "29") {
		t.Errorf("a wristband without an approval: %v", err)
	}
	for _, wrong := range [][]string{{"device", "bind", "NEW-PHONE", "--to", "TM-99999"}, {"device", "bind", "NOBODY", "--to", "TM-00001"}, {"device", "add", "X", "--class", "watch", "--org", "岳口"},
		{"device", "add", "NEW-PHONE", "--class", "phone", "--org", "岳口"}} {
		if _, err := run(wrong...); err == nil {
			t.Errorf("%v was taken", wrong)
		}
	}
	if _, err := run("device", "bind", "NEW-PHONE", "--to", "TM-00001", "--every", "8h"); err != nil {
		t.Fatal(err)
	}
	link, err := mqttlink.New(mqttlink.Options{URL: app.broker.URL(), ClientID: "NEW-PHONE", Username: "NEW-PHONE", Password: secret, Log: app.log})
	if err != nil {
		t.Fatal(err)
	}
	link.Open()
	defer link.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := link.WaitUp(ctx); err != nil {
		t.Fatal(err)
	}
	body := `{"v":1,"datum":"WGS-84","obs":[{"seq":1,"at":"2026-11-23T02:00:00Z","lon":113.16,"lat":30.65,"acc":8,"method":"gnss"}]}`
	if err := link.Send("up/NEW-PHONE/fix", 1, []byte(body)).Wait(ctx); err != nil {
		t.Fatal(err)
	}
	for {
		counts, err := devices.LoadCounts(ctx, app.pool)
		if err != nil {
			t.Fatal(err)
		}
		if counts[devices.CountKey{Kind: devices.KindFix, Outcome: devices.Stored}] >= 1 {
			break
		}
		if counts.Total(devices.Rejected) > 0 {
			t.Fatalf("refused: %v", counts)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not stored: %v", counts)
		case <-time.After(lookAgain):
		}
	}
	if _, err := run("device", "revoke", "NEW-PHONE"); err != nil {
		t.Fatal(err)
	}
	if _, err := run("device", "secret", "NEW-PHONE"); err == nil {
		t.Error("a revoked device was given a secret")
	}
}
