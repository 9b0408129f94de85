package devices

import (
	"math"
	"slices"
)

const (
	windowBoots  = 3   // boots whose sequences are remembered
	windowRanges = 128 // runs of heard sequences per boot
	windowRecent = 64  // sequences whose content is remembered
)

// Hearing is what a Window makes of a sequence.
type Hearing uint8

const (
	HeardNew       Hearing = iota // not heard before
	HeardDuplicate                // heard before, with the same content as far as is remembered: without effect
	HeardConflict                 // heard before with other content: tampering (R41)
	HeardBelow                    // the window does not reach so far back: the key of history decides
)

// Window remembers which sequences of a device were heard: the last boots it counted, in each the sequences as ranges, and
// digests of the most recent ones. It never takes a heard sequence for new. What it had to forget, and sequences that were
// derived from the digest (they are negative, and in no order), are HeardBelow unless they are among the most recent.
//
// The zero value has heard nothing. It is a plain value: two copies that were given the same are equal when marshalled.
type Window struct {
	boots     []boot // by number
	forgotten int64  // boots up to here that are not in boots may have been heard; only good when lost
	lost      bool
	recent    []recent // oldest first
}

type boot struct {
	number int64
	floor  int64  // sequences below may have been heard
	heard  []span // disjoint, not adjacent, ascending
}

// span is the sequences from lo to hi, both heard.
type span struct{ lo, hi int64 }

type recent struct {
	boot, seq int64
	digest    uint32
}

// Accept says what is known of a sequence, and from then on knows that it was heard. Only the low half of the digest is
// compared: it is keyed, so nobody can look for another content with the same.
func (w *Window) Accept(number, seq int64, digest uint64) Hearing {
	d := uint32(digest)
	for i := len(w.recent) - 1; i >= 0; i-- {
		if r := &w.recent[i]; r.seq == seq && r.boot == number {
			if r.digest == d {
				return HeardDuplicate
			}
			return HeardConflict
		}
	}
	result := HeardBelow
	if seq >= 0 {
		result = w.mark(number, seq)
	}
	if result != HeardDuplicate {
		w.remember(recent{number, seq, d})
	}
	return result
}

func (w *Window) remember(r recent) {
	if len(w.recent) == windowRecent {
		copy(w.recent, w.recent[1:])
		w.recent = w.recent[:windowRecent-1]
	}
	w.recent = append(w.recent, r)
}

// mark enters a sequence among the heard.
func (w *Window) mark(number, seq int64) Hearing {
	i, found := slices.BinarySearchFunc(w.boots, number, func(b boot, n int64) int {
		switch {
		case b.number < n:
			return -1
		case b.number > n:
			return 1
		}
		return 0
	})
	if found {
		return w.boots[i].mark(seq)
	}
	if w.lost && number <= w.forgotten {
		return HeardBelow
	}
	if len(w.boots) == windowBoots {
		if i == 0 { // older than all that are remembered: it is not worth one of them
			w.forgotten, w.lost = number, true
			return HeardBelow
		}
		w.forgotten, w.lost = w.boots[0].number, true
		w.boots = append(w.boots[:0:0], w.boots[1:]...)
		i--
	}
	w.boots = slices.Insert(w.boots, i, boot{number: number, heard: []span{{seq, seq}}})
	return HeardNew
}

func (b *boot) mark(seq int64) Hearing {
	if seq < b.floor {
		return HeardBelow
	}
	// i is the first range that ends at or after seq
	i, _ := slices.BinarySearchFunc(b.heard, seq, func(s span, n int64) int {
		if s.hi < n {
			return -1
		}
		return 1
	})
	if i < len(b.heard) && b.heard[i].lo <= seq {
		return HeardDuplicate
	}
	before := i > 0 && b.heard[i-1].hi == seq-1
	after := i < len(b.heard) && b.heard[i].lo == seq+1 // seq < b.heard[i].hi, so seq+1 does not overflow
	switch {
	case before && after:
		b.heard[i-1].hi = b.heard[i].hi
		b.heard = slices.Delete(b.heard, i, i+1)
	case before:
		b.heard[i-1].hi = seq
	case after:
		b.heard[i].lo = seq
	default:
		b.heard = slices.Insert(b.heard, i, span{seq, seq})
	}
	if len(b.heard) > windowRanges {
		b.floor = b.heard[0].hi + 1 // another range lies above, so hi is not the largest number
		b.heard = slices.Delete(b.heard, 0, 1)
	}
	return HeardNew
}

// Gap is sequences of a boot that were not heard although later ones were: they are lost, or still to come.
type Gap struct{ Boot, From, To int64 } // both ends missing

// Gaps lists what is missing between the heard sequences, oldest first.
func (w *Window) Gaps() []Gap {
	var gaps []Gap
	for _, b := range w.boots {
		for i := 1; i < len(b.heard); i++ {
			gaps = append(gaps, Gap{b.number, b.heard[i-1].hi + 1, b.heard[i].lo - 1})
		}
	}
	return gaps
}

// Missing is how many sequences lie in the gaps.
func (w *Window) Missing() int64 {
	var n int64
	for _, g := range w.Gaps() {
		if n += g.To - g.From + 1; n < 0 {
			return math.MaxInt64
		}
	}
	return n
}

// Clone returns a window that shares nothing with this one.
func (w *Window) Clone() Window {
	c := Window{boots: slices.Clone(w.boots), forgotten: w.forgotten, lost: w.lost, recent: slices.Clone(w.recent)}
	for i := range c.boots {
		c.boots[i].heard = slices.Clone(c.boots[i].heard)
	}
	return c
}
