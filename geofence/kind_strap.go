package geofence

import "time"

// Strap rules watch that the device stays on the person. StrapBroken (拆卸) opens when the strap or the case is opened, and
// ends only when an officer has seen the device on the person: a strap that closes by itself restores nothing (R122).
const (
	Strap       RuleKind      = "strap"
	StrapBroken ViolationKind = "strap_opened"
)

func init() { kinds[Strap] = &kindSpec{kind: strapKind{}} }

type strapKind struct{}

func (strapKind) heard(e *evaluation, r *Rule, rs *RuleState) {
	if l := e.s.Loose; l != nil && (l.Cause != Separated || !l.Opened.IsZero()) && rs.Open == "" {
		at := later(later(l.Since, l.Opened), r.Valid.From)
		class := r.Params.Class
		if e.o != nil {
			class = e.in.Binding.Class
		}
		rs.opens(StrapBroken, class, at)
		e.open(r, StrapBroken, class, at, nil)
	}
}

func (strapKind) tick(e *evaluation, r *Rule, rs *RuleState) {
	if rs.Open != "" && e.s.Loose == nil {
		e.close(r, rs.Open, rs.OpenClass, e.at, nil)
		rs.closes(e.at)
	}
}

func (k strapKind) rejudge(e *evaluation, r *Rule, rs *RuleState) { k.heard(e, r, rs) }
func (strapKind) fix(*evaluation, *Rule, *RuleState, Mark)        {}
func (strapKind) due(*State, *Facts, *Rule, *RuleState, time.Time) time.Time {
	return time.Time{}
}
