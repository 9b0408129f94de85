package migrations_test

import (
	"bytes"
	"context"
	"os/exec"
	"testing"

	"zhijiao/internal/pgtest"
	"zhijiao/migrations"
)

// TestDumpAndRestore: what pg_dump writes of a database in use can be restored into another one and used on: triggers,
// constraints that call PostGIS, partitions, and the ledger's positions.
func TestDumpAndRestore(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	from, to := pgtest.Database(t), pgtest.Database(t)
	conn := connect(t, from)
	if err := migrations.Up(ctx, conn); err != nil {
		t.Fatal(err)
	}
	const fill = `
		INSERT INTO deployment (mode) VALUES ('rehearsal');
		INSERT INTO domain_clock (kind, domain_at, machine_at, rate) VALUES ('scaled', '2026-01-01Z', clock_timestamp(), 60);
		INSERT INTO org (kind, name, short_name) VALUES ('county_department', 'county', 'c');
		INSERT INTO subject (local_no, category) VALUES ('0001', '02');
		INSERT INTO zone (org_id, purpose, name) VALUES (1, 'activity', 'city');
		INSERT INTO zone_version (zone_id, version, shape, geom, datum, official, valid, recorded)
			VALUES (1, 1, 'polygon', 'SRID=4326;MULTIPOLYGON(((113 30,114 30,114 31,113 31,113 30)))', 'WGS-84', false, '[2026-01-01Z,)', '[2026-01-01Z,)');
		SELECT position_partition('2026-01-01');
		INSERT INTO officer (org_id, name, kind, duty) VALUES (1, 'head', 'enforcement', 'county_head');
		INSERT INTO authority (subject_id, ground, approver_id, document_no, valid, recorded, informed_at) VALUES (1, 1, 1, '1', '[2026-01-01Z,2026-02-01Z)', '[2026-01-01Z,)', '2026-01-01Z');
		INSERT INTO device (serial, class, enrolled_at) VALUES ('W1', 'wristband', '2026-01-01Z');
		INSERT INTO binding (device_id, class, subject_id, interval_s, valid, recorded) VALUES (1, 'wristband', 1, 60, '[2026-01-01Z,)', '[2026-01-01Z,)');
		INSERT INTO radio (operator, cell, sim, used_on) VALUES ('46000', '460-00-1-2', '', '2026-01-01');
		SELECT position_pack_partition('2026-01-01');
		INSERT INTO position_pack VALUES (1, '2026-01-01 03:00Z', 1, 1, '\x01');
		INSERT INTO position (subject_id, fix_at, radio_id, boot, seq, binding_id, received_at, lon_e7, lat_e7, digest, method, datum)
			VALUES (1, '2026-01-01 12:00Z', 1, 1, 1, 1, '2026-01-01 12:00Z', 1131000000, 306000000, 7, 1, 1);
		SELECT ledger_append('[{"at":"2026-01-01T00:00:00Z","kind":"zone.put","entity":"zone","entity_id":1,"version":1}]');
		INSERT INTO ledger_cursor (reader, pos) VALUES ('alerts', 1);`
	if _, err := conn.Exec(ctx, fill); err != nil {
		t.Fatal(err)
	}
	var dump, faults bytes.Buffer
	cmd := exec.Command("pg_dump", "-Fc", "-d", from)
	cmd.Stdout, cmd.Stderr = &dump, &faults
	if err := cmd.Run(); err != nil {
		t.Fatalf("pg_dump: %v: %s", err, faults.String())
	}
	cmd = exec.Command("pg_restore", "--exit-on-error", "-d", to)
	cmd.Stdin = &dump
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pg_restore: %v: %s", err, out)
	}
	restored := connect(t, to)
	if err := migrations.Check(ctx, restored); err != nil {
		t.Error(err)
	}
	var positions int
	var next int64
	err := restored.QueryRow(ctx, `SELECT (SELECT count(*) FROM position_geom WHERE cell = '460-00-1-2') + (SELECT sum(fixes) FROM position_pack),
		ledger_append('[{"at":"2026-01-01T00:00:00Z","kind":"zone.put","entity":"zone","entity_id":1,"version":2}]')`).Scan(&positions, &next)
	if err != nil || positions != 2 || next != 2 {
		t.Errorf("%d positions, the next entry is at %d, %v", positions, next, err)
	}
}
