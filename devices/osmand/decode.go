package osmand

import (
	"encoding/json"
	"math"
	"net/url"
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
)

// Message is what a request says.
type Message struct {
	ID        string // as the tracker gives it; known even of a message that is refused, where it could be read
	Forwarded bool   // by a Traccar server
	Readings  []Reading
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
			if s := strings.TrimSpace(v.Get(n)); s != "" {
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
	r.Accuracy, _ = number(0, 100_000, "accuracy")
	if hdop, given := number(0, 100, "hdop"); given && hdop > 0 {
		r.Satellite = true
		if r.Accuracy == 0 {
			r.Accuracy = math.Max(rangeError, rangeError*hdop)
		}
	}
	if speed, given := number(0, 2000, "speed"); given {
		r.Speed = speed * knot
	}
	if n, given := number(0, 200, "sat", "satellites"); given {
		r.Satellites = int(n)
	}
	if level, given := number(0, 100, "batt", "batteryLevel"); given {
		r.Health.Battery = percent(level)
	}
	if is, given := truth("charge"); given {
		r.Health.Charging = &is
	}
	if c, _ := get("cell"); c != "" {
		cell(c, &r.Health)
	}
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
	if h := r.Health; !r.Placed && h.Battery == nil && h.Charging == nil && h.Cell == "" {
		return fault(devices.MissingField, "lat", "no place it is sure of, and nothing of itself")
	}
	return nil
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
	Battery *struct {
		Level    *float64 `json:"level"` // 0 to 1; negative: not known
		Charging *bool    `json:"is_charging"`
	} `json:"battery"`
}

type position struct {
	FixTime    string   `json:"fixTime"`
	Valid      *bool    `json:"valid"`
	Latitude   *float64 `json:"latitude"`
	Longitude  *float64 `json:"longitude"`
	Accuracy   *float64 `json:"accuracy"`
	Speed      *float64 `json:"speed"` // knots
	Attributes struct {
		BatteryLevel *float64 `json:"batteryLevel"`
		Charge       *bool    `json:"charge"`
		Sat          *float64 `json:"sat"`
		HDOP         *float64 `json:"hdop"`
	} `json:"attributes"`
}

// DecodeJSON takes a JSON body apart.
func DecodeJSON(b []byte) (Message, *devices.Fault) {
	var in body
	var m Message
	if err := json.Unmarshal(b, &in); err != nil {
		return m, fault(devices.Malformed, "", "not JSON of a shape that we know")
	}
	if in.Device != nil {
		m.ID, m.Forwarded = in.Device.UniqueID, true
	} else if in.DeviceID != nil {
		m.ID = *in.DeviceID
	}
	if m.ID == "" {
		return m, fault(devices.MissingField, map[bool]string{true: "device.uniqueId", false: "device_id"}[m.Forwarded], "who speaks")
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
	var list []location
	switch raw := strings.TrimSpace(string(in.Location)); {
	case raw == "" || raw == "null":
		return m, fault(devices.MissingField, "location", "what it says")
	case raw[0] == '[':
		if json.Unmarshal(in.Location, &list) != nil {
			return m, fault(devices.WrongType, "location", "not a list of locations")
		}
	default:
		list = make([]location, 1)
		if json.Unmarshal(in.Location, &list[0]) != nil {
			return m, fault(devices.WrongType, "location", "not a location")
		}
	}
	if len(list) == 0 || len(list) > devices.MaxObservations {
		return m, fault(devices.Oversized, "location", "none, or more than a message may carry")
	}
	for i := range list {
		r, f := list[i].reading()
		if f == nil {
			f = r.check()
		}
		if f != nil {
			return m, f
		}
		m.Readings = append(m.Readings, r)
	}
	return m, nil
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
		if c.Speed != nil && *c.Speed >= 0 {
			r.Speed = *c.Speed
		}
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
	var f *devices.Fault
	if r.At, f = instant(p.FixTime, "position.fixTime"); f != nil {
		return r, f
	}
	if f := r.place(p.Latitude, p.Longitude, p.Accuracy, "position."); f != nil {
		return r, f
	}
	if p.Valid != nil && !*p.Valid {
		r.Placed = false
	}
	if p.Speed != nil && *p.Speed >= 0 {
		r.Speed = *p.Speed * knot
	}
	a := &p.Attributes
	if a.BatteryLevel != nil && *a.BatteryLevel >= 0 && *a.BatteryLevel <= 100 {
		r.Health.Battery = percent(*a.BatteryLevel)
	}
	r.Health.Charging = a.Charge
	if a.Sat != nil && *a.Sat >= 0 && *a.Sat <= 200 {
		r.Satellites = int(*a.Sat)
	}
	if a.HDOP != nil && *a.HDOP > 0 && *a.HDOP <= 100 {
		r.Satellite = true
		if r.Accuracy == 0 {
			r.Accuracy = math.Max(rangeError, rangeError**a.HDOP)
		}
	}
	return r, nil
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

// report is a message as our wire has it: fixes in one, states of what gave no place in another. d is the datum of its model.
func (m *Message) report(serial devices.Serial, d devices.Datum) (fixes, states devices.Report) {
	fixes = devices.Report{Device: serial, Boot: -1, Datum: d}
	states = devices.Report{Device: serial, Boot: -1}
	for _, r := range m.Readings {
		o := devices.Observation{Boot: -1, Seq: -1, At: r.At, Health: r.Health}
		if !r.Placed {
			states.Observations = append(states.Observations, o)
			continue
		}
		p := devices.Place{Accuracy: r.Accuracy, Speed: r.Speed, Satellites: r.Satellites, Datum: d, Method: devices.MethodByAccuracy(r.Accuracy)}
		if r.Satellite {
			p.Method = devices.MethodGNSS
		}
		p.Lon, p.Lat = devices.ToWGS84(d, r.Lon, r.Lat)
		o.Place = &p
		fixes.Observations = append(fixes.Observations, o)
	}
	return fixes, states
}
