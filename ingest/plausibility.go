package ingest

import (
	"math"
	"time"

	"zhijiao/devices"
)

// implausible says why an observation cannot be true whatever the device is and whoever wears it, or nil. It needs no
// state and no registry: what does (authority, binding, duplicates, speed) is the core's. The codec has already decided
// what only the wire shows; what is looked at again here holds for every codec.
func implausible(o *devices.Observation) *devices.Fault {
	switch {
	case o.At.IsZero():
		return fault(devices.MissingField, "at", "no fix time")
	case o.At.Before(devices.InForce):
		return fault(devices.TimeTooOld, "at", "before anything could have been lawful")
	case o.At.After(o.ReceivedAt.Add(Future)):
		return fault(devices.TimeInFuture, "at", "later than received, beyond the tolerance")
	}
	if h := o.Health; h.Battery != nil && (*h.Battery < 0 || *h.Battery > 100) {
		return fault(devices.OutOfRange, "battery", "not a percentage")
	}
	if o.Place == nil {
		if o.Kind == devices.KindFix {
			return fault(devices.MissingField, "lon", "a fix without a place")
		}
		return nil
	}
	return impossiblePlace(o.Place)
}

func impossiblePlace(p *devices.Place) *devices.Fault {
	switch {
	case p.Datum < devices.WGS84 || p.Datum > devices.BD09:
		return fault(devices.UndeclaredDatum, "datum", "none that we know")
	case !within(p.Lon, -180, 180):
		return fault(devices.OutOfRange, "lon", "not a longitude")
	case !within(p.Lat, -90, 90):
		return fault(devices.OutOfRange, "lat", "not a latitude")
	case math.Abs(p.Lon) < 1e-7 && math.Abs(p.Lat) < 1e-7:
		return fault(devices.NullIsland, "lon", "a receiver without a fix")
	case !within(p.Accuracy, 0, 1e6):
		return fault(devices.OutOfRange, "acc", "not a radius")
	case math.IsNaN(p.Speed) || p.Speed > 1000:
		return fault(devices.OutOfRange, "speed", "faster than anything we watch")
	case p.Method < devices.MethodGNSS || p.Method > devices.MethodRF:
		return fault(devices.OutOfRange, "method", "none that we know")
	}
	return nil
}

// within is false for NaN.
func within(v, low, high float64) bool { return v >= low && v <= high }

func fault(reason devices.Reason, field, detail string) *devices.Fault {
	return &devices.Fault{Reason: reason, Field: field, Detail: detail}
}

// late is how long before receipt the observation was made, for the histogram.
func late(o *devices.Observation) time.Duration { return o.ReceivedAt.Sub(o.At) }
