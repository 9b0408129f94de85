package geofence_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/id"
	"zhijiao/supervision"
)

// decide has a decision change rules as supervision does it: in a transaction of its own.
func (p *place) decide(c supervision.RuleChange) {
	p.Helper()
	c.Org, c.DocumentNo = p.office, "外1"
	p.ok(pgx.BeginFunc(context.Background(), p.pool, func(tx pgx.Tx) error {
		return p.store.Change(context.Background(), tx, 0, p.clock.Now(), []supervision.RuleChange{c})
	}))
}

// leave is one from noon on to a zone 40 km east.
func (p *place) leave(s id.Subject, until time.Time) supervision.RuleChange {
	p.Helper()
	away := p.putZone(0, geofence.Destination, 40_000, 10_000)
	return supervision.RuleChange{Kind: supervision.LeaveProceeding, Source: "proceeding/1", Subject: s, Zones: []int64{int64(away)}, From: noon, Until: until, Overdue: true, Stay: 2 * time.Hour}
}

// walk has a device tell a place once a minute, as receivers do: never the same to the centimetre for long.
func (p *place) walk(serial devices.Serial, from, until time.Time, east float64) {
	p.Helper()
	for t := from; t.Before(until); t = t.Add(time.Minute) {
		p.tick(t)
		p.observe(p.fix(serial, t, east+float64(t.Minute()%7)*3))
	}
}

const open = `violation WHERE kind = $1 AND state = 'open'`

// TestLeaveIsHomeAndDestination_R21: while a leave holds, home and destination are where one may be, and on the way is no breach; who stays
// elsewhere for more than two hours is told of as a reminder; an order to return ends the leave, and then being away is leaving.
func TestLeaveIsHomeAndDestination_R21(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.wearer("B")
	c := p.leave(s, noon.Add(12*time.Hour))
	p.decide(c)
	at := func(h float64) time.Time { return noon.Add(time.Duration(h * float64(time.Hour))) }
	p.walk("B", noon, at(0.2), 0)
	p.walk("B", at(0.4), at(0.5), 20_000) // on the way
	p.walk("B", at(0.7), at(0.8), 40_000) // there
	p.want(0, "violation")
	for h := 1.0; h < 2.7; h += 0.25 { // under way: never long in one place
		p.walk("B", at(h), at(h+0.2), 50_000+h*8_000)
	}
	p.want(0, "violation")
	p.walk("B", at(3), at(4.9), 80_000)
	p.want(0, "violation")
	p.walk("B", at(4.9), at(5.1), 80_000)
	p.want(1, open, geofence.StayedElsewhere)
	p.want(0, open, geofence.LeftZone)
	// 责令立即返回, by half past six.
	c.Until = at(6.5)
	p.decide(c)
	p.walk("B", at(5.1), at(6.5), 80_000)
	p.want(0, open, geofence.LeftZone)
	p.walk("B", at(6.5), at(6.8), 80_000)
	p.want(1, open, geofence.LeftZone)
	p.want(1, open, geofence.NotReturned)
	p.want(0, open, geofence.StayedElsewhere)
	p.walk("B", at(7.5), at(7.7), 0)
	p.want(0, open, geofence.LeftZone)
	p.want(1, open, geofence.NotReturned) // being seen at home is not 销假
	c.End = true
	p.decide(c)
	p.tick(at(7.8))
	p.derive()
	p.tick(at(7.9))
	p.want(0, open, geofence.NotReturned)
	p.balanced()
}

// TestDelayHoldsTheClock_R72: nobody is overdue while a delay that was reported waits for its decision; refused, the clock begins.
func TestDelayHoldsTheClock_R72(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.wearer("B")
	c := p.leave(s, noon.Add(2*time.Hour))
	p.decide(c)
	p.tick(noon.Add(time.Hour))
	held := c
	held.Overdue, held.Until = false, noon.Add(14*time.Hour)
	p.decide(held)
	p.walk("B", noon.Add(2*time.Hour), noon.Add(2*time.Hour+20*time.Minute), 40_000)
	p.want(0, "violation")
	p.decide(c) // denied
	p.walk("B", noon.Add(2*time.Hour+20*time.Minute), noon.Add(2*time.Hour+40*time.Minute), 40_000)
	p.derive()
	p.want(1, open, geofence.NotReturned)
	p.want(1, open, geofence.LeftZone)
	if n := p.count(`violation WHERE kind = $1 AND opened_at = $2`, geofence.NotReturned, noon.Add(2*time.Hour)); n != 1 {
		t.Error("it is overdue since the leave ended")
	}
}

// TestRegularLeave_R22: beyond home and the counties that are listed, leaving is leaving.
func TestRegularLeave_R22(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.wearer("B")
	c := p.leave(s, noon.AddDate(0, 6, 0))
	c.Kind, c.Overdue = supervision.RegularProceeding, false
	p.decide(c)
	p.walk("B", noon, noon.Add(15*time.Minute), 40_000)
	p.walk("B", noon.Add(30*time.Minute), noon.Add(40*time.Minute), 0)
	p.want(0, "violation")
	p.walk("B", noon.Add(50*time.Minute), noon.Add(60*time.Minute), 20_000)
	p.want(1, open, geofence.LeftZone)
	p.want(0, open, geofence.NotReturned)
}

// TestEntryIsAllowedInItsWindow_R20: a permit to enter a prohibited place holds in its window, there, and nowhere else.
func TestEntryIsAllowedInItsWindow_R20(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.wearer("B")
	school, bar := p.putZone(0, geofence.Prohibited, 1_000, 200), p.putZone(0, geofence.Prohibited, 3_000, 200)
	for _, z := range []geofence.ZoneID{school, bar} {
		p.rule(geofence.RuleSpec{Subject: s, Kind: geofence.KeepOut, Zone: z, Basis: "prohibition", DocumentNo: "（2026）鄂9006刑初1号"})
	}
	p.decide(supervision.RuleChange{Kind: supervision.EntryProceeding, Source: "proceeding/2", Subject: s, Zones: []int64{int64(school)}, From: noon, Until: noon.Add(30 * time.Minute)})
	p.walk("B", noon, noon.Add(20*time.Minute), 1_000)
	p.want(0, open, geofence.EnteredZone)
	p.walk("B", noon.Add(20*time.Minute), noon.Add(25*time.Minute), 3_000)
	p.want(1, open, geofence.EnteredZone)
	p.walk("B", noon.Add(25*time.Minute), noon.Add(30*time.Minute), 0)
	p.want(0, open, geofence.EnteredZone)
	p.walk("B", noon.Add(30*time.Minute), noon.Add(35*time.Minute), 1_000)
	p.want(1, open, geofence.EnteredZone)
	err := pgx.BeginFunc(t.Context(), p.pool, func(tx pgx.Tx) error {
		return p.store.Change(t.Context(), tx, 0, noon, []supervision.RuleChange{{Kind: supervision.EntryProceeding, Source: "proceeding/3", Subject: s, Org: p.office, DocumentNo: "1",
			Zones: []int64{int64(p.zone)}, From: noon, Until: noon.Add(time.Hour)}})
	})
	if err == nil {
		t.Error("a permit for a place nobody is kept out of")
	}
}

// TestSuspendedIsNotJudged_R23: while somebody is detained, in hospital or their device is repaired nothing is judged, what was judged before
// it was known is taken back, and it is told who is not judged and why.
func TestSuspendedIsNotJudged_R23(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.wearer("B")
	p.rule(geofence.RuleSpec{Subject: s, Kind: geofence.Strap, Basis: "positioning"})
	p.walk("B", noon, noon.Add(10*time.Minute), 20_000)
	p.want(1, open, geofence.LeftZone)
	// The police tell three days later: he was detained all the time.
	n, err := p.store.PutSuspension(t.Context(), 0, p.office, geofence.SuspensionSpec{Subject: s, Cause: geofence.Detention, DocumentNo: "拘1", From: noon.Add(-time.Minute)})
	p.ok(err)
	p.tick(noon.Add(11 * time.Minute))
	p.derive()
	p.want(0, open, geofence.LeftZone)
	p.want(1, "violation WHERE state = 'withdrawn'")
	p.walk("B", noon.Add(11*time.Minute), noon.Add(20*time.Minute), 20_000)
	o := p.fix("B", noon.Add(20*time.Minute), 20_000)
	o.Health.Strap = devices.StrapOpen
	p.tick(noon.Add(20 * time.Minute))
	p.observe(o)
	p.want(0, "violation WHERE state = 'open'")
	who, err := geofence.SuspensionsAt(t.Context(), p.pool, p.office, p.clock.Now())
	p.ok(err)
	if len(who[s]) != 1 || who[s][0].Cause != geofence.Detention {
		t.Errorf("%+v", who)
	}
	// It ends: what is so then is judged.
	p.ok(p.store.EndSuspension(t.Context(), 0, p.office, n, noon.Add(30*time.Minute)))
	p.walk("B", noon.Add(30*time.Minute), noon.Add(40*time.Minute), 20_000)
	p.want(1, open, geofence.StrapBroken)
	if who, err = geofence.SuspensionsAt(t.Context(), p.pool, p.office, p.clock.Now()); err != nil || len(who) != 0 {
		t.Errorf("%+v %v", who, err)
	}
	for name, v := range map[string]geofence.SuspensionSpec{
		"no paper":     {Subject: s, Cause: geofence.Hospital, From: noon},
		"a leave":      {Subject: s, Cause: geofence.OnLeave, DocumentNo: "1", From: noon},
		"no end":       {Subject: s, Cause: geofence.Removal, DocumentNo: "1", From: noon},
		"backwards":    {Subject: s, Cause: geofence.Hospital, DocumentNo: "1", From: noon, Until: noon.Add(-time.Hour)},
		"no such body": {Subject: 999, Cause: geofence.Hospital, DocumentNo: "1", From: noon},
	} {
		if _, err := p.store.PutSuspension(t.Context(), 0, p.office, v); err == nil {
			t.Errorf("%s: recorded", name)
		}
	}
}

// TestPlannedRemovalIsARecord_R126: a strap that is opened by appointment is on record and no alarm; before and after it is one.
func TestPlannedRemovalIsARecord_R126(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s, other := p.wearer("B"), p.wearer("C")
	for _, who := range []id.Subject{s, other} {
		p.rule(geofence.RuleSpec{Subject: who, Kind: geofence.Strap, Basis: "positioning"})
	}
	_, err := p.store.PutSuspension(t.Context(), 0, p.office, geofence.SuspensionSpec{Subject: s, Cause: geofence.Removal, DocumentNo: "约1", From: noon, Until: noon.Add(time.Hour)})
	p.ok(err)
	for _, serial := range []devices.Serial{"B", "C"} {
		o := p.fix(serial, noon.Add(10*time.Minute), 0)
		o.Health.Strap = devices.StrapOpen
		p.tick(noon.Add(10 * time.Minute))
		p.observe(o)
	}
	p.want(1, open, geofence.StrapBroken)
	p.want(1, open+` AND subject_id = $2`, geofence.StrapBroken, other)
	p.want(2, `device_health WHERE strap = $1`, devices.StrapOpen)
}

// TestProhibitionOrder_R18: an order becomes rules that begin and end with it; what a court changes of it is another version, and the past is
// judged by what was in force.
func TestProhibitionOrder_R18(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s, other := p.wearer("B"), p.wearer("C")
	school := p.putZone(0, geofence.Prohibited, 1_000, 200)
	order := supervision.RuleChange{Kind: supervision.ProhibitionOrder, Source: "prohibition/1", Subject: s, Zones: []int64{int64(school)}, From: noon, Until: noon.Add(2 * time.Hour)}
	p.decide(order)
	n, err := p.store.PutRelation(t.Context(), 0, p.office, geofence.RelationSpec{Subject: s, Other: other, Kind: geofence.Accomplice, DocumentNo: "批1"})
	p.ok(err)
	apart := order
	apart.Source, apart.Zones, apart.Relations = "prohibition/2", nil, []int64{int64(n)}
	p.decide(apart)
	p.want(2, `rule WHERE legal_basis = 'prohibition' AND upper_inf(recorded)`)
	p.walk("B", noon, noon.Add(10*time.Minute), 1_000)
	p.want(1, open, geofence.EnteredZone)
	p.walk("B", noon.Add(10*time.Minute), noon.Add(20*time.Minute), 0)
	p.want(0, open, geofence.EnteredZone)
	p.walk("B", noon.Add(2*time.Hour), noon.Add(2*time.Hour+10*time.Minute), 1_000) // the order has ended
	p.want(0, open, geofence.EnteredZone)
	// It was recorded wrongly: another place all the time.
	order.Zones = []int64{int64(p.putZone(0, geofence.Prohibited, 4_000, 200))}
	p.decide(order)
	p.tick(noon.Add(2*time.Hour + 11*time.Minute))
	p.derive()
	p.want(1, "violation WHERE kind = $1 AND state = 'withdrawn'", geofence.EnteredZone)
	p.want(2, `rule WHERE legal_basis = 'prohibition' AND upper_inf(recorded)`)
}
