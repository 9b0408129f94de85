package console_test

import (
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"zhijiao/console"
)

// TestBenchRowSecurity compares lists over 10,000 people with row-level security behind the queries and without, request by request in turns, for the
// whole city and for an office. Run by make bench.
func TestBenchRowSecurity_R96(t *testing.T) {
	if os.Getenv("ZHIJIAO_TEST_BENCH") == "" {
		t.Skip("a measurement: make bench")
	}
	c := newCounty(t, setup(t), 24, 200, 20)
	// The rest of ten thousand people by SQL: what there is about each is what newCounty makes.
	c.exec(t, `INSERT INTO subject (local_no, category) SELECT 'TB' || lpad(n::text, 8, '0'), '02' FROM generate_series(1, 9800) n`)
	c.exec(t, `INSERT INTO subject_person (subject_id, surname, name) SELECT subject_id, '孙', '\x00' FROM subject WHERE local_no LIKE 'TB%'`)
	c.exec(t, `INSERT INTO subject_office (subject_id, org_id, valid, recorded) SELECT subject_id, 2 + subject_id % 25, '[2026-01-01,)', '[2026-01-01,)' FROM subject WHERE local_no LIKE 'TB%'`)
	c.exec(t, `INSERT INTO device (serial, class, org_id, enrolled_at) SELECT local_no, 'phone', 2 + subject_id % 25, $1 FROM subject WHERE local_no LIKE 'TB%'`, now)
	c.exec(t, `INSERT INTO binding (device_id, class, subject_id, interval_s, finest_s, valid, recorded) SELECT device_id, 'phone', subject_id, 28800, 600, '[2026-01-01,)', '[2026-01-01,)'
		FROM device JOIN subject ON local_no = serial`)
	c.exec(t, `INSERT INTO current_position (subject_id, geom, fix_at, device_id, accuracy_m, method, battery) SELECT subject_id, ST_SetSRID(ST_MakePoint(113.1, 30.6), 4326), $1, 1, 12.5, 1, 83 FROM subject
		WHERE local_no LIKE 'TB%'`, now)
	c.exec(t, `INSERT INTO proceeding (kind, subject_id, org_id, state, version, facts, opened_at) SELECT 'leave', subject_id, org_id, 'applied', 1, '{}', $1 FROM subject_office WHERE subject_id % 9 = 0`, now)
	c.exec(t, "ANALYZE")
	guarded, bare := c.again(t, reading(t, c.bench)), c.again(t, c.pool)
	var city, office *official
	for n := range c.officers {
		o := &c.officers[n]
		o.role = console.OfficerRole
		c.exec(t, "DELETE FROM account_role WHERE account_id = $1", int64(o.account))
		c.exec(t, "INSERT INTO account_role VALUES ($1, 'officer')", int64(o.account))
		o.covers = nil
		switch {
		case city == nil:
			c.exec(t, "UPDATE account SET org_id = $2 WHERE account_id = $1", int64(o.account), int64(c.city))
			city = o
		case office == nil && n%4 != 0:
			c.exec(t, "UPDATE account SET org_id = $2 WHERE account_id = $1", int64(o.account), int64(c.orgs[len(c.orgs)-1]))
			office = o
		}
	}
	for _, path := range []string{"/api/snapshot", "/api/summary", "/api/alerts?state=all&limit=50", "/api/proceedings", "/api/devices", "/api/outages", "/api/subjects/" + itoa(int64(c.people[0])) + "/legal"} {
		for name, o := range map[string]*official{"city": city, "office": office} {
			var with, without []time.Duration
			for range 15 {
				for _, h := range []struct {
					handler http.Handler
					into    *[]time.Duration
				}{{guarded, &with}, {bare, &without}} {
					began := time.Now()
					if status, body := o.get(t, h.handler, path); status != http.StatusOK && status != http.StatusNotFound {
						t.Fatalf("%s: %d %s", path, status, body)
					}
					*h.into = append(*h.into, time.Since(began))
				}
			}
			slices.Sort(with)
			slices.Sort(without)
			w, wo := with[len(with)/2], without[len(without)/2]
			t.Logf("%-30s %-6s %8s with row-level security, %8s without: %.2f", path, name, w.Round(10*time.Microsecond), wo.Round(10*time.Microsecond), float64(w)/float64(wo))
		}
	}
}
