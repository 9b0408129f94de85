package devices_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
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

func ptr[T any](v T) *T { return &v }

func TestObserveRemembersWhatDevicesSaid(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	b.device("wb-0001", devices.Wristband)
	b.device("ph-0001", devices.Phone)
	at := start.Add(time.Hour)
	b.must(func(tx pgx.Tx) error {
		known, err := devices.LockForObserve(ctx, tx, []devices.Serial{"ph-0001", "wb-0001", "nobody"})
		if err != nil || len(known) != 2 {
			t.Fatalf("%d known, %v", len(known), err)
		}
		k := known["wb-0001"]
		if !k.Enrolled(start) || k.Enrolled(start.Add(-1)) || !k.ObservedAt.IsZero() {
			t.Errorf("%+v", k)
		}
		for seq := range int64(3) {
			if k.Window.Accept(1, seq, uint64(seq)) != devices.HeardNew {
				t.Error("heard before")
			}
		}
		k.Take(&devices.Observation{At: at, SentAt: at, ReceivedAt: at.Add(time.Second),
			Health: devices.Health{Battery: ptr(80), Charging: ptr(false), Signal: ptr(-90), Strap: devices.StrapClosed, Cell: "460-00-1-1", LastGasp: "reset"}}, true)
		k.Take(&devices.Observation{At: at.Add(time.Minute), ReceivedAt: at.Add(time.Minute), Health: devices.Health{Battery: ptr(79), Cell: "460-00-2-2"}}, false)
		k.Take(&devices.Observation{At: at.Add(-time.Hour), ReceivedAt: at.Add(2 * time.Minute), Health: devices.Health{Battery: ptr(99)}}, true)
		p := known["ph-0001"]
		p.Heard(at)
		return devices.SaveHeard(ctx, tx, []*devices.Known{k, p})
	})
	var got string
	b.scan(&got, `SELECT concat_ws(' ', battery, charging, signal, strap, cell, coalesce(last_gasp, '-'), skew_ms, extract(epoch FROM heard_at - observed_at)::int)
		FROM device_health JOIN device USING (device_id) WHERE serial = 'wb-0001'`)
	if got != "79 f -90 1 460-00-1-1 - 1000 60" {
		t.Errorf("health is %s", got)
	}
	b.must(func(tx pgx.Tx) error {
		known, err := devices.LockForObserve(ctx, tx, []devices.Serial{"wb-0001"})
		k := known["wb-0001"]
		if err != nil || k.Window.Accept(1, 2, 2) != devices.HeardDuplicate || k.Window.Accept(1, 1, 9) != devices.HeardConflict {
			t.Errorf("what was heard is forgotten, %v", err)
		}
		return err
	})
}

func TestDamagedWindowLosesNothing(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	e := b.device("wb-0001", devices.Wristband)
	b.exec(`UPDATE device_health SET heard = '\xff00' WHERE device_id = $1`, e.ID)
	b.must(func(tx pgx.Tx) error {
		known, err := devices.LockForObserve(ctx, tx, []devices.Serial{"wb-0001"})
		if err != nil {
			return err
		}
		k := known["wb-0001"]
		if k.Window.Accept(1, 1, 1) != devices.HeardBelow || k.Window.Accept(1, 1, 1) != devices.HeardDuplicate {
			t.Error("history is not asked")
		}
		return devices.SaveHeard(ctx, tx, []*devices.Known{k})
	})
}

// Whoever takes in observations while a binding is recorded sees it whole or not at all.
func TestObserveSeesABindingOnlyUnderTheLock(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	e, s := b.device("ph-0001", devices.Phone), b.subject(false)
	writer, err := b.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := devices.Bind(ctx, writer, devices.NewBinding{Device: e.ID, Subject: s, Interval: time.Hour, From: start, At: start}); err != nil {
		t.Fatal(err)
	}
	facts := make(chan int64, 1)
	go func() {
		facts <- -1
		err := b.tx(func(tx pgx.Tx) error {
			known, err := devices.LockForObserve(ctx, tx, []devices.Serial{"ph-0001"})
			if err == nil {
				facts <- known["ph-0001"].Facts
			}
			return err
		})
		if err != nil {
			t.Error(err)
			facts <- -2
		}
	}()
	<-facts
	b.waitFor(`SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE OF h%'
		AND pid = ANY (SELECT pid FROM pg_locks WHERE relation = 'device_health'::regclass)`)
	if err := writer.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if got := <-facts; got != 1 {
		t.Errorf("facts are %d", got)
	}
}

// waitFor polls until a query is true.
func (b *bench) waitFor(sql string) {
	b.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		var ok bool
		b.scan(&ok, sql)
		if ok {
			return
		}
	}
	b.Fatalf("never true: %s", sql)
}

func TestCounts(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	c := devices.Counts{}
	c.Add(devices.KindFix, devices.Received, "", 5)
	c.Add(devices.KindFix, devices.Stored, "", 3)
	c.Add(devices.KindFix, devices.Withheld, devices.NoAuthority, 1)
	c.Add(devices.KindFix, devices.Rejected, devices.NullIsland, 1)
	c.Add(devices.KindFix, devices.Duplicate, "", 0)
	for partition := range 3 {
		b.must(func(tx pgx.Tx) error { return devices.SaveCounts(ctx, tx, partition%2, c) })
	}
	got, err := devices.LoadCounts(ctx, b.pool)
	if err != nil || len(got) != 4 || got.Total(devices.Received) != 15 || got.Open() != 0 {
		t.Fatalf("%v, %v", got, err)
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(devices.NewCollector(b.pool, slog.New(slog.DiscardHandler)))
	want := `# HELP zhijiao_observations_total Observations by outcome: received = stored + withheld + rejected + duplicate.
# TYPE zhijiao_observations_total counter
zhijiao_observations_total{kind="fix",outcome="received",reason=""} 15
zhijiao_observations_total{kind="fix",outcome="rejected",reason="null_island"} 3
zhijiao_observations_total{kind="fix",outcome="stored",reason=""} 9
zhijiao_observations_total{kind="fix",outcome="withheld",reason="no_authority"} 3
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "zhijiao_observations_total"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) != 0 {
		t.Errorf("%v, %v", problems, err)
	}
	b.pool.Close()
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "zhijiao_observations_total"); err != nil {
		t.Errorf("without a database: %v", err)
	}
}

func TestQuarantine(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	e := b.device("wb-0001", devices.Wristband)
	payload := []byte(`{"seq":4,"at":"2026-09-01T00:00:00Z","lon":113.1661,"lat":30.6631,"trail":"wt3m9q 一一三","method":"gnss","battery":101}`)
	r := devices.Refused{ReceivedAt: start, Device: e.ID, Serial: "wb-0001", Kind: devices.KindFix, Outcome: devices.Rejected, Reason: devices.OutOfRange,
		Field: "battery", Boot: 1, Seq: 4, At: start, Size: len(payload), Digest: 0xfedcba9876543210, Payload: payload}
	kept, withheld, stranger, big := r, r, r, r
	kept.Keep = true
	withheld.Keep, withheld.Outcome, withheld.Reason = true, devices.Withheld, devices.NoAuthority
	stranger.Device, stranger.Serial, stranger.Reason, stranger.Boot, stranger.Seq, stranger.At = 0, "ph-9", devices.UnknownDevice, -1, -1, time.Time{}
	big.Payload, big.Keep = bytes.Repeat([]byte("113.1661"), 5000), true
	b.must(func(tx pgx.Tx) error {
		return devices.Quarantine(ctx, tx, b.keys, []devices.Refused{r, kept, withheld, stranger, big})
	})
	rows, err := devices.ListQuarantine(ctx, b.pool, devices.QuarantineFilter{})
	if err != nil || len(rows) != 5 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	masked, raw, none, unknown := rows[4], rows[3], rows[2], rows[1]
	if !masked.Masked || string(masked.Payload) != `{"seq":9,"at":"9999-99-99T99:99:99Z","lon":999.9999,"lat":99.9999,"xxxxx":"xx9x9x .........","method":"gnss","battery":999}` {
		t.Errorf("masked as %s", masked.Payload)
	}
	if got, err := raw.Open(b.keys); err != nil || raw.Masked || !bytes.Equal(got, payload) || bytes.Contains(raw.Payload, []byte("113")) {
		t.Errorf("kept as %q, %v", got, err)
	}
	if none.Payload != nil || !none.Masked || none.Digest != r.Digest || !none.At.Equal(start) {
		t.Errorf("withheld: %+v", none)
	}
	if unknown.Device != 0 || unknown.Boot != -1 || unknown.Seq != -1 || !unknown.At.IsZero() {
		t.Errorf("unknown device: %+v", unknown)
	}
	if got := rows[0].Payload; len(got) != 2048 || bytes.Contains(got, []byte("1")) {
		t.Errorf("%d bytes of an oversized payload", len(got))
	}
	b.quarantineIsSilentAbout("113.1661", "30.6631")
	b.quarantinePages(e)
}

// quarantineIsSilentAbout looks for text in everything the table holds, as text and as bytes.
func (b *bench) quarantineIsSilentAbout(words ...string) {
	b.Helper()
	for _, w := range words {
		var n int
		b.scan(&n, `SELECT count(*) FROM quarantine q WHERE q::text LIKE '%' || $1 || '%' OR q::text LIKE '%' || $2 || '%'`, w, hex.EncodeToString([]byte(w)))
		if n != 0 {
			b.Errorf("%s is in %d rows", w, n)
		}
	}
}

func (b *bench) quarantinePages(e devices.Enrolled) {
	b.Helper()
	ctx := context.Background()
	for want, f := range map[int]devices.QuarantineFilter{
		1: {Reason: devices.NoAuthority}, 4: {Serial: e.Serial}, 2: {Limit: 2}, 0: {Since: start.Add(time.Microsecond)},
	} {
		if rows, err := devices.ListQuarantine(ctx, b.pool, f); err != nil || len(rows) != want {
			b.Errorf("%+v lists %d, %v", f, len(rows), err)
		}
	}
	first, err := devices.ListQuarantine(ctx, b.pool, devices.QuarantineFilter{Limit: 3})
	if err != nil {
		b.Fatal(err)
	}
	if rest, err := devices.ListQuarantine(ctx, b.pool, devices.QuarantineFilter{Before: first[2].ID}); err != nil || len(rest) != 2 {
		b.Errorf("second page has %d, %v", len(rest), err)
	}
	for _, c := range []struct {
		after time.Duration
		gone  int64
	}{{devices.QuarantineDays*day - 1, 0}, {devices.QuarantineDays * day, 5}} {
		if n, err := devices.PurgeQuarantine(ctx, b.pool, start.Add(c.after)); err != nil || n != c.gone {
			b.Errorf("after %v %d are purged, %v", c.after, n, err)
		}
	}
}

func TestCommandsAreSentUntilAnsweredOrExpired(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	e, gone := b.device("ph-0001", devices.Phone), b.device("ph-0002", devices.Phone)
	clk := clock.NewStepped(start)
	var sent []devices.CommandMessage
	var fail error
	reg := prometheus.NewPedanticRegistry()
	s := devices.NewSender(devices.SenderOptions{Pool: b.pool, Clock: clk, Log: slog.New(slog.DiscardHandler), Register: reg,
		Publish: func(_ context.Context, serial devices.Serial, payload []byte) error {
			m, err := devices.DecodeCommandJSON(payload)
			if serial != e.Serial || err != nil {
				t.Errorf("to %s: %v", serial, err)
			}
			if fail == nil {
				sent = append(sent, m)
			}
			return fail
		}})
	var ids []devices.CommandID
	b.must(func(tx pgx.Tx) (err error) {
		ids, err = devices.Enqueue(ctx, tx,
			devices.NewCommand{Device: e.ID, Kind: devices.CommandCheck, Check: 7, Due: start.Add(10 * time.Minute), At: start, ExpiresAt: start.Add(10 * time.Minute)},
			devices.NewCommand{Device: e.ID, Kind: devices.CommandText, Text: `请"回复"`, At: start.Add(time.Second), ExpiresAt: start.Add(20 * time.Second)},
			devices.NewCommand{Device: gone.ID, Kind: devices.CommandLocate, At: start, ExpiresAt: start.Add(time.Hour)})
		if err != nil {
			return err
		}
		return devices.Revoke(ctx, tx, gone.ID, start)
	})
	step := func(to time.Duration, want int) {
		t.Helper()
		clk.Step(start.Add(to))
		sent = nil
		if _, err := s.SendDue(ctx); !errors.Is(err, fail) {
			t.Fatal(err)
		}
		if len(sent) != want {
			t.Errorf("after %v %d are sent, not %d", to, len(sent), want)
		}
	}
	step(0, 1)
	want := devices.CommandMessage{ID: ids[0], Kind: devices.CommandCheck, At: start, Expires: start.Add(10 * time.Minute), Check: 7, Due: start.Add(10 * time.Minute)}
	if sent[0] != want {
		t.Errorf("%+v", sent[0])
	}
	step(time.Second, 1) // the text
	if sent[0].Text != `请"回复"` {
		t.Errorf("%+v", sent[0])
	}
	step(14*time.Second, 0)
	step(15*time.Second, 1)
	fail = errors.New("broker away")
	step(45*time.Second, 0)
	fail = nil
	step(59*time.Second, 0)
	step(60*time.Second, 1)
	b.must(func(tx pgx.Tx) error { return devices.FinishCommands(ctx, tx, clk.Now(), true, ids[0]) })
	step(20*time.Minute, 0)
	var open int
	b.scan(&open, `SELECT count(*) FROM command WHERE next_at IS NOT NULL`)
	if open != 0 {
		t.Errorf("%d commands are still to be sent", open)
	}
	var attempts string
	b.scan(&attempts, `SELECT string_agg(attempts::text, ' ' ORDER BY command_id) FROM command`)
	if attempts != "3 1 0" {
		t.Errorf("attempts %s", attempts)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) != 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestSenderRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(context.Background())
	e := b.device("ph-0001", devices.Phone)
	got := make(chan string, 10)
	s := devices.NewSender(devices.SenderOptions{Pool: b.pool, Clock: clock.NewStepped(start), Log: slog.New(slog.DiscardHandler), Poll: time.Hour,
		Publish: func(_ context.Context, serial devices.Serial, _ []byte) error { got <- string(serial); return nil }})
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	b.must(func(tx pgx.Tx) error {
		_, err := devices.Enqueue(ctx, tx, devices.NewCommand{Device: e.ID, Kind: devices.CommandVibrate, At: start, ExpiresAt: start.Add(time.Hour)})
		return err
	})
	s.Wake()
	select {
	case serial := <-got:
		if serial != "ph-0001" {
			t.Errorf("to %s", serial)
		}
	case <-time.After(20 * time.Second):
		t.Error("nothing is sent")
	}
	cancel()
	<-done
}

func TestTwoSendersShareTheWork(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	e := b.device("ph-0001", devices.Phone)
	list := make([]devices.NewCommand, 50)
	for i := range list {
		list[i] = devices.NewCommand{Device: e.ID, Kind: devices.CommandText, Text: fmt.Sprint(i), At: start, ExpiresAt: start.Add(time.Hour)}
	}
	b.must(func(tx pgx.Tx) error { _, err := devices.Enqueue(ctx, tx, list...); return err })
	sent := make(chan string, 200)
	done := make(chan error, 2)
	for range 2 {
		s := devices.NewSender(devices.SenderOptions{Pool: b.pool, Clock: clock.NewStepped(start), Log: slog.New(slog.DiscardHandler),
			Publish: func(_ context.Context, _ devices.Serial, p []byte) error { sent <- string(p); return nil }})
		go func() { _, err := s.SendDue(ctx); done <- err }()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	close(sent)
	seen := map[string]bool{}
	for p := range sent {
		if seen[p] {
			t.Errorf("twice: %s", p)
		}
		seen[p] = true
	}
	if len(seen) != 50 {
		t.Errorf("%d sent", len(seen))
	}
}
