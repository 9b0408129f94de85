package alerts_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"zhijiao/alerts"
	"zhijiao/geofence"
)

func TestPagesMissAndRepeatNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.pool.Exec(t.Context(), `INSERT INTO rule (rule_id, version, subject_id, kind, legal_basis, valid, recorded)
		SELECT n, 1, 1, 'silence', 'positioning', '[2026-01-01,)', '[2026-01-01,)' FROM generate_series(3, 7) n`); err != nil {
		t.Fatal(err)
	}
	for rule := geofence.RuleID(1); rule <= 7; rule++ { // some at the same instant
		if rule == 4 {
			b.clock.Step(now.Add(time.Minute))
		}
		b.violation(t, geofence.DeviceSilent, rule, "positioning")
	}
	var got []alerts.ID
	for f := (alerts.Filter{State: alerts.Open, Org: 2, Limit: 2}); ; {
		page, err := b.store.List(t.Context(), b.pool, b.city, f)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, a := range page {
			got = append(got, a.ID)
		}
		f.Before = got[len(got)-1]
	}
	if want := []alerts.ID{7, 6, 5, 4, 3, 2, 1}; !slices.Equal(got, want) {
		t.Errorf("pages held %v, want %v", got, want)
	}
	for name, f := range map[string]alerts.Filter{"closed": {State: alerts.Closed}, "alarms": {Class: alerts.Alarm}, "the other office": {Org: b.others}} {
		if list, err := b.store.List(t.Context(), b.pool, b.city, f); err != nil || len(list) != 0 {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
}

func TestConcludingOnWhatAColleagueChanged_R58(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.violation(t, geofence.LeftZone, 1, "leave_city")
	act := alerts.Act{Alert: b.only(t).ID, Account: b.zhang, Scope: b.city}
	seen, err := b.store.Acknowledge(t.Context(), act)
	if err != nil {
		t.Fatal(err)
	}
	noted := now.Add(time.Minute)
	b.clock.Step(noted)
	colleague := act
	colleague.Account = b.wang
	if _, err := b.store.Note(t.Context(), colleague, "已电话联系本人，在亲戚家"); err != nil {
		t.Fatal(err)
	}
	if err := b.store.Viewed(t.Context(), act); err != nil {
		t.Fatal(err)
	}
	b.clock.Step(noted.Add(time.Minute))
	act.Version = seen.Version
	var c *alerts.Conflict
	if _, err := b.store.Close(t.Context(), act, alerts.Conclude{Conclusion: alerts.Drift}); !errors.As(err, &c) || c.By != b.wang || !c.At.Equal(noted) || c.Version != seen.Version+1 {
		t.Errorf("concluded on what was not seen: %v", err)
	}
	act.Version = c.Version
	if _, err := b.store.Close(t.Context(), act, alerts.Conclude{Conclusion: alerts.Justified}); err != nil {
		t.Errorf("having seen it: %v", err)
	}
}
