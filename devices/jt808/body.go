package jt808

import (
	"bytes"
	"encoding/binary"

	"zhijiao/devices"
)

// OpenBatch takes the locations of a batch (0x0704) apart. Each has its own fault or none: one that cannot be read costs that
// one.
func OpenBatch(body []byte) ([]Location, []*devices.Fault, *devices.Fault) {
	bad := func(detail string) *devices.Fault {
		return &devices.Fault{Reason: devices.Malformed, Field: "batch", Detail: detail}
	}
	if len(body) < 3 {
		return nil, nil, bad("shorter than its count")
	}
	n := int(binary.BigEndian.Uint16(body))
	rest := body[3:]
	// An item takes 2 bytes at least, so a count that lies costs nothing.
	if n == 0 || len(rest) < 2*n {
		return nil, nil, bad("it holds other than its count says")
	}
	if n > maxBatch {
		return nil, nil, &devices.Fault{Reason: devices.Oversized, Field: "batch", Detail: "too many locations"}
	}
	locations, faults := make([]Location, n), make([]*devices.Fault, n)
	for i := range n {
		if len(rest) < 2 || len(rest) < 2+int(binary.BigEndian.Uint16(rest)) {
			return nil, nil, bad("it holds other than its count says")
		}
		size := int(binary.BigEndian.Uint16(rest))
		locations[i], faults[i] = OpenLocation(rest[2 : 2+size])
		rest = rest[2+size:]
	}
	if len(rest) > 0 {
		return nil, nil, bad("it holds other than its count says")
	}
	return locations, faults, nil
}

// maxBatch is the most locations of a batch: what fits into the parts that are put together.
const maxBatch = maxAssembled / (2 + locationSize)

// AppendBatch appends the body of a batch; blind says that it was recorded without a network (盲区补报).
func AppendBatch(dst []byte, list []Location, blind bool) []byte {
	kind := byte(0)
	if blind {
		kind = 1
	}
	dst = append(binary.BigEndian.AppendUint16(dst, uint16(len(list))), kind)
	for _, l := range list {
		one := AppendLocation(nil, l)
		dst = append(binary.BigEndian.AppendUint16(dst, uint16(len(one))), one...)
	}
	return dst
}

// OpenQueryReply takes the answer to a location query (0x0201) apart: which query it answers, and the location.
func OpenQueryReply(body []byte) (uint16, Location, *devices.Fault) {
	if len(body) < 2 {
		return 0, Location{}, &devices.Fault{Reason: devices.Malformed, Field: "location", Detail: "shorter than 28 bytes"}
	}
	l, f := OpenLocation(body[2:])
	return binary.BigEndian.Uint16(body), l, f
}

// Result is what a general reply says.
type Result byte

const (
	Success     Result = 0
	Failed      Result = 1
	Wrong       Result = 2 // 消息有误
	Unsupported Result = 3
)

// String names the result, for metrics.
func (r Result) String() string {
	switch r {
	case Success:
		return "success"
	case Failed:
		return "failed"
	case Wrong:
		return "wrong"
	case Unsupported:
		return "unsupported"
	}
	return "other"
}

// Reply is a general reply, 0x0001 or 0x8001: to which message, and how it went.
type Reply struct {
	Serial uint16
	ID     ID
	Result Result
}

// OpenReply takes a general reply apart.
func OpenReply(body []byte) (Reply, *devices.Fault) {
	if len(body) != 5 {
		return Reply{}, &devices.Fault{Reason: devices.Malformed, Field: "reply", Detail: "a general reply is 5 bytes"}
	}
	return Reply{binary.BigEndian.Uint16(body), ID(binary.BigEndian.Uint16(body[2:])), Result(body[4])}, nil
}

// AppendReply appends the body of a general reply.
func AppendReply(dst []byte, r Reply) []byte {
	dst = binary.BigEndian.AppendUint16(dst, r.Serial)
	dst = binary.BigEndian.AppendUint16(dst, uint16(r.ID))
	return append(dst, byte(r.Result))
}

// Identity is what a terminal says of its make when it registers (0x0100).
type Identity struct {
	Maker, Model, Terminal string // without padding; printable ASCII, other bytes as dots
}

// String is the identity in one, as it is remembered.
func (i Identity) String() string { return i.Maker + "/" + i.Model + "/" + i.Terminal }

// The lengths of maker, model and terminal id, after province and city, in each edition. After them come the colour of a
// number plate and the plate, which wristbands have no use for.
var registrations = map[int][3]int{2011: {5, 8, 7}, 2013: {5, 20, 7}, 2019: {11, 30, 30}}

// OpenRegistration takes a registration apart. Editions before 2019 differ only in the length of the model; only a plate of twelve bytes
// or more, which no terminal of 2011 had, makes the older look like the newer.
func OpenRegistration(body []byte, v2019 bool) (Identity, *devices.Fault) {
	edition := 2013
	switch {
	case v2019:
		edition = 2019
	case len(body) < 4+5+20+7+1:
		edition = 2011
	}
	sizes := registrations[edition]
	if len(body) < 4+sizes[0]+sizes[1]+sizes[2]+1 {
		return Identity{}, &devices.Fault{Reason: devices.Malformed, Field: "registration", Detail: "shorter than its fields"}
	}
	var out [3]string
	rest := body[4:]
	for i, n := range sizes {
		out[i], rest = plain(rest[:n]), rest[n:]
	}
	return Identity{out[0], out[1], out[2]}, nil
}

// plain is a padded text of a terminal.
func plain(p []byte) string {
	p = bytes.Trim(p, "\x00 ")
	out := make([]byte, len(p))
	for i, c := range p {
		if c <= ' ' || c >= 0x7f || c == '/' {
			c = '.'
		}
		out[i] = c
	}
	return string(out)
}

// OpenAuthentication returns the authentication code (0x0102). In 2019 its length stands before it, and the terminal's IMEI
// and version behind it.
func OpenAuthentication(body []byte, v2019 bool) ([]byte, *devices.Fault) {
	if v2019 {
		if len(body) < 1 || len(body) < 1+int(body[0]) {
			return nil, &devices.Fault{Reason: devices.Malformed, Field: "authentication", Detail: "shorter than its code"}
		}
		body = body[1 : 1+int(body[0])]
	}
	return bytes.Trim(body, "\x00 "), nil
}

// AppendAuthentication appends the body of an authentication.
func AppendAuthentication(dst, code []byte, v2019 bool) []byte {
	if !v2019 {
		return append(dst, code...)
	}
	dst = append(append(dst, byte(len(code))), code...)
	return append(dst, make([]byte, 15+20)...)
}

// Results of a registration (0x8100).
const (
	Registered        byte = 0
	AlreadyRegistered byte = 3 // 终端已被注册
	NoSuchTerminal    byte = 4 // 数据库中无该终端
)

// AppendRegistrationReply appends the body of the reply to a registration; the code goes with success only.
func AppendRegistrationReply(dst []byte, serial uint16, result byte, code string) []byte {
	dst = append(binary.BigEndian.AppendUint16(dst, serial), result)
	if result == Registered {
		dst = append(dst, code...)
	}
	return dst
}
