package console_test

import (
	"slices"
	"testing"
	"time"

	"zhijiao/console"
)

// TestDevicesAreTold_R61: who looks after the devices sees which run out of battery, which are lost, silent, out of step or speak twice,
// the worst first, and none of another office.
func TestDevicesAreTold_R61(t *testing.T) {
	t.Parallel()
	b := setup(t)
	city, yuekou, zaoshi := b.user(t, "wang", b.city, console.Commander), b.user(t, "yuekou.li", b.yuekou, console.OfficerRole), b.user(t, "zaoshi.zhao", b.zaoshi, console.OfficerRole)
	li, zhao := "phone-TM20260417", "phone-TM20260233"
	b.exec(t, `INSERT INTO device (serial, class, org_id, enrolled_at) VALUES ('SPARE', 'wristband', $1, $2), ('NOBODYS', 'wristband', NULL, $2), ('GONE', 'wristband', $1, $2)`, int64(b.yuekou), now)
	b.exec(t, `UPDATE device SET revoked_at = $1 WHERE serial = 'GONE'`, now)
	b.exec(t, `UPDATE device SET lost_from = $1, lost_reason = 'x' WHERE serial = 'SPARE'`, now.Add(-time.Hour))
	b.exec(t, `UPDATE device_health SET heard_at = $2, battery = 40, skew_ms = -360000, missing = 9, missing_told = 7, lost = 8, conflicts = 2 WHERE device_id = (SELECT device_id FROM device WHERE serial = $1)`, li, now.Add(-time.Minute))
	b.exec(t, `UPDATE device_health SET heard_at = $2, battery = 80 WHERE device_id = (SELECT device_id FROM device WHERE serial = $1)`, zhao, now.Add(-25*time.Hour))
	for i := range 7 {
		b.exec(t, `INSERT INTO device_status (device_id, boot, seq, at, received_at, battery) SELECT device_id, 1, $2, $3, $3, $4 FROM device WHERE serial = $1`, li, i+1, now.Add(time.Duration(i-6)*10*time.Minute), 46-i)
	}
	type device struct {
		Serial    string     `json:"serial"`
		Concerns  []string   `json:"concerns"`
		DiesAt    *time.Time `json:"dies_at"`
		Missing   int        `json:"missing"`
		Enrolment string     `json:"enrolment"`
		Subject   *struct {
			Label string `json:"label"`
		} `json:"subject"`
	}
	seen := func(u *user) (out map[string]device, order []string, counts map[string]int) {
		t.Helper()
		var doc struct {
			Devices  []device `json:"devices"`
			Concerns []struct {
				Concern string `json:"concern"`
				N       int    `json:"n"`
			} `json:"concerns"`
		}
		u.get(t, "/api/devices", &doc)
		out, counts = map[string]device{}, map[string]int{}
		for _, d := range doc.Devices {
			out[d.Serial], order = d, append(order, d.Serial)
		}
		for _, c := range doc.Concerns {
			counts[c.Concern] = c.N
		}
		return out, order, counts
	}
	all, order, counts := seen(city)
	if !slices.Equal(order, []string{"SPARE", li, zhao}) {
		t.Errorf("%v", order)
	}
	if d := all["SPARE"]; !slices.Equal(d.Concerns, []string{"lost"}) || d.Subject != nil || d.Enrolment != "none" {
		t.Errorf("%+v", d)
	}
	if d := all[li]; !slices.Equal(d.Concerns, []string{"tampered", "battery", "clock", "gaps"}) || d.Missing != 7 || d.DiesAt == nil || d.Subject == nil || d.Subject.Label != "李某某·岳口·0417" {
		t.Errorf("%+v", d)
	}
	if d := all[zhao]; !slices.Equal(d.Concerns, []string{"unheard"}) || d.Enrolment != "enrolled" {
		t.Errorf("%+v", d)
	}
	if counts["lost"] != 1 || counts["battery"] != 1 || counts["unheard"] != 1 || counts["secret"] != 0 || len(counts) != 7 {
		t.Errorf("%v", counts)
	}
	if _, order, _ := seen(yuekou); !slices.Equal(order, []string{"SPARE", li}) {
		t.Errorf("%v", order)
	}
	if _, order, counts := seen(zaoshi); !slices.Equal(order, []string{zhao}) || counts["lost"] != 0 {
		t.Errorf("%v", order)
	}
	// Who has to be given a secret: nothing it could connect with is left.
	b.exec(t, `UPDATE device_credential SET revoked_at = $2 WHERE device_id = (SELECT device_id FROM device WHERE serial = $1)`, zhao, now)
	if all, _, _ := seen(zaoshi); !slices.Equal(all[zhao].Concerns, []string{"secret", "unheard"}) || all[zhao].Enrolment != "none" {
		t.Errorf("%+v", all[zhao])
	}
}
