package devices_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zhijiao/devices"
)

// drain is a battery that falls by perHour from percent, read every so often.
func drain(percent, perHour float64, every time.Duration, n int) (list []devices.BatteryReading) {
	for i := range n {
		d := time.Duration(i) * every
		list = append(list, devices.BatteryReading{At: start.Add(d), Percent: max(0, int(math.Round(percent-perHour*d.Hours())))})
	}
	return list
}

func shift(list []devices.BatteryReading, by time.Duration) []devices.BatteryReading {
	for i := range list {
		list[i].At = list[i].At.Add(by)
	}
	return list
}

// R61: when a battery runs out, by the newest discharge alone.
func TestBatteryForecast_R61(t *testing.T) {
	t.Parallel()
	charged := append(drain(90, 30, 10*time.Minute, 12), shift(drain(100, 10, 10*time.Minute, 13), 3*time.Hour)...)
	charging := drain(60, 10, 10*time.Minute, 13)
	charging[len(charging)-1].Charging = true
	for what, c := range map[string]struct {
		list []devices.BatteryReading
		dead time.Duration // after start; 0: nothing is said
		soon bool          // at the last reading
	}{
		"ten an hour":             {drain(60, 10, 10*time.Minute, 13), 6 * time.Hour, true},
		"five an hour":            {drain(100, 5, 10*time.Minute, 13), 20 * time.Hour, false},
		"charged since":           {charged, 13 * time.Hour, false},
		"charges":                 {charging, 0, false},
		"too short":               {drain(60, 60, time.Minute, 20), 0, false},
		"does not fall":           {drain(60, 0, 10*time.Minute, 50), 0, false},
		"nothing":                 {nil, 0, false},
		"two readings":            {drain(60, 10, time.Hour, 2), 0, false},
		"all at the same instant": {drain(60, 10, 0, 20), 0, false},
	} {
		f, ok := devices.ForecastBattery(c.list)
		if ok != (c.dead > 0) {
			t.Errorf("%s: said %v", what, ok)
			continue
		}
		if !ok {
			continue
		}
		if off := f.Dead.Sub(start.Add(c.dead)).Abs(); off > 45*time.Minute {
			t.Errorf("%s: dead after %v, want %v", what, f.Dead.Sub(start), c.dead)
		}
		if f.Soon(f.At) != c.soon {
			t.Errorf("%s: soon is %v", what, !c.soon)
		}
	}
}

// R61: whatever the order and a few wrong readings, the forecast stays near; it is never before the newest reading.
func TestBatteryForecastHolds_R61(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		percent, perHour := rapid.Float64Range(40, 100).Draw(t, "percent"), rapid.Float64Range(4, 10).Draw(t, "rate")
		list := drain(percent, perHour, 10*time.Minute, 24)
		clean, ok := devices.ForecastBattery(list)
		if !ok || clean.Dead.Before(clean.At) {
			t.Fatalf("%v %+v", ok, clean)
		}
		if math.Abs(clean.PerHour-perHour) > 1 {
			t.Errorf("%.2f an hour, want %.2f", clean.PerHour, perHour)
		}
		for range 2 { // a reading that is a little off
			i := rapid.IntRange(1, len(list)-2).Draw(t, "i")
			list[i].Percent = min(100, list[i].Percent+1)
		}
		mixed, ok := devices.ForecastBattery(rapid.Permutation(list).Draw(t, "order"))
		if !ok || math.Abs(mixed.PerHour-clean.PerHour) > 1 {
			t.Errorf("%v: %.2f an hour, want %.2f", ok, mixed.PerHour, clean.PerHour)
		}
	})
}

// R61: nothing that a device can say breaks it.
func TestBatteryForecastTakesAnything_R61(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) devices.BatteryReading {
			return devices.BatteryReading{At: start.Add(time.Duration(rapid.Int64Range(-1e15, 1e15).Draw(t, "at"))),
				Percent: rapid.IntRange(-10, 300).Draw(t, "percent"), Charging: rapid.IntRange(0, 9).Draw(t, "charging") == 0}
		}), 0, 200).Draw(t, "list")
		f, ok := devices.ForecastBattery(list)
		if ok && (f.PerHour <= 0 || f.Dead.Before(f.At) || f.Percent < 0 || f.Percent > 100) {
			t.Errorf("%+v", f)
		}
	})
}
