package evidence_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/alerts"
	"zhijiao/devices"
	"zhijiao/evidence"
	"zhijiao/geofence"
	"zhijiao/internal/audit"
	"zhijiao/internal/clock"
	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
	"zhijiao/internal/pgtest"
	"zhijiao/supervision"

	"log/slog"
)

var now = time.Date(2026, 11, 23, 14, 14, 0, 0, time.UTC)

// scene is a person who left the city: their fixes, the violation on them, the alert, and the ledger sealed.
type scene struct {
	pool      *pgxpool.Pool
	keys      *crypto.Keys
	sealer    *audit.Sealer
	city      id.Org
	other     id.Org
	subject   id.Subject
	violation geofence.ViolationID
}

// newScene has so many fixes, a minute apart, up to now; the last hour of them outside.
func newScene(t *testing.T, fixes int) *scene {
	t.Helper()
	s := &scene{pool: pgtest.Schema(t), keys: crypto.Random()}
	c := clock.NewStepped(now)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := s.pool.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	exec("INSERT INTO deployment (mode) VALUES ('rehearsal')")
	people := supervision.NewStore(s.pool, c, s.keys)
	var err error
	if s.city, err = people.PutOrg(t.Context(), supervision.Org{Kind: supervision.CountyDepartment, Name: "天门市司法局", ShortName: "天门"}); err != nil {
		t.Fatal(err)
	}
	if s.other, err = people.PutOrg(t.Context(), supervision.Org{Parent: s.city, Kind: supervision.JudicialOffice, Name: "皂市司法所", ShortName: "皂市"}); err != nil {
		t.Fatal(err)
	}
	if s.subject, err = people.Enrol(t.Context(), 0, supervision.Enrolment{LocalNo: "TM20260417", Category: supervision.Probation, Office: s.city, From: now.AddDate(0, -1, 0),
		Person: supervision.Person{Name: "李试验", Phone: "13000000417"}}); err != nil {
		t.Fatal(err)
	}
	var device devices.Enrolled
	var binding int64
	err = pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
		if device, err = devices.Enrol(t.Context(), tx, s.keys, devices.Enrolment{Serial: "P1", Class: devices.Phone, Org: s.city, At: now.AddDate(0, -1, 0)}); err != nil {
			return err
		}
		b, err := devices.Bind(t.Context(), tx, devices.NewBinding{Device: device.ID, Subject: s.subject, Interval: time.Minute, From: now.AddDate(0, -1, 0), At: now.AddDate(0, -1, 0), Finest: time.Second, Justification: "x", Reviewer: officer(t, s)})
		binding = int64(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	exec(`INSERT INTO zone (org_id, purpose, name) VALUES ($1, 'activity', '天门市')`, int64(s.city))
	exec(`INSERT INTO zone_version (zone_id, version, shape, geom, datum, official, valid, recorded)
		VALUES (1, 1, 'polygon', ST_Multi(ST_MakeEnvelope(112.9, 30.4, 113.4, 30.9, 4326)), 'WGS-84', false, '[2026-01-01,)', '[2026-01-01,)')`)
	exec(`INSERT INTO rule (rule_id, version, subject_id, kind, zone_id, legal_basis, valid, recorded) VALUES (1, 1, $1, 'stay_in', 1, 'leave_city', '[2026-01-01,)', '[2026-01-01,)')`, int64(s.subject))
	exec("SELECT position_partition(d::date) FROM generate_series($1::timestamptz, $2::timestamptz, interval '1 day') d", now.Add(-time.Duration(fixes)*time.Minute), now.AddDate(0, 0, 1))
	exec("INSERT INTO radio (operator, cell, sim, used_on) VALUES ('46000', '460-00-1-2', '', '2026-11-01')")
	exec(`INSERT INTO position (subject_id, fix_at, radio_id, boot, seq, binding_id, received_at, lon_e7, lat_e7, digest, method, datum, accuracy_m)
		SELECT $1, $2::timestamptz + n * interval '1 minute', 1, 1, n, $3, $2::timestamptz + n * interval '1 minute', CASE WHEN n > $4 - 60 THEN 1134100000 + n % 60 * 2000 ELSE 1131000000 + n % 97 * 1000 END, 306000000, n, 1, 1, 12
		FROM generate_series(1, $4::bigint) n`, int64(s.subject), now.Add(-time.Duration(fixes)*time.Minute), binding, fixes)
	s.raise(t, device.ID, fixes)
	s.sealer = &audit.Sealer{Pool: s.pool, Key: s.keys.Signer(crypto.AuditSeal), Log: slog.New(slog.DiscardHandler)}
	if err := s.sealer.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func officer(t *testing.T, s *scene) id.Officer {
	var n id.Officer
	if err := s.pool.QueryRow(t.Context(), "INSERT INTO officer (org_id, name, kind) VALUES ($1, '钱', 'enforcement') RETURNING officer_id", int64(s.city)).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// raise records the violation as the engine does, and has the alert raised.
func (s *scene) raise(t *testing.T, device id.Device, fixes int) {
	t.Helper()
	p := geofence.DefaultParams(geofence.StayIn)
	zone, err := geofence.ReadZone(t.Context(), s.pool, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	var marks []geofence.Mark
	for n := fixes - 59; n < fixes-56; n++ {
		lon := int64(1134100000 + n%60*2000)
		m := geofence.Mark{Device: device, Boot: 1, Seq: int64(n), At: now.Add(-time.Duration(fixes)*time.Minute + time.Duration(n)*time.Minute), LonE7: int32(lon), LatE7: 306000000, Method: devices.MethodGNSS}
		v, margin := p.Judge(zone, float64(lon)/1e7, 30.6, 12, devices.MethodGNSS)
		m.Verdict, m.Margin, m.Accuracy = v, margin, 1200
		marks = append(marks, m)
	}
	history, err := json.Marshal(geofence.EvidenceHistory{Opened: geofence.Evidence{Class: devices.Phone, Kind: geofence.StayIn, Basis: "leave_city", At: marks[0].At, Now: now, Engine: "1", Thresholds: p, Fixes: marks}})
	if err != nil {
		t.Fatal(err)
	}
	v := geofence.ViolationBody{Subject: s.subject, Org: s.city, Rule: 1, RuleVersion: 1, Zone: 1, ZoneVersion: 1, Kind: geofence.LeftZone, Channel: devices.Phone, State: geofence.ViolationOpen, Version: 1,
		OpenedAt: marks[0].At, DecidedAt: marks[2].At, Basis: "leave_city"}
	err = pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
		if err := tx.QueryRow(t.Context(), `INSERT INTO violation (subject_id, org_id, rule_id, rule_version, zone_id, zone_version, kind, channel, state, opened_at, decided_at, evidence, engine)
			VALUES ($1, $2, 1, 1, 1, 1, 'left_zone', 'phone', 'open', $3, $4, $5::jsonb, '1') RETURNING violation_id`, int64(s.subject), int64(s.city), v.OpenedAt, v.DecidedAt, string(history)).Scan(&v.Violation); err != nil {
			return err
		}
		body, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return ledger.Append(t.Context(), tx, ledger.Entry{At: now, Kind: geofence.ViolationOpenedEntry, Org: s.city, Subject: s.subject, Entity: "violation", EntityID: int64(v.Violation), Version: 1, Body: body})
	})
	if err != nil {
		t.Fatal(err)
	}
	s.violation = v.Violation
	tail := alerts.NewTail(s.pool, nil, clock.NewStepped(now), slog.New(slog.DiscardHandler), nil, nil)
	for n := 0; n == 0; {
		if _, err := tail.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM alert").Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *scene) order() *evidence.Order {
	return &evidence.Order{Violation: s.violation, Scope: s.city, By: 0, ByName: "王值班", At: now, Program: "test", Signer: s.keys.Signer(crypto.Evidence), AuditKeys: s.keys.Publics(crypto.AuditSeal)}
}

func (s *scene) trusted() []crypto.Public {
	return append(s.keys.Publics(crypto.Evidence), s.keys.Publics(crypto.AuditSeal)...)
}

// open is what is in a package, by name.
func open(t *testing.T, file []byte) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if out[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func pack(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, content := range files {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestPackageStandsOnItsOwn: it verifies without the database, also after the raw fixes are gone; whatever is changed in it is found and named; who
// may not see the violation gets none.
func TestPackageStandsOnItsOwn_R112(t *testing.T) {
	t.Parallel()
	s := newScene(t, 300)
	file, p, err := evidence.Make(t.Context(), s.pool, s.order())
	if err != nil {
		t.Fatal(err)
	}
	if out := os.Getenv("ZHIJIAO_TEST_KEEP"); out != "" {
		if err := os.WriteFile(filepath.Join(out, "evidence.zip"), file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := evidence.Verify(file, s.trusted()...)
	if err != nil {
		t.Fatal(err)
	}
	if r.Fixes < 100 || r.Decisive != 3 || r.Rows < 2 || r.Manifest.Unsealed != 0 || len(p.Explanation) == 0 {
		t.Errorf("%+v", r)
	}
	if bytes.Contains(file, []byte("李试验")) {
		t.Error("the name is not masked")
	}
	var told int
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM ledger WHERE kind = 'evidence.made'").Scan(&told); err != nil || told != 1 {
		t.Errorf("the ledger tells of it %d times, %v", told, err)
	}
	// The raw partitions are dropped: what was given out still verifies.
	if _, err := s.pool.Exec(t.Context(), "DROP TABLE position CASCADE"); err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.Verify(file, s.trusted()...); err != nil {
		t.Errorf("after the raw fixes are gone: %v", err)
	}
	for name, keys := range map[string][]crypto.Public{"a key of somebody else": {crypto.Random().Signer(crypto.Evidence).Public()}, "only one of the two": s.keys.Publics(crypto.Evidence)} {
		if _, err := evidence.Verify(file, keys...); !errors.Is(err, evidence.ErrPackage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	files := open(t, file)
	for name := range files {
		changed := map[string][]byte{}
		for n, c := range files {
			changed[n] = bytes.Clone(c)
		}
		changed[name][len(changed[name])/2] ^= 1
		_, err := evidence.Verify(pack(t, changed), s.trusted()...)
		if !errors.Is(err, evidence.ErrPackage) || name != "manifest.sig" && !strings.Contains(err.Error(), name) {
			t.Errorf("a bit of %s turned: %v", name, err)
		}
		delete(changed, name)
		if _, err := evidence.Verify(pack(t, changed)); !errors.Is(err, evidence.ErrPackage) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	files["../../etc/passwd"] = []byte("x")
	if _, err := evidence.Verify(pack(t, files)); !errors.Is(err, evidence.ErrPackage) {
		t.Errorf("a file that is none of a package: %v", err)
	}
	for _, n := range []int{0, 1, len(file) / 2, len(file) - 1} {
		if _, err := evidence.Verify(file[:n]); !errors.Is(err, evidence.ErrPackage) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	o := s.order()
	o.Scope = s.other
	if _, _, err := evidence.Make(t.Context(), s.pool, o); !errors.Is(err, evidence.ErrNotFound) {
		t.Errorf("of another office: %v", err)
	}
}

// TestASignerCannotLie: also who has the key cannot have the package say what does not follow from it.
func TestASignerCannotLie_R112(t *testing.T) {
	t.Parallel()
	s := newScene(t, 120)
	for name, lie := range map[string]func(*evidence.Package){
		"a verdict":           func(p *evidence.Package) { p.Fixes[0].Verdict = "outside" },
		"a margin":            func(p *evidence.Package) { p.Fixes[3].MarginCM++ },
		"a decisive fix":      func(p *evidence.Package) { p.Fixes[len(p.Fixes)-58].LonE7 -= 2_000_000 },
		"a row of the ledger": func(p *evidence.Package) { p.Ledger[0].Row.Kind = "violation.closed" },
		"a time in the row":   func(p *evidence.Package) { p.Ledger[0].Row.At = p.Ledger[0].Row.At.Add(time.Second) },
		"the seal's time":     func(p *evidence.Package) { p.Ledger[0].At = p.Ledger[0].At.Add(time.Hour) },
		"which violation":     func(p *evidence.Package) { p.Manifest.Violation++ },
	} {
		_, p, err := evidence.Make(t.Context(), s.pool, s.order())
		if err != nil {
			t.Fatal(err)
		}
		lie(p)
		file, err := p.Write(s.keys.Signer(crypto.Evidence))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := evidence.Verify(file, s.trusted()...); !errors.Is(err, evidence.ErrPackage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte("PK\x03\x04"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		if _, err := evidence.Verify(file); err == nil {
			t.Error("anything verifies")
		}
	})
}

// TestBenchEvidence measures a week of one subject, a fix a minute: 2 s are wanted. Run by make bench.
func TestBenchEvidence_R112(t *testing.T) {
	if os.Getenv("ZHIJIAO_TEST_BENCH") == "" {
		t.Skip("a measurement: make bench")
	}
	s := newScene(t, 7*24*60)
	o := s.order()
	o.Around = 8 * 24 * time.Hour
	best, verified := math.Inf(1), math.Inf(1)
	var size, fixes int
	for range 3 {
		began := time.Now()
		file, p, err := evidence.Make(t.Context(), s.pool, o)
		if err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(began).Seconds())
		began = time.Now()
		if _, err := evidence.Verify(file, s.trusted()...); err != nil {
			t.Fatal(err)
		}
		verified, size, fixes = min(verified, time.Since(began).Seconds()), len(file), len(p.Fixes)
	}
	t.Log(fmt.Sprintf("a week of %d fixes: made in %.2f s (2 are wanted), verified in %.2f s, %d bytes", fixes, best, verified, size))
}
