package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"zhijiao/cmd/zhijiao/simulate"
)

// TestTrackersOverHTTP: a tracker of the OsmAnd wire, and one that a Traccar server speaks for, from the request to the row; what is wrong
// or foreign leaves a trace and nothing else.
func TestTrackersOverHTTP_R40_R45(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	app := rehearseStepped(t, start)
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
		return out.String()
	}
	r := rehearsal{people: 2, wristbands: 2, days: 0, seed: 3, step: longestStep, only: []simulate.Misdeed{}} // whoever wears a wristband has no phone of ours yet
	if _, err := r.live(t.Context(), app, io.Discard); err != nil {
		t.Fatal(err)
	}
	secretOf := func(out string) string { return strings.TrimSpace(out[strings.Index(out, "secret")+len("secret"):]) }
	secret := secretOf(run("device", "add", "osmand-7", "--class", "phone", "--org", "岳口"))
	run("device", "bind", "osmand-7", "--to", "TM-00001", "--every", "8h")
	run("device", "add", "traccar-8613", "--class", "phone", "--org", "岳口", "--model", "TK-1")
	run("device", "bind", "traccar-8613", "--to", "TM-00002", "--every", "8h")
	run("device", "datum", "TK-1", "GCJ-02")
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(strings.Repeat("t", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	app.cfg.OsmAnd.Listen, app.cfg.OsmAnd.ForwardTokenFile = "127.0.0.1:0", token
	if err := app.startOsmAnd(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its health is told", func() bool {
		return slices.Contains(app.gateways(), "osmand") && app.health.run(t.Context(), "osmand") == nil
	})
	moveClock(t, app, start.Add(10*time.Minute))
	ask := func(what string, want int, prepare func() *http.Request) {
		t.Helper()
		eventually(t, what, func() bool {
			resp, err := http.DefaultClient.Do(prepare())
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			return resp.StatusCode == want
		})
	}
	page := "http://" + app.osmand
	get := func(query string) func() *http.Request {
		return func() *http.Request {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page+"/?"+query, nil)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
	}
	at := start.Add(5 * time.Minute)
	place := fmt.Sprintf("&lat=30.6631567&lon=113.1661234&accuracy=8&batt=74&speed=10&timestamp=%d", at.UnixMilli())
	ask("what a tracker says is taken", 200, get("id=7&key="+secret+place))
	ask("and nobody else's word for it", 401, get("id=7&key=wrong"+place))
	ask("a field is named", 400, get("id=7&key="+secret+"&lat=x&lon=1&timestamp=1"))
	lon, lat := 113.1718, 30.6609 // about what GCJ-02 makes of it
	ask("what a Traccar server forwards is taken", 200, func() *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, page, strings.NewReader(fmt.Sprintf(`{"position":{"fixTime":%q,"valid":true,"latitude":%f,"longitude":%f,
			"accuracy":5,"attributes":{"batteryLevel":80}},"device":{"uniqueId":"8613"}}`, at.Format(time.RFC3339), lat, lon)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+strings.Repeat("t", 32))
		return r
	})
	columns(t, app, "position_geom", "d.serial = $1", []any{"osmand-7"}, fmt.Sprintf(`fix_at=%s lon_e7=1131661234 lat_e7=306631567 accuracy_m=8 speed_mps=5.14 method=1 datum=1 battery=74 boot=-1`,
		at.Format("2006-01-02T15:04:05.999999")))
	columns(t, app, "position_geom", "d.serial = $1", []any{"traccar-8613"}, `accuracy_m=5 method=1 datum=3 battery=80 boot=-1`)
	for reason, field := range map[string]string{"not_permitted": "authentication", "wrong_type": "lat"} {
		eventually(t, reason+" left a trace", func() bool {
			var n int
			return app.pool.QueryRow(t.Context(), `SELECT count(*) FROM quarantine WHERE serial = 'osmand-7' AND kind = 'osmand' AND reason = $1 AND field = $2 AND payload IS NULL`,
				reason, field).Scan(&n) == nil && n > 0
		})
	}
}
