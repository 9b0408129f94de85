package geofence

import (
	"time"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// Input is what evaluation is asked about: a fix, another sign of life, an answer, or a tick of the clock.
type Input struct {
	At       time.Time            // event time: the fix time, or the instant the tick was due
	Now      time.Time            // domain time at which we decide
	Observed *devices.Observation // nil for a tick
	Binding  *BindingFact         // of the device that spoke; nil for a tick
	Flags    Flag                 // what plausibility found
	Asked    *Asked               // what was asked then, when the past is derived again; nil: this is the present
}

// Asked are the demands for confirming fixes that were made of a subject. They were made on what was known then, and so
// they are facts: to derive again asks nobody again.
type Asked struct{ Demands []DemandFact }

// DemandFact is a demand that a rule made.
type DemandFact struct {
	Rule    RuleID
	Because time.Time // of the fix that made us ask
	Asked   time.Time
	Due     time.Time
}

func (a *Asked) of(r RuleID, because time.Time) *DemandFact {
	if a == nil {
		return nil
	}
	for i := range a.Demands {
		if d := &a.Demands[i]; d.Rule == r && d.Because.Equal(because) {
			return d
		}
	}
	return nil
}

// key is where the input stands in event order.
func (in *Input) key() Front {
	if in.Observed == nil {
		return Front{At: in.At}
	}
	return Front{in.At, in.Binding.Device, in.Observed.Boot, in.Observed.Seq}
}

// Effect is what must happen because of an input. Exactly one field is set.
type Effect struct {
	Open   *Finding // a violation opens
	Amend  *Finding // an open one is amended: more evidence, other instant
	Close  *Finding // the condition ended
	Ask    *Ask     // ask for a confirming fix (核查指令)
	Settle *Settle  // a pending check was answered or ran out
}

// Finding is a violation as evaluation sees it; the engine gives it its number.
type Finding struct {
	Rule        RuleID
	RuleVersion int
	Zone        ZoneID // 0 for none
	ZoneVersion int
	Kind        ViolationKind
	Channel     devices.Class
	At          time.Time // when the condition began to hold (Open, Amend) or ceased (Close)
	Timed       bool      // the rule has a schedule
	Late        bool      // decided from data older than the lateness limit (R36)
	Evidence    Evidence
}

// Ask demands a confirming fix of a device until Due.
type Ask struct {
	Device  id.Device
	Rule    RuleID
	Because time.Time // of the fix that made us ask
	At      time.Time
	Due     time.Time
}

// Settle ends the pending check of a rule.
type Settle struct {
	Rule      RuleID
	Because   time.Time // of the fix that made us ask
	At        time.Time
	Answered  bool
	Withdrawn bool // nobody wants to know any more
}
