package devices

import (
	"slices"
	"time"
)

// BatteryReading is what a device said of its battery.
type BatteryReading struct {
	At       time.Time // its own time
	Percent  int       // 0 to 100
	Charging bool
}

const (
	// BatterySoon is how far ahead a battery that runs out is told (R61).
	BatterySoon = 8 * time.Hour

	batteryReadings = 64               // of one discharge, at most: the newest
	batteryApart    = 10 * time.Minute // two readings closer than this say nothing of a rate: a per cent is the finest step
	batterySpan     = 30 * time.Minute // of a discharge, at least
	batteryFall     = 2                // per cent of a discharge, at least
	batteryRise     = 3                // per cent above the lowest so far: it was charged, though nobody said so
)

// BatteryForecast is when a battery runs out if it goes on as since it was last charged.
type BatteryForecast struct {
	At      time.Time // of the newest reading
	Percent int       // then
	PerHour float64   // per cent it falls by in an hour, above 0
	Dead    time.Time // when nothing is left
}

// ForecastBattery looks at the newest discharge of readings in any order. The rate is the median of those between all pairs of readings
// (Theil and Sen), so that up to a quarter of wrong readings do not move it far. It says false where the device charges, or too little is
// known: less than half an hour, or a fall of less than two per cent.
func ForecastBattery(readings []BatteryReading) (BatteryForecast, bool) {
	list := slices.Clone(readings)
	slices.SortStableFunc(list, func(a, b BatteryReading) int { return a.At.Compare(b.At) })
	list = discharge(list)
	if len(list) < 3 {
		return BatteryForecast{}, false
	}
	first, last := list[0], list[len(list)-1]
	if last.At.Sub(first.At) < batterySpan || first.Percent-last.Percent < batteryFall {
		return BatteryForecast{}, false
	}
	var rates []float64 // per cent an hour
	for i, a := range list {
		for _, b := range list[i+1:] {
			if d := b.At.Sub(a.At); d >= batteryApart {
				rates = append(rates, float64(a.Percent-b.Percent)/d.Hours())
			}
		}
	}
	if len(rates) == 0 {
		return BatteryForecast{}, false
	}
	slices.Sort(rates)
	rate := rates[len(rates)/2]
	if rate <= 0 {
		return BatteryForecast{}, false
	}
	// At a rate that would take years nothing is said: the sum would not be a time any more.
	left := float64(last.Percent) / rate
	if left > 365*24 {
		return BatteryForecast{}, false
	}
	return BatteryForecast{At: last.At, Percent: last.Percent, PerHour: rate, Dead: last.At.Add(time.Duration(left * float64(time.Hour)))}, true
}

// discharge is the end of a list in order of time in which the device neither says that it charges nor gains.
func discharge(list []BatteryReading) []BatteryReading {
	start, highest := len(list), -1 // from the end backwards, what was later never lies well above what was earlier
	for start > 0 && len(list)-start < batteryReadings {
		r := list[start-1]
		if r.Charging || r.Percent < 0 || r.Percent > 100 || highest-r.Percent >= batteryRise {
			break
		}
		start, highest = start-1, max(highest, r.Percent)
	}
	return list[start:]
}

// Soon says whether the battery runs out within BatterySoon of now, or has.
func (f BatteryForecast) Soon(now time.Time) bool { return f.Dead.Before(now.Add(BatterySoon)) }
