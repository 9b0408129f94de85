package devices

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func decodeOwnTracks(payload string) Message {
	return DecodeOwnTracks(Raw{"ph-0001", KindOwnTracks, []byte(payload), received}, DecodeOptions{Key: testKey})
}

// 1795442398 is 2026-11-23T13:59:58Z.
const otGood = `{"_type":"location","tst":1795442398,"created_at":1795442399,"lat":30.65,"lon":113.16,"acc":12,"vel":36,"batt":83,"bs":2,` +
	`"conn":"m","source":"gps","SSID":"somebody's home","tid":"zh","t":"u","m":1,"mcc":460,"mnc":0,"lac":"4F4D","cid":"673A"}`

func TestOwnTracksLocation(t *testing.T) {
	t.Parallel()
	m := decodeOwnTracks(otGood)
	if m.Received != 1 || len(m.Observations) != 1 || m.Kind != KindFix {
		t.Fatalf("%+v", m)
	}
	o := m.Observations[0]
	if o.Serial != "ph-0001" || o.Kind != KindFix || !o.Derived() || o.Boot != -1 || o.Size != len(otGood) ||
		!o.At.Equal(time.Date(2026, 11, 23, 13, 59, 58, 0, time.UTC)) || o.SentAt.Sub(o.At) != time.Second {
		t.Errorf("%+v", o)
	}
	if want := (Place{113.16, 30.65, 12, 10, -1, MethodGNSS, WGS84}); *o.Place != want {
		t.Errorf("place is %+v", *o.Place)
	}
	if h := o.Health; *h.Battery != 83 || !*h.Charging || h.Cell != "460-0-4F4D-673A" {
		t.Errorf("health is %+v", h)
	}
	if again := decodeOwnTracks(otGood).Observations[0]; again.Digest != o.Digest || again.Seq != o.Seq {
		t.Error("sent again it is another observation")
	}
}

func TestOwnTracksTypes(t *testing.T) {
	t.Parallel()
	const at = `"tst":1795442398`
	for _, c := range []struct {
		name, payload string
		kind          Kind // of the one observation; "" where there is none
		reason        Reason
		field         string
		kept          bool // the payload goes to the quarantine
	}{
		{"location", otGood, KindFix, "", "", false},
		{"transition", `{"_type":"transition","event":"enter","desc":"home","lat":30.65,"lon":113.16,"acc":5,"wtst":1,` + at + `}`, KindFix, "", "", false},
		{"no place", `{"_type":"location","batt":7,` + at + `}`, KindStatus, "", "", false},
		{"speed and battery unknown", `{"_type":"location","lat":30.65,"lon":113.16,"vel":-1,"batt":-1,` + at + `}`, KindFix, "", "", false},
		{"half a second", `{"_type":"location","lat":30.65,"lon":113.16,"tst":1795442398.5}`, KindFix, "", "", false},

		{"encrypted", `{"_type":"encrypted","data":"U2FsdGVkX1"}`, "", Encrypted, "_type", false},
		{"last will", `{"_type":"lwt",` + at + `}`, "", NoObservation, "_type", false},
		{"way-point", `{"_type":"waypoint","desc":"school","lat":30.65,"lon":113.16,"rad":100,` + at + `}`, "", NoObservation, "_type", false},
		{"status", `{"_type":"status","iOS":{"deviceModel":"iPhone"}}`, "", NoObservation, "_type", false},
		{"a face", `{"_type":"card","name":"Somebody","face":"iVBORw0KGgo"}`, "", NoObservation, "_type", false},
		{"no type", `{` + at + `}`, "", MissingField, "_type", false},
		{"type a number", `{"_type":1}`, "", WrongType, "_type", false},
		{"foreign type", `{"_type":"position"}`, "", OutOfRange, "_type", false},

		{"empty", ``, "", Malformed, "", true},
		{"a number", `7`, "", Malformed, "", true},
		{"cut off", `{"_type":"location"`, "", Malformed, "", true},
		{"two documents", otGood + otGood, "", Malformed, "", true},
		{"array not closed", `[` + otGood, "", Malformed, "", true},
		{"array and more", `[` + otGood + `]x`, "", Malformed, "", true},
		{"empty array", `[]`, "", MissingField, "", true},
		{"too many", `[` + strings.Repeat("{},", MaxObservations) + `{}]`, "", Oversized, "", true},
		{"oversized", `{"_type":"location","x":"` + strings.Repeat("x", MaxPayload) + `"}`, "", Oversized, "", true},
		{"type twice", `{"_type":"lwt","_type":"location",` + at + `}`, "", Malformed, "_type", true},
		{"no time", `{"_type":"location","lat":30.65,"lon":113.16}`, "", MissingField, "tst", true},
		{"time a string", `{"_type":"location","lat":30.65,"lon":113.16,"tst":"1795442398"}`, "", WrongType, "tst", true},
		{"time in the future", `{"_type":"location","lat":30.65,"lon":113.16,"tst":1795443398}`, "", TimeInFuture, "tst", true},
		{"time in milliseconds", `{"_type":"location","lat":30.65,"lon":113.16,"tst":1795442398000}`, "", OutOfRange, "tst", true},
		{"time before the law", `{"_type":"location","lat":30.65,"lon":113.16,"tst":1551874878}`, "", TimeTooOld, "tst", true},
		{"half a place", `{"_type":"location","lat":30.65,` + at + `}`, "", MissingField, "lon", true},
		{"transition without a place", `{"_type":"transition","event":"leave",` + at + `}`, "", MissingField, "lon", true},
		{"null island", `{"_type":"location","lat":0,"lon":0,` + at + `}`, "", NullIsland, "lon", true},
		{"axes swapped", `{"_type":"location","lat":113.16,"lon":30.65,` + at + `}`, "", OutOfRange, "lat", true},
		{"accuracy invalid", `{"_type":"location","lat":30.65,"lon":113.16,"acc":-1,` + at + `}`, "", OutOfRange, "acc", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := decodeOwnTracks(c.payload)
			if m.Received != 1 || len(m.Observations)+len(m.Faults) != 1 {
				t.Fatalf("%+v", m)
			}
			if c.kind != "" {
				if len(m.Faults) != 0 || m.Observations[0].Kind != c.kind || (m.Observations[0].Place != nil) != (c.kind == KindFix) {
					t.Fatalf("%+v", m)
				}
				return
			}
			f := m.Faults[0]
			if f.Reason != c.reason || f.Field != c.field || f.Detail == "" || (f.Payload != nil) != c.kept || !f.At.IsZero() {
				t.Errorf("%s at %q, payload of %d, %q; want %s at %q", f.Reason, f.Field, len(f.Payload), f.Detail, c.reason, c.field)
			}
		})
	}
}

// R44: OwnTracks is WGS-84 by its platforms; nothing in the message can make it another datum.
func TestOwnTracksDatum_R44(t *testing.T) {
	t.Parallel()
	m := decodeOwnTracks(strings.Replace(otGood, `"tid"`, `"datum":"GCJ-02","tid"`, 1))
	if p := m.Observations[0].Place; p.Datum != WGS84 || p.Lon != 113.16 || p.Lat != 30.65 {
		t.Errorf("%+v", *p)
	}
}

func TestOwnTracksMethod(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]Method{
		`"acc":5`: MethodGNSS, `"acc":30`: MethodGNSS, `"acc":31`: MethodWiFi, `"acc":300`: MethodWiFi, `"acc":301`: MethodCell, `"m":1`: MethodWiFi,
		`"acc":5,"source":"network"`: MethodWiFi, `"acc":900,"source":"network"`: MethodCell, `"acc":900,"source":"gps"`: MethodGNSS,
		`"acc":5,"source":"fused"`: MethodGNSS,
	} {
		m := decodeOwnTracks(`{"_type":"location","tst":1795442398,"lat":30.65,"lon":113.16,` + fields + `}`)
		if len(m.Observations) != 1 || m.Observations[0].Place.Method != want {
			t.Errorf("%s: %+v", fields, m)
		}
	}
}

// R37: one bad object of an array costs itself alone.
func TestOwnTracksArray_R37(t *testing.T) {
	t.Parallel()
	items := []string{otGood, `{"_type":"location","tst":1795442398,"lat":NaN}`, `{"_type":"lwt"}`, strings.Replace(otGood, "42398", "42397", 1), `[]`}
	m := decodeOwnTracks(" [" + strings.Join(items, " , ") + "]\n")
	if m.Received != 5 || len(m.Observations) != 2 || len(m.Faults) != 3 || m.Observations[0].Seq == m.Observations[1].Seq {
		t.Fatalf("%+v", m)
	}
	if m.Observations[0].Digest != decodeOwnTracks(otGood).Observations[0].Digest {
		t.Error("in an array it is another observation")
	}
}

// Payloads of real phones, moved to times that are lawful.
func TestOwnTracksSamples(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../shared/data/payloads/owntracks_http.jsonl")
	if err != nil {
		t.Skip("the shared payloads are not on this machine")
	}
	n := 0
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); n++ {
		var sent map[string]any
		if err := json.Unmarshal(lines.Bytes(), &sent); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(int64(sent["tst"].(float64)), 0)
		m := DecodeOwnTracks(Raw{"ph-0001", KindOwnTracks, lines.Bytes(), at.Add(time.Minute)}, DecodeOptions{Key: testKey})
		if at.Before(InForce) {
			if len(m.Faults) != 1 || m.Faults[0].Reason != TimeTooOld {
				t.Errorf("line %d: %+v", n, m)
			}
			m = DecodeOwnTracks(Raw{"ph-0001", KindOwnTracks, lines.Bytes(), at.Add(time.Minute)}, DecodeOptions{Key: testKey, Oldest: at})
		}
		if len(m.Observations) != 1 {
			t.Errorf("line %d: %+v", n, m.Faults)
			continue
		}
		o := m.Observations[0]
		if !o.At.Equal(at) || o.Place.Lon != sent["lon"] || o.Place.Lat != sent["lat"] {
			t.Errorf("line %d: at %v", n, o.At)
		}
		if batt, said := sent["batt"]; said != (o.Health.Battery != nil) || said && float64(*o.Health.Battery) != batt {
			t.Errorf("line %d: battery", n)
		}
	}
	if n == 0 {
		t.Error("no samples")
	}
}

func TestOwnTracksAllocationIsBounded(t *testing.T) {
	const slack = 64 << 10
	for name, payload := range map[string]string{
		"empty objects": `[` + strings.Repeat("{},", MaxObservations-1) + `{}]`,
		"bare places":   `[` + strings.TrimSuffix(strings.Repeat(`{"_type":"location","tst":1795442398,"lat":1,"lon":1},`, 128), ",") + `]`,
		"nesting":       `{"_type":"location","x":` + strings.Repeat(`[`, 8000),
		"escaped keys":  `{` + strings.Repeat(`"\u0041":1,`, 1400) + `"_type":"location"}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		decodeOwnTracks(payload)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > slack+uint64(64*len(payload)) {
			t.Errorf("%s: %d bytes for %d", name, used, len(payload))
		}
	}
}

func FuzzDecodeOwnTracks(f *testing.F) {
	for _, s := range []string{otGood, "[" + otGood + "," + otGood + "]", `{"_type":"encrypted"}`, `[{"_type":"location","tst":1e9,"lat":-0}]`,
		`[[[`, `{"\u005ftype":"lwt"}`, `{"_type":"location","tst":1795442398,"mcc":"","mnc":1,"lac":1,"cid":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		m := DecodeOwnTracks(Raw{"ph-0001", KindOwnTracks, payload, received}, DecodeOptions{Key: testKey})
		if m.Received != len(m.Observations)+len(m.Faults) || m.Received == 0 || m.Received > MaxObservations {
			t.Fatalf("%d received, %d good, %d faults", m.Received, len(m.Observations), len(m.Faults))
		}
		for _, fault := range m.Faults {
			if fault.Reason == "" || fault.Detail == "" {
				t.Fatalf("%+v", fault)
			}
		}
		for _, o := range m.Observations {
			if o.Kind != KindFix && o.Kind != KindStatus {
				t.Fatalf("kind %s", o.Kind)
			}
			checkInvariants(t, o.Kind, o)
		}
	})
}
