package limits

import (
	"slices"
	"time"
)

// WarnAt is the share from which a limit is warned of (R42).
const WarnAt = 0.5

// window is how far back a forecast looks: long enough for weekends, short enough to see a change.
const window = 30 * 24 * time.Hour

// Limit is something that can run out.
type Limit struct {
	Name           string
	Used, Capacity float64   // in the same unit: numbers, transactions or bytes
	Full           time.Time // when it will be full as it goes on; zero: nobody can say, or never
}

// Ratio is how much of it is used, from 0 to 1.
func (l *Limit) Ratio() float64 { return l.Used / l.Capacity }

// Sample is how much was used on a day.
type Sample struct {
	Day  time.Time
	Used float64
}

// Forecast says when a capacity is reached when usage goes on as the least-squares line through the samples of the last weeks up to now;
// zero where it does not grow, where there are not three days to go by, or where it is further off than anybody plans (a century).
func Forecast(samples []Sample, used, capacity float64, now time.Time) time.Time {
	recent := slices.DeleteFunc(slices.Clone(samples), func(s Sample) bool { return s.Day.After(now) || now.Sub(s.Day) > window })
	if len(recent) < 3 {
		return time.Time{}
	}
	var sumX, sumY float64
	x := func(s Sample) float64 { return s.Day.Sub(now).Hours() / 24 }
	for _, s := range recent {
		sumX, sumY = sumX+x(s), sumY+s.Used
	}
	n := float64(len(recent))
	var over, under float64
	for _, s := range recent {
		dx := x(s) - sumX/n
		over, under = over+dx*(s.Used-sumY/n), under+dx*dx
	}
	if under == 0 || over <= 0 {
		return time.Time{}
	}
	days := (capacity - used) / (over / under)
	if days > 36_525 {
		return time.Time{}
	}
	return now.Add(time.Duration(max(days, 0) * 24 * float64(time.Hour)))
}
