package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
	"zhijiao/internal/crypto"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
)

// R40: a device fetches its secret by a code, connects with it, is given a new one, and is no longer let in with the earlier one once it
// came with that; what it says while it is lost is stored of nobody.
func TestDeviceLife_R40(t *testing.T) {
	t.Parallel()
	app := rehearseStepped(t, time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC))
	r := rehearsal{people: 2, wristbands: 1, days: 0, seed: 3, step: longestStep, only: []simulate.Misdeed{}}
	if _, err := r.live(t.Context(), app, io.Discard); err != nil {
		t.Fatal(err)
	}
	app.cfg.Enrol.Listen = "127.0.0.1:0"
	if err := app.startEnrolment(t.Context()); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		root := newRoot()
		var out strings.Builder
		root.SetOut(&out)
		root.SetErr(io.Discard)
		root.SetArgs(append(args, "--data-dir", app.cfg.DataDir, "--database-url", app.cfg.Database.URL))
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		fields := strings.Fields(out.String()) // name and value in turn; the second value is what is shown once
		if len(fields) < 4 {
			return ""
		}
		return fields[3]
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	first := run("device", "add", "NEW-PHONE", "--class", "phone", "--org", "岳口")
	run("device", "bind", "NEW-PHONE", "--to", "TM-00001", "--every", "8h")
	code := run("device", "enrol", "NEW-PHONE")
	exchange := func(code string, want int) (secret string) {
		t.Helper()
		body := `{"serial":"NEW-PHONE","code":"` + code + `"}`
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+app.enrolment+"/enrol", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // read
		var got struct{ Secret string }
		if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || resp.StatusCode != want {
			t.Fatalf("%d, want %d: %v", resp.StatusCode, want, err)
		}
		return got.Secret
	}
	exchange("00000-00000", http.StatusForbidden)
	secret := exchange(code, http.StatusOK)
	exchange(code, http.StatusForbidden)
	connect := func(secret string) *mqttlink.Link {
		t.Helper()
		link, err := mqttlink.New(mqttlink.Options{URL: app.broker.URL(), ClientID: "NEW-PHONE", Username: "NEW-PHONE", Password: secret, Log: app.log})
		if err != nil {
			t.Fatal(err)
		}
		link.Open()
		t.Cleanup(link.Close)
		return link
	}
	up := func(link *mqttlink.Link) {
		t.Helper()
		if err := link.WaitUp(ctx); err != nil {
			t.Fatal(err)
		}
	}
	good := func(secret string) bool {
		known, err := devices.LoadTerminals(ctx, app.pool)
		return err == nil && known["NEW-PHONE"].Knows(crypto.DeviceMAC(app.keys)([]byte(secret)))
	}
	old := connect(secret)
	up(old)
	if good(first) {
		t.Error("the secret before the code's is good")
	}
	newer := run("device", "rotate", "NEW-PHONE")
	if !good(secret) || !good(newer) {
		t.Error("in the overlap both are good")
	}
	old.Close()
	mqtttest.Eventually(t, "the broker knows the new secret", func() bool {
		link := connect(newer)
		defer link.Close()
		soon, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return link.WaitUp(soon) == nil
	})
	mqtttest.Eventually(t, "the earlier secret ended at first use of the new one", func() bool { return !good(secret) })
	run("device", "lost", "NEW-PHONE", "--reason", "丢失")
	link := connect(newer)
	up(link)
	body := `{"v":1,"datum":"WGS-84","obs":[{"seq":1,"at":"2026-11-23T02:00:00Z","lon":113.16,"lat":30.65,"acc":8,"method":"gnss"}]}`
	if err := link.Send("up/NEW-PHONE/fix", 1, []byte(body)).Wait(ctx); err != nil {
		t.Fatal(err)
	}
	mqtttest.Eventually(t, "what a lost device says is withheld", func() bool {
		counts, err := devices.LoadCounts(ctx, app.pool)
		return err == nil && counts[devices.CountKey{Kind: devices.KindFix, Outcome: devices.Withheld, Reason: devices.LostDevice}] == 1
	})
	run("device", "found", "NEW-PHONE")
}
