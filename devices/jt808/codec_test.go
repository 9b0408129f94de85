package jt808

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zhijiao/devices"
)

var noon = time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)

// tianmen is a report from a square in Tianmen.
func tianmen() Location {
	return Location{Status: StatusPositioned | 1, Lat: 30663100, Lon: 113166100, Altitude: 31, Speed: 36, Course: 90, Time: noon,
		Items: []Item{{ItemSignal, []byte{20}}, {ItemSatellites, []byte{9}}}}
}

func TestOpenRefuses_R40(t *testing.T) {
	t.Parallel()
	good := func(m Message) []byte {
		b, err := Append(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		return b[1 : len(b)-1]
	}
	heartbeat := Message{Header: Header{ID: Heartbeat, Phone: "013511221122", Serial: 7}}
	change := func(at int, to byte) []byte { // of the plain bytes, with the right checksum again
		plain, _ := unescape(nil, good(heartbeat))
		plain = plain[:len(plain)-1]
		plain[at] = to
		framed := appendEscaped(nil, plain)
		return framed[1 : len(framed)-1]
	}
	for name, c := range map[string]struct {
		frame []byte
		field string
		why   devices.Reason
	}{
		"good":               {good(heartbeat), "", ""},
		"nothing":            {nil, "frame", devices.Malformed},
		"short":              {good(heartbeat)[:8], "frame", devices.Malformed},
		"checksum":           {append(good(heartbeat)[:12], 0x55), "checksum", devices.Malformed},
		"escape at the end":  {append(good(heartbeat), 0x7d), "escape", devices.Malformed},
		"escape of nothing":  {append([]byte{0x7d, 3}, good(heartbeat)...), "escape", devices.Malformed},
		"mark inside":        {append([]byte{0x7e}, good(heartbeat)...), "escape", devices.Malformed},
		"RSA":                {change(2, 0x04), "encryption", devices.Encrypted},
		"another encryption": {change(2, 0x08), "encryption", devices.Encrypted},
		"longer than it is":  {change(3, 9), "length", devices.Malformed},
		"2019 cut":           {change(2, 0x40), "length", devices.Malformed},
		"a part cut":         {change(2, 0x20), "length", devices.Malformed},
		"too long":           {bytes.Repeat([]byte{1}, maxFrame+1), "frame", devices.Oversized},
		"part 0": {good(Message{Header: Header{ID: Batch, Phone: "013511221122", Parts: 2, Part: 1}, Body: []byte{1}}),
			"", ""},
	} {
		m, f := Open(c.frame)
		if c.field == "" {
			if f != nil {
				t.Errorf("%s: %v", name, f)
			}
		} else if f == nil || f.Field != c.field || f.Reason != c.why {
			t.Errorf("%s: %v, %+v", name, f, m.Header)
		}
	}
}

func TestLocations_R39(t *testing.T) {
	t.Parallel()
	number := func(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
	for name, c := range map[string]struct {
		change  func(*Location)
		reading Reading
		check   func(devices.Observation) bool
	}{
		"a fix": {nil, Reading{}, func(o devices.Observation) bool {
			p := o.Place
			return o.Kind == devices.KindFix && p.Lat == 30.6631 && p.Lon == 113.1661 && p.Datum == devices.WGS84 && p.Satellites == 9 &&
				p.Speed == 1 && p.Accuracy == 0 && p.Method == devices.MethodGNSS && *o.Health.Signal == -73 && o.At.Equal(noon) && o.Seq == -1
		}},
		"not positioned": {func(l *Location) { l.Status &^= StatusPositioned }, Reading{}, func(o devices.Observation) bool {
			return o.Kind == devices.KindStatus && o.Place == nil && *o.Health.Signal == -73
		}},
		"null island": {func(l *Location) { l.Lat, l.Lon = 0, 0 }, Reading{}, func(o devices.Observation) bool {
			return o.Kind == devices.KindStatus && o.Place == nil
		}},
		"on the equator": {func(l *Location) { l.Lat = 0 }, Reading{}, func(o devices.Observation) bool { return o.Place != nil }},
		"south and west": {func(l *Location) { l.Status |= StatusSouth | StatusWest }, Reading{}, func(o devices.Observation) bool {
			return o.Place.Lat == -30.6631 && o.Place.Lon == -113.1661
		}},
		"shifted by the plug-in": {func(l *Location) { l.Status |= StatusShifted }, Reading{}, func(o devices.Observation) bool {
			return o.Place.Datum == devices.GCJ02 && math.Abs(o.Place.Lon-113.1661) > 0.003
		}},
		"the model's datum goes first": {func(l *Location) { l.Status |= StatusShifted }, Reading{Datum: devices.WGS84}, func(o devices.Observation) bool {
			return o.Place.Datum == devices.WGS84 && o.Place.Lon == 113.1661
		}},
		"model in GCJ-02": {nil, Reading{Datum: devices.GCJ02}, func(o devices.Observation) bool {
			x, y := devices.FromWGS84(devices.GCJ02, o.Place.Lon, o.Place.Lat)
			return o.Place.Datum == devices.GCJ02 && math.Hypot(x-113.1661, y-30.6631) < 1e-7
		}},
		"power lost": {func(l *Location) { l.Alarm = AlarmPowerLost }, Reading{}, func(o devices.Observation) bool {
			return o.Health.LastGasp == "power_off" && o.Health.Battery == nil
		}},
		"undervoltage without a figure": {func(l *Location) { l.Alarm = AlarmUndervoltage }, Reading{}, func(o devices.Observation) bool {
			return *o.Health.Battery == lowBattery && o.Health.LastGasp == ""
		}},
		"undervoltage with one": {func(l *Location) {
			l.Alarm, l.Items = AlarmUndervoltage, []Item{{itemPercent, []byte{17}}}
		}, Reading{Makers: true}, func(o devices.Observation) bool { return *o.Health.Battery == 17 }},
		"makers' items only where somebody knows": {func(l *Location) {
			l.Alarm, l.Items = AlarmTamper, []Item{{itemPercent, []byte{17}}}
		}, Reading{}, func(o devices.Observation) bool {
			return o.Health.Battery == nil && o.Health.Strap == devices.StrapUnknown
		}},
		"case open": {func(l *Location) { l.Alarm = AlarmTamper }, Reading{Makers: true}, func(o devices.Observation) bool {
			return o.Health.Strap == devices.CaseOpen
		}},
		"that bit is another alarm in 2019": {func(l *Location) { l.Alarm = AlarmTamper }, Reading{Makers: true, V2019: true},
			func(o devices.Observation) bool { return o.Health.Strap == devices.StrapUnknown }},
		"taken off": {func(l *Location) {
			l.Items = []Item{{itemExtended, append([]byte{0, 6, 0, 0x89}, number(^uint32(extendedRemoved))...)}}
		}, Reading{Makers: true}, func(o devices.Observation) bool { return o.Health.Strap == devices.StrapOpen }},
		"worn": {func(l *Location) {
			l.Items = []Item{{itemExtended, append([]byte{0, 6, 0, 0x89}, number(^uint32(0))...)}}
		}, Reading{Makers: true}, func(o devices.Observation) bool { return o.Health.Strap == devices.StrapClosed }},
		"something else where the extended item is": {func(l *Location) {
			l.Items = []Item{{itemExtended, append([]byte{0, 6, 0, 0x89}, 0, 0, 0, 0, 9)}}
		}, Reading{Makers: true}, func(o devices.Observation) bool { return o.Health.Strap == devices.StrapUnknown }},
		"no signal known": {func(l *Location) { l.Items = []Item{{ItemSignal, []byte{99}}} }, Reading{}, func(o devices.Observation) bool {
			return o.Health.Signal == nil && o.Place.Satellites == -1
		}},
		"a speed nobody has": {func(l *Location) { l.Speed = 60000 }, Reading{}, func(o devices.Observation) bool { return o.Place.Speed == -1 }},
	} {
		l := tianmen()
		if c.change != nil {
			c.change(&l)
		}
		again, f := OpenLocation(AppendLocation(nil, l))
		if f != nil {
			t.Errorf("%s: %v", name, f)
			continue
		}
		o, f := again.Observation(c.reading)
		if f != nil || !c.check(o) {
			t.Errorf("%s: %+v, place %+v, %v", name, o, o.Place != nil, f)
		}
	}
	far := tianmen()
	far.Lat = 91e6
	if _, f := far.Observation(Reading{}); f == nil || f.Reason != devices.OutOfRange {
		t.Errorf("a latitude of 91°: %v", f)
	}
}

// R38: the clock is GMT+8, and a time that is none is never guessed.
func TestTimes_R38(t *testing.T) {
	t.Parallel()
	for digits, want := range map[string]string{
		"261123120000": "2026-11-23T04:00:00Z", "260101000000": "2025-12-31T16:00:00Z", "240229235959": "2024-02-29T15:59:59Z",
		"250229000000": "out_of_range", "261123240000": "out_of_range", "261123126000": "out_of_range", "261323120000": "out_of_range",
		"000000000000": "time_too_old", "26112312000a": "malformed", "ffffffffffff": "malformed",
	} {
		p, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		at, f := openTime(p)
		got := at.Format(time.RFC3339)
		if f != nil {
			got = string(f.Reason)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", digits, got, want)
		}
	}
}

func TestBatches(t *testing.T) {
	t.Parallel()
	a, b := tianmen(), tianmen()
	b.Time = noon.Add(time.Minute)
	good := AppendBatch(nil, []Location{a, b}, true)
	list, faults, f := OpenBatch(good)
	if f != nil || len(list) != 2 || faults[0] != nil || faults[1] != nil || !list[1].Time.Equal(b.Time) {
		t.Fatal(list, faults, f)
	}
	bad := bytes.Clone(good)
	bad[3+2+22+1] = 0x13 // a thirteenth month, in the first
	if list, faults, f = OpenBatch(bad); f != nil || faults[0] == nil || faults[1] != nil || !list[1].Time.Equal(b.Time) {
		t.Errorf("one bad of two: %v %v", faults, f)
	}
	for name, body := range map[string][]byte{
		"empty": {}, "no count": {0}, "none": {0, 0, 0}, "cut": good[:len(good)-1], "more": append(bytes.Clone(good), 0),
		"count lies": append([]byte{0xff, 0xff}, good[2:]...),
	} {
		if _, _, f := OpenBatch(body); f == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	long := tianmen()
	long.Items = nil
	if _, _, f := OpenBatch(AppendBatch(nil, slicesOf(long, maxBatch+1), false)); f == nil || f.Reason != devices.Oversized {
		t.Errorf("over the limit: %v", f)
	}
}

func slicesOf(l Location, n int) []Location {
	out := make([]Location, n)
	for i := range out {
		out[i] = l
	}
	return out
}

func TestRegistrations(t *testing.T) {
	t.Parallel()
	for edition, sizes := range registrations {
		body := []byte{0, 42, 0, 1}
		for i, text := range []string{"MAKER", "W-100", "0000007"} {
			body = append(body, text...)
			body = append(body, make([]byte, sizes[i]-len(text))...)
		}
		body = append(body, 0)
		id, f := OpenRegistration(body, edition == 2019)
		if f != nil || id.String() != "MAKER/W-100/0000007" {
			t.Errorf("%d: %v %v", edition, id, f)
		}
		if _, f := OpenRegistration(body[:20], edition == 2019); f == nil {
			t.Errorf("%d: a piece of a registration was accepted", edition)
		}
	}
	for _, v2019 := range []bool{false, true} {
		code, f := OpenAuthentication(AppendAuthentication(nil, []byte("secret"), v2019), v2019)
		if f != nil || string(code) != "secret" {
			t.Errorf("%q, %v", code, f)
		}
	}
	if _, f := OpenAuthentication([]byte{9, 'x'}, true); f == nil {
		t.Error("a code longer than its body")
	}
}

// The serial of a device does not depend on the edition of the wire.
func TestSerials_R40(t *testing.T) {
	t.Parallel()
	for phone, want := range map[string]devices.Serial{
		"013511221122": "jt808-13511221122", "00000000013511221122": "jt808-13511221122", "4eb6fb4afd9e": "jt808-4eb6fb4afd9e",
	} {
		if got, ok := SerialOf(phone); !ok || got != want {
			t.Errorf("%s: %s", phone, got)
		}
	}
	if _, ok := SerialOf("000000000000"); ok {
		t.Error("nobody's number is somebody's")
	}
}

func TestSplitter(t *testing.T) {
	t.Parallel()
	var s Splitter
	var got []string
	take := func(frame []byte, f *devices.Fault) bool {
		if f != nil {
			got = append(got, "fault "+f.Field+" "+string(f.Reason))
		} else {
			got = append(got, string(frame))
		}
		return true
	}
	s.Split([]byte("junk"), take)
	s.Split([]byte("more junk~one~~t"), take)
	if !s.Partial() {
		t.Error("a frame has begun")
	}
	s.Split([]byte("wo~shared~"), take)
	if s.Partial() {
		t.Error("no frame has begun")
	}
	s.Split(bytes.Repeat([]byte("x"), 3*maxFrame), take)
	s.Split([]byte("still it"), take)
	s.Split([]byte("~after~"), take)
	want := "fault frame malformed|one|two|shared|fault frame oversized|after"
	if strings.Join(got, "|") != want {
		t.Errorf("%q", got)
	}
	if cap(s.buf) > 2*maxFrame {
		t.Errorf("it holds %d bytes", cap(s.buf))
	}
}

func TestAssembler(t *testing.T) {
	t.Parallel()
	var a Assembler
	at := noon
	part := func(serial uint16, n, i int, size int) Message {
		return Message{Header: Header{ID: Batch, Phone: "013511221122", Serial: serial, Parts: n, Part: i}, Body: bytes.Repeat([]byte{byte(i)}, size)}
	}
	for _, m := range []Message{part(0xffff, 3, 1, 2), part(1, 3, 3, 2), part(1, 3, 3, 2)} { // serials go round
		if _, _, done, f := a.Add(m, at); done || f != nil {
			t.Fatal(done, f)
		}
	}
	whole, serials, done, f := a.Add(part(0, 3, 2, 2), at)
	if !done || f != nil || !bytes.Equal(whole.Body, []byte{1, 1, 2, 2, 3, 3}) || len(serials) != 3 || whole.Serial != 0xffff || whole.Parts != 0 {
		t.Errorf("%+v %v %v %v", whole, serials, done, f)
	}
	// Bounded in time, in messages, in parts and in bytes.
	a.Add(part(10, 2, 1, 1), at)
	if _, _, done, _ := a.Add(part(11, 2, 2, 1), at.Add(maxAssembly+time.Second)); done {
		t.Error("it waited longer than a minute")
	}
	a = Assembler{}
	for i := range 10 {
		a.Add(part(uint16(100*i), 2, 1, 1), at)
	}
	if len(a.open) != maxOpen {
		t.Errorf("%d messages are open", len(a.open))
	}
	if _, _, _, f := a.Add(part(0, maxParts+1, 1, 1), at); f == nil {
		t.Error("too many parts")
	}
	a = Assembler{}
	refused := false
	for i := range maxParts {
		_, _, _, f := a.Add(part(uint16(i), maxParts, i+1, maxBody), at)
		refused = refused || f != nil
	}
	if !refused {
		t.Error("too many bytes")
	}
}

// What is written is read as it was, in every edition, in parts or whole, cut into pieces anywhere.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v2019 := rapid.Bool().Draw(t, "2019")
		digits := 12
		if v2019 {
			digits = 20
		}
		m := Message{Header: Header{ID: ID(rapid.Uint16().Draw(t, "id")), V2019: v2019, Serial: rapid.Uint16().Draw(t, "serial"),
			Phone: rapid.StringOfN(rapid.RuneFrom([]rune("0123456789")), digits, digits, digits).Draw(t, "phone")},
			Body: rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 0x7d, 0x7e, 0xff}), 1, 3000).Draw(t, "body")}
		if v2019 {
			m.Protocol = rapid.Byte().Draw(t, "protocol")
		}
		wire, n, err := AppendParts(nil, m, rapid.IntRange(100, maxBody).Draw(t, "size"))
		if err != nil {
			t.Fatal(err)
		}
		var s Splitter
		var a Assembler
		seen, finished := 0, false
		for len(wire) > 0 {
			cut := rapid.IntRange(1, len(wire)).Draw(t, "cut")
			s.Split(wire[:cut], func(frame []byte, f *devices.Fault) bool {
				if f != nil {
					t.Fatal(f)
				}
				part, f := Open(frame)
				if f != nil {
					t.Fatal(f)
				}
				seen++
				whole, serials, done, f := a.Add(part, noon)
				if f != nil {
					t.Fatal(f)
				}
				if done {
					finished = true
					if whole.Header != m.Header || !bytes.Equal(whole.Body, m.Body) || len(serials) != n {
						t.Fatalf("%+v", whole.Header)
					}
				}
				return true
			})
			wire = wire[cut:]
		}
		if seen != n || !finished {
			t.Fatalf("%d of %d parts, finished %v", seen, n, finished)
		}
	})
}

func TestLocationRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := Location{Alarm: rapid.Uint32().Draw(t, "alarm"), Status: rapid.Uint32().Draw(t, "status"), Lat: rapid.Uint32().Draw(t, "lat"),
			Lon: rapid.Uint32().Draw(t, "lon"), Altitude: rapid.Uint16().Draw(t, "alt"), Speed: rapid.Uint16().Draw(t, "speed"),
			Course: rapid.Uint16().Draw(t, "course"),
			Time:   time.Unix(rapid.Int64Range(946684800+86400, 4102444800-86400).Draw(t, "time"), 0).UTC()}
		for range rapid.IntRange(0, 5).Draw(t, "items") {
			l.Items = append(l.Items, Item{rapid.Byte().Draw(t, "item"), rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "value")})
		}
		again, f := OpenLocation(AppendLocation(nil, l))
		if f != nil {
			t.Fatal(f)
		}
		if a, b := AppendLocation(nil, again), AppendLocation(nil, l); !bytes.Equal(a, b) || !again.Time.Equal(l.Time) {
			t.Fatalf("%+v", again)
		}
		if o, f := again.Observation(Reading{Makers: rapid.Bool().Draw(t, "makers")}); f == nil {
			if o.Place != nil && (math.Abs(o.Place.Lat) > 90.01 || math.Abs(o.Place.Lon) > 180.01 || math.IsNaN(o.Place.Lat)) {
				t.Fatal("no such place")
			}
			report := devices.Report{Boot: -1, Observations: []devices.Observation{o}}
			if o.Place != nil {
				report.Datum = o.Place.Datum
			}
			if _, err := devices.AppendJSON(nil, report); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzStream gives the whole codec bytes that nobody made: it neither panics nor takes more memory than a multiple of them.
func FuzzStream(f *testing.F) {
	for _, m := range []Message{
		{Header: Header{ID: Heartbeat, Phone: "013511221122"}},
		{Header: Header{ID: Report, Phone: "013511221122"}, Body: AppendLocation(nil, tianmen())},
		{Header: Header{ID: Batch, Phone: "00000000013511221122", V2019: true}, Body: AppendBatch(nil, []Location{tianmen(), tianmen()}, false)},
		{Header: Header{ID: Registration, Phone: "013511221122"}, Body: make([]byte, 45)},
		{Header: Header{ID: Authentication, Phone: "013511221122"}, Body: []byte("secret")},
	} {
		b, err := Append(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		b, _, err = AppendParts(nil, m, 20)
		if err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		openAll(p)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > uint64(64*len(p)+64<<10) {
			t.Errorf("%d bytes took %d", len(p), took)
		}
	})
}

func openAll(p []byte) {
	var s Splitter
	var a Assembler
	s.Split(p, func(frame []byte, f *devices.Fault) bool {
		if f != nil {
			return true
		}
		m, f := Open(frame)
		if f != nil {
			return true
		}
		if m.Parts > 0 {
			whole, _, done, _ := a.Add(m, noon)
			if !done {
				return true
			}
			m = whole
		}
		openBody(m)
		return true
	})
}

// openBody reads the body as everything it could be: what it is only its header says.
func openBody(m Message) {
	for _, makers := range []bool{false, true} {
		if l, f := OpenLocation(m.Body); f == nil {
			_, _ = l.Observation(Reading{Makers: makers})
		}
	}
	_, _, _ = OpenQueryReply(m.Body)
	_, _, _ = OpenBatch(m.Body)
	_, _ = OpenReply(m.Body)
	_, _ = OpenRegistration(m.Body, m.V2019)
	_, _ = OpenAuthentication(m.Body, m.V2019)
}
