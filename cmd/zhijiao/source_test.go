package main

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/topic"
)

// TestASourceStops_R46: what devices say moves the watermark of their source; when nothing newer comes for a quarter of an hour that is told,
// although the canary goes on, and told again when it is over.
func TestASourceStops_R46(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	app := rehearseStepped(t, start)
	r := rehearsal{people: 1, wristbands: 1, days: 0, seed: 3, step: longestStep, only: []simulate.Misdeed{}}
	if _, err := r.live(t.Context(), app, io.Discard); err != nil {
		t.Fatal(err)
	}
	var serial string
	if err := app.pool.QueryRow(t.Context(), `SELECT min(serial) FROM device WHERE class = 'wristband'`).Scan(&serial); err != nil {
		t.Fatal(err)
	}
	root := newRoot()
	var out strings.Builder
	root.SetOut(&out)
	root.SetErr(io.Discard)
	root.SetArgs([]string{"device", "secret", serial, "--data-dir", app.cfg.DataDir, "--database-url", app.cfg.Database.URL})
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimSpace(out.String()[strings.Index(out.String(), "secret")+len("secret"):])
	link, err := mqttlink.New(mqttlink.Options{URL: app.broker.URL(), ClientID: serial, Password: secret, Log: app.log})
	if err != nil {
		t.Fatal(err)
	}
	link.Open()
	t.Cleanup(link.Close)
	if err := link.WaitUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	say := func(at time.Time) {
		t.Helper()
		body := fmt.Sprintf(`{"v":1,"boot":7,"obs":[{"seq":%d,"at":"%s","battery":70}]}`, at.Unix(), at.Format(time.RFC3339))
		if err := link.Publish(t.Context(), topic.Up(devices.Serial(serial), devices.KindStatus), 1, []byte(body)); err != nil {
			t.Fatal(err)
		}
		mqtttest.Eventually(t, "it is taken in", func() bool {
			var ok bool
			if err := app.pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM device_status JOIN device USING (device_id) WHERE serial = $1 AND at = $2)`, serial, at).Scan(&ok); err != nil {
				t.Fatal(err)
			}
			return ok
		})
	}
	told := func(want string) {
		t.Helper()
		app.watchSources(t.Context())
		var got string
		if err := app.pool.QueryRow(t.Context(), `SELECT coalesce(string_agg(kind || ' ' || (body->>'source'), ', ' ORDER BY pos), '') FROM ledger WHERE entity = 'source'`).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("the ledger says %q, not %q", got, want)
		}
	}
	say(start.Add(time.Second))
	told("")
	moveClock(t, app, start.Add(15*time.Minute))
	told("")
	moveClock(t, app, start.Add(16*time.Minute))
	told("source.stale mqtt wristband")
	say(start.Add(16 * time.Minute))
	told("source.stale mqtt wristband, source.fresh mqtt wristband")
}
