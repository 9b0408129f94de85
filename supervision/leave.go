package supervision

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// 外出 (社区矫正法 27; 实施办法 26–29) and entry to a prohibited place (实施办法 39).

// Tier is who decides on a leave.
type Tier string

const (
	OfficeTier Tier = "office" // 司法所, by delegation
	CountyTier Tier = "county" // 县级社区矫正机构
	UpperTier  Tier = "upper"  // 上一级: for a city that the province administers itself, the province
)

// purposes are the good reasons of 实施办法 26: to see a doctor, to study, a lawsuit, an important matter of family or work.
var purposes = []string{"medical", "study", "litigation", "family", "work"}

var leaveMoves = map[Step]move{
	Applied:     {from: []Step{""}, to: Applied, who: officerOfIt, do: applyLeave},
	Approved:    {from: []Step{Applied}, to: Approved, who: officerOfIt, do: approveLeave},
	Refused:     {from: []Step{Applied}, to: Refused, who: officerOfIt, do: refuseLeave},
	Withdrawn:   {from: []Step{Applied}, to: Withdrawn, who: officerOfIt, do: withdraw},
	Departed:    {from: []Step{Approved}, who: staffOfIt, do: remark},
	Arrived:     {from: []Step{Approved}, who: staffOfIt, do: remark},
	Assisted:    {from: []Step{Approved}, who: officerOfIt, do: assist},
	Delayed:     {from: []Step{Approved, OrderedBack}, to: Delayed, who: staffOfIt, do: delay},
	DelayAgreed: {from: []Step{Delayed}, to: Approved, who: officerOfIt, do: agreeDelay},
	DelayDenied: {from: []Step{Delayed}, to: Approved, who: officerOfIt, do: denyDelay},
	OrderedBack: {from: []Step{Approved, Delayed}, to: OrderedBack, who: officerOfIt, do: orderBack},
	Returned:    {from: []Step{Approved, Delayed, OrderedBack}, to: Returned, who: officerOfIt, do: comeBack},
}

var regularMoves = map[Step]move{
	Applied:   {from: []Step{""}, to: Applied, who: officerOfIt, do: applyRegular},
	Approved:  {from: []Step{Applied}, to: Approved, who: officerAbove, do: approveRegular},
	Refused:   {from: []Step{Applied}, to: Refused, who: officerAbove, do: refuse},
	Withdrawn: {from: []Step{Applied, Approved}, to: Withdrawn, who: officerOfIt, do: withdraw},
}

var entryMoves = map[Step]move{
	Applied:   {from: []Step{""}, to: Applied, who: officerOfIt, do: applyEntry},
	Approved:  {from: []Step{Applied}, to: Approved, who: officerAbove, do: approveEntry},
	Refused:   {from: []Step{Applied}, to: Refused, who: officerAbove, do: refuse},
	Withdrawn: {from: []Step{Applied, Approved}, to: Withdrawn, who: officerOfIt, do: withdraw},
}

// staffOfIt is any staff of the subject's office or above it: who takes a call writes down what was said.
func staffOfIt(a *Actor, c *Circumstances) error {
	if a.Officer == 0 || !c.Supervises {
		return ErrNotFound
	}
	return nil
}

// applied takes what every application has.
func applied(p *Proceeding, in *Input, c *Circumstances) error {
	switch {
	case in.From.IsZero() || !in.From.Before(in.Until):
		return &FieldError{"until", EmptyInterval, "it has a beginning and a later end"}
	case !in.Until.After(c.Now):
		return &FieldError{"until", EmptyInterval, "it lies in the past"}
	case len(in.Zones) == 0:
		return &FieldError{"zones", Missing, "where to"}
	case c.Sentence != nil && in.Until.After(c.Sentence.Until):
		return &LawError{FieldError{"until", OutlivesTheSentence, "the person is under supervision until then only"}, "社区矫正法 44"}
	}
	p.Facts.From, p.Facts.Until, p.Facts.Zones = at(in.From), at(in.Until), in.Zones
	return text("text", in.Text)
}

func applyLeave(p *Proceeding, _ *Actor, in *Input, c *Circumstances) (Effects, error) {
	if in.Purpose == "" {
		return Effects{}, &FieldError{"purpose", Missing, "why"}
	}
	if !slices.Contains(purposes, in.Purpose) {
		return Effects{}, &LawError{FieldError{"purpose", Malformed, "to see a doctor, to study, a lawsuit, or an important matter of family or work"}, "实施办法 26"}
	}
	if err := applied(p, in, c); err != nil {
		return Effects{}, err
	}
	for _, v := range c.Leaves {
		if v.From.Before(in.Until) && in.From.Before(v.Until) {
			return Effects{}, &FieldError{"from", Overlapping, "a leave is granted for some of this time already"}
		}
	}
	p.Facts.Purpose = in.Purpose
	ahead, err := p.period(c, "leave.ahead")
	if err != nil {
		return Effects{}, err
	}
	// R71: later than is usual is flagged, not refused: the reason may be urgent.
	p.Facts.Short = in.From.Before(civilDay(in.At).AddDate(0, 0, ahead.Amount[0]))
	return Effects{}, p.route(c)
}

// route says who decides on a leave (R69), by its days and what was granted within two months (R70).
func (p *Proceeding) route(c *Circumstances) error {
	office, err := p.period(c, "leave.office")
	if err != nil {
		return err
	}
	each, err := p.period(c, "leave.each")
	if err != nil {
		return err
	}
	total, err := p.period(c, "leave.total")
	if err != nil {
		return err
	}
	window, err := p.period(c, "leave.window")
	if err != nil {
		return err
	}
	p.Facts.Days = daysOf(*p.Facts.From, *p.Facts.Until)
	p.Facts.Total = LeaveDays(c.Leaves, Interval{*p.Facts.From, *p.Facts.Until}, window.Amount[0])
	switch {
	case !each.Within(p.Facts.Days) || !total.Within(p.Facts.Total):
		p.Facts.Tier = UpperTier
	case office.Within(p.Facts.Days) && c.Delegated:
		p.Facts.Tier = OfficeTier
	default:
		p.Facts.Tier = CountyTier
	}
	return nil
}

// LeaveDays is the most days of leave that fall within any so many calendar months that hold a day of next: its own and those of granted,
// each day once, first and last included (实施办法 27; R70).
func LeaveDays(granted []Interval, next Interval, months int) int {
	days := map[time.Time]bool{}
	var all []time.Time
	add := func(v Interval) {
		if !v.From.Before(v.Until) {
			return
		}
		for d := civilDay(v.From); d.Before(v.Until); d = d.AddDate(0, 0, 1) {
			if !days[d] {
				days[d] = true
				all = append(all, d)
			}
		}
	}
	add(next)
	first, last := civilDay(next.From), civilDay(next.Until.Add(-time.Nanosecond))
	for _, v := range granted {
		add(v)
	}
	slices.SortFunc(all, time.Time.Compare)
	most := 0
	for i, begin := range all { // a window that counts most begins with a day of leave
		end := addMonths(begin, months)
		if begin.After(last) || !end.After(first) {
			continue
		}
		n := 0
		for _, d := range all[i:] {
			if d.Before(end) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// mayGrant reports whether an actor may decide on a leave of this tier. Who delegates may do it themselves; what the level above decided is
// recorded with its document's number.
func mayGrant(p *Proceeding, a *Actor, in *Input, c *Circumstances) error {
	switch p.Facts.Tier {
	case OfficeTier:
		return nil
	case CountyTier:
		if !c.Above {
			return &LawError{FieldError{"step", WrongOrgan, "more than the office may grant: the county-level organ decides"}, "实施办法 27"}
		}
	default:
		if a.OrgKind != ProvinceDepartment && a.OrgKind != ProvinceAgency && (!c.Above || strings.TrimSpace(in.DocumentNo) == "") {
			return &LawError{FieldError{"document_no", WrongOrgan, "the level above decides: the county records its decision with the document's number"}, "实施办法 27"}
		}
	}
	return nil
}

func approveLeave(p *Proceeding, a *Actor, in *Input, c *Circumstances) (Effects, error) {
	if err := p.route(c); err != nil { // as it stands now, not when it was asked for
		return Effects{}, err
	}
	if err := mayGrant(p, a, in, c); err != nil {
		return Effects{}, err
	}
	if strings.TrimSpace(in.DocumentNo) == "" {
		return Effects{}, &FieldError{"document_no", NoDocument, "a decision has a number"}
	}
	if !p.Facts.Until.After(c.Now) {
		return Effects{}, &FieldError{"until", EmptyInterval, "it lies in the past"}
	}
	p.Facts.Approver, p.Facts.ApprovedAt, p.Facts.DocumentNo = a.Officer, at(in.At), strings.TrimSpace(in.DocumentNo)
	e := Effects{Rules: []RuleChange{p.rules(c, *p.Facts.From, *p.Facts.Until)}}
	e.Rules[0].Overdue = true
	if p.Facts.Tier == OfficeTier {
		e.Tasks = append(e.Tasks, TaskSpec{Kind: CountyFiling, Key: taskKey(p.ID, "filing"), Due: c.Now.Add(72 * time.Hour)})
	}
	if p.Facts.Tier == UpperTier {
		t, err := copied(p, c, LeaveProceeding)
		if err != nil {
			return Effects{}, err
		}
		e.Tasks = append(e.Tasks, t)
	}
	e.Tasks = append(e.Tasks, TaskSpec{Kind: LeaveReturn, Key: taskKey(p.ID, "return"), Due: *p.Facts.Until})
	return e, nil
}

func (p *Proceeding) rules(c *Circumstances, from, until time.Time) RuleChange {
	r := RuleChange{Kind: p.Kind, Source: fmt.Sprintf("proceeding/%d", p.ID), Subject: p.Subject, Org: p.Org, Zones: p.Facts.Zones, From: from, Until: until, DocumentNo: p.Facts.DocumentNo}
	if stay := c.Law.Period("leave.stay"); stay != nil && stay.Unit == Hours {
		r.Stay = time.Duration(stay.Amount[0]) * time.Hour
		p.Facts.Law[stay.Code] = stay.ID
	}
	return r
}

// refuseLeave: who may grant it may refuse it, and says why in writing (R73): where the reasons are lawful it is granted (社区矫正法 27).
func refuseLeave(p *Proceeding, a *Actor, in *Input, c *Circumstances) (Effects, error) {
	if p.Facts.Tier != OfficeTier && !c.Above {
		return Effects{}, &LawError{FieldError{"step", WrongOrgan, "who may grant it may refuse it"}, "实施办法 27"}
	}
	return refuse(p, a, in, c)
}

func withdraw(p *Proceeding, _ *Actor, in *Input, c *Circumstances) (Effects, error) {
	e := Effects{Close: true}
	if p.State == Approved {
		r := p.rules(c, *p.Facts.From, c.Now)
		r.End = true
		e.Rules = []RuleChange{r}
	}
	return e, text("text", in.Text)
}

// remark only writes down what was told.
func remark(*Proceeding, *Actor, *Input, *Circumstances) (Effects, error) { return Effects{}, nil }

func assist(_ *Proceeding, _ *Actor, in *Input, _ *Circumstances) (Effects, error) {
	return Effects{}, text("document_no", in.DocumentNo)
}

// delay: the person says that they will be late. The clock of being overdue waits for somebody to decide (实施办法 28).
func delay(p *Proceeding, _ *Actor, in *Input, c *Circumstances) (Effects, error) {
	if err := text("text", in.Text); err != nil {
		return Effects{}, err
	}
	wait, err := p.period(c, "leave.delay")
	if err != nil {
		return Effects{}, err
	}
	until := *p.Facts.Until
	if p.Facts.Deadline != nil {
		until = *p.Facts.Deadline
	}
	if until.Before(c.Now) {
		until = c.Now
	}
	r := p.rules(c, *p.Facts.From, wait.End(until, wait.Amount[0], c.Law.Off))
	return Effects{Rules: []RuleChange{r}, Tasks: []TaskSpec{{Kind: DelayDecision, Key: taskKey(p.ID, "delay", in.Version), Due: c.Now.Add(2 * time.Hour)}}}, nil
}

func agreeDelay(p *Proceeding, a *Actor, in *Input, c *Circumstances) (Effects, error) {
	if !in.Until.After(*p.Facts.Until) {
		return Effects{}, &FieldError{"until", NotAfterTheLast, "later than it was to end"}
	}
	was := p.Facts.Until
	p.Facts.Until, p.Facts.Deadline = at(in.Until), nil
	if err := p.route(c); err != nil {
		return Effects{}, err
	}
	if err := mayGrant(p, a, in, c); err != nil {
		p.Facts.Until = was
		return Effects{}, err
	}
	r := p.rules(c, *p.Facts.From, in.Until)
	r.Overdue = true
	return Effects{Rules: []RuleChange{r}, Done: []TaskKey{{DelayDecision, ""}},
		Tasks: []TaskSpec{{Kind: LeaveReturn, Key: taskKey(p.ID, "return", in.Version), Due: in.Until}}}, text("text", in.Text)
}

func denyDelay(p *Proceeding, _ *Actor, in *Input, c *Circumstances) (Effects, error) {
	r := p.rules(c, *p.Facts.From, *p.Facts.Until)
	r.Overdue = true
	return Effects{Rules: []RuleChange{r}, Done: []TaskKey{{DelayDecision, ""}}}, text("text", in.Text)
}

// orderBack is 责令立即返回: served, with the time by which to be back. From then on the leave is no excuse (R21).
func orderBack(p *Proceeding, _ *Actor, in *Input, c *Circumstances) (Effects, error) {
	switch {
	case !in.Deadline.After(in.At):
		return Effects{}, &FieldError{"deadline", NotAfterTheLast, "by when to be back"}
	case !in.Deadline.Before(*p.Facts.Until):
		return Effects{}, &FieldError{"deadline", OutsideTheInterval, "earlier than the leave ends anyway"}
	case in.Deadline.Before(c.Now):
		return Effects{}, &FieldError{"deadline", EmptyInterval, "it lies in the past"}
	}
	p.Facts.Deadline = at(in.Deadline)
	r := p.rules(c, *p.Facts.From, in.Deadline)
	r.Overdue = true
	return Effects{Rules: []RuleChange{r}}, text("text", in.Text)
}

// comeBack is 销假. Later than the leave ended, it says why (R72).
func comeBack(p *Proceeding, _ *Actor, in *Input, c *Circumstances) (Effects, error) {
	until := *p.Facts.Until
	if p.Facts.Deadline != nil && p.Facts.Deadline.Before(until) {
		until = *p.Facts.Deadline
	}
	if in.At.After(until) {
		if err := text("text", in.Text); err != nil {
			return Effects{}, &LawError{FieldError{"text", Missing, "back later than the leave ended: why"}, "实施办法 28"}
		}
	}
	p.Facts.EndedAt = at(in.At)
	ends := in.At
	if ends.After(until) {
		ends = until
	}
	r := p.rules(c, *p.Facts.From, ends)
	r.End = true
	return Effects{Close: true, Rules: []RuleChange{r}, Done: []TaskKey{{LeaveReturn, ""}, {DelayDecision, ""}}}, nil
}

func applyRegular(p *Proceeding, _ *Actor, in *Input, c *Circumstances) (Effects, error) {
	if in.Purpose != "work" && in.Purpose != "study" && in.Purpose != "medical" && in.Purpose != "family" {
		return Effects{}, &LawError{FieldError{"purpose", Malformed, "work, study, a doctor or family that ask for it again and again"}, "实施办法 29"}
	}
	p.Facts.Purpose = in.Purpose
	return Effects{}, applied(p, in, c)
}

func approveRegular(p *Proceeding, a *Actor, in *Input, c *Circumstances) (Effects, error) {
	limit, err := p.period(c, "permit.term")
	if err != nil {
		return Effects{}, err
	}
	switch {
	case strings.TrimSpace(in.DocumentNo) == "":
		return Effects{}, &FieldError{"document_no", NoDocument, "a decision has a number"}
	case p.Facts.Until.After(limit.End(*p.Facts.From, limit.Amount[0], c.Law.Off)):
		return Effects{}, &LawError{FieldError{"until", TooLong, "a permit lasts six months; then it is asked for anew"}, limit.Citation}
	}
	p.Facts.Approver, p.Facts.ApprovedAt, p.Facts.DocumentNo = a.Officer, at(in.At), strings.TrimSpace(in.DocumentNo)
	return Effects{Rules: []RuleChange{p.rules(c, *p.Facts.From, *p.Facts.Until)}}, nil
}

func applyEntry(p *Proceeding, _ *Actor, in *Input, c *Circumstances) (Effects, error) {
	return Effects{}, applied(p, in, c)
}

// approveEntry (实施办法 39; R20): the court that ordered and the county 检察院 are told.
func approveEntry(p *Proceeding, a *Actor, in *Input, c *Circumstances) (Effects, error) {
	if strings.TrimSpace(in.DocumentNo) == "" {
		return Effects{}, &FieldError{"document_no", NoDocument, "a decision has a number"}
	}
	p.Facts.Approver, p.Facts.ApprovedAt, p.Facts.DocumentNo = a.Officer, at(in.At), strings.TrimSpace(in.DocumentNo)
	t, err := copied(p, c, EntryProceeding)
	if err != nil {
		return Effects{}, err
	}
	court := t
	court.Kind, court.Key = CourtNotice, taskKey(p.ID, "court")
	return Effects{Rules: []RuleChange{p.rules(c, *p.Facts.From, *p.Facts.Until)}, Tasks: []TaskSpec{t, court}}, nil
}
