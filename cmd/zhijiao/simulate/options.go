package simulate

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Town is where people live: an office and its surroundings.
type Town struct {
	Name     string
	Lon, Lat float64
}

// Options describe a world. The zero value of a number means its default.
type Options struct {
	Seed      uint64
	People    int       // at least 1
	Start     time.Time // domain time at which devices begin to speak
	City      Area      // nobody law-abiding leaves it
	KeepOut   Area      // nobody law-abiding enters it
	KeepOutAt Town      // a place well inside KeepOut
	Outside   []Town    // places outside the city that people go to when they leave it
	Towns     []Town
	Concern   Town // a place people should not stay at for long; the zero value: none

	Wristbands int           // the first so many people wear one; the others carry phones
	Both       int           // the first so many of those with a wristband carry a phone as well
	Interval   time.Duration // between a wristband's fixes; default a minute
	Batch      int           // fixes a wristband sends in one message; default 1
	Quirks     []Quirk       // what is nobody's fault
	Windows    bool          // every fifth must be home at night, every fifth at the office on Monday mornings: and is, but for misdeeds
	Misdeeds   []Misdeed     // what goes wrong
	Boot       int64         // boot counter of every device; default 1. A world that goes on from another needs a greater one
}

// Misdeed is one thing that goes wrong: from After the start (less than zero: it is going on when the world begins), for
// about Duration.
type Misdeed struct {
	Person   int // index, from 0; -1: an area
	Deed     Deed
	After    time.Duration
	Duration time.Duration
	With     []int  // who else takes part
	Operator string // whose network is away
}

func (m *Misdeed) involves(person int) bool {
	return m.Person == person || slices.Contains(m.With, person)
}

func (o *Options) validate() error {
	if o.People < 1 || o.People > 10_000 {
		return fmt.Errorf("people: %d is not between 1 and 10,000", o.People)
	}
	if o.Wristbands < 0 || o.Wristbands > o.People {
		return fmt.Errorf("wristbands: %d of %d people", o.Wristbands, o.People)
	}
	if o.Both < 0 || o.Both > o.Wristbands {
		return fmt.Errorf("phones as well: %d of %d people with wristbands", o.Both, o.Wristbands)
	}
	if o.City == nil || len(o.Towns) == 0 {
		return errors.New("a world needs a city and its towns")
	}
	if o.Start.IsZero() {
		return errors.New("start: a world begins at some instant")
	}
	if o.Interval == 0 {
		o.Interval = time.Minute
	}
	if o.Batch == 0 {
		o.Batch = 1
	}
	if o.Boot == 0 {
		o.Boot = 1
	}
	return o.check(o.Misdeeds)
}

func (o *Options) check(misdeeds []Misdeed) error {
	for i, m := range misdeeds {
		e := m.Deed.entry()
		switch {
		case e == nil:
			return fmt.Errorf("misdeed %d: there is no deed %q", i, m.Deed)
		case m.Person < 0 != (e.who == nobody), m.Person >= o.People, slices.ContainsFunc(m.With, func(p int) bool { return p < 0 || p >= o.People }):
			return fmt.Errorf("misdeed %d: there is no person %d", i, m.Person)
		case e.kind == "left_zone" && len(o.Outside) == 0:
			return fmt.Errorf("misdeed %d: there is nowhere to go outside the city", i)
		case e.who == banned && o.KeepOut == nil:
			return fmt.Errorf("misdeed %d: there is no prohibited place", i)
		case m.Deed == Dwell && o.Concern == (Town{}):
			return fmt.Errorf("misdeed %d: there is no place of concern", i)
		case (m.Deed == NightOut && !o.night(m.Person)) || m.Deed == MissOffice && !o.office(m.Person):
			return fmt.Errorf("misdeed %d: person %d need not be anywhere then", i, m.Person)
		case m.Deed == AreaOutage && m.Operator == "":
			return fmt.Errorf("misdeed %d: whose network is away?", i)
		case m.Duration <= 0:
			return fmt.Errorf("misdeed %d: it must last some time", i)
		}
	}
	return nil
}

// night tells who must be home at night, office who must be at the office on Monday mornings.
func (o *Options) night(person int) bool  { return o.Windows && person%5 == 1 }
func (o *Options) office(person int) bool { return o.Windows && person%5 == 2 }

func (o *Options) has(q Quirk) bool { return slices.Contains(o.Quirks, q) }

// banned tells whom a court bans from the prohibited place: those with a wristband and every fourth of the others.
func (o *Options) banned(person int) bool { return person < o.Wristbands || person%4 == 0 }
