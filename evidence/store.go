package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/alerts"
	"zhijiao/geofence"
	"zhijiao/internal/audit"
	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// ErrNotFound means that there is no such violation, or none in scope.
var ErrNotFound = errors.New("evidence: there is no such violation")

// Order is what a package is made of, and by whom.
type Order struct {
	Violation geofence.ViolationID
	Scope     id.Org // 0: all, on the command line
	By        id.Account
	ByName    string
	At        time.Time // domain time
	Program   string
	Around    time.Duration // of the track, before it opened and after it ended
	Signer    crypto.Signer
	AuditKeys []crypto.Public
	Font      string // a TrueType file with Chinese, for the report; empty: one that is found
}

// aroundUsual is how much of the track is shown before and after.
const aroundUsual = time.Hour

// mostFixes bounds a package: a week of a fix every ten seconds.
const mostFixes = 60_480

// Make builds a package, has the ledger say so, and returns the file. Everything is read in one snapshot.
func Make(ctx context.Context, pool *pgxpool.Pool, o *Order) (file []byte, p *Package, err error) {
	err = pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		p, err = build(ctx, tx, o)
		return err
	})
	if err == nil {
		p.report, err = p.draw(o.Font)
	}
	if err == nil {
		file, err = p.Write(o.Signer)
	}
	if err != nil {
		if !errors.Is(err, ErrNotFound) {
			err = fmt.Errorf("make a package of evidence: %w", err)
		}
		return nil, nil, err
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { // before anybody has it
		sum := crypto.Sum(o.Signer.Public().Algorithm)(file)
		body, err := json.Marshal(map[string]any{"by": int64(o.By), "hash": sum[:], "size": len(file)})
		if err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Entry{At: o.At, Kind: "evidence.made", Org: p.Violation.Org, Subject: p.Violation.Subject, Entity: "evidence",
			EntityID: int64(o.Violation), Version: 1, Body: body})
	})
	if err != nil {
		return nil, nil, fmt.Errorf("record a package of evidence: %w", err)
	}
	return file, p, nil
}

func build(ctx context.Context, tx pgx.Tx, o *Order) (*Package, error) {
	list, err := geofence.ViolationsByID(ctx, tx, []geofence.ViolationID{o.Violation})
	if err != nil {
		return nil, err
	}
	v, ok := list[o.Violation]
	if !ok {
		return nil, ErrNotFound
	}
	p := &Package{Violation: Violation{v.ViolationBody, v.Engine, v.Evidence}}
	var in bool
	var label, office string
	if err := tx.QueryRow(ctx, `SELECT $1 = 0 OR $2 IN (SELECT org_subtree($1)), CASE WHEN s.juvenile THEN '未成年人·' ELSE coalesce(p.surname, '?') || '某某·' END || o.short_name || '·' || right(s.local_no, 4), o.name
		FROM subject s LEFT JOIN subject_person p USING (subject_id), org o WHERE s.subject_id = $3 AND o.org_id = $2`, int64(o.Scope), int64(v.Org), int64(v.Subject)).Scan(&in, &label, &office); err != nil {
		return nil, fmt.Errorf("read who it is about: %w", err)
	}
	if !in {
		return nil, ErrNotFound
	}
	p.Manifest = Manifest{Violation: int64(o.Violation), Subject: label, Office: office, MadeAt: o.At.UTC(), MadeBy: o.ByName, Program: o.Program, AuditKeys: o.AuditKeys}
	if err := p.readZone(ctx, tx); err != nil {
		return nil, err
	}
	if err := p.readFixes(ctx, tx, o); err != nil {
		return nil, err
	}
	x, err := alerts.LoadExplaining(ctx, tx, o.Violation, label)
	if err != nil {
		return nil, err
	}
	for _, l := range alerts.Explain(x) {
		p.Explanation = append(p.Explanation, Sentence{l.ZH, l.EN})
	}
	if err := p.readRows(ctx, tx); err != nil {
		return nil, err
	}
	return p, p.readLedger(ctx, tx)
}

func (p *Package) readZone(ctx context.Context, tx pgx.Tx) (err error) {
	v := &p.Violation
	if v.Zone == 0 {
		return nil
	}
	if p.Zone, err = geofence.ReadStoredZone(ctx, tx, v.Zone, v.ZoneVersion); err != nil {
		return err
	}
	d, err := geofence.DrawnVersion(ctx, tx, v.Zone, v.ZoneVersion)
	p.ZoneName, p.Geometry = d.Name, d.Geometry
	return err
}

// readFixes reads the track around the violation, from rows, packs and what was kept as evidence, and has the zone judge it.
func (p *Package) readFixes(ctx context.Context, tx pgx.Tx, o *Order) error {
	v := &p.Violation
	around := o.Around
	if around == 0 {
		around = aroundUsual
	}
	from, until := v.OpenedAt.Add(-around), o.At
	if !v.ClosedAt.IsZero() {
		until = v.ClosedAt.Add(around)
	}
	history, err := v.thresholds()
	if err != nil {
		return fmt.Errorf("read the evidence: %w", err)
	}
	for _, m := range history.Opened.Fixes {
		if m.At.Before(from) {
			from = m.At
		}
	}
	var zone *geofence.Zone
	if p.Zone != nil {
		if zone, err = p.Zone.Zone(); err != nil {
			return err
		}
	}
	track, err := geofence.ReadEvidenceTrack(ctx, tx, v.Subject, from, until, mostFixes)
	if err != nil {
		return err
	}
	for _, t := range track {
		f := Fix{At: t.At.UTC(), ReceivedAt: t.ReceivedAt.UTC(), Device: int64(t.Device), Boot: t.Boot, Seq: t.Seq, LonE7: int64(math.Round(t.Lon * 1e7)), LatE7: int64(math.Round(t.Lat * 1e7)),
			AccuracyM: t.AccuracyM, Method: t.Method, Flags: int(t.Flags), Battery: t.Battery, Strap: int(t.Strap)}
		if t.SpeedMPS >= 0 {
			speed := t.SpeedMPS
			f.SpeedMPS = &speed
		}
		if zone != nil {
			f.Verdict, f.MarginCM = judge(&history.Opened.Thresholds, zone, &f)
		}
		p.Fixes = append(p.Fixes, f)
	}
	return nil
}

// readRows reads what there is in rows: they go into the package as the database has them.
func (p *Package) readRows(ctx context.Context, tx pgx.Tx) error {
	v := &p.Violation
	for _, q := range []struct {
		to   *json.RawMessage
		sql  string
		args []any
	}{
		{&p.Rule, `SELECT jsonb_build_object('rule', (SELECT to_jsonb(r) FROM rule r WHERE rule_id = $1 AND version = $2),
			'legal_basis', (SELECT jsonb_agg(to_jsonb(b) ORDER BY legal_basis_id) FROM legal_basis b WHERE code = $3),
			'schedule', (SELECT to_jsonb(s) FROM schedule_version s JOIN rule r USING (schedule_id) WHERE r.rule_id = $1 AND r.version = $2 AND s.recorded @> $4::timestamptz AND s.valid @> $4::timestamptz))`,
			[]any{int64(v.Rule), v.RuleVersion, string(v.Basis), v.OpenedAt}},
		{&p.Decisions, `SELECT jsonb_build_object(
			'authorities', (SELECT coalesce(jsonb_agg(to_jsonb(a) || jsonb_build_object('approver', o.name) ORDER BY authority_id), '[]') FROM authority a JOIN officer o ON o.officer_id = a.approver_id WHERE subject_id = $1),
			'suspensions', (SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY suspension_id, version), '[]') FROM suspension s WHERE subject_id = $1),
			'prohibitions', (SELECT coalesce(jsonb_agg(to_jsonb(s) - 'sealed' ORDER BY prohibition_id, version), '[]') FROM prohibition s WHERE subject_id = $1),
			'sentences', (SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY sentence_id), '[]') FROM sentence s WHERE subject_id = $1),
			'bindings', (SELECT coalesce(jsonb_agg(to_jsonb(b) || jsonb_build_object('serial', d.serial, 'model', d.model) ORDER BY binding_id), '[]') FROM binding b JOIN device d USING (device_id) WHERE subject_id = $1),
			'attachments', (SELECT coalesce(jsonb_agg(to_jsonb(x) ORDER BY attachment_id), '[]') FROM attachment x WHERE subject_id = $1))`, []any{int64(v.Subject)}},
		{&p.Alerts, `SELECT jsonb_build_object(
			'alerts', (SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY alert_id), '[]') FROM alert a WHERE violation_id = $1),
			'history', (SELECT coalesce(jsonb_agg(to_jsonb(e) || jsonb_build_object('who', coalesce(o.name, c.name)) ORDER BY e.alert_id, e.seq), '[]') FROM alert_event e JOIN alert a USING (alert_id)
				LEFT JOIN account c ON c.account_id = e.account_id LEFT JOIN officer o USING (officer_id) WHERE a.violation_id = $1),
			'checks', (SELECT coalesce(jsonb_agg(to_jsonb(d) ORDER BY check_id), '[]') FROM check_demand d WHERE d.subject_id = $2 AND d.asked_at BETWEEN $3::timestamptz - interval '1 day' AND $4))`,
			[]any{int64(v.Violation), int64(v.Subject), v.OpenedAt, p.Manifest.MadeAt}},
	} {
		if err := tx.QueryRow(ctx, q.sql, q.args...).Scan(q.to); err != nil {
			return fmt.Errorf("read what was decided: %w", err)
		}
	}
	return nil
}

// readLedger reads the ledger's rows about the violation and its alerts, with their proofs.
func (p *Package) readLedger(ctx context.Context, tx pgx.Tx) error {
	found, open, err := audit.Proofs(ctx, tx, "violation", []int64{int64(p.Violation.Violation)})
	if err != nil {
		return err
	}
	rows, err := tx.Query(ctx, "SELECT alert_id FROM alert WHERE violation_id = $1", int64(p.Violation.Violation))
	if err != nil {
		return fmt.Errorf("read the alerts: %w", err)
	}
	raised, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("read the alerts: %w", err)
	}
	more, alsoOpen, err := audit.Proofs(ctx, tx, "alert", raised)
	p.Ledger, p.Manifest.Unsealed = append(found, more...), open+alsoOpen
	return err
}
