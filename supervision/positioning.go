package supervision

import (
	"strings"
	"time"
)

// 使用电子定位装置, its extension, lifting and exemption (社区矫正法 29; 实施办法 37): what each step needs and brings about.

func propose(p *Proceeding, a *Actor, in *Input, _ *Circumstances) (Effects, error) {
	switch {
	case in.Ground < BreachedProhibition || in.Ground > RevocationProposed:
		return Effects{}, refusal("authority_ground_check")
	case (in.Ground == RefusedToReport || in.Ground == PunishedForBreach) && strings.TrimSpace(in.GroundRecord) == "":
		return Effects{}, refusal("authority_ground_record")
	}
	if err := text("text", in.Text); err != nil {
		return Effects{}, err
	}
	p.Facts.Ground, p.Facts.GroundRecord, p.Facts.ProposedBy = in.Ground, strings.TrimSpace(in.GroundRecord), a.Officer
	return Effects{}, nil
}

// deliberatingMembers is how many deliberate at least: fewer than three cannot outvote one another.
const deliberatingMembers = 3

func deliberate(p *Proceeding, _ *Actor, in *Input, _ *Circumstances) (Effects, error) {
	distinct := map[any]bool{}
	for _, m := range in.Members {
		distinct[m] = true
	}
	switch {
	case len(distinct) != len(in.Members) || len(in.Members) < deliberatingMembers:
		return Effects{}, &FieldError{"members", Missing, "at least three different members deliberate"}
	case in.Opinion != "agree" && in.Opinion != "against":
		return Effects{}, &FieldError{"opinion", Malformed, "agree or against"}
	}
	if err := text("text", in.Text); err != nil {
		return Effects{}, err
	}
	p.Facts.Members, p.Facts.Opinion = in.Members, in.Opinion
	return Effects{}, nil
}

// decided takes what an approval by the county head has in common.
func decided(p *Proceeding, a *Actor, in *Input) error {
	switch {
	case strings.TrimSpace(in.DocumentNo) == "":
		return refusal("authority_document_no_check")
	case p.Facts.Opinion == "against" && strings.TrimSpace(in.Text) == "":
		return &FieldError{"text", Missing, "those who deliberated were against it: why it is approved all the same"}
	case p.Facts.ProposedBy == a.Officer:
		return &FieldError{"step", SamePerson, "who proposed does not approve"}
	}
	p.Facts.Approver, p.Facts.ApprovedAt, p.Facts.DocumentNo = a.Officer, at(in.At), strings.TrimSpace(in.DocumentNo)
	return nil
}

// term takes the days an approval names: from the date of the decision on, at most what the period of that day says, and within the sentence.
func term(p *Proceeding, in *Input, c *Circumstances, code string) error {
	limit, err := p.period(c, code)
	if err != nil {
		return err
	}
	switch {
	case in.From.IsZero() || !in.From.Before(in.Until):
		return refusal("authority_valid_check")
	case in.Until.After(limit.End(in.From, limit.Amount[0], c.Law.Off)):
		return refusal("authority_three_months")
	case c.Sentence != nil && in.Until.After(c.Sentence.Until):
		return &LawError{FieldError{"until", OutlivesTheSentence, "the person is under supervision until then only"}, "社区矫正法 44"}
	}
	p.Facts.From, p.Facts.Until = at(in.From), at(in.Until)
	return nil
}

// copied is the task to send the 检察院 its copy (R10).
func copied(p *Proceeding, c *Circumstances, what ProceedingKind) (TaskSpec, error) {
	within, err := p.period(c, "procuratorate.copy")
	if err != nil {
		return TaskSpec{}, err
	}
	return TaskSpec{Kind: ProcuratorateCopy, Key: taskKey(p.ID, string(what)), Due: within.End(c.Now, within.Amount[0], c.Law.Off)}, nil
}

func approveUse(p *Proceeding, a *Actor, in *Input, c *Circumstances) (Effects, error) {
	if err := decided(p, a, in); err != nil {
		return Effects{}, err
	}
	if err := term(p, in, c, "authority.term"); err != nil {
		return Effects{}, err
	}
	if c.Authority != nil && c.Authority.Until.After(in.From) {
		return Effects{}, refusal("authority_subject_id_valid_recorded_excl")
	}
	t, err := copied(p, c, UseProceeding)
	return Effects{Tasks: []TaskSpec{t}}, err
}

func refuse(p *Proceeding, a *Actor, in *Input, _ *Circumstances) (Effects, error) {
	if err := text("text", in.Text); err != nil {
		return Effects{}, err // R73: a refusal says why
	}
	p.Facts.Approver = a.Officer
	return Effects{Close: true}, nil
}

// inform records that the person was told and signed: only from then on may where they are be known (R09).
func inform(p *Proceeding, _ *Actor, in *Input, c *Circumstances) (Effects, error) {
	if in.NoticeText == 0 {
		return Effects{}, &LawError{FieldError{"notice_text", Missing, "which text of the 告知书 was signed"}, "实施办法 37"}
	}
	if in.At.Before(*p.Facts.ApprovedAt) {
		return Effects{}, &FieldError{"at", NotAfterTheLast, "the decision comes first"}
	}
	if !in.At.Before(*p.Facts.Until) {
		return Effects{}, &LawError{FieldError{"at", OutsideTheInterval, "the approval had ended by then"}, article29}
	}
	p.Facts.InformedAt = at(in.At)
	from := *p.Facts.From
	if from.Before(in.At) {
		from = in.At
	}
	return Effects{Notice: true, Put: &Authority{
		Subject: p.Subject, Ground: p.Facts.Ground, GroundRecord: p.Facts.GroundRecord, Approver: p.Facts.Approver, DocumentNo: p.Facts.DocumentNo,
		From: from, Until: *p.Facts.Until, Informed: in.At, Proceeding: p.ID}}, nil
}

// fit ends it: the wristband is on, which its own signals show.
func fit(p *Proceeding, _ *Actor, in *Input, c *Circumstances) (Effects, error) {
	f := in.Fitting
	switch {
	case strings.TrimSpace(in.Device) == "":
		return Effects{}, &FieldError{"device", Missing, "which wristband"}
	case f == nil || f.StrapClosedAt == nil || f.StrapClosedAt.After(c.Now):
		return Effects{}, &FieldError{"fitting.strap_closed_at", Missing, "the wristband has not said that its strap is closed"}
	case f.FixAt == nil || f.FixAt.Before(*p.Facts.InformedAt) || f.FixAt.After(c.Now):
		return Effects{}, &FieldError{"fitting.fix_at", Missing, "the wristband has not told a satellite fix since"}
	}
	p.Facts.Device, p.Facts.Fitting = in.Device, f
	return Effects{Close: true}, nil
}

// notWorn records that the person refuses (R126): where they are is not known by a wristband they do not wear.
func notWorn(p *Proceeding, _ *Actor, in *Input, _ *Circumstances) (Effects, error) {
	if err := text("text", in.Text); err != nil {
		return Effects{}, err
	}
	e := Effects{Close: true}
	if p.State == Informed {
		e.LiftAt = at(in.At)
	}
	return e, nil
}

func assess(p *Proceeding, a *Actor, in *Input, c *Circumstances) (Effects, error) {
	if c.Authority == nil {
		return Effects{}, &LawError{FieldError{"of", Missing, "there is no approval to extend"}, article29}
	}
	if err := text("text", in.Text); err != nil {
		return Effects{}, err
	}
	p.Facts.AssessedAt, p.Facts.ProposedBy = at(in.At), a.Officer
	p.Facts.Ground, p.Facts.GroundRecord = c.Authority.Ground, c.Authority.GroundRecord
	return Effects{}, nil
}

// approveExtension (R05): a new approval after an assessment; what lies between the old one and it is not filled.
func approveExtension(p *Proceeding, a *Actor, in *Input, c *Circumstances) (Effects, error) {
	if err := decided(p, a, in); err != nil {
		return Effects{}, err
	}
	if err := term(p, in, c, "authority.extension"); err != nil {
		return Effects{}, err
	}
	switch {
	case !p.Facts.AssessedAt.Before(in.At):
		return Effects{}, &LawError{FieldError{"at", NotAfterTheLast, "the assessment comes before the approval"}, article29}
	case in.From.Before(c.Authority.Until):
		return Effects{}, refusal("authority_subject_id_valid_recorded_excl")
	case in.From.Before(in.At) && c.Authority.Until.Before(in.At):
		return Effects{}, &LawError{FieldError{"from", NotAfterTheLast, "the approval had ended: what lies between is not filled"}, article29}
	}
	t, err := copied(p, c, ExtendProceeding)
	return Effects{Tasks: []TaskSpec{t}}, err
}

func informExtension(p *Proceeding, a *Actor, in *Input, c *Circumstances) (Effects, error) {
	e, err := inform(p, a, in, c)
	if err != nil {
		return e, err
	}
	e.Close = true
	return e, nil
}

func proposeLift(p *Proceeding, a *Actor, in *Input, c *Circumstances) (Effects, error) {
	if c.Authority == nil || !c.Authority.Until.After(c.Now) {
		return Effects{}, &FieldError{"of", Missing, "no approval is in force"}
	}
	if err := text("text", in.Text); err != nil {
		return Effects{}, err
	}
	p.Facts.ProposedBy = a.Officer
	return Effects{}, nil
}

// approveLift (R06): from the minute that is recorded on nothing is stored; the device is asked back.
func approveLift(p *Proceeding, a *Actor, in *Input, c *Circumstances) (Effects, error) {
	if c.Authority == nil || !c.Authority.Until.After(c.Now) {
		return Effects{}, &FieldError{"of", Missing, "no approval is in force"}
	}
	if err := decided(p, a, in); err != nil {
		return Effects{}, err
	}
	if p.State == "" { // without a proposal the head says why
		if err := text("text", in.Text); err != nil {
			return Effects{}, err
		}
	}
	ends := c.Now
	if in.Until.After(c.Now) {
		ends = in.Until
	}
	if !ends.Before(c.Authority.Until) {
		return Effects{}, &FieldError{"until", OutsideTheInterval, "earlier than the approval ends anyway"}
	}
	p.Facts.EndedAt, p.Facts.Authority = at(ends), c.Authority.ID
	t, err := copied(p, c, LiftProceeding)
	return Effects{LiftAt: at(ends), Tasks: []TaskSpec{t, {Kind: DeviceReturn, Key: taskKey(p.ID, "return"), Due: ends.Add(24 * time.Hour)}}}, err
}

func removed(p *Proceeding, _ *Actor, in *Input, _ *Circumstances) (Effects, error) {
	if strings.TrimSpace(in.Device) == "" {
		return Effects{}, &FieldError{"device", Missing, "which wristband came back"}
	}
	p.Facts.Device = in.Device
	return Effects{Close: true, Done: []TaskKey{{DeviceReturn, taskKey(p.ID, "return")}}}, nil
}

func proposeExemption(p *Proceeding, a *Actor, in *Input, _ *Circumstances) (Effects, error) {
	if err := text("text", in.Text); err != nil {
		return Effects{}, err
	}
	p.Facts.ProposedBy = a.Officer
	return Effects{}, nil
}

func approveExemption(p *Proceeding, a *Actor, in *Input, c *Circumstances) (Effects, error) {
	if err := decided(p, a, in); err != nil {
		return Effects{}, err
	}
	t, err := copied(p, c, ExemptProceeding)
	e := Effects{Tasks: []TaskSpec{t}}
	if c.Authority != nil && c.Authority.Until.After(c.Now) {
		p.Facts.EndedAt = at(c.Now)
		e.LiftAt = at(c.Now)
		e.Tasks = append(e.Tasks, TaskSpec{Kind: DeviceReturn, Key: taskKey(p.ID, "return"), Due: c.Now.Add(24 * time.Hour)})
	}
	return e, err
}

func informExemption(p *Proceeding, _ *Actor, in *Input, _ *Circumstances) (Effects, error) {
	p.Facts.InformedAt = at(in.At)
	return Effects{Close: true}, nil
}
