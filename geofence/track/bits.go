package track

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// writer appends bits, the lowest first.
type writer struct {
	out []byte
	acc uint64
	n   uint // bits in acc, always fewer than 8 between calls
}

func (w *writer) put(v uint64, n uint) {
	for n > 32 { // acc holds up to 7 bits already
		w.put(v&(1<<32-1), 32)
		v, n = v>>32, n-32
	}
	w.acc |= (v & (1<<n - 1)) << w.n
	for w.n += n; w.n >= 8; w.n -= 8 {
		w.out = append(w.out, byte(w.acc))
		w.acc >>= 8
	}
}

// varint writes small numbers in few bits: six bits say how many follow.
func (w *writer) varint(v uint64) {
	n := uint(bits.Len64(v))
	if n >= 63 {
		w.put(63, 6)
		w.put(v, 64)
		return
	}
	w.put(uint64(n), 6)
	w.put(v, n)
}

func (w *writer) bytes() []byte {
	if w.n > 0 {
		return append(w.out, byte(w.acc))
	}
	return w.out
}

var errShort = errors.New("it ends too early")

// reader takes bits as writer put them. After an error all it gives is zero.
type reader struct {
	in  []byte
	acc uint64
	n   uint
	err error
}

func (r *reader) take(n uint) uint64 {
	if n > 32 {
		low := r.take(32)
		return low | r.take(n-32)<<32
	}
	if r.n < n {
		r.fill()
		if r.n < n {
			r.fail(errShort)
			return 0
		}
	}
	v := r.acc & (1<<n - 1)
	r.acc >>= n
	r.n -= n
	return v
}

func (r *reader) fill() {
	if len(r.in) >= 4 && r.n <= 32 {
		r.acc |= uint64(binary.LittleEndian.Uint32(r.in)) << r.n
		r.in, r.n = r.in[4:], r.n+32
		return
	}
	for r.n <= 56 && len(r.in) > 0 {
		r.acc |= uint64(r.in[0]) << r.n
		r.in, r.n = r.in[1:], r.n+8
	}
}

// ones counts the set bits before the next clear one, at most limit of them; at the limit there is no clear one.
func (r *reader) ones(limit uint) (n uint) {
	for n < limit && r.take(1) == 1 {
		n++
	}
	return n
}

func (r *reader) varint() uint64 {
	n := uint(r.take(6))
	if n == 63 {
		return r.take(64)
	}
	return r.take(n)
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.in, r.acc, r.n = nil, 0, 0
}
