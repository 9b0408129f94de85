package geofence_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/geofence"
)

// R40: what a lost device says is nobody's position, is not evaluated, and leaves a trace without a place; what it says once it is found is
// its bearer's again, but not what it kept from between.
func TestLostDevice_R40(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.rule(geofence.RuleSpec{Subject: p.wearer("W1"), Kind: geofence.StayIn, Zone: p.zone, Basis: "leave_city"})
	far := 50_000.0
	change := func(do func(ctx context.Context, tx pgx.Tx, d devices.Device) error) {
		t.Helper()
		p.ok(pgx.BeginFunc(t.Context(), p.pool, func(tx pgx.Tx) error {
			d, err := devices.Find(t.Context(), tx, "W1")
			if err != nil {
				return err
			}
			return do(t.Context(), tx, d)
		}))
	}
	p.observe(p.fix("W1", noon, 0))
	p.want(1, "position")
	change(func(ctx context.Context, tx pgx.Tx, d devices.Device) error {
		return devices.MarkLost(ctx, tx, d.ID, "x", noon.Add(time.Minute), noon.Add(time.Minute))
	})
	for i := range 10 { // in somebody's pocket, out of the zone
		p.observe(p.fix("W1", noon.Add(time.Duration(i+2)*time.Minute), far))
	}
	p.observe(p.fix("W1", noon.Add(30*time.Second), far)) // its clock set back
	kept := p.fix("W1", noon.Add(20*time.Minute), far)    // sent once it is found
	change(func(ctx context.Context, tx pgx.Tx, d devices.Device) error {
		return devices.MarkFound(ctx, tx, d.ID, noon.Add(30*time.Minute))
	})
	kept.SentAt, kept.ReceivedAt = noon.Add(31*time.Minute), noon.Add(31*time.Minute)
	p.observe(kept)
	p.want(1, "position")
	p.want(0, "violation")
	p.want(12, "quarantine WHERE reason = 'lost_device' AND outcome = 'withheld' AND payload IS NULL")
	if n := p.balanced()[devices.CountKey{Kind: devices.KindFix, Outcome: devices.Withheld, Reason: devices.LostDevice}]; n != 12 {
		t.Errorf("%d withheld, want 12", n)
	}
	p.observe(p.fix("W1", noon.Add(32*time.Minute), 0))
	p.want(2, "position")
}
