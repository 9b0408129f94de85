package supervision

import (
	"slices"
	"time"
)

// Unit is what a period is counted in.
type Unit string

const (
	Hours       Unit = "hour"
	Days        Unit = "day"         // calendar days at Asia/Shanghai
	WorkingDays Unit = "working_day" // days that are not off, by the calendar of the State Council
	Months      Unit = "month"       // calendar months; the end of a shorter month is its last day
)

// Evidence says how a period's number is known.
type Evidence string

const (
	Statute   Evidence = "statute"   // read in the primary text
	Secondary Evidence = "secondary" // read in a text about it
	Recalled  Evidence = "recalled"  // to be compared with the text before it is relied on
	Policy    Evidence = "policy"    // no law: this platform's, and the site's to change
)

// Period is 期限: how long something may or must take, or how much of it there may be, as one version of the rule table says it.
type Period struct {
	ID             int64
	Code           string
	Title, TitleEN string
	Amount         []int // of Unit; more than one where it is a series (reminders)
	Unit           Unit
	FirstDay       bool // the day on which it begins counts as its first (刑事诉讼法 105 counts it not)
	Roll           bool // 节假日顺延: where its last day is off, it ends on the next working day
	Inclusive      bool // the number itself is within it (实施办法 58)
	Citation       string
	Evidence       Evidence
	From           time.Time // since when it applies
	Until          time.Time // zero: open
}

// DayOff says whether nobody works on the civil day of t at Asia/Shanghai.
type DayOff func(t time.Time) bool

// weekend is what is off where no calendar is known.
func weekend(t time.Time) bool {
	w := t.In(shanghai).Weekday()
	return w == time.Saturday || w == time.Sunday
}

// End is the first instant after the period that begins at start; n is one of its amounts. Days end at midnight, Asia/Shanghai; hours
// and months whose first day counts keep the time of day.
func (p *Period) End(start time.Time, n int, off DayOff) time.Time {
	if off == nil {
		off = weekend
	}
	day := civilDay(start)
	switch p.Unit {
	case Hours:
		return start.Add(time.Duration(n) * time.Hour)
	case Months:
		if p.FirstDay {
			return addMonths(start, n)
		}
		day = addMonths(day, n)
	case WorkingDays:
		if p.FirstDay && !off(day) {
			n--
		}
		for n > 0 {
			day = day.AddDate(0, 0, 1)
			if !off(day) {
				n--
			}
		}
	default:
		if p.FirstDay {
			n--
		}
		day = day.AddDate(0, 0, n)
	}
	for p.Roll && off(day) {
		day = day.AddDate(0, 0, 1)
	}
	return day.AddDate(0, 0, 1)
}

// Within reports whether n of its unit is still within the period: the number itself is, or is not (实施办法 58).
func (p *Period) Within(n int) bool {
	return n < p.Amount[0] || p.Inclusive && n == p.Amount[0]
}

// Law is the rule table as it stood at an instant: what decides, and which version of it (R90).
type Law struct {
	At      time.Time
	periods []Period
	Off     DayOff
}

// NewLaw is a law of these periods at an instant.
func NewLaw(at time.Time, periods []Period, off DayOff) *Law {
	return &Law{At: at, periods: periods, Off: off}
}

// Period is the version of a period that applies at the law's instant; nil where there is none.
func (l *Law) Period(code string) *Period {
	i := slices.IndexFunc(l.periods, func(p Period) bool {
		return p.Code == code && !l.At.Before(p.From) && (p.Until.IsZero() || l.At.Before(p.Until))
	})
	if i < 0 {
		return nil
	}
	return &l.periods[i]
}

// civilDay is the midnight at Asia/Shanghai that begins the day of t.
func civilDay(t time.Time) time.Time {
	year, month, day := t.In(shanghai).Date()
	return time.Date(year, month, day, 0, 0, 0, 0, shanghai)
}

// addMonths is n calendar months later at Asia/Shanghai at the same time of day; the end of a shorter month is its last day.
func addMonths(t time.Time, n int) time.Time {
	l := t.In(shanghai)
	year, month, day := l.Date()
	last := time.Date(year, month+time.Month(n)+1, 0, 0, 0, 0, 0, shanghai).Day()
	return time.Date(year, month+time.Month(n), min(day, last), l.Hour(), l.Minute(), l.Second(), l.Nanosecond(), shanghai)
}

// daysOf is how many civil days of Asia/Shanghai an interval touches; until is exclusive.
func daysOf(from, until time.Time) int {
	if !from.Before(until) {
		return 0
	}
	first, last := civilDay(from), civilDay(until.Add(-time.Nanosecond))
	return int(last.Sub(first)/(24*time.Hour)) + 1
}
