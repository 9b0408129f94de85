package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zhijiao/cmd/zhijiao/fleet"
	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/console"
	"zhijiao/devices"
	"zhijiao/internal/clock"
)

// missing skips a test that lacks something on this machine, and fails it where everything has to be there.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing, and CI installs it", what)
	}
	t.Skipf("%s is missing: make test installs it", what)
}

// leavers are people with wristbands who leave the city when the browser asks for it.
type leavers struct {
	app   *App
	fleet *fleet.Fleet
	list  []newcomer
	next  int
	now   time.Time
}

// leave has one more person leave the city: near the river a while ago, then over it by car, no faster than a car goes.
func (l *leavers) leave(ctx context.Context) error {
	n := l.list[l.next]
	l.next++
	office, away := simulate.TianmenOffices()[13], simulate.TianmenOutside()[0] // 20 km apart, the river between them
	from := l.now
	l.now = l.now.Add(10 * time.Minute)
	if err := clock.Set(ctx, l.app.pool, clock.Setting{Kind: clock.Stepped, At: l.now}); err != nil {
		return err
	}
	for l.app.clock.Now().Before(l.now) { // the program follows the setting; a fix from its future would be refused
		moved, stop := l.app.clock.After(l.now)
		select {
		case <-moved:
		case <-ctx.Done():
		}
		stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	var obs []devices.Observation
	for i := range 8 {
		o := devices.Observation{Seq: int64(i), At: from.Add(time.Duration(i+1) * time.Minute),
			Place: &devices.Place{Lon: office.Lon, Lat: office.Lat, Accuracy: 8, Speed: -1, Satellites: 9, Method: devices.MethodGNSS, Datum: devices.WGS84}}
		if f := float64(i-1) / 5; i > 1 { // within five minutes they are there
			f = min(f, 1)
			o.Place.Lon, o.Place.Lat = office.Lon+f*(away.Lon-office.Lon), office.Lat+f*(away.Lat-office.Lat)
		}
		obs = append(obs, o)
	}
	if err := l.fleet.Send(ctx, n.Serial, devices.KindFix, devices.Report{Boot: 1, Sent: l.now, Datum: devices.WGS84, Observations: obs}); err != nil {
		return err
	}
	if err := l.fleet.Flush(ctx, n.Serial); err != nil {
		return err
	}
	for raised := 0; raised < l.next; { // what the scenario asked for has happened when there is an alert of it
		if err := l.app.pool.QueryRow(ctx, "SELECT count(*) FROM alert").Scan(&raised); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// TestBrowser: Chromium through the main job against the real program: login, an alert that arrives live, taking charge, a
// note, a conclusion, and a connection that is lost and misses nothing. The steps are in console/web/e2e.
func TestBrowser(t *testing.T) {
	web, err := filepath.Abs(filepath.Join("..", "..", "console", "web"))
	if err != nil {
		t.Fatal(err)
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		missing(t, "chromium")
	}
	for what, file := range map[string]string{"the front end": "dist/index.html", "playwright-core": "node_modules/playwright-core"} {
		if _, err := os.Stat(filepath.Join(web, file)); err != nil {
			missing(t, what)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	start := time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)
	l := city(t, ctx, start)
	password := console.RandomPassword()
	c, err := newEnroller(l.app.pool, l.app.keys, l.app.clock).county(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := console.AddAccount(ctx, l.app.pool, console.NewAccount{Name: "duty", Org: c.Department, Roles: []console.Role{console.Commander}, Password: password, At: start}); err != nil {
		t.Fatal(err)
	}

	node := exec.CommandContext(ctx, "node", "e2e/scenario.test.mjs")
	node.Dir = web
	node.Env = append(os.Environ(), "BASE_URL="+l.app.page, "ACCOUNT=duty", "PASSWORD="+password, "CHROMIUM="+chromium, "TRIGGER_CMD=")
	in, err := node.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	node.Stderr = t.Output()
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	l.answer(ctx, t, out, in)
	if err := node.Wait(); err != nil {
		t.Errorf("the browser's scenario: %v", err)
	}
}

// city starts the program with a few people at home.
func city(t *testing.T, ctx context.Context, start time.Time) *leavers {
	l := &leavers{app: rehearse(t, start), now: start}
	e := newEnroller(l.app.pool, l.app.keys, l.app.clock)
	c, err := e.county(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		l.list = append(l.list, newcomer{Number: i, LocalNo: fmt.Sprintf("TM%06d", 7001+i), Office: 6 + i, Serial: devices.Serial(fmt.Sprintf("B-%04d", i)),
			Class: devices.Wristband, Interval: time.Minute, From: start.Add(-time.Hour)})
	}
	secrets, err := e.enrol(ctx, c, l.list)
	if err != nil {
		t.Fatal(err)
	}
	url, tlsConfig, err := l.app.devicesLink(secrets)
	if err != nil {
		t.Fatal(err)
	}
	l.fleet = fleet.New(fleet.Options{URL: url, TLS: tlsConfig})
	t.Cleanup(l.fleet.Close)
	for _, n := range l.list {
		if err := l.fleet.Connect(ctx, n.Serial, secrets[n.Serial]); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// answer does what the scenario asks for, until it ends, and passes on what else it says.
func (l *leavers) answer(ctx context.Context, t *testing.T, out io.Reader, in io.Writer) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		event, asked := strings.CutPrefix(lines.Text(), "@@ need ")
		if !asked {
			t.Log(lines.Text())
			continue
		}
		n := 1
		if many, ok := strings.CutPrefix(event, "alerts:"); ok {
			if _, err := fmt.Sscan(many, &n); err != nil {
				t.Errorf("the scenario asks for %q", event)
			}
		}
		reply := "ok"
		for range n {
			if err := l.leave(ctx); err != nil {
				reply = "error " + strings.ReplaceAll(err.Error(), "\n", " ")
			}
		}
		if _, err := fmt.Fprintln(in, reply); err != nil {
			return
		}
	}
}
