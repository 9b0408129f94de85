package geofence

import (
	"time"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// FloorFact is what a device errs by at least by a method, whatever it claims: a fact about its model.
type FloorFact struct {
	Device id.Device
	Method devices.Method
	Floor  int64 // centimetres
	Valid  Interval
}

// floor is what is recorded of a device's model and a method at t, centimetres; 0: nothing.
func (f *Facts) floor(d id.Device, m devices.Method, t time.Time) int64 {
	for i := range f.Floors {
		if x := &f.Floors[i]; x.Device == d && x.Method == m && x.Valid.Contains(t) {
			return x.Floor
		}
	}
	return 0
}

// radius is the accuracy to be used for a mark, centimetres: what was claimed, never below the floors of its method and of
// its device's model.
func (p *Params) radius(m *Mark) int64 { return max(p.accuracy(m.Method, m.Claimed), m.Floor) }
