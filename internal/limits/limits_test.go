package limits_test

import (
	"testing"
	"time"

	"zhijiao/internal/limits"
	"zhijiao/internal/pgtest"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestForecast_R42(t *testing.T) {
	day := func(n int) time.Time { return now.AddDate(0, 0, n).Truncate(24 * time.Hour) }
	line := func(from, days int, used func(int) float64) (out []limits.Sample) {
		for n := range days {
			out = append(out, limits.Sample{Day: day(from + n), Used: used(n)})
		}
		return out
	}
	steady := line(-9, 10, func(n int) float64 { return 100 + 10*float64(n) })
	for name, c := range map[string]struct {
		samples []limits.Sample
		used    float64
		want    time.Time
	}{
		"ten a day, and three hundred left": {steady, 200, now.AddDate(0, 0, 30)},
		"full already":                      {steady, 500, now},
		"two days are not enough":           {steady[:2], 200, time.Time{}},
		"it shrinks":                        {line(-9, 10, func(n int) float64 { return 100 - float64(n) }), 90, time.Time{}},
		"it stands still":                   {line(-9, 10, func(int) float64 { return 100 }), 100, time.Time{}},
		"a hair a day":                      {line(-9, 10, func(n int) float64 { return 100 + float64(n)/1e6 }), 100, time.Time{}},
		"what was months ago does not count": {append(line(-90, 20, func(n int) float64 { return 1000 * float64(n) }), line(-9, 10,
			func(n int) float64 { return 100 + 10*float64(n) })...), 200, now.AddDate(0, 0, 30)},
	} {
		if got := limits.Forecast(c.samples, c.used, 500, now); got.Sub(c.want).Abs() > time.Minute {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestLimitsOfADatabase_R42: every sequence is 64 bit and watched, with the ids of transactions and the disk.
func TestLimitsOfADatabase_R42(t *testing.T) {
	t.Parallel()
	pool, ctx := pgtest.Schema(t), t.Context()
	if _, err := pool.Exec(ctx, "SELECT setval(pg_get_serial_sequence('subject', 'subject_id'), 5e18::bigint)"); err != nil {
		t.Fatal(err)
	}
	var list []limits.Limit
	for n := range 5 {
		var err error
		if list, err = limits.Look(ctx, pool); err != nil {
			t.Fatal(err)
		}
		for i := range list {
			if list[i].Name == "sequence:subject_subject_id_seq" {
				list[i].Used += float64(n) * 1e17
			}
		}
		if err := limits.Record(ctx, pool, list, now.AddDate(0, 0, n)); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]limits.Limit{}
	for _, l := range list {
		if seen[l.Name] = l; len(l.Name) > 9 && l.Name[:9] == "sequence:" && l.Capacity < 9e18 {
			t.Errorf("%s ends at %g", l.Name, l.Capacity)
		}
	}
	s := seen["sequence:subject_subject_id_seq"]
	if r := s.Ratio(); r < limits.WarnAt || r > .6 {
		t.Errorf("ratio %f", r)
	}
	if days := s.Full.Sub(now.AddDate(0, 0, 4)).Hours() / 24; days < 37 || days > 39 {
		t.Errorf("full in %f days", days)
	}
	for _, name := range []string{"transaction_ids", "multixact_ids", "connections", "database_disk"} {
		if l := seen[name]; l.Capacity <= 0 || l.Used < 0 || l.Ratio() > 1 {
			t.Errorf("%s: %+v", name, l)
		}
	}
}
