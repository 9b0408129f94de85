package simulate

import (
	"errors"
	"fmt"
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

	Wristbands int           // the first so many people wear one; the others carry phones
	Interval   time.Duration // between a wristband's fixes; default a minute
	Misdeeds   []Misdeed     // what people do wrong
	Boot       int64         // boot counter of every device; default 1. A world that goes on from another needs a greater one
}

// Deed names what a misdeed is.
type Deed string

const (
	LeaveCity    Deed = "leave_city"
	EnterKeepOut Deed = "enter_keep_out"
	FallSilent   Deed = "fall_silent"
)

// Misdeed is one thing one person does wrong: from After the start (less than zero: it is going on when the
// world begins), for about Duration.
type Misdeed struct {
	Person   int // index, from 0
	Deed     Deed
	After    time.Duration
	Duration time.Duration
}

func (o *Options) validate() error {
	if o.People < 1 || o.People > 10_000 {
		return fmt.Errorf("people: %d is not between 1 and 10,000", o.People)
	}
	if o.Wristbands < 0 || o.Wristbands > o.People {
		return fmt.Errorf("wristbands: %d of %d people", o.Wristbands, o.People)
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
	if o.Boot == 0 {
		o.Boot = 1
	}
	return o.check(o.Misdeeds)
}

func (o *Options) check(misdeeds []Misdeed) error {
	for i, m := range misdeeds {
		switch {
		case m.Person < 0 || m.Person >= o.People:
			return fmt.Errorf("misdeed %d: there is no person %d", i, m.Person)
		case m.Deed == LeaveCity && len(o.Outside) == 0:
			return fmt.Errorf("misdeed %d: there is nowhere to go outside the city", i)
		case m.Deed == EnterKeepOut && o.KeepOut == nil:
			return fmt.Errorf("misdeed %d: there is no prohibited place", i)
		case m.Duration <= 0:
			return fmt.Errorf("misdeed %d: it must last some time", i)
		}
	}
	return nil
}
