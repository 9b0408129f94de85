package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
	"zhijiao/internal/clock"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/topic"
)

// commandState is how far a command has come.
func commandState(t *testing.T, app *App, c devices.CommandID) (state string) {
	t.Helper()
	if err := app.pool.QueryRow(t.Context(), `SELECT concat_ws(' ', state, nullif(reason, '')) FROM command WHERE command_id = $1`, c).Scan(&state); err != nil {
		t.Fatal(err)
	}
	return state
}

func awaitState(t *testing.T, app *App, c devices.CommandID, want string) {
	t.Helper()
	mqtttest.Eventually(t, fmt.Sprintf("command %d is %s", c, want), func() bool { return commandState(t, app, c) == want })
}

func moveClock(t *testing.T, app *App, to time.Time) {
	t.Helper()
	if err := clock.Set(t.Context(), app.pool, clock.Setting{Kind: clock.Stepped, At: to}); err != nil {
		t.Fatal(err)
	}
	mqtttest.Eventually(t, "the clock moved", func() bool { return !app.clock.Now().Before(to) })
}

// TestCommandsOverMQTT: what an operator tells a device at the command line goes down through the broker, and what the device says of it
// comes up and stands in the list, with its times and who asked. A device that was away is sent it when it is heard again, unless it has
// expired: then never, although its session at the broker outlived it.
func TestCommandsOverMQTT(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	app := rehearseStepped(t, start)
	r := rehearsal{people: 2, wristbands: 1, days: 0, seed: 3, step: longestStep, only: []simulate.Misdeed{}}
	if _, err := r.live(t.Context(), app, io.Discard); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		t.Helper()
		root := newRoot()
		var out strings.Builder
		root.SetOut(&out)
		root.SetErr(io.Discard)
		root.SetArgs(append(args, "--data-dir", app.cfg.DataDir, "--database-url", app.cfg.Database.URL))
		err := root.ExecuteContext(t.Context())
		return out.String(), err
	}
	ask := func(args ...string) (c devices.CommandID) {
		t.Helper()
		out, err := run(append([]string{"device", "command", "BAND"}, args...)...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		if _, err := fmt.Sscanf(out, "command %d", &c); err != nil {
			t.Fatal(out)
		}
		return c
	}
	out, err := run("device", "add", "BAND", "--class", "phone", "--org", "岳口")
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimSpace(out[strings.Index(out, "secret")+len("secret"):])
	for _, wrong := range [][]string{{"device", "command", "NOBODY", "locate"}, {"device", "command", "BAND", "sing"}, {"device", "command", "BAND", "interval"},
		{"device", "command", "BAND", "interval", "0s"}, {"device", "command", "BAND", "text", ""}, {"device", "command", "BAND", "locate", "--by", "nobody"},
		{"device", "command", "BAND", "locate", "--for", "1s"}} {
		if _, err := run(wrong...); err == nil {
			t.Errorf("%v was taken", wrong)
		}
	}
	// Away, with a session that the broker keeps: what expires meanwhile does not come, what does not comes at the first word.
	heard := make(chan devices.CommandMessage, 100)
	session := mqttlink.Options{URL: app.broker.URL(), ClientID: "BAND", Password: secret, Persistent: true, ManualAck: true, Log: app.log, Subscribe: []mqttlink.Filter{{Topic: topic.Down("BAND"), QoS: 1}},
		Handler: func(_ context.Context, m mqttlink.Message) {
			c, err := devices.DecodeCommandJSON(m.Payload)
			if err != nil {
				t.Error(err)
			}
			m.Ack()
			heard <- c
		}}
	connect := func() *mqttlink.Link {
		t.Helper()
		link, err := mqttlink.New(session)
		if err != nil {
			t.Fatal(err)
		}
		link.Open()
		if err := link.WaitUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		return link
	}
	connect().Close()
	stale, late := ask("vibrate", "--for", "10s"), ask("interval", "10m", "--for", "24h")
	awaitState(t, app, stale, "sent")
	awaitState(t, app, late, "sent")
	moveClock(t, app, start.Add(3*time.Minute))
	awaitState(t, app, stale, "expired")
	link := connect()
	t.Cleanup(link.Close)
	seq := 0
	say := func(kind devices.Kind, more string) {
		t.Helper()
		seq++
		body := fmt.Sprintf(`{"v":1,"boot":1,"datum":"WGS-84","obs":[{"seq":%d,"at":"%s"%s}]}`, seq, app.clock.Now().Format(time.RFC3339Nano), more)
		if err := link.Publish(t.Context(), topic.Up("BAND", kind), 1, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	next := func(want devices.CommandID) devices.CommandMessage {
		t.Helper()
		for {
			select {
			case c := <-heard:
				if c.ID == stale {
					t.Error("an expired command arrived")
				}
				if c.ID == want {
					return c
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("command %d does not come", want)
			}
		}
	}
	say(devices.KindStatus, `,"battery":70`)
	mqtttest.Eventually(t, "the device was heard", func() bool {
		var ok bool
		if err := app.pool.QueryRow(t.Context(), `SELECT heard_at IS NOT NULL FROM device_health JOIN device USING (device_id) WHERE serial = 'BAND'`).Scan(&ok); err != nil {
			t.Fatal(err)
		}
		return ok
	})
	moveClock(t, app, start.Add(3*time.Minute+6*time.Second))
	if c := next(late); c.Kind != devices.CommandInterval || c.Every != 10*time.Minute || !c.Expires.Equal(start.Add(24*time.Hour)) {
		t.Errorf("%+v", c)
	}
	say(devices.KindStatus, fmt.Sprintf(`,"command":%d,"outcome":"received"`, late))
	awaitState(t, app, late, "delivered")
	say(devices.KindStatus, fmt.Sprintf(`,"command":%d,"outcome":"done"`, late))
	awaitState(t, app, late, "done")
	// The four kinds, each answered; the place of a person this device is not bound to is withheld, and the answer counts.
	locate, vibrate, text := ask("locate"), ask("vibrate"), ask("text", "请到司法所报到")
	if c := next(locate); c.Kind != devices.CommandLocate {
		t.Errorf("%+v", c)
	}
	say(devices.KindFix, fmt.Sprintf(`,"lon":113.16,"lat":30.65,"method":"gnss","command":%d,"outcome":"done"`, locate))
	say(devices.KindStatus, fmt.Sprintf(`,"command":%d,"outcome":"unsupported"`, vibrate))
	if c := next(text); c.Text != "请到司法所报到" {
		t.Errorf("%+v", c)
	}
	say(devices.KindStatus, fmt.Sprintf(`,"command":%d,"outcome":"failed"`, text))
	awaitState(t, app, locate, "done")
	awaitState(t, app, vibrate, "failed unsupported")
	awaitState(t, app, text, "failed failed")
	if _, err := run("officer", "add", "--login", "zhao.min", "--name", "赵敏", "--org", "岳口", "--role", "officer"); err != nil {
		t.Fatal(err)
	}
	ask("vibrate", "--by", "zhao.min")
	list, err := run("device", "commands", "BAND")
	if err != nil || strings.Count(list, "command line: ") != 5 || strings.Count(list, " zhao.min") != 1 || strings.Contains(list, "报到") || !strings.Contains(list, "interval 10m0s") {
		t.Errorf("%s %v", list, err)
	}
	var asked int
	if err := app.pool.QueryRow(t.Context(), `SELECT count(*) FROM ledger WHERE kind = $1`, devices.KindCommand).Scan(&asked); err != nil || asked != 6 {
		t.Errorf("%d entries of who asked, %v", asked, err)
	}
}

// TestNoBrokerKeepsCommands: a broker queues nothing at QoS 0 for a session that is away, and retains nothing: what comes to a device that
// was away is what is sent after it came back.
func TestNoBrokerKeepsCommands(t *testing.T) {
	t.Parallel()
	for _, kind := range []mqtttest.Kind{mqtttest.Embedded, mqtttest.Mosquitto} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := mqtttest.Broker(t, mqtttest.Options{Kind: kind, Devices: []string{"D1", "D2"}})
			mqtttest.Link(t, b.Reader(0, func(_ context.Context, m mqttlink.Message) { m.Ack() }))
			sender := mqtttest.Link(t, b.Service(topic.CommandClient("test")))
			wearer := func(serial devices.Serial) (mqttlink.Options, <-chan string) {
				o, heard := b.Device(string(serial)), make(chan string, 10)
				o.Persistent, o.ManualAck = true, true
				o.Subscribe = []mqttlink.Filter{{Topic: topic.Down(serial), QoS: 1}}
				o.Handler = func(_ context.Context, m mqttlink.Message) { m.Ack(); heard <- string(m.Payload) }
				return o, heard
			}
			device, heard := wearer("D1")
			other, mark := wearer("D2")
			mqtttest.Link(t, other)
			first := mqtttest.Link(t, device)
			if err := sender.Publish(t.Context(), topic.Down("D1"), 0, []byte("here")); err != nil {
				t.Fatal(err)
			}
			if got := <-heard; got != "here" {
				t.Error(got)
			}
			first.Close()
			if err := sender.Publish(t.Context(), topic.Down("D1"), 0, []byte("away")); err != nil {
				t.Fatal(err)
			}
			// Nothing answers a publish at QoS 0: that the broker is done with this one shows in the next one of the same connection.
			if err := sender.Publish(t.Context(), topic.Down("D2"), 0, []byte("mark")); err != nil {
				t.Fatal(err)
			}
			<-mark
			mqtttest.Link(t, device)
			if err := sender.Publish(t.Context(), topic.Down("D1"), 0, []byte("back")); err != nil {
				t.Fatal(err)
			}
			if got := <-heard; got != "back" {
				t.Errorf("the broker kept %q for the device", got)
			}
		})
	}
}
