package geofence_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/geofence"
	"zhijiao/internal/clock"
	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/pgtest"
	"zhijiao/supervision"
)

// retained is somebody whose data are to go some day.
type retained struct {
	pool         *pgxpool.Pool
	clock        *clock.Variable
	store        *supervision.Store
	city, yuekou id.Org
	subject      id.Subject
}

func newRetained(t *testing.T) *retained {
	t.Helper()
	b := &retained{pool: pgtest.Schema(t), clock: clock.NewStepped(time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC))}
	b.store = supervision.NewStore(b.pool, b.clock, crypto.Random())
	var err error
	if b.city, err = b.store.PutOrg(t.Context(), supervision.Org{Kind: supervision.CountyDepartment, Name: "天门市司法局", ShortName: "天门"}); err != nil {
		t.Fatal(err)
	}
	if b.yuekou, err = b.store.PutOrg(t.Context(), supervision.Org{Parent: b.city, Kind: supervision.JudicialOffice, Name: "岳口司法所", ShortName: "岳口"}); err != nil {
		t.Fatal(err)
	}
	if b.subject, err = b.store.Enrol(t.Context(), 0, supervision.Enrolment{LocalNo: "TM20260417", Category: supervision.Probation, Office: b.yuekou, From: b.clock.Now().AddDate(-3, 0, 0),
		Person: supervision.Person{Name: "李试验", Phone: "13000000000"}}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *retained) scan(t *testing.T, into any, sql string, args ...any) {
	t.Helper()
	if err := b.pool.QueryRow(t.Context(), sql, args...).Scan(into); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func (b *retained) run(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := b.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// TestEveryKindOfRuleIsAssessed: an assessment of each kind of rule ships, until the centre makes its own.
func TestEveryKindOfRuleIsAssessed_R115(t *testing.T) {
	t.Parallel()
	b := newRetained(t)
	for _, kind := range []geofence.RuleKind{geofence.StayIn, geofence.KeepOut, geofence.Silence, geofence.Dwell, geofence.Gathering, geofence.Leave, geofence.Return, geofence.Location, geofence.Power,
		geofence.Presence, geofence.Proximity, geofence.Separation, geofence.Strap, geofence.CheckInDue} {
		var known bool
		if b.scan(t, &known, "SELECT EXISTS (SELECT FROM assessment WHERE what = 'rule_kind' AND code = $1)", string(kind)); !known {
			t.Errorf("no assessment of %s ships", kind)
		}
	}
}

// TestRetentionDeletesAndProvesIt: after the term and the policy's months positions and contacts go and the person is blocked; evidence stays, what is
// open holds it up, and the report proves what became of it.
func TestRetentionDeletesAndProvesIt_R113(t *testing.T) {
	t.Parallel()
	b := newRetained(t)
	now := b.clock.Now()
	zones := geofence.NewStore(b.pool, b.clock)
	b.run(t, "INSERT INTO sentence (subject_id, document_no, valid, recorded) VALUES ($1, 'S', tstzrange($2::timestamptz - interval '3 years', $2::timestamptz - interval '25 months'), tstzrange($2::timestamptz - interval '3 years', NULL))", int64(b.subject), now)
	b.run(t, "SELECT position_pack_partition(($1::timestamptz - interval '26 months')::date)", now)
	hour := now.AddDate(0, -26, 0).Truncate(time.Hour)
	for n := range 10 {
		b.run(t, "INSERT INTO position_pack (subject_id, hour, hours, fixes, data) VALUES ($1, $2, 1, 60, '\\x01')", int64(b.subject), hour.Add(time.Duration(n)*time.Hour))
	}
	b.run(t, "INSERT INTO current_position (subject_id, geom, fix_at, device_id, accuracy_m, method) VALUES ($1, ST_SetSRID(ST_MakePoint(113, 30), 4326), $2, 1, 1, 1)", int64(b.subject), hour)
	b.run(t, `INSERT INTO rule (rule_id, version, subject_id, kind, legal_basis, valid, recorded) VALUES (77, 1, $1, 'stay_in', 'leave_city', '[2020-01-01,)', '[2021-01-01,)')`, int64(b.subject))
	b.run(t, `INSERT INTO violation (subject_id, org_id, rule_id, rule_version, kind, channel, state, opened_at, decided_at, closed_at, evidence, engine)
		VALUES ($1, $2, 77, 1, 'left_zone', 'phone', 'closed', $3, $3, $4, '{"opened": {"with": []}}', '1')`, int64(b.subject), int64(b.yuekou), hour.Add(2*time.Hour), hour.Add(150*time.Minute))
	b.run(t, "INSERT INTO task (kind, key, subject_id, org_id, opened_at, due_at) VALUES ('copy', 'x', $1, $2, $3, $3)", int64(b.subject), int64(b.yuekou), now)

	r, err := b.store.Retain(t.Context(), zones, false, nil)
	if err != nil || r.Held == 0 || len(r.Erased) != 0 {
		t.Fatalf("with a task open: %+v, %v", r, err)
	}
	b.run(t, "UPDATE task SET done_at = $1", now)
	dry, err := b.store.Retain(t.Context(), zones, true, nil)
	if err != nil || len(dry.Erased) != 2 { // positions and contact; the person is blocked a year later
		t.Fatalf("%+v, %v", dry, err)
	}
	var packs int
	if b.scan(t, &packs, "SELECT count(*) FROM position_pack"); packs != 10 {
		t.Fatal("the dry run deleted")
	}
	if r, err = b.store.Retain(t.Context(), zones, false, func(int, int) {}); err != nil || len(r.Erased) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, e := range r.Erased {
		switch e.What {
		case "positions":
			if e.Before["position_pack"] != 10 || e.After["position_pack"] != 0 || e.After["current_position"] != 0 || e.After["evidence_pack"] < 2 {
				t.Errorf("%+v", e)
			}
		case "contact":
			if e.Before["fields"] <= e.After["fields"] {
				t.Errorf("%+v", e)
			}
		}
	}
	p, err := b.store.Person(t.Context(), b.pool, b.city, b.subject)
	if err != nil || p.Name == "" || p.Phone != "" {
		t.Errorf("name kept %v, phone gone %v, %v", p.Name != "", p.Phone == "", err)
	}
	if again, err := b.store.Retain(t.Context(), zones, false, nil); err != nil || len(again.Erased) != 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
	b.clock.Advance(13 * 31 * 24 * time.Hour)
	if r, err = b.store.Retain(t.Context(), zones, false, nil); err != nil || len(r.Erased) != 1 || r.Erased[0].Action != "block" {
		t.Fatalf("a year later: %+v, %v", r, err)
	}
	if _, err := b.store.Subject(t.Context(), b.pool, b.city, b.subject); !errors.Is(err, supervision.ErrNotFound) {
		t.Errorf("a blocked person is shown: %v", err)
	}
	list, broken, err := supervision.RetentionReports(t.Context(), b.pool)
	if err != nil || len(list) != 3 || broken != 0 {
		t.Errorf("%d reports, %d broken, %v", len(list), broken, err)
	}
	var told int
	if b.scan(t, &told, "SELECT count(*) FROM ledger WHERE kind = 'retention.done'"); told != 3 {
		t.Errorf("the ledger tells of %d", told)
	}
	b.run(t, "ALTER TABLE retention_run DISABLE TRIGGER USER")
	b.run(t, "UPDATE retention_run SET report = jsonb_set(report, '{erased,0,what}', '\"x\"') WHERE retention_run_id = 1")
	if _, broken, err := supervision.RetentionReports(t.Context(), b.pool); err != nil || broken != 1 {
		t.Errorf("a rewritten report: %d broken, %v", broken, err)
	}
}
