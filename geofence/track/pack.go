package track

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

const (
	version = 1
	// MaxFixes is how many fixes a pack may hold: twenty a second of an hour.
	MaxFixes = 72_000
	// maxText is how long a text may be, in bytes; the wires allow less.
	maxText = 4096
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode packs fixes, which are in event order and at least one. It fails where Decode would not give back the same: a time that
// is not whole microseconds, a text that is too long, too many fixes.
func Encode(fixes []Fix) ([]byte, error) {
	if len(fixes) == 0 || len(fixes) > MaxFixes {
		return nil, fmt.Errorf("pack: %d fixes, from 1 to %d can be packed", len(fixes), MaxFixes)
	}
	p := packer{fixes: fixes, w: writer{out: []byte{version}}, values: make([]int64, len(fixes))}
	p.w.varint(uint64(len(fixes)))
	p.columns()
	if p.err != nil {
		return nil, fmt.Errorf("pack: %w", p.err)
	}
	out := p.w.bytes()
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli)), nil
}

// Decode opens what Encode packed. Bytes that were changed since are refused.
func Decode(data []byte) ([]Fix, error) {
	if len(data) < 6 {
		return nil, fmt.Errorf("open a pack: %w", errShort)
	}
	body, sum := data[:len(data)-4], binary.LittleEndian.Uint32(data[len(data)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, errors.New("open a pack: its checksum is wrong")
	}
	return decode(body)
}

func decode(body []byte) ([]Fix, error) {
	if body[0] != version {
		return nil, fmt.Errorf("open a pack: version %d is not known", body[0])
	}
	r := reader{in: body[1:]}
	n := r.varint()
	if n == 0 || n > MaxFixes {
		return nil, fmt.Errorf("open a pack: it says that it holds %d fixes", n)
	}
	u := unpacker{fixes: make([]Fix, n), r: r, values: make([]int64, n)}
	u.columns()
	if u.r.err != nil {
		return nil, fmt.Errorf("open a pack: %w", u.r.err)
	}
	return u.fixes, nil
}

type packer struct {
	fixes  []Fix
	w      writer
	values []int64
	err    error
}

type unpacker struct {
	fixes  []Fix
	r      reader
	values []int64
}

// columns writes all columns; unpacker.columns reads them in the same order.
func (p *packer) columns() {
	p.ints(func(f *Fix) int64 { return p.micros(f.At) })
	p.ints(func(f *Fix) int64 { return int64(f.Device) })
	p.ints(func(f *Fix) int64 { return f.Boot })
	p.ints(func(f *Fix) int64 { return f.Seq })
	p.ints(func(f *Fix) int64 { return int64(f.Binding) })
	p.ints(func(f *Fix) int64 { return p.micros(f.ReceivedAt) - p.micros(f.At) })
	p.ints(func(f *Fix) int64 { return p.micros(f.StoredAt) - p.micros(f.ReceivedAt) })
	p.ints(func(f *Fix) int64 { return int64(f.Answers) })
	p.ints(func(f *Fix) int64 { return int64(f.LonE7) })
	p.ints(func(f *Fix) int64 { return int64(f.LatE7) })
	p.floats(func(f *Fix) *float32 { return f.Accuracy })
	p.floats(func(f *Fix) *float32 { return f.Speed })
	// What a device sent at once was sent when it was fixed: its skew is then the same number as its delay.
	p.present(func(f *Fix) bool { return f.SkewMS != nil }, func(f *Fix) int64 { return int64(*f.SkewMS) - f.ReceivedAt.Sub(f.At).Milliseconds() })
	p.ints(func(f *Fix) int64 { return int64(f.Flags) })
	p.ints(func(f *Fix) int64 { return int64(f.Method) })
	p.ints(func(f *Fix) int64 { return int64(f.Datum) })
	p.shorts(func(f *Fix) *int16 { return f.Satellites })
	p.shorts(func(f *Fix) *int16 { return f.Battery })
	p.shorts(func(f *Fix) *int16 { return f.Strap })
	p.shorts(func(f *Fix) *int16 { return f.Signal })
	p.present(func(f *Fix) bool { return f.Charging != nil }, func(f *Fix) int64 {
		if *f.Charging {
			return 1
		}
		return 0
	})
	p.texts(func(f *Fix) string { return f.Cell })
	p.texts(func(f *Fix) string { return f.Operator })
	p.texts(func(f *Fix) string { return f.SIM })
	p.texts(func(f *Fix) string { return f.LastGasp })
}

func (u *unpacker) columns() {
	u.ints(func(f *Fix, v int64) { f.At = time.UnixMicro(v).UTC() })
	u.ints(func(f *Fix, v int64) { f.Device = id.Device(v) })
	u.ints(func(f *Fix, v int64) { f.Boot = v })
	u.ints(func(f *Fix, v int64) { f.Seq = v })
	u.ints(func(f *Fix, v int64) { f.Binding = id.Binding(v) })
	u.ints(func(f *Fix, v int64) { f.ReceivedAt = time.UnixMicro(f.At.UnixMicro() + v).UTC() })
	u.ints(func(f *Fix, v int64) { f.StoredAt = time.UnixMicro(f.ReceivedAt.UnixMicro() + v).UTC() })
	u.ints(func(f *Fix, v int64) { f.Answers = id.Check(v) })
	u.ints(func(f *Fix, v int64) { f.LonE7 = int32(v) })
	u.ints(func(f *Fix, v int64) { f.LatE7 = int32(v) })
	u.floats(func(f *Fix, v *float32) { f.Accuracy = v })
	u.floats(func(f *Fix, v *float32) { f.Speed = v })
	u.present(func(f *Fix, v int64) { ms := int32(v + f.ReceivedAt.Sub(f.At).Milliseconds()); f.SkewMS = &ms })
	u.ints(func(f *Fix, v int64) { f.Flags = int16(v) })
	u.ints(func(f *Fix, v int64) { f.Method = devices.Method(v) })
	u.ints(func(f *Fix, v int64) { f.Datum = devices.Datum(v) })
	u.shorts(func(f *Fix, v *int16) { f.Satellites = v })
	u.shorts(func(f *Fix, v *int16) { f.Battery = v })
	u.shorts(func(f *Fix, v *int16) { f.Strap = v })
	u.shorts(func(f *Fix, v *int16) { f.Signal = v })
	u.present(func(f *Fix, v int64) { b := v != 0; f.Charging = &b })
	u.texts(func(f *Fix, s string) { f.Cell = s })
	u.texts(func(f *Fix, s string) { f.Operator = s })
	u.texts(func(f *Fix, s string) { f.SIM = s })
	u.texts(func(f *Fix, s string) { f.LastGasp = s })
}

func (p *packer) micros(t time.Time) int64 {
	if t.Nanosecond()%1000 != 0 {
		p.err = fmt.Errorf("a time is not whole microseconds")
	}
	return t.UnixMicro()
}

func (p *packer) ints(of func(*Fix) int64) {
	for i := range p.fixes {
		p.values[i] = of(&p.fixes[i])
	}
	p.w.column(p.values)
}

func (u *unpacker) ints(set func(*Fix, int64)) {
	u.r.column(u.values)
	for i := range u.fixes {
		set(&u.fixes[i], u.values[i])
	}
}

// Which of the fixes have a value in a column that not all need have.
const (
	none = iota
	every
	some
)

func (p *packer) mask(has func(*Fix) bool) (n int) {
	for i := range p.fixes {
		if has(&p.fixes[i]) {
			n++
		}
	}
	switch n {
	case 0:
		p.w.put(none, 2)
	case len(p.fixes):
		p.w.put(every, 2)
	default:
		p.w.put(some, 2)
		for i := range p.fixes {
			var bit uint64
			if has(&p.fixes[i]) {
				bit = 1
			}
			p.w.put(bit, 1)
		}
	}
	return n
}

// mask returns the places of the fixes that have a value.
func (u *unpacker) mask() []int {
	var out []int
	switch u.r.take(2) {
	case every:
		out = make([]int, len(u.fixes))
		for i := range out {
			out[i] = i
		}
	case some:
		for i := range u.fixes {
			if u.r.take(1) == 1 {
				out = append(out, i)
			}
		}
	}
	return out
}

func (p *packer) present(has func(*Fix) bool, of func(*Fix) int64) {
	if p.mask(has) == 0 {
		return
	}
	values := p.values[:0]
	for i := range p.fixes {
		if f := &p.fixes[i]; has(f) {
			values = append(values, of(f))
		}
	}
	p.w.column(values)
}

func (u *unpacker) present(set func(*Fix, int64)) {
	at := u.mask()
	if len(at) == 0 {
		return
	}
	values := u.values[:len(at)]
	u.r.column(values)
	for i, n := range at {
		set(&u.fixes[n], values[i])
	}
}

func (p *packer) shorts(of func(*Fix) *int16) {
	p.present(func(f *Fix) bool { return of(f) != nil }, func(f *Fix) int64 { return int64(*of(f)) })
}

func (u *unpacker) shorts(set func(*Fix, *int16)) {
	u.present(func(f *Fix, v int64) { s := int16(v); set(f, &s) })
}

// Devices say metres with none, one, two or three decimals: where all are such they are written as whole numbers, else by their bits.
var scales = [4]float64{1, 10, 100, 1000}

func (p *packer) floats(of func(*Fix) *float32) {
	scale := uint64(len(scales))
search:
	for s := range scales {
		for i := range p.fixes {
			if v := of(&p.fixes[i]); v != nil && math.Float32bits(unscale(scaled(*v, s), s)) != math.Float32bits(*v) {
				continue search
			}
		}
		scale = uint64(s)
		break
	}
	p.w.put(scale, 3)
	p.present(func(f *Fix) bool { return of(f) != nil }, func(f *Fix) int64 {
		if v := *of(f); scale < uint64(len(scales)) {
			return scaled(v, int(scale))
		} else {
			return int64(math.Float32bits(v))
		}
	})
}

func (u *unpacker) floats(set func(*Fix, *float32)) {
	scale := u.r.take(3)
	u.present(func(f *Fix, v int64) {
		x := math.Float32frombits(uint32(v))
		if scale < uint64(len(scales)) {
			x = unscale(v, int(scale))
		}
		set(f, &x)
	})
}

func scaled(v float32, s int) int64 {
	x := math.Round(float64(v) * scales[s])
	if !(math.Abs(x) < 1<<40) { // NaN too
		return 0
	}
	return int64(x)
}

func unscale(v int64, s int) float32 { return float32(float64(v) / scales[s]) }

func (p *packer) texts(of func(*Fix) string) {
	places := map[string]int64{}
	var list []string
	for i := range p.fixes {
		s := of(&p.fixes[i])
		n, known := places[s]
		if !known {
			n = int64(len(list))
			places[s], list = n, append(list, s)
		}
		p.values[i] = n
	}
	p.w.varint(uint64(len(list)))
	before := ""
	for _, s := range list {
		if len(s) > maxText {
			p.err = fmt.Errorf("a text of %d bytes", len(s))
			return
		}
		p.w.text(s, before)
		before = s
	}
	if len(list) > 1 {
		p.w.column(p.values)
	}
}

func (u *unpacker) texts(set func(*Fix, string)) {
	n := u.r.varint()
	if n == 0 || n > uint64(len(u.fixes)) {
		u.r.fail(fmt.Errorf("%d texts for %d fixes", n, len(u.fixes)))
		return
	}
	list := make([]string, n)
	before := ""
	for i := range list {
		if list[i] = u.r.text(before); u.r.err != nil {
			return
		}
		before = list[i]
	}
	if n == 1 {
		for i := range u.fixes {
			set(&u.fixes[i], list[0])
		}
		return
	}
	u.r.column(u.values)
	for i, v := range u.values {
		if v < 0 || v >= int64(n) {
			u.r.fail(fmt.Errorf("text %d of %d", v, n))
			return
		}
		set(&u.fixes[i], list[v])
	}
}
