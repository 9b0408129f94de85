package geofence

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Schedule is 时段: the local-time windows in which a rule applies (R16). Asia/Shanghai. A window that crosses midnight
// belongs to the day it begins on. Immutable; nil is always.
type Schedule struct {
	rows       []scheduleRow
	exceptions map[int64][]window // by local day; no window: closed all day
	doc        []byte             // as it was written
}

// ScheduleVersion is what a schedule is for an interval.
type ScheduleVersion struct {
	Valid Interval
	*Schedule
}

// window is from and until in seconds of the local day; until may lie on the next day.
type window struct{ from, until int32 }

type scheduleRow struct {
	days [8]bool // by weekday, 1 is Monday
	on   dayKind
	window
}

type dayKind string

const (
	anyDay  dayKind = ""
	workday dayKind = "workday"
	dayOff  dayKind = "day_off"
)

type scheduleJSON struct {
	Rows []struct {
		Days  []int   `json:"days"`
		On    dayKind `json:"on"`
		From  string  `json:"from"`
		Until string  `json:"until"`
	} `json:"rows"`
	Exceptions []struct {
		Date    string `json:"date"`
		Windows []struct {
			From  string `json:"from"`
			Until string `json:"until"`
		} `json:"windows"`
	} `json:"exceptions"`
}

// ParseSchedule reads {"rows":[{"days":[1,2,3,4,5],"on":"workday","from":"22:00","until":"06:00"}],
// "exceptions":[{"date":"2026-10-01","windows":[]}]}. days are 1 (Monday) to 7; a row without days is for all of them; on
// is workday or day_off by the calendar; an exception takes the place of the rows on its date. What is empty, overlaps or
// makes no sense is refused, naming the field.
func ParseSchedule(doc []byte) (*Schedule, error) {
	var j scheduleJSON
	if err := strictJSON(doc, &j); err != nil {
		return nil, fmt.Errorf("schedule: %w", err)
	}
	if len(j.Rows) == 0 && len(j.Exceptions) == 0 {
		return nil, fmt.Errorf("schedule: rows: a schedule without a window never applies")
	}
	s := &Schedule{exceptions: map[int64][]window{}, doc: slices.Clone(doc)}
	for i, r := range j.Rows {
		row := scheduleRow{on: r.On}
		if r.On != anyDay && r.On != workday && r.On != dayOff {
			return nil, fmt.Errorf("schedule: rows[%d].on: %q is neither workday nor day_off", i, r.On)
		}
		for _, d := range r.Days {
			if d < 1 || d > 7 || row.days[d] {
				return nil, fmt.Errorf("schedule: rows[%d].days: %d is no weekday (1 Monday to 7 Sunday), or there twice", i, d)
			}
			row.days[d] = true
		}
		if len(r.Days) == 0 {
			row.days = [8]bool{false, true, true, true, true, true, true, true}
		}
		var err error
		if row.window, err = parseWindow(r.From, r.Until); err != nil {
			return nil, fmt.Errorf("schedule: rows[%d].%w", i, err)
		}
		s.rows = append(s.rows, row)
	}
	if err := s.overlapping(); err != nil {
		return nil, err
	}
	for i, x := range j.Exceptions {
		date, err := time.Parse(time.DateOnly, x.Date)
		if err != nil {
			return nil, fmt.Errorf("schedule: exceptions[%d].date: %q is no date", i, x.Date)
		}
		day := date.Unix() / daySeconds
		if _, ok := s.exceptions[day]; ok {
			return nil, fmt.Errorf("schedule: exceptions[%d].date: %s is there twice", i, x.Date)
		}
		list := []window{}
		for k, w := range x.Windows {
			one, err := parseWindow(w.From, w.Until)
			if err != nil {
				return nil, fmt.Errorf("schedule: exceptions[%d].windows[%d].%w", i, k, err)
			}
			list = append(list, one)
		}
		slices.SortFunc(list, func(a, b window) int { return cmp.Compare(a.from, b.from) })
		for k := 1; k < len(list); k++ {
			if list[k].from < list[k-1].until {
				return nil, fmt.Errorf("schedule: exceptions[%d].windows: two of them overlap", i)
			}
		}
		s.exceptions[day] = list
	}
	return s, nil
}

func parseWindow(from, until string) (w window, err error) {
	if w.from, err = clockTime(from); err != nil || w.from == daySeconds {
		return w, fmt.Errorf("from: %q is no time of day, 00:00 to 23:59", from)
	}
	if w.until, err = clockTime(until); err != nil {
		return w, fmt.Errorf("until: %q is no time of day, 00:00 to 24:00", until)
	}
	if w.from == w.until {
		return w, fmt.Errorf("until: a window from %s to %s is empty, or a whole day: say 00:00 to 24:00", from, until)
	}
	if w.until < w.from {
		w.until += daySeconds
	}
	return w, nil
}

// clockTime reads HH:MM as seconds of the day; 24:00 is its end.
func clockTime(s string) (int32, error) {
	var h, m int32
	if len(s) != 5 || s[2] != ':' {
		return 0, fmt.Errorf("not HH:MM")
	}
	for i, to := range []*int32{&h, &m} {
		for _, c := range s[3*i : 3*i+2] {
			if c < '0' || c > '9' {
				return 0, fmt.Errorf("not HH:MM")
			}
			*to = *to*10 + (c - '0')
		}
	}
	if h > 24 || m > 59 || h == 24 && m > 0 {
		return 0, fmt.Errorf("not a time of day")
	}
	return h*3600 + m*60, nil
}

// overlapping refuses rows that overlap on the same kind of day: one of them is not what its author meant. Rows may overlap
// with what is left of the day before.
func (s *Schedule) overlapping() error {
	for i := range s.rows {
		for k := range i {
			a, b := &s.rows[i], &s.rows[k]
			if a.on != anyDay && b.on != anyDay && a.on != b.on || a.from >= b.until || b.from >= a.until {
				continue
			}
			for d := 1; d <= 7; d++ {
				if a.days[d] && b.days[d] {
					return fmt.Errorf("schedule: rows[%d]: overlaps with rows[%d] on weekday %d", i, k, d)
				}
			}
		}
	}
	return nil
}

// never reports whether there is no window on any day. What is on record is read all the same.
func (s *Schedule) never() bool {
	for _, list := range s.exceptions {
		if len(list) > 0 {
			return false
		}
	}
	return len(s.rows) == 0
}

// UsesCalendar reports whether it matters which days are off.
func (s *Schedule) UsesCalendar() bool {
	return s != nil && slices.ContainsFunc(s.rows, func(r scheduleRow) bool { return r.on != anyDay })
}

// MarshalJSON writes what ParseSchedule read.
func (s *Schedule) MarshalJSON() ([]byte, error) { return s.doc, nil }

// mostWindows is how many windows of one day are looked at without memory.
const mostWindows = 16

// on appends the windows of a local day.
func (s *Schedule) on(day int64, c *Calendar, to []window) []window {
	if x, ok := s.exceptions[day]; ok {
		return append(to, x...)
	}
	w := weekday(day)
	for i := range s.rows {
		r := &s.rows[i]
		if r.days[w] && (r.on == anyDay || (r.on == dayOff) == c.off(day)) {
			to = append(to, r.window)
		}
	}
	return to
}

// farthest is how many days are searched for a change.
const farthest = 400

// At reports whether a schedule applies at t, and the interval around t in which that does not change; an open end is one
// that was not found within 400 days.
func (s *Schedule) At(t time.Time, c *Calendar) (in bool, v Interval) {
	if s == nil {
		return true, v
	}
	var buffer [mostWindows]window
	at := t.Unix()
	if t.Nanosecond() < 0 {
		at--
	}
	today := localDay(t)
	base := func(day int64) int64 { return day*daySeconds - shanghaiOffset }
	// Outside: the last end before, and the next beginning after.
	from, until := int64(-1<<62), int64(1<<62)
	for day := today - 1; day <= today+1; day++ {
		for _, w := range s.on(day, c, buffer[:0]) {
			a, b := base(day)+int64(w.from), base(day)+int64(w.until)
			if a <= at && at < b {
				in = true
			}
		}
	}
	if in {
		from, until = s.stretch(at, c)
	} else {
		for d := today; d <= today+farthest && until == 1<<62; d++ {
			for _, w := range s.on(d, c, buffer[:0]) {
				if a := base(d) + int64(w.from); a > at {
					until = min(until, a)
				}
			}
		}
		for d := today; d >= today-farthest && (from == -1<<62 || base(d+2) > from); d-- {
			for _, w := range s.on(d, c, buffer[:0]) {
				if b := base(d) + int64(w.until); b <= at {
					from = max(from, b)
				}
			}
		}
	}
	if from > -1<<62 {
		v.From = time.Unix(from, 0).UTC()
	}
	if until < 1<<62 {
		v.Until = time.Unix(until, 0).UTC()
	}
	return in, v
}

// Ended is the last window that is over at t, by itself however the next one follows it; ok is false where none ended within
// 400 days.
func (s *Schedule) Ended(t time.Time, c *Calendar) (v Interval, ok bool) {
	var buffer [mostWindows]window
	var from, until int64
	for today, day := localDay(t), localDay(t); day >= today-farthest; day-- {
		for _, w := range s.on(day, c, buffer[:0]) {
			a, b := day*daySeconds-shanghaiOffset+int64(w.from), day*daySeconds-shanghaiOffset+int64(w.until)
			if b <= t.Unix() && (!ok || b > until || b == until && a > from) {
				from, until, ok = a, b, true
			}
		}
		if ok && day*daySeconds-shanghaiOffset < until-daySeconds { // those of earlier days end earlier
			break
		}
	}
	return Interval{time.Unix(from, 0).UTC(), time.Unix(until, 0).UTC()}, ok
}

// Ends is when the next window ends after t; zero where none does within 400 days.
func (s *Schedule) Ends(t time.Time, c *Calendar) (next time.Time) {
	var buffer [mostWindows]window
	first := int64(1 << 62)
	for today, day := localDay(t), localDay(t)-1; day <= today+farthest; day++ {
		if first < 1<<62 && day*daySeconds-shanghaiOffset >= first {
			break
		}
		for _, w := range s.on(day, c, buffer[:0]) {
			if b := day*daySeconds - shanghaiOffset + int64(w.until); b > t.Unix() {
				first = min(first, b)
			}
		}
	}
	if first == 1<<62 {
		return next
	}
	return time.Unix(first, 0).UTC()
}

// stretch joins windows that follow one another without a gap around an instant inside: forward, then back, each for as
// many days as are searched for a change. A schedule that always applies has no end to find.
func (s *Schedule) stretch(at int64, c *Calendar) (from, until int64) {
	var buffer [mostWindows]window
	from, until = at, at
	for grown := true; grown; {
		if until-at > farthest*daySeconds {
			until = 1 << 62
			break
		}
		grown = false
		for last, day := until, localDay(time.Unix(until, 0))-1; day <= localDay(time.Unix(last, 0)); day++ {
			for _, w := range s.on(day, c, buffer[:0]) {
				a, b := day*daySeconds-shanghaiOffset+int64(w.from), day*daySeconds-shanghaiOffset+int64(w.until)
				if a <= until && b > until {
					until, grown = b, true
				}
			}
		}
	}
	for grown := true; grown; {
		if at-from > farthest*daySeconds {
			from = -1 << 62
			break
		}
		grown = false
		for first, day := from, localDay(time.Unix(from, 0)); day >= localDay(time.Unix(first, 0))-2; day-- { // a window lasts into the next day at most
			for _, w := range s.on(day, c, buffer[:0]) {
				a, b := day*daySeconds-shanghaiOffset+int64(w.from), day*daySeconds-shanghaiOffset+int64(w.until)
				if b >= from && a < from {
					from, grown = a, true
				}
			}
		}
	}
	return from, until
}
