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

// DeviceConcern is why somebody should look at a device. The values are told to consoles.
type DeviceConcern string

// The concerns, the worst first.
const (
	ConcernLost     DeviceConcern = "lost"     // in other hands (遗失), or nobody knows where
	ConcernTampered DeviceConcern = "tampered" // sequences came again with another content (R41)
	ConcernBattery  DeviceConcern = "battery"  // runs out within devices.BatterySoon (R61)
	ConcernSecret   DeviceConcern = "secret"   // bound, and without a secret it could connect with
	ConcernUnheard  DeviceConcern = "unheard"  // bound, and silent for longer than the usual rule of silence has patience
	ConcernClock    DeviceConcern = "clock"    // its clock is off by more than is tolerated (R38)
	ConcernGaps     DeviceConcern = "gaps"     // something it sent never arrived
)

// DeviceConcerns are all of them, the worst first.
func DeviceConcerns() []DeviceConcern {
	return []DeviceConcern{ConcernLost, ConcernTampered, ConcernBattery, ConcernSecret, ConcernUnheard, ConcernClock, ConcernGaps}
}

// DeviceHealth is how a device in use is. Times are zero where nothing is known.
type DeviceHealth struct {
	ID      id.Device
	Serial  devices.Serial
	Class   devices.Class
	Model   string
	Subject id.Subject // who it is bound to now; 0: nobody

	Every      time.Duration // how often it is expected, where it is bound
	BoundSince time.Time
	HeardAt    time.Time
	Battery    *int // per cent
	Charging   *bool
	Strap      devices.Strap
	Signal     *int // dBm
	Operator   string
	Skew       *time.Duration // its clock minus ours
	Missing    int64          // sequences told as lost that did not come after all
	Lost       int64          // told as lost, ever
	Conflicts  int64
	LostFrom   time.Time // zero: it is not lost now
	Secrets    int       // it could connect with now
	Coded      bool      // a one-time code waits for it

	Dies     *devices.BatteryForecast // only where it runs out soon
	Concerns []DeviceConcern          // the worst first
}

// ListDeviceHealth is how the devices are that are bound to somebody of scope now, and those of scope's own organisations that are bound
// to nobody. Those to look at come first, by their worst concern. A device that was withdrawn (revoked) is not listed.
func ListDeviceHealth(ctx context.Context, q devices.Querier, scope id.Org, now time.Time) ([]DeviceHealth, error) {
	dying, err := DyingBatteries(ctx, q, scope, now)
	if err != nil {
		return nil, err
	}
	dies := map[id.Device]*devices.BatteryForecast{}
	for i := range dying {
		dies[dying[i].Device] = &dying[i].BatteryForecast
	}
	rows, err := q.Query(ctx, `WITH bound AS (SELECT b.device_id, b.subject_id, b.interval_s, lower(b.valid) AS since, EXISTS (SELECT FROM subject_office o WHERE o.subject_id = b.subject_id
				AND upper_inf(o.recorded) AND o.valid @> $1::timestamptz AND o.org_id IN (SELECT org_subtree($2))) AS mine
			FROM binding b WHERE upper_inf(b.recorded) AND b.valid @> $1::timestamptz)
		SELECT d.device_id, d.serial, d.class, d.model, coalesce(b.subject_id, 0), coalesce(b.interval_s, 0), b.since, h.heard_at, h.battery, h.charging, coalesce(h.strap, 0), h.signal,
			coalesce(h.operator, ''), h.skew_ms, coalesce(h.missing_told, 0), coalesce(h.lost, 0), coalesce(h.conflicts, 0), CASE WHEN d.lost_until IS NULL THEN d.lost_from END,
			(SELECT count(*) FROM device_credential c WHERE c.device_id = d.device_id AND c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > $1)),
			EXISTS (SELECT FROM enrolment_code e WHERE e.device_id = d.device_id AND e.used_at IS NULL AND e.tries > 0 AND e.expires_at > $1)
		FROM device d LEFT JOIN bound b USING (device_id) LEFT JOIN device_health h USING (device_id)
		WHERE d.revoked_at IS NULL AND (b.mine OR b.device_id IS NULL AND d.org_id IN (SELECT org_subtree($2))) ORDER BY d.serial`, now, int64(scope))
	if err != nil {
		return nil, fmt.Errorf("read the devices' health: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d DeviceHealth, err error) {
		var every int64
		var skew *int64
		var since, heard, lost *time.Time
		err = row.Scan(&d.ID, &d.Serial, &d.Class, &d.Model, &d.Subject, &every, &since, &heard, &d.Battery, &d.Charging, &d.Strap, &d.Signal, &d.Operator, &skew,
			&d.Missing, &d.Lost, &d.Conflicts, &lost, &d.Secrets, &d.Coded)
		d.Every, d.BoundSince, d.HeardAt, d.LostFrom = time.Duration(every)*time.Second, utcOrZero(since), utcOrZero(heard), utcOrZero(lost)
		if skew != nil {
			s := time.Duration(*skew) * time.Millisecond
			d.Skew = &s
		}
		d.Dies = dies[d.ID]
		d.Concerns = d.concerns(now)
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the devices' health: %w", err)
	}
	rank := map[DeviceConcern]int{}
	for i, c := range DeviceConcerns() {
		rank[c] = i
	}
	worst := func(d *DeviceHealth) int {
		if len(d.Concerns) == 0 {
			return len(rank)
		}
		return rank[d.Concerns[0]]
	}
	slices.SortStableFunc(out, func(a, b DeviceHealth) int { return worst(&a) - worst(&b) })
	return out, nil
}

func (d *DeviceHealth) concerns(now time.Time) []DeviceConcern {
	bound, usual := d.Subject != 0, DefaultParams(Silence)
	patience := max(usual.SilentAfter, time.Duration(usual.SilentFactor*float64(d.Every)))
	last := d.HeardAt
	if last.Before(d.BoundSince) {
		last = d.BoundSince
	}
	is := map[DeviceConcern]bool{
		ConcernLost:     !d.LostFrom.IsZero(),
		ConcernTampered: d.Conflicts > 0,
		ConcernBattery:  d.Dies != nil,
		ConcernSecret:   bound && d.Secrets == 0,
		ConcernUnheard:  bound && now.Sub(last) > patience,
		ConcernClock:    d.Skew != nil && d.Skew.Abs() > skewTolerance,
		ConcernGaps:     d.Missing > 0,
	}
	out := []DeviceConcern{}
	for _, c := range DeviceConcerns() {
		if is[c] {
			out = append(out, c)
		}
	}
	return out
}

func utcOrZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
