package track

import (
	"math/bits"
	"slices"
)

// A column is written as what a prediction misses it by, Golomb-Rice coded (R. F. Rice, Some practical universal noiseless coding
// techniques, JPL 79-22, 1979), as lossless audio is: of three predictions the one that costs least is taken. Differences wrap
// around, so that every value can stand in a column.
const (
	orderMiddle   = iota // of the values themselves
	orderLast            // the value before
	orderLinear          // the two values before
	orderConstant        // nothing misses: there is one value

	escape = 24 // a quotient this large is not written: the number is
)

// column writes values; their number is known to the reader.
func (w *writer) column(values []int64) {
	base, unit := values[0], unitOf(values)
	if unit == 0 {
		w.put(orderConstant, 2)
		w.varint(zigzag(base))
		return
	}
	y := make([]int64, len(values))
	for i, v := range values {
		y[i] = (v - base) / unit // base is among the values: with unit 1 this wraps and unwraps
	}
	best, k, cost, middle := orderMiddle, uint(0), uint64(1<<63), middleOf(y)
	misses := make([]uint64, len(y))
	for order := orderMiddle; order <= orderLinear; order++ {
		miss(misses, y, order, middle)
		if b, c := bestRice(misses); c < cost {
			best, k, cost = order, b, c
		}
	}
	w.put(uint64(best), 2)
	w.varint(zigzag(base))
	w.varint(uint64(unit - 1))
	if best == orderMiddle {
		w.varint(zigzag(middle))
	}
	w.put(uint64(k), 6)
	miss(misses, y, best, middle)
	for _, m := range misses {
		w.rice(m, k)
	}
}

// column reads n values.
func (r *reader) column(out []int64) {
	order := r.take(2)
	base := unzigzag(r.varint())
	if order == orderConstant {
		for i := range out {
			out[i] = base
		}
		return
	}
	unit := int64(r.varint()) + 1
	var middle int64
	if order == orderMiddle {
		middle = unzigzag(r.varint())
	}
	k := uint(r.take(6))
	var last, before int64
	for i := range out {
		y := unzigzag(r.rice(k))
		switch order {
		case orderMiddle:
			y += middle
		case orderLast:
			y += last
		case orderLinear:
			y += 2*last - before
		}
		before, last = last, y
		if i == 0 {
			before = y // as if the value before the first had been the same
		}
		out[i] = base + y*unit
		if r.err != nil {
			return
		}
	}
}

// miss is what a prediction misses each value by.
func miss(out []uint64, y []int64, order int, middle int64) {
	var last, before int64
	for i, v := range y {
		p := middle
		switch order {
		case orderLast:
			p = last
		case orderLinear:
			p = 2*last - before
		}
		out[i] = zigzag(v - p)
		before, last = last, v
		if i == 0 {
			before = v
		}
	}
}

// unitOf is the greatest number that all differences from the first value are multiples of; 0: there are none. Where
// differences wrap around it is 1.
func unitOf(values []int64) int64 {
	base := values[0]
	var g uint64
	for _, v := range values {
		d := v - base
		if (v >= base) != (d >= 0) {
			return 1
		}
		if d < 0 {
			d = -d
			if d < 0 {
				return 1
			}
		}
		for a, b := uint64(d), g; ; a, b = b, a%b {
			if b == 0 {
				g = a
				break
			}
		}
		if g == 1 {
			return 1
		}
	}
	return int64(g)
}

func middleOf(y []int64) int64 {
	s := slices.Clone(y)
	slices.Sort(s)
	return s[len(s)/2]
}

// bestRice is the parameter under which numbers cost the fewest bits, and how many.
func bestRice(numbers []uint64) (best uint, cost uint64) {
	cost = 1 << 63
	var sum uint64
	for _, m := range numbers {
		sum += min(m, 1<<40)
	}
	guess := bits.Len64(sum / uint64(len(numbers)))
	for k := uint(max(guess-3, 0)); k <= uint(min(guess+2, 63)); k++ {
		var c uint64
		for _, m := range numbers {
			if q := m >> k; q < escape {
				c += q + 1 + uint64(k)
			} else {
				c += escape + 6 + uint64(bits.Len64(m))
			}
		}
		if c < cost {
			best, cost = k, c
		}
	}
	return best, cost
}

func (w *writer) rice(m uint64, k uint) {
	q := m >> k
	if q >= escape {
		w.put(1<<escape-1, escape)
		w.varint(m)
		return
	}
	w.put(1<<q-1, uint(q)+1) // q ones and a zero
	w.put(m, k)
}

func (r *reader) rice(k uint) uint64 {
	q := r.ones(escape)
	if q == escape {
		return r.varint()
	}
	return uint64(q)<<k | r.take(k)
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }
