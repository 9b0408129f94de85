package main

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
)

// TestSimulatedDevicesCarryOutCommands: what somebody tells the devices of a rehearsal they do and answer, through the broker.
func TestSimulatedDevicesCarryOutCommands(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)
	app := rehearseStepped(t, start)
	r := rehearsal{people: 3, wristbands: 1, days: 0, seed: 3, step: longestStep, only: []simulate.Misdeed{}}
	if _, err := r.live(t.Context(), app, io.Discard); err != nil {
		t.Fatal(err)
	}
	type told struct {
		id   devices.CommandID
		kind devices.CommandKind
		want string
	}
	var all []told
	rows, err := app.pool.Query(t.Context(), `SELECT device_id, serial, class, model, coalesce(org_id, 0), enrolled_at, facts FROM device d
		WHERE EXISTS (SELECT FROM binding b WHERE b.device_id = d.device_id) ORDER BY serial`)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d devices.Device, err error) {
		return d, row.Scan(&d.ID, &d.Serial, &d.Class, &d.Model, &d.Org, &d.EnrolledAt, &d.Facts)
	})
	if err != nil || len(list) < 3 {
		t.Fatal(len(list), err)
	}
	err = pgx.BeginFunc(t.Context(), app.pool, func(tx pgx.Tx) error {
		for _, d := range list {
			for _, kind := range []devices.CommandKind{devices.CommandLocate, devices.CommandText, devices.CommandVibrate, devices.CommandInterval} {
				c := devices.NewCommand{Device: d.ID, Kind: kind, At: app.clock.Now(), ExpiresAt: app.clock.Now().Add(12 * time.Hour)}
				want := "done"
				switch kind {
				case devices.CommandText:
					c.Text = "请到司法所报到"
				case devices.CommandInterval:
					c.Every = 10 * time.Minute
					if d.Class == devices.Phone {
						want = "failed unsupported"
					}
				}
				id, err := devices.Ask(t.Context(), tx, d.Org, c)
				if err != nil {
					return err
				}
				all = append(all, told{id, kind, want})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.days = 1
	if _, err := r.live(t.Context(), app, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if got := commandState(t, app, c.id); got != c.want {
			t.Errorf("%s is %s, not %s", c.kind, got, c.want)
		}
	}
	// The wristband reports every ten minutes since.
	n := slices.IndexFunc(list, func(d devices.Device) bool { return d.Class == devices.Wristband })
	var fixes int
	if err := app.pool.QueryRow(t.Context(), `SELECT count(*) FROM position_geom WHERE device_id = $1`, list[n].ID).Scan(&fixes); err != nil || fixes < 100 || fixes > 150 {
		t.Errorf("%d fixes in a day, %v", fixes, err)
	}
}
