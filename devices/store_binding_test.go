package devices_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

const day = 24 * time.Hour

func TestBindTellsEverybodyConcerned(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	e, s := b.device("wb-0001", devices.Wristband), b.subject(true)
	n, err := b.bind(devices.NewBinding{Device: e.ID, Subject: s, Until: start.Add(30 * day)})
	if err != nil {
		t.Fatal(err)
	}
	all, err := devices.LoadBindings(ctx, b.pool, []id.Device{e.ID})
	if err != nil || len(all[e.ID]) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	want := devices.Binding{ID: n, Device: e.ID, Class: devices.Wristband, Subject: s, Interval: time.Minute, From: start, Until: start.Add(30 * day)}
	if got := all[e.ID][0]; got != want {
		t.Errorf("%+v", got)
	}
	if want.Holds(start.Add(-1)) || !want.Holds(start) || want.Holds(want.Until) {
		t.Error("the interval is not closed below and open above")
	}
	var facts, deviceFacts int64
	var due time.Time
	b.scan(&facts, `SELECT facts FROM subject_state WHERE subject_id = $1`, s)
	b.scan(&due, `SELECT next_due FROM subject_state WHERE subject_id = $1`, s)
	b.scan(&deviceFacts, `SELECT facts FROM device WHERE device_id = $1`, e.ID)
	if facts != 1 || deviceFacts != 1 || !due.Equal(start) {
		t.Errorf("facts %d and %d, due %v", facts, deviceFacts, due)
	}
	var org id.Org
	b.scan(&org, `SELECT org_id FROM ledger WHERE kind = 'binding.opened' AND entity_id = $1`, n)
	if org != b.org {
		t.Errorf("the ledger says office %d", org)
	}
}

func TestWristbandNeedsApproval_R01(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e, none, some := b.device("wb-0001", devices.Wristband), b.subject(false), b.subject(true)
	_, err := b.bind(devices.NewBinding{Device: e.ID, Subject: none})
	b.refused("R01", err)
	_, err = b.bind(devices.NewBinding{Device: e.ID, Subject: some, From: start.Add(-time.Second)})
	b.refused("R01", err)
	_, err = b.bind(devices.NewBinding{Device: e.ID, Subject: some, From: start.AddDate(0, 3, 0)})
	b.refused("R01", err)
	if _, err = b.bind(devices.NewBinding{Device: e.ID, Subject: some}); err != nil {
		t.Error(err)
	}
	phone := b.device("ph-0001", devices.Phone)
	if _, err = b.bind(devices.NewBinding{Device: phone.ID, Subject: none}); err != nil {
		t.Errorf("a phone needs none: %v", err)
	}
}

func TestPhoneIsNoWristband_R08(t *testing.T) {
	t.Parallel()
	b := setup(t)
	phone, s := b.device("ph-0001", devices.Phone), b.subject(true)
	_, err := b.pool.Exec(context.Background(), `INSERT INTO binding (device_id, class, subject_id, interval_s, valid, recorded)
		VALUES ($1, 'wristband', $2, 60, tstzrange($3, NULL), tstzrange($3, NULL))`, phone.ID, s, start)
	b.refused("R08", devices.Explain("bind", err))
	b.refused("R08", b.tx(func(tx pgx.Tx) error {
		_, err := devices.Enrol(context.Background(), tx, b.keys, devices.Enrolment{Serial: "x", Class: "tablet", At: start})
		return err
	}))
}

func TestIntervalsDoNotOverlap_R11(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, two, s := b.device("wb-0001", devices.Wristband), b.device("wb-0002", devices.Wristband), b.subject(true)
	if _, err := b.bind(devices.NewBinding{Device: one.ID, Subject: s, Until: start.Add(10 * day)}); err != nil {
		t.Fatal(err)
	}
	_, err := b.bind(devices.NewBinding{Device: two.ID, Subject: s, From: start.Add(10*day - time.Microsecond)})
	b.refused("R11", err)
	if _, err := b.bind(devices.NewBinding{Device: two.ID, Subject: s, From: start.Add(10 * day)}); err != nil {
		t.Errorf("the next wristband, from the instant the first ended: %v", err)
	}
	phone := b.device("ph-0001", devices.Phone)
	if _, err := b.bind(devices.NewBinding{Device: phone.ID, Subject: s}); err != nil {
		t.Errorf("a phone beside a wristband: %v", err)
	}
	_, err = b.bind(devices.NewBinding{Device: one.ID, Subject: s, From: start.Add(20 * day), Until: start.Add(20 * day)})
	b.refused("R11", err)
	_, err = b.bind(devices.NewBinding{Device: one.ID, Subject: 999_999, From: start.Add(20 * day)})
	if err == nil {
		t.Error("bound to nobody")
	}
}

func TestDeviceSpeaksForOne_R12(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e, first, second := b.device("ph-0001", devices.Phone), b.subject(false), b.subject(false)
	if _, err := b.bind(devices.NewBinding{Device: e.ID, Subject: first}); err != nil {
		t.Fatal(err)
	}
	_, err := b.bind(devices.NewBinding{Device: e.ID, Subject: second, From: start.Add(day)})
	b.refused("R12", err)
}

func TestFinerThanDefaultNeedsReview_R13(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	e, s := b.device("ph-0001", devices.Phone), b.subject(false)
	_, err := b.bind(devices.NewBinding{Device: e.ID, Subject: s, Finest: time.Minute})
	b.refused("R13", err)
	_, err = b.bind(devices.NewBinding{Device: e.ID, Subject: s, Finest: time.Minute, Justification: "为何如此"})
	b.refused("R13", err)
	if _, err = b.bind(devices.NewBinding{Device: e.ID, Subject: s, Finest: time.Minute, Justification: "为何如此", Reviewer: b.head, Until: start.Add(day)}); err != nil {
		t.Fatal(err)
	}
	if _, err = b.bind(devices.NewBinding{Device: e.ID, Subject: s, From: start.Add(day)}); err != nil {
		t.Fatal(err)
	}
	all, err := devices.LoadBindings(ctx, b.pool, []id.Device{e.ID})
	if err != nil || len(all[e.ID]) != 2 || all[e.ID][0].Finest != time.Minute || all[e.ID][1].Finest != devices.PhoneFinest {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestUnbindSupersedes(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	e, s := b.device("wb-0001", devices.Wristband), b.subject(true)
	first, err := b.bind(devices.NewBinding{Device: e.ID, Subject: s})
	if err != nil {
		t.Fatal(err)
	}
	var ended id.Binding
	b.must(func(tx pgx.Tx) (err error) { // recorded at the very instant at which it was recorded to begin
		ended, err = devices.Unbind(ctx, tx, first, start.Add(day), 0, start)
		return err
	})
	all, err := devices.LoadBindings(ctx, b.pool, []id.Device{e.ID})
	if err != nil || len(all[e.ID]) != 1 || all[e.ID][0].ID != ended || !all[e.ID][0].Until.Equal(start.Add(day)) || ended == first {
		t.Fatalf("%+v, %v", all, err)
	}
	var rows int
	b.scan(&rows, `SELECT count(*) FROM binding`)
	if rows != 2 || b.ledger("binding.ended") != 1 {
		t.Errorf("%d rows", rows)
	}
	unbind := func(which id.Binding, until time.Time) error {
		return b.tx(func(tx pgx.Tx) error {
			_, err := devices.Unbind(ctx, tx, which, until, 0, start.Add(2*day))
			return err
		})
	}
	if err := unbind(first, start.Add(day)); !errors.Is(err, devices.ErrUnknownBinding) {
		t.Errorf("ending what was superseded: %v", err)
	}
	b.refused("R11", unbind(ended, start))
	b.refused("R11", unbind(ended, start.Add(2*day)))
}

func TestUnbindAfterTheApprovalWasTakenBack(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	e, s := b.device("wb-0001", devices.Wristband), b.subject(true)
	n, err := b.bind(devices.NewBinding{Device: e.ID, Subject: s})
	if err != nil {
		t.Fatal(err)
	}
	b.exec(`UPDATE authority SET recorded = tstzrange(lower(recorded), $2) WHERE subject_id = $1`, s, start.Add(day))
	b.must(func(tx pgx.Tx) error {
		_, err := devices.Unbind(ctx, tx, n, start.Add(2*day), 0, start.Add(2*day))
		return err
	})
	_, err = b.bind(devices.NewBinding{Device: e.ID, Subject: s, From: start.Add(3 * day)})
	b.refused("R01", err)
}

func TestCorrectBindingMovesToAnotherPerson(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	e, wrong, right := b.device("ph-0001", devices.Phone), b.subject(false), b.subject(false)
	n, err := b.bind(devices.NewBinding{Device: e.ID, Subject: wrong})
	if err != nil {
		t.Fatal(err)
	}
	b.must(func(tx pgx.Tx) error {
		_, err := devices.CorrectBinding(ctx, tx, n, devices.NewBinding{Subject: right, Interval: time.Hour, From: start, At: start.Add(day)})
		return err
	})
	all, err := devices.LoadBindings(ctx, b.pool, []id.Device{e.ID})
	if err != nil || len(all[e.ID]) != 1 || all[e.ID][0].Subject != right || all[e.ID][0].Interval != time.Hour {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, s := range []id.Subject{wrong, right} {
		var due *time.Time
		b.scan(&due, `SELECT next_due FROM subject_state WHERE subject_id = $1 AND facts > 0`, s)
		if due == nil {
			t.Errorf("subject %d is not looked at again", s)
		}
	}
}

func TestRevokedDeviceIsNotBound(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	e, s := b.device("ph-0001", devices.Phone), b.subject(false)
	b.must(func(tx pgx.Tx) error { return devices.Revoke(ctx, tx, e.ID, start) })
	if _, err := b.bind(devices.NewBinding{Device: e.ID, Subject: s}); !errors.Is(err, devices.ErrRevoked) {
		t.Errorf("bound: %v", err)
	}
}
