package geofence

import (
	"time"

	"zhijiao/devices"
)

// A fix speaks for the device, a verdict for the person (R122). From the moment the strap or the case is open, or a person
// and a device are accepted to be apart, until an officer has seen the device on the person (复位确认), fixes are kept as
// positions of the device and nothing about the person's place is decided. A strap that closes by itself restores nothing.

// Loose is since when and why a device may not be on the person.
type Loose struct {
	Since time.Time  `json:"since"`
	Cause LooseCause `json:"cause"`
	// Opened is when the strap or the case was opened, which may be after a separation was accepted; zero: it was not.
	Opened time.Time `json:"opened,omitzero"`
}

// LooseCause is why.
type LooseCause string

const (
	StrapOpened LooseCause = "strap_open"
	CaseOpened  LooseCause = "case_open"
	Separated   LooseCause = "separated" // a lead that an officer accepted
)

// Attachment is what an officer records of a device being on the person.
type Attachment string

const (
	ResetConfirmed     Attachment = "reset_confirmed"     // 复位确认: seen on the person
	SeparationAccepted Attachment = "separation_accepted" // 人机分离: the lead is accepted
)

// AttachmentFact is one such record, as evaluation needs it.
type AttachmentFact struct {
	At   time.Time
	What Attachment
}

// strap looks at what the device says of its strap and case.
func (e *evaluation) strap() {
	switch e.o.Health.Strap {
	case devices.StrapOpen:
		e.loosen(StrapOpened)
	case devices.CaseOpen:
		e.loosen(CaseOpened)
	}
}

// loosen has fixes speak for the device alone. What was under way about the person's place is decided no more, and nobody waits
// for an answer that could decide nothing. That somebody opens the strap is told whatever was known of the device before.
func (e *evaluation) loosen(cause LooseCause) {
	if l := e.s.Loose; l != nil {
		if cause != Separated && l.Cause == Separated && l.Opened.IsZero() {
			l.Opened = e.at
		}
		return
	}
	e.s.Loose = &Loose{Since: e.at, Cause: cause}
	if cause != Separated {
		e.s.Loose.Opened = e.at
	}
	for i := range e.s.Rules {
		rs := &e.s.Rules[i]
		rs.Track = [2]Track{}
		if rs.Ask != nil {
			rs.settle(e, Settle{At: e.at, Withdrawn: true})
		}
	}
}

// attachments applies what was recorded for this instant, and for those since the last one judged.
func (e *evaluation) attachments() {
	for _, a := range e.f.Attachments {
		switch {
		case !a.At.After(e.s.Front.At) || a.At.After(e.at):
		case a.What == SeparationAccepted:
			e.loosen(Separated)
		case e.s.Loose != nil: // where the device was meanwhile is not where the person was
			e.s.Loose, e.s.Reset = nil, a.At
			for c := range e.s.Channel {
				ch := &e.s.Channel[c]
				ch.Recent, ch.Suspect, ch.Same, ch.SameSince = ch.Recent[:0], nil, 0, time.Time{}
			}
		}
	}
}
