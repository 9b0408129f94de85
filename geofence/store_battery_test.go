package geofence_test

import (
	"testing"
	"time"

	"zhijiao/devices"
	"zhijiao/geofence"
)

// R61: who runs out within eight hours is listed, the first first, by fixes and by status messages; who lasts longer, or is bound to
// nobody, is not.
func TestDyingBatteries_R61(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wearer("FAST")
	p.wearer("FIRST")
	p.wearer("SLOW")
	p.device("NOBODY", devices.Wristband)
	for serial, c := range map[devices.Serial]struct{ percent, perHour int }{"FAST": {60, 12}, "FIRST": {30, 12}, "SLOW": {90, 6}, "NOBODY": {20, 12}} {
		for i := range 13 {
			o := p.fix(serial, noon.Add(time.Duration(i)*10*time.Minute), 0)
			left := c.percent - c.perHour*i/6
			o.Health.Battery = &left
			if i%2 == 1 || serial == "NOBODY" {
				o.Kind, o.Place = devices.KindStatus, nil
			}
			p.observe(o)
		}
	}
	list, err := geofence.DyingBatteries(t.Context(), p.pool, 0, noon.Add(2*time.Hour))
	p.ok(err)
	if len(list) != 2 || list[0].Serial != "FIRST" || list[1].Serial != "FAST" || list[1].Percent != 36 || list[1].PerHour < 11 || list[1].PerHour > 13 {
		t.Errorf("%+v", list)
	}
}
