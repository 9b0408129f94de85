package devices

import (
	"math"

	"zhijiao/internal/id"
)

// Bounds of what a field can mean.
const (
	maxAccuracy   = 100_000 // metres: beyond it a place says nothing
	maxSpeed      = 500     // metres a second
	maxSatellites = 200
	minSignal     = -200 // dBm
	maxCell       = 64   // characters
	maxOperator   = 16
	maxSIM        = 32
	maxResult     = 64
)

const (
	fieldSeq uint32 = 1 << iota
	fieldAt
	fieldLon
	fieldLat
	fieldAcc
	fieldMethod
	fieldSpeed
	fieldSats
	fieldBattery
	fieldStrap
	fieldCharging
	fieldCell
	fieldOperator
	fieldSignal
	fieldSIM
	fieldLastGasp
	fieldAnswers
	fieldResult
	fieldCommand
	fieldOutcome
)

func itemField(key []byte) uint32 {
	switch string(key) {
	case "seq":
		return fieldSeq
	case "at":
		return fieldAt
	case "lon":
		return fieldLon
	case "lat":
		return fieldLat
	case "acc":
		return fieldAcc
	case "method":
		return fieldMethod
	case "speed":
		return fieldSpeed
	case "sats":
		return fieldSats
	case "battery":
		return fieldBattery
	case "strap":
		return fieldStrap
	case "charging":
		return fieldCharging
	case "cell":
		return fieldCell
	case "operator":
		return fieldOperator
	case "signal":
		return fieldSignal
	case "sim":
		return fieldSIM
	case "last_gasp":
		return fieldLastGasp
	case "answers":
		return fieldAnswers
	case "result":
		return fieldResult
	case "command":
		return fieldCommand
	case "outcome":
		return fieldOutcome
	}
	return 0
}

// held is what an observation points at, allocated at once.
type held struct {
	place           Place
	battery, signal int
	charging        bool
}

// draft is an observation while it is read.
type draft struct {
	o       *Observation
	h       *held
	seen    uint32 // fields that were there, null or not
	given   uint32 // fields that had a value we could read
	unknown bool   // a field we do not know, or one twice: the time read is not surely the only one
	fault   Fault  // the first thing wrong
}

func (d *draft) refuse(f Fault) {
	if d.fault.Reason == "" {
		d.fault = f
	}
}

// take decodes one observation into the message, or says what is wrong with it. h becomes the observation's when it is good.
func (m *Message) take(raw []byte, h *held, in Raw, e *envelope, o DecodeOptions) (fault ItemFault, bad bool) {
	*h = held{place: Place{Speed: -1, Satellites: -1, Datum: e.datum}}
	m.Observations = append(m.Observations, Observation{
		Serial: in.Serial, Kind: in.Kind, Boot: e.boot, Seq: -1, SentAt: e.sent, ReceivedAt: in.ReceivedAt, Size: len(raw),
		Digest: o.Key.Sum64(label(in.Kind, e.datum), raw),
	})
	last := len(m.Observations) - 1
	d := draft{o: &m.Observations[last], h: h}
	d.refuse(e.fault)
	if d.read(raw) {
		d.check(o)
	}
	if d.fault.Reason == "" {
		return ItemFault{}, false
	}
	f := ItemFault{Fault: d.fault, Boot: e.boot, Seq: -1, Digest: d.o.Digest, Size: len(raw), Payload: raw}
	if d.given&fieldSeq != 0 {
		f.Seq = d.o.Seq
	}
	if d.given&fieldAt != 0 && !d.unknown {
		f.At = d.o.At
	}
	m.Observations = m.Observations[:last]
	return f, true
}

// label keeps equal bytes apart that mean different things.
func label(k Kind, d Datum) byte {
	n := byte(d)
	switch k {
	case KindFix:
		n |= 1 << 4
	case KindCheckIn:
		n |= 2 << 4
	case KindStatus:
		n |= 3 << 4
	}
	return n
}

// read takes the fields; false means that the rest could not be read.
func (d *draft) read(raw []byte) bool {
	s := scanner{b: raw}
	if !s.object() {
		d.unknown = true
		d.refuse(Fault{Malformed, "obs", "an observation is not a JSON object"})
		return false
	}
	for s.more() {
		key, ok := s.key()
		if !ok {
			d.unknown = true
			d.refuse(Fault{Malformed, "obs", "an observation is not JSON"})
			return false
		}
		bit := itemField(key)
		v, ok := s.value()
		if !ok {
			d.unknown = true
			name := "obs"
			if bit != 0 {
				name = string(key)
			}
			d.refuse(Fault{Malformed, name, "not a JSON value"})
			return false
		}
		switch {
		case bit == 0:
			d.unknown = true
		case d.seen&bit != 0:
			d.unknown = true
			d.refuse(Fault{Malformed, string(key), "the field is there twice"})
		case !v.null():
			d.field(bit, v)
		}
		d.seen |= bit
	}
	if !s.closed() {
		d.unknown = true
		d.refuse(Fault{Malformed, "obs", "an observation is not one JSON object"})
		return false
	}
	return true
}

// field reads the value of one field we know.
func (d *draft) field(bit uint32, v token) {
	var f Fault
	var n int64
	o, h := d.o, d.h
	switch bit {
	case fieldSeq:
		if n, f = v.integer("seq", 0, maxCounter); f.Reason == "" {
			o.Seq = n
		}
	case fieldAt:
		o.At, f = v.instant("at")
	case fieldLon:
		h.place.Lon, f = v.float("lon", -180, 180)
	case fieldLat:
		h.place.Lat, f = v.float("lat", -90, 90)
	case fieldAcc:
		h.place.Accuracy, f = v.float("acc", 0, maxAccuracy)
	case fieldMethod:
		h.place.Method, f = v.method()
	case fieldSpeed:
		h.place.Speed, f = v.float("speed", 0, maxSpeed)
	case fieldSats:
		n, f = v.integer("sats", 0, maxSatellites)
		h.place.Satellites = int(n)
	case fieldBattery:
		n, f = v.integer("battery", 0, 100)
		h.battery, o.Health.Battery = int(n), &h.battery
	case fieldSignal:
		n, f = v.integer("signal", minSignal, 0)
		h.signal, o.Health.Signal = int(n), &h.signal
	case fieldStrap:
		o.Health.Strap, f = v.strap()
	case fieldCharging:
		h.charging, f = v.boolean("charging")
		o.Health.Charging = &h.charging
	case fieldCell:
		o.Health.Cell, f = v.code("cell", maxCell)
	case fieldOperator:
		o.Health.Operator, f = v.code("operator", maxOperator)
	case fieldSIM:
		o.Health.SIM, f = v.code("sim", maxSIM)
	case fieldLastGasp:
		o.Health.LastGasp, f = v.oneOf("last_gasp", "power_off", "battery", "reset")
	case fieldAnswers:
		n, f = v.integer("answers", 1, maxCounter)
		o.Answers = id.Check(n)
	case fieldResult:
		o.Result, f = v.code("result", maxResult)
	case fieldCommand:
		n, f = v.integer("command", 1, maxCounter)
		o.Command = CommandID(n)
	case fieldOutcome:
		o.Outcome, f = v.outcome()
	}
	if f.Reason != "" {
		d.refuse(f)
		return
	}
	d.given |= bit
}

// check judges the observation as a whole: what must be there, when and where.
func (d *draft) check(opt DecodeOptions) {
	o := d.o
	if o.Seq < 0 {
		o.Seq = derivedSeq(o.Digest)
	}
	switch {
	case d.given&fieldAt == 0:
		d.refuse(Fault{MissingField, "at", "an observation says when"})
	case o.At.After(o.ReceivedAt.Add(opt.Future)):
		d.refuse(Fault{TimeInFuture, "at", "later than it was received"})
	case o.At.Before(opt.Oldest):
		d.refuse(Fault{TimeTooOld, "at", "before anything could have been observed"})
	}
	switch d.given & (fieldCommand | fieldOutcome) {
	case fieldCommand:
		d.refuse(Fault{MissingField, "outcome", "what is said of a command"})
	case fieldOutcome:
		d.refuse(Fault{MissingField, "command", "of which command it is said"})
	}
	if d.given&(fieldLon|fieldLat) == 0 {
		if o.Kind == KindFix {
			d.refuse(Fault{MissingField, "lon", "a fix says where"})
		}
		return
	}
	d.checkPlace()
}

func (d *draft) checkPlace() {
	p := &d.h.place
	switch {
	case d.o.Kind == KindStatus:
		d.refuse(Fault{Malformed, "lon", "a status carries no place"})
	case d.given&fieldLon == 0:
		d.refuse(Fault{MissingField, "lon", "half a place"})
	case d.given&fieldLat == 0:
		d.refuse(Fault{MissingField, "lat", "half a place"})
	case p.Lon == 0 && p.Lat == 0:
		d.refuse(Fault{NullIsland, "lon", "a receiver without a fix"})
	case d.given&fieldMethod == 0:
		d.refuse(Fault{MissingField, "method", "a place says how it was found"})
	case p.Datum == 0:
		d.refuse(Fault{UndeclaredDatum, "datum", "the message does not say a datum we know"})
	}
	if d.fault.Reason != "" {
		return
	}
	p.Lon, p.Lat = ToWGS84(p.Datum, p.Lon, p.Lat)
	if !(math.Abs(p.Lon) <= 180 && math.Abs(p.Lat) <= 90) {
		d.refuse(Fault{OutOfRange, "lon", "no place on the globe in this datum"})
		return
	}
	d.o.Place = p
}

// derivedSeq stands in for the sequence number of a device that has none: negative, and the same for the same content.
func derivedSeq(digest uint64) int64 { return int64(digest | 1<<63) }

// Derived says whether the device gave no sequence number, so that Seq was made from the digest.
func (o Observation) Derived() bool { return o.Seq < 0 }

func (t token) boolean(field string) (bool, Fault) {
	if t.kind != 't' && t.kind != 'f' {
		return false, Fault{WrongType, field, "neither true nor false"}
	}
	return t.kind == 't', Fault{}
}

func (t token) oneOf(field string, allowed ...string) (string, Fault) {
	b, f := t.text(field)
	if f.Reason != "" {
		return "", f
	}
	for _, a := range allowed {
		if string(b) == a {
			return a, Fault{}
		}
	}
	return "", Fault{OutOfRange, field, "none of the values it can have"}
}

var methodNames = [...]string{MethodGNSS: "gnss", MethodWiFi: "wifi", MethodCell: "cell", MethodRF: "rf"}

// String is the method as it stands on the wire.
func (m Method) String() string {
	if m < MethodGNSS || m > MethodRF {
		return "unknown"
	}
	return methodNames[m]
}

func (t token) method() (Method, Fault) {
	b, f := t.text("method")
	if f.Reason != "" {
		return 0, f
	}
	for m := MethodGNSS; m <= MethodRF; m++ {
		if string(b) == methodNames[m] {
			return m, Fault{}
		}
	}
	return 0, Fault{OutOfRange, "method", "none of the methods we know"}
}

func (t token) outcome() (CommandOutcome, Fault) {
	s, f := t.oneOf("outcome", string(OutcomeReceived), string(OutcomeDone), string(OutcomeFailed), string(OutcomeUnsupported))
	return CommandOutcome(s), f
}

var strapNames = [...]string{StrapUnknown: "unknown", StrapClosed: "closed", StrapOpen: "open", CaseOpen: "case_open"}

// String is the strap as it stands on the wire.
func (s Strap) String() string {
	if s < StrapUnknown || s > CaseOpen {
		return "unknown"
	}
	return strapNames[s]
}

func (t token) strap() (Strap, Fault) {
	b, f := t.text("strap")
	if f.Reason != "" {
		return 0, f
	}
	for s, name := range strapNames {
		if string(b) == name {
			return Strap(s), Fault{}
		}
	}
	return 0, Fault{OutOfRange, "strap", "none of the states it can have"}
}
