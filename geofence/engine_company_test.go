package geofence_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/id"
	"zhijiao/supervision"
)

// settle judges everything again that is to be, and rules about several people up to their watermark.
func (p *place) settle() {
	p.Helper()
	p.ok(p.engine.Settle(context.Background()))
}

// meeting are fixes of two devices, a minute apart, so far from one another.
func (p *place) meeting(from, until time.Time, apart float64) (list []devices.Observation) {
	for at := from; at.Before(until); at = at.Add(time.Minute) {
		list = append(list, p.fix("W1", at, 0), p.fix("W2", at.Add(10*time.Second), apart))
	}
	return list
}

// apart is a place with two who may not meet.
func newApart(t *testing.T) (*place, id.Subject, geofence.RelationID) {
	p := newPlace(t)
	a, b := p.wearer("W1"), p.wearer("W2")
	relation, err := p.store.PutRelation(t.Context(), 0, 0, geofence.RelationSpec{Subject: a, Other: b, Kind: geofence.Accomplice, DocumentNo: "天司矫批〔2026〕3号", From: noon.Add(-time.Hour)})
	p.ok(err)
	p.rule(geofence.RuleSpec{Subject: a, Kind: geofence.Proximity, Relation: relation, Basis: "prohibition", DocumentNo: "鄂9006刑初1号", From: noon.Add(-time.Hour)})
	p.settle()
	return p, a, relation
}

// TestTwoWhoMayNotMeet_R33: from fixes of two devices to a violation of the one, through PostgreSQL; what comes late moves
// it, and a relation that turns out to have ended withdraws it.
func TestTwoWhoMayNotMeet_R33(t *testing.T) {
	t.Parallel()
	p, a, relation := newApart(t)
	p.observe(p.meeting(noon, noon.Add(10*time.Minute), 1500)...)
	p.observe(p.meeting(noon.Add(10*time.Minute), noon.Add(20*time.Minute), 30)...)
	p.clock.Step(noon.Add(20 * time.Minute))
	p.settle()
	p.want(1, "violation WHERE kind = 'near' AND state = 'open' AND subject_id = $1 AND opened_at = $2", a, noon.Add(10*time.Minute+10*time.Second))
	p.want(1, "violation WHERE kind = 'near' AND jsonb_array_length(evidence -> 'opened' -> 'with') = 1")
	p.want(1, "company_state WHERE at = $1", noon.Add(18*time.Minute))

	// What W2 told of the time before came late: it was near already.
	p.observe(p.fix("W2", noon.Add(8*time.Minute+30*time.Second), 30), p.fix("W2", noon.Add(9*time.Minute+20*time.Second), 30))
	p.settle()
	p.want(0, "company_late")
	p.want(1, "violation WHERE kind = 'near' AND opened_at = $1 AND version = 2", noon.Add(10*time.Minute))

	p.observe(p.meeting(noon.Add(20*time.Minute), noon.Add(30*time.Minute), 3000)...)
	p.clock.Step(noon.Add(30 * time.Minute))
	p.settle()
	p.want(1, "violation WHERE kind = 'near' AND state = 'closed' AND closed_at = $1", noon.Add(20*time.Minute+10*time.Second))
	checked, err := geofence.NewHistory(p.pool).Check(t.Context(), a)
	p.ok(err)
	for _, c := range checked {
		if !c.Identical {
			t.Errorf("violation %d: %s", c.Violation, c.Difference)
		}
	}
	if len(checked) != 1 {
		t.Errorf("%d violations checked", len(checked))
	}

	p.ok(p.store.EndRelation(t.Context(), 0, 0, relation, noon.Add(5*time.Minute)))
	p.settle()
	p.want(1, "violation WHERE kind = 'near' AND state = 'withdrawn'")
	p.want(1, "ledger WHERE kind = 'violation.withdrawn' AND body -> 'why' ->> 'what' = 'relation'")
}

// TestLateWhileTheyMeet_R36: what comes late while two are together, and nobody has been told of it yet, does not hide it.
func TestLateWhileTheyMeet_R36(t *testing.T) {
	t.Parallel()
	p, a, _ := newApart(t)
	p.observe(p.meeting(noon, noon.Add(10*time.Minute), 1500)...)
	p.observe(p.meeting(noon.Add(10*time.Minute), noon.Add(13*time.Minute), 30)...)
	p.clock.Step(noon.Add(14 * time.Minute))
	p.settle()
	p.want(0, "violation WHERE kind = 'near'")
	p.observe(p.meeting(noon.Add(13*time.Minute), noon.Add(20*time.Minute), 30)...)
	p.observe(p.fix("W1", noon.Add(11*time.Minute+30*time.Second), 0)) // late, between its beginning and its telling
	p.clock.Step(noon.Add(20 * time.Minute))
	p.settle()
	p.want(1, "violation WHERE kind = 'near' AND state = 'open' AND subject_id = $1 AND opened_at = $2", a, noon.Add(10*time.Minute+10*time.Second))
}

// TestLateOrNot_R36: however the fixes of the two arrive, what stands in the end is the same.
func TestCompanyInAnyOrder_R36(t *testing.T) {
	t.Parallel()
	var want string
	for round := range 3 {
		p, _, _ := newApart(t)
		list := p.meeting(noon, noon.Add(10*time.Minute), 3000)
		list = append(list, p.meeting(noon.Add(10*time.Minute), noon.Add(25*time.Minute), 30)...)
		list = append(list, p.meeting(noon.Add(25*time.Minute), noon.Add(40*time.Minute), 3000)...)
		if round > 0 {
			rand.New(rand.NewPCG(uint64(round), 5)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		}
		for i, o := range list {
			p.observe(o)
			if at := noon.Add(time.Duration(i) * 40 * time.Minute / time.Duration(len(list))); i%10 == 9 {
				p.clock.Step(at)
				p.settle()
			}
		}
		p.clock.Step(noon.Add(time.Hour))
		p.tick(noon.Add(time.Hour))
		p.settle()
		var got string
		p.ok(p.pool.QueryRow(t.Context(), `SELECT string_agg(concat_ws(' ', kind, opened_at, closed_at, md5(((evidence - 'superseded'::text) #- '{opened,now}'::text[] #- '{closed,now}'::text[])::text)), '; ' ORDER BY opened_at)
			FROM violation WHERE kind = 'near' AND state <> 'withdrawn'`).Scan(&got))
		if round == 0 {
			want = got
		}
		if got != want || got == "" {
			t.Errorf("round %d: %q, in order %q", round, got, want)
		}
	}
}

// TestGatheringOfAnOffice: three of an office together are told once, and the others stand in the evidence.
func TestGatheringOfAnOffice(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, w := range []devices.Serial{"W1", "W2", "W3", "W4"} {
		p.wearer(w)
	}
	_, _, err := p.store.PutRule(t.Context(), 0, 0, geofence.RuleSpec{Org: p.office, Kind: geofence.Gathering, Basis: "check", From: noon.Add(-time.Hour)})
	p.ok(err)
	var list []devices.Observation
	for m := range 20 {
		at := noon.Add(time.Duration(m) * time.Minute)
		list = append(list, p.fix("W1", at, 0), p.fix("W2", at.Add(time.Second), 20), p.fix("W3", at.Add(2*time.Second), 40), p.fix("W4", at.Add(3*time.Second), 2000))
	}
	p.observe(list...)
	p.clock.Step(noon.Add(20 * time.Minute))
	p.settle()
	p.want(1, "violation WHERE kind = 'gathered' AND jsonb_array_length(evidence -> 'opened' -> 'with') = 2")
	p.want(1, "violation WHERE kind <> 'near'")
}

// TestRelationsAreRefused: what R33 asks for is asked for.
func TestRelationsAreRefused_R33(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	a, b := p.wearer("W1"), p.wearer("W2")
	victim, err := p.people.Protect(t.Context(), 0, "TM-P-0001", supervision.Person{Name: "王某"})
	p.ok(err)
	for field, r := range map[string]geofence.RelationSpec{
		"other":       {Subject: a, Other: a, Kind: geofence.Accomplice, DocumentNo: "x"},
		"kind":        {Subject: a, Other: b, Kind: "friend", DocumentNo: "x"},
		"document_no": {Subject: a, Other: b, Kind: geofence.Accomplice},
		"consent_no":  {Subject: a, Other: victim, Kind: geofence.Victim, DocumentNo: "x"},
		"until":       {Subject: a, Other: b, Kind: geofence.Accomplice, DocumentNo: "x", From: noon, Until: noon},
	} {
		var refused *geofence.Refused
		if _, err := p.store.PutRelation(t.Context(), 0, 0, r); !errors.As(err, &refused) || refused.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	relation, err := p.store.PutRelation(t.Context(), 0, 0, geofence.RelationSpec{Subject: a, Other: victim, Kind: geofence.Victim, DocumentNo: "x", ConsentNo: "同意书1号"})
	p.ok(err)
	for field, r := range map[string]geofence.RuleSpec{
		"relation": {Subject: b, Kind: geofence.Proximity, Relation: relation, Basis: "prohibition", DocumentNo: "x"}, // not b's
		"subject":  {Kind: geofence.Proximity, Relation: relation, Basis: "prohibition", DocumentNo: "x"},
		"org":      {Subject: a, Kind: geofence.Gathering, Basis: "check"},
		"params":   {Subject: a, Kind: geofence.Proximity, Relation: relation, Basis: "prohibition", DocumentNo: "x", Params: []byte(`{"people":3}`)},
	} {
		var refused *geofence.Refused
		if _, _, err := p.store.PutRule(t.Context(), 0, 0, r); !errors.As(err, &refused) || refused.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	people, err := p.people.Subjects(t.Context(), p.pool, p.office)
	p.ok(err)
	if len(people) != 2 {
		t.Errorf("%d people in the list: somebody who is protected is under nobody's supervision", len(people))
	}
}
