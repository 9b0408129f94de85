package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"zhijiao/cmd/zhijiao/config"
	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
	"zhijiao/internal/clock"
	"zhijiao/internal/pgtest"
)

func TestSimulateRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		`there is no behaviour "fly"`: {"--behaviours", "leave_city,fly"},
		"--people: 1 to 10,000":       {"--people", "10001"},
		"--dense: 0 to 20":            {"--people", "20", "--dense", "21"},
		"--batch: 1 to":               {"--batch", "11"},
		"--days: at least 1":          {"--days", "0"},
		"exclude one another":         {"--stepped", "--rate", "60"},
	} {
		cmd := newRoot()
		cmd.SetArgs(append([]string{"simulate", "--data-dir", t.TempDir()}, args...))
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}

// rehearse starts the program, in this process, on a database of its own that is a rehearsal.
func rehearse(t testing.TB, start time.Time) *App {
	t.Helper()
	return rehearseAs(t, plan{}, start)
}

// rehearseStepped is one whose clock the test moves, by stepped.
func rehearseStepped(t testing.TB, start time.Time) *App {
	t.Helper()
	return rehearseAs(t, plan{stepped: true}, start)
}

func rehearseAs(t testing.TB, p plan, start time.Time) *App {
	t.Helper()
	p.migrate, p.mode, p.broker, p.server, p.freePorts, p.clock = true, modeRehearsal, true, true, true, &clock.Setting{Kind: clock.Stepped, At: start}
	cfg, err := config.Load(config.Source{Flags: map[string]string{
		"data_dir": t.TempDir(), "database_url": pgtest.Database(t), "http.listen": "127.0.0.1:0", "mqtt.listen": "127.0.0.1:0", "broker.sync": "interval",
	}})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	app, err := newApp(t.Context(), cfg, log, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return app
}

// TestEveryMisdeedHasItsAlert_AndNobodyElseAnAlarm: fifty people live through a day, four do something wrong; broker,
// PostGIS, engine and alerts are the real ones. What the sent observations could show has its alert, and who kept the law
// has no 报警.
func TestEveryMisdeedHasItsAlert_AndNobodyElseAnAlarm(t *testing.T) {
	t.Parallel()
	app := rehearseStepped(t, time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)) // midnight in Tianmen
	r := rehearsal{people: 50, wristbands: 12, days: 1, seed: 7, step: longestStep, only: []simulate.Misdeed{
		{Person: 0, Deed: simulate.LeaveCity, After: 9 * time.Hour, Duration: 4 * time.Hour},
		{Person: 1, Deed: simulate.EnterKeepOut, After: 10 * time.Hour, Duration: time.Hour},
		{Person: 2, Deed: simulate.FallSilent, After: 11 * time.Hour, Duration: 3 * time.Hour},
		{Person: 20, Deed: simulate.LeaveCity, After: 12 * time.Hour, Duration: 7 * time.Hour},
	}}
	truth, err := r.live(t.Context(), app, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range truth {
		if !m.Visible {
			t.Errorf("%s %s: %s; the test needs another hour", m.Serial, m.Deed, m.Why)
		}
	}
	hold(t, r.lived, truth, alertsOf(t, app), nil)
	counts, err := devices.LoadCounts(t.Context(), app.pool)
	if err != nil {
		t.Fatal(err)
	}
	if counts.Open() != 0 || counts.Total(devices.Rejected) != 0 || counts.Total(devices.Withheld) != 0 {
		t.Errorf("open %d, rejected %d, withheld %d of %d: %v", counts.Open(), counts.Total(devices.Rejected), counts.Total(devices.Withheld), counts.Total(devices.Received), counts)
	}
}

// TestSteppedDoesNotDependOnTheMachine: the same seed raises the same alerts, twice.
func TestSteppedDoesNotDependOnTheMachine(t *testing.T) {
	t.Parallel()
	var first string
	for round := range 2 {
		app := rehearseStepped(t, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
		o, err := inventedWorld(8, 4, 3, app.clock.Now(), 1)
		if err != nil {
			t.Fatal(err)
		}
		o.Misdeeds = []simulate.Misdeed{{Person: 0, Deed: simulate.EnterKeepOut, After: 20 * time.Minute, Duration: 40 * time.Minute},
			{Person: 1, Deed: simulate.FallSilent, After: 10 * time.Minute, Duration: time.Hour}}
		truth, err := livePart(t.Context(), app, o, 2*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(alertsOf(t, app), truth)
		if round == 0 {
			first = got
		} else if got != first {
			t.Errorf("the second run differs:\n%s\n%s", first, got)
		}
	}
}

// livePart lets a world live stepped for a part of a day.
func livePart(ctx context.Context, app *App, o simulate.Options, d time.Duration) ([]simulate.Truth, error) {
	w, err := simulate.New(o)
	if err != nil {
		return nil, err
	}
	e := newEnroller(app.pool, app.keys, app.clock)
	c, err := e.county(ctx)
	if err != nil {
		return nil, err
	}
	secrets, err := e.enrol(ctx, c, newcomers(w, o.People, o.Wristbands, o.Start, false))
	if err != nil {
		return nil, err
	}
	url, tlsConfig, err := app.devicesLink(secrets)
	if err != nil {
		return nil, err
	}
	p := newPeople(w, url, tlsConfig, app.log)
	defer p.fleet.Close()
	if err := p.connect(ctx, secrets); err != nil {
		return nil, err
	}
	s := stepped{app: app, people: p, step: longestStep}
	err = s.run(ctx, o.Start.Add(d), func(time.Time) {})
	return w.Truth(o.Start.Add(d)), err
}
