package geofence

import "time"

// Calendar is which dates are days off and which Saturdays and Sundays are worked (调休), as the State Council orders it
// for a year, and for which years that is known. Asia/Shanghai. Immutable; nil knows no year.
type Calendar struct {
	days  map[int32]bool // days since 1970 in Asia/Shanghai: true is off, false is worked
	years map[int]bool
}

// CalendarDay is one date that is not what its weekday says.
type CalendarDay struct {
	Date time.Time // any instant of the date, Asia/Shanghai
	Off  bool
}

// NewCalendar returns the calendar of some years.
func NewCalendar(years []int, days []CalendarDay) *Calendar {
	c := &Calendar{days: make(map[int32]bool, len(days)), years: make(map[int]bool, len(years))}
	for _, y := range years {
		c.years[y] = true
	}
	for _, d := range days {
		c.days[int32(localDay(d.Date))] = d.Off
	}
	return c
}

// Covers reports whether the calendar of a year is known. Where it is not, Saturdays and Sundays are off and nothing else
// is, and whoever uses it says so.
func (c *Calendar) Covers(year int) bool { return c != nil && c.years[year] }

// Off reports whether the day of an instant at Asia/Shanghai is a day off.
func (c *Calendar) Off(t time.Time) bool { return c.off(localDay(t)) }

// off reports whether a local day is a day off.
func (c *Calendar) off(day int64) bool {
	if c != nil {
		if off, ok := c.days[int32(day)]; ok {
			return off
		}
	}
	w := weekday(day)
	return w == 6 || w == 7
}

// Asia/Shanghai is eight hours ahead of UTC and has known no summer time since 1991.
const shanghaiOffset = 8 * 60 * 60

// localDay is days since 1970 by the clock of Asia/Shanghai.
func localDay(t time.Time) int64 {
	s := t.Unix() + shanghaiOffset
	d := s / daySeconds
	if s%daySeconds < 0 {
		d--
	}
	return d
}

// midnight is when a local day begins.
func midnight(day int64) time.Time { return time.Unix(day*daySeconds-shanghaiOffset, 0).UTC() }

// weekday is 1 for Monday to 7 for Sunday; 1 January 1970 was a Thursday.
func weekday(day int64) int { return int(((day+3)%7+7)%7) + 1 }
