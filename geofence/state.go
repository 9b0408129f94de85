package geofence

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// EngineVersion is the version of evaluation that every violation carries: another version may decide otherwise.
const EngineVersion = "3"

// Mark is a fix as evaluation remembers it and as evidence shows it. Coordinates are 1e-7 degrees, WGS-84; lengths are
// centimetres, so that what was decided is decided again the same.
type Mark struct {
	Device   id.Device      `json:"dev"`
	Boot     int64          `json:"boot"`
	Seq      int64          `json:"seq"`
	At       time.Time      `json:"at"`
	LonE7    int32          `json:"lon"`
	LatE7    int32          `json:"lat"`
	Accuracy int64          `json:"acc_cm"` // as used: never below the floor of its method
	Claimed  int64          `json:"said_cm,omitempty"`
	Floor    int64          `json:"floor_cm,omitempty"` // of its device's model and method; 0: none is recorded
	Method   devices.Method `json:"method"`
	Verdict  Verdict        `json:"verdict,omitempty"`
	Margin   int64          `json:"margin_cm,omitempty"` // signed distance to the zone's edge, negative inside
}

func (m *Mark) lon() float64 { return float64(m.LonE7) / 1e7 }
func (m *Mark) lat() float64 { return float64(m.LatE7) / 1e7 }

// State is what evaluation carries from one input to the next for one subject. The zero value is a subject never heard.
// A State owns what it points to: it is evaluated in place, by one at a time.
type State struct {
	Facts   int64       `json:"facts,omitempty"` // Facts.Version the present was last judged on by the clock
	Since   time.Time   `json:"since,omitzero"`  // when evaluation began
	Front   Front       `json:"front,omitzero"`  // everything up to here has been judged, in event order
	Loose   *Loose      `json:"loose,omitempty"` // the device may not be on the person; nil: it is
	Reset   time.Time   `json:"reset,omitzero"`  // when the device was last seen on the person
	Channel [2]Channel  `json:"ch"`              // by class: wristband, phone
	Rules   []RuleState `json:"rules,omitempty"` // ordered by Rule

	work *work // the evaluation to come, kept so that it costs no memory
}

// Front is a place in event order: first by event time, then timers before observations, then by what the device counts.
type Front struct {
	At     time.Time `json:"at"`
	Device id.Device `json:"dev,omitempty"` // 0: a timer
	Boot   int64     `json:"boot,omitempty"`
	Seq    int64     `json:"seq,omitempty"`
}

// after reports whether an observation lies before the front: it comes late.
func (f *Front) after(in *Input) bool {
	k := in.key()
	return cmp.Or(f.At.Compare(k.At), cmp.Compare(f.Device, k.Device), cmp.Compare(f.Boot, k.Boot), cmp.Compare(f.Seq, k.Seq)) >= 0
}

// Channel is one device class of the subject.
type Channel struct {
	HeardAt   time.Time   `json:"heard,omitzero"`      // event time of the last sign of life
	Recent    []Mark      `json:"recent,omitempty"`    // the last plausible fixes, oldest first
	Suspect   *Mark       `json:"suspect,omitempty"`   // an impossible fix that another may yet bear out
	Same      int         `json:"same,omitempty"`      // how often the last place was told again to the centimetre
	SameSince time.Time   `json:"same_since,omitzero"` // when it was told first
	Accepted  []time.Time `json:"accepted,omitempty"`  // fix times of the last stored phone fixes (R13)
}

// RuleState is where a rule stands for the subject.
type RuleState struct {
	Rule        RuleID        `json:"rule"`
	Version     int           `json:"v,omitempty"`          // of the rule, as the present was last judged by the clock; 0: not yet
	ZoneVersion int           `json:"zv,omitempty"`         // of its zone then
	Open        ViolationKind `json:"open,omitempty"`       // the open violation of the rule's own condition
	OpenedAt    time.Time     `json:"opened,omitzero"`      // when it began
	OpenClass   devices.Class `json:"open_class,omitempty"` // the channel that opened it: that channel closes it, while it speaks
	ClosedAt    time.Time     `json:"closed,omitzero"`      // when the last one ended
	Margin      int64         `json:"margin_cm,omitempty"`  // the furthest seen while open, as last told
	Track       [2]Track      `json:"track"`                // by class
	Ask         *Pending      `json:"ask,omitempty"`        // a confirming fix is being waited for
	AskedAt     time.Time     `json:"asked,omitzero"`       // of the fix that made us ask last
	Seen        time.Time     `json:"seen,omitzero"`        // when what the rule waits for was last told
	Unheard     devices.Class `json:"unheard,omitempty"`    // the channel on which a check went unanswered, while that is open
	UnheardAt   time.Time     `json:"unheard_at,omitzero"`  // since when
}

// opens notes the violation of the rule's own condition, closes that it ended.
func (rs *RuleState) opens(k ViolationKind, class devices.Class, at time.Time) {
	rs.Open, rs.OpenClass, rs.OpenedAt = k, class, at
}

func (rs *RuleState) closes(at time.Time) {
	rs.Open, rs.OpenClass, rs.OpenedAt, rs.ClosedAt, rs.Margin = "", "", time.Time{}, at, 0
}

// Track is the run of fixes of one channel that may open or close a violation.
type Track struct {
	Breach []Mark `json:"breach,omitempty"` // consecutive independent fixes on the wrong side
	Return []Mark `json:"return,omitempty"` // consecutive independent fixes back on the right side
	Doubt  *Doubt `json:"doubt,omitempty"`  // nil: none
}

// Doubt is Wi-Fi fixes on the wrong side since one on the right side: how many, and the first.
type Doubt struct {
	Count int       `json:"n"`
	At    time.Time `json:"at"`
}

// Pending is a demand for a confirming fix.
type Pending struct {
	At      time.Time     `json:"at"`    // of the fix that made us ask
	Asked   time.Time     `json:"asked"` // in domain time
	Due     time.Time     `json:"due"`   // in domain time
	Class   devices.Class `json:"class"`
	Because Mark          `json:"because"`         // that fix
	Heard   bool          `json:"heard,omitempty"` // something came since that decides nothing: not silence, not proof
}

const recentMarks = 4

// channelIndex is the place of a class in State.Channel and RuleState.Track.
func channelIndex(c devices.Class) int {
	if c == devices.Wristband {
		return 0
	}
	return 1
}

func classOf(index int) devices.Class {
	if index == 0 {
		return devices.Wristband
	}
	return devices.Phone
}

// begin is where evaluation of a subject begins: at since, or at from where the past is derived. What was due before nobody
// waited for; what is recorded of the device being on the person holds.
func (s *State) begin(f *Facts, since, from time.Time) {
	s.Since, s.Front = since, Front{At: from}
	for _, a := range f.Attachments {
		switch {
		case a.At.After(from):
		case a.What == ResetConfirmed:
			s.Loose = nil
		case s.Loose == nil:
			s.Loose = &Loose{Since: a.At, Cause: Separated}
		}
	}
}

// clone is a copy that shares nothing.
func (s *State) clone() State {
	c := *s
	c.work = nil
	c.Loose = copied(c.Loose)
	for i := range c.Channel {
		ch := &c.Channel[i]
		ch.Recent, ch.Accepted = slices.Clone(ch.Recent), slices.Clone(ch.Accepted)
		ch.Suspect = copied(ch.Suspect)
	}
	c.Rules = slices.Clone(c.Rules)
	for i := range c.Rules {
		rs := &c.Rules[i]
		rs.Ask = copied(rs.Ask)
		for k := range rs.Track {
			rs.Track[k] = Track{slices.Clone(rs.Track[k].Breach), slices.Clone(rs.Track[k].Return), copied(rs.Track[k].Doubt)}
		}
	}
	return c
}

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// find returns the state of a rule, nil where there is none.
func (s *State) find(r RuleID) *RuleState {
	for i := range s.Rules {
		if s.Rules[i].Rule == r {
			return &s.Rules[i]
		}
	}
	return nil
}

// rule returns the state of a rule, made where there is none, keeping the order. Making one moves the others: a pointer
// to one is good until the next is made.
func (s *State) rule(r RuleID) *RuleState {
	i := 0
	for i < len(s.Rules) && s.Rules[i].Rule < r {
		i++
	}
	if i == len(s.Rules) || s.Rules[i].Rule != r {
		s.Rules = append(s.Rules, RuleState{})
		copy(s.Rules[i+1:], s.Rules[i:])
		s.Rules[i] = RuleState{Rule: r}
	}
	return &s.Rules[i]
}

// FinerThan reports whether a phone fix at t is closer to one already stored than finest (R13).
func (s *State) FinerThan(class devices.Class, t time.Time, finest time.Duration) bool {
	for _, a := range s.Channel[channelIndex(class)].Accepted {
		if d := t.Sub(a); d < finest && d > -finest {
			return true
		}
	}
	return false
}

const acceptedTimes = 16

// Accept remembers that a phone fix was stored.
func (s *State) Accept(class devices.Class, t time.Time) {
	c := &s.Channel[channelIndex(class)]
	c.Accepted = append(c.Accepted, t)
	if n := len(c.Accepted); n > acceptedTimes {
		c.Accepted = append([]time.Time(nil), c.Accepted[n-acceptedTimes:]...)
	}
}

// Waiting reports whether any rule waits for a confirming fix.
func (s *State) Waiting() bool {
	for i := range s.Rules {
		if s.Rules[i].Ask != nil {
			return true
		}
	}
	return false
}

// strictJSON decodes one document and refuses names it does not know.
func strictJSON(doc []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one document")
	}
	return nil
}
