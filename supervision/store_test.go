package supervision_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/internal/clock"
	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
	"zhijiao/internal/pgtest"
	"zhijiao/supervision"
)

var now = time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)

type bundle struct {
	pool                 *pgxpool.Pool
	clock                *clock.Variable
	store                *supervision.Store
	city, yuekou, zaoshi id.Org
	head, other          id.Officer
	subject              id.Subject
}

func setup(t *testing.T) bundle {
	t.Helper()
	b := bundle{pool: pgtest.Schema(t), clock: clock.NewStepped(now)}
	b.store = supervision.NewStore(b.pool, b.clock, crypto.Random())
	ctx := t.Context()
	org := func(o supervision.Org) id.Org {
		v, err := b.store.PutOrg(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	b.city = org(supervision.Org{Kind: supervision.CountyDepartment, Name: "天门市司法局", ShortName: "天门"})
	b.yuekou = org(supervision.Org{Parent: b.city, Kind: supervision.JudicialOffice, Name: "岳口司法所", ShortName: "岳口"})
	b.zaoshi = org(supervision.Org{Parent: b.city, Kind: supervision.JudicialOffice, Name: "皂市司法所", ShortName: "皂市"})
	officer := func(o supervision.Officer) id.Officer {
		v, err := b.store.PutOfficer(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	b.head = officer(supervision.Officer{Org: b.city, Name: "局长", Kind: supervision.Enforcement, CountyHead: true})
	b.other = officer(supervision.Officer{Org: b.yuekou, Name: "所长", Kind: supervision.Enforcement, CountyHead: true}) // head of an office only
	s, err := b.store.Enrol(ctx, 0, supervision.Enrolment{LocalNo: "TM20260417", Category: supervision.Probation, Surname: "李",
		Person: supervision.Person{Name: "李试验", IDNumber: "429006197001010011", Phone: "13000000000", Contacts: []supervision.Contact{{Relation: "guarantor", Name: "王试验", Phone: "13100000000"}}},
		Office: b.yuekou, From: now.AddDate(0, -1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	b.subject = s
	return b
}

func (b *bundle) authority() supervision.Authority {
	return supervision.Authority{Subject: b.subject, Ground: supervision.BreachedProhibition, Approver: b.head, DocumentNo: "天司矫定〔2026〕1号",
		From: now, Until: now.AddDate(0, 1, 0), Informed: now}
}

func (b *bundle) facts(t *testing.T) (n int64) {
	t.Helper()
	if err := b.pool.QueryRow(t.Context(), "SELECT facts FROM subject_state WHERE subject_id = $1", int64(b.subject)).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAuthorityNeedsGroundApproverAndNumber_R01_R02(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, change := range map[string]func(*supervision.Authority){
		"no such ground":            func(a *supervision.Authority) { a.Ground = 6 },
		"ground 3 without record":   func(a *supervision.Authority) { a.Ground = supervision.RefusedToReport },
		"ground 4 without record":   func(a *supervision.Authority) { a.Ground = supervision.PunishedForBreach },
		"no document number":        func(a *supervision.Authority) { a.DocumentNo = "" },
		"nobody approves":           func(a *supervision.Authority) { a.Approver = 0 },
		"head of an office only":    func(a *supervision.Authority) { a.Approver = b.other },
		"a day over three months":   func(a *supervision.Authority) { a.Until = a.From.AddDate(0, 3, 1) },
		"an hour over three months": func(a *supervision.Authority) { a.Until = threeMonths(a.From).Add(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			a := b.authority()
			change(&a)
			_, err := b.store.PutAuthority(t.Context(), 0, a)
			var law *supervision.LawError
			if !errors.As(err, &law) || !strings.Contains(law.Article, "社区矫正法 29") {
				t.Errorf("got %v, want a refusal naming 社区矫正法 29", err)
			}
		})
	}
	before := b.facts(t)
	if _, err := b.store.PutAuthority(t.Context(), 0, b.authority()); err != nil {
		t.Fatal(err)
	}
	if got := b.facts(t); got != before+1 {
		t.Errorf("facts went from %d to %d", before, got)
	}
	var law *supervision.LawError
	if _, err := b.store.PutAuthority(t.Context(), 0, b.authority()); !errors.As(err, &law) {
		t.Errorf("a second authority for the same days: %v", err)
	}
}

// threeMonths is how the rule table counts the term of an approval.
func threeMonths(from time.Time) time.Time {
	p := supervision.Period{Amount: []int{3}, Unit: supervision.Months, FirstDay: true}
	return p.End(from, 3, nil)
}

func TestThreeCalendarMonths_R03(t *testing.T) {
	t.Parallel()
	sh := time.FixedZone("+8", 8*3600)
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, sh) }
	for _, c := range []struct{ from, want time.Time }{
		{day(2026, 11, 30), day(2027, 2, 28)},
		{day(2027, 11, 30), day(2028, 2, 29)},
		{day(2026, 11, 23), day(2027, 2, 23)},
		{day(2026, 1, 31), day(2026, 4, 30)},
		{day(2026, 12, 31), day(2027, 3, 31)},
	} {
		if got := threeMonths(c.from); !got.Equal(c.want) {
			t.Errorf("three months from %s end %s, want %s", c.from, got, c.want)
		}
	}
	// PostgreSQL, whose constraint is the last word, reckons the same.
	tx := pgtest.Tx(t)
	for d := range 800 {
		from := day(2026, 1, 1).AddDate(0, 0, d)
		var want time.Time
		if err := tx.QueryRow(t.Context(), "SELECT timezone('Asia/Shanghai', timezone('Asia/Shanghai', $1::timestamptz) + interval '3 months')", from).Scan(&want); err != nil {
			t.Fatal(err)
		}
		if got := threeMonths(from); !got.Equal(want) {
			t.Fatalf("from %s: %s here, %s in the database", from, got, want)
		}
	}
}

func TestLiftedAuthorityEndsAtTheMinute_R06(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	n, err := b.store.PutAuthority(ctx, 0, b.authority())
	if err != nil {
		t.Fatal(err)
	}
	at := now.Add(90 * time.Minute)
	if err := b.store.LiftAuthority(ctx, 0, b.subject, n, at); err != nil {
		t.Fatal(err)
	}
	all, err := supervision.Authorities(ctx, b.pool, []id.Subject{b.subject})
	if err != nil {
		t.Fatal(err)
	}
	if got := all[b.subject]; len(got) != 1 || !got[0].Until.Equal(at) {
		t.Errorf("recorded now: %+v", got)
	}
	again := b.authority()
	again.From, again.Until = at, at.AddDate(0, 1, 0)
	if _, err := b.store.PutAuthority(ctx, 0, again); err != nil {
		t.Errorf("another approval, recorded at the same instant: %v", err)
	}
	var rows int
	if err := b.pool.QueryRow(ctx, "SELECT count(*) FROM authority WHERE document_no <> '' AND authority_id < $1 + 2", n).Scan(&rows); err != nil || rows != 2 {
		t.Errorf("%d rows, %v: what was recorded first must stay", rows, err)
	}
	if _, err := b.pool.Exec(ctx, "UPDATE authority SET document_no = 'x'"); err == nil {
		t.Error("a recorded authority could be rewritten")
	}
}

func TestPersonIsSealedMaskedAndScoped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	var dump string
	if err := b.pool.QueryRow(ctx, "SELECT string_agg(p::text, '') FROM subject_person p").Scan(&dump); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"李试验", "429006197001010011", "13000000000", "王试验"} {
		if strings.Contains(dump, secret) {
			t.Errorf("the table shows %q", secret)
		}
	}
	p, err := b.store.Person(ctx, b.pool, b.city, b.subject)
	if err != nil || p.Name != "李试验" || len(p.Contacts) != 1 {
		t.Errorf("the city reads %v, %v", p.Name, err)
	}
	if _, err := b.store.Person(ctx, b.pool, b.zaoshi, b.subject); !errors.Is(err, supervision.ErrNotFound) {
		t.Errorf("another office reads the person: %v", err)
	}
	list, err := b.store.Subjects(ctx, b.pool, b.yuekou)
	if err != nil || len(list) != 1 || list[0].Label() != "李某某·岳口·0417" {
		t.Errorf("the office sees %+v, %v", list, err)
	}
	if list, err = b.store.Subjects(ctx, b.pool, b.zaoshi); err != nil || len(list) != 0 {
		t.Errorf("another office sees %+v, %v", list, err)
	}
}

func TestMoveIsANewInterval(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	from := now.Add(-24 * time.Hour)
	if err := b.store.Move(ctx, 0, b.subject, b.zaoshi, from); err != nil {
		t.Fatal(err)
	}
	if list, err := b.store.Subjects(ctx, b.pool, b.zaoshi); err != nil || len(list) != 1 {
		t.Errorf("the new office sees %+v, %v", list, err)
	}
	var was id.Org
	if err := b.pool.QueryRow(ctx, "SELECT org_id FROM subject_office WHERE upper_inf(recorded) AND valid @> $1::timestamptz", from.Add(-time.Hour)).Scan(&was); err != nil || was != b.yuekou {
		t.Errorf("before, office %d supervised: %v", was, err)
	}
	entries, err := ledger.Read(ctx, b.pool, 0, 100)
	if err != nil || entries[len(entries)-1].Kind != "subject.moved" {
		t.Errorf("the ledger ends with %+v, %v", entries, err)
	}
}
