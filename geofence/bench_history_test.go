package geofence_test

import (
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/id"
)

// TestBenchWhatIf measures how fast stored history is tried with a change, client and database together.
func TestBenchWhatIf(t *testing.T) {
	if os.Getenv("ZHIJIAO_TEST_BENCH") == "" {
		t.Skip("a measurement: make bench")
	}
	const people, days = 8, 30
	p := newPlace(t)
	var subjects []id.Subject
	for range people {
		s := p.person(noon.AddDate(0, 2, 0))
		p.rule(geofence.RuleSpec{Subject: s, Kind: geofence.StayIn, Zone: p.zone, Basis: "leave_city"})
		p.rule(geofence.RuleSpec{Subject: s, Kind: geofence.Silence, Basis: "positioning"})
		d := p.device(devices.Serial("BENCH-"+serialOf(s)), devices.Wristband)
		p.bind(d, s, time.Minute)
		subjects = append(subjects, s)
		for day := range days + 1 {
			_, err := p.pool.Exec(t.Context(), `SELECT position_partition($1::date)`, noon.AddDate(0, 0, day).Format(time.DateOnly))
			p.ok(err)
		}
		_, err := p.pool.Exec(t.Context(), `INSERT INTO position (subject_id, fix_at, boot, seq, binding_id, received_at, lon_e7, lat_e7, digest, accuracy_m, method, datum)
			SELECT $1, $3::timestamptz + n * interval '1 minute', 1, n, b.binding_id, $3::timestamptz + n * interval '1 minute', 1131600000 + (n * 37 % 400), 306500000 + (n * 91 % 400), n, 8, 1, 1
			FROM generate_series(1, $4) n, binding b WHERE b.subject_id = $1 AND b.device_id = $2`, s, d, noon, days*24*60)
		p.ok(err)
		_, err = p.pool.Exec(t.Context(), `INSERT INTO subject_state (subject_id, state) VALUES ($1, jsonb_build_object('since', $2::timestamptz))
			ON CONFLICT (subject_id) DO UPDATE SET state = excluded.state`, s, noon)
		p.ok(err)
	}
	_, err := p.pool.Exec(t.Context(), "ANALYZE position")
	p.ok(err)
	h := geofence.NewHistory(p.pool)
	trial := &geofence.Trial{From: noon, Until: noon.AddDate(0, 0, days), Change: func(f *geofence.Facts) { f.ChangeParams(geofence.StayIn, []byte(`{"band_m":200}`)) }}
	best := 0.0
	for range 3 {
		var mu sync.Mutex
		var wg sync.WaitGroup
		n, work := 0, make(chan id.Subject)
		start := time.Now()
		for range 2 {
			wg.Go(func() {
				for s := range work {
					_, judged, err := h.Try(t.Context(), s, trial)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					n += judged
					mu.Unlock()
				}
			})
		}
		for _, s := range subjects {
			work <- s
		}
		close(work)
		wg.Wait()
		if n < people*days*24*60-people {
			t.Fatalf("%d fixes judged", n)
		}
		best = max(best, float64(n)/time.Since(start).Seconds())
	}
	t.Logf("whatif: %.0f k fixes/s of stored history, client and database on %d cores", best/1e3, runtime.NumCPU())
}

func serialOf(s id.Subject) string { return string(rune('A' + int(s)%26)) }
