package devices_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"zhijiao/devices"
	"zhijiao/internal/clock"
)

// desk is a sender whose messages stay here, and commands of one device.
type desk struct {
	*bench
	clock *clock.Variable
	s     *devices.Sender
	sent  []devices.CommandID
	e     devices.Enrolled
}

func newDesk(t *testing.T) *desk {
	d := &desk{bench: setup(t), clock: clock.NewStepped(start)}
	d.e = d.device("wb-0001", devices.Wristband)
	d.s = devices.NewSender(devices.SenderOptions{Pool: d.pool, Clock: d.clock, Log: slog.New(slog.DiscardHandler),
		Publish: func(_ context.Context, _ devices.Serial, payload []byte) error {
			m, err := devices.DecodeCommandJSON(payload)
			d.sent = append(d.sent, m.ID)
			return err
		}})
	return d
}

func (d *desk) ask(kind devices.CommandKind, lives time.Duration) devices.CommandID {
	d.Helper()
	c := devices.NewCommand{Device: d.e.ID, Kind: kind, At: d.clock.Now(), ExpiresAt: d.clock.Now().Add(lives), AskedAs: "root"}
	switch kind {
	case devices.CommandText:
		c.Text = "请到司法所报到"
	case devices.CommandInterval:
		c.Every = 5 * time.Minute
	}
	var got devices.CommandID
	d.must(func(tx pgx.Tx) (err error) { got, err = devices.Ask(d.Context(), tx, 0, c); return err })
	return got
}

// at moves time and has what is due sent; it returns how much was.
func (d *desk) at(after time.Duration) int {
	d.Helper()
	d.clock.Step(start.Add(after))
	d.sent = nil
	if _, err := d.s.SendDue(d.Context()); err != nil {
		d.Fatal(err)
	}
	return len(d.sent)
}

func (d *desk) answer(c devices.CommandID, o devices.CommandOutcome) {
	d.Helper()
	d.must(func(tx pgx.Tx) error {
		return devices.AnswerCommands(d.Context(), tx, devices.CommandAnswer{Device: d.e.ID, Command: c, Outcome: o, At: d.clock.Now(), DeviceAt: d.clock.Now().Add(-time.Second)})
	})
}

func (d *desk) row(c devices.CommandID) devices.CommandRow {
	d.Helper()
	list, err := devices.ListCommands(d.Context(), d.pool, d.e.ID, 0)
	if err != nil {
		d.Fatal(err)
	}
	for _, r := range list {
		if r.ID == c {
			return r
		}
	}
	d.Fatalf("no command %d", c)
	return devices.CommandRow{}
}

func (d *desk) is(c devices.CommandID, state devices.CommandState, reason string) devices.CommandRow {
	d.Helper()
	r := d.row(c)
	if r.State != state || r.Reason != reason {
		d.Errorf("command %d is %s %q, not %s %q", c, r.State, r.Reason, state, reason)
	}
	return r
}

// Each step of a command has its time, and what has ended stays as it is.
func TestCommandStates(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	c := d.ask(devices.CommandInterval, time.Hour)
	d.is(c, devices.CommandQueued, "")
	d.at(time.Second)
	d.at(20 * time.Second)
	d.is(c, devices.CommandSent, "")
	d.clock.Step(start.Add(21 * time.Second))
	d.answer(c, devices.OutcomeReceived)
	d.is(c, devices.CommandDelivered, "")
	d.clock.Step(start.Add(30 * time.Second))
	d.answer(c, devices.OutcomeDone)
	d.clock.Step(start.Add(40 * time.Second))
	d.answer(c, devices.OutcomeFailed)
	if got, want := d.row(c), (devices.CommandRow{ID: c, Kind: devices.CommandInterval, State: devices.CommandDone, Attempts: 2, At: start, ExpiresAt: start.Add(time.Hour),
		FirstSent: start.Add(time.Second), Sent: start.Add(20 * time.Second), Delivered: start.Add(21 * time.Second), Ended: start.Add(30 * time.Second),
		DeviceAt: start.Add(29 * time.Second), Every: 5 * time.Minute, AskedAs: "root"}); got != want {
		t.Errorf("%+v\n%+v", got, want)
	}
	if n := d.at(50 * time.Minute); n != 0 {
		t.Errorf("%d are sent that are done", n)
	}
	var kind string
	d.scan(&kind, `SELECT kind || ' ' || (body->>'kind') FROM ledger WHERE entity = 'command' AND entity_id = $1`, c)
	if kind != "command.asked interval" {
		t.Errorf("the ledger says %q", kind)
	}
}

// What a device cannot do, or does not do in time, ends so; afterwards it is not sent, but that it was done still counts.
func TestCommandsEnd(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	never, refused, late, text := d.ask(devices.CommandVibrate, time.Hour), d.ask(devices.CommandInterval, time.Minute), d.ask(devices.CommandLocate, time.Minute),
		d.ask(devices.CommandText, 10*time.Second)
	check := devices.NewCommand{Device: d.e.ID, Kind: devices.CommandCheck, Check: 7, Due: start.Add(time.Minute), At: start, ExpiresAt: start.Add(time.Minute)}
	var checks []devices.CommandID
	d.must(func(tx pgx.Tx) (err error) { checks, err = devices.Enqueue(t.Context(), tx, check, check); return err })
	d.at(time.Second)
	d.answer(never, devices.OutcomeUnsupported)
	d.answer(checks[0], devices.OutcomeDone)
	d.must(func(tx pgx.Tx) error { // a terminal that says no, twice, and something of somebody else's
		no := devices.CommandAnswer{Device: d.e.ID, Command: refused, Outcome: devices.OutcomeReceived, Reason: devices.ReasonRefused, At: d.clock.Now()}
		foreign := devices.CommandAnswer{Device: d.e.ID + 1, Command: late, Outcome: devices.OutcomeDone, At: d.clock.Now()}
		return devices.AnswerCommands(t.Context(), tx, foreign, no, no)
	})
	d.is(never, devices.CommandFailed, "unsupported")
	d.is(checks[0], devices.CommandDelivered, "")
	d.is(late, devices.CommandSent, "")
	d.at(10 * time.Second)
	if r := d.is(text, devices.CommandExpired, ""); !r.Ended.Equal(start.Add(10 * time.Second)) {
		t.Errorf("it expired at %v: the sender looks when the time runs out", r.Ended)
	}
	if n := d.at(time.Minute); n != 0 {
		t.Errorf("%d are sent whose time has run out", n)
	}
	d.is(refused, devices.CommandFailed, "refused")
	d.is(late, devices.CommandExpired, "")
	d.answer(late, devices.OutcomeReceived)
	d.is(late, devices.CommandExpired, "")
	d.answer(late, devices.OutcomeDone)
	d.is(late, devices.CommandDone, "")
	for i, answered := range []bool{true, false} {
		d.must(func(tx pgx.Tx) error {
			return devices.FinishCommands(t.Context(), tx, d.clock.Now(), answered, checks[i])
		})
	}
	d.is(checks[0], devices.CommandDone, "")
	d.is(checks[1], devices.CommandExpired, "")
	gone := d.ask(devices.CommandLocate, time.Hour)
	d.must(func(tx pgx.Tx) error { return devices.Revoke(t.Context(), tx, d.e.ID, d.clock.Now()) })
	if n := d.at(2 * time.Minute); n != 0 {
		t.Errorf("%d are sent to a device that is revoked", n)
	}
	d.is(gone, devices.CommandFailed, "revoked")
	open, err := devices.LoadOpenCommands(t.Context(), d.pool)
	if err != nil || len(open) != 0 {
		t.Errorf("%v are open, %v", open, err)
	}
}

// A device that had been silent is sent its commands again as soon as it is heard; one that speaks all the time, as planned.
func TestCommandsGoToWhoComesBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	hear := func(after time.Duration) {
		d.clock.Step(start.Add(after))
		d.must(func(tx pgx.Tx) error {
			known, err := devices.LockForObserve(t.Context(), tx, []devices.Serial{d.e.Serial})
			if err != nil {
				return err
			}
			known[d.e.Serial].Heard(d.clock.Now())
			return devices.SaveHeard(t.Context(), tx, []*devices.Known{known[d.e.Serial]})
		})
	}
	c := d.ask(devices.CommandLocate, 24*time.Hour)
	for _, after := range []time.Duration{0, 15 * time.Second, 45 * time.Second, 105 * time.Second, 225 * time.Second, 465 * time.Second} {
		if n := d.at(after); n != 1 {
			t.Errorf("%d are sent after %v", n, after)
		}
	}
	if n := d.at(500 * time.Second); n != 0 {
		t.Error("sent before it is due, and nothing was heard")
	}
	hear(510 * time.Second)
	if n := d.at(516 * time.Second); n != 1 {
		t.Error("the device is back, and gets nothing")
	}
	hear(530 * time.Second)
	if n := d.at(540 * time.Second); n != 0 {
		t.Error("it was here at the last attempt: the next one is as planned")
	}
	open, err := devices.LoadOpenCommands(t.Context(), d.pool)
	if want := (devices.OpenCommandKey{Kind: devices.CommandLocate, State: devices.CommandSent}); err != nil || len(open) != 1 || open[want] != 1 {
		t.Errorf("%v, %v", open, err)
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(devices.NewCollector(d.pool, slog.New(slog.DiscardHandler)))
	want := `# HELP zhijiao_commands_open Commands that have not come to an end, by kind and state.
# TYPE zhijiao_commands_open gauge
zhijiao_commands_open{kind="locate",state="sent"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "zhijiao_commands_open"); err != nil {
		t.Error(err)
	}
	d.answer(c, devices.OutcomeDone)
}

func TestCommandsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ok := devices.NewCommand{Device: d.e.ID, Kind: devices.CommandInterval, Every: time.Minute, At: start, ExpiresAt: start.Add(time.Minute)}
	for name, change := range map[string]func(*devices.NewCommand){
		"expired":      func(c *devices.NewCommand) { c.ExpiresAt = start },
		"no interval":  func(c *devices.NewCommand) { c.Every = 0 },
		"half seconds": func(c *devices.NewCommand) { c.Every = 1500 * time.Millisecond },
		"a month":      func(c *devices.NewCommand) { c.Every = 30 * 24 * time.Hour },
		"no text":      func(c *devices.NewCommand) { c.Kind, c.Text = devices.CommandText, " " },
		"a novel":      func(c *devices.NewCommand) { c.Kind, c.Text = devices.CommandText, strings.Repeat("字", 201) },
		"no UTF-8":     func(c *devices.NewCommand) { c.Kind, c.Text = devices.CommandText, "\xff" },
	} {
		c := ok
		change(&c)
		if err := d.tx(func(tx pgx.Tx) error { _, err := devices.Enqueue(t.Context(), tx, c); return err }); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
