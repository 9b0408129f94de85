package devices

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zhijiao/internal/crypto"
)

var testKey = crypto.NewDigestKey([]byte("a key for tests, and only for them"))

var received = time.Date(2026, 11, 23, 14, 0, 2, 0, time.UTC)

func decode(kind Kind, payload string) Message {
	return DecodeJSON(Raw{Serial: "wb-0001", Kind: kind, Payload: []byte(payload), ReceivedAt: received}, DecodeOptions{Key: testKey})
}

const (
	head = `{"v":1,"boot":12,"sent":"2026-11-23T14:00:01Z","datum":"WGS-84","obs":[`
	good = `{"seq":101,"at":"2026-11-23T13:59:58.25+00:00","lon":113.16,"lat":30.65,"acc":8.5,"method":"gnss","speed":1.2,"sats":9,` +
		`"battery":83,"strap":"closed","charging":false,"cell":"460-00-1234-5678","operator":"46000","signal":-85,"sim":"8986001"}`
)

func TestDecodeWholeFix(t *testing.T) {
	t.Parallel()
	m := decode(KindFix, head+good+"]}")
	if m.Received != 1 || len(m.Observations) != 1 || m.Kind != KindFix {
		t.Fatalf("%+v", m)
	}
	o := m.Observations[0]
	at := time.Date(2026, 11, 23, 13, 59, 58, 250_000_000, time.UTC)
	if o.Serial != "wb-0001" || o.Boot != 12 || o.Seq != 101 || !o.At.Equal(at) || o.At.Location() != time.UTC || o.Size != len(good) {
		t.Errorf("%+v", o)
	}
	if skew, ok := o.Skew(); !ok || skew != time.Second {
		t.Errorf("skew %v %v", skew, ok)
	}
	if want := (Place{113.16, 30.65, 8.5, 1.2, 9, MethodGNSS, WGS84}); *o.Place != want {
		t.Errorf("place is %+v", *o.Place)
	}
	h := o.Health
	if *h.Battery != 83 || *h.Charging || *h.Signal != -85 || h.Strap != StrapClosed || h.Cell != "460-00-1234-5678" ||
		h.Operator != "46000" || h.SIM != "8986001" || h.LastGasp != "" {
		t.Errorf("health is %+v", h)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	fix := func(fields string) string { return head + `{"seq":1,` + fields + `]}` }
	const at, place = `"at":"2026-11-23T13:59:58Z"`, `"lon":113.16,"lat":30.65,"method":"gnss"`
	for _, c := range []struct {
		name, payload string
		reason        Reason
		field         string
		opened        bool
	}{
		{"empty", ``, Malformed, "", false},
		{"not JSON", `hello`, Malformed, "", false},
		{"an array", `[]`, Malformed, "", false},
		{"cut off", head + good, Malformed, "obs", false},
		{"trailing garbage", head + good + `]}x`, Malformed, "", false},
		{"two documents", head + good + `]}{}`, Malformed, "", false},
		{"trailing comma in obs", head + good + `,]}`, Malformed, "obs", false},
		{"version twice", `{"v":1,"v":1,"obs":[{}]}`, Malformed, "v", false},
		{"version twice, escaped", `{"v":1,"\u0076":1,"obs":[{}]}`, Malformed, "v", false},
		{"no obs", `{"v":1}`, MissingField, "obs", false},
		{"no observation", `{"v":1,"obs":[]}`, MissingField, "obs", false},
		{"obs null", `{"v":1,"obs":null}`, WrongType, "obs", false},
		{"obs an object", `{"v":1,"obs":{}}`, WrongType, "obs", false},
		{"deep nesting outside", `{"v":1,"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `,"obs":[{}]}`, Malformed, "", false},
		{"deep nesting inside", head + `{"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}]}`, Malformed, "obs", false},
		{"boot NaN", `{"v":1,"boot":NaN,"obs":[{}]}`, Malformed, "boot", false},
		{"oversized", `{"v":1,"x":"` + strings.Repeat("x", MaxPayload) + `"}`, Oversized, "", false},
		{"too many", `{"v":1,"obs":[` + strings.Repeat("{},", MaxObservations) + `{}]}`, Oversized, "obs", false},

		{"no version", `{"obs":[{` + at + `}]}`, MissingField, "v", true},
		{"other version", `{"v":2,"obs":[{` + at + `}]}`, BadVersion, "v", true},
		{"huge version", `{"v":99999999999999999999999,"obs":[{` + at + `}]}`, BadVersion, "v", true},
		{"version a string", `{"v":"1","obs":[{` + at + `}]}`, WrongType, "v", true},
		{"another device", `{"v":1,"device":"wb-0002","obs":[{` + at + `}]}`, IdentityMismatch, "device", true},
		{"device a number", `{"v":1,"device":1,"obs":[{` + at + `}]}`, WrongType, "device", true},
		{"boot negative", `{"v":1,"boot":-2,"obs":[{` + at + `}]}`, OutOfRange, "boot", true},
		{"sent without zone", `{"v":1,"sent":"2026-11-23T14:00:01","obs":[{` + at + `}]}`, TimeWithoutZone, "sent", true},
		{"no datum", `{"v":1,"obs":[{` + at + `,` + place + `}]}`, UndeclaredDatum, "datum", true},
		{"unknown datum", `{"v":1,"datum":"WGS84","obs":[{` + at + `,` + place + `}]}`, UndeclaredDatum, "datum", true},
		{"datum a number", `{"v":1,"datum":4326,"obs":[{` + at + `,` + place + `}]}`, WrongType, "datum", true},

		{"observation a number", head + `7]}`, Malformed, "obs", true},
		{"observation broken", head + `{"seq":1,,}]}`, Malformed, "obs", true},
		{"two in one", head + `{} {}]}`, Malformed, "obs", true},
		{"lon NaN", fix(at + `,"lon":NaN,"lat":30.65,"method":"gnss"}`), Malformed, "lon", true},
		{"lon infinite", fix(at + `,"lon":1e999,"lat":30.65,"method":"gnss"}`), OutOfRange, "lon", true},
		{"lon long", fix(at + `,"lon":113.` + strings.Repeat("1", 4000) + `,"lat":30.65,"method":"gnss"}`), OutOfRange, "lon", true},
		{"lon a string", fix(at + `,"lon":"113.16","lat":30.65,"method":"gnss"}`), WrongType, "lon", true},
		{"lon hexadecimal", fix(at + `,"lon":0x71,"lat":30.65,"method":"gnss"}`), Malformed, "obs", true},
		{"lon leading zero", fix(at + `,"lon":0113,"lat":30.65,"method":"gnss"}`), Malformed, "obs", true},
		{"lon over", fix(at + `,"lon":180.0001,"lat":30.65,"method":"gnss"}`), OutOfRange, "lon", true},
		{"lat under", fix(at + `,"lon":113.16,"lat":-90.0001,"method":"gnss"}`), OutOfRange, "lat", true},
		{"axes swapped", fix(at + `,"lon":30.65,"lat":113.16,"method":"gnss"}`), OutOfRange, "lat", true},
		{"lon twice", fix(at + `,"lon":1,` + place + `}`), Malformed, "lon", true},
		{"null island", fix(at + `,"lon":0,"lat":-0.0,"method":"gnss"}`), NullIsland, "lon", true},
		{"lat missing", fix(at + `,"lon":113.16,"method":"gnss"}`), MissingField, "lat", true},
		{"lon null", fix(at + `,"lon":null,"lat":30.65,"method":"gnss"}`), MissingField, "lon", true},
		{"no place", fix(at + `}`), MissingField, "lon", true},
		{"no method", fix(at + `,"lon":113.16,"lat":30.65}`), MissingField, "method", true},
		{"unknown method", fix(at + `,"lon":113.16,"lat":30.65,"method":"guess"}`), OutOfRange, "method", true},
		{"accuracy negative", fix(at + `,` + place + `,"acc":-1}`), OutOfRange, "acc", true},
		{"accuracy a string", fix(at + `,` + place + `,"acc":"8"}`), WrongType, "acc", true},
		{"speed of a rocket", fix(at + `,` + place + `,"speed":8000}`), OutOfRange, "speed", true},
		{"satellites half", fix(at + `,` + place + `,"sats":4.5}`), WrongType, "sats", true},
		{"battery over 100", fix(at + `,` + place + `,"battery":101}`), OutOfRange, "battery", true},
		{"signal positive", fix(at + `,` + place + `,"signal":5}`), OutOfRange, "signal", true},
		{"strap of leather", fix(at + `,` + place + `,"strap":"leather"}`), OutOfRange, "strap", true},
		{"charging a number", fix(at + `,` + place + `,"charging":1}`), WrongType, "charging", true},
		{"cell with a blank", fix(at + `,` + place + `,"cell":"460 00"}`), OutOfRange, "cell", true},
		{"cell long", fix(at + `,` + place + `,"cell":"` + strings.Repeat("1", 65) + `"}`), OutOfRange, "cell", true},
		{"command zero", fix(at + `,` + place + `,"command":0,"outcome":"done"}`), OutOfRange, "command", true},
		{"command a string", fix(at + `,` + place + `,"command":"5","outcome":"done"}`), WrongType, "command", true},
		{"command twice", fix(at + `,` + place + `,"command":5,"outcome":"done","command":6}`), Malformed, "command", true},
		{"command without outcome", fix(at + `,` + place + `,"command":5}`), MissingField, "outcome", true},
		{"outcome of nothing", fix(at + `,` + place + `,"outcome":"done"}`), MissingField, "command", true},
		{"unknown outcome", fix(at + `,` + place + `,"command":5,"outcome":"well"}`), OutOfRange, "outcome", true},
		{"answers zero", fix(at + `,` + place + `,"answers":0}`), OutOfRange, "answers", true},
		{"seq a string", head + `{"seq":"1",` + at + `,` + place + `}]}`, WrongType, "seq", true},
		{"seq negative", head + `{"seq":-1,` + at + `,` + place + `}]}`, OutOfRange, "seq", true},
		{"seq huge", head + `{"seq":9223372036854775807,` + at + `,` + place + `}]}`, OutOfRange, "seq", true},
		{"last gasp unknown", fix(at + `,` + place + `,"last_gasp":"boredom"}`), OutOfRange, "last_gasp", true},

		{"no time", fix(place + `}`), MissingField, "at", true},
		{"time a number", fix(`"at":1795442398,` + place + `}`), WrongType, "at", true},
		{"time garbled", fix(`"at":"yesterday",` + place + `}`), Malformed, "at", true},
		{"time of 25 hours", fix(`"at":"2026-11-23T25:00:00Z",` + place + `}`), Malformed, "at", true},
		{"time without zone", fix(`"at":"2026-11-23T13:59:58",` + place + `}`), TimeWithoutZone, "at", true},
		{"time with a blank, without zone", fix(`"at":"2026-11-23 13:59:58.5",` + place + `}`), TimeWithoutZone, "at", true},
		{"date alone", fix(`"at":"2026-11-23",` + place + `}`), TimeWithoutZone, "at", true},
		{"time in the future", fix(`"at":"2026-11-23T14:05:03Z",` + place + `}`), TimeInFuture, "at", true},
		{"time in 1970", fix(`"at":"1970-01-01T00:00:07Z",` + place + `}`), TimeTooOld, "at", true},
		{"time before the law", fix(`"at":"2020-06-30T15:59:59Z",` + place + `}`), TimeTooOld, "at", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := decode(KindFix, c.payload)
			if len(m.Observations) != 0 || len(m.Faults) != 1 || m.Received != 1 {
				t.Fatalf("%+v", m)
			}
			f := m.Faults[0]
			if f.Reason != c.reason || f.Field != c.field {
				t.Errorf("%s at %q, want %s at %q", f.Reason, f.Field, c.reason, c.field)
			}
			if (m.Kind == KindFix) != c.opened {
				t.Errorf("counted as %s", m.Kind)
			}
			if f.Detail == "" || strings.Contains(f.Error(), "113") || f.Size == 0 && c.payload != "" {
				t.Errorf("fault %q, size %d", f.Error(), f.Size)
			}
		})
	}
}

func TestStatusCarriesNoPlace(t *testing.T) {
	t.Parallel()
	m := decode(KindStatus, head+good+"]}")
	if len(m.Faults) != 1 || m.Faults[0].Reason != Malformed || m.Faults[0].Field != "lon" {
		t.Fatalf("%+v", m)
	}
	m = decode(KindStatus, `{"v":1,"obs":[{"at":"2026-11-23T13:59:58Z","battery":4,"last_gasp":"battery"}]}`)
	if len(m.Observations) != 1 || m.Observations[0].Health.LastGasp != "battery" || m.Observations[0].Place != nil {
		t.Fatalf("%+v", m)
	}
}

func TestCheckInWithAndWithoutPlace(t *testing.T) {
	t.Parallel()
	m := decode(KindCheckIn, head+`{"seq":1,"at":"2026-11-23T13:59:58Z","answers":55,"result":"ok"},`+
		`{"seq":2,"at":"2026-11-23T13:59:58Z","answers":56,"lon":113.16,"lat":30.65,"method":"wifi"}]}`)
	if len(m.Observations) != 2 || m.Observations[0].Place != nil || m.Observations[0].Answers != 55 ||
		m.Observations[0].Result != "ok" || m.Observations[1].Place == nil {
		t.Fatalf("%+v", m)
	}
}

func TestOneBadOfTwentyCostsItself(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{`{"seq":7,"at":"2026-11-23T13:59:58Z","lon":NaN,"lat":1}`, `{"seq":7,"x":[1,}`, `null`, `"}]"`, `{"a":"\"]}"}`, `{{}}`} {
		items := make([]string, 20)
		for i := range items {
			items[i] = strings.Replace(good, "101", fmt.Sprint(i), 1)
		}
		items[7] = bad
		m := decode(KindFix, head+strings.Join(items, " ,\n ")+" ] }")
		if strings.Count(bad, "[") != strings.Count(bad, "]") && !strings.Contains(bad, `"}]"`) && !strings.Contains(bad, `\"]}`) {
			// its end cannot be found: the message cannot be opened, and is counted once
			if m.Kind != KindUnknown || m.Received != 1 {
				t.Errorf("%s: %+v", bad, m)
			}
			continue
		}
		if m.Received != 20 || len(m.Observations) != 19 || len(m.Faults) != 1 {
			t.Errorf("%s: %d received, %d good, faults %+v", bad, m.Received, len(m.Observations), m.Faults)
		}
	}
}

func TestFieldOrderAndUnknownFields(t *testing.T) {
	t.Parallel()
	m := decode(KindFix, `{"new":{"a":[1,2,{"b":null}]},"obs":[{"lat":30.65,"battery_mv":3700,"lon":113.16,"method":"gnss","at":"2026-11-23T21:59:58+08:00","firm":"é"}],`+
		`"datum":"WGS-84","v":1,"boot":3}`)
	if len(m.Observations) != 1 || m.Observations[0].Boot != 3 || !m.Observations[0].At.Equal(received.Add(-4*time.Second)) {
		t.Fatalf("%+v", m)
	}
}

func TestFaultTellsTheOneTimeOnlyWhenItIsTheOnlyOne(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 13, 59, 58, 0, time.UTC)
	for name, c := range map[string]struct {
		item string
		at   time.Time
		seq  int64
	}{
		"plain":            {`{"seq":4,"at":"2026-11-23T13:59:58Z","battery":101}`, at, 4},
		"time wrong":       {`{"seq":4,"at":"2026-11-23T13:59:58"}`, time.Time{}, 4},
		"another field":    {`{"seq":4,"at":"2026-11-23T13:59:58Z","battery":101,"trail":[]}`, time.Time{}, 4},
		"two times":        {`{"seq":4,"at":"2026-11-23T13:59:58Z","at":"2026-11-23T13:59:59Z"}`, time.Time{}, 4},
		"cannot be read":   {`{"seq":4,"at":"2026-11-23T13:59:58Z","x":tru}`, time.Time{}, 4},
		"nothing readable": {`[]`, time.Time{}, -1},
	} {
		m := decode(KindFix, head+c.item+"]}")
		if len(m.Faults) != 1 || !m.Faults[0].At.Equal(c.at) || m.Faults[0].Seq != c.seq || m.Faults[0].Boot != 12 || string(m.Faults[0].Payload) != c.item {
			t.Errorf("%s: %+v", name, m.Faults)
		}
	}
}

func TestDigests(t *testing.T) {
	t.Parallel()
	one := func(kind Kind, p string) Observation {
		t.Helper()
		m := decode(kind, p)
		if len(m.Observations) != 1 {
			t.Fatalf("%+v", m)
		}
		return m.Observations[0]
	}
	a := one(KindFix, head+good+"]}")
	if b := one(KindFix, strings.Replace(head, "14:00:01", "15:00:01", 1)+" "+good+" ]}"); a.Digest != b.Digest {
		t.Error("sent again it is another observation")
	}
	if b := one(KindFix, strings.Replace(head, "WGS-84", "GCJ-02", 1)+good+"]}"); a.Digest == b.Digest {
		t.Error("another datum is the same observation")
	}
	if b := one(KindCheckIn, head+good+"]}"); a.Digest == b.Digest {
		t.Error("another kind is the same observation")
	}
	if b := one(KindFix, head+strings.Replace(good, "8.5", "8.6", 1)+"]}"); a.Digest == b.Digest {
		t.Error("other content is the same observation")
	}
	bare := strings.Replace(good, `"seq":101,`, "", 1)
	c, d := one(KindFix, head+bare+"]}"), one(KindFix, head+bare+"]}")
	if !c.Derived() || c.Seq != d.Seq || a.Derived() {
		t.Errorf("derived %d and %d", c.Seq, d.Seq)
	}
}

func TestR45SamePlaceInThreeDatums(t *testing.T) {
	t.Parallel()
	const lon, lat = 113.1661, 30.6631
	for _, d := range []Datum{WGS84, CGCS2000, GCJ02, BD09} {
		payload, err := AppendJSON(nil, Report{Boot: 1, Datum: d, Observations: []Observation{{
			Seq: 1, At: received, Place: &Place{Lon: lon, Lat: lat, Method: MethodGNSS, Speed: -1, Satellites: -1},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		m := decode(KindFix, string(payload))
		if len(m.Observations) != 1 {
			t.Fatalf("%v: %+v", d, m.Faults)
		}
		p := m.Observations[0].Place
		if off := metres(lon, lat, p.Lon, p.Lat); off > 3 || p.Datum != d {
			t.Errorf("%v ends %.2f m away, as %v", d, off, p.Datum)
		}
		if d >= GCJ02 && strings.Contains(string(payload), "113.1661,") {
			t.Errorf("%v was not converted", d)
		}
	}
}

func TestEncodeDecodeRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := Report{
			Device: "wb-0001", Boot: rapid.Int64Range(-1, 1<<40).Draw(t, "boot"), Sent: received,
			Datum: Datum(rapid.Int16Range(1, 4).Draw(t, "datum")),
		}
		for range rapid.IntRange(1, 20).Draw(t, "n") {
			r.Observations = append(r.Observations, drawFix(t))
		}
		payload, err := AppendJSON(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		m := decode(KindFix, string(payload))
		if len(m.Observations) != len(r.Observations) {
			t.Fatalf("%+v in %s", m.Faults, payload)
		}
		for i, o := range m.Observations {
			want := r.Observations[i]
			if o.Boot != r.Boot || o.Seq != want.Seq || !o.At.Equal(want.At) || o.Answers != want.Answers || *o.Health.Battery != *want.Health.Battery ||
				o.Health.Strap != want.Health.Strap || o.Command != want.Command || o.Outcome != want.Outcome {
				t.Fatalf("%+v became %+v", want, o)
			}
			if off := metres(want.Place.Lon, want.Place.Lat, o.Place.Lon, o.Place.Lat); off > 0.03 || o.Place.Method != want.Place.Method {
				t.Fatalf("%.3f m off", off)
			}
			if math.Abs(o.Place.Accuracy-want.Place.Accuracy) > 0.006 {
				t.Fatalf("accuracy %f became %f", want.Place.Accuracy, o.Place.Accuracy)
			}
		}
	})
}

func drawFix(t *rapid.T) Observation {
	battery := rapid.IntRange(0, 100).Draw(t, "battery")
	return Observation{
		Seq: rapid.Int64Range(0, maxCounter).Draw(t, "seq"),
		At:  received.Add(-time.Duration(rapid.Int64Range(0, 1e6).Draw(t, "ago")) * time.Millisecond),
		Place: &Place{
			Lon: rapid.Float64Range(112.5, 113.5).Draw(t, "lon"), Lat: rapid.Float64Range(30.3, 31).Draw(t, "lat"),
			Accuracy: rapid.Float64Range(0, 500).Draw(t, "acc"), Speed: -1, Satellites: -1,
			Method: Method(rapid.Int16Range(1, 4).Draw(t, "method")),
		},
		Health:  Health{Battery: &battery, Strap: Strap(rapid.Int16Range(0, 3).Draw(t, "strap"))},
		Answers: 7, Command: 55, Outcome: OutcomeReceived,
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	place := Observation{At: received, Place: &Place{Lon: 1, Lat: 1, Method: MethodGNSS}}
	for name, r := range map[string]Report{
		"nothing":  {},
		"no datum": {Observations: []Observation{place}},
		"too many": {Datum: WGS84, Observations: make([]Observation, MaxObservations+1)},
	} {
		if out, err := AppendJSON([]byte("x"), r); err == nil || string(out) != "x" {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

func TestCommandRoundTrip(t *testing.T) {
	t.Parallel()
	want := CommandMessage{ID: 55, Kind: CommandCheck, At: received, Expires: received.Add(time.Hour), Check: 123, Due: received.Add(10 * time.Minute), Text: `请"核查"`, Every: 5 * time.Minute}
	got, err := DecodeCommandJSON(AppendCommandJSON(nil, want))
	if err != nil || got != want {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, bad := range []string{``, `{}`, `{"v":2,"id":1}`, `{"v":1,"id":"x"}`} {
		if _, err := DecodeCommandJSON([]byte(bad)); err == nil {
			t.Errorf("%s is a command", bad)
		}
	}
}

// A device cannot make us use more memory than a fixed multiple of what it sends. The race detector needs some as well.
func TestDecodeAllocationIsBounded(t *testing.T) {
	const slack = 64 << 10
	for name, payload := range map[string]string{
		"empty observations": `{"v":1,"obs":[` + strings.Repeat("{},", MaxObservations-1) + `{}]}`,
		"nesting":            `{"v":1,"x":[` + strings.Repeat(`{"a":[[[[]]]]},`, 1000) + `{}],"obs":[{}]}`,
		"escapes":            `{"v":1,"x":"` + strings.Repeat(`\u0041`, 2600) + `","obs":[{}]}`,
		"escaped keys":       `{"v":1,` + strings.Repeat(`"\u0041":1,`, 1400) + `"obs":[{}]}`,
		"good":               head + strings.TrimSuffix(strings.Repeat(good+",", 40), ",") + `]}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		decode(KindFix, payload)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > slack+uint64(64*len(payload)) {
			t.Errorf("%s: %d bytes for %d", name, used, len(payload))
		}
	}
}

func FuzzDecodeJSON(f *testing.F) {
	for _, s := range []string{head + good + "]}", `{"v":1,"obs":[{"at":"2026-11-23T13:59:58Z","command":5,"outcome":"done"},{"command":5}]}`, head + good + "," + good + "]}", `{"v":1,"obs":[{"at":"2026-11-23T13:59:58"}]}`,
		`{"v":1,"obs":[{"lon":1e999},null,{"\u006con":"\""}]}`, `{`, `{"v":1,"obs":[[[[[`, "{\"obs\":[\"\xff\"],\"v\":1}"} {
		f.Add([]byte(s), uint8(0))
		f.Add([]byte(s), uint8(2))
	}
	f.Fuzz(func(t *testing.T, payload []byte, k uint8) {
		kind := []Kind{KindFix, KindCheckIn, KindStatus}[k%3]
		m := DecodeJSON(Raw{"wb-0001", kind, payload, received}, DecodeOptions{Key: testKey})
		if m.Received != len(m.Observations)+len(m.Faults) || m.Received == 0 || m.Received > MaxObservations {
			t.Fatalf("%d received, %d good, %d faults", m.Received, len(m.Observations), len(m.Faults))
		}
		for _, fault := range m.Faults {
			if fault.Reason == "" || fault.Detail == "" || fault.Size != len(fault.Payload) {
				t.Fatalf("%+v", fault)
			}
		}
		for _, o := range m.Observations {
			checkInvariants(t, kind, o)
		}
	})
}

func checkInvariants(t *testing.T, kind Kind, o Observation) {
	t.Helper()
	if o.At.Before(InForce) || o.At.After(received.Add(DefaultFuture)) || o.Boot < -1 || kind == KindFix && o.Place == nil || kind == KindStatus && o.Place != nil {
		t.Fatalf("%+v", o)
	}
	if p := o.Place; p != nil && (!(math.Abs(p.Lon) <= 180 && math.Abs(p.Lat) <= 90 && p.Accuracy >= 0) || p.Method == 0 || p.Datum == 0) {
		t.Fatalf("place %+v", *p)
	}
	if b := o.Health.Battery; b != nil && (*b < 0 || *b > 100) {
		t.Fatalf("battery %d", *b)
	}
}

func BenchmarkDecodeJSON(b *testing.B) {
	in := Raw{"wb-0001", KindFix, []byte(head + good + "]}"), received}
	b.ReportAllocs()
	for b.Loop() {
		DecodeJSON(in, DecodeOptions{Key: testKey})
	}
}

func BenchmarkDecodeJSONGCJ02(b *testing.B) {
	in := Raw{"wb-0001", KindFix, []byte(strings.Replace(head, "WGS-84", "GCJ-02", 1) + good + "]}"), received}
	b.ReportAllocs()
	for b.Loop() {
		DecodeJSON(in, DecodeOptions{Key: testKey})
	}
}
