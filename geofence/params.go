package geofence

import (
	"encoding/json"
	"fmt"
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
	PassGap          time.Duration // two fixes further apart than this are no way through a zone
	SilentAfter      time.Duration // silence is no shorter than this
	SilentFactor     float64       // nor than so many expected intervals
	Class            devices.Class // whose silence
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
		Count: 2, Grace: 2 * time.Minute, Band: 50, WaiveMargin: 500, Independent: 10 * time.Second, AskWithin: 10 * time.Minute,
		PassGap: 3 * time.Minute, SilentAfter: 30 * time.Minute, SilentFactor: 3, Class: devices.Wristband, LateAfter: 15 * time.Minute,
		FloorGNSS: 10, FloorWiFi: 50, FloorCell: 500, FloorRF: 30, FastestPlausible: 83,
	}
	if k == KeepOut {
		p.Grace, p.Band = 0, 0
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
	PassGapS     *float64       `json:"pass_gap_s,omitempty"`
	SilentAfterS *float64       `json:"silent_after_s,omitempty"`
	SilentFactor *float64       `json:"silent_factor,omitempty"`
	Class        *devices.Class `json:"class,omitempty"`
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
	seconds := func(to *time.Duration, v *float64) {
		if v != nil {
			*to = time.Duration(*v * float64(time.Second))
		}
	}
	number := func(to, v *float64) {
		if v != nil {
			*to = *v
		}
	}
	if j.Count != nil {
		p.Count = *j.Count
	}
	if j.Class != nil {
		p.Class = *j.Class
	}
	seconds(&p.Grace, j.GraceS)
	seconds(&p.Independent, j.IndependentS)
	seconds(&p.AskWithin, j.AskWithinS)
	seconds(&p.PassGap, j.PassGapS)
	seconds(&p.SilentAfter, j.SilentAfterS)
	seconds(&p.LateAfter, j.LateAfterS)
	number(&p.Band, j.BandM)
	number(&p.WaiveMargin, j.WaiveM)
	number(&p.SilentFactor, j.SilentFactor)
	number(&p.FloorGNSS, j.FloorGNSSM)
	number(&p.FloorWiFi, j.FloorWiFiM)
	number(&p.FloorCell, j.FloorCellM)
	number(&p.FloorRF, j.FloorRFM)
	number(&p.FastestPlausible, j.FastestMPS)
	return p, p.check()
}

func (p *Params) check() error {
	switch {
	case p.Count < 2:
		return fmt.Errorf("params: count: a single fix decides nothing (R24)")
	case p.Grace < 0 || p.Band < 0 || p.WaiveMargin < 0 || p.Independent < 0 || p.PassGap < 0 || p.LateAfter < 0:
		return fmt.Errorf("params: a threshold below zero")
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
	return json.Marshal(paramsJSON{&p.Count, s(p.Grace), &p.Band, &p.WaiveMargin, s(p.Independent), s(p.AskWithin), s(p.PassGap), s(p.SilentAfter),
		&p.SilentFactor, &p.Class, s(p.LateAfter), &p.FloorGNSS, &p.FloorWiFi, &p.FloorCell, &p.FloorRF, &p.FastestPlausible})
}

// sparse reports whether a channel speaks too seldom to span the grace by itself.
func (p *Params) sparse(interval time.Duration) bool {
	grace := p.Grace
	if grace == 0 {
		grace = 2 * time.Minute
	}
	return interval > grace/2
}
