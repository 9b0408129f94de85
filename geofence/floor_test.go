package geofence_test

import (
	"errors"
	"testing"
	"time"

	"zhijiao/devices"
	"zhijiao/geofence"
)

// TestAccuracyIsNotTrustedBelowTheModel_R25: a model that is known to err by two kilometres opens nothing within that, whatever
// it claims; recorded as of before, what it had opened is withdrawn; from now on, the past stands.
func TestAccuracyIsNotTrustedBelowTheModel_R25(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from  time.Time
		stays int
	}{"since always": {noon.Add(-24 * time.Hour), 0}, "from now on": {time.Time{}, 1}} {
		p := newPlace(t)
		s := p.wearer("W1")
		const model = "XW-1"
		_, err := p.pool.Exec(t.Context(), "UPDATE device SET model = $1", model)
		p.ok(err)
		p.observe(p.fix("W1", noon, 0))
		p.derive()
		for n := range 4 {
			p.observe(p.fix("W1", noon.Add(time.Duration(2+n)*time.Minute), 6000)) // a kilometre outside
		}
		p.want(1, "violation WHERE kind = 'left_zone' AND state = 'open'")
		p.clock.Step(noon.Add(10 * time.Minute))
		p.ok(p.store.PutModelFloor(t.Context(), 0, model, devices.MethodGNSS, 2000, c.from))
		p.tick(noon.Add(10 * time.Minute))
		p.derive()
		p.want(c.stays, "violation WHERE kind = 'left_zone' AND state <> 'withdrawn'")
		list, err := geofence.NewHistory(p.pool).Check(t.Context(), s)
		p.ok(err)
		for _, x := range list {
			if !x.Identical {
				t.Errorf("%s: violation %d: %s", name, x.Violation, x.Difference)
			}
		}
		p.ok(p.store.PutModelFloor(t.Context(), 0, model, devices.MethodGNSS, 20, time.Time{})) // a second one follows
	}
	p := newPlace(t)
	for field, err := range map[string]error{
		"model":   p.store.PutModelFloor(t.Context(), 0, "", devices.MethodGNSS, 20, time.Time{}),
		"method":  p.store.PutModelFloor(t.Context(), 0, "X", 9, 20, time.Time{}),
		"floor_m": p.store.PutModelFloor(t.Context(), 0, "X", devices.MethodGNSS, -1, time.Time{}),
	} {
		var refused *geofence.Refused
		if !errors.As(err, &refused) || refused.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
