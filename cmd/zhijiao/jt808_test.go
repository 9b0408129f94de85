package main

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
	"zhijiao/devices/jt808"
	"zhijiao/internal/mqtttest"
)

// wireTerminal is a JT/T 808 terminal, by its wire alone.
type wireTerminal struct {
	*testing.T
	net   net.Conn
	split jt808.Splitter
	queue []jt808.Message
	next  uint16
}

const terminalNumber = "013511221122"

func (w *wireTerminal) dial(address string) {
	w.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = c.Close() })
	*w = wireTerminal{T: w.T, net: c}
}

// ask sends a message and returns what comes back; its error is that the connection has ended.
func (w *wireTerminal) ask(id jt808.ID, body []byte) (jt808.Message, error) {
	w.Helper()
	if err := w.send(id, body); err != nil {
		return jt808.Message{}, err
	}
	return w.receive()
}

func (w *wireTerminal) send(id jt808.ID, body []byte) error {
	w.Helper()
	b, err := jt808.Append(nil, jt808.Message{Header: jt808.Header{ID: id, Phone: terminalNumber, Serial: w.next}, Body: body})
	if err != nil {
		w.Fatal(err)
	}
	w.next++
	_ = w.net.SetDeadline(time.Now().Add(time.Minute))
	_, err = w.net.Write(b)
	return err
}

// receive returns the next message from the platform.
func (w *wireTerminal) receive() (jt808.Message, error) {
	w.Helper()
	_ = w.net.SetDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 4096)
	for len(w.queue) == 0 {
		n, err := w.net.Read(buf)
		if err != nil {
			return jt808.Message{}, err
		}
		w.split.Split(buf[:n], func(frame []byte, _ *devices.Fault) bool {
			m, f := jt808.Open(frame)
			if f != nil {
				w.Fatal(f)
			}
			w.queue = append(w.queue, m)
			return true
		})
	}
	m := w.queue[0]
	w.queue = w.queue[1:]
	return m, nil
}

// tell sends a message that must be answered with that result.
func (w *wireTerminal) tell(id jt808.ID, body []byte, want jt808.Result) {
	w.Helper()
	m, err := w.ask(id, body)
	if err != nil {
		w.Fatal(err)
	}
	if r, f := jt808.OpenReply(m.Body); f != nil || m.ID != jt808.PlatformReply || r.Result != want {
		w.Fatalf("%04x: %v %v", uint16(id), r.Result, f)
	}
}

// TestTerminalToPosition_R35_R38_R39: a terminal that an officer lets register fetches its code, and what it says stands in the
// database; sent again it changes nothing, (0, 0) is no place, a clock that is ahead is refused; revoked, it is out.
func TestTerminalToPosition_R35_R38_R39(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	app := rehearseStepped(t, start)
	r := rehearsal{people: 2, wristbands: 1, days: 0, seed: 3, step: longestStep, only: []simulate.Misdeed{}}
	if _, err := r.live(t.Context(), app, io.Discard); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) {
		t.Helper()
		root := newRoot()
		var out strings.Builder
		root.SetOut(&out)
		root.SetErr(io.Discard)
		root.SetArgs(append(args, "--data-dir", app.cfg.DataDir, "--database-url", app.cfg.Database.URL))
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	app.cfg.JT808.Listen = "127.0.0.1:0"
	if err := app.startJT808(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its health is told", func() bool {
		return slices.Contains(app.gateways(), "jt808") && app.health.run(t.Context(), "jt808") == nil
	})
	w := &wireTerminal{T: t}
	w.dial(app.jt808)
	registered := func(want byte) string {
		t.Helper()
		m, err := w.ask(jt808.Registration, make([]byte, 45))
		if err != nil || m.ID != jt808.RegistrationReply || m.Body[2] != want {
			t.Fatalf("%+v %v", m, err)
		}
		return string(m.Body[3:])
	}
	registered(jt808.NoSuchTerminal)
	const serial = "jt808-13511221122"
	run("device", "add", serial, "--class", "phone", "--org", "岳口", "--model", "W-100")
	run("device", "bind", serial, "--to", "TM-00001", "--every", "8h")
	run("device", "datum", "W-100", "WGS-84")
	registered(jt808.AlreadyRegistered)
	run("device", "register", serial)
	code := registered(jt808.Registered)
	w.tell(jt808.Authentication, []byte(code), jt808.Success)
	l := jt808.Location{Status: jt808.StatusPositioned, Lat: 30650000, Lon: 113160000, Time: start}
	fix := jt808.AppendLocation(nil, l)
	w.tell(jt808.Report, fix, jt808.Success)
	w.tell(jt808.Report, fix, jt808.Success)
	zero, ahead := l, l
	zero.Lat, zero.Lon, ahead.Time = 0, 0, start.Add(time.Hour)
	w.tell(jt808.Report, jt808.AppendLocation(nil, zero), jt808.Success)
	w.tell(jt808.Report, jt808.AppendLocation(nil, ahead), jt808.Success)
	awaitCounts(t, app, map[devices.CountKey]int64{
		{Kind: devices.KindFix, Outcome: devices.Stored}:                                 1,
		{Kind: devices.KindFix, Outcome: devices.Duplicate}:                              1,
		{Kind: devices.KindFix, Outcome: devices.Rejected, Reason: devices.TimeInFuture}: 1,
		{Kind: devices.KindFix, Outcome: devices.Received}:                               3,
	})
	var lon, lat int64
	if err := app.pool.QueryRow(t.Context(), `SELECT lon_e7, lat_e7 FROM position_geom p JOIN device d USING (device_id) WHERE d.serial = $1`,
		serial).Scan(&lon, &lat); err != nil || lon != 1131600000 || lat != 306500000 {
		t.Errorf("it stands elsewhere, or not: %v", err)
	}
	// A command goes down, and is over when the terminal says that it was carried out.
	device, err := devices.Find(t.Context(), app.pool, serial)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := devices.Enqueue(t.Context(), app.pool, devices.NewCommand{Device: device.ID, Kind: devices.CommandText, Text: "请到司法所报到",
		At: start, ExpiresAt: start.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	text, err := w.receive()
	if err != nil || text.ID != jt808.Text {
		t.Fatal(text, err)
	}
	w.send(jt808.TerminalReply, jt808.AppendReply(nil, jt808.Reply{Serial: text.Serial, ID: text.ID, Result: jt808.Success}))
	for done := false; !done; time.Sleep(lookAgain) {
		if err := app.pool.QueryRow(t.Context(), `SELECT state = 'done' FROM command WHERE command_id = $1`, ids[0]).Scan(&done); err != nil {
			t.Fatal(err)
		}
	}
	// A query is first received and then answered by where it is; no is asked again, and never is the end.
	list, err := devices.Enqueue(t.Context(), app.pool,
		devices.NewCommand{Device: device.ID, Kind: devices.CommandLocate, At: start, ExpiresAt: start.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	query, err := w.receive()
	if err != nil || query.ID != jt808.QueryLocation {
		t.Fatal(query, err)
	}
	w.send(jt808.TerminalReply, jt808.AppendReply(nil, jt808.Reply{Serial: query.Serial, ID: query.ID, Result: jt808.Success}))
	awaitState(t, app, list[0], "delivered")
	w.send(jt808.QueryReply, append([]byte{byte(query.Serial >> 8), byte(query.Serial)}, fix...))
	awaitState(t, app, list[0], "done")
	for _, c := range []struct {
		kind   devices.CommandKind
		result jt808.Result
		want   string
	}{{devices.CommandInterval, jt808.Failed, "delivered refused"}, {devices.CommandVibrate, jt808.Unsupported, "failed unsupported"}} {
		list, err := devices.Enqueue(t.Context(), app.pool,
			devices.NewCommand{Device: device.ID, Kind: c.kind, Every: time.Minute, At: start, ExpiresAt: start.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		m, err := w.receive()
		if err != nil {
			t.Fatal(err)
		}
		w.send(jt808.TerminalReply, jt808.AppendReply(nil, jt808.Reply{Serial: m.Serial, ID: m.ID, Result: c.result}))
		awaitState(t, app, list[0], c.want)
	}
	// What is asked of a terminal that is away waits for it, and comes when it is heard again; but not what has expired by then.
	_ = w.net.Close()
	moveClock(t, app, start.Add(3*time.Minute))
	list, err = devices.Enqueue(t.Context(), app.pool,
		devices.NewCommand{Device: device.ID, Kind: devices.CommandText, Text: "过期", At: app.clock.Now(), ExpiresAt: app.clock.Now().Add(time.Minute)},
		devices.NewCommand{Device: device.ID, Kind: devices.CommandText, Text: "回电", At: app.clock.Now(), ExpiresAt: app.clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		awaitState(t, app, c, "sent")
	}
	moveClock(t, app, start.Add(5*time.Minute))
	awaitState(t, app, list[0], "expired")
	w.dial(app.jt808)
	w.tell(jt808.Authentication, []byte(code), jt808.Success)
	again := l
	again.Time = start.Add(5 * time.Minute)
	w.send(jt808.Report, jt808.AppendLocation(nil, again))
	mqtttest.Eventually(t, "it was heard", func() bool {
		var ok bool
		if err := app.pool.QueryRow(t.Context(), `SELECT heard_at >= $2 FROM device_health JOIN device USING (device_id) WHERE serial = $1`, serial,
			start.Add(5*time.Minute)).Scan(&ok); err != nil {
			t.Fatal(err)
		}
		return ok
	})
	moveClock(t, app, start.Add(5*time.Minute+6*time.Second))
	for came := false; !came; {
		m, err := w.receive()
		if err != nil {
			t.Fatal(err)
		}
		if came = m.ID == jt808.Text; came {
			if want := jt808.AppendText(nil, "回电", false, false); string(m.Body) != string(want) {
				t.Errorf("it is told % x", m.Body)
			}
			w.send(jt808.TerminalReply, jt808.AppendReply(nil, jt808.Reply{Serial: m.Serial, ID: m.ID, Result: jt808.Success}))
		}
	}
	awaitState(t, app, list[1], "done")
	run("device", "revoke", serial)
	for { // until it is out: the news comes by the ledger
		if _, err := w.ask(jt808.Heartbeat, nil); err != nil {
			break
		}
	}
	rows, err := devices.ListQuarantine(t.Context(), app.pool, devices.QuarantineFilter{Serial: serial})
	if err != nil || len(rows) == 0 {
		t.Errorf("no traces of what was refused: %v", err)
	}
}

// awaitCounts waits until the account says so.
func awaitCounts(t *testing.T, app *App, want map[devices.CountKey]int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		counts, err := devices.LoadCounts(ctx, app.pool)
		if err != nil {
			t.Fatal(err)
		}
		done := true
		for k, n := range want {
			done = done && int64(counts[k]) == n
		}
		if done {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not accounted for: %v", counts)
		case <-time.After(lookAgain):
		}
	}
}
