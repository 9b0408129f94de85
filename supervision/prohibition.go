package supervision

import (
	"strings"
	"time"

	"zhijiao/internal/id"
)

// ProhibitionType is what a prohibition order forbids.
type ProhibitionType string

const (
	ForbidActivity ProhibitionType = "activity" // 从事特定活动
	ForbidArea     ProhibitionType = "area"     // 进入特定区域、场所
	ForbidPerson   ProhibitionType = "person"   // 接触特定的人
)

// Prohibition is 禁止令, as a court ordered it.
type Prohibition struct {
	ID          int64 // 0: a new one
	Subject     id.Subject
	Type        ProhibitionType
	DocumentNo  string
	Court       string
	Wording     string  // sealed
	Zones       []int64 // for an area
	Relations   []int64 // for a person
	From, Until time.Time
}

// check says why an order cannot be as it is given (R18, R19): only public surveillance and probation carry one, no shorter than the rule
// table says (unless detention before the judgment shortened it), and no longer than the sentence.
func (p *Prohibition) check(category Category, v *Sentence, law *Law) error {
	const rules = "法发〔2011〕9号 6"
	code := map[Category]string{PublicSurveillance: "prohibition.surveillance", Probation: "prohibition.probation"}[category]
	switch {
	case p.Type != ForbidActivity && p.Type != ForbidArea && p.Type != ForbidPerson:
		return &FieldError{"type", Malformed, "an activity, an area or a person"}
	case strings.TrimSpace(p.DocumentNo) == "" || strings.TrimSpace(p.Court) == "":
		return &FieldError{"document_no", NoDocument, "a court ordered it, in a judgment that somebody can read"}
	case strings.TrimSpace(p.Wording) == "":
		return &FieldError{"wording", Missing, "what it forbids, as the court wrote it"}
	case p.Type == ForbidArea && len(p.Zones) == 0:
		return &FieldError{"zones", Missing, "which areas"}
	case p.Type == ForbidPerson && len(p.Relations) == 0:
		return &FieldError{"relations", Missing, "which recorded relation (实施办法 25)"}
	case p.From.IsZero() || !p.From.Before(p.Until):
		return &FieldError{"until", EmptyInterval, "it has a beginning and a later end"}
	case code == "":
		return &LawError{FieldError{"subject", Malformed, "only public surveillance and probation carry a prohibition order"}, "刑法 38、72"}
	case v == nil:
		return &FieldError{"sentence", Missing, "the sentence is to be recorded first: an order may not outlive it"}
	case p.Until.After(v.Until):
		return &LawError{FieldError{"until", OutlivesTheSentence, "an order is no longer than the sentence"}, rules}
	}
	least := law.Period(code)
	if least == nil {
		return &FieldError{"law", Missing, "the rule table has no period " + code + " for this day"}
	}
	shortened := category == PublicSurveillance && v.DetainedDays > 0
	if !shortened && p.Until.Before(least.End(p.From, least.Amount[0], law.Off)) {
		return &LawError{FieldError{"until", TooShort, "shorter than an order may be"}, least.Citation}
	}
	return nil
}
