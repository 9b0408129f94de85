package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
	"zhijiao/devices/jt808"
)

// TestOnePlaceByGateways_R45: one place, told by trackers over HTTP and by a JT/T 808 terminal, whose wires say no datum, in the datum recorded for
// their models, stands in the database within 3 m of where it is.
func TestOnePlaceByGateways_R45(t *testing.T) {
	t.Parallel()
	const lon, lat = 113.1661234, 30.6631567
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
	secretOf := func(out string) string { return strings.TrimSpace(out[strings.Index(out, "secret")+len("secret"):]) }
	r := rehearsal{people: 4, wristbands: 4, days: 0, seed: 3, step: longestStep, only: []simulate.Misdeed{}}
	if _, err := r.live(t.Context(), app, io.Discard); err != nil {
		t.Fatal(err)
	}
	at := start.Add(10 * time.Minute)
	trackers, secrets := []devices.Datum{devices.WGS84, devices.GCJ02, devices.BD09}, map[string]string{}
	add := func(serial, subject string, d devices.Datum) {
		secrets[serial] = secretOf(run("device", "add", serial, "--class", "phone", "--org", "岳口", "--model", "M-"+d.String()))
		run("device", "bind", serial, "--to", subject, "--every", "8h")
		run("device", "datum", "M-"+d.String(), d.String())
	}
	for i, d := range trackers {
		add(fmt.Sprintf("osmand-%d", i), fmt.Sprintf("TM-%05d", i+1), d)
	}
	const terminal = "jt808-13511221122"
	add(terminal, "TM-00004", devices.GCJ02)
	moveClock(t, app, start.Add(20*time.Minute))

	app.cfg.OsmAnd.Listen, app.cfg.JT808.Listen = "127.0.0.1:0", "127.0.0.1:0"
	if err := app.startOsmAnd(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := app.startJT808(t.Context()); err != nil {
		t.Fatal(err)
	}
	knows := func(serial string, d devices.Datum) {
		t.Helper()
		eventually(t, "the gateways know "+serial+" and the datum of its model", func() bool {
			x, known := app.terminals.Find(devices.Serial(serial))
			return known && x.Datum == d
		})
	}
	for i, d := range trackers {
		serial := fmt.Sprintf("osmand-%d", i)
		knows(serial, d)
		x, y := devices.FromWGS84(d, lon, lat)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			fmt.Sprintf("http://%s/?id=%d&key=%s&lat=%.7f&lon=%.7f&accuracy=8&timestamp=%d", app.osmand, i, secrets[serial], y, x, at.Unix()), nil)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is taken", func() bool {
			resp, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			return resp.StatusCode == http.StatusOK
		})
	}
	knows(terminal, devices.GCJ02)
	w := &wireTerminal{T: t}
	w.dial(app.jt808)
	w.tell(jt808.Authentication, []byte(secrets[terminal]), jt808.Success)
	x, y := devices.FromWGS84(devices.GCJ02, lon, lat)
	w.tell(jt808.Report, jt808.AppendLocation(nil, jt808.Location{Status: jt808.StatusPositioned, Lat: uint32(y*1e6 + 0.5), Lon: uint32(x*1e6 + 0.5), Time: at}), jt808.Success)

	for serial := range secrets {
		var n int
		var off float64
		eventually(t, "a place of "+serial, func() bool {
			if err := app.pool.QueryRow(t.Context(), `SELECT count(*), coalesce(max(ST_Distance(ST_MakePoint(lon_e7 / 1e7, lat_e7 / 1e7)::geography,
				ST_MakePoint($2, $3)::geography)), -1) FROM position_geom JOIN device USING (device_id) WHERE serial = $1`, serial, lon, lat).Scan(&n, &off); err != nil {
				t.Fatal(err)
			}
			return n > 0
		})
		if n != 1 || off > 3 {
			t.Errorf("%s: %d places, the farthest %.2f m beside", serial, n, off)
		}
	}
}
