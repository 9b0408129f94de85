package transfer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/devices"
	"zhijiao/internal/clock"
	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/pgtest"
	"zhijiao/supervision"
	"zhijiao/transfer"
)

var now = time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)

// somebody is a person with some of everything.
func somebody(t *testing.T) (*pgxpool.Pool, *crypto.Keys, id.Subject) {
	t.Helper()
	ctx := t.Context()
	pool, keys, c := pgtest.Schema(t), crypto.Random(), clock.NewStepped(now)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := pool.Exec(ctx, sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	exec("INSERT INTO deployment (mode) VALUES ('rehearsal')")
	people := supervision.NewStore(pool, c, keys)
	city, err := people.PutOrg(ctx, supervision.Org{Kind: supervision.CountyDepartment, Name: "天门市司法局", ShortName: "天门"})
	must(err)
	office, err := people.PutOrg(ctx, supervision.Org{Parent: city, Kind: supervision.JudicialOffice, Name: "岳口司法所", ShortName: "岳口"})
	must(err)
	head, err := people.PutOfficer(ctx, supervision.Officer{Org: city, Name: "局长", Kind: supervision.Enforcement, CountyHead: true})
	must(err)
	var s id.Subject
	for _, no := range []string{"TM20260001", "TM20260417"} { // another one, so that numbers are not all one
		s, err = people.Enrol(ctx, 0, supervision.Enrolment{LocalNo: no, Category: supervision.Probation, Office: office, From: now.AddDate(0, -1, 0),
			Person: supervision.Person{Name: "李试验", IDNumber: "429006197001010011", Phone: "13000000417", Address: "天门市岳口镇", Contacts: []supervision.Contact{{Name: "王担保", Phone: "131"}}}})
		must(err)
	}
	must(people.PutSentence(ctx, 0, supervision.Sentence{Subject: s, DocumentNo: "判1", From: now.AddDate(0, -1, 0), Until: now.AddDate(1, 0, 0)}))
	officer := supervision.Actor{Kind: supervision.Enforcement, Officer: head}
	_, err = people.ReceiveRequest(ctx, officer, city, supervision.DataRequest{Subject: s, Kind: supervision.RequestAccess, Words: "我要查阅"})
	must(err)
	_, err = people.Disclose(ctx, officer, city, supervision.Disclosure{Subject: s, Basis: "revocation", RecipientKind: "court", Recipient: "法院", DocumentNo: "1", Fields: []string{"alerts"}, Purpose: "撤销缓刑", From: now.AddDate(0, 0, -1), Until: now})
	must(err)
	exec(`INSERT INTO authority (subject_id, ground, approver_id, document_no, valid, recorded, informed_at) VALUES ($1, 1, $2, '定1', tstzrange($3::timestamptz, $3::timestamptz + interval '1 month'), tstzrange($3, NULL), $3)`, int64(s), int64(head), now.AddDate(0, 0, -20))
	must(pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		d, err := devices.Enrol(ctx, tx, keys, devices.Enrolment{Serial: "W1", Class: devices.Wristband, Org: city, At: now.AddDate(0, 0, -20)})
		if err != nil {
			return err
		}
		_, err = devices.Bind(ctx, tx, devices.NewBinding{Device: d.ID, Subject: s, Interval: time.Minute, From: now.AddDate(0, 0, -20), At: now.AddDate(0, 0, -20)})
		return err
	}))
	exec(`INSERT INTO zone (org_id, purpose, name) VALUES ($1, 'activity', '天门市')`, int64(city))
	exec(`INSERT INTO zone_version (zone_id, version, shape, geom, datum, official, valid, recorded)
		VALUES (1, 1, 'polygon', ST_Multi(ST_MakeEnvelope(112.9, 30.4, 113.4, 30.9, 4326)), 'WGS-84', false, '[2026-01-01,)', '[2026-01-01,)')`)
	exec(`INSERT INTO rule (rule_id, version, subject_id, kind, zone_id, legal_basis, valid, recorded) VALUES (nextval('rule_id'), 1, $1, 'stay_in', 1, 'leave_city', '[2026-01-01,)', '[2026-01-01,)')`, int64(s))
	exec(`INSERT INTO violation (subject_id, org_id, rule_id, rule_version, zone_id, zone_version, kind, channel, state, opened_at, decided_at, evidence, engine)
		VALUES ($1, $2, 1, 1, 1, 1, 'left_zone', 'wristband', 'open', $3, $3, '{"opened": {"with": [], "margin": 12345678901234567}}', '1')`, int64(s), int64(office), now)
	exec(`INSERT INTO alert (violation_id, subject_id, org_id, kind, channel, class, legal_basis, opened_at, raised_at, due_at) VALUES (1, $1, $2, 'left_zone', 'wristband', 'alarm', 'leave_city', $3, $3, $3)`, int64(s), int64(office), now)
	exec(`INSERT INTO alert_event (alert_id, seq, act, at, body) VALUES (1, 1, 'raised', $1, '{"text": "字"}')`, now)
	exec("SELECT position_partition('2026-11-22')")
	exec("SELECT position_pack_partition('2026-10-01')")
	exec("INSERT INTO radio (operator, cell, sim, used_on) VALUES ('46000', '460-00-1-2', '', '2026-11-01')")
	exec(`INSERT INTO position (subject_id, fix_at, radio_id, boot, seq, binding_id, received_at, lon_e7, lat_e7, digest, method, datum, accuracy_m)
		SELECT $1, '2026-11-22 01:00Z'::timestamptz + n * interval '1 minute', 1, 1, n, 1, '2026-11-22 01:00Z', 1131000000 + n, 306000000, 2147483647 - n, 1, 1, 12.25 FROM generate_series(1, 500) n`, int64(s))
	exec(`INSERT INTO position_pack VALUES ($1, '2026-10-05 03:00Z', 1, 60, '\x0102ff')`, int64(s))
	exec(`INSERT INTO current_position (subject_id, geom, fix_at, device_id, accuracy_m, method) VALUES ($1, ST_SetSRID(ST_MakePoint(113.1234567, 30.6), 4326), $2, 1, 1, 1)`, int64(s), now)
	return pool, keys, s
}

// TestAPersonGoesWholly: what is exported, taken into a fresh instance and exported there again has equal counts and hashes of each kind; sealed with the
// keys of where it is.
func TestAPersonGoesWholly_R105(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	from, keys, s := somebody(t)
	p, err := transfer.Export(ctx, from, keys, s, now)
	if err != nil {
		t.Fatal(err)
	}
	file, err := p.Write()
	if err != nil {
		t.Fatal(err)
	}
	opened, err := transfer.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	to, other := pgtest.Schema(t), crypto.Random()
	if _, err := to.Exec(ctx, "INSERT INTO deployment (mode) VALUES ('rehearsal')"); err != nil {
		t.Fatal(err)
	}
	people := supervision.NewStore(to, clock.NewStepped(now), other)
	if err := transfer.Import(ctx, to, people, opened, now, true, nil); err != nil {
		t.Fatalf("dry: %v", err)
	}
	var n int
	if err := to.QueryRow(ctx, "SELECT count(*) FROM subject").Scan(&n); err != nil || n != 0 {
		t.Fatalf("the dry run wrote: %d, %v", n, err)
	}
	told := 0
	if err := transfer.Import(ctx, to, people, opened, now, false, func(string, int) { told++ }); err != nil {
		t.Fatal(err)
	}
	again, err := transfer.Export(ctx, to, other, s, now)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for table, k := range p.Manifest.Kinds {
		have := again.Manifest.Kinds[table]
		if k.Shared {
			continue
		}
		if have == nil || have.Rows != k.Rows || !bytes.Equal(have.Hash, k.Hash) {
			t.Errorf("%s: %d rows became %+v", table, k.Rows, have)
			for i := range p.Rows[table] {
				if i < len(again.Rows[table]) {
					t.Logf("%v\n%v", p.Rows[table][i], again.Rows[table][i])
					break
				}
			}
		}
		if k.Rows > 0 {
			compared++
		}
	}
	if compared < 14 || told == 0 || p.Manifest.Kinds["position"].Rows != 500 || p.Manifest.Kinds["ledger_elsewhere"].Rows == 0 {
		t.Errorf("%d kinds compared, %+v", compared, p.Manifest.Kinds)
	}
	who, err := people.Find(ctx, to, 1, "13000000417")
	if err != nil || len(who) != 1 {
		t.Errorf("not found by telephone: %d, %v", len(who), err)
	}
	if list, err := people.Requests(ctx, to, 1, s); err != nil || len(list) != 1 || list[0].Words != "我要查阅" {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := people.Enrol(ctx, 0, supervision.Enrolment{LocalNo: "TM20269999", Category: supervision.Probation, Office: 2, From: now, Person: supervision.Person{Name: "张"}}); err != nil {
		t.Errorf("the next one cannot be enrolled: %v", err)
	}
	if err := transfer.Import(ctx, to, people, opened, now, false, nil); !errors.Is(err, transfer.ErrTaken) {
		t.Errorf("twice: %v", err)
	}
	var login bool
	if err := to.QueryRow(ctx, "SELECT EXISTS (SELECT FROM account WHERE disabled_at IS NULL)").Scan(&login); err != nil || login {
		t.Error("somebody can log in by it")
	}
	for i := 100; i < len(file); i += len(file) / 40 {
		broken := bytes.Clone(file)
		broken[i] ^= 0x55
		if q, err := transfer.Read(broken); err == nil && !same(q, opened) {
			t.Errorf("a byte at %d was changed and nobody saw", i)
		}
	}
}

func same(a, b *transfer.Person) bool {
	for t, k := range a.Manifest.Kinds {
		if o := b.Manifest.Kinds[t]; o == nil || !bytes.Equal(k.Hash, o.Hash) {
			return false
		}
	}
	return true
}

// TestAnotherInstanceRefusesItsNumbers: where a number in the file is something else's, nothing is written.
func TestAnotherInstanceRefusesItsNumbers_R105(t *testing.T) {
	t.Parallel()
	from, keys, s := somebody(t)
	p, err := transfer.Export(t.Context(), from, keys, s, now)
	if err != nil {
		t.Fatal(err)
	}
	to := pgtest.Schema(t)
	people := supervision.NewStore(to, clock.NewStepped(now), keys)
	if _, err := people.PutOrg(t.Context(), supervision.Org{Kind: supervision.CountyDepartment, Name: "潜江市司法局", ShortName: "潜江"}); err != nil {
		t.Fatal(err)
	}
	if err := transfer.Import(t.Context(), to, people, p, now, false, nil); !errors.Is(err, transfer.ErrTaken) {
		t.Errorf("%v", err)
	}
	var n int
	if err := to.QueryRow(t.Context(), "SELECT count(*) FROM subject").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d people, %v", n, err)
	}
	if _, err := transfer.Export(t.Context(), from, keys, 999, now); !errors.Is(err, supervision.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
}

// TestAFileGivesNobodyRights_R105_R108: rows that somebody put into a file by hand, of tables that say who may do what, are refused; an account
// that comes with a password cannot log in.
func TestAFileGivesNobodyRights_R105_R108(t *testing.T) {
	t.Parallel()
	from, keys, s := somebody(t)
	for table, row := range map[string]map[string]any{
		"account_role": {"account_id": json.Number("1"), "role": "security_admin"}, "security_policy": {"version": json.Number("9"), "profile": "asvs", "second_factor": false},
		"account_session": {"account_id": json.Number("1")}, "ledger": {"pos": json.Number("1")}, "law_rule": {}, "pg_authid": {}, "ledger; DROP TABLE subject": {},
	} {
		p, err := transfer.Export(t.Context(), from, keys, s, now)
		if err != nil {
			t.Fatal(err)
		}
		p.Rows[table] = []map[string]any{row}
		p.Manifest.Kinds[table] = &transfer.Kind{Rows: 1}
		to := pgtest.Schema(t)
		if err := transfer.Import(t.Context(), to, supervision.NewStore(to, clock.NewStepped(now), keys), p, now, false, nil); !errors.Is(err, transfer.ErrFile) {
			t.Errorf("%s: %v", table, err)
		}
	}
	p, err := transfer.Export(t.Context(), from, keys, s, now)
	if err != nil {
		t.Fatal(err)
	}
	p.Rows["account"] = append(p.Rows["account"], map[string]any{"account_id": json.Number("900"), "name": "mallory", "org_id": p.Rows["org"][0]["org_id"], "password_hash": "$argon2id$mine",
		"single_sign_on": "https://mine u", "created_at": now, "password_set_at": now})
	p.Manifest.Kinds["account"] = &transfer.Kind{Rows: len(p.Rows["account"]), Shared: true}
	to := pgtest.Schema(t)
	if err := transfer.Import(t.Context(), to, supervision.NewStore(to, clock.NewStepped(now), keys), p, now, false, nil); err != nil {
		t.Fatal(err)
	}
	var n, can int
	if err := to.QueryRow(t.Context(), "SELECT count(*), count(*) FILTER (WHERE password_hash <> '-' OR single_sign_on IS NOT NULL OR disabled_at IS NULL) FROM account").Scan(&n, &can); err != nil || n == 0 || can != 0 {
		t.Errorf("of %d accounts %d can log in, %v", n, can, err)
	}
}

// TestNoTableIsForgotten: each table that names a person, or hangs on one that does, goes along or says why it stays.
func TestNoTableIsForgotten_R105(t *testing.T) {
	t.Parallel()
	from, keys, s := somebody(t)
	p, err := transfer.Export(t.Context(), from, keys, s, now)
	if err != nil {
		t.Fatal(err)
	}
	all, err := transfer.Tables(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range all {
		_, taken := p.Rows[table]
		why, left := transfer.Left[table]
		if taken == left || left && strings.TrimSpace(why) == "" {
			t.Errorf("%s: taken %v, left %v", table, taken, left)
		}
	}
	rows, err := from.Query(t.Context(), `SELECT DISTINCT t.relname::text, f.relname::text FROM pg_constraint r JOIN pg_class t ON t.oid = r.conrelid JOIN pg_class f ON f.oid = r.confrelid
		WHERE r.contype = 'f' AND t.relnamespace = current_schema()::regnamespace AND NOT t.relispartition`)
	if err != nil {
		t.Fatal(err)
	}
	var child, parent string
	byWork := []string{"security_policy", "countersign"} // of accounts, not of people under supervision
	_, err = pgx.ForEachRow(rows, []any{&child, &parent}, func() error {
		if slices.Contains(all, parent) && !slices.Contains(all, child) && p.Rows[child] == nil && !slices.Contains(byWork, child) {
			t.Errorf("%s hangs on %s and stays behind", child, parent)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
