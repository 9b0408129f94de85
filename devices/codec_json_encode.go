package devices

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Report is a message as a device would send it: the simulator, the replay and the canary are devices.
type Report struct {
	Device       Serial // optional; the topic says it anyway
	Boot         int64  // -1: the device has no boot counter
	Sent         time.Time
	Datum        Datum         // 0: no observation has a place
	Observations []Observation // places in WGS-84; a negative Seq, nil and empty values are left out
}

// AppendJSON appends the payload of a report. It refuses a place that its message declares no datum for, and a payload
// over the limits.
func AppendJSON(dst []byte, r Report) ([]byte, error) {
	if len(r.Observations) == 0 || len(r.Observations) > MaxObservations {
		return dst, fmt.Errorf("a message carries 1 to %d observations, not %d", MaxObservations, len(r.Observations))
	}
	from := len(dst)
	w := writer{b: append(dst, `{"v":1`...)}
	w.str("device", string(r.Device))
	if r.Boot >= 0 {
		w.integer("boot", r.Boot)
	}
	w.instant("sent", r.Sent)
	if r.Datum != 0 {
		w.str("datum", r.Datum.String())
	}
	w.b = append(w.b, `,"obs":[`...)
	for i := range r.Observations {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		if err := w.observation(&r.Observations[i], r.Datum); err != nil {
			return dst, err
		}
	}
	w.b = append(w.b, "]}"...)
	if n := len(w.b) - from; n > MaxPayload {
		return dst, fmt.Errorf("a payload of %d bytes is over the limit of %d", n, MaxPayload)
	}
	return w.b, nil
}

func (w *writer) observation(o *Observation, d Datum) error {
	w.b = append(w.b, '{')
	w.bare = true
	if o.Seq >= 0 {
		w.integer("seq", o.Seq)
	}
	w.instant("at", o.At)
	if p := o.Place; p != nil {
		if d == 0 {
			return fmt.Errorf("a place needs a datum")
		}
		lon, lat := FromWGS84(d, p.Lon, p.Lat)
		w.number("lon", lon, 7)
		w.number("lat", lat, 7)
		if p.Accuracy > 0 {
			w.number("acc", p.Accuracy, 2)
		}
		w.str("method", p.Method.String())
		if p.Speed >= 0 {
			w.number("speed", p.Speed, 2)
		}
		if p.Satellites >= 0 {
			w.integer("sats", int64(p.Satellites))
		}
	}
	w.health(&o.Health)
	if o.Answers != 0 {
		w.integer("answers", int64(o.Answers))
	}
	w.str("result", o.Result)
	if o.Command != 0 {
		w.integer("command", int64(o.Command))
	}
	w.str("outcome", string(o.Outcome))
	w.b = append(w.b, '}')
	return nil
}

func (w *writer) health(h *Health) {
	if h.Battery != nil {
		w.integer("battery", int64(*h.Battery))
	}
	if h.Strap != StrapUnknown {
		w.str("strap", h.Strap.String())
	}
	if h.Charging != nil {
		w.name("charging")
		w.b = strconv.AppendBool(w.b, *h.Charging)
	}
	w.str("cell", h.Cell)
	w.str("operator", h.Operator)
	if h.Signal != nil {
		w.integer("signal", int64(*h.Signal))
	}
	w.str("sim", h.SIM)
	w.str("last_gasp", h.LastGasp)
}

// writer appends members of an object.
type writer struct {
	b    []byte
	bare bool // the object has no member yet
}

func (w *writer) name(n string) {
	if !w.bare {
		w.b = append(w.b, ',')
	}
	w.bare = false
	w.b = append(w.b, '"')
	w.b = append(w.b, n...)
	w.b = append(w.b, '"', ':')
}

func (w *writer) integer(n string, v int64) {
	w.name(n)
	w.b = strconv.AppendInt(w.b, v, 10)
}

// number writes no more decimals than mean anything.
func (w *writer) number(n string, v float64, decimals int) {
	w.name(n)
	scale := math.Pow10(decimals)
	w.b = strconv.AppendFloat(w.b, math.Round(v*scale)/scale, 'f', -1, 64)
}

func (w *writer) str(n, v string) {
	if v == "" {
		return
	}
	w.name(n)
	for i := 0; i < len(v); i++ {
		if c := v[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, err := json.Marshal(v)
			if err != nil {
				quoted = []byte(`""`) // a string always has a JSON form
			}
			w.b = append(w.b, quoted...)
			return
		}
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, v...)
	w.b = append(w.b, '"')
}

func (w *writer) instant(n string, t time.Time) {
	if t.IsZero() {
		return
	}
	w.name(n)
	w.b = append(w.b, '"')
	w.b = t.UTC().AppendFormat(w.b, time.RFC3339Nano)
	w.b = append(w.b, '"')
}
