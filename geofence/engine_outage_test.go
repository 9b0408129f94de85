package geofence_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/id"
)

// TestAreaOutage_R128: from devices of one operator that fall silent together to one incident, the list of who could not be
// verified, and its end; an officer declares, ends and verifies, within scope.
func TestAreaOutage_R128(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	var all []id.Subject
	speak := func(at time.Time, from, until int) {
		var list []devices.Observation
		for i := from; i < until; i++ {
			o := p.fix(devices.Serial(fmt.Sprintf("W%d", i)), at, 0)
			o.Health.Operator = "46000"
			o.ReceivedAt = at
			list = append(list, o)
		}
		p.clock.Step(at)
		p.observe(list...)
	}
	look := func(at time.Time) {
		p.clock.Step(at)
		_, err := p.engine.Outages(context.Background())
		p.ok(err)
	}
	for i := range 8 {
		all = append(all, p.wearer(devices.Serial(fmt.Sprintf("W%d", i))))
	}
	speak(noon, 0, 8)
	look(noon.Add(2 * time.Minute))
	for m := 3; m <= 15; m++ { // two go on speaking
		speak(noon.Add(time.Duration(m)*time.Minute), 6, 8)
		if m == 9 {
			look(noon.Add(9 * time.Minute))
			p.want(0, "outage")
		}
	}
	look(noon.Add(15 * time.Minute))
	p.want(1, "outage WHERE scope = 'operator' AND key = '46000' AND ended_at IS NULL AND expected = 8 AND silent = 6 AND since = $1", noon)
	p.want(6, "outage_person WHERE verified_at IS NULL")
	p.want(1, "ledger WHERE kind = 'outage.opened'")
	look(noon.Add(15*time.Minute + 30*time.Second)) // not twice in a minute
	p.want(1, "outage")

	for m := 16; m <= 40; m++ {
		speak(noon.Add(time.Duration(m)*time.Minute), 3, 8) // three come back
	}
	look(noon.Add(40 * time.Minute))
	p.want(1, "outage WHERE ended_at IS NULL") // three of eight are still silent
	p.want(3, "outage_person WHERE verified_how = 'heard'")
	for m := 41; m <= 50; m++ {
		speak(noon.Add(time.Duration(m)*time.Minute), 1, 8)
	}
	look(noon.Add(50 * time.Minute))
	p.want(1, "outage WHERE ended_at IS NOT NULL AND ended_by IS NULL")
	p.want(1, "ledger WHERE kind = 'outage.ended'")
	p.want(1, "outage_person WHERE verified_at IS NULL AND subject_id = $1", all[0]) // who is to be checked again
	var o geofence.OutageID
	p.ok(p.pool.QueryRow(t.Context(), "SELECT outage_id FROM outage").Scan(&o))
	var by id.Account
	p.ok(p.pool.QueryRow(t.Context(), "INSERT INTO officer (org_id, name, kind) VALUES ($1, '王', 'enforcement') RETURNING officer_id", p.office).Scan(&by))
	p.ok(p.pool.QueryRow(t.Context(), "INSERT INTO account (officer_id, name, org_id, password_hash) VALUES ($1, 'wang', $2, 'x') RETURNING account_id", by, p.office).Scan(&by))
	p.ok(p.store.VerifyOutagePerson(t.Context(), by, p.office, o, all[0], "电话核实在家"))
	p.want(1, "outage_person WHERE verified_how = 'officer' AND note = '电话核实在家'")
	list, err := geofence.Outages(t.Context(), p.pool, p.office, p.clock.Now())
	p.ok(err)
	if len(list) != 1 || len(list[0].People) != 6 {
		t.Errorf("%+v", list)
	}

	refused := func(field string, err error) {
		t.Helper()
		var r *geofence.Refused
		if !errors.As(err, &r) || r.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	refused("subject", p.store.VerifyOutagePerson(t.Context(), by, p.office, o, all[0], "again"))
	_, err = p.store.DeclareOutage(t.Context(), by, p.office, geofence.OutageKey{Scope: geofence.ByOperator, Key: "46000"}, "")
	refused("key", err) // an operator is not one office's
	_, err = p.store.DeclareOutage(t.Context(), by, 0, geofence.OutageKey{Scope: "moon", Key: "1"}, "")
	refused("scope", err)
	town := geofence.OutageKey{Scope: geofence.ByTown, Key: fmt.Sprint(int64(p.office))}
	declared, err := p.store.DeclareOutage(t.Context(), by, p.office, town, "停电")
	p.ok(err)
	_, err = p.store.DeclareOutage(t.Context(), by, p.office, town, "停电")
	refused("key", err)
	look(noon.Add(80 * time.Minute)) // all are silent: listed under what was declared
	p.want(8, "outage_person WHERE outage_id = $1", declared)
	speak(noon.Add(81*time.Minute), 0, 8)
	look(noon.Add(82 * time.Minute))
	p.want(1, "outage WHERE ended_at IS NULL") // by the officer's word alone
	p.ok(p.store.EndOutage(t.Context(), by, p.office, declared))
	p.want(0, "outage WHERE ended_at IS NULL")
}
