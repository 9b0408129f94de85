package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/alerts"
	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/clock"
	"zhijiao/internal/id"
)

// requireRehearsal refuses a database of real people: nothing invented ever gets among them.
func requireRehearsal(ctx context.Context, pool *pgxpool.Pool) error {
	mode, err := checkedMode(ctx, pool)
	if err != nil {
		return err
	}
	if mode != modeRehearsal {
		return fmt.Errorf("%w: it is for real people, and invented ones go into a rehearsal only (`zhijiao up --rehearsal` on a fresh data_dir)", errMode)
	}
	return nil
}

// firstClock sets the clock of a rehearsal whose clock was never set, and leaves any other as it is.
func firstClock(ctx context.Context, pool *pgxpool.Pool, s clock.Setting) error {
	var set bool
	if err := pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM domain_clock WHERE domain_at IS NOT NULL)").Scan(&set); err != nil {
		return fmt.Errorf("look for the domain clock: %w", err)
	}
	if set {
		return nil
	}
	return clock.Set(ctx, pool, s)
}

// zoneByName is the zone an organisation has under a name; 0: none.
func zoneByName(ctx context.Context, pool *pgxpool.Pool, org id.Org, name string) (zone geofence.ZoneID, err error) {
	err = pool.QueryRow(ctx, "SELECT zone_id FROM zone WHERE org_id = $1 AND name = $2 ORDER BY zone_id LIMIT 1", org, name).Scan(&zone)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return zone, err
}

// scheduleByName is the schedule an organisation has under a name; 0: none.
func scheduleByName(ctx context.Context, pool *pgxpool.Pool, org id.Org, name string) (s geofence.ScheduleID, err error) {
	err = pool.QueryRow(ctx, "SELECT schedule_id FROM schedule WHERE org_id = $1 AND name = $2 ORDER BY schedule_id LIMIT 1", org, name).Scan(&s)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return s, err
}

// subjectByNumber is the subject with a local number; 0: none.
func subjectByNumber(ctx context.Context, pool *pgxpool.Pool, number string) (subject id.Subject, err error) {
	err = pool.QueryRow(ctx, "SELECT subject_id FROM subject WHERE local_no = $1", number).Scan(&subject)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return subject, err
}

// numberOfViolated is the local number of whom a violation is about; alerts.ErrNotFound: there is no such violation.
func numberOfViolated(ctx context.Context, pool *pgxpool.Pool, v geofence.ViolationID) (number string, err error) {
	err = pool.QueryRow(ctx, "SELECT local_no FROM violation JOIN subject USING (subject_id) WHERE violation_id = $1", v).Scan(&number)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", alerts.ErrNotFound
	}
	return number, err
}

// ruled tells whether a subject has had a rule of a kind about a zone (0: about none) that holds at an instant.
func ruled(ctx context.Context, pool *pgxpool.Pool, subject id.Subject, kind geofence.RuleKind, zone geofence.ZoneID, at time.Time) (there bool, err error) {
	err = pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM rule WHERE subject_id = $1 AND kind = $2 AND coalesce(zone_id, 0) = $3
		AND upper_inf(recorded) AND valid @> $4::timestamptz)`, subject, string(kind), int64(zone), at).Scan(&there)
	return there, err
}

// fixRows is how many fixes of devices are among the positions, packed or not; nobody else wears what their people wear. What answers a demand is a check-in and not among them.
func fixRows(ctx context.Context, pool *pgxpool.Pool, list []id.Device) (n int64, err error) {
	err = pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM position p JOIN binding b USING (binding_id) WHERE b.device_id = ANY ($1))
		+ (SELECT coalesce(sum(fixes), 0) FROM position_pack WHERE subject_id IN (SELECT subject_id FROM binding WHERE device_id = ANY ($1)))
		- (SELECT count(*) FROM check_in WHERE device_id = ANY ($1) AND placed)`, list).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count the rows: %w", err)
	}
	return n, nil
}

// refusedRows is how many traces in the quarantine are about devices.
func refusedRows(ctx context.Context, pool *pgxpool.Pool, list []id.Device) (map[devices.Reason]int64, error) {
	rows, err := pool.Query(ctx, "SELECT reason, count(*) FROM quarantine WHERE device_id = ANY($1) AND kind = 'fix' GROUP BY reason", list)
	if err != nil {
		return nil, fmt.Errorf("count the quarantine: %w", err)
	}
	out := map[devices.Reason]int64{}
	var reason devices.Reason
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&reason, &n}, func() error { out[reason] = n; return nil })
	return out, err
}

// sentCommands are the commands to devices that were sent and whose time has not run out.
func sentCommands(ctx context.Context, pool *pgxpool.Pool, now time.Time) ([]devices.CommandID, error) {
	rows, err := pool.Query(ctx, `SELECT command_id FROM command WHERE sent_at IS NOT NULL AND ended_at IS NULL AND expires_at > $1
		ORDER BY command_id`, now)
	if err != nil {
		return nil, fmt.Errorf("read the commands: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[devices.CommandID])
}

// storedStatuses is how many statuses of devices of a class of serials are stored.
func storedStatuses(ctx context.Context, pool *pgxpool.Pool, prefix string) (n int64, err error) {
	err = pool.QueryRow(ctx, "SELECT count(*) FROM device_status JOIN device USING (device_id) WHERE starts_with(serial, $1)", prefix).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count the statuses: %w", err)
	}
	return n, nil
}

// firstEnrolled is when the first device of a class of serials was enrolled; zero: there is none.
func firstEnrolled(ctx context.Context, pool *pgxpool.Pool, prefix string) (time.Time, error) {
	var at *time.Time
	if err := pool.QueryRow(ctx, "SELECT min(enrolled_at) FROM device WHERE starts_with(serial, $1)", prefix).Scan(&at); err != nil || at == nil {
		return time.Time{}, err
	}
	return at.UTC(), nil
}
