package jt808

import (
	"bytes"

	"zhijiao/devices"
)

const (
	mark   = 0x7e // begins and ends a frame
	escape = 0x7d // stands before 0x01 for itself and before 0x02 for a mark

	// maxHeader is the longest header: 2019, of a part.
	maxHeader = 2 + 2 + 1 + 10 + 2 + 4
	// maxBody is the most that the ten bits of a length can say.
	maxBody = 0x3ff
	// maxFrame is the longest frame between its marks, escaped: every byte may take two.
	maxFrame = 2 * (maxHeader + maxBody + 1)
)

// Splitter cuts a stream of bytes into frames. It holds one frame at most; what is longer is a fault, and what follows up to
// the next mark is dropped with it. The zero value is ready.
type Splitter struct {
	buf     []byte
	inside  bool // a mark has begun a frame
	dropped bool // the frame was too long: nothing until the next mark
}

// Partial says whether a frame has begun and not ended.
func (s *Splitter) Partial() bool { return s.inside && len(s.buf) > 0 }

// Split takes bytes as they come and calls each for every frame, without its marks and still escaped. The frame is valid during
// the call. Bytes outside of frames and frames that are too long are told as faults. When each returns false it stops.
func (s *Splitter) Split(p []byte, each func(frame []byte, f *devices.Fault) bool) bool {
	for len(p) > 0 {
		i := bytes.IndexByte(p, mark)
		if i < 0 {
			return s.hold(p, each)
		}
		if i > 0 && !s.hold(p[:i], each) {
			return false
		}
		p = p[i+1:]
		frame := s.buf
		s.buf, s.inside, s.dropped = s.buf[:0], true, false
		// The mark that ends a frame may begin the next one, and two in a row hold nothing between them.
		if len(frame) > 0 && !each(frame, nil) {
			return false
		}
	}
	return true
}

// hold keeps what belongs to the frame that has begun.
func (s *Splitter) hold(p []byte, each func([]byte, *devices.Fault) bool) bool {
	switch {
	case s.dropped:
		return true
	case !s.inside:
		s.dropped = true
		return each(nil, &devices.Fault{Reason: devices.Malformed, Field: "frame", Detail: "bytes outside of a frame"})
	case len(s.buf)+len(p) > maxFrame:
		s.buf, s.dropped = s.buf[:0], true
		return each(nil, &devices.Fault{Reason: devices.Oversized, Field: "frame", Detail: "a frame without an end"})
	}
	s.buf = append(s.buf, p...)
	return true
}

// unescape appends what a frame holds. A 0x7d before anything but 0x01 and 0x02, and a mark inside, are faults.
func unescape(dst, frame []byte) ([]byte, *devices.Fault) {
	for i := 0; i < len(frame); i++ {
		c := frame[i]
		switch {
		case c == mark:
			return dst, &devices.Fault{Reason: devices.Malformed, Field: "escape", Detail: "a mark inside a frame"}
		case c != escape:
		case i+1 < len(frame) && frame[i+1] == 1:
			i++
		case i+1 < len(frame) && frame[i+1] == 2:
			c = mark
			i++
		default:
			return dst, &devices.Fault{Reason: devices.Malformed, Field: "escape", Detail: "0x7d before something else than 0x01 and 0x02"}
		}
		dst = append(dst, c)
	}
	return dst, nil
}

// appendEscaped appends a frame with its marks and its checksum.
func appendEscaped(dst, plain []byte) []byte {
	dst = append(dst, mark)
	sum := byte(0)
	for _, c := range plain {
		sum ^= c
		dst = appendByte(dst, c)
	}
	return append(appendByte(dst, sum), mark)
}

func appendByte(dst []byte, c byte) []byte {
	switch c {
	case mark:
		return append(dst, escape, 2)
	case escape:
		return append(dst, escape, 1)
	}
	return append(dst, c)
}

// checksum is the exclusive or of all bytes.
func checksum(p []byte) byte {
	sum := byte(0)
	for _, c := range p {
		sum ^= c
	}
	return sum
}
