package alerts_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"zhijiao/alerts"
	"zhijiao/geofence"
	"zhijiao/internal/ledger"
)

func TestLateDataGoesToReview_R36(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.violation(t, geofence.LeftZone, 1, "leave_city", func(v *geofence.ViolationBody) { v.Late = true })
	a := b.only(t)
	if !a.Review || a.Class != alerts.Alarm || !a.OpenedAt.Equal(v.OpenedAt) {
		t.Errorf("from backlog came %+v", a)
	}
}

func TestWhatIsFoundLaterFoldsIntoTheEpisode(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.violation(t, geofence.LeftZone, 1, "leave_city")
	v.Version, v.OpenedAt, v.MarginCM = 2, v.OpenedAt.Add(-10*time.Minute), 90_000
	b.tell(t, geofence.ViolationAmendedEntry, &v)
	a := b.only(t)
	if a.Version != 2 || !a.OpenedAt.Equal(v.OpenedAt) || a.State != alerts.Open {
		t.Errorf("amended to %+v", a)
	}
	if got, want := b.history(t, a.ID), []string{"raised", "amended"}; !slices.Equal(got, want) {
		t.Errorf("history %v, want %v", got, want)
	}
}

// TestClosedAsNothingAndGoesOn: who closed an alert as drift is told again when the person is twice as far; who closed it as
// approved is not; and nothing that goes on has healed.
func TestClosedAsNothingAndGoesOn(t *testing.T) {
	t.Parallel()
	for conclusion, again := range map[alerts.Conclusion]bool{alerts.Drift: true, alerts.Other: true, alerts.Approved: false, alerts.Substantiated: false} {
		b := setup(t)
		v := b.violation(t, geofence.LeftZone, 1, "leave_city")
		act := alerts.Act{Alert: b.only(t).ID, Account: b.zhang, Scope: b.city}
		if _, err := b.store.Acknowledge(t.Context(), act); err != nil {
			t.Fatal(err)
		}
		var field *alerts.FieldError
		if _, err := b.store.Close(t.Context(), act, alerts.Conclude{Conclusion: alerts.Healed}); !errors.As(err, &field) || field.Reason != "still_open" {
			t.Errorf("healed while it goes on: %v", err)
		}
		if _, err := b.store.Close(t.Context(), act, alerts.Conclude{Conclusion: conclusion, Text: "看过"}); err != nil {
			t.Fatal(err)
		}
		v.Version, v.MarginCM = 2, 900_000
		b.tell(t, geofence.ViolationAmendedEntry, &v)
		var open, all int
		if err := b.pool.QueryRow(t.Context(), "SELECT count(*) FILTER (WHERE state = 'open'), count(*) FROM alert").Scan(&open, &all); err != nil {
			t.Fatal(err)
		}
		if want := 1; again && (open != want || all != 2) || !again && (open != 0 || all != 1) {
			t.Errorf("closed as %s: %d open of %d", conclusion, open, all)
		}
	}
}

func TestWithdrawnWaitsForAConclusion_R55(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.violation(t, geofence.LeftZone, 1, "leave_city")
	act := alerts.Act{Alert: b.only(t).ID, Account: b.zhang, Scope: b.city}
	v.State, v.Version = geofence.ViolationWithdrawn, 2
	b.tell(t, geofence.ViolationWithdrawnEntry, &v)
	if a := b.only(t); a.State != alerts.Open || a.ViolationState != geofence.ViolationWithdrawn {
		t.Fatalf("withdrawn, it is %+v", a)
	}
	if _, err := b.store.Acknowledge(t.Context(), act); err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Close(t.Context(), act, alerts.Conclude{Conclusion: alerts.Drift}); err != nil {
		t.Fatal(err)
	}
}

func TestClosedAlertLearnsWhatBecameOfItsEpisode(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.violation(t, geofence.LeftZone, 1, "leave_city")
	act := alerts.Act{Alert: b.only(t).ID, Account: b.zhang, Scope: b.city}
	if _, err := b.store.Acknowledge(t.Context(), act); err != nil {
		t.Fatal(err)
	}
	closed, err := b.store.Close(t.Context(), act, alerts.Conclude{Conclusion: alerts.Approved})
	if err != nil {
		t.Fatal(err)
	}
	v.State, v.Version = geofence.ViolationWithdrawn, 2
	b.tell(t, geofence.ViolationWithdrawnEntry, &v)
	a := b.only(t)
	if a.State != alerts.Closed || a.Conclusion != alerts.Approved || a.ClosedBy != b.zhang || a.ViolationState != geofence.ViolationWithdrawn || a.Version != closed.Version+1 {
		t.Errorf("withdrawn after it was closed, it is %+v", a)
	}
	if got, want := b.history(t, a.ID), []string{"raised", "acknowledged", "closed", "withdrawn"}; !slices.Equal(got, want) {
		t.Errorf("history %v, want %v", got, want)
	}
}

func TestHandlingIsWhatHeldThen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.violation(t, geofence.DeviceSilent, 1, "positioning")
	// Policy changes: from tomorrow on silence does not heal and is a lead. Only then it counts, and not for what was raised.
	changed := now.Add(24 * time.Hour)
	if _, err := b.pool.Exec(t.Context(), `UPDATE handling SET recorded = tstzrange(lower(recorded), $1) WHERE kind = 'device_silent' AND channel = 'wristband'`, changed); err != nil {
		t.Fatal(err)
	}
	if _, err := b.pool.Exec(t.Context(), `INSERT INTO handling (kind, channel, class, acknowledge_s, heals, recorded) VALUES ('device_silent', 'wristband', 'lead', 60, false, tstzrange($1, NULL))`, changed); err != nil {
		t.Fatal(err)
	}
	b.clock.Step(changed.Add(time.Hour))
	after := b.violation(t, geofence.DeviceSilent, 2, "positioning")
	for _, v := range []geofence.ViolationBody{before, after} {
		v.State, v.Version = geofence.ViolationClosed, 2
		b.tell(t, geofence.ViolationClosedEntry, &v)
	}
	list, err := b.store.List(t.Context(), b.pool, b.city, alerts.Filter{})
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	if a := list[1]; a.Class != alerts.Reminder || a.State != alerts.Closed || a.Conclusion != alerts.Healed {
		t.Errorf("raised before the change: %+v", a)
	}
	if a := list[0]; a.Class != alerts.Lead || a.State != alerts.Open || !a.DueAt.Equal(time.Date(2026, 11, 25, 0, 31, 0, 0, time.UTC)) { // a minute into the next morning
		t.Errorf("raised after the change: %+v", a)
	}
}

func TestHealAndTakingChargeAtOnce_R58(t *testing.T) {
	t.Parallel()
	for range 8 {
		b := setup(t)
		v := b.violation(t, geofence.DeviceSilent, 1, "positioning")
		v.State, v.Version = geofence.ViolationClosed, 2
		b.put(t, geofence.ViolationClosedEntry, &v)
		a := b.only(t)
		var took error
		var wg sync.WaitGroup
		wg.Go(func() {
			_, took = b.store.Acknowledge(t.Context(), alerts.Act{Alert: a.ID, Account: b.wang, Scope: b.city, Version: a.Version})
		})
		wg.Go(func() {
			if _, err := b.tail.Step(t.Context()); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		got := b.only(t)
		var c *alerts.Conflict
		switch {
		case took == nil && got.State == alerts.Acknowledged && got.AcknowledgedBy == b.wang:
		case errors.As(took, &c) && c.By == 0 && c.State == alerts.Closed && got.Conclusion == alerts.Healed && got.AcknowledgedBy == 0:
		default:
			t.Fatalf("taking charge: %v; the alert is %+v", took, got)
		}
	}
}

func TestWhatWasUndoneIsNotCounted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.violation(t, geofence.LeftZone, 1, "leave_city", func(v *geofence.ViolationBody) { v.TakenInAt = time.Now().Add(-time.Second) })
	// An alert, and behind it in the same batch an entry that nobody can read: the batch is undone.
	second := v
	second.Kind, second.Rule = geofence.EnteredZone, 2
	b.insert(t, &second)
	b.put(t, geofence.ViolationOpenedEntry, &second)
	b.append(t, ledger.Entry{At: now, Kind: geofence.ViolationOpenedEntry, Entity: "violation", EntityID: 9, Version: 1, Body: []byte(`"?"`)})
	if _, err := b.tail.Step(t.Context()); err == nil {
		t.Fatal("read what cannot be read")
	}
	b.only(t)
	const want = `# HELP zhijiao_alerts_open Alerts that are not closed.
# TYPE zhijiao_alerts_open gauge
zhijiao_alerts_open{class="alarm"} 1
zhijiao_alerts_open{class="lead"} 0
zhijiao_alerts_open{class="reminder"} 0
# HELP zhijiao_alerts_raised_total Alerts raised.
# TYPE zhijiao_alerts_raised_total counter
zhijiao_alerts_raised_total{class="alarm",kind="left_zone"} 1
`
	if err := testutil.GatherAndCompare(b.reg, strings.NewReader(want), "zhijiao_alerts_open", "zhijiao_alerts_raised_total"); err != nil {
		t.Error(err)
	}
	families, err := b.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if h := f.GetMetric()[0].GetHistogram(); f.GetName() == "zhijiao_fix_to_alert_seconds" && (h.GetSampleCount() != 1 || h.GetSampleSum() < 1 || h.GetSampleSum() > 60) {
			t.Errorf("fix to alert: %v", h)
		}
	}
}

func TestKindWithoutHandlingIsAReminderAndCounted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.pool.Exec(t.Context(), `UPDATE handling SET recorded = tstzrange(lower(recorded), $1) WHERE kind = 'left_zone'`, now); err != nil {
		t.Fatal(err)
	}
	b.violation(t, geofence.LeftZone, 1, "leave_city")
	if a := b.only(t); a.Class != alerts.Reminder {
		t.Errorf("class %s", a.Class)
	}
	const want = `# HELP zhijiao_alerts_without_handling_total Alerts raised of a kind and channel that the handling table says nothing of: they became reminders.
# TYPE zhijiao_alerts_without_handling_total counter
zhijiao_alerts_without_handling_total 1
`
	if err := testutil.GatherAndCompare(b.reg, strings.NewReader(want), "zhijiao_alerts_without_handling_total"); err != nil {
		t.Error(err)
	}
}

// TestTimeRuleWithoutProhibitionIsALead_R17: Chinese law knows no curfew. What binds only at some times alarms on a
// prohibition order alone; a check that is asked for at certain times reminds.
func TestTimeRuleWithoutProhibitionIsALead_R17(t *testing.T) {
	t.Parallel()
	for basis, want := range map[string]alerts.Class{"prohibition": alerts.Alarm, "leave_city": alerts.Lead, "positioning": alerts.Lead, "check": alerts.Reminder} {
		t.Run(basis, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.violation(t, geofence.Absent, 1, basis, func(v *geofence.ViolationBody) { v.Timed = true })
			if a := b.only(t); a.Class != want {
				t.Errorf("absent on %s is a %s, want %s", basis, a.Class, want)
			}
		})
	}
}
