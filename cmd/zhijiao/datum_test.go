package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/topic"
)

// TestOnePlaceInThreeDatums: the same point sent in WGS-84, GCJ-02 and BD-09 by a real session through the broker ends within 3 m in the
// database, and what says no datum is refused.
func TestOnePlaceInThreeDatums_R44_R45(t *testing.T) {
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
	root, out := newRoot(), new(strings.Builder)
	root.SetOut(out)
	root.SetErr(io.Discard)
	root.SetArgs([]string{"device", "secret", serial, "--data-dir", app.cfg.DataDir, "--database-url", app.cfg.Database.URL})
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimSpace(out.String()[strings.Index(out.String(), "secret")+len("secret"):])
	moveClock(t, app, start.Add(10*time.Minute))
	link, err := mqttlink.New(mqttlink.Options{URL: app.broker.URL(), ClientID: serial, Password: secret, Log: app.log})
	if err != nil {
		t.Fatal(err)
	}
	link.Open()
	t.Cleanup(link.Close)
	if err := link.WaitUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	const lon, lat = 113.1661234, 30.6631567
	send := func(datum string, seq int, lon, lat float64) {
		t.Helper()
		if datum != "" {
			datum = fmt.Sprintf(`"datum":%q,`, datum)
		}
		body := fmt.Sprintf(`{"v":1,"boot":77,%s"obs":[{"seq":%d,"at":%q,"lon":%.7f,"lat":%.7f,"acc":8,"method":"gnss"}]}`, datum, seq,
			start.Add(time.Duration(seq)*time.Minute).Format(time.RFC3339), lon, lat)
		if err := link.Publish(t.Context(), topic.Up(devices.Serial(serial), devices.KindFix), 1, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	for i, d := range []devices.Datum{devices.WGS84, devices.GCJ02, devices.BD09} {
		x, y := devices.FromWGS84(d, lon, lat)
		send(d.String(), 1+i, x, y)
	}
	send("", 4, lon, lat)
	type row struct{ lon, lat float64 }
	var rows []row
	eventually(t, "all three are stored", func() bool {
		rows = nil
		list, err := app.pool.Query(t.Context(), `SELECT lon_e7 / 1e7::float8, lat_e7 / 1e7::float8 FROM position_geom WHERE boot = 77 ORDER BY seq`)
		if err != nil {
			return false
		}
		defer list.Close()
		for list.Next() {
			var x row
			if list.Scan(&x.lon, &x.lat) != nil {
				return false
			}
			rows = append(rows, x)
		}
		return len(rows) == 3
	})
	for i, x := range rows {
		if m := math.Hypot((x.lon-lon)*95_700, (x.lat-lat)*110_900); m > 3 {
			t.Errorf("datum %v: %.2f m beside", []devices.Datum{devices.WGS84, devices.GCJ02, devices.BD09}[i], m)
		} else {
			t.Logf("%.3f m", m)
		}
	}
	eventually(t, "what says no datum is refused", func() bool {
		var n int
		return app.pool.QueryRow(t.Context(), `SELECT count(*) FROM quarantine WHERE serial = $1 AND reason = 'undeclared_datum'`, serial).Scan(&n) == nil && n == 1
	})
}
