package ingest

import (
	"math"
	"testing"
	"time"

	"zhijiao/devices"
)

func TestImplausible_R28_R38(t *testing.T) {
	t.Parallel()
	received := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	over := 101
	for name, c := range map[string]struct {
		change func(*devices.Observation)
		reason devices.Reason
		field  string
	}{
		"as it should be":                {func(*devices.Observation) {}, "", ""},
		"five minutes ahead":             {func(o *devices.Observation) { o.At = received.Add(5 * time.Minute) }, "", ""},
		"a moment more":                  {func(o *devices.Observation) { o.At = received.Add(5*time.Minute + 1) }, devices.TimeInFuture, "at"},
		"2038":                           {func(o *devices.Observation) { o.At = received.AddDate(12, 0, 0) }, devices.TimeInFuture, "at"},
		"the day of the law":             {func(o *devices.Observation) { o.At = devices.InForce }, "", ""},
		"the day before":                 {func(o *devices.Observation) { o.At = devices.InForce.Add(-1) }, devices.TimeTooOld, "at"},
		"a week counter that began anew": {func(o *devices.Observation) { o.At = received.AddDate(0, 0, -7*1024) }, devices.TimeTooOld, "at"},
		"1970":                           {func(o *devices.Observation) { o.At = time.Unix(0, 0) }, devices.TimeTooOld, "at"},
		"no time":                        {func(o *devices.Observation) { o.At = time.Time{} }, devices.MissingField, "at"},
		"eight days late":                {func(o *devices.Observation) { o.At = received.AddDate(0, 0, -8) }, "", ""},
		"null island":                    {func(o *devices.Observation) { o.Place.Lon, o.Place.Lat = 0, 0 }, devices.NullIsland, "lon"},
		"on the equator":                 {func(o *devices.Observation) { o.Place.Lat = 0 }, "", ""},
		"beyond the pole":                {func(o *devices.Observation) { o.Place.Lat = 90.0000001 }, devices.OutOfRange, "lat"},
		"lon and lat swapped":            {func(o *devices.Observation) { o.Place.Lon, o.Place.Lat = 30.65, 113.16 }, devices.OutOfRange, "lat"},
		"no number":                      {func(o *devices.Observation) { o.Place.Lon = math.NaN() }, devices.OutOfRange, "lon"},
		"endless":                        {func(o *devices.Observation) { o.Place.Lon = math.Inf(1) }, devices.OutOfRange, "lon"},
		"accuracy below zero":            {func(o *devices.Observation) { o.Place.Accuracy = -1 }, devices.OutOfRange, "acc"},
		"speed not given":                {func(o *devices.Observation) { o.Place.Speed = -1 }, "", ""},
		"speed of a rocket":              {func(o *devices.Observation) { o.Place.Speed = 7800 }, devices.OutOfRange, "speed"},
		"no datum":                       {func(o *devices.Observation) { o.Place.Datum = 0 }, devices.UndeclaredDatum, "datum"},
		"no method":                      {func(o *devices.Observation) { o.Place.Method = 0 }, devices.OutOfRange, "method"},
		"battery over full":              {func(o *devices.Observation) { o.Health.Battery = &over }, devices.OutOfRange, "battery"},
		"a fix without place":            {func(o *devices.Observation) { o.Place = nil }, devices.MissingField, "lon"},
		"a status":                       {func(o *devices.Observation) { o.Place, o.Kind = nil, devices.KindStatus }, "", ""},
		"a check-in, no place":           {func(o *devices.Observation) { o.Place, o.Kind = nil, devices.KindCheckIn }, "", ""},
	} {
		o := devices.Observation{Kind: devices.KindFix, At: received.Add(-2 * time.Second), ReceivedAt: received,
			Place: &devices.Place{Lon: 113.16, Lat: 30.65, Accuracy: 8.5, Speed: 1.2, Method: devices.MethodGNSS, Datum: devices.WGS84}}
		c.change(&o)
		f := implausible(&o)
		switch {
		case f == nil && c.reason != "":
			t.Errorf("%s: taken for true", name)
		case f != nil && (f.Reason != c.reason || f.Field != c.field):
			t.Errorf("%s: %v", name, f)
		}
	}
}
