package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/ingest"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/topic"
)

func TestFromPublishToObserver(t *testing.T) {
	t.Parallel()
	for _, kind := range []mqtttest.Kind{mqtttest.Embedded, mqtttest.Mosquitto} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := mqtttest.Broker(t, mqtttest.Options{Kind: kind, Partitions: 3, Devices: []string{"WB-1", "WB-2", "WB-3", "WB-4"}})
			s := start(t, b, &recorder{}, nil)
			for i := 1; i <= 4; i++ {
				serial := fmt.Sprintf("WB-%d", i)
				send(t, mqtttest.Link(t, b.Device(serial)), serial, 50)
			}
			mqtttest.Eventually(t, "all are committed", func() bool { return len(s.rec.observations()) >= 200 })
			last := map[devices.Serial]int64{}
			for _, o := range s.rec.observations() {
				if o.Seq != last[o.Serial]+1 {
					t.Fatalf("%s: %d after %d", o.Serial, o.Seq, last[o.Serial])
				}
				last[o.Serial] = o.Seq
				if o.Kind != devices.KindFix || !o.ReceivedAt.Equal(now) || o.Place == nil {
					t.Fatalf("observation %+v", o)
				}
			}
			if s.rec.received() != 200 {
				t.Errorf("received %d", s.rec.received())
			}
			if err := s.in.Ready(); err != nil {
				t.Error(err)
			}
		})
	}
}

// mosquitto_pub with our JSON is accepted as any device's.
func TestMosquittoPub(t *testing.T) {
	t.Parallel()
	pub := mqtttest.Tool(t, "mosquitto_pub")
	for _, kind := range []mqtttest.Kind{mqtttest.Embedded, mqtttest.Mosquitto} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := mqtttest.Broker(t, mqtttest.Options{Kind: kind, Devices: []string{"WB-1"}})
			s := start(t, b, &recorder{}, nil)
			host, port, _ := strings.Cut(strings.TrimPrefix(b.URL, "tcp://"), ":")
			run := func(serial, secret string) error {
				cmd := exec.CommandContext(t.Context(), pub, "-h", host, "-p", port, "-i", serial, "-u", serial, "-P", secret,
					"-q", "1", "-t", topic.Up("WB-1", "fix"), "-m", string(payload(1, 3)))
				out, err := cmd.CombinedOutput()
				if err != nil {
					return fmt.Errorf("%w: %s", err, out)
				}
				return nil
			}
			mqtttest.Eventually(t, "it is let in", func() bool { return run("WB-1", mqtttest.Secret("WB-1")) == nil })
			mqtttest.Eventually(t, "three fixes", func() bool { n, _ := s.rec.has("WB-1", 3); return n == 3 })
			if kind == mqtttest.Embedded && run("WB-1", "guessed") == nil {
				t.Error("let in with a guessed secret")
			}
		})
	}
}

// A phone with the OwnTracks app is a device like any other, on both kinds of broker; so is one whose last message was
// retained and comes again.
func TestOwnTracksPhone(t *testing.T) {
	t.Parallel()
	for _, kind := range []mqtttest.Kind{mqtttest.Embedded, mqtttest.Mosquitto} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := mqtttest.Broker(t, mqtttest.Options{Kind: kind, Partitions: 4, Devices: []string{"PH-1"}})
			s := start(t, b, &recorder{}, func(o *ingest.Options) { o.Partitions = 4 })
			phone := mqtttest.Link(t, b.Device("PH-1"))
			say := func(topic, body string) {
				t.Helper()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if err := phone.SendRetained(topic, 1, []byte(body)).Wait(ctx); err != nil {
					t.Fatal(err)
				}
			}
			place := func(at time.Time) string {
				return fmt.Sprintf(`{"_type":"location","tst":%d,"lat":30.65,"lon":113.16,"acc":9}`, at.Unix())
			}
			say("owntracks/PH-1/pixel", place(now))
			say("owntracks/PH-1/pixel", "["+place(now.Add(-time.Minute))+","+place(now.Add(time.Hour))+"]")
			say("owntracks/PH-1/pixel/event", strings.Replace(place(now), "location", "transition", 1))
			say("owntracks/PH-1/pixel", `{"_type":"lwt","tst":1}`)
			say("owntracks/PH-1/pixel", `{"_type":"encrypted","data":"x"}`)
			mqtttest.Eventually(t, "all are taken in", func() bool { return s.rec.received() == 6 })
			s.rec.mu.Lock()
			for _, batch := range s.rec.batches {
				if batch.Partition != s.rec.batches[0].Partition {
					t.Error("one device's messages are decided side by side")
				}
			}
			s.rec.mu.Unlock()
			for _, o := range s.rec.observations() {
				if o.Serial != "PH-1" || o.Kind != devices.KindFix || o.Place == nil || !o.Derived() {
					t.Errorf("%+v", o)
				}
			}
			reasons := map[devices.Reason]int{}
			for _, r := range s.rec.refusals() {
				reasons[r.Fault.Reason]++
			}
			if len(s.rec.observations()) != 3 || reasons[devices.TimeInFuture] != 1 || reasons[devices.NoObservation] != 1 || reasons[devices.Encrypted] != 1 {
				t.Errorf("%d observations, refused %v", len(s.rec.observations()), reasons)
			}
		})
	}
}

// Many messages share a commit: while one batch is being committed, the next gathers.
func TestBatches(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{Devices: []string{"WB-1"}})
	rec := &recorder{}
	entered, release := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	rec.set(func(context.Context, geofence.Batch) error {
		if first.CompareAndSwap(false, true) {
			close(entered)
			<-release
		}
		return nil
	})
	s := start(t, b, rec, func(o *ingest.Options) { o.Batch = 300 })
	device := mqtttest.Link(t, b.Device("WB-1"))
	go func() { <-entered; close(release) }()
	send(t, device, "WB-1", 1500)
	mqtttest.Eventually(t, "all", func() bool { n, _ := rec.has("WB-1", 1500); return n == 1500 })
	sizes := rec.sizes()
	if slices.Max(sizes) > 300 {
		t.Errorf("a batch of %d, 300 is the most", slices.Max(sizes))
	}
	if len(sizes) > 750 {
		t.Errorf("1500 messages in %d batches", len(sizes))
	}
	mqtttest.Eventually(t, "every commit is measured", func() bool {
		return int(counter(t, s.metrics, "zhijiao_ingest_commit_seconds", "")) == len(rec.sizes())
	})
}

// What is not committed is not acknowledged: a successor gets it. What is, it does not get.
func TestAcknowledgedAfterCommitOnly(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{Devices: []string{"WB-1"}, AckWait: time.Second})
	proxy := mqtttest.NewProxy(t, strings.TrimPrefix(b.URL, "tcp://"))
	rec := &recorder{}
	entered, stuck := make(chan struct{}, 1), make(chan struct{})
	rec.set(func(_ context.Context, batch geofence.Batch) error {
		for _, o := range batch.Observations {
			if o.Seq > 100 {
				entered <- struct{}{}
				<-stuck // as a process that hangs, and is then killed
				return errAway
			}
		}
		return nil
	})
	start(t, b, rec, func(o *ingest.Options) { o.Link.URL, o.AckWait = proxy.URL, time.Minute })
	t.Cleanup(func() { close(stuck) })
	device := mqtttest.Link(t, b.Device("WB-1"))
	send(t, device, "WB-1", 100)
	mqtttest.Eventually(t, "a hundred are committed and acknowledged", func() bool {
		n, _ := rec.has("WB-1", 100)
		waiting, given := b.Embedded.Backlog()
		return n == 100 && waiting+given == 0
	})
	for i := 101; i <= 150; i++ {
		device.Send(topic.Up("WB-1", "fix"), 1, payload(i, i))
	}
	<-entered
	mqtttest.Eventually(t, "fifty are given and not acknowledged", func() bool {
		waiting, given := b.Embedded.Backlog()
		return waiting == 0 && given == 50
	})
	proxy.Down(true) // the first process is gone for the broker

	next := &recorder{}
	start(t, b, next, func(o *ingest.Options) { o.AckWait = time.Second })
	mqtttest.Eventually(t, "the successor gets the rest", func() bool { n, _ := next.has("WB-1", 150); return n == 50 })
	if n, _ := next.has("WB-1", 100); n != 0 {
		t.Errorf("%d of what was committed and acknowledged came again", n)
	}
}

// When the database is away nothing is acknowledged, the session is closed and the queue dropped; when it is back,
// everything comes, and nothing committed comes twice.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	for _, kind := range []mqtttest.Kind{mqtttest.Embedded, mqtttest.Mosquitto} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := mqtttest.Broker(t, mqtttest.Options{Kind: kind, Devices: []string{"WB-1"}, AckWait: time.Second})
			rec := &recorder{}
			s := start(t, b, rec, func(o *ingest.Options) { o.AckWait = time.Second })
			rec.set(func(context.Context, geofence.Batch) error {
				if s.db.away.Load() {
					return errAway
				}
				return nil
			})
			device := mqtttest.Link(t, b.Device("WB-1"))
			send(t, device, "WB-1", 50)
			mqtttest.Eventually(t, "the first fifty", func() bool { n, _ := rec.has("WB-1", 50); return n == 50 })
			s.db.away.Store(true)
			send(t, device, "WB-1", 400) // 1..50 again, as a device would that missed an acknowledgement; and 51..400
			mqtttest.Eventually(t, "the session is closed", func() bool {
				return counter(t, s.metrics, "zhijiao_ingest_paused", "") == 1 && counter(t, s.metrics, "zhijiao_ingest_sessions", "") == 0
			})
			if err := s.in.Ready(); err == nil || !strings.Contains(err.Error(), "database") {
				t.Errorf("health says %v", err)
			}
			s.db.away.Store(false)
			mqtttest.Eventually(t, "everything comes", func() bool { n, _ := rec.has("WB-1", 400); return n == 400 })
			mqtttest.Eventually(t, "and it is healthy", func() bool { return s.in.Ready() == nil })
			if n := counter(t, s.metrics, "zhijiao_ingest_poison_total", ""); n != 0 {
				t.Errorf("%v refused as poison though it was the database", n)
			}
		})
	}
}

// A commit that takes longer than half of AckWait is given up, and the session closed before the broker redelivers into
// a full queue. Nothing is lost by it.
func TestSlowDatabase(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{Devices: []string{"WB-1"}, AckWait: time.Second, Window: 50})
	rec := &recorder{}
	var slow atomic.Int32
	slow.Store(2)
	rec.set(func(ctx context.Context, _ geofence.Batch) error {
		if slow.Add(-1) >= 0 {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	s := start(t, b, rec, func(o *ingest.Options) { o.AckWait, o.Window = time.Second, 50 })
	device := mqtttest.Link(t, b.Device("WB-1"))
	send(t, device, "WB-1", 500)
	mqtttest.Eventually(t, "everything comes", func() bool { n, _ := rec.has("WB-1", 500); return n == 500 })
	if n := counter(t, s.metrics, "zhijiao_ingest_reconnects_total", "database"); n < 1 {
		t.Error("the session was never closed on purpose")
	}
}

// R37: the observation that the core cannot take in is found, refused and kept; the others go on, and it does not come
// again.
func TestPoison(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("violates a constraint") },
		"panic": func() error { panic("index out of range") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := mqtttest.Broker(t, mqtttest.Options{Devices: []string{"WB-1"}, AckWait: time.Second})
			rec := &recorder{}
			var tries atomic.Int32
			rec.set(func(_ context.Context, batch geofence.Batch) error {
				for _, o := range batch.Observations {
					if o.Seq == 113 {
						if len(batch.Observations) == 1 {
							tries.Add(1)
						}
						return fail()
					}
				}
				return nil
			})
			s := start(t, b, rec, func(o *ingest.Options) { o.AckWait, o.Attempts = time.Second, 3 })
			device := mqtttest.Link(t, b.Device("WB-1"))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for i := 1; i <= 400; i += 20 { // twenty a message: the culprit's message keeps its other nineteen
				if err := device.Publish(ctx, topic.Up("WB-1", "fix"), 1, payload(i, i+19)); err != nil {
					t.Fatal(err)
				}
			}
			mqtttest.Eventually(t, "all but one", func() bool { n, _ := rec.has("WB-1", 400); return n == 399 })
			mqtttest.Eventually(t, "the culprit is refused", func() bool { return len(rec.refusals()) == 1 })
			r := rec.refusals()[0]
			if r.Fault.Reason != devices.Poison || r.Seq != 113 || r.Boot != 1 || r.Serial != "WB-1" || r.Kind != devices.KindFix {
				t.Errorf("refused as %+v", r)
			}
			if tries.Load() != 3 {
				t.Errorf("tried alone %d times, not 3", tries.Load())
			}
			if _, most := rec.has("WB-1", 400); most != 1 {
				t.Errorf("one was committed %d times", most)
			}
			if rec.received() != 400 {
				t.Errorf("received %d of 400: the accounting must close", rec.received())
			}
			if n := counter(t, s.metrics, "zhijiao_ingest_poison_total", ""); n != 1 {
				t.Errorf("counted %v", n)
			}
		})
	}
}

// One bad observation of twenty costs that one alone.
func TestOneBadOfTwenty(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{Devices: []string{"WB-1"}})
	s := start(t, b, &recorder{}, nil)
	device := mqtttest.Link(t, b.Device("WB-1"))
	good := string(payload(1, 20))
	at7 := now.Add((7 - 5000) * time.Second).Format(time.RFC3339)
	for i, c := range []struct {
		change string
		reason devices.Reason
	}{
		{`{"seq":7,"at":"` + at7 + `","lon":1131.6,`, devices.OutOfRange},
		{`{"seq":7,"at":"` + at7 + `","lon":"east",`, devices.WrongType},
		{`{"seq":7,"at":"2026-11-23T14:05:01Z","lon":113.16,`, devices.TimeInFuture},
		{`{"seq":7,"at":"1970-01-01T00:00:07Z","lon":113.16,`, devices.TimeTooOld},
		{`{"seq":7,"at":"2026-11-23T13:59:58","lon":113.16,`, devices.TimeWithoutZone},
	} {
		bad := strings.Replace(good, `{"seq":7,"at":"`+at7+`","lon":113.16,`, c.change, 1)
		if bad == good {
			t.Fatal("nothing changed")
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := device.Publish(ctx, topic.Up("WB-1", "fix"), 1, []byte(bad)); err != nil {
			t.Fatal(err)
		}
		cancel()
		mqtttest.Eventually(t, "nineteen and one", func() bool {
			return len(s.rec.observations()) == 19*(i+1) && len(s.rec.refusals()) == i+1
		})
		r := s.rec.refusals()[i]
		if r.Fault.Reason != c.reason || r.Seq != 7 || r.Serial != "WB-1" || r.Kind != devices.KindFix {
			t.Errorf("%s: refused as %+v", c.change, r.Fault)
		}
	}
	if s.rec.received() != 100 {
		t.Errorf("received %d", s.rec.received())
	}
}

// What cannot be opened is counted once, and says why.
func TestWhatCannotBeOpened(t *testing.T) {
	t.Parallel()
	// A broker that checks no permission lets any topic through.
	b := mqtttest.Broker(t, mqtttest.Options{Kind: mqtttest.Mosquitto})
	s := start(t, b, &recorder{}, nil)
	device := mqtttest.Link(t, b.Device("WB-1"))
	for i, c := range []struct {
		topic, payload string
		reason         devices.Reason
		serial         devices.Serial
	}{
		{"up/WB-1/fix", "not JSON", devices.Malformed, "WB-1"},
		{"up/WB-1/fix", "", devices.Malformed, "WB-1"},
		{"up/WB-1/elsewhere", string(payload(1, 1)), devices.BadTopic, "WB-1"},
		{"up/no serial/fix", string(payload(1, 1)), devices.BadTopic, ""},
		{"up/WB-1/fix", strings.Repeat("x", devices.MaxPayload+1), devices.Oversized, "WB-1"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := device.Publish(ctx, c.topic, 1, []byte(c.payload)); err != nil {
			t.Fatal(err)
		}
		cancel()
		mqtttest.Eventually(t, "a refusal", func() bool { return len(s.rec.refusals()) == i+1 })
		r := s.rec.refusals()[i]
		if r.Fault.Reason != c.reason || r.Serial != c.serial || r.Size != len(c.payload) || r.Kind != devices.KindUnknown {
			t.Errorf("%s: %+v", c.topic, r)
		}
		if c.reason == devices.Oversized && r.Payload != nil {
			t.Error("an oversized payload was kept")
		}
	}
	if s.rec.received() != 5 || len(s.rec.observations()) != 0 {
		t.Errorf("received %d, opened %d", s.rec.received(), len(s.rec.observations()))
	}
}

// The session comes back after the line was cut, over and over, with nothing missing.
func TestReconnect(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{Devices: []string{"WB-1"}, AckWait: time.Second})
	proxy := mqtttest.NewProxy(t, strings.TrimPrefix(b.URL, "tcp://"))
	s := start(t, b, &recorder{}, func(o *ingest.Options) { o.Link.URL, o.AckWait = proxy.URL, time.Second })
	device := mqtttest.Link(t, b.Device("WB-1"))
	for i := 1; i <= 600; i++ {
		device.Send(topic.Up("WB-1", "fix"), 1, payload(i, i))
		if i%100 == 0 {
			proxy.Cut()
		}
	}
	mqtttest.Eventually(t, "all", func() bool { n, _ := s.rec.has("WB-1", 600); return n == 600 })
	if n := counter(t, s.metrics, "zhijiao_ingest_reconnects_total", "broker"); n < 1 {
		t.Error("no reconnect counted")
	}
}

// While something may be waiting that was published earlier, Backlog says so: timers are held by it.
func TestBacklog(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{Devices: []string{"WB-1"}})
	rec := &recorder{}
	release := make(chan struct{})
	rec.set(func(context.Context, geofence.Batch) error { <-release; return nil })
	s := start(t, b, rec, func(o *ingest.Options) { o.AckWait, o.Window, o.Batch = time.Minute, 80, 5 })
	if !s.in.Backlog() {
		t.Error("a session that stands since a moment ago is taken for one that has read everything")
	}
	mqtttest.Eventually(t, "nothing waits", func() bool { return !s.in.Backlog() })
	send(t, mqtttest.Link(t, b.Device("WB-1")), "WB-1", 60)
	mqtttest.Eventually(t, "much waits", s.in.Backlog)
	close(release)
	mqtttest.Eventually(t, "nothing waits again", func() bool { return !s.in.Backlog() })
}

func TestStopFinishesTheCommitAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	b := mqtttest.Broker(t, mqtttest.Options{Devices: []string{"WB-1"}, AckWait: time.Second})
	rec := &recorder{}
	entered, release := make(chan struct{}, 1000), make(chan struct{})
	rec.set(func(context.Context, geofence.Batch) error { entered <- struct{}{}; <-release; return nil })
	s := start(t, b, rec, func(o *ingest.Options) { o.Batch = 10 })
	device := mqtttest.Link(t, b.Device("WB-1"))
	send(t, device, "WB-1", 100)
	<-entered
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.in.Stop(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stopped within 50 ms though a commit hangs: %v", err)
	}
	close(release)
	long, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.in.Stop(long); err != nil {
		t.Fatal(err)
	}
	first, _ := rec.has("WB-1", 100)
	next := &recorder{}
	start(t, b, next, nil)
	mqtttest.Eventually(t, "a successor gets the rest", func() bool { n, _ := next.has("WB-1", 100); return n == 100-first })
}
