package geofence_test

import (
	"strings"
	"testing"
	"time"

	"zhijiao/geofence"
)

// TestScheduleIsRefusedNamingTheField_R16: what is empty, overlaps or makes no sense is not recorded, and the refusal says which
// row of it and why; a schedule that is in force is not replaced by it.
func TestScheduleIsRefusedNamingTheField_R16(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	good := `{"rows":[{"from":"22:00","until":"06:00"}],"exceptions":[{"date":"2026-10-01","windows":[]}]}`
	live, _, err := p.store.PutSchedule(t.Context(), 0, 0, geofence.ScheduleSpec{Org: p.office, Name: "夜间在家", Doc: []byte(good)})
	p.ok(err)
	for name, c := range map[string]struct{ doc, says string }{
		"nothing":               {``, "schedule"},
		"null":                  {`null`, "never applies"},
		"empty":                 {`{}`, "rows: a schedule without a window"},
		"no rows":               {`{"rows":[],"exceptions":[]}`, "rows: a schedule without a window"},
		"closed days only":      {`{"exceptions":[{"date":"2026-10-01","windows":[]}]}`, "exceptions: without rows"},
		"rows overlap":          {`{"rows":[{"days":[1,2],"from":"08:00","until":"10:00"},{"days":[2,3],"from":"09:59","until":"11:00"}]}`, "rows[1]: overlaps with rows[0] on weekday 2"},
		"over midnight":         {`{"rows":[{"from":"22:00","until":"06:00"},{"on":"day_off","from":"23:00","until":"23:30"}]}`, "rows[1]: overlaps with rows[0]"},
		"an exception overlaps": {`{"exceptions":[{"date":"2026-10-01","windows":[{"from":"08:00","until":"10:00"},{"from":"09:00","until":"11:00"}]}]}`, "exceptions[0].windows: two of them overlap"},
		"an empty window":       {`{"rows":[{"from":"08:00","until":"08:00"}]}`, "rows[0].until: a window from 08:00 to 08:00 is empty"},
		"an unknown word":       {`{"rows":[{"from":"08:00","until":"09:00","day":[1]}]}`, "day"},
		"twice":                 {good + good, "schedule"},
	} {
		_, _, err := p.store.PutSchedule(t.Context(), 0, 0, geofence.ScheduleSpec{ID: live, Org: p.office, Name: "夜间在家", Doc: []byte(c.doc)})
		if r := refused(t, err, geofence.BadSchedule); r.Field != "doc" || !strings.Contains(r.Detail, c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	_, _, err = p.store.PutSchedule(t.Context(), 0, 0, geofence.ScheduleSpec{Org: p.office, Doc: []byte(good)})
	refused(t, err, geofence.EmptyName)
	p.want(1, "schedule_version")
	p.want(1, "schedule_version WHERE schedule_id = $1 AND upper_inf(valid) AND upper_inf(recorded)", int64(live))
}

// TestValidityThatEndsBeforeItBegins_R15: of a zone and of a rule, also where it begins now.
func TestValidityThatEndsBeforeItBegins_R15(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.person(time.Time{})
	for name, c := range map[string][2]time.Time{
		"before":     {noon, noon.Add(-time.Second)},
		"at once":    {noon, noon},
		"before now": {{}, noon.Add(-time.Hour)},
	} {
		zone := geofence.ZoneSpec{ID: p.zone, Org: p.office, Purpose: geofence.Activity, Name: "某区", Shape: geofence.Polygonal, Geometry: square(0, 500),
			Datum: "WGS-84", From: c[0], Until: c[1]}
		_, _, err := p.store.PutZone(t.Context(), 0, 0, zone)
		if r := refused(t, err, geofence.EmptyInterval); r.Field != "until" || !strings.Contains(r.Detail, "before it begins") {
			t.Errorf("a zone that ends %s: %v", name, err)
		}
		rule := geofence.RuleSpec{Subject: s, Kind: geofence.StayIn, Zone: p.zone, Basis: "leave_city", From: c[0], Until: c[1]}
		_, _, err = p.store.PutRule(t.Context(), 0, 0, rule)
		if r := refused(t, err, geofence.EmptyInterval); r.Field != "until" || !strings.Contains(r.Detail, "before it begins") {
			t.Errorf("a rule that ends %s: %v", name, err)
		}
	}
	p.want(1, "zone_version")
	p.want(0, "rule")
}
