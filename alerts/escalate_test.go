package alerts_test

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"zhijiao/alerts"
	"zhijiao/geofence"
)

// TestNobodyTakesCharge_R56: an alarm that nobody takes charge of goes on to the next when it is due, once though two processes sweep, with a line in its
// history and in the ledger; taken charge of, or closed, it does not.
func TestNobodyTakesCharge_R56(t *testing.T) {
	t.Parallel()
	b := setup(t) // 22:00 in Tianmen: the watch
	if _, err := b.pool.Exec(t.Context(), "UPDATE legal_basis SET recorded = tstzrange(lower(recorded), $1) WHERE code = 'positioning'", now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.pool.Exec(t.Context(), `INSERT INTO legal_basis (code, title, title_en, citation, max_class, timed_class, valid, recorded)
		SELECT code, title, title_en, citation, 'alarm', timed_class, valid, tstzrange($1, NULL) FROM legal_basis WHERE code = 'positioning'`, now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	v := b.violation(t, geofence.StrapBroken, 1, "positioning")
	taken := b.violation(t, geofence.StrapBroken, 2, "positioning")
	alert := func(v geofence.ViolationBody) (id alerts.ID, with string, version int) {
		t.Helper()
		if err := b.pool.QueryRow(t.Context(), "SELECT alert_id, route[step + 1], version FROM alert WHERE violation_id = $1", int64(v.Violation)).Scan(&id, &with, &version); err != nil {
			t.Fatal(err)
		}
		return id, with, version
	}
	id, with, _ := alert(v)
	if with != alerts.Watch {
		t.Fatalf("by night it is with %s", with)
	}
	other, _, _ := alert(taken)
	if _, err := b.store.Acknowledge(t.Context(), alerts.Act{Alert: other, Account: b.zhang, Scope: b.city}); err != nil {
		t.Fatal(err)
	}
	sweep := func() (n int) {
		var all sync.WaitGroup
		var mu sync.Mutex
		for range 2 {
			e := &alerts.Escalator{Pool: b.pool, Clock: b.clock, Log: slog.New(slog.DiscardHandler)}
			all.Go(func() {
				k, err := e.Sweep(t.Context())
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				n += k
				mu.Unlock()
			})
		}
		all.Wait()
		return n
	}
	if n := sweep(); n != 0 {
		t.Errorf("%d went on before they were due", n)
	}
	for i, want := range []string{alerts.Leader, alerts.Police} {
		b.clock.Step(now.Add(time.Duration(i+1) * 5 * time.Minute))
		if n := sweep(); n != 1 {
			t.Errorf("%d went on, of one", n)
		}
		if _, with, version := alert(v); with != want || version != i+2 {
			t.Errorf("with %s, version %d", with, version)
		}
	}
	b.clock.Step(now.Add(time.Hour))
	if n := sweep(); n != 0 {
		t.Errorf("%d went on from the last", n)
	}
	var lines, entries int
	if err := b.pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM alert_event WHERE alert_id = $1 AND act = 'escalated'), (SELECT count(*) FROM ledger WHERE kind = 'alert.escalated' AND entity_id = $1)`,
		int64(id)).Scan(&lines, &entries); err != nil || lines != 2 || entries != 2 {
		t.Errorf("%d lines, %d entries, %v", lines, entries, err)
	}
	if _, err := b.store.Acknowledge(t.Context(), alerts.Act{Alert: id, Account: b.zhang, Scope: b.city}); err != nil {
		t.Errorf("who is late cannot take charge: %v", err)
	}
}
