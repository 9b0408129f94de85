package geofence_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"zhijiao/geofence"
	"zhijiao/internal/id"
)

// benchHistory are people with three days at a fix a minute with every column of R34, stored as they came: everybody in turns.
const benchHistory = `
INSERT INTO subject (local_no, category) SELECT 'TM' || to_char(n, 'FM000000'), '02' FROM generate_series(1, $1::int) n`

// TestBenchStorage_R34_R43 measures what a fix costs as a row and packed, how fast days are packed, and how long somebody's day takes to
// read, as rows and packed. ZHIJIAO_TEST_BENCH_ROWS says how many rows there are (100 million need 20 GB and an hour).
func TestBenchStorage_R34_R43(t *testing.T) {
	if os.Getenv("ZHIJIAO_TEST_BENCH") == "" {
		t.Skip("a measurement: make bench")
	}
	rows := 6_000_000
	if s := os.Getenv("ZHIJIAO_TEST_BENCH_ROWS"); s != "" {
		var err error
		if rows, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	const days = 3
	people := max(rows/days/1440, 10)
	p := newPlace(t)
	ctx := t.Context()
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := p.pool.Exec(ctx, sql, args...)
		p.ok(err)
	}
	exec(benchHistory, people)
	exec(`INSERT INTO subject_office (subject_id, org_id, valid, recorded) SELECT subject_id, $1, tstzrange($2, NULL), tstzrange($2, NULL) FROM subject`, p.office, noon.AddDate(0, -1, 0))
	exec(`INSERT INTO authority (subject_id, ground, approver_id, document_no, valid, recorded, informed_at)
		SELECT subject_id, 1, $1, '1', tstzrange($2, $3), tstzrange($2, NULL), $2 FROM subject`, p.head, noon.AddDate(0, -1, 0), noon.AddDate(0, 1, 0))
	exec(`INSERT INTO device (serial, class, enrolled_at) SELECT 'B' || subject_id, 'wristband', $1 FROM subject`, noon.AddDate(0, -1, 0))
	exec(`INSERT INTO binding (device_id, class, subject_id, interval_s, valid, recorded)
		SELECT device_id, 'wristband', substr(serial, 2)::bigint, 60, tstzrange($1, NULL), tstzrange($1, NULL) FROM device`, noon.AddDate(0, -1, 0))
	exec(`INSERT INTO radio (operator, cell, sim, used_on) SELECT '46000', '460-00-9346-' || n % 400, '8986001234567890' || s, $2::date FROM generate_series(1, $1::int) s, generate_series(0, 2) n`, people, noon)
	first := noon.Truncate(24 * time.Hour)
	start := time.Now()
	for day := range days {
		from := first.AddDate(0, 0, day)
		exec("SELECT position_partition($1::date)", from.Format(time.DateOnly))
		for hour := range 24 { // who sits at home and who moves: a third of the day
			exec(`INSERT INTO position (subject_id, fix_at, boot, seq, binding_id, received_at, stored_at, lon_e7, lat_e7, digest, accuracy_m, speed_mps, skew_ms, flags, method, datum,
					satellites, battery, strap, signal_dbm, charging, radio_id)
				SELECT s, at, 1763900000, extract(epoch FROM at)::bigint / 60, b.binding_id, at + late, at + late + make_interval(secs => round((.004 - .004 * ln(1 - random()))::numeric, 3)),
					1131600000 + s * 977 % 2000000 + CASE WHEN $3 % 3 = 0 THEN m * 40000 + (random() * 4000)::int ELSE 0 END + ((random() + random() + random() - 1.5) * 700)::int,
					306500000 + s * 499 % 2000000 + CASE WHEN $3 % 3 = 0 THEN m * 9000 + (random() * 4000)::int ELSE 0 END + ((random() + random() + random() - 1.5) * 700)::int,
					(random() * 2e9)::int, round((4 - 2 * ln(1 - random()))::numeric, 1), CASE WHEN $3 % 3 = 0 THEN round((8 + random())::numeric, 1) ELSE 0 END,
					extract(milliseconds FROM late)::int, 0, 1, 1, 8 + (random() * 4)::int, 90 - $3, 1, -85 + (random() * 8)::int, false, s * 3 - (random() * 2)::int
				FROM generate_series(0, 59) m, (SELECT subject_id AS s, binding_id FROM binding) AS b,
					LATERAL (SELECT $1::timestamptz + make_interval(hours => $2, mins => m, secs => s % 60) AS at,
						make_interval(secs => round((.25 - .15 * ln(1 - random()))::numeric, 3)) AS late) AS x ORDER BY m, s % 60, s`, from, hour, hour)
			fmt.Fprintf(os.Stderr, "\rhistory: hour %d of %d, %.1f million rows", day*24+hour+1, days*24, float64(people*60*(day*24+hour+1))/1e6)
		}
	}
	fmt.Fprintln(os.Stderr)
	exec("VACUUM ANALYZE position")
	t.Logf("%d people, %.1f million rows, built in %s", people, float64(people*1440*days)/1e6, time.Since(start).Round(time.Second))
	parts := func() {
		t.Helper()
		list, err := geofence.HistoryParts(ctx, p.pool)
		p.ok(err)
		for _, part := range list {
			if part.Fixes > 0 {
				t.Logf("%s: %d fixes, %.1f bytes a fix", part.Name, part.Fixes, float64(part.Bytes)/float64(part.Fixes))
			}
		}
	}
	parts()
	p.clock.Step(first.AddDate(0, 0, days))
	r := rand.New(rand.NewPCG(1, 1))
	read := func(what string, day int) {
		t.Helper()
		var took []time.Duration
		for range 300 {
			s, from := id.Subject(1+r.IntN(people)), first.AddDate(0, 0, day)
			begin := time.Now()
			list, err := geofence.ReadTrack(ctx, p.pool, p.office, p.clock.Now(), s, from, from.AddDate(0, 0, 1), 100_000)
			took = append(took, time.Since(begin))
			if p.ok(err); len(list) != 1440 {
				t.Fatalf("%d fixes", len(list))
			}
		}
		slices.Sort(took)
		t.Logf("somebody's day %s, 1440 fixes: median %s, p95 %s, longest %s (at most 50 ms are wanted)", what, took[150].Round(10*time.Microsecond),
			took[285].Round(10*time.Microsecond), took[299].Round(10*time.Microsecond))
	}
	read("as rows, the first time", 1)
	read("as rows, warm", 1)
	p.clock.Step(first.AddDate(0, 0, 3)) // the first day is over for two
	begin := time.Now()
	p.archive(0)
	took := time.Since(begin)
	t.Logf("a day packed in %s, %.0f fixes/s", took.Round(time.Second), float64(people*1440)/took.Seconds())
	exec("VACUUM ANALYZE position_pack")
	parts()
	read("packed", 0)
}
