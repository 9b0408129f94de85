package geofence

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

const violationColumns = `violation_id, subject_id, org_id, rule_id, rule_version, coalesce(zone_id, 0), coalesce(zone_version, 0), kind, channel,
	state, version, opened_at, decided_at, closed_at, late, evidence`

// scanEpisode reads violationColumns.
func scanEpisode(row pgx.CollectableRow) (*episode, error) {
	return scanEpisodeAnd(row, nil)
}

// scanEpisodeAnd reads violationColumns and one column more, if any.
func scanEpisodeAnd(row pgx.CollectableRow, more func(*episode) any) (*episode, error) {
	v := &episode{}
	var closed *time.Time
	to := []any{&v.Violation, &v.Subject, &v.Org, &v.Rule, &v.RuleVersion, &v.Zone, &v.ZoneVersion, &v.Kind, &v.Channel, &v.State, &v.Version,
		&v.OpenedAt, &v.DecidedAt, &closed, &v.Late, &v.evidence}
	if more != nil {
		to = append(to, more(v))
	}
	if err := row.Scan(to...); err != nil {
		return nil, err
	}
	v.OpenedAt, v.DecidedAt = v.OpenedAt.UTC(), v.DecidedAt.UTC()
	if closed != nil {
		v.ClosedAt = closed.UTC()
	}
	v.Basis = v.evidence.Opened.Basis
	last := &v.evidence.Opened
	if n := len(v.evidence.Amended); n > 0 {
		last = &v.evidence.Amended[n-1]
	}
	v.summarise(last)
	return v, nil
}

// loadApplying reads what is open about subjects that are locked, and draws the numbers of what will open.
func loadApplying(ctx context.Context, tx pgx.Tx, subjects []id.Subject, opens, asks int) (*applying, error) {
	a := &applying{open: map[episodeKey]*episode{}, checks: map[checkKey]*pendingCheck{}}
	var b pgx.Batch
	b.Queue(`SELECT `+violationColumns+` FROM violation WHERE subject_id = ANY ($1) AND state = 'open'`, subjects).Query(func(rows pgx.Rows) error {
		list, err := pgx.CollectRows(rows, scanEpisode)
		for _, v := range list {
			a.open[episodeKey{v.Subject, v.Rule, v.Kind}] = v
		}
		return err
	})
	b.Queue(`SELECT check_id, coalesce(command_id, 0), subject_id, device_id, rule_id, asked_at, due_at FROM check_demand
		WHERE subject_id = ANY ($1) AND state = 'pending' AND reason = 'confirm'`, subjects).Query(func(rows pgx.Rows) error {
		list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*pendingCheck, error) {
			c := &pendingCheck{state: "pending"}
			return c, row.Scan(&c.check, &c.command, &c.subject, &c.device, &c.rule, &c.asked, &c.due)
		})
		for _, c := range list {
			c.asked, c.due = c.asked.UTC(), c.due.UTC()
			a.checks[checkKey{c.subject, c.rule}] = c
		}
		return err
	})
	const draw = `SELECT nextval(pg_get_serial_sequence($1, $2)) FROM generate_series(1, $3)`
	b.Queue(draw, "violation", "violation_id", opens).Query(func(rows pgx.Rows) (err error) {
		a.ids, err = pgx.CollectRows(rows, pgx.RowTo[ViolationID])
		return err
	})
	b.Queue(draw, "check_demand", "check_id", asks).Query(func(rows pgx.Rows) (err error) {
		a.checkIDs, err = pgx.CollectRows(rows, pgx.RowTo[id.Check])
		return err
	})
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return nil, fmt.Errorf("read what is open: %w", err)
	}
	return a, nil
}

// write writes what effects were applied to. What closes is written before what opens: one of a kind is open at a time.
func (a *applying) write(ctx context.Context, tx pgx.Tx) error {
	var b pgx.Batch
	for _, fresh := range []bool{false, true} {
		for _, v := range a.episodes {
			if v.fresh == fresh {
				if err := v.queue(&b); err != nil {
					return err
				}
			}
		}
	}
	if b.Len() > 0 {
		if err := tx.SendBatch(ctx, &b).Close(); err != nil {
			return fmt.Errorf("write violations: %w", err)
		}
	}
	return a.writeChecks(ctx, tx)
}

// queue adds the statement that writes the episode. Violations are few: one statement each.
func (v *episode) queue(b *pgx.Batch) error {
	evidence, err := json.Marshal(&v.evidence)
	if err != nil {
		return fmt.Errorf("evidence of a violation: %w", err)
	}
	var closed *time.Time
	if !v.ClosedAt.IsZero() {
		closed = &v.ClosedAt
	}
	if !v.fresh {
		b.Queue(`UPDATE violation SET state = $2, version = $3, closed_at = $4, late = $5, evidence = $6, opened_at = $7, rule_version = $8,
			zone_id = nullif($9::bigint, 0), zone_version = nullif($10::int, 0), channel = $11, engine = $12, merged_into = nullif($13::bigint, 0) WHERE violation_id = $1`,
			v.Violation, v.State, v.Version, closed, v.Late, string(evidence), v.OpenedAt, v.RuleVersion, v.Zone, v.ZoneVersion, v.Channel, EngineVersion, v.MergedInto)
		return nil
	}
	b.Queue(`INSERT INTO violation (violation_id, subject_id, org_id, rule_id, rule_version, zone_id, zone_version, kind, channel, state, version,
			opened_at, decided_at, closed_at, late, evidence, engine)
		OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, nullif($6::bigint, 0), nullif($7::int, 0), $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
		v.Violation, v.Subject, v.Org, v.Rule, v.RuleVersion, v.Zone, v.ZoneVersion, v.Kind, v.Channel, v.State, v.Version,
		v.OpenedAt, v.DecidedAt, closed, v.Late, string(evidence), EngineVersion)
	return nil
}

// writeChecks writes demands and the commands that carry them to the devices.
func (a *applying) writeChecks(ctx context.Context, tx pgx.Tx) error {
	var send []devices.NewCommand
	var sent []*pendingCheck
	for _, c := range a.touched {
		if c.fresh && c.state == "pending" {
			send, sent = append(send, c.newCommand()), append(sent, c)
		}
	}
	commands, err := devices.Enqueue(ctx, tx, send...)
	if err != nil {
		return err
	}
	for i, c := range sent {
		c.command = commands[i]
	}
	var b pgx.Batch
	var finished [2][]devices.CommandID // over without an answer; answered
	for _, c := range a.touched {
		var answered *time.Time
		if !c.answered.IsZero() {
			answered = &c.answered
		}
		if c.fresh {
			b.Queue(`INSERT INTO check_demand (check_id, subject_id, device_id, command_id, rule_id, reason, asked_at, due_at, state, answered_at, because_at)
				OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, nullif($4::bigint, 0), $5, 'confirm', $6, $7, $8, $9, $10)`,
				c.check, c.subject, c.device, c.command, c.rule, c.asked, c.due, c.state, answered, c.because)
			continue
		}
		b.Queue(`UPDATE check_demand SET state = $2, answered_at = $3 WHERE check_id = $1`, c.check, c.state, answered)
		if c.command != 0 {
			n := 0
			if c.state == "answered" {
				n = 1
			}
			finished[n] = append(finished[n], c.command)
		}
	}
	if b.Len() > 0 {
		if err := tx.SendBatch(ctx, &b).Close(); err != nil {
			return fmt.Errorf("write checks: %w", err)
		}
	}
	now := a.engine.o.Clock.Now()
	if err := devices.FinishCommands(ctx, tx, now, false, finished[0]...); err != nil {
		return err
	}
	return devices.FinishCommands(ctx, tx, now, true, finished[1]...)
}

// loadDemands reads demands that observations say they answer. Demands of a subject change only under its lock.
func loadDemands(ctx context.Context, tx pgx.Tx, checks []id.Check) (map[id.Check]*demand, error) {
	if len(checks) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `SELECT check_id, subject_id, device_id, coalesce(command_id, 0), CASE WHEN reason = 'confirm' THEN coalesce(rule_id, 0) ELSE 0 END,
		asked_at, due_at, state FROM check_demand WHERE check_id = ANY ($1)`, checks)
	if err != nil {
		return nil, fmt.Errorf("read checks: %w", err)
	}
	out := map[id.Check]*demand{}
	var d demand
	_, err = pgx.ForEachRow(rows, []any{&d.check, &d.subject, &d.device, &d.command, &d.rule, &d.asked, &d.due, &d.state}, func() error {
		one := d
		one.asked, one.due = one.asked.UTC(), one.due.UTC()
		out[d.check] = &one
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read checks: %w", err)
	}
	return out, nil
}

// settleAnswered ends demands that a person or a plan made and that were answered; those of rules end by evaluation.
func settleAnswered(ctx context.Context, tx pgx.Tx, list []*demand, subjects map[id.Subject]*subject, now time.Time) ([]ledger.Entry, error) {
	if len(list) == 0 {
		return nil, nil
	}
	var b pgx.Batch
	var commands []devices.CommandID
	var entries []ledger.Entry
	for _, d := range list {
		b.Queue(`UPDATE check_demand SET state = 'answered', answered_at = $2 WHERE check_id = $1 AND state = 'pending'`, d.check, d.answered)
		if d.command != 0 {
			commands = append(commands, d.command)
		}
		e, err := checkEntry("check.answered", subjects[d.subject].known.office(now), d.subject, CheckBody{Check: d.check, Device: d.device, Due: d.due}, now)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return nil, fmt.Errorf("write answers: %w", err)
	}
	return entries, devices.FinishCommands(ctx, tx, now, true, commands...)
}
