package track

import (
	"fmt"
	"strings"
)

// digits is what cells, operators and SIM cards are mostly written with: half a byte each.
const digits = "0123456789-:.,/ "

// text writes what a text does not have in common with the beginning of the one before.
func (w *writer) text(s, before string) {
	var shared int
	for shared < len(s) && shared < len(before) && s[shared] == before[shared] {
		shared++
	}
	rest := s[shared:]
	w.varint(uint64(shared))
	w.varint(uint64(len(rest)))
	if strings.Trim(rest, digits) == "" {
		w.put(1, 1)
		for i := range len(rest) {
			w.put(uint64(strings.IndexByte(digits, rest[i])), 4)
		}
		return
	}
	w.put(0, 1)
	for i := range len(rest) {
		w.put(uint64(rest[i]), 8)
	}
}

func (r *reader) text(before string) string {
	shared, size := r.varint(), r.varint()
	if shared > uint64(len(before)) || size > maxText || shared+size > maxText {
		r.fail(fmt.Errorf("a text of %d and %d bytes", shared, size))
		return ""
	}
	out := append(make([]byte, 0, shared+size), before[:shared]...)
	few := r.take(1) == 1
	for range size {
		if few {
			out = append(out, digits[r.take(4)])
		} else {
			out = append(out, byte(r.take(8)))
		}
	}
	return string(out)
}
