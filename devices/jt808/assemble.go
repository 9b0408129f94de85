package jt808

import (
	"slices"
	"time"

	"zhijiao/devices"
)

// Limits of messages that come in parts, for each connection.
const (
	maxParts     = 64
	maxAssembled = 32 << 10         // bytes of body
	maxOpen      = 2                // messages at the same time
	maxAssembly  = 60 * time.Second // from the first part to the last
)

// Assembler puts messages that come in parts together. A message that is never finished is forgotten, and so is the eldest when
// there are too many. The zero value is ready.
type Assembler struct{ open []*assembly }

type assembly struct {
	Header
	first uint16 // serial of its first part: parts count up from it
	began time.Time
	parts []Message // that came, in the order of their numbers
	size  int
}

// Add takes one part. With the last one it returns the message and the serials of all its parts, which are to be answered
// together: none of them is safe before the whole is.
func (a *Assembler) Add(m Message, now time.Time) (whole Message, serials []uint16, done bool, f *devices.Fault) {
	a.open = slices.DeleteFunc(a.open, func(x *assembly) bool { return now.Sub(x.began) > maxAssembly })
	if m.Parts > maxParts {
		return Message{}, nil, false, &devices.Fault{Reason: devices.Oversized, Field: "part", Detail: "a message in too many parts"}
	}
	first := m.Serial - uint16(m.Part-1)
	i := slices.IndexFunc(a.open, func(x *assembly) bool { return x.ID == m.ID && x.first == first && x.Parts == m.Parts })
	if i < 0 {
		if len(a.open) == maxOpen {
			a.open = slices.Delete(a.open, 0, 1)
		}
		a.open = append(a.open, &assembly{Header: m.Header, first: first, began: now})
		i = len(a.open) - 1
	}
	x := a.open[i]
	if at, there := slices.BinarySearchFunc(x.parts, m.Part, func(p Message, n int) int { return p.Part - n }); !there {
		x.parts = slices.Insert(x.parts, at, m)
		x.size += len(m.Body)
	}
	if x.size > maxAssembled {
		a.open = slices.Delete(a.open, i, i+1)
		return Message{}, nil, false, &devices.Fault{Reason: devices.Oversized, Field: "part", Detail: "a message of too many bytes"}
	}
	if len(x.parts) < x.Parts {
		return Message{}, nil, false, nil
	}
	a.open = slices.Delete(a.open, i, i+1)
	whole = Message{Header: m.Header, Body: make([]byte, 0, x.size)}
	for _, p := range x.parts {
		whole.Body = append(whole.Body, p.Body...)
		serials = append(serials, p.Serial)
	}
	whole.Serial, whole.Parts, whole.Part = x.first, 0, 0
	return whole, serials, true, nil
}
