package supervision

import (
	"slices"
	"strings"
	"time"

	"zhijiao/internal/id"
)

// ProceedingKind says what a proceeding is about.
type ProceedingKind string

const (
	UseProceeding     ProceedingKind = "use"           // 使用电子定位装置
	ExtendProceeding  ProceedingKind = "extend"        // 延长
	LiftProceeding    ProceedingKind = "lift"          // 解除
	ExemptProceeding  ProceedingKind = "exempt"        // 免除
	LeaveProceeding   ProceedingKind = "leave"         // 外出
	RegularProceeding ProceedingKind = "regular_leave" // 经常性跨市、县活动
	EntryProceeding   ProceedingKind = "entry"         // 进入禁止令限制区域、场所
	ProhibitionOrder  ProceedingKind = "prohibition"   // 禁止令: a court's; there is no proceeding of it here
)

// Step is one act of a proceeding.
type Step string

const (
	Proposed    Step = "proposed"     // 提出建议, by the office with its evidence
	Assessed    Step = "assessed"     // 评估, before an extension
	Deliberated Step = "deliberated"  // 合议: members and opinion
	Approved    Step = "approved"     // 批准
	Refused     Step = "refused"      // 不予批准, with its reason
	Informed    Step = "informed"     // 告知书 signed
	Fitted      Step = "fitted"       // 佩戴
	NotWorn     Step = "not_worn"     // 拒绝佩戴
	Removed     Step = "removed"      // 拆除, the device came back
	Applied     Step = "applied"      // 申请
	Departed    Step = "departed"     // 离开
	Arrived     Step = "arrived"      // 到达
	Assisted    Step = "assisted"     // 协助监管函 to the organ of the destination
	OrderedBack Step = "ordered_back" // 责令立即返回, served, with its time
	Delayed     Step = "delayed"      // a delay was reported
	DelayAgreed Step = "delay_agreed"
	DelayDenied Step = "delay_denied"
	Returned    Step = "returned"  // 销假
	Withdrawn   Step = "withdrawn" // the application, before it was decided
)

// Actor is who takes a step.
type Actor struct {
	Account id.Account
	Officer id.Officer
	Name    string
	Kind    OfficerKind
	Head    bool // of the county-level 司法行政部门
	Team    bool // of the team for minors (未成年社区矫正小组)
	Org     id.Org
	OrgKind OrgKind
	Client  string
}

// Proceeding is 程序: how an act that bears on somebody's liberty comes about.
type Proceeding struct {
	ID       int64
	Kind     ProceedingKind
	Subject  id.Subject
	Org      id.Org // the office that supervised when it was opened
	Of       int64  // the one it goes on from
	State    Step   // the last step that led on; empty before the first
	Version  int    // how many steps there are
	Facts    Facts
	OpenedAt time.Time
	ClosedAt time.Time
}

// Facts is what the steps of a proceeding established. It identifies nobody.
type Facts struct {
	Ground       Ground           `json:"ground,omitempty"`
	GroundRecord string           `json:"ground_record,omitempty"`
	ProposedBy   id.Officer       `json:"proposed_by,omitempty"`
	AssessedAt   *time.Time       `json:"assessed_at,omitempty"`
	Members      []id.Officer     `json:"members,omitempty"`
	Opinion      string           `json:"opinion,omitempty"` // agree, against
	Approver     id.Officer       `json:"approver,omitempty"`
	ApprovedAt   *time.Time       `json:"approved_at,omitempty"`
	DocumentNo   string           `json:"document_no,omitempty"`
	From         *time.Time       `json:"from,omitempty"`
	Until        *time.Time       `json:"until,omitempty"`
	InformedAt   *time.Time       `json:"informed_at,omitempty"`
	Authority    int64            `json:"authority,omitempty"`
	Device       string           `json:"device,omitempty"` // serial
	Fitting      *Fitting         `json:"fitting,omitempty"`
	EndedAt      *time.Time       `json:"ended_at,omitempty"`
	Purpose      string           `json:"purpose,omitempty"`
	Zones        []int64          `json:"zones,omitempty"`
	Tier         Tier             `json:"tier,omitempty"`
	Days         int              `json:"days,omitempty"`
	Total        int              `json:"total,omitempty"`
	Short        bool             `json:"short,omitempty"` // asked for later than is usual (R71)
	Deadline     *time.Time       `json:"deadline,omitempty"`
	Law          map[string]int64 `json:"law,omitempty"` // which version of which period decided (R90)
}

// Fitting is what was seen when a wristband was put on: signals of the device itself, and a photo.
type Fitting struct {
	StrapClosedAt *time.Time `json:"strap_closed_at"`
	FixAt         *time.Time `json:"fix_at"` // the first satellite fix
	VibratedAt    *time.Time `json:"vibrated_at,omitempty"`
	Photo         string     `json:"photo,omitempty"` // SHA-256 of the attachment
}

// Input is a step as somebody gives it. Which fields a step takes is the machine's to say.
type Input struct {
	Step         Step         `json:"step"`
	Version      int          `json:"version"` // of the proceeding as the person saw it: a request that comes again finds another
	At           time.Time    `json:"at"`      // when it happened; zero: now
	Ground       Ground       `json:"ground"`
	GroundRecord string       `json:"ground_record"`
	Members      []id.Officer `json:"members"`
	Opinion      string       `json:"opinion"`
	DocumentNo   string       `json:"document_no"`
	From         time.Time    `json:"from"`
	Until        time.Time    `json:"until"`
	Text         string       `json:"text"` // evidence, opinion, reason, itinerary: sealed
	Device       string       `json:"device"`
	Fitting      *Fitting     `json:"fitting"`
	NoticeText   int64        `json:"notice_text"`
	Purpose      string       `json:"purpose"`
	Zones        []int64      `json:"zones"`
	Destination  string       `json:"destination"` // in words: sealed
	Deadline     time.Time    `json:"deadline"`
}

// Circumstances is what else is known when a step is decided.
type Circumstances struct {
	Now        time.Time
	Law        *Law
	Of         *Proceeding // what an extension or a lifting goes on from
	Authority  *Authority  // in force, or the last one
	Delegated  bool        // the office may grant leave (实施办法 27, 社区矫正法 9)
	Leaves     []Interval  // granted to the subject, those that go on too
	Sentence   *Sentence
	Supervises bool // the actor's organisation is the subject's office or above it
	Above      bool // ... above it
}

// Interval is [From, Until).
type Interval struct{ From, Until time.Time }

// Effects is what a step brings about beside itself.
type Effects struct {
	Put    *Authority // an approval that is in force from now on
	LiftAt *time.Time // the approval ends then
	Notice bool       // the person was told: NoticeText, at the step's time
	Tasks  []TaskSpec
	Done   []TaskKey // tasks that are done with it, or fell away
	Rules  []RuleChange
	Close  bool // the proceeding is over
}

// RuleChange asks the keeper of rules for what a decision means to them.
type RuleChange struct {
	Kind       ProceedingKind
	Source     string // what it comes from: proceeding/12, prohibition/3
	Subject    id.Subject
	Org        id.Org
	Zones      []int64 // where to, or where not
	Relations  []int64 // whom to keep away from
	From       time.Time
	Until      time.Time
	DocumentNo string
	Stay       time.Duration // elsewhere, longer than this, is told
	// Overdue: from Until on the person has not come back until somebody says so.
	Overdue bool
	// End: everything the proceeding brought about ends at Until.
	End bool
}

// move is a row of the machine: from which states a step may be taken, where to, by whom, and what is checked.
type move struct {
	from []Step // "" is the beginning
	to   Step   // "" : the state stays
	who  func(*Actor, *Circumstances) error
	do   func(*Proceeding, *Actor, *Input, *Circumstances) (Effects, error)
}

var machine = map[ProceedingKind]map[Step]move{
	UseProceeding: {
		Proposed:    {from: []Step{""}, to: Proposed, who: officerOfIt, do: propose},
		Deliberated: {from: []Step{Proposed}, to: Deliberated, who: officerAbove, do: deliberate},
		Approved:    {from: []Step{Deliberated}, to: Approved, who: countyHead, do: approveUse},
		Refused:     {from: []Step{Proposed, Deliberated}, to: Refused, who: countyHead, do: refuse},
		Informed:    {from: []Step{Approved}, to: Informed, who: officerOfIt, do: inform},
		Fitted:      {from: []Step{Informed}, to: Fitted, who: officerOfIt, do: fit},
		NotWorn:     {from: []Step{Approved, Informed}, to: NotWorn, who: officerOfIt, do: notWorn},
	},
	ExtendProceeding: {
		Assessed:    {from: []Step{""}, to: Assessed, who: officerOfIt, do: assess},
		Deliberated: {from: []Step{Assessed}, to: Deliberated, who: officerAbove, do: deliberate},
		Approved:    {from: []Step{Deliberated}, to: Approved, who: countyHead, do: approveExtension},
		Refused:     {from: []Step{Assessed, Deliberated}, to: Refused, who: countyHead, do: refuse},
		Informed:    {from: []Step{Approved}, to: Informed, who: officerOfIt, do: informExtension},
	},
	LiftProceeding: {
		Proposed: {from: []Step{""}, to: Proposed, who: officerOfIt, do: proposeLift},
		Approved: {from: []Step{"", Proposed}, to: Approved, who: countyHead, do: approveLift},
		Refused:  {from: []Step{Proposed}, to: Refused, who: countyHead, do: refuse},
		Removed:  {from: []Step{Approved}, to: Removed, who: officerOfIt, do: removed},
	},
	ExemptProceeding: {
		Proposed:    {from: []Step{""}, to: Proposed, who: officerOfIt, do: proposeExemption},
		Deliberated: {from: []Step{Proposed}, to: Deliberated, who: officerAbove, do: deliberate},
		Approved:    {from: []Step{Deliberated}, to: Approved, who: countyHead, do: approveExemption},
		Refused:     {from: []Step{Proposed, Deliberated}, to: Refused, who: countyHead, do: refuse},
		Informed:    {from: []Step{Approved}, to: Informed, who: officerOfIt, do: informExemption},
	},
	LeaveProceeding:   leaveMoves,
	RegularProceeding: regularMoves,
	EntryProceeding:   entryMoves,
}

// Steps are those that may be taken next, whoever takes them.
func (p *Proceeding) Steps() []Step {
	var out []Step
	for step, m := range machine[p.Kind] {
		if slices.Contains(m.from, p.State) && p.ClosedAt.IsZero() {
			out = append(out, step)
		}
	}
	slices.Sort(out)
	return out
}

// May are the steps an actor may take next.
func (p *Proceeding) May(a *Actor, c *Circumstances) []Step {
	return slices.DeleteFunc(p.Steps(), func(s Step) bool { return machine[p.Kind][s].who(a, c) != nil })
}

// Take takes one step: it says what p becomes and what comes of it, or why not. Pure: nothing is read but what is given.
func Take(p Proceeding, a *Actor, in *Input, c *Circumstances) (Proceeding, Effects, error) {
	m, ok := machine[p.Kind][in.Step]
	switch {
	case !ok:
		return p, Effects{}, &FieldError{"step", Malformed, "there is no such step in this proceeding"}
	case in.Version != p.Version:
		return p, Effects{}, ErrConflict
	case !p.ClosedAt.IsZero() || !slices.Contains(m.from, p.State):
		return p, Effects{}, &FieldError{"step", OutOfTurn, "this step does not follow on " + stateName(p.State)}
	}
	if in.At.IsZero() {
		in.At = c.Now
	}
	if in.At.After(c.Now) {
		return p, Effects{}, &FieldError{"at", InTheFuture, "a step is recorded when it has happened"}
	}
	if err := m.who(a, c); err != nil {
		return p, Effects{}, err
	}
	p.Facts.Law = cloneLaw(p.Facts.Law)
	e, err := m.do(&p, a, in, c)
	if err != nil {
		return p, Effects{}, err
	}
	p.Version++
	if m.to != "" {
		p.State = m.to
	}
	if e.Close {
		p.ClosedAt = c.Now
	}
	return p, e, nil
}

func cloneLaw(m map[string]int64) map[string]int64 {
	out := map[string]int64{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

func stateName(s Step) string {
	if s == "" {
		return "the beginning"
	}
	return string(s)
}

// period is the version of a period that decides, which the proceeding remembers (R90).
func (p *Proceeding) period(c *Circumstances, code string) (*Period, error) {
	v := c.Law.Period(code)
	if v == nil {
		return nil, &FieldError{"law", Missing, "the rule table has no period " + code + " for this day"}
	}
	p.Facts.Law[code] = v.ID
	return v, nil
}

// Who may.

// decides are the kinds of staff whose acts bind (R135): auxiliaries and social workers check, call, visit and note.
func (a *Actor) decides() bool { return a.Kind == Enforcement || a.Kind == SecondedPolice }

// MayConclude says whether an actor may take charge of an alert and say what it was; nil: yes. Auxiliaries check, call, visit and note (R135).
func (a *Actor) MayConclude() error {
	if a.Kind == Auxiliary {
		return refusedStaff
	}
	return nil
}

// MayRecord says whether an actor may record what was decided elsewhere; nil: yes.
func (a *Actor) MayRecord() error {
	if a.Officer == 0 || !a.decides() {
		return refusedStaff
	}
	return nil
}

func officerOfIt(a *Actor, c *Circumstances) error {
	switch {
	case a.Officer == 0 || !c.Supervises:
		return ErrNotFound
	case !a.decides():
		return refusedStaff
	}
	return nil
}

func officerAbove(a *Actor, c *Circumstances) error {
	if err := officerOfIt(a, c); err != nil {
		return err
	}
	if !c.Above {
		return &LawError{FieldError{"step", WrongOrgan, "the county-level organ deliberates, not the office"}, "社区矫正法 9、29"}
	}
	return nil
}

func countyHead(a *Actor, c *Circumstances) error {
	if a.Officer == 0 || !c.Supervises {
		return ErrNotFound
	}
	if !a.Head || a.OrgKind != CountyDepartment {
		return refusal("authority_approver")
	}
	return nil
}

var refusedStaff = &LawError{FieldError{"step", WrongStaff, "auxiliary staff and social workers check, call, visit and note; they do not propose, decide or conclude"}, "社区矫正法 10、11"}

// What steps take.

func text(field, s string) error {
	if strings.TrimSpace(s) == "" {
		return &FieldError{field, Missing, "in words"}
	}
	return nil
}

func at(t time.Time) *time.Time { t = t.UTC(); return &t }
