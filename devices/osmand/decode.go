package osmand

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"zhijiao/devices"
)

const (
	knot = 1852.0 / 3600 // metres a second
	// rangeError is what a dilution of precision of one is taken for, in metres, where a tracker gives no accuracy: the usual error of a
	// civil receiver's ranges.
	rangeError = 5
	maxSpeed   = 500 // metres a second, the wire's limit: what is faster is not known
	// lowBattery stands for an alarm of a low battery that comes without a figure: it is below the threshold at which one is low.
	lowBattery = 10
)

// Message is what a request says.
type Message struct {
	ID        string // as the tracker gives it; known even of a message that is refused, where it could be read
	Forwarded bool   // by a Traccar server
	Readings  []Reading
	Faults    []*devices.Fault // of readings that are not there; the message is refused only where none is
}

// Reading is one place or state of a tracker. Degrees are as sent: the datum is its model's.
type Reading struct {
	At         time.Time
	Placed     bool // it says where, and that it is sure
	Lon, Lat   float64
	Accuracy   float64 // metres; 0: not given
	Speed      float64 // metres a second; negative: not given
	Satellites int     // negative: not given
	Satellite  bool    // the place is by satellite: it came with a dilution of precision
	Health     devices.Health
}

func fault(reason devices.Reason, field, detail string) *devices.Fault {
	return &devices.Fault{Reason: reason, Field: field, Detail: detail}
}

// DecodeForm takes parameters apart, of the address line or of a form: https://www.traccar.org/osmand/. Speed is in knots, as
// Traccar takes it.
func DecodeForm(v url.Values) (Message, *devices.Fault) {
	get := func(names ...string) (string, string) {
		for _, n := range names {
			if s := strings.TrimSpace(v.Get(n)); s != "" && s != "null" { // null is what Traccar puts for what it does not know
				return s, n
			}
		}
		return "", names[0]
	}
	m := Message{}
	m.ID, _ = get("id", "deviceid")
	if m.ID == "" {
		return m, fault(devices.MissingField, "id", "who speaks")
	}
	r := Reading{Speed: -1, Satellites: -1}
	var f *devices.Fault
	number := func(least, most float64, names ...string) (x float64, given bool) {
		s, name := get(names...)
		if s == "" || f != nil {
			return 0, false
		}
		x, err := strconv.ParseFloat(s, 64)
		switch {
		case err != nil:
			f = fault(devices.WrongType, name, "not a number")
		case !(x >= least && x <= most): // NaN too
			f = fault(devices.OutOfRange, name, "outside what it can mean")
		}
		return x, f == nil
	}
	truth := func(name string) (is, given bool) {
		s, _ := get(name)
		switch strings.ToLower(s) {
		case "":
			return false, false
		case "true", "1":
			return true, true
		case "false", "0":
			return false, true
		}
		if f == nil {
			f = fault(devices.WrongType, name, "neither true nor false")
		}
		return false, false
	}
	stamp, _ := get("timestamp")
	if r.At, f = instant(stamp, "timestamp"); f != nil {
		return m, f
	}
	known := func(most float64, names ...string) (float64, bool) { // a number that apps make negative where they do not know it
		x, given := number(math.Inf(-1), most, names...)
		return x, given && x >= 0
	}
	lat, hasLat := number(-90, 90, "lat")
	lon, hasLon := number(-180, 180, "lon")
	if both, _ := get("location"); both != "" && !hasLat && !hasLon && f == nil {
		a, b, _ := strings.Cut(both, ",")
		v.Set("lat", a)
		v.Set("lon", b)
		lat, hasLat = number(-90, 90, "lat")
		lon, hasLon = number(-180, 180, "lon")
	}
	if f == nil && hasLat != hasLon {
		f = fault(devices.MissingField, map[bool]string{true: "lon", false: "lat"}[hasLat], "half a place")
	}
	valid, said := truth("valid")
	r.Lat, r.Lon, r.Placed = lat, lon, hasLat && hasLon && (valid || !said)
	if made, _ := truth("mock"); made { // by a program on the phone
		r.Placed = false
	}
	if x, given := known(100_000, "accuracy"); given {
		r.Accuracy = x
	}
	if hdop, given := number(0, 100, "hdop"); given && hdop > 0 {
		r.Satellite = true
		if r.Accuracy == 0 {
			r.Accuracy = math.Max(rangeError, rangeError*hdop)
		}
	}
	if x, given := known(math.MaxFloat64, "speed"); given {
		r.speed(x * knot)
	}
	if n, given := number(0, 200, "sat", "satellites"); given {
		r.Satellites = int(n)
	}
	if level, given := known(100, "batt", "batteryLevel"); given {
		r.Health.Battery = percent(level)
	}
	if is, given := truth("charge"); given {
		r.Health.Charging = &is
	}
	if c, _ := get("cell"); c != "" {
		cell(c, &r.Health)
	}
	alarms, _ := get("alarm")
	r.alarms(alarms)
	if f != nil {
		return m, f
	}
	m.Readings = []Reading{r}
	return m, m.Readings[0].check()
}

// check says why a reading is nothing.
func (r *Reading) check() *devices.Fault {
	if r.Placed && r.Lon == 0 && r.Lat == 0 { // a receiver without a fix
		r.Placed = false
	}
	if h := r.Health; !r.Placed && h.Battery == nil && h.Charging == nil && h.Cell == "" && h.Strap == devices.StrapUnknown && h.LastGasp == "" {
		return fault(devices.MissingField, "lat", "no place it is sure of, and nothing of itself")
	}
	return nil
}

func (r *Reading) speed(metresASecond float64) {
	if metresASecond >= 0 && metresASecond <= maxSpeed {
		r.Speed = metresASecond
	}
}

// alarms reads the names that Traccar gives to what trackers report, with commas between. What is about vehicles, or fences of its own,
// says nothing to us.
func (r *Reading) alarms(names string) {
	h := &r.Health
	for _, name := range strings.Split(names, ",") {
		switch strings.TrimSpace(name) {
		case "removing":
			h.Strap = max(h.Strap, devices.StrapOpen)
		case "tampering":
			h.Strap = devices.CaseOpen
		case "powerOff":
			h.LastGasp = "power_off"
		case "lowBattery", "lowPower":
			if h.Battery == nil {
				h.Battery = percent(lowBattery)
			}
		}
	}
}

// maxUnix is the last second that is written with four digits of a year.
const maxUnix = 253402300799

// instant reads seconds or milliseconds since 1970, or a time with its zone. When it was received never stands in for when it was.
func instant(s, field string) (time.Time, *devices.Fault) {
	if s == "" {
		return time.Time{}, fault(devices.MissingField, field, "when it was there")
	}
	if x, err := strconv.ParseFloat(s, 64); err == nil {
		if math.Abs(x) > 1e11 {
			x /= 1000
		}
		if !(x >= 0 && x <= maxUnix) {
			return time.Time{}, fault(devices.OutOfRange, field, "no time that can be written")
		}
		whole, part := math.Modf(x)
		return time.Unix(int64(whole), int64(math.Round(part*1e3))*1e6).UTC(), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999-0700", "2006-01-02 15:04:05Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC().Truncate(time.Microsecond), nil
		}
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05.999"} {
		if _, err := time.Parse(layout, s); err == nil {
			return time.Time{}, fault(devices.TimeWithoutZone, field, "a time that does not say where")
		}
	}
	return time.Time{}, fault(devices.WrongType, field, "not a time")
}

func percent(level float64) *int {
	n := int(math.Round(level))
	return &n
}

// cell takes mcc,mnc,lac,cell and perhaps a signal in dBm; several are listed with bars, of which the first serves.
func cell(s string, h *devices.Health) {
	s, _, _ = strings.Cut(s, "|")
	parts := strings.Split(s, ",")
	if len(parts) < 4 || len(s) > 64 {
		return
	}
	for _, p := range parts[:4] {
		if p == "" || strings.Trim(p, "0123456789") != "" {
			return
		}
	}
	h.Cell = strings.Join(parts[:4], "-")
	if len(parts) > 4 {
		if n, err := strconv.Atoi(parts[4]); err == nil && n < 0 && n >= -150 {
			h.Signal = &n
		}
	}
}

// body is the JSON of Traccar Client from version 9 on, or of a Traccar server that forwards (forward.type json).
type body struct {
	DeviceID *string         `json:"device_id"`
	Location json.RawMessage `json:"location"` // one, or several that waited
	Position *position       `json:"position"`
	Device   *struct {
		UniqueID string `json:"uniqueId"`
	} `json:"device"`
}

type location struct {
	Timestamp json.RawMessage `json:"timestamp"`
	Coords    *struct {
		Latitude  *float64 `json:"latitude"`
		Longitude *float64 `json:"longitude"`
		Accuracy  *float64 `json:"accuracy"`
		Speed     *float64 `json:"speed"` // m/s; negative: not known
	} `json:"coords"`
	Mock    bool `json:"mock"` // a place that a program on the phone made up
	Battery *struct {
		Level    *float64 `json:"level"` // 0 to 1; negative: not known
		Charging *bool    `json:"is_charging"`
	} `json:"battery"`
}

type position struct {
	FixTime    string   `json:"fixTime"`
	DeviceTime string   `json:"deviceTime"`
	Outdated   bool     `json:"outdated"` // the place is the last one that was known, not a new one
	Valid      *bool    `json:"valid"`
	Latitude   *float64 `json:"latitude"`
	Longitude  *float64 `json:"longitude"`
	Accuracy   *float64 `json:"accuracy"`
	Speed      *float64 `json:"speed"` // knots
	Network    *struct {
		Cells []struct {
			MCC    *uint32 `json:"mobileCountryCode"`
			MNC    *uint32 `json:"mobileNetworkCode"`
			Area   *uint32 `json:"locationAreaCode"`
			Cell   *uint64 `json:"cellId"`
			Signal *int    `json:"signalStrength"` // dBm
		} `json:"cellTowers"`
	} `json:"network"`
	Attributes map[string]any `json:"attributes"` // what a tracker's protocol has; of another type than expected it is not there
}

// DecodeJSON takes a JSON body apart.
func DecodeJSON(b []byte) (Message, *devices.Fault) {
	var in body
	var m Message
	f := unmarshal(b, &in, "")
	if f != nil && f.Reason == devices.Malformed {
		return m, f
	}
	if in.Device != nil {
		m.ID, m.Forwarded = in.Device.UniqueID, true
	} else if in.DeviceID != nil {
		m.ID = *in.DeviceID
	}
	if m.ID == "" {
		return m, fault(devices.MissingField, map[bool]string{true: "device.uniqueId", false: "device_id"}[m.Forwarded], "who speaks")
	}
	if f != nil {
		return m, f
	}
	if m.Forwarded {
		if in.Position == nil {
			return m, fault(devices.MissingField, "position", "what it says")
		}
		r, f := in.Position.reading()
		if f != nil {
			return m, f
		}
		m.Readings = []Reading{r}
		return m, m.Readings[0].check()
	}
	var list []json.RawMessage
	switch raw := strings.TrimSpace(string(in.Location)); {
	case raw == "" || raw == "null":
		return m, fault(devices.MissingField, "location", "what it says")
	case raw[0] != '[':
		list = []json.RawMessage{in.Location}
	case json.Unmarshal(in.Location, &list) != nil:
		return m, fault(devices.WrongType, "location", "not a list of locations")
	}
	if len(list) == 0 || len(list) > devices.MaxObservations {
		return m, fault(devices.Oversized, "location", "none, or more than a message may carry")
	}
	for _, raw := range list {
		var l location
		var r Reading
		f := unmarshal(raw, &l, "location")
		if f == nil {
			r, f = l.reading()
		}
		if f == nil {
			f = r.check()
		}
		if f != nil {
			m.Faults = append(m.Faults, f)
			continue
		}
		m.Readings = append(m.Readings, r)
	}
	if len(m.Readings) == 0 {
		return m, m.Faults[0]
	}
	return m, nil
}

// unmarshal names the field that has another type than it should; the others are read all the same.
func unmarshal(b []byte, into any, within string) *devices.Fault {
	err := json.Unmarshal(b, into)
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &kind) && (within != "" || kind.Field != ""):
		return fault(devices.WrongType, strings.Trim(within+"."+kind.Field, "."), "another type than it should have")
	}
	return fault(devices.Malformed, within, "not JSON of a shape that we know")
}

func (l *location) reading() (Reading, *devices.Fault) {
	r := Reading{Speed: -1, Satellites: -1}
	var f *devices.Fault
	if r.At, f = instant(strings.Trim(string(l.Timestamp), `"`), "location.timestamp"); f != nil {
		return r, f
	}
	if c := l.Coords; c != nil {
		if f := r.place(c.Latitude, c.Longitude, c.Accuracy, "location.coords."); f != nil {
			return r, f
		}
		if c.Speed != nil {
			r.speed(*c.Speed)
		}
	}
	if l.Mock {
		r.Placed = false
	}
	if b := l.Battery; b != nil {
		if b.Level != nil && *b.Level >= 0 && *b.Level <= 1 {
			r.Health.Battery = percent(*b.Level * 100)
		}
		r.Health.Charging = b.Charging
	}
	return r, nil
}

func (p *position) reading() (Reading, *devices.Fault) {
	r := Reading{Speed: -1, Satellites: -1}
	when, field := p.FixTime, "position.fixTime"
	if p.Outdated {
		when, field = p.DeviceTime, "position.deviceTime"
	}
	var f *devices.Fault
	if r.At, f = instant(when, field); f != nil {
		return r, f
	}
	if f := r.place(p.Latitude, p.Longitude, p.Accuracy, "position."); f != nil {
		return r, f
	}
	if p.Outdated || p.Valid != nil && !*p.Valid {
		r.Placed = false
	}
	if p.Speed != nil {
		r.speed(*p.Speed * knot)
	}
	if level, given := p.number("batteryLevel", 100); given {
		r.Health.Battery = percent(level)
	}
	if is, given := p.Attributes["charge"].(bool); given {
		r.Health.Charging = &is
	}
	if n, given := p.number("sat", 200); given {
		r.Satellites = int(n)
	}
	if hdop, given := p.number("hdop", 100); given && hdop > 0 {
		r.Satellite = true
		if r.Accuracy == 0 {
			r.Accuracy = math.Max(rangeError, rangeError*hdop)
		}
	}
	alarms, _ := p.Attributes["alarm"].(string)
	r.alarms(alarms)
	if p.Network != nil && len(p.Network.Cells) > 0 {
		if c := p.Network.Cells[0]; c.MCC != nil && c.MNC != nil && c.Area != nil && c.Cell != nil {
			r.Health.Cell = fmt.Sprintf("%d-%d-%d-%d", *c.MCC, *c.MNC, *c.Area, *c.Cell)
			if c.Signal != nil && *c.Signal < 0 && *c.Signal >= -150 {
				r.Health.Signal = c.Signal
			}
		}
	}
	return r, nil
}

// number is an attribute from 0 to most.
func (p *position) number(name string, most float64) (float64, bool) {
	x, ok := p.Attributes[name].(float64)
	return x, ok && x >= 0 && x <= most
}

func (r *Reading) place(lat, lon, accuracy *float64, at string) *devices.Fault {
	switch {
	case lat == nil && lon == nil:
		return nil
	case lat == nil:
		return fault(devices.MissingField, at+"latitude", "half a place")
	case lon == nil:
		return fault(devices.MissingField, at+"longitude", "half a place")
	case !(math.Abs(*lat) <= 90):
		return fault(devices.OutOfRange, at+"latitude", "outside what it can mean")
	case !(math.Abs(*lon) <= 180):
		return fault(devices.OutOfRange, at+"longitude", "outside what it can mean")
	}
	r.Lat, r.Lon, r.Placed = *lat, *lon, true
	if accuracy != nil && *accuracy > 0 && *accuracy <= 100_000 {
		r.Accuracy = *accuracy
	}
	return nil
}

// maxTogether is how many observations are put into one payload, so that it is far below the wire's limit.
const maxTogether = 32

// reports is a message as our wire has it, in its order, cut where the kind changes. d is the datum of its model, now what our clock
// says: what is timed later was sent later than that, by the tracker's own clock, and so the clock's error is told (R38).
func (m *Message) reports(serial devices.Serial, d devices.Datum, now time.Time) (out []devices.Report) {
	for i := range m.Readings {
		o := m.Readings[i].observation(d)
		if n := len(out); n == 0 || out[n-1].Observations[0].Kind != o.Kind || len(out[n-1].Observations) == maxTogether {
			out = append(out, devices.Report{Device: serial, Boot: -1})
		}
		r := &out[len(out)-1]
		if o.Place != nil {
			r.Datum = d
		}
		if o.At.After(now) && o.At.After(r.Sent) {
			r.Sent = o.At
		}
		r.Observations = append(r.Observations, o)
	}
	return out
}

func (r *Reading) observation(d devices.Datum) devices.Observation {
	o := devices.Observation{Kind: devices.KindStatus, Boot: -1, Seq: -1, At: r.At, Health: r.Health}
	if !r.Placed {
		return o
	}
	p := devices.Place{Accuracy: r.Accuracy, Speed: r.Speed, Satellites: r.Satellites, Datum: d, Method: devices.MethodByAccuracy(r.Accuracy)}
	if r.Satellite {
		p.Method = devices.MethodGNSS
	}
	p.Lon, p.Lat = devices.ToWGS84(d, r.Lon, r.Lat)
	o.Kind, o.Place = devices.KindFix, &p
	return o
}

// placed says whether any reading is a place.
func (m *Message) placed() bool {
	return slices.ContainsFunc(m.Readings, func(r Reading) bool { return r.Placed })
}
