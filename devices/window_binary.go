package devices

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// windowVersion is the first byte of a stored window.
const windowVersion = 1

var errWindow = errors.New("stored window is damaged")

// AppendBinary appends the window as it is stored: numbers as differences to the one before, in variable length. A
// device that loses nothing needs about 6 bytes for each of its recent sequences and 20 for everything else.
func (w *Window) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, windowVersion)
	if w.lost {
		b = append(b, 1)
		b = binary.AppendVarint(b, w.forgotten)
	} else {
		b = append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(w.boots)))
	for _, bt := range w.boots {
		b = binary.AppendVarint(b, bt.number)
		b = binary.AppendUvarint(b, uint64(bt.floor))
		b = binary.AppendUvarint(b, uint64(len(bt.heard)))
		last := int64(0)
		for _, s := range bt.heard {
			b = binary.AppendUvarint(b, uint64(s.lo-last))
			b = binary.AppendUvarint(b, uint64(s.hi-s.lo))
			last = s.hi
		}
	}
	b = binary.AppendUvarint(b, uint64(len(w.recent)))
	var last recent
	for _, r := range w.recent {
		b = binary.AppendVarint(b, r.boot-last.boot)
		b = binary.AppendVarint(b, r.seq-last.seq) // wraps around, and back when read
		b = binary.BigEndian.AppendUint32(b, r.digest)
		last = r
	}
	return b, nil
}

// MarshalBinary implements encoding.BinaryMarshaler.
func (w *Window) MarshalBinary() ([]byte, error) { return w.AppendBinary(nil) }

// UnmarshalBinary reads what AppendBinary wrote; nothing at all is a window that has heard nothing. It refuses everything
// else, since a window that is read wrongly would lose observations.
func (w *Window) UnmarshalBinary(b []byte) error {
	*w = Window{}
	if len(b) == 0 {
		return nil
	}
	if b[0] != windowVersion {
		return fmt.Errorf("%w: version %d", errWindow, b[0])
	}
	r := windowReader{b: b[1:]}
	read := Window{}
	switch r.byte() {
	case 0:
	case 1:
		read.lost, read.forgotten = true, r.signed()
	default:
		r.bad = true
	}
	for range r.count(windowBoots) {
		read.boots = append(read.boots, r.boot())
	}
	var last recent
	if n := r.count(windowRecent); n > 0 {
		read.recent = make([]recent, 0, n)
		for range n {
			last = recent{boot: last.boot + r.signed(), seq: last.seq + r.signed(), digest: r.uint32()}
			read.recent = append(read.recent, last)
		}
	}
	if r.bad || len(r.b) != 0 || !read.sound() {
		return errWindow
	}
	*w = read
	return nil
}

// sound says whether everything that Accept relies on holds.
func (w *Window) sound() bool {
	for i, b := range w.boots {
		if i > 0 && w.boots[i-1].number >= b.number || w.lost && b.number <= w.forgotten || b.floor < 0 || len(b.heard) == 0 {
			return false
		}
		for j, s := range b.heard {
			if s.lo < b.floor || s.hi < s.lo || j > 0 && (s.lo <= b.heard[j-1].hi || s.lo-1 == b.heard[j-1].hi) {
				return false
			}
		}
	}
	return true
}

// windowReader reads numbers until one is not there.
type windowReader struct {
	b   []byte
	bad bool
}

func (r *windowReader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *windowReader) signed() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *windowReader) unsigned() int64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<63-1 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return int64(v)
}

func (r *windowReader) uint32() uint32 {
	if len(r.b) < 4 {
		r.bad = true
		return 0
	}
	v := binary.BigEndian.Uint32(r.b)
	r.b = r.b[4:]
	return v
}

// count reads how many follow; more than there can be is damage, and nothing is set aside for it.
func (r *windowReader) count(most int64) int64 {
	n := r.unsigned()
	if n > most {
		r.bad = true
	}
	if r.bad {
		return 0
	}
	return n
}

func (r *windowReader) boot() boot {
	b := boot{number: r.signed(), floor: r.unsigned()}
	n := r.count(windowRanges)
	b.heard = make([]span, 0, n)
	last := int64(0)
	for range n {
		var s span
		s.lo = last + r.unsigned()
		s.hi = s.lo + r.unsigned()
		if s.lo < last || s.hi < s.lo {
			r.bad = true
		}
		last = s.hi
		b.heard = append(b.heard, s)
	}
	return b
}
