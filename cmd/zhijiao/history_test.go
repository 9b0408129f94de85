package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/geofence"
)

// TestHistoryCommands: what a rehearsal decided is explained, proved and tried with a change.
func TestHistoryCommands(t *testing.T) {
	t.Parallel()
	app := rehearseStepped(t, time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC))
	r := rehearsal{people: 6, wristbands: 4, days: 1, seed: 7, step: longestStep, only: []simulate.Misdeed{
		{Person: 0, Deed: simulate.LeaveCity, After: 9 * time.Hour, Duration: 4 * time.Hour},
		{Person: 1, Deed: simulate.EnterKeepOut, After: 10 * time.Hour, Duration: time.Hour},
	}}
	if _, err := r.live(t.Context(), app, io.Discard); err != nil {
		t.Fatal(err)
	}
	var violation geofence.ViolationID
	if err := app.pool.QueryRow(t.Context(), "SELECT violation_id FROM violation WHERE kind = 'left_zone' ORDER BY 1 LIMIT 1").Scan(&violation); err != nil {
		t.Fatal(err)
	}
	lines, err := explain(t.Context(), app.pool, violation)
	if err != nil {
		t.Fatal(err)
	}
	var zh strings.Builder
	for _, l := range lines {
		zh.WriteString(l.ZH + "\n")
	}
	for _, part := range []string{"TM-00001：越界", "误差圆全部在区域外", "自 2026-11-23", "结束"} {
		if !strings.Contains(zh.String(), part) {
			t.Errorf("the explanation does not say %q:\n%s", part, zh.String())
		}
	}
	var out bytes.Buffer
	if err := replayCheck(t.Context(), app.pool, 0, &out, io.Discard); err != nil || !strings.Contains(out.String(), " are identical, 0 of another engine differ, 0 differ") {
		t.Errorf("%v: %s", err, out.String())
	}
	out.Reset()
	w := whatif{days: 2, kind: "keep_out", drop: true}
	change, err := w.change()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.run(t.Context(), app.pool, change, app.clock.Now(), &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if rows := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(rows, "alarm entered_zone 1 0 -3.5 alarm left_zone 3 3 +0.0") {
		t.Errorf("without rules to keep out:\n%s", out.String())
	}
}
