package devices_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
)

// TestGapsAreTold: what is missing behind later sequences for a quarter of an hour is told once, per device, in its health and in the
// ledger; what comes after all is missing no longer.
func TestGapsAreTold_R36(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	e := b.device("wb-0001", devices.Wristband)
	b.device("wb-0002", devices.Wristband)
	hear := func(at time.Time, sequences ...int64) {
		t.Helper()
		b.must(func(tx pgx.Tx) error {
			known, err := devices.LockForObserve(ctx, tx, []devices.Serial{"wb-0001"})
			if err != nil {
				return err
			}
			k := known["wb-0001"]
			k.Heard(at)
			for _, s := range sequences {
				k.Window.Accept(1, s, uint64(s))
			}
			return devices.SaveHeard(ctx, tx, []*devices.Known{k})
		})
	}
	tell := func(at time.Time, want int) {
		t.Helper()
		b.must(func(tx pgx.Tx) error {
			n, err := devices.TellGaps(ctx, tx, at)
			if n != want {
				t.Errorf("told of %d devices, not %d", n, want)
			}
			return err
		})
	}
	totals := func(want devices.GapTotals) {
		t.Helper()
		if got, err := devices.LoadGapTotals(ctx, b.pool); err != nil || got != want {
			t.Errorf("%+v, not %+v; %v", got, want, err)
		}
	}
	at := start.Add(time.Hour)
	hear(at, 1, 2, 5, 9) // 3, 4, 6, 7, 8 are missing
	tell(at.Add(devices.GapAge-time.Second), 0)
	hear(at.Add(time.Minute), 4) // late, not lost
	totals(devices.GapTotals{})
	tell(at.Add(devices.GapAge), 1)
	totals(devices.GapTotals{Devices: 1, Missing: 4, Lost: 4})
	tell(at.Add(24*time.Hour), 0) // once
	var body string
	b.scan(&body, `SELECT string_agg(body->>'missing' || ' ' || (body->>'more'), ',') FROM ledger WHERE kind = 'device.gap' AND entity_id = $1`, e.ID)
	if body != "4 4" {
		t.Errorf("the ledger says %q", body)
	}
	list, err := devices.ListGaps(ctx, b.pool, 0)
	if err != nil || len(list) != 1 || list[0].Told != 4 || len(list[0].Gaps) != 2 || list[0].Gaps[1] != (devices.Gap{Boot: 1, From: 6, To: 8}) {
		t.Errorf("%+v, %v", list, err)
	}
	hear(at.Add(time.Hour), 6, 7, 8) // after all
	totals(devices.GapTotals{Devices: 1, Missing: 1, Lost: 4})
	hear(at.Add(2*time.Hour), 11) // 10 is missing now
	tell(at.Add(2*time.Hour+devices.GapAge), 1)
	totals(devices.GapTotals{Devices: 1, Missing: 2, Lost: 5})
}
