package geofence

import "time"

// Power rules watch the battery. LowBattery (低电) opens at the threshold of the rule, PowerLost (断电) when the device says
// that it goes off; both end when it is heard with more, or charging. Neither says anything of the person.
const (
	Power      RuleKind      = "power"
	LowBattery ViolationKind = "low_battery"
	PowerLost  ViolationKind = "power_lost"
)

func init() { kinds[Power] = &kindSpec{kind: power{}} }

type power struct{}

// enoughAgain is by how many per cent the battery must be above the threshold before it counts as charged.
const enoughAgain = 5

func (power) heard(e *evaluation, r *Rule, rs *RuleState) {
	if e.in.Binding.Class != r.Params.Class {
		return
	}
	h, low := &e.o.Health, r.Params.BatteryLow
	is := ViolationKind("")
	switch {
	case h.LastGasp == "power_off" || h.LastGasp == "battery":
		is = PowerLost
	case h.Charging != nil && *h.Charging:
	case h.Battery == nil:
		if rs.Open == PowerLost { // it is heard, so it is on
			break
		}
		is = rs.Open
	case *h.Battery <= low, rs.Open == LowBattery && *h.Battery <= low+enoughAgain:
		is = LowBattery
	}
	if is == rs.Open {
		return
	}
	if rs.Open != "" {
		e.close(r, rs.Open, rs.OpenClass, e.at, nil)
		rs.closes(e.at)
	}
	if is != "" {
		rs.opens(is, r.Params.Class, e.at)
		e.open(r, is, r.Params.Class, e.at, func(f *Finding) { f.Evidence.Battery = h.Battery })
	}
}

func (power) tick(*evaluation, *Rule, *RuleState)      {}
func (power) rejudge(*evaluation, *Rule, *RuleState)   {}
func (power) fix(*evaluation, *Rule, *RuleState, Mark) {}
func (power) due(*State, *Facts, *Rule, *RuleState, time.Time) time.Time {
	return time.Time{}
}
