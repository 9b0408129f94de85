package devices

import (
	"math"
	"strings"
	"time"
)

// DecodeOwnTracks takes a payload of the OwnTracks app apart: one JSON object with a _type, or an array of them. Places
// are WGS-84, as both of its platforms give them. location and transition are fixes, a location without a place is a
// status, and everything else is refused with its reason and not kept: it is about regions, friends and settings.
//
// The message has no sequence number, so that the digest of what was sent decides what is a duplicate; a message that the
// app sends again is the same byte for byte.
func DecodeOwnTracks(in Raw, o DecodeOptions) Message {
	o = o.withDefaults()
	if len(in.Payload) > MaxPayload {
		return unopened(in, o, Fault{Oversized, "", "the payload is over the limit"})
	}
	var room [24]item
	items, f := splitOwnTracks(in.Payload, room[:0])
	if f.Reason != "" {
		return unopened(in, o, f)
	}
	m := Message{Kind: KindUnknown, Received: len(items)}
	for _, it := range items {
		m.takeOwnTracks(in.Payload[it.from:it.until], in, o)
	}
	return m
}

// splitOwnTracks finds the objects of a payload without judging what is in them.
func splitOwnTracks(payload []byte, items []item) ([]item, Fault) {
	s := scanner{b: payload}
	s.space()
	if s.i < len(payload) && payload[s.i] == '{' {
		return append(items, trimmed(payload, s.i, len(payload))), Fault{}
	}
	if !s.array() {
		return nil, Fault{Malformed, "", "the payload is neither a JSON object nor an array of them"}
	}
	for s.moreItems() {
		from, until, ok := s.extent()
		if !ok {
			return nil, Fault{Malformed, "", "the payload is not JSON"}
		}
		if len(items) == MaxObservations {
			return nil, Fault{Oversized, "", "more observations than a message may carry"}
		}
		items = append(items, trimmed(payload, from, until))
	}
	s.done = true
	switch {
	case !s.closed():
		return nil, Fault{Malformed, "", "the payload is not one JSON array"}
	case len(items) == 0:
		return nil, Fault{MissingField, "", "there is no observation in it"}
	}
	return items, Fault{}
}

// trimmed leaves out the space behind an object, so that it has the same digest alone and in an array.
func trimmed(b []byte, from, until int) item {
	for until > from && space(b[until-1]) {
		until--
	}
	return item{from, until}
}

// The fields of OwnTracks that mean something to us.
const (
	otType = iota
	otLat
	otLon
	otAcc
	otTime    // tst: of the place, seconds since 1970
	otCreated // created_at: of the message, where it differs
	otBattery // per cent
	otPower   // bs: 0 unknown, 1 on battery, 2 charging, 3 full
	otSpeed   // vel: km/h
	otSource  // gps, network or fused; Android alone says it
	otMCC
	otMNC
	otArea
	otCell
	otFields
)

var otNames = [otFields]string{"_type", "lat", "lon", "acc", "tst", "created_at", "batt", "bs", "vel", "source", "mcc", "mnc", "lac", "cid"}

// otReading is one object of OwnTracks as it was read, before anything is made of it.
type otReading struct {
	values [otFields]token // kind 0: not there, or null
	fault  Fault
}

func (r *otReading) read(raw []byte) {
	s := scanner{b: raw}
	if !s.object() {
		r.fault = Fault{Malformed, "", "not a JSON object"}
		return
	}
	var seen [otFields]bool
	for s.more() {
		key, ok := s.key()
		if !ok {
			r.fault = Fault{Malformed, "", "not JSON"}
			return
		}
		v, ok := s.value()
		if !ok {
			r.fault = Fault{Malformed, "", "not a JSON value"}
			return
		}
		for i, name := range otNames {
			if string(key) != name {
				continue
			}
			if seen[i] && r.fault.Reason == "" {
				r.fault = Fault{Malformed, name, "the field is there twice"}
			}
			if seen[i] = true; !v.null() {
				r.values[i] = v
			}
		}
	}
	if !s.closed() {
		r.fault = Fault{Malformed, "", "not one JSON object"}
	}
}

// takeOwnTracks adds what one object says to the message.
func (m *Message) takeOwnTracks(raw []byte, in Raw, o DecodeOptions) {
	var r otReading
	r.read(raw)
	digest := o.Key.Sum64(label(in.Kind, WGS84)|1<<6, raw)
	refuse := func(f Fault, keep []byte) {
		m.Faults = append(m.Faults, ItemFault{Fault: f, Boot: -1, Seq: -1, Digest: digest, Size: len(raw), Payload: keep})
	}
	if r.fault.Reason != "" {
		refuse(r.fault, raw)
		return
	}
	kind, f := r.kind()
	if f.Reason != "" {
		refuse(f, nil) // names, regions, a picture: none of it is ours to keep
		return
	}
	m.Kind = KindFix // of what is wrong with a place or a status
	h := &held{place: Place{Speed: -1, Satellites: -1, Datum: WGS84}}
	obs := Observation{Serial: in.Serial, Kind: kind, Boot: -1, Seq: -1, ReceivedAt: in.ReceivedAt, Size: len(raw), Digest: digest}
	d := draft{o: &obs, h: h}
	if r.fill(&d); d.fault.Reason == "" {
		d.check(o)
	}
	if d.fault.Reason != "" {
		if d.fault.Field == "at" {
			d.fault.Field = otNames[otTime]
		}
		refuse(d.fault, raw)
		return
	}
	m.Observations = append(m.Observations, obs)
}

// kind says what the object is to us, or why it is nothing.
func (r *otReading) kind() (Kind, Fault) {
	t, f := r.values[otType].text("_type")
	if r.values[otType].kind == 0 {
		return "", Fault{MissingField, "_type", "a message of OwnTracks says its type"}
	}
	if f.Reason != "" {
		return "", f
	}
	switch string(t) {
	case "location":
		if r.values[otLat].kind == 0 && r.values[otLon].kind == 0 {
			return KindStatus, Fault{}
		}
		return KindFix, Fault{}
	case "transition":
		return KindFix, Fault{}
	case "encrypted":
		return "", Fault{Encrypted, "_type", "by the app's own key, which is not ours: take the key out of the app's settings"}
	case "lwt", "status", "waypoint", "waypoints", "card", "cmd", "configuration", "dump", "steps", "beacon", "request", "tour", "tours":
		return "", Fault{NoObservation, "_type", "a message that says nothing of where and how the phone is"}
	}
	return "", Fault{OutOfRange, "_type", "no type of OwnTracks that we know"}
}

// fill reads the values into the draft.
func (r *otReading) fill(d *draft) {
	v, place := &r.values, &d.h.place
	number := func(i int, least, most float64, into func(float64), bit uint32) {
		if v[i].kind == 0 {
			return
		}
		x, f := v[i].float(otNames[i], least, most)
		if f.Reason != "" {
			d.refuse(f)
			return
		}
		into(x)
		d.given |= bit
	}
	number(otTime, 0, maxUnix, func(x float64) { d.o.At = unix(x) }, fieldAt)
	number(otCreated, 0, maxUnix, func(x float64) { d.o.SentAt = unix(x) }, 0)
	number(otLat, -90, 90, func(x float64) { place.Lat = x }, fieldLat)
	number(otLon, -180, 180, func(x float64) { place.Lon = x }, fieldLon)
	number(otAcc, 0, maxAccuracy, func(x float64) { place.Accuracy = x }, fieldAcc)
	number(otSpeed, -1, maxSpeed*3.6, func(x float64) { // −1: the phone does not know
		if x >= 0 {
			place.Speed = x / 3.6
		}
	}, fieldSpeed)
	number(otBattery, -1, 100, func(x float64) {
		if x >= 0 {
			d.h.battery = int(x)
			d.o.Health.Battery = &d.h.battery
		}
	}, fieldBattery)
	number(otPower, 0, 3, func(x float64) {
		if x > 0 {
			d.h.charging = x >= 2
			d.o.Health.Charging = &d.h.charging
		}
	}, fieldCharging)
	place.Method = r.method(place.Accuracy)
	d.given |= fieldMethod
	r.cell(&d.o.Health)
}

// method is how the place was found: what Android says, else what the accuracy claimed suggests.
func (r *otReading) method(accuracy float64) Method {
	if r.values[otSource].kind == '"' {
		switch string(r.values[otSource].raw) {
		case "gps":
			return MethodGNSS
		case "network":
			return max(MethodWiFi, MethodByAccuracy(accuracy))
		}
	}
	return MethodByAccuracy(accuracy)
}

// MethodByAccuracy guesses how a phone found a place where its program does not say: satellites up to 30 m of claimed
// accuracy, Wi-Fi up to 300 m, cells beyond. A place that claims no accuracy is trusted no more than one by Wi-Fi.
func MethodByAccuracy(metres float64) Method {
	switch {
	case metres > 300:
		return MethodCell
	case metres > 30 || metres <= 0:
		return MethodWiFi
	}
	return MethodGNSS
}

// cell joins the four parts of the serving cell as the wire document writes it. They are numbers or strings, by platform.
func (r *otReading) cell(h *Health) {
	var parts [4]string
	for i := range parts {
		t := r.values[otMCC+i]
		if t.kind != '0' && t.kind != '"' || len(t.raw) == 0 || len(t.raw) > 12 || strings.Trim(string(t.raw), "0123456789ABCDEFabcdef") != "" {
			return
		}
		parts[i] = string(t.raw)
	}
	h.Cell = strings.Join(parts[:], "-")
}

// maxUnix is the year 2286, seconds: later nothing is a time.
const maxUnix = 1e10

// unix is an instant of so many seconds since 1970, to the microsecond.
func unix(seconds float64) time.Time { return time.UnixMicro(int64(math.Round(seconds * 1e6))).UTC() }
