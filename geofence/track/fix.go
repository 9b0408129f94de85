package track

import (
	"cmp"
	"math"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// Fix is a stored fix with everything R34 asks for. Its subject stands beside it, in the row or the pack it is in. Times are
// whole microseconds, as PostgreSQL keeps them.
//
// The digest of the observation as it was sent is not part of it: it tells a repetition from another content under the
// same sequence while the fix is a row, and is four bytes that no packing makes smaller.
type Fix struct {
	At         time.Time // of the fix, by the device's clock or as it was corrected
	Device     id.Device
	Boot, Seq  int64
	Binding    id.Binding
	ReceivedAt time.Time // domain time
	StoredAt   time.Time // machine time
	Answers    id.Check  // 0: no check
	LonE7      int32     // WGS-84, 1e-7 degrees
	LatE7      int32
	Accuracy   *float32 // metres; nil: not given, here and below
	Speed      *float32 // metres a second
	SkewMS     *int32   // received less sent by the device's clock, milliseconds
	Flags      int16    // geofence.Flag
	Method     devices.Method
	Datum      devices.Datum // as sent
	Satellites *int16
	Battery    *int16 // percent
	Strap      *int16 // devices.Strap
	Signal     *int16 // dBm
	Charging   *bool
	Cell       string // "": not given, here and below
	Operator   string
	SIM        string
	LastGasp   string
}

// Compare is event order among the fixes of a subject.
func (f *Fix) Compare(o *Fix) int {
	return cmp.Or(f.At.Compare(o.At), cmp.Compare(f.Device, o.Device), cmp.Compare(f.Boot, o.Boot), cmp.Compare(f.Seq, o.Seq))
}

// Same says whether two fixes are the same in every field.
func Same(a, b *Fix) bool {
	x, y := *a, *b
	same := x.At.Equal(y.At) && x.ReceivedAt.Equal(y.ReceivedAt) && x.StoredAt.Equal(y.StoredAt) &&
		sameBits(x.Accuracy, y.Accuracy) && sameBits(x.Speed, y.Speed) && equal(x.SkewMS, y.SkewMS) && equal(x.Satellites, y.Satellites) &&
		equal(x.Battery, y.Battery) && equal(x.Strap, y.Strap) && equal(x.Signal, y.Signal) && equal(x.Charging, y.Charging)
	for _, f := range []*Fix{&x, &y} {
		f.At, f.ReceivedAt, f.StoredAt = time.Time{}, time.Time{}, time.Time{}
		f.Accuracy, f.Speed, f.SkewMS, f.Satellites, f.Battery, f.Strap, f.Signal, f.Charging = nil, nil, nil, nil, nil, nil, nil, nil
	}
	return same && x == y
}

func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

func sameBits(a, b *float32) bool {
	return a == b || a != nil && b != nil && math.Float32bits(*a) == math.Float32bits(*b)
}
