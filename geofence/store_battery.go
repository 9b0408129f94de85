package geofence

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

const (
	// batteryBack is how far back readings are looked at: longer than a wristband lasts says nothing of how it falls now.
	batteryBack = 24 * time.Hour
	// batteryNewest is how many readings of a device are looked at, of its messages and of its fixes each.
	batteryNewest = 300
)

// DyingBattery is a device whose battery runs out soon.
type DyingBattery struct {
	Device id.Device
	Serial devices.Serial
	Model  string
	devices.BatteryForecast
}

// DyingBatteries are the devices bound to somebody of scope now (0: to anybody) whose battery runs out within devices.BatterySoon, the
// first to do so first (R61). It reads what was kept of them: their status messages and their fixes.
func DyingBatteries(ctx context.Context, q devices.Querier, scope id.Org, now time.Time) ([]DyingBattery, error) {
	rows, err := q.Query(ctx, `WITH b AS (SELECT d.device_id, d.serial, d.model, b.subject_id FROM binding b JOIN device d USING (device_id)
			WHERE upper_inf(b.recorded) AND b.valid @> $1::timestamptz AND d.revoked_at IS NULL AND ($3 = 0 OR EXISTS (SELECT FROM subject_office o
				WHERE o.subject_id = b.subject_id AND upper_inf(o.recorded) AND o.valid @> $1::timestamptz AND o.org_id IN (SELECT org_subtree($3)))))
		SELECT device_id, serial, model, r.at, r.battery, coalesce(r.charging, false) FROM b CROSS JOIN LATERAL (
			(SELECT at, battery, charging FROM device_status s WHERE s.device_id = b.device_id AND at > $2 AND at <= $1 AND battery IS NOT NULL
				ORDER BY at DESC LIMIT $4)
			UNION ALL
			(SELECT fix_at, battery, charging FROM position p JOIN binding o USING (binding_id) WHERE p.subject_id = b.subject_id AND o.device_id = b.device_id
				AND fix_at > $2 AND fix_at <= $1 AND battery IS NOT NULL ORDER BY fix_at DESC LIMIT $4)) AS r
		ORDER BY serial, r.at`, now, now.Add(-batteryBack), int64(scope), batteryNewest)
	if err != nil {
		return nil, fmt.Errorf("read batteries: %w", err)
	}
	var out []DyingBattery
	var of, at DyingBattery
	var readings []devices.BatteryReading
	judge := func() {
		if f, ok := devices.ForecastBattery(readings); ok && f.Soon(now) {
			of.BatteryForecast = f
			out = append(out, of)
		}
		readings = readings[:0]
	}
	var r devices.BatteryReading
	_, err = pgx.ForEachRow(rows, []any{&at.Device, &at.Serial, &at.Model, &r.At, &r.Percent, &r.Charging}, func() error {
		if at.Device != of.Device {
			judge()
			of = at
		}
		readings = append(readings, devices.BatteryReading{At: r.At.UTC(), Percent: r.Percent, Charging: r.Charging})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read batteries: %w", err)
	}
	judge()
	slices.SortStableFunc(out, func(a, b DyingBattery) int { return a.Dead.Compare(b.Dead) })
	return out, nil
}
