package supervision_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/supervision"
)

// desk is a bundle with staff that acts.
type desk struct {
	bundle
	t                                    *testing.T
	office, other, agency, chief, helper supervision.Actor
	rules                                []supervision.RuleChange
}

// Change keeps what decisions mean to rules.
func (d *desk) Change(_ context.Context, _ pgx.Tx, _ id.Account, _ time.Time, changes []supervision.RuleChange) error {
	d.rules = append(d.rules, changes...)
	return nil
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{bundle: setup(t), t: t}
	d.store.Keep(d, nil)
	actor := func(o supervision.Officer) supervision.Actor {
		n, err := d.store.PutOfficer(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		a, err := supervision.ActorByOfficer(t.Context(), d.pool, n)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	d.office = actor(supervision.Officer{Org: d.yuekou, Name: "赵所", Kind: supervision.Enforcement})
	d.other = actor(supervision.Officer{Org: d.zaoshi, Name: "钱所", Kind: supervision.Enforcement})
	d.agency = actor(supervision.Officer{Org: d.city, Name: "孙科", Kind: supervision.Enforcement})
	d.helper = actor(supervision.Officer{Org: d.yuekou, Name: "周辅", Kind: supervision.Auxiliary})
	var err error
	if d.chief, err = supervision.ActorByOfficer(t.Context(), d.pool, d.head); err != nil {
		t.Fatal(err)
	}
	return d
}

// step is one to take: by whom, and what is said.
type step struct {
	by *supervision.Actor
	in supervision.Input
}

// run takes steps one after the other; the last may be refused.
func (d *desk) run(kind supervision.ProceedingKind, steps ...step) (p supervision.Proceeding, err error) {
	d.t.Helper()
	for i, s := range steps {
		if s.in.Text == "" {
			s.in.Text = "理由"
		}
		if s.in.Version == 0 {
			s.in.Version = p.Version
		}
		if i == 0 {
			p, err = d.store.OpenProceeding(d.t.Context(), *s.by, kind, d.subject, 0, s.in)
		} else {
			p, err = d.store.TakeStep(d.t.Context(), *s.by, p.ID, s.in)
		}
		if err != nil && i < len(steps)-1 {
			d.t.Fatalf("step %d, %s: %v", i+1, s.in.Step, err)
		}
	}
	return p, err
}

func (d *desk) tasks() (kinds []supervision.TaskKind) {
	d.t.Helper()
	list, err := d.store.Tasks(d.t.Context(), d.pool, d.city, 0, false)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, t := range list {
		kinds = append(kinds, t.Kind)
	}
	slices.Sort(kinds)
	return kinds
}

func (d *desk) authorities() []supervision.Authority {
	d.t.Helper()
	all, err := supervision.Authorities(d.t.Context(), d.pool, []id.Subject{d.subject})
	if err != nil {
		d.t.Fatal(err)
	}
	return all[d.subject]
}

// code is what a refusal says.
func code(t *testing.T, err error) supervision.Code {
	t.Helper()
	var f *supervision.FieldError
	if !errors.As(err, &f) {
		t.Fatalf("no refusal: %v", err)
	}
	return f.Code
}

func (d *desk) members() []id.Officer {
	return []id.Officer{d.office.Officer, d.agency.Officer, d.chief.Officer}
}

func (d *desk) proposed() step {
	return step{&d.office, supervision.Input{Step: supervision.Proposed, Ground: supervision.BreachedProhibition}}
}

func (d *desk) deliberated() step {
	return step{&d.agency, supervision.Input{Step: supervision.Deliberated, Members: d.members(), Opinion: "agree"}}
}

func (d *desk) approved(from, until time.Time) step {
	return step{&d.chief, supervision.Input{Step: supervision.Approved, DocumentNo: "天司矫定〔2026〕7号", From: from, Until: until}}
}

func (d *desk) informed() step {
	return step{&d.office, supervision.Input{Step: supervision.Informed, NoticeText: 1}}
}

// TestUseOfPositioning_R01_R09_R10_R125: an approval comes about step by step: proposed by the office, deliberated, approved by the county
// head, told and signed, fitted; nothing is in force before the person has signed, and the 检察院 gets its copy.
func TestUseOfPositioning_R01_R09_R10_R125(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	from := now.Truncate(24 * time.Hour)
	p, err := d.run(supervision.UseProceeding, d.proposed(), d.deliberated(), d.approved(from, threeMonths(from)))
	if err != nil {
		t.Fatal(err)
	}
	if got := d.authorities(); len(got) != 0 {
		t.Errorf("in force before the person was told: %+v", got)
	}
	if got := d.tasks(); !slices.Equal(got, []supervision.TaskKind{supervision.ProcuratorateCopy}) {
		t.Errorf("%v", got)
	}
	d.clock.Step(now.Add(3 * time.Hour))
	in := d.informed().in
	in.Version = p.Version
	if p, err = d.store.TakeStep(t.Context(), d.office, p.ID, in); err != nil {
		t.Fatal(err)
	}
	got := d.authorities()
	if len(got) != 1 || !got[0].From.Equal(now.Add(3*time.Hour)) || !got[0].Until.Equal(threeMonths(from)) || got[0].Proceeding != p.ID {
		t.Fatalf("%+v", got)
	}
	if p.Facts.Law["authority.term"] == 0 || p.Facts.Law["procuratorate.copy"] == 0 {
		t.Errorf("R90: which law decided is not on file: %v", p.Facts.Law)
	}
	// The same request again, or one that somebody kept, finds that it was answered.
	if _, err := d.store.TakeStep(t.Context(), d.office, p.ID, in); !errors.Is(err, supervision.ErrConflict) {
		t.Errorf("a request that comes again: %v", err)
	}
	// Fitted is what the wristband itself says.
	closed, fix := now.Add(3*time.Hour+time.Minute), now.Add(3*time.Hour+2*time.Minute)
	d.clock.Step(now.Add(4 * time.Hour))
	fitted := supervision.Input{Step: supervision.Fitted, Version: p.Version, Device: "WB-1"}
	if _, err := d.store.TakeStep(t.Context(), d.office, p.ID, fitted); code(t, err) != supervision.Missing {
		t.Errorf("%v", err)
	}
	fitted.Fitting = &supervision.Fitting{StrapClosedAt: &closed, FixAt: &fix}
	if p, err = d.store.TakeStep(t.Context(), d.office, p.ID, fitted); err != nil || p.ClosedAt.IsZero() {
		t.Fatalf("%+v %v", p, err)
	}
	_, steps, may, err := d.store.Proceeding(t.Context(), d.pool, d.yuekou, d.office, p.ID)
	if err != nil || len(steps) != 5 || steps[0].Words.Text != "理由" || len(may) != 0 {
		t.Errorf("%+v %v %v", steps, may, err)
	}
	if _, _, _, err := d.store.Proceeding(t.Context(), d.pool, d.zaoshi, d.other, p.ID); !errors.Is(err, supervision.ErrNotFound) {
		t.Errorf("another office reads it: %v", err)
	}
	var plain bool
	if err := d.pool.QueryRow(t.Context(), `SELECT bool_or(position('理由'::bytea IN sealed) > 0 OR body::text LIKE '%理由%') FROM proceeding_step`).Scan(&plain); err != nil || plain {
		t.Errorf("words stand in the clear: %v", err)
	}
	if _, err := d.pool.Exec(t.Context(), `UPDATE proceeding_step SET step = 'approved'`); err == nil {
		t.Error("a step was changed")
	}
	var notices int
	if err := d.pool.QueryRow(t.Context(), `SELECT count(*) FROM notice WHERE subject_id = $1 AND notice_text_id = 1`, d.subject).Scan(&notices); err != nil || notices != 1 {
		t.Errorf("R114: %d notices, %v", notices, err)
	}
}

// TestWhoMayTakeAStep_R01_R135: each step is for those it is for, whatever is asked.
func TestWhoMayTakeAStep_R01_R135(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	from := now.Truncate(24 * time.Hour)
	as := func(s step, by *supervision.Actor) step { s.by = by; return s }
	for name, c := range map[string]struct {
		steps []step
		want  supervision.Code // empty: not found
	}{
		"an auxiliary proposes":       {[]step{as(d.proposed(), &d.helper)}, supervision.WrongStaff},
		"another office proposes":     {[]step{as(d.proposed(), &d.other)}, ""},
		"the office deliberates":      {[]step{d.proposed(), as(d.deliberated(), &d.office)}, supervision.WrongOrgan},
		"the agency approves":         {[]step{d.proposed(), d.deliberated(), as(d.approved(from, from.AddDate(0, 1, 0)), &d.agency)}, supervision.NotTheCountyHead},
		"approved before deliberated": {[]step{d.proposed(), d.approved(from, from.AddDate(0, 1, 0))}, supervision.OutOfTurn},
		"who proposed approves":       {[]step{as(d.proposed(), &d.chief), d.deliberated(), d.approved(from, from.AddDate(0, 1, 0))}, supervision.SamePerson},
		"two deliberate":              {[]step{d.proposed(), {&d.agency, supervision.Input{Step: supervision.Deliberated, Members: d.members()[:2], Opinion: "agree"}}}, supervision.Missing},
		"over three months":           {[]step{d.proposed(), d.deliberated(), d.approved(from, threeMonths(from).Add(time.Second))}, supervision.TooLong},
		"ground 3 without its record": {[]step{{&d.office, supervision.Input{Step: supervision.Proposed, Ground: supervision.RefusedToReport}}}, supervision.GroundWithoutRecord},
		"told without a text":         {[]step{d.proposed(), d.deliberated(), d.approved(from, from.AddDate(0, 1, 0)), {&d.office, supervision.Input{Step: supervision.Informed}}}, supervision.Missing},
		"recorded before it happened": {[]step{{&d.office, supervision.Input{Step: supervision.Proposed, Ground: 1, At: now.Add(time.Hour)}}}, supervision.InTheFuture},
		"a refusal without a reason":  {[]step{d.proposed(), d.deliberated(), {&d.chief, supervision.Input{Step: supervision.Refused, Text: " "}}}, supervision.Missing},
		"against, and approved all the same, without a reason": {[]step{d.proposed(), {&d.agency, supervision.Input{Step: supervision.Deliberated, Members: d.members(), Opinion: "against"}},
			{&d.chief, supervision.Input{Step: supervision.Approved, DocumentNo: "1", From: from, Until: from.AddDate(0, 1, 0), Text: " "}}}, supervision.Missing},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := d.run(supervision.UseProceeding, c.steps...)
			if c.want == "" {
				if !errors.Is(err, supervision.ErrNotFound) {
					t.Errorf("%v", err)
				}
				return
			}
			if got := code(t, err); got != c.want {
				t.Errorf("%s, want %s: %v", got, c.want, err)
			}
		})
	}
	if got := d.authorities(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestGroundsNeedTheirRecord_R02: what grounds 3 and 4 rest on has to be on file for this person, of the right kind.
func TestGroundsNeedTheirRecord_R02(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	from := now.Truncate(24 * time.Hour)
	try := func(ground supervision.Ground, record string) error {
		_, err := d.run(supervision.UseProceeding, step{&d.office, supervision.Input{Step: supervision.Proposed, Ground: ground, GroundRecord: record}},
			d.deliberated(), d.approved(from, from.AddDate(0, 1, 0)), d.informed())
		return err
	}
	put := func(v supervision.Sanction) {
		t.Helper()
		v.Subject, v.Organ, v.DecidedAt = d.subject, "天门市司法局", now.Add(-time.Hour)
		if _, err := d.store.PutSanction(t.Context(), 0, v); err != nil {
			t.Fatal(err)
		}
	}
	put(supervision.Sanction{Kind: supervision.Warning, DocumentNo: "警1"})                   // for something else
	put(supervision.Sanction{Kind: supervision.Admonition, Refused: true, DocumentNo: "训1"}) // not a warning
	for ground, record := range map[supervision.Ground]string{supervision.RefusedToReport: "警1", supervision.PunishedForBreach: "警1"} {
		if err := try(ground, record); code(t, err) != supervision.GroundWithoutRecord {
			t.Errorf("ground %d on %s: %v", ground, record, err)
		}
	}
	if err := try(supervision.RefusedToReport, "训1"); code(t, err) != supervision.GroundWithoutRecord {
		t.Errorf("%v", err)
	}
	put(supervision.Sanction{Kind: supervision.Warning, Refused: true, DocumentNo: "警2"})
	if err := try(supervision.RefusedToReport, "警2"); err != nil {
		t.Error(err)
	}
}

// TestExtension_R05: an extension is assessed before it is approved, begins where the approval ends, and fills no gap.
func TestExtension_R05(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	from := now.Truncate(24 * time.Hour)
	until := from.AddDate(0, 0, 10)
	assessed := step{&d.office, supervision.Input{Step: supervision.Assessed}}
	if _, err := d.run(supervision.ExtendProceeding, assessed); code(t, err) != supervision.Missing {
		t.Errorf("nothing to extend: %v", err)
	}
	if _, err := d.run(supervision.UseProceeding, d.proposed(), d.deliberated(), d.approved(from, until), d.informed()); err != nil {
		t.Fatal(err)
	}
	d.clock.Step(until.Add(-48 * time.Hour))
	before := assessed
	if _, err := d.run(supervision.ExtendProceeding, before, d.deliberated(), step{&d.chief, supervision.Input{Step: supervision.Approved, DocumentNo: "2", From: until, Until: threeMonths(until), At: until.Add(-72 * time.Hour)}}); code(t, err) != supervision.NotAfterTheLast {
		t.Errorf("approved before it was assessed: %v", err)
	}
	p, err := d.run(supervision.ExtendProceeding, assessed, d.deliberated())
	if err != nil {
		t.Fatal(err)
	}
	d.clock.Step(until.Add(-47 * time.Hour))
	approve := supervision.Input{Step: supervision.Approved, DocumentNo: "2", From: until.Add(-time.Hour), Until: until.AddDate(0, 1, 0), Version: p.Version}
	if _, err := d.store.TakeStep(t.Context(), d.chief, p.ID, approve); code(t, err) != supervision.Overlapping {
		t.Errorf("it overlaps: %v", err)
	}
	approve.From, approve.Until = until, threeMonths(until)
	if p, err = d.store.TakeStep(t.Context(), d.chief, p.ID, approve); err != nil {
		t.Fatal(err)
	}
	// Signed two days after the first one has ended: the gap stays one.
	d.clock.Step(until.Add(48 * time.Hour))
	in := d.informed().in
	in.Version = p.Version
	if _, err := d.store.TakeStep(t.Context(), d.office, p.ID, in); err != nil {
		t.Fatal(err)
	}
	got := d.authorities()
	if len(got) != 2 || !got[0].Until.Equal(until) || !got[1].From.Equal(until.Add(48*time.Hour)) || got[1].Ground != supervision.BreachedProhibition {
		t.Errorf("%+v", got)
	}
	// One that had ended when the next was approved: it cannot begin in between.
	d.clock.Step(got[1].Until.Add(24 * time.Hour))
	if p, err = d.run(supervision.ExtendProceeding, assessed, d.deliberated()); err != nil {
		t.Fatal(err)
	}
	d.clock.Step(got[1].Until.Add(25 * time.Hour))
	approve = supervision.Input{Step: supervision.Approved, DocumentNo: "3", From: got[1].Until, Until: got[1].Until.AddDate(0, 1, 0), Version: p.Version}
	if _, err := d.store.TakeStep(t.Context(), d.chief, p.ID, approve); code(t, err) != supervision.NotAfterTheLast {
		t.Errorf("a gap was filled: %v", err)
	}
}

// TestLiftingAndExemption_R06_R125_R126: lifting ends the approval at the minute it is decided and asks for the device; an exemption does the
// same; somebody who refuses to wear it is recorded, and nothing is stored of them.
func TestLiftingAndExemption_R06_R125_R126(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	from := now.Truncate(24 * time.Hour)
	use := func() {
		t.Helper()
		if _, err := d.run(supervision.UseProceeding, d.proposed(), d.deliberated(), d.approved(from, from.AddDate(0, 2, 0)), d.informed()); err != nil {
			t.Fatal(err)
		}
	}
	use()
	d.clock.Step(now.Add(time.Hour))
	p, err := d.run(supervision.LiftProceeding, step{&d.office, supervision.Input{Step: supervision.Proposed}}, step{&d.chief, supervision.Input{Step: supervision.Approved, DocumentNo: "解1"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := d.authorities(); len(got) != 1 || !got[0].Until.Equal(now.Add(time.Hour)) {
		t.Fatalf("%+v", got)
	}
	if got := d.tasks(); !slices.Contains(got, supervision.DeviceReturn) || !slices.Contains(got, supervision.ProcuratorateCopy) {
		t.Errorf("%v", got)
	}
	if _, err := d.store.TakeStep(t.Context(), d.office, p.ID, supervision.Input{Step: supervision.Removed, Version: p.Version, Device: "WB-1"}); err != nil {
		t.Fatal(err)
	}
	if got := d.tasks(); slices.Contains(got, supervision.DeviceReturn) {
		t.Errorf("it came back: %v", got)
	}
	d.clock.Step(now.Add(2 * time.Hour))
	from = now.Add(2 * time.Hour)
	use()
	d.clock.Step(now.Add(3 * time.Hour))
	if _, err := d.run(supervision.ExemptProceeding, step{&d.office, supervision.Input{Step: supervision.Proposed}}, d.deliberated(),
		step{&d.chief, supervision.Input{Step: supervision.Approved, DocumentNo: "免1"}}, step{&d.office, supervision.Input{Step: supervision.Informed, NoticeText: 1}}); err != nil {
		t.Fatal(err)
	}
	if got := d.authorities(); len(got) != 2 || !got[1].Until.Equal(now.Add(3*time.Hour)) {
		t.Fatalf("%+v", got)
	}
	d.clock.Step(now.Add(4 * time.Hour))
	from = now.Add(4 * time.Hour)
	if p, err = d.run(supervision.UseProceeding, d.proposed(), d.deliberated(), d.approved(from, from.AddDate(0, 1, 0)), d.informed(),
		step{&d.office, supervision.Input{Step: supervision.NotWorn, Text: "拒绝佩戴，现场录像"}}); err != nil || p.State != supervision.NotWorn {
		t.Fatalf("%+v %v", p, err)
	}
	if got := d.authorities(); len(got) != 2 {
		t.Errorf("%+v", got)
	}
}

// TestReminders_R07_R126: at 14, 7, 3 and 1 days before an approval ends somebody is reminded, once each; the appointment to take the
// wristband off is made before the end; nobody is reminded of one that goes on.
func TestReminders_R07_R126(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	from := now.Truncate(24 * time.Hour)
	until := from.AddDate(0, 1, 0)
	if _, err := d.run(supervision.UseProceeding, d.proposed(), d.deliberated(), d.approved(from, until), d.informed()); err != nil {
		t.Fatal(err)
	}
	remind := func(before time.Duration) (n int) {
		t.Helper()
		d.clock.Step(until.Add(-before))
		for range 2 { // again changes nothing
			if _, err := d.store.Remind(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, k := range d.tasks() {
			if k == supervision.AuthorityEnds || k == supervision.RemovalDate {
				n++
			}
		}
		return n
	}
	const day = 24 * time.Hour
	for _, c := range []struct {
		before time.Duration
		want   int
	}{{15 * day, 0}, {14 * day, 1}, {8 * day, 1}, {7 * day, 3}, {3 * day, 4}, {2 * day, 4}, {day, 5}, {time.Hour, 5}} {
		if got := remind(c.before); got != c.want {
			t.Errorf("%s before the end: %d tasks, want %d", c.before, got, c.want)
		}
	}
}
