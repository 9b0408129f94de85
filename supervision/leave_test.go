package supervision_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zhijiao/supervision"
)

var shanghai = time.FixedZone("Asia/Shanghai", 8*60*60)

func civil(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, shanghai) }

func (d *desk) leave(from, until time.Time) step {
	return step{&d.office, supervision.Input{Step: supervision.Applied, Purpose: "medical", From: from, Until: until, Zones: []int64{7}, Destination: "武汉市某医院"}}
}

func (d *desk) delegate() {
	d.t.Helper()
	if err := d.store.Delegate(d.t.Context(), 0, d.city, d.yuekou, "天司委〔2026〕1号", now.AddDate(0, -1, 0), time.Time{}); err != nil {
		d.t.Fatal(err)
	}
}

// TestLeaveIsRouted_R69: seven days are the office's to grant where it was delegated, with a filing at the county; eight to thirty the
// county's; more the level's above, and the 检察院 is told.
func TestLeaveIsRouted_R69(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	from := civil(2026, 12, 1)
	grant := func(days int, by *supervision.Actor, document string) (supervision.Proceeding, error) {
		t.Helper()
		return d.run(supervision.LeaveProceeding, d.leave(from, from.AddDate(0, 0, days)), step{by, supervision.Input{Step: supervision.Approved, DocumentNo: document}})
	}
	undo := func(p supervision.Proceeding) {
		t.Helper()
		if _, err := d.store.TakeStep(t.Context(), d.office, p.ID, supervision.Input{Step: supervision.Returned, Version: p.Version}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := grant(7, &d.office, "1"); code(t, err) != supervision.WrongOrgan {
		t.Errorf("seven days without a delegation: %v", err)
	}
	if err := d.store.Delegate(t.Context(), 0, d.yuekou, d.city, "1", now, time.Time{}); code(t, err) != supervision.WrongOrgan {
		t.Errorf("the office delegates upwards: %v", err)
	}
	d.delegate()
	for _, c := range []struct {
		days     int
		by       *supervision.Actor
		document string
		tier     supervision.Tier
		refused  bool
		task     supervision.TaskKind
	}{
		{7, &d.office, "1", supervision.OfficeTier, false, supervision.CountyFiling},
		{8, &d.office, "1", supervision.CountyTier, true, ""},
		{8, &d.agency, "1", supervision.CountyTier, false, ""},
		{30, &d.agency, "1", supervision.CountyTier, false, ""},
		{31, &d.agency, "", supervision.UpperTier, true, ""},
		{31, &d.office, "鄂矫〔2026〕1号", supervision.UpperTier, true, ""},
		{31, &d.agency, "鄂矫〔2026〕1号", supervision.UpperTier, false, supervision.ProcuratorateCopy},
	} {
		p, err := grant(c.days, c.by, c.document)
		if c.refused {
			if got := code(t, err); got != supervision.WrongOrgan {
				t.Errorf("%d days by %s: %v", c.days, c.by.Name, err)
			}
			continue
		}
		if err != nil || p.Facts.Tier != c.tier || p.Facts.Days != c.days {
			t.Fatalf("%d days: %+v %v", c.days, p.Facts, err)
		}
		if c.task != "" && !slices.Contains(d.tasks(), c.task) {
			t.Errorf("%d days: %v", c.days, d.tasks())
		}
		undo(p) // before it began: it counts for nothing
		if _, err := d.pool.Exec(t.Context(), `DELETE FROM task`); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLeaveDays_R70: days are counted once, first and last included, over any two months that touch the new leave.
func TestLeaveDays_R70(t *testing.T) {
	t.Parallel()
	v := func(m1 time.Month, d1 int, m2 time.Month, d2 int) supervision.Interval { // until the end of the last day
		return supervision.Interval{From: civil(2026, m1, d1), Until: civil(2026, m2, d2+1)}
	}
	for name, c := range map[string]struct {
		granted []supervision.Interval
		next    supervision.Interval
		want    int
	}{
		"alone":                        {nil, v(3, 1, 3, 7), 7},
		"half a day is a day":          {nil, supervision.Interval{From: civil(2026, 3, 1).Add(13 * time.Hour), Until: civil(2026, 3, 2).Add(time.Hour)}, 2},
		"before it":                    {[]supervision.Interval{v(2, 1, 2, 10)}, v(3, 1, 3, 7), 17},
		"overlapping days count once":  {[]supervision.Interval{v(2, 1, 2, 10), v(2, 5, 2, 12)}, v(3, 1, 3, 7), 19},
		"too long ago":                 {[]supervision.Interval{v(1, 1, 1, 10)}, v(3, 20, 3, 26), 7},
		"partly too long ago":          {[]supervision.Interval{v(1, 1, 1, 10)}, v(3, 5, 3, 11), 7}, // of January three, but then of March no more than three
		"after it, granted already":    {[]supervision.Interval{v(4, 1, 4, 10)}, v(3, 1, 3, 7), 17},
		"the window does not join all": {[]supervision.Interval{v(1, 5, 1, 14), v(4, 1, 4, 10)}, v(2, 20, 2, 26), 17},
	} {
		if got := supervision.LeaveDays(c.granted, c.next, 2); got != c.want {
			t.Errorf("%s: %d days, want %d", name, got, c.want)
		}
	}
	// Against counting every window of two months that begins on any day at all.
	rapid.Check(t, func(r *rapid.T) {
		begin := civil(2026, 1, 1)
		one := func(name string) supervision.Interval {
			from := begin.AddDate(0, 0, rapid.IntRange(0, 200).Draw(r, name))
			return supervision.Interval{From: from, Until: from.AddDate(0, 0, rapid.IntRange(1, 40).Draw(r, name+" days"))}
		}
		next := one("next")
		var granted []supervision.Interval
		for range rapid.IntRange(0, 5).Draw(r, "granted") {
			granted = append(granted, one("granted"))
		}
		in := func(d time.Time) bool {
			return slices.ContainsFunc(append(slices.Clone(granted), next), func(v supervision.Interval) bool { return !d.Before(v.From) && d.Before(v.Until) })
		}
		want := 0
		for d := begin.AddDate(0, -3, 0); d.Before(begin.AddDate(1, 0, 0)); d = d.AddDate(0, 0, 1) {
			p := supervision.Period{Amount: []int{2}, Unit: supervision.Months, FirstDay: true}
			end := p.End(d, 2, nil)
			if !d.Before(next.Until) || !end.After(next.From) {
				continue
			}
			n := 0
			for x := d; x.Before(end); x = x.AddDate(0, 0, 1) {
				if in(x) {
					n++
				}
			}
			want = max(want, n)
		}
		if got := supervision.LeaveDays(granted, next, 2); got != want {
			r.Fatalf("%d, want %d: %v %v", got, want, granted, next)
		}
	})
}

// TestLeavesAddUp_R70: seven days more are not the office's to grant once thirty in two months are passed, open leaves counting too.
func TestLeavesAddUp_R70(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.delegate()
	from := civil(2026, 12, 1)
	if _, err := d.run(supervision.LeaveProceeding, d.leave(from, from.AddDate(0, 0, 24)), step{&d.agency, supervision.Input{Step: supervision.Approved, DocumentNo: "1"}}); err != nil {
		t.Fatal(err)
	}
	for days, want := range map[int]supervision.Tier{6: supervision.OfficeTier, 7: supervision.UpperTier} {
		p, err := d.run(supervision.LeaveProceeding, d.leave(civil(2027, 1, 10), civil(2027, 1, 10+days)))
		if err != nil || p.Facts.Tier != want || p.Facts.Total != 24+days {
			t.Errorf("%d more days: %+v %v", days, p.Facts, err)
		}
	}
	if _, err := d.run(supervision.LeaveProceeding, d.leave(civil(2026, 12, 20), civil(2026, 12, 28))); code(t, err) != supervision.Overlapping {
		t.Errorf("%v", err)
	}
}

// TestLeaveIsAskedForAhead_R71: later than three days before is flagged and not refused.
func TestLeaveIsAskedForAhead_R71(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	today := civil(2026, 11, 23) // at 22:14 there
	for days, short := range map[int]bool{1: true, 2: true, 3: false, 9: false} {
		p, err := d.run(supervision.LeaveProceeding, d.leave(today.AddDate(0, 0, days), today.AddDate(0, 0, days+2)))
		if err != nil || p.Facts.Short != short {
			t.Errorf("%d days ahead: %+v %v", days, p.Facts, err)
		}
	}
}

// TestLeaveIsRefusedWithAReason_R73, and asked for with one of the good reasons.
func TestLeaveIsRefusedWithAReason_R73(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	from := civil(2026, 12, 1)
	holiday := d.leave(from, from.AddDate(0, 0, 3))
	holiday.in.Purpose = "holiday"
	var law *supervision.LawError
	if _, err := d.run(supervision.LeaveProceeding, holiday); !errors.As(err, &law) || law.Article != "实施办法 26" {
		t.Errorf("%v", err)
	}
	for by, want := range map[*supervision.Actor]supervision.Code{&d.agency: supervision.Missing, &d.office: supervision.WrongOrgan} {
		_, err := d.run(supervision.LeaveProceeding, d.leave(from, from.AddDate(0, 0, 9)), step{by, supervision.Input{Step: supervision.Refused, Text: " "}})
		if got := code(t, err); got != want {
			t.Errorf("%s: %v", by.Name, err)
		}
	}
	if p, err := d.run(supervision.LeaveProceeding, d.leave(from, from.AddDate(0, 0, 9)), step{&d.agency, supervision.Input{Step: supervision.Refused, Text: "近期有脱管记录"}}); err != nil || p.ClosedAt.IsZero() {
		t.Errorf("%+v %v", p, err)
	}
}

// TestLeaveEnds_R21_R72: what a leave means to the rules: its interval; overdue from its end on; a delay holds the clock until somebody
// decides; an order to return ends it early; coming back ends all of it, and late says why.
func TestLeaveEnds_R21_R72(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.delegate()
	from, until := civil(2026, 12, 1), civil(2026, 12, 6)
	p, err := d.run(supervision.LeaveProceeding, d.leave(from, until), step{&d.office, supervision.Input{Step: supervision.Approved, DocumentNo: "1"}})
	if err != nil {
		t.Fatal(err)
	}
	last := func() supervision.RuleChange { return d.rules[len(d.rules)-1] }
	if r := last(); !r.From.Equal(from) || !r.Until.Equal(until) || !r.Overdue || r.End || r.Subject != d.subject {
		t.Errorf("%+v", r)
	}
	take := func(by supervision.Actor, in supervision.Input) error {
		t.Helper()
		if in.Text == "" {
			in.Text = "理由"
		}
		in.Version = p.Version
		next, err := d.store.TakeStep(t.Context(), by, p.ID, in)
		if err == nil {
			p = next
		}
		return err
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	d.clock.Step(from.Add(10 * time.Hour))
	ok(take(d.helper, supervision.Input{Step: supervision.Departed}))
	ok(take(d.helper, supervision.Input{Step: supervision.Arrived}))
	ok(take(d.office, supervision.Input{Step: supervision.Assisted, DocumentNo: "协1"}))
	d.clock.Step(until.Add(-time.Hour))
	ok(take(d.helper, supervision.Input{Step: supervision.Delayed, Text: "高铁停运"}))
	if r := last(); r.Overdue || !r.Until.Equal(until.Add(12*time.Hour)) {
		t.Errorf("a delay was reported: %+v", r)
	}
	if !slices.Contains(d.tasks(), supervision.DelayDecision) {
		t.Errorf("%v", d.tasks())
	}
	if err := take(d.helper, supervision.Input{Step: supervision.DelayAgreed, Until: until.AddDate(0, 0, 1)}); code(t, err) != supervision.WrongStaff {
		t.Errorf("R135: %v", err)
	}
	if err := take(d.office, supervision.Input{Step: supervision.DelayAgreed, Until: until.AddDate(0, 0, 5)}); code(t, err) != supervision.WrongOrgan {
		t.Errorf("ten days in all are not the office's: %v", err)
	}
	ok(take(d.office, supervision.Input{Step: supervision.DelayAgreed, Until: until.AddDate(0, 0, 2)}))
	if r := last(); !r.Overdue || !r.Until.Equal(until.AddDate(0, 0, 2)) {
		t.Errorf("%+v", r)
	}
	deadline := until.Add(20 * time.Hour)
	ok(take(d.office, supervision.Input{Step: supervision.OrderedBack, Deadline: deadline}))
	if r := last(); !r.Overdue || !r.Until.Equal(deadline) {
		t.Errorf("%+v", r)
	}
	d.clock.Step(until.Add(30 * time.Hour))
	late := supervision.Input{Step: supervision.Returned, Version: p.Version, Text: " "}
	if _, err := d.store.TakeStep(t.Context(), d.office, p.ID, late); code(t, err) != supervision.Missing {
		t.Errorf("late without a reason: %v", err)
	}
	ok(take(d.office, supervision.Input{Step: supervision.Returned}))
	if r := last(); !r.End || !r.Until.Equal(deadline) || p.ClosedAt.IsZero() {
		t.Errorf("%+v %+v", r, p)
	}
	if got := d.tasks(); slices.Contains(got, supervision.LeaveReturn) || slices.Contains(got, supervision.DelayDecision) {
		t.Errorf("%v", got)
	}
}

// TestRegularLeave_R22 lasts six months and is the county's; TestEntry_R20 is granted by the county, and court and 检察院 are told.
func TestRegularLeaveAndEntry_R20_R22(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	from := civil(2026, 12, 1)
	ask := func(until time.Time) step {
		s := d.leave(from, until)
		s.in.Purpose = "work"
		return s
	}
	approve := step{&d.agency, supervision.Input{Step: supervision.Approved, DocumentNo: "1"}}
	if _, err := d.run(supervision.RegularProceeding, ask(civil(2027, 6, 2)), approve); code(t, err) != supervision.TooLong {
		t.Errorf("over six months: %v", err)
	}
	byOffice := approve
	byOffice.by = &d.office
	if _, err := d.run(supervision.RegularProceeding, ask(civil(2027, 6, 1)), byOffice); code(t, err) != supervision.WrongOrgan {
		t.Errorf("%v", err)
	}
	if _, err := d.run(supervision.RegularProceeding, ask(civil(2027, 6, 1)), approve); err != nil || len(d.rules) != 1 || d.rules[0].Overdue {
		t.Errorf("%+v %v", d.rules, err)
	}
	if _, err := d.run(supervision.EntryProceeding, d.leave(from, from.Add(6*time.Hour)), approve); err != nil || d.rules[1].Kind != supervision.EntryProceeding {
		t.Fatalf("%+v %v", d.rules, err)
	}
	if got := d.tasks(); !slices.Equal(got, []supervision.TaskKind{supervision.CourtNotice, supervision.ProcuratorateCopy}) {
		t.Errorf("%v", got)
	}
}

// TestNothingOutlivesTheSentence: not an approval, not a leave.
func TestNothingOutlivesTheSentence_R03(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	end := now.AddDate(0, 0, 20)
	if err := d.store.PutSentence(t.Context(), 0, supervision.Sentence{Subject: d.subject, DocumentNo: "（2025）鄂9006刑初1号", From: now.AddDate(-1, 0, 0), Until: end}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.run(supervision.UseProceeding, d.proposed(), d.deliberated(), d.approved(now, end.Add(time.Hour))); code(t, err) != supervision.OutlivesTheSentence {
		t.Errorf("%v", err)
	}
	if _, err := d.run(supervision.LeaveProceeding, d.leave(end.AddDate(0, 0, -1), end.AddDate(0, 0, 1))); code(t, err) != supervision.OutlivesTheSentence {
		t.Errorf("%v", err)
	}
}

// TestPeriodsAreData_R90: a period is corrected with its own effective date; what was decided before keeps the version it was decided by.
func TestPeriodsAreData_R90(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.delegate()
	from := civil(2026, 12, 1)
	was, err := d.run(supervision.LeaveProceeding, d.leave(from, from.AddDate(0, 0, 7)), step{&d.office, supervision.Input{Step: supervision.Approved, DocumentNo: "1"}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := supervision.PeriodNamed(t.Context(), d.pool, "leave.office", now)
	if err != nil {
		t.Fatal(err)
	}
	p.Amount, p.From, p.Citation, p.Evidence = []int{3}, civil(2026, 12, 10), "鄂司发〔2023〕29号", supervision.Statute
	if err := d.store.PutPeriod(t.Context(), 0, p); err != nil {
		t.Fatal(err)
	}
	early := p
	early.From = civil(2020, 1, 1)
	if err := d.store.PutPeriod(t.Context(), 0, early); code(t, err) != supervision.NotAfterTheLast {
		t.Errorf("%v", err)
	}
	d.clock.Step(civil(2026, 12, 20))
	now7, err := d.run(supervision.LeaveProceeding, d.leave(civil(2026, 12, 25), civil(2026, 12, 29)))
	if err != nil || now7.Facts.Tier != supervision.CountyTier {
		t.Fatalf("%+v %v", now7.Facts, err)
	}
	if was.Facts.Law["leave.office"] == now7.Facts.Law["leave.office"] {
		t.Error("both were decided by the same version")
	}
	var rows int
	if err := d.pool.QueryRow(t.Context(), `SELECT count(*) FROM period WHERE period_id = ANY ($1)`, []int64{was.Facts.Law["leave.office"], now7.Facts.Law["leave.office"]}).Scan(&rows); err != nil || rows != 2 {
		t.Errorf("%d versions on record, %v", rows, err)
	}
	if _, err := d.pool.Exec(t.Context(), `UPDATE period SET amount = '{99}'`); err == nil {
		t.Error("a version was rewritten")
	}
}

// TestPeriodArithmetic: calendar and working days, the first day, the holiday roll, month ends, and which number is still within (实施办法 58).
func TestPeriodArithmetic_R86(t *testing.T) {
	t.Parallel()
	off := func(t time.Time) bool { // National Day of 2026 and weekends
		l := t.In(shanghai)
		return l.Month() == 10 && l.Day() <= 7 || l.Weekday() == time.Saturday || l.Weekday() == time.Sunday
	}
	for name, c := range map[string]struct {
		p     supervision.Period
		n     int
		start time.Time
		want  time.Time // exclusive
	}{
		"five days, the first not counted":           {supervision.Period{Unit: supervision.Days}, 5, civil(2026, 11, 23).Add(22 * time.Hour), civil(2026, 11, 29)},
		"five days, the first counted":               {supervision.Period{Unit: supervision.Days, FirstDay: true}, 5, civil(2026, 11, 23), civil(2026, 11, 28)},
		"ends on a day off":                          {supervision.Period{Unit: supervision.Days}, 5, civil(2026, 9, 28), civil(2026, 10, 4)},
		"ends on a day off, and rolls":               {supervision.Period{Unit: supervision.Days, Roll: true}, 5, civil(2026, 9, 28), civil(2026, 10, 9)},
		"five working days over the holiday":         {supervision.Period{Unit: supervision.WorkingDays}, 5, civil(2026, 9, 29), civil(2026, 10, 14)},
		"five working days from a Saturday, counted": {supervision.Period{Unit: supervision.WorkingDays, FirstDay: true}, 5, civil(2026, 11, 28), civil(2026, 12, 5)},
		"one month, at the end of January":           {supervision.Period{Unit: supervision.Months, FirstDay: true}, 1, civil(2027, 1, 31), civil(2027, 2, 28)},
		"one month after the day":                    {supervision.Period{Unit: supervision.Months}, 1, civil(2027, 1, 31), civil(2027, 3, 1)},
		"48 hours":                                   {supervision.Period{Unit: supervision.Hours}, 48, civil(2026, 11, 23).Add(time.Minute), civil(2026, 11, 25).Add(time.Minute)},
	} {
		if got := c.p.End(c.start, c.n, off); !got.Equal(c.want) {
			t.Errorf("%s: %s, want %s", name, got.In(shanghai), c.want)
		}
	}
	over, within := supervision.Period{Amount: []int{10}}, supervision.Period{Amount: []int{10}, Inclusive: true}
	if over.Within(10) || !over.Within(9) || !within.Within(10) || within.Within(11) {
		t.Error("超过 excludes the number, 内 includes it")
	}
}

// TestProhibitionLength_R19: at least three months under public surveillance (unless detention shortened it), two on probation, never longer
// than the sentence, and none for anybody else.
func TestProhibitionLength_R18_R19(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	from := civil(2026, 11, 24)
	sentenced := func(category supervision.Category, detained int) {
		t.Helper()
		if _, err := d.pool.Exec(t.Context(), `UPDATE subject SET category = $2 WHERE subject_id = $1`, d.subject, category); err != nil {
			t.Fatal(err)
		}
		if err := d.store.PutSentence(t.Context(), 0, supervision.Sentence{Subject: d.subject, DocumentNo: "刑初1号", DetainedDays: detained, From: from, Until: civil(2027, 11, 24)}); err != nil {
			t.Fatal(err)
		}
	}
	put := func(until time.Time) error {
		_, err := d.store.PutProhibition(t.Context(), 0, supervision.Prohibition{Subject: d.subject, Type: supervision.ForbidArea, DocumentNo: "刑初1号", Court: "天门市人民法院",
			Wording: "禁止进入中小学校周边", Zones: []int64{3}, From: from, Until: until})
		return err
	}
	if err := put(civil(2027, 3, 1)); code(t, err) != supervision.Missing {
		t.Errorf("no sentence is on record: %v", err)
	}
	for _, c := range []struct {
		category supervision.Category
		detained int
		until    time.Time
		want     supervision.Code
	}{
		{supervision.PublicSurveillance, 0, civil(2027, 2, 23), supervision.TooShort},
		{supervision.PublicSurveillance, 0, civil(2027, 2, 24), ""},
		{supervision.PublicSurveillance, 30, civil(2027, 1, 10), ""},
		{supervision.Probation, 0, civil(2027, 1, 23), supervision.TooShort},
		{supervision.Probation, 30, civil(2027, 1, 23), supervision.TooShort},
		{supervision.Probation, 0, civil(2027, 1, 24), ""},
		{supervision.Probation, 0, civil(2027, 11, 24), ""},
		{supervision.Probation, 0, civil(2027, 11, 25), supervision.OutlivesTheSentence},
		{supervision.Parole, 0, civil(2027, 6, 1), supervision.Malformed},
		{supervision.MedicalParole, 0, civil(2027, 6, 1), supervision.Malformed},
	} {
		sentenced(c.category, c.detained)
		err := put(c.until)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s until %s: %v", c.category, c.until, err)
			}
			continue
		}
		var law *supervision.LawError
		if !errors.As(err, &law) || law.Code != c.want {
			t.Errorf("%s until %s: %v, want %s and the article", c.category, c.until, err, c.want)
		}
	}
	list, err := d.store.Prohibitions(t.Context(), d.pool, d.subject)
	if err != nil || len(list) != 4 || list[0].Wording != "禁止进入中小学校周边" || len(d.rules) != 4 || d.rules[0].Kind != supervision.ProhibitionOrder {
		t.Errorf("%+v %+v %v", list, d.rules, err)
	}
}
