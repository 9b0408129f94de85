package audit_test

import (
	"os"
	"testing"
	"time"
)

// TestBenchVerify measures how many rows a second are compared with their seals. Run by make bench.
func TestBenchVerify_R106(t *testing.T) {
	if os.Getenv("ZHIJIAO_TEST_BENCH") == "" {
		t.Skip("a measurement: make bench")
	}
	const rows = 1_000_000
	b := newBook(t)
	if _, err := b.pool.Exec(t.Context(), `INSERT INTO ledger (pos, at, kind, org_id, subject_id, entity, entity_id, version, body)
		SELECT n, now(), 'violation.opened', 3, n % 600, 'violation', n, 1, jsonb_build_object('kind', 'left_zone', 'zone_id', 7, 'rule_id', n % 100) FROM generate_series(1, $1::bigint) n`, rows); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	b.seal()
	sealed := time.Since(began)
	began = time.Now()
	r := b.verify()
	took := time.Since(began)
	if r.Rows != rows || len(r.Findings) != 0 {
		t.Fatalf("%+v", r)
	}
	t.Logf("%d rows sealed in %s, %.0f a second; verified in %s, %.0f a second (100,000 are wanted)", rows, sealed.Round(time.Millisecond), rows/sealed.Seconds(),
		took.Round(time.Millisecond), rows/took.Seconds())
}
