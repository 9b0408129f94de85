package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zhijiao/cmd/zhijiao/replay"
	"zhijiao/devices"
)

// traceCSV is a walk in Tianmen: n fixes, one an interval.
func traceCSV(from time.Time, n int, interval time.Duration) string {
	var b strings.Builder
	b.WriteString("user,t_utc,lat,lon,acc_m,provider\n")
	for i := range n {
		fmt.Fprintf(&b, "x,%s,%.6f,%.6f,8,gps\n", from.Add(time.Duration(i)*interval).Format(time.RFC3339), 30.65+0.00001*float64(i%400), 113.15+0.00002*float64(i%300))
	}
	return b.String()
}

func readTrace(t testing.TB, name, csv string) replay.Trace {
	t.Helper()
	tr, err := replay.Read(strings.NewReader(csv), name)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// replayed sends traces to a program in this process and returns what was told.
func replayed(t testing.TB, app *App, o replayOptions, traces []replay.Trace) string {
	t.Helper()
	url, tlsConfig, err := app.devicesLink(nil)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r := replayer{pool: app.pool, keys: app.keys, clock: app.clock, url: url, tls: tlsConfig, log: app.log, replayOptions: o,
		admitted: func(secrets map[devices.Serial]string) {
			if _, _, err := app.devicesLink(secrets); err != nil {
				t.Error(err)
			}
		}}
	if err := r.run(t.Context(), traces, &out, io.Discard); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return out.String()
}

// told is the number on a line of what was told; -1: no such line.
func told(out, what string) int {
	n := -1
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, what+" "); ok {
			fmt.Sscan(rest, &n)
		}
	}
	return n
}

func wantTold(t testing.TB, out string, want map[string]int) {
	t.Helper()
	for what, n := range want {
		if got := told(out, what); got != n {
			t.Errorf("%s: %d, want %d", what, got, n)
		}
	}
	for _, line := range []string{"received = stored + withheld + rejected + duplicate\n", "stored = rows\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("it does not say %q", line)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

// TestReplayAccountsForEveryObservation: a dense trace over more than one approval, a phone's that is finer than
// approved, and one from before the law; sent twice.
func TestReplayAccountsForEveryObservation(t *testing.T) {
	t.Parallel()
	app := rehearse(t, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	recorded := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	load := func() []replay.Trace {
		dense := readTrace(t, "test-dense", traceCSV(recorded, 1500, time.Minute))
		later := readTrace(t, "test-dense", traceCSV(recorded.AddDate(0, 4, 0), 500, time.Minute))
		dense.Fixes = append(dense.Fixes, later.Fixes...) // approvals are chained
		return []replay.Trace{dense,
			readTrace(t, "test-carried", traceCSV(recorded, 300, 6*time.Minute)),
			readTrace(t, "test-old", traceCSV(time.Date(2008, 11, 10, 0, 0, 0, 0, time.UTC), 700, 30*time.Second)),
		}
	}
	out := replayed(t, app, replayOptions{perMessage: 20}, load())
	if !strings.Contains(out, "R-test-old: recorded from 2008-11-10, moved by ") {
		t.Errorf("nothing is said about times before the law:\n%s", out)
	}
	wantTold(t, out, map[string]int{"sent": 3000, "received": 3000, "stored": 2000 + 150 + 700, "withheld finer_than": 150, "rejected": 0, "duplicate": 0, "rows of these devices": 2850})
	// The clock has gone on; a trace that was moved keeps the times it had.
	out = replayed(t, app, replayOptions{perMessage: 7}, load())
	wantTold(t, out, map[string]int{"sent": 3000, "received": 3000, "stored": 0, "duplicate": 3000, "rows of these devices": 0})
}

// TestReplayFromNow: on a clock that runs, fixes are sent at their own time.
func TestReplayFromNow(t *testing.T) {
	t.Parallel()
	app := rehearse(t, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	if err := app.settleClock(t.Context(), 120); err != nil {
		t.Fatal(err)
	}
	trace := readTrace(t, "test-now", traceCSV(time.Date(2008, 11, 10, 0, 0, 0, 0, time.UTC), 20, 10*time.Second))
	out := replayed(t, app, replayOptions{perMessage: 1, now: true}, []replay.Trace{trace})
	wantTold(t, out, map[string]int{"sent": 20, "received": 20, "stored": 20})
}

// TestReplayOfLivePlatformIsRefused: nobody invented gets among real people.
func TestReplayOfLivePlatformIsRefused(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	up(t, dir).stop()
	path := filepath.Join(t.TempDir(), "x.csv")
	if err := os.WriteFile(path, []byte(traceCSV(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), 3, time.Minute)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := program(t, "replay", path, "--data-dir", dir).result(); err == nil || !strings.Contains(out, "other kind") {
		t.Errorf("a live platform takes a replay: %v: %s", err, out)
	}
}

// TestReplaySharedTraces sends real traces moved to Tianmen, a part of each; all of each with ZHIJIAO_TEST_LONG.
func TestReplaySharedTraces(t *testing.T) {
	t.Parallel()
	folder := filepath.Join("..", "..", "..", "shared", "data", "traces")
	if _, err := os.Stat(folder); err != nil {
		t.Skip("the shared traces are not there: ", folder)
	}
	most := 3000
	if os.Getenv("ZHIJIAO_TEST_LONG") != "" {
		most = 1 << 30
	}
	for _, name := range []string{"studentlife_tianmen", "geolife_tianmen"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := rehearse(t, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
			traces, err := replay.Load(filepath.Join(folder, name))
			if err != nil {
				t.Skip("not there: ", err)
			}
			sent, worn, lost := 0, 0, 0
			for i := range traces {
				traces[i].Fixes = traces[i].Fixes[:min(most, len(traces[i].Fixes))]
				sent += len(traces[i].Fixes)
				if traces[i].Class == devices.Wristband {
					worn += len(traces[i].Fixes)
				}
				for _, f := range traces[i].Fixes {
					if f.Place.Lon > 180 { // a flight that was moved with the rest, round the world
						lost++
					}
				}
			}
			out := replayed(t, app, replayOptions{perMessage: 20}, traces)
			rejected := "rejected out_of_range"
			if lost == 0 {
				rejected = "rejected"
			}
			wantTold(t, out, map[string]int{"sent": sent, "received": sent, rejected: lost, "duplicate": 0})
			if told(out, "stored") < worn {
				t.Errorf("%d of %d observations of wristbands are stored", told(out, "stored"), worn)
			}
			t.Log(out)
		})
	}
}
