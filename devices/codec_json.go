package devices

import (
	"time"

	"zhijiao/internal/crypto"
)

// Limits of a payload. What is over one of them is refused whole.
const (
	MaxPayload      = 16 << 10 // bytes
	MaxObservations = 128      // in one message
	maxDepth        = 16       // of nesting, in fields we ignore
)

// WireVersion is the payload version we speak.
const WireVersion = 1

// DefaultFuture is how far ahead of us a device's clock may be (R38).
const DefaultFuture = 5 * time.Minute

// InForce is when 社区矫正法 came into force: nothing observed earlier can be lawful, so a clock that says so lost its date.
var InForce = time.Date(2020, 7, 1, 0, 0, 0, 0, time.FixedZone("", 8*3600)).UTC()

// Raw is a message as it came out of the broker, its topic already taken apart.
type Raw struct {
	Serial     Serial
	Kind       Kind
	Payload    []byte
	ReceivedAt time.Time // domain time
}

// DecodeOptions are what decoding depends on besides the message.
type DecodeOptions struct {
	Key    *crypto.DigestKey
	Future time.Duration // how far ahead an observation may be; zero means DefaultFuture
	Oldest time.Time     // before this a time is refused; zero means InForce
}

func (o DecodeOptions) withDefaults() DecodeOptions {
	if o.Future == 0 {
		o.Future = DefaultFuture
	}
	if o.Oldest.IsZero() {
		o.Oldest = InForce
	}
	return o
}

// Message is a message taken apart. Received is len(Observations) + len(Faults).
type Message struct {
	Kind         Kind // under which Received is counted: the topic's, or KindUnknown where the message could not be opened
	Received     int
	Observations []Observation // in the order sent
	Faults       []ItemFault
}

// ItemFault is one observation that cannot be taken in, or a message that cannot be opened.
type ItemFault struct {
	Fault
	Boot, Seq int64     // -1 where it could not be read
	At        time.Time // the one time in it. Zero: none, or not surely the only one; then nothing of it may be kept readable
	Digest    uint64
	Size      int
	Payload   []byte // as sent; shares memory with the message
}

// item is where an observation lies in the payload.
type item struct{ from, until int }

// envelope is what a message says once for all its observations.
type envelope struct {
	version   bool
	boot      int64
	sent      time.Time
	datum     Datum // 0: none, or one we do not know
	items     []item
	hasItems  bool
	fault     Fault // Reason "" for none: holds for every observation
	seen      uint
	unopened  Fault // Reason "" for none: the message cannot be opened
	itemsRoom [24]item
}

// DecodeJSON takes a JSON payload apart. It does not fail: everything that is wrong is in Faults, an observation that is
// wrong costs itself alone, and no fault quotes a value. Places come out in WGS-84, times in UTC and whole microseconds.
func DecodeJSON(in Raw, o DecodeOptions) Message {
	o = o.withDefaults()
	if len(in.Payload) > MaxPayload {
		return unopened(in, o, Fault{Oversized, "", "the payload is over the limit"})
	}
	var e envelope
	e.open(in)
	if e.unopened.Reason != "" {
		return unopened(in, o, e.unopened)
	}
	// No observation is shorter than shortest: a message of empty ones does not make us set memory aside for good ones.
	room := min(len(e.items), len(in.Payload)/shortest+1)
	m := Message{Kind: in.Kind, Received: len(e.items), Observations: make([]Observation, 0, room)}
	var spare *held
	for i, it := range e.items {
		if spare == nil {
			spare = new(held)
		}
		fault, bad := m.take(in.Payload[it.from:it.until], spare, in, &e, o)
		if !bad {
			spare = nil
			continue
		}
		if m.Faults == nil {
			m.Faults = make([]ItemFault, 0, len(e.items)-i)
		}
		m.Faults = append(m.Faults, fault)
	}
	return m
}

// shortest is the length of {"at":"2026-11-23T14:00:00Z"}.
const shortest = 29

// unopened is the one fault of a message whose observations cannot even be counted.
func unopened(in Raw, o DecodeOptions, f Fault) Message {
	return Message{Kind: KindUnknown, Received: 1, Faults: []ItemFault{{
		Fault: f, Boot: -1, Seq: -1, Digest: o.Key.Sum64(0, in.Payload), Size: len(in.Payload), Payload: in.Payload,
	}}}
}

// open reads the outer object.
func (e *envelope) open(in Raw) {
	e.boot, e.items = -1, e.itemsRoom[:0]
	s := scanner{b: in.Payload}
	if !s.object() {
		e.unopened = Fault{Malformed, "", "the payload is not a JSON object"}
		return
	}
	for s.more() {
		key, ok := s.key()
		if !ok {
			e.unopened = Fault{Malformed, "", "the payload is not JSON"}
			return
		}
		if bit := outerField(key); bit != 0 {
			if e.seen&bit != 0 {
				e.unopened = Fault{Malformed, string(key), "the field is there twice"}
				return
			}
			e.seen |= bit
			if bit == outerObs {
				ok = e.split(&s)
			} else {
				ok = e.field(&s, bit, in)
			}
			if !ok {
				if e.unopened.Reason == "" {
					e.unopened = Fault{Malformed, string(key), "not a JSON value"}
				}
				return
			}
			continue
		}
		if _, ok := s.value(); !ok {
			e.unopened = Fault{Malformed, "", "the payload is not JSON"}
			return
		}
	}
	switch {
	case !s.closed():
		e.unopened = Fault{Malformed, "", "the payload is not one JSON object"}
	case !e.hasItems:
		e.unopened = Fault{MissingField, "obs", "a message carries observations"}
	case len(e.items) == 0:
		e.unopened = Fault{MissingField, "obs", "there is no observation in it"}
	case !e.version && e.fault.Reason == "":
		e.fault = Fault{MissingField, "v", "a payload says its version"}
	}
}

const (
	outerV = 1 << iota
	outerDevice
	outerBoot
	outerSent
	outerDatum
	outerObs
)

func outerField(key []byte) uint {
	switch string(key) {
	case "v":
		return outerV
	case "device":
		return outerDevice
	case "boot":
		return outerBoot
	case "sent":
		return outerSent
	case "datum":
		return outerDatum
	case "obs":
		return outerObs
	}
	return 0
}

// field reads one field of the outer object; false means that it is no JSON.
func (e *envelope) field(s *scanner, bit uint, in Raw) bool {
	v, ok := s.value()
	if !ok || v.null() {
		return ok
	}
	var f Fault
	switch bit {
	case outerV:
		var n int64
		if n, f = v.integer("v", 0, 1<<31); f.Reason == "" || f.Reason == OutOfRange {
			e.version = true
			if n != WireVersion {
				f = Fault{BadVersion, "v", "a version we do not speak"}
			}
		}
	case outerDevice:
		var t []byte
		if t, f = v.text("device"); f.Reason == "" && string(t) != string(in.Serial) {
			f = Fault{IdentityMismatch, "device", "the payload names another device than its topic"}
		}
	case outerBoot:
		e.boot, f = v.integer("boot", 0, maxCounter)
		if f.Reason != "" {
			e.boot = -1
		}
	case outerSent:
		e.sent, f = v.instant("sent")
	case outerDatum:
		var t []byte
		if t, f = v.text("datum"); f.Reason == "" {
			e.datum, _ = ParseDatum(string(t))
		}
	}
	if e.fault.Reason == "" {
		e.fault = f
	}
	return true
}

// split finds where each observation begins and ends without judging what is in it, so that a broken one costs itself.
func (e *envelope) split(s *scanner) bool {
	if !s.array() {
		if v, ok := s.value(); ok && v.kind != '[' {
			e.unopened = Fault{WrongType, "obs", "not an array"}
		}
		return false
	}
	e.hasItems = true
	for s.moreItems() {
		from, until, ok := s.extent()
		if !ok {
			return false
		}
		if len(e.items) == MaxObservations {
			e.unopened = Fault{Oversized, "obs", "more observations than a message may carry"}
			return false
		}
		for space(s.b[until-1]) {
			until--
		}
		e.items = append(e.items, item{from, until})
	}
	return s.ok()
}
