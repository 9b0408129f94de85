package geofence

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"zhijiao/devices"
)

// Params are the thresholds of a rule: policy, not law. A rule's own values stand in its params, by name; what it does
// not name has the default of its kind.
type Params struct {
	Count            int           // consecutive independent satellite fixes that open
	Grace            time.Duration // which they must span
	Band             float64       // hysteresis, metres beyond the edge
	WaiveMargin      float64       // a margin beyond this and three accuracies waives the grace, metres; the count stays
	Independent      time.Duration // two fixes closer than this are one
	AskWithin        time.Duration // how long a demand for a confirming fix waits
	AskAgain         time.Duration // a fix that is no satellite fix does not ask again sooner than this
	PassGap          time.Duration // two fixes further apart than this are no way through a zone
	PassSpeed        float64       // who is in a zone to keep out of, faster than this, metres a second
	PassDwell        time.Duration // and shorter than this, passes through (R32)
	SilentAfter      time.Duration // silence is no shorter than this
	SilentFactor     float64       // nor than so many expected intervals
	Class            devices.Class // whose silence
	DwellAfter       time.Duration // who stays so long in a place of attention dwells there
	ApartM           float64       // wristband and phone further from one another than this are apart, metres
	NearM            float64       // two whose error circles lie within this of one another are together, metres
	People           int           // so many together are a company
	BatteryLow       int           // per cent
	LateAfter        time.Duration // a fix older than this when it comes is for review (R36)
	FloorGNSS        float64       // accuracy is never trusted below these, metres
	FloorWiFi        float64
	FloorCell        float64
	FloorRF          float64
	FastestPlausible float64 // metres a second
}

// DefaultParams are the thresholds of a kind of rule.
func DefaultParams(k RuleKind) Params {
	p := Params{
		Count: 2, Grace: usualGrace, Band: 50, WaiveMargin: 500, Independent: 10 * time.Second, AskWithin: 10 * time.Minute,
		AskAgain: time.Hour, PassGap: 3 * time.Minute, PassSpeed: 8, PassDwell: 2 * time.Minute, SilentAfter: 30 * time.Minute, SilentFactor: 3,
		DwellAfter: time.Hour, ApartM: 300, NearM: 100, People: 2, BatteryLow: 20, Class: devices.Wristband, LateAfter: 15 * time.Minute,
		FloorGNSS: 10, FloorWiFi: 50, FloorCell: 500, FloorRF: 30, FastestPlausible: 120, // trains make 97
	}
	if s := kinds[k]; s != nil && s.usual != nil {
		s.usual(&p)
	}
	return p
}

// paramsJSON is how params stand in the database and in evidence: seconds and metres.
type paramsJSON struct {
	Count        *int           `json:"count,omitempty"`
	GraceS       *float64       `json:"grace_s,omitempty"`
	BandM        *float64       `json:"band_m,omitempty"`
	WaiveM       *float64       `json:"waive_margin_m,omitempty"`
	IndependentS *float64       `json:"independent_s,omitempty"`
	AskWithinS   *float64       `json:"ask_within_s,omitempty"`
	AskAgainS    *float64       `json:"ask_again_s,omitempty"`
	PassGapS     *float64       `json:"pass_gap_s,omitempty"`
	PassSpeedMPS *float64       `json:"pass_speed_mps,omitempty"`
	PassDwellS   *float64       `json:"pass_dwell_s,omitempty"`
	SilentAfterS *float64       `json:"silent_after_s,omitempty"`
	SilentFactor *float64       `json:"silent_factor,omitempty"`
	Class        *devices.Class `json:"class,omitempty"`
	DwellAfterS  *float64       `json:"dwell_after_s,omitempty"`
	ApartM       *float64       `json:"apart_m,omitempty"`
	NearM        *float64       `json:"near_m,omitempty"`
	People       *int           `json:"people,omitempty"`
	BatteryLow   *int           `json:"battery_low_pct,omitempty"`
	LateAfterS   *float64       `json:"late_after_s,omitempty"`
	FloorGNSSM   *float64       `json:"floor_gnss_m,omitempty"`
	FloorWiFiM   *float64       `json:"floor_wifi_m,omitempty"`
	FloorCellM   *float64       `json:"floor_cell_m,omitempty"`
	FloorRFM     *float64       `json:"floor_rf_m,omitempty"`
	FastestMPS   *float64       `json:"fastest_plausible_mps,omitempty"`
}

// ParseParams reads a rule's params over the defaults of its kind. An unknown name or an impossible value is refused.
func ParseParams(k RuleKind, doc []byte) (Params, error) {
	p := DefaultParams(k)
	if len(doc) == 0 {
		return p, nil
	}
	var j paramsJSON
	if err := strictJSON(doc, &j); err != nil {
		return p, fmt.Errorf("params: %w", err)
	}
	if err := j.over(&p); err != nil {
		return p, err
	}
	return p, p.check(k)
}

// over puts what is named in place of what is there.
func (j *paramsJSON) over(p *Params) (wrong error) {
	for _, x := range []struct {
		to *time.Duration
		v  *float64
	}{
		{&p.Grace, j.GraceS}, {&p.Independent, j.IndependentS}, {&p.AskWithin, j.AskWithinS}, {&p.AskAgain, j.AskAgainS}, {&p.PassGap, j.PassGapS},
		{&p.PassDwell, j.PassDwellS}, {&p.DwellAfter, j.DwellAfterS}, {&p.SilentAfter, j.SilentAfterS}, {&p.LateAfter, j.LateAfterS},
	} {
		switch {
		case x.v == nil:
		case *x.v < 0 || *x.v > longest.Seconds():
			wrong = fmt.Errorf("params: %v s is below zero or longer than %v", *x.v, longest)
		default:
			*x.to = time.Duration(math.Round(*x.v*1e3)) * time.Millisecond
		}
	}
	for _, x := range []struct{ to, v *float64 }{
		{&p.Band, j.BandM}, {&p.WaiveMargin, j.WaiveM}, {&p.PassSpeed, j.PassSpeedMPS}, {&p.SilentFactor, j.SilentFactor}, {&p.ApartM, j.ApartM}, {&p.NearM, j.NearM}, {&p.FloorGNSS, j.FloorGNSSM},
		{&p.FloorWiFi, j.FloorWiFiM}, {&p.FloorCell, j.FloorCellM}, {&p.FloorRF, j.FloorRFM}, {&p.FastestPlausible, j.FastestMPS},
	} {
		if x.v != nil {
			*x.to = *x.v
		}
	}
	if j.Count != nil {
		p.Count = *j.Count
	}
	if j.People != nil {
		p.People = *j.People
	}
	if j.BatteryLow != nil {
		p.BatteryLow = *j.BatteryLow
	}
	if j.Class != nil {
		p.Class = *j.Class
	}
	return wrong
}

// The longest time and the most fixes that make sense in a rule.
const (
	longest   = 366 * 24 * time.Hour
	mostFixes = 20
	// mostPeople is the most people a rule asks for.
	mostPeople = 100
)

func (p *Params) check(k RuleKind) error {
	fewest := 1 // to enter may be told from less (R24)
	if s := kinds[k]; s != nil {
		fewest = max(s.fewest, 1)
	}
	switch {
	case p.Count < fewest || p.Count > mostFixes:
		return fmt.Errorf("params: count: %d to %d; a single fix never decides that somebody left (R24)", fewest, mostFixes)
	case p.People < 2 || p.People > mostPeople || k == Proximity && p.People != 2:
		return fmt.Errorf("params: people: 2 to %d, and two who may not meet are 2", mostPeople)
	case p.NearM <= 0 || p.PassGap < time.Minute && kinds[k] != nil && kinds[k].company:
		return fmt.Errorf("params: near_m is more than zero, pass_gap_s at least 60")
	case p.Band < 0 || p.WaiveMargin < 0 || p.PassSpeed < 0 || p.ApartM < 0 || p.BatteryLow < 0 || p.BatteryLow > 100:
		return fmt.Errorf("params: a threshold below zero")
	case max(p.Band, p.WaiveMargin, p.ApartM, p.NearM, p.FloorGNSS, p.FloorWiFi, p.FloorCell, p.FloorRF) > 1e6 || p.SilentFactor > 1000:
		return fmt.Errorf("params: a threshold beyond anything that happens")
	case p.AskWithin < time.Minute || p.SilentAfter < time.Minute || p.SilentFactor < 1:
		return fmt.Errorf("params: ask_within_s and silent_after_s are at least 60, silent_factor at least 1")
	case p.FloorGNSS <= 0 || p.FloorWiFi <= 0 || p.FloorCell <= 0 || p.FloorRF <= 0 || p.FastestPlausible <= 0:
		return fmt.Errorf("params: floors and fastest_plausible_mps are more than zero")
	case p.Class != devices.Wristband && p.Class != devices.Phone:
		return fmt.Errorf("params: class %q is neither wristband nor phone", p.Class)
	}
	return nil
}

// MarshalJSON writes every threshold, for evidence.
func (p Params) MarshalJSON() ([]byte, error) {
	s := func(d time.Duration) *float64 { v := d.Seconds(); return &v }
	return json.Marshal(paramsJSON{&p.Count, s(p.Grace), &p.Band, &p.WaiveMargin, s(p.Independent), s(p.AskWithin), s(p.AskAgain),
		s(p.PassGap), &p.PassSpeed, s(p.PassDwell), s(p.SilentAfter), &p.SilentFactor, &p.Class, s(p.DwellAfter), &p.ApartM, &p.NearM, &p.People, &p.BatteryLow, s(p.LateAfter), &p.FloorGNSS, &p.FloorWiFi, &p.FloorCell, &p.FloorRF, &p.FastestPlausible})
}

// UnmarshalJSON reads what MarshalJSON wrote: evidence says every threshold.
func (p *Params) UnmarshalJSON(doc []byte) error {
	var j paramsJSON
	if err := json.Unmarshal(doc, &j); err != nil {
		return err
	}
	*p = Params{}
	return j.over(p)
}

// usualGrace tells sparse channels from dense ones where a rule has no grace of its own.
const usualGrace = 2 * time.Minute

// sparse reports whether a channel speaks too seldom to span the grace by itself.
func (p *Params) sparse(interval time.Duration) bool {
	grace := p.Grace
	if grace == 0 {
		grace = usualGrace
	}
	return interval > grace/2
}

// run is how many fixes of a run are remembered.
func (p *Params) run() int { return max(recentMarks, p.Count) }
