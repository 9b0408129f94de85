package main

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/internal/mqtttest"
)

// seedBench gives every serial a wristband, a subject who wears it under an authority, a zone to stay in and a rule on
// its silence. What is recorded is recorded a month ago.
func seedBench(ctx context.Context, pool *pgxpool.Pool, serials []string, mac func([]byte) []byte) error {
	macs := make([][]byte, len(serials))
	for i, s := range serials {
		macs[i] = mac([]byte(mqtttest.Secret(s)))
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, step := range strings.Split(benchRows, ";\n") {
			if strings.TrimSpace(step) == "" {
				continue
			}
			var args []any
			if strings.Contains(step, "$1") {
				args = append(args, serials)
			}
			if strings.Contains(step, "$2") {
				args = append(args, macs)
			}
			if _, err := tx.Exec(ctx, step, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

const benchRows = `
CREATE TEMP TABLE bench ON COMMIT DROP AS
    SELECT s AS serial, n, tstzrange(now() - interval '30 days', now() + interval '30 days') AS valid,
           tstzrange(now() - interval '30 days', NULL) AS known FROM unnest($1::text[]) WITH ORDINALITY AS t (s, n);
INSERT INTO org (kind, name, short_name) VALUES ('county_department', '天门市司法局', '市局');
INSERT INTO org (parent_id, kind, name, short_name) SELECT org_id, 'judicial_office', '测试司法所', '测试' FROM org;
INSERT INTO officer (org_id, name, kind, duty) SELECT org_id, '测试负责人', 'enforcement', 'county_head' FROM org WHERE kind = 'county_department';
INSERT INTO subject (local_no, category) SELECT 'BENCH-' || to_char(n, 'FM0000'), '02' FROM bench;
INSERT INTO subject_person (subject_id, surname, name) SELECT subject_id, '测', ''::bytea FROM subject;
INSERT INTO subject_office (subject_id, org_id, valid, recorded)
    SELECT subject_id, org_id, known, known FROM bench JOIN subject ON local_no = 'BENCH-' || to_char(n, 'FM0000'), org WHERE kind = 'judicial_office';
INSERT INTO authority (subject_id, ground, approver_id, document_no, valid, recorded, informed_at)
    SELECT subject_id, 1, officer_id, '测试', valid, known, lower(valid) FROM bench JOIN subject ON local_no = 'BENCH-' || to_char(n, 'FM0000'), officer;
INSERT INTO device (serial, class, enrolled_at) SELECT serial, 'wristband', lower(known) FROM bench;
INSERT INTO device_health (device_id) SELECT device_id FROM device;
INSERT INTO device_credential (device_id, mac, issued_at)
    SELECT device_id, mac, lower(known) FROM bench JOIN device USING (serial) JOIN unnest($1::text[], $2::bytea[]) AS m (serial, mac) USING (serial);
INSERT INTO binding (device_id, class, subject_id, interval_s, valid, recorded)
    SELECT device_id, 'wristband', subject_id, 60, valid, known
      FROM bench JOIN device USING (serial) JOIN subject ON local_no = 'BENCH-' || to_char(n, 'FM0000');
INSERT INTO zone (org_id, purpose, name) SELECT org_id, 'activity', '测试活动区域' FROM org WHERE kind = 'judicial_office';
INSERT INTO zone_version (zone_id, version, shape, geom, datum, official, valid, recorded)
    SELECT zone_id, 1, 'polygon', ST_Multi(ST_Buffer(ST_SetSRID(ST_MakePoint(113.16, 30.65), 4326), 0.4, 64)), 'WGS-84', false, known, known
      FROM zone, (SELECT known FROM bench LIMIT 1) AS k;
INSERT INTO rule (rule_id, version, subject_id, kind, zone_id, legal_basis, valid, recorded)
    SELECT nextval('rule_id'), 1, subject_id, 'stay_in', zone_id, 'leave_city', known, known
      FROM subject, zone, (SELECT known FROM bench LIMIT 1) AS k;
INSERT INTO rule (rule_id, version, subject_id, kind, legal_basis, valid, recorded)
    SELECT nextval('rule_id'), 1, subject_id, 'silence', 'positioning', known, known
      FROM subject, (SELECT known FROM bench LIMIT 1) AS k;
INSERT INTO subject_state (subject_id) SELECT subject_id FROM subject;
`

// storedFixes is how many fixes are stored, as the database itself counts them.
func storedFixes(ctx context.Context, pool *pgxpool.Pool) (n int64, err error) {
	err = pool.QueryRow(ctx, "SELECT coalesce(sum(n), 0)::bigint FROM observation_count WHERE kind = 'fix' AND outcome = 'stored'").Scan(&n)
	return n, err
}

// outcomesOf is the whole accounting on one line.
func outcomesOf(ctx context.Context, pool *pgxpool.Pool) (line string, err error) {
	err = pool.QueryRow(ctx, `SELECT coalesce(string_agg(kind || ' ' || outcome || ' ' || reason || ' ' || n, ', '), 'none')
		FROM (SELECT kind, outcome, reason, sum(n) AS n FROM observation_count GROUP BY 1, 2, 3) AS c`).Scan(&line)
	return line, err
}
