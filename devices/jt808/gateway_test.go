package jt808

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"math"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"zhijiao/devices"
	"zhijiao/internal/crypto"
	"zhijiao/internal/mqtttest"
)

var digestKey = crypto.NewDigestKey([]byte("a key for tests"))

const (
	anna = "013511221122"
	bert = "00000000013511220000" // of the edition of 2019
)

func at(l Location, when time.Time) Location {
	l.Time = when
	return l
}

// What a terminal observes comes out under its serial, with its health, and it is answered.
func TestReports_R34(t *testing.T) {
	t.Parallel()
	for _, kind := range []mqtttest.Kind{mqtttest.Embedded, mqtttest.Mosquitto} {
		t.Run(string(kind), func(t *testing.T) { t.Parallel(); reports(newPlaceAt(t, kind, nil)) })
	}
}

func reports(p *place) {
	t := p.T
	p.enrol(anna, nil)
	p.enrol(bert, func(x *devices.Terminal) { x.Datum, x.Model = devices.GCJ02, "known" })
	a, b := p.login(anna), p.login(bert)
	if r := a.ask(Heartbeat, nil); r.Result != Success {
		t.Error(r.Result)
	}
	if r := a.ask(Report, AppendLocation(nil, tianmen())); r.Result != Success {
		t.Error(r.Result)
	}
	o := p.heard(anna, 1)[0]
	if o.Kind != devices.KindFix || math.Abs(o.Place.Lat-30.6631) > 1e-7 || o.Place.Datum != devices.WGS84 || !o.At.Equal(noon) || o.Place.Satellites != 9 ||
		*o.Health.Signal != -73 || !o.SentAt.IsZero() || o.Health.Battery != nil {
		t.Errorf("%+v", o)
	}
	l := tianmen()
	l.Items = append(l.Items, Item{itemPercent, []byte{55}})
	if r := b.ask(Report, AppendLocation(nil, l)); r.Result != Success {
		t.Error(r.Result)
	}
	o = p.heard(bert, 1)[0]
	lon, lat := devices.ToWGS84(devices.GCJ02, 113.1661, 30.6631)
	if math.Abs(o.Place.Lat-lat) > 2e-7 || math.Abs(o.Place.Lon-lon) > 2e-7 || o.Place.Datum != devices.GCJ02 || *o.Health.Battery != 55 {
		t.Errorf("%+v", o)
	}
	if r := a.ask(0x0900, []byte{1, 2, 3}); r.Result != Unsupported {
		t.Errorf("a message nobody knows: %v", r.Result)
	}
	if p.count("terminals") != 2 || p.count("observations_total", "fix") != 2 || p.count("replies_total", "success") != 5 {
		t.Errorf("%v %v %v", p.count("terminals"), p.count("observations_total", "fix"), p.count("replies_total", "success"))
	}
	if r := a.ask(Deregistration, nil); r.Result != Success {
		t.Error(r.Result)
	}
	a.closed()
}

// R39: not positioned and (0, 0) are health only. R38: a clock that is ahead is told.
func TestWhatIsNoPlace_R39(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.enrol(anna, nil)
	a := p.login(anna)
	zero, lost := tianmen(), tianmen()
	zero.Lat, zero.Lon, zero.Alarm = 0, 0, AlarmPowerLost
	lost.Status, lost.Time = 0, noon.Add(10*time.Minute)
	for _, l := range []Location{zero, lost} {
		if r := a.ask(Report, AppendLocation(nil, l)); r.Result != Success {
			t.Error(r.Result)
		}
	}
	got := p.heard(anna, 2)
	for i, o := range got {
		if o.Kind != devices.KindStatus || o.Place != nil {
			t.Errorf("%d: %+v", i, o)
		}
	}
	if got[0].Health.LastGasp != "power_off" || !got[0].SentAt.IsZero() || !got[1].SentAt.Equal(noon.Add(10*time.Minute)) {
		t.Errorf("%+v", got)
	}
	// What cannot be is refused, and answered, so that it does not come for ever.
	far, undated := tianmen(), tianmen()
	far.Lat = 100e6
	body := AppendLocation(nil, undated)
	copy(body[22:28], make([]byte, 6))
	for _, b := range [][]byte{AppendLocation(nil, far), body, body[:20]} {
		if r := a.ask(Report, b); r.Result != Wrong {
			t.Error(r.Result)
		}
	}
	serial, _ := SerialOf(anna)
	p.traced(serial, devices.OutOfRange, "location")
	p.traced(serial, devices.TimeTooOld, "time")
	p.traced(serial, devices.Malformed, "location")
}

// R38: the wire has no time of sending, but what comes as it is made tells how wrong the clock is; what was stored does not.
func TestClockBehind_R38(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.enrol(anna, nil)
	a := p.login(anna)
	behind := noon.Add(-time.Hour)
	for i, c := range []struct {
		passes, told time.Duration
		live         bool
	}{{0, 0, false}, {time.Minute, time.Minute, true}, {time.Minute, 62 * time.Second, true}, {time.Second, time.Second, false},
		{time.Second, 10 * time.Minute, false}, {time.Minute, 10 * time.Minute, false}, {time.Hour, -time.Minute, false}} {
		p.clock.Advance(c.passes)
		behind = behind.Add(c.told)
		if r := a.ask(Report, AppendLocation(nil, at(tianmen(), behind))); r.Result != Success {
			t.Fatal(r.Result)
		}
		o := p.heard(anna, i+1)[i]
		if live := !o.SentAt.IsZero(); live != c.live || live && !o.SentAt.Equal(behind) {
			t.Errorf("%d: sent %v", i, o.SentAt)
		}
	}
}

// The terminal is told "success" when the broker has acknowledged, and otherwise nothing: it sends again, and again the same.
func TestNoReplyWithoutPuback(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(o *Options) { o.Limits.Publish = 300 * time.Millisecond })
	p.enrol(anna, nil)
	a := p.login(anna)
	unanswered := func(what string) {
		t.Helper()
		before := p.count("unpublished_total")
		a.send(Report, AppendLocation(nil, tianmen()))
		mqtttest.Eventually(t, what, func() bool { return p.count("unpublished_total") == before+1 })
		if r := a.ask(Heartbeat, nil); r.Result != Success { // the next thing it hears is this: so nothing was said before
			t.Error(r.Result)
		}
	}
	p.line.mute.Store(true) // what it says arrives, and what the broker says does not
	unanswered("no acknowledgement in time")
	p.heard(anna, 1)
	p.line.dead.Store(true)
	p.line.cut()
	mqtttest.Eventually(t, "the session is lost", func() bool { return p.g.Ready() != nil })
	unanswered("no broker")
	p.line.mute.Store(false)
	p.line.dead.Store(false)
	mqtttest.Eventually(t, "the session is back", func() bool { return p.g.Ready() == nil })
	if r := a.ask(Report, AppendLocation(nil, tianmen())); r.Result != Success {
		t.Error(r.Result)
	}
	got := p.heard(anna, 2)
	if got[0].Digest != got[1].Digest || got[0].Seq != got[1].Seq { // R35: ingest knows it for the same
		t.Errorf("sent again it is another: %+v", got)
	}
	if n := p.count("replies_total", "success"); n != 4 { // authentication, two heartbeats, one report
		t.Errorf("%v replies", n)
	}
}

// A batch in parts is put together, published in its order, and answered part by part when all of it is safe.
func TestBatchInParts(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.enrol(anna, nil)
	a := p.login(anna)
	var list []Location
	for i := range 100 {
		l := at(tianmen(), noon.Add(time.Duration(i-200)*time.Minute))
		if i%40 == 39 {
			l.Status = 0
		}
		list = append(list, l)
	}
	m := a.message(Batch, AppendBatch(nil, list, true))
	wire, n, err := AppendParts(nil, m, 500)
	if err != nil {
		t.Fatal(err)
	}
	a.next += uint16(n - 1)
	a.write(wire)
	for i := range n {
		if r := a.reply(m.Serial+uint16(i), Batch); r.Result != Success {
			t.Errorf("part %d: %v", i, r.Result)
		}
	}
	got := p.heard(anna, 100)
	for i := 1; i < len(got); i++ {
		if !got[i].At.After(got[i-1].At) {
			t.Fatalf("%d is out of order", i)
		}
	}
	if p.count("observations_total", "fix") != 98 || p.count("observations_total", "status") != 2 {
		t.Error("kinds")
	}
	// One that cannot be read costs itself.
	body := AppendBatch(nil, []Location{tianmen(), at(tianmen(), noon.Add(time.Second))}, false)
	body[3+2+22+1] = 0x13
	if r := a.ask(Batch, body); r.Result != Success {
		t.Error(r.Result)
	}
	p.heard(anna, 101)
	if r := a.ask(Batch, body[:20]); r.Result != Wrong {
		t.Error(r.Result)
	}
	// A part that never comes is never answered.
	lost := a.message(Batch, AppendBatch(nil, list, true))
	lost.Parts, lost.Part, lost.Body = 2, 1, lost.Body[:500]
	b, err := Append(nil, lost)
	if err != nil {
		t.Fatal(err)
	}
	a.write(b)
	if r := a.ask(Heartbeat, nil); r.Result != Success {
		t.Error(r.Result)
	}
}

// R40: who is not known, or cannot show it, does not get in, and leaves a trace.
func TestEntry_R40(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.enrol(anna, nil)
	serial, _ := SerialOf(anna)
	stranger := p.connect("013900000000")
	stranger.send(Registration, make([]byte, 45))
	if m := stranger.receive(); m.ID != RegistrationReply || m.Body[2] != NoSuchTerminal || len(m.Body) != 3 {
		t.Errorf("%+v", m)
	}
	p.traced("jt808-13900000000", devices.UnknownDevice, "registration")
	if r := stranger.ask(Report, AppendLocation(nil, tianmen())); r.Result != Failed {
		t.Error(r.Result)
	}
	p.traced("jt808-13900000000", devices.NotPermitted, "authentication")
	if r := stranger.ask(Authentication, []byte("guess")); r.Result != Failed {
		t.Error(r.Result)
	}
	stranger.closed()
	p.traced("jt808-13900000000", devices.UnknownDevice, "authentication")

	guess := p.connect(anna)
	guess.send(Registration, make([]byte, 45))
	if m := guess.receive(); m.Body[2] != AlreadyRegistered || len(m.Body) != 3 {
		t.Errorf("a terminal that nobody let register: %+v", m)
	}
	p.traced(serial, devices.NotPermitted, "registration")
	if r := guess.ask(Authentication, []byte("guess")); r.Result != Failed {
		t.Error(r.Result)
	}
	guess.closed()
	p.traced(serial, devices.NotPermitted, "authentication")

	p.mu.Lock()
	p.open[serial] = mqtttest.Secret(string(serial))
	p.mu.Unlock()
	a := p.connect(anna)
	a.send(Registration, make([]byte, 45))
	m := a.receive()
	if m.ID != RegistrationReply || m.Body[2] != Registered {
		t.Fatalf("%+v", m)
	}
	if r := a.ask(Authentication, m.Body[3:]); r.Result != Success {
		t.Error(r.Result)
	}
	nobody := p.connect("000000000000")
	nobody.send(Authentication, []byte("guess"))
	nobody.closed()
	if len(p.up.Messages()) != 0 {
		t.Error("a stranger was heard")
	}
}

// R40: on its own connection a terminal speaks for itself only.
func TestSpeaksForAnother_R40(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.enrol(anna, nil)
	p.enrol(bert, nil)
	a, b := p.login(anna), p.login(bert)
	a.head.Phone = "013511220000" // which is bert's, in an older edition
	a.send(Report, AppendLocation(nil, tianmen()))
	a.closed()
	serial, _ := SerialOf(anna)
	p.traced(serial, devices.IdentityMismatch, "phone")
	if r := b.ask(Heartbeat, nil); r.Result != Success {
		t.Error(r.Result)
	}
	if len(p.up.Messages()) != 0 {
		t.Error("it was heard")
	}
}

// The newest connection of a terminal is the one; a terminal that may no longer speak has none.
func TestTakeoverAndRevocation(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(o *Options) { o.Limits.Sweep = 10 * time.Millisecond })
	p.enrol(anna, nil)
	serial, _ := SerialOf(anna)
	first := p.login(anna)
	second := p.login(anna)
	first.closed()
	if r := second.ask(Report, AppendLocation(nil, tianmen())); r.Result != Success {
		t.Error(r.Result)
	}
	_ = second.net.Close()
	mqtttest.Eventually(t, "its end is noticed", func() bool { all, _ := p.g.counts(); return all == 0 })
	third := p.login(anna) // a reconnection
	if r := third.ask(Heartbeat, nil); r.Result != Success {
		t.Error(r.Result)
	}
	mqtttest.Eventually(t, "one is left", func() bool { all, known := p.g.counts(); return all == 1 && known == 1 })
	p.terminals.Put(map[devices.Serial]devices.Terminal{serial: {}})
	third.closed()
	p.ended("taken over", 1)
	p.ended("revoked", 1)
}

// Two under one number, or one that comes again and again, take turns.
func TestLoginsTakeTurns(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(o *Options) { o.Limits.Login = 200 * time.Millisecond })
	p.enrol(anna, nil)
	start := time.Now()
	for range 4 {
		p.login(anna)
	}
	if took := time.Since(start); took < 600*time.Millisecond {
		t.Errorf("four in %v", took)
	}
	if n := p.g.turn("jt808-2"); n != 0 {
		t.Errorf("another waits %v", n)
	}
	asked := 0
	for range 10 * registerBurst {
		if p.g.mayLookUp() {
			asked++
		}
	}
	if asked < registerBurst || asked > 2*registerBurst {
		t.Errorf("%d registrations would have asked the database", asked)
	}
}

// R37: who sends nonsense is cut off, and nobody else notices.
func TestPoison_R37(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.enrol(anna, nil)
	p.enrol(bert, nil)
	a, b := p.login(anna), p.login(bert)
	good, err := Append(nil, b.message(Report, AppendLocation(nil, tianmen())))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[30] ^= 0x10
	serial, _ := SerialOf(bert)
	b.write(flipped) // noise on the line: not answered, the terminal sends again
	p.traced(serial, devices.Malformed, "checksum")
	if r := b.ask(Heartbeat, nil); r.Result != Success {
		t.Error(r.Result)
	}
	rsa := b.message(Report, AppendLocation(nil, tianmen()))
	b.write(encrypted(t, rsa))
	if r := b.reply(rsa.Serial, Report); r.Result != Unsupported {
		t.Error(r.Result)
	}
	p.traced(serial, devices.Encrypted, "encryption")
	if r := b.ask(Heartbeat, nil); r.Result != Success {
		t.Error(r.Result)
	}
	for i := range maxBad {
		b.write(flipped)
		if r := a.ask(Report, AppendLocation(nil, at(tianmen(), noon.Add(time.Duration(i)*time.Second)))); r.Result != Success {
			t.Fatal(r.Result)
		}
	}
	b.closed()
	outside := p.connect(anna)
	outside.write([]byte("GET / HTTP/1.1\r\n\r\n"))
	outside.closed()
	p.heard(anna, maxBad)
	p.ended("nonsense", 1)
	if p.count("refused_total", "checksum") != maxBad+1 {
		t.Error("what was counted")
	}
}

// encrypted is the frame of a message whose header says RSA.
func encrypted(t *testing.T, m Message) []byte {
	t.Helper()
	b, err := Append(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	plain, f := unescape(nil, b[1:len(b)-1])
	if f != nil {
		t.Fatal(f)
	}
	plain[2] |= 4
	return appendEscaped(nil, plain[:len(plain)-1])
}

// Whoever is slow on purpose, or comes in crowds, keeps nobody out for long.
func TestSlowAndMany(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(o *Options) {
		o.MaxConnections = 4
		o.Limits.Handshake, o.Limits.Frame = 2*time.Second, 300*time.Millisecond
	})
	p.enrol(anna, nil)
	a := p.login(anna)
	one := p.connect(bert)
	mqtttest.Eventually(t, "it is in", func() bool { all, _ := p.g.counts(); return all == 2 })
	two, three := p.connect(bert), p.connect(bert)
	one.closed() // two strangers are half of four: the eldest makes room
	p.ended("put out", 1)
	two.write([]byte{mark, 2}) // and then nothing
	a.write([]byte{mark, 2})
	a.closed()
	two.closed()
	three.closed()
	p.ended("timeout", 3)
	mqtttest.Eventually(t, "there is room", func() bool { all, _ := p.g.counts(); return all == 0 })
	p.login(anna)
	p.connect(bert)
	mqtttest.Eventually(t, "both are in", func() bool { all, _ := p.g.counts(); return all == 2 })
}

// Commands that go down reach the terminal in its own words, and what it answers comes up.
func TestCommands(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.enrol(anna, nil)
	p.enrol(bert, nil)
	a, b := p.login(anna), p.login(bert)
	sa, _ := SerialOf(anna)
	sb, _ := SerialOf(bert)
	command := devices.CommandMessage{ID: 55, Kind: devices.CommandCheck, At: noon, Expires: noon.Add(10 * time.Minute), Check: 123, Due: noon.Add(10 * time.Minute)}
	p.publishCommand("jt808-1", command) // of nobody here
	p.publishCommand(sa, command)
	query := a.receive()
	if query.ID != QueryLocation || len(query.Body) != 0 {
		t.Fatalf("%+v", query)
	}
	lost := tianmen()
	lost.Status = 0
	answer := func(to uint16, l Location) {
		a.send(QueryReply, append([]byte{byte(to >> 8), byte(to)}, AppendLocation(nil, l)...))
	}
	answer(query.Serial, lost)
	if o := p.heard(anna, 1)[0]; o.Kind != devices.KindStatus || o.Answers != 0 {
		t.Errorf("nothing was found, and yet: %+v", o)
	}
	p.publishCommand(sa, command) // again, because it is not answered
	query = a.receive()
	answer(query.Serial, at(tianmen(), noon.Add(time.Second)))
	if o := p.heard(anna, 2)[1]; o.Kind != devices.KindFix || o.Answers != 123 || !o.SentAt.Equal(noon.Add(time.Second)) {
		t.Errorf("%+v", o)
	}
	answer(query.Serial, at(tianmen(), noon.Add(2*time.Second)))
	if o := p.heard(anna, 3)[2]; o.Answers != 0 {
		t.Errorf("one query was answered twice: %+v", o)
	}
	for i, c := range []struct {
		to   *terminal
		name devices.Serial
		flag []byte
	}{{a, sa, []byte{textShow}}, {b, sb, []byte{textShow | 1, textNotice}}} {
		p.publishCommand(c.name, devices.CommandMessage{ID: 70 + devices.CommandID(i), Kind: devices.CommandText, At: noon, Text: "请到司法所报到"})
		m := c.to.receive()
		text, err := simplifiedchinese.GBK.NewDecoder().Bytes(m.Body[len(c.flag):])
		if m.ID != Text || !bytes.Equal(m.Body[:len(c.flag)], c.flag) || string(text) != "请到司法所报到" || err != nil {
			t.Errorf("%+v %q", m, text)
		}
		c.to.send(TerminalReply, AppendReply(nil, Reply{m.Serial, m.ID, Unsupported}))
	}
	p.publishCommand(sa, devices.CommandMessage{ID: 57, Kind: devices.CommandVibrate, At: noon})
	if m := a.receive(); m.ID != Text || m.Body[0] != textShow|textSpeak|textUrgent2013 {
		t.Errorf("%+v", m)
	}
	p.publishCommand(sa, devices.CommandMessage{ID: 80, Kind: devices.CommandInterval, At: noon, Every: 5 * time.Minute})
	if m := a.receive(); m.ID != SetParameters || hex.EncodeToString(m.Body) != "03"+"000000200400000000"+"00000027040000012c"+"00000029040000012c" {
		t.Errorf("%+v", m)
	}
	p.publishCommand(sa, devices.CommandMessage{ID: 58, Kind: "sing", At: noon})
	mqtttest.Eventually(t, "what came before is told", func() bool { return len(p.saidOf(70)) == 1 && len(p.saidOf(71)) == 1 })
	// Carried out once, and told until it is heard.
	p.mu.Lock()
	p.deaf = true
	p.mu.Unlock()
	text := devices.CommandMessage{ID: 60, Kind: devices.CommandText, Text: "1", At: noon}
	p.publishCommand(sa, text)
	m := a.receive()
	a.send(TerminalReply, AppendReply(nil, Reply{m.Serial, m.ID, Success}))
	mqtttest.Eventually(t, "it was told, and not heard", func() bool { return p.count("untold_total") == 1 })
	p.mu.Lock()
	p.deaf = false
	p.mu.Unlock()
	p.publishCommand(sa, text)
	mqtttest.Eventually(t, "it is told again", func() bool { return slices.Equal(p.commandsDone(), []devices.CommandID{60}) })
	p.publishCommand(sa, devices.CommandMessage{ID: 61, Kind: devices.CommandLocate, At: noon})
	m = a.receive()
	a.send(TerminalReply, AppendReply(nil, Reply{m.Serial, m.ID, Success})) // it will; that is not where it is
	answer(m.Serial, at(tianmen(), noon.Add(3*time.Second)))
	mqtttest.Eventually(t, "the place was the answer", func() bool { return slices.Equal(p.commandsDone(), []devices.CommandID{60, 61}) })
	wait := func(c devices.CommandID, want ...string) {
		t.Helper()
		mqtttest.Eventually(t, "it is told what became of a command", func() bool { return slices.Equal(p.saidOf(c), want) })
	}
	wait(61, "received", "done")
	if got := p.said[len(p.said)-1].DeviceAt; !got.Equal(noon.Add(3 * time.Second)) {
		t.Errorf("done at %v by the terminal's clock", got)
	}
	wait(55) // a check: the core says when it is answered
	wait(70, "unsupported")
	p.publishCommand(sa, devices.CommandMessage{ID: 62, Kind: devices.CommandInterval, At: noon, Every: time.Minute})
	m = a.receive()
	a.send(TerminalReply, AppendReply(nil, Reply{m.Serial, m.ID, Failed}))
	wait(62, "received refused") // and it is asked again
	p.publishCommand(sa, devices.CommandMessage{ID: 62, Kind: devices.CommandInterval, At: noon, Every: time.Minute})
	m = a.receive()
	a.send(TerminalReply, AppendReply(nil, Reply{m.Serial, m.ID, Success}))
	wait(62, "received refused", "done")
	p.publishCommand(sa, devices.CommandMessage{ID: 59, Kind: devices.CommandText, Text: "x", At: noon, Expires: noon})
	mqtttest.Eventually(t, "everything is counted", func() bool {
		return p.count("commands_total", "other", "unsupported") == 1 && p.count("commands_total", "text", "expired") == 1 &&
			p.count("commands_total", "text", "answered unsupported") == 2
	})
}

// A terminal that can speaks TLS, and one that does not is not heard then.
func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(nil) // for its certificate
	defer server.Close()
	p := newPlace(t, func(o *Options) {
		o.TLS = &tls.Config{Certificates: server.TLS.Certificates, MinVersion: tls.VersionTLS12}
	})
	p.enrol(anna, nil)
	plain := p.connect(anna)
	plain.send(Authentication, plain.code())
	plain.closed()
	a := p.connect(anna)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	a.net = tls.Client(a.net, &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12})
	if r := a.ask(Authentication, a.code()); r.Result != Success {
		t.Error(r.Result)
	}
	if r := a.ask(Report, AppendLocation(nil, tianmen())); r.Result != Success {
		t.Error(r.Result)
	}
	p.heard(anna, 1)
}
