package geofence

import "time"

// Leave rules go with a leave that was granted (实施办法 27, 28). Their zone is where the person may be: home and the destination. Being
// under way elsewhere is no breach: StayedElsewhere (外出途中停留他地) opens when somebody has stayed in one place outside of it for so
// long; who moves on, begins anew. An order to return ends the leave early, and staying in is judged again then (R21).
const (
	Leave           RuleKind      = "leave"
	StayedElsewhere ViolationKind = "stayed_elsewhere"
)

func init() {
	kinds[Leave] = &kindSpec{zones: []Purpose{Destination}, kind: leave{}, usual: func(p *Params) { p.DwellAfter, p.ApartM = 2*time.Hour, 1000 }}
}

type leave struct{}

func (leave) fix(e *evaluation, r *Rule, rs *RuleState, m Mark) {
	z := e.zone(r)
	if z == nil || !firm(&m) {
		return
	}
	m = r.Params.judged(z, m)
	class := e.in.Binding.Class
	t := &rs.Track[channelIndex(class)]
	if m.Verdict != Outside {
		t.Breach = t.Breach[:0]
		if m.Verdict == Inside {
			leaves(e, r, rs, m)
		}
		return
	}
	n := len(t.Breach)
	if n > 0 {
		first := &t.Breach[0]
		gap := m.At.Sub(t.Breach[n-1].At) > max(3*e.in.Binding.Interval, r.Params.DwellAfter)
		if gap || centimetres(metres(first.lon(), first.lat(), m.lon(), m.lat())) > centimetres(r.Params.ApartM)+first.Accuracy+m.Accuracy { // moving, or nobody knows
			n, t.Breach = 0, t.Breach[:0]
			leaves(e, r, rs, m)
		}
	}
	if n < 2 {
		t.Breach = append(t.Breach, m)
	} else {
		t.Breach[1] = m
	}
	if first := &t.Breach[0]; rs.Open == "" && m.At.Sub(first.At) > r.Params.DwellAfter {
		at := later(first.At, rs.ClosedAt)
		rs.opens(StayedElsewhere, class, at)
		e.open(r, StayedElsewhere, class, at, withFixes(t.Breach...))
	}
}

// leaves closes what a channel told: the person went on.
func leaves(e *evaluation, r *Rule, rs *RuleState, m Mark) {
	if rs.Open != "" && rs.OpenClass == e.in.Binding.Class {
		e.close(r, rs.Open, rs.OpenClass, m.At, withFixes(m))
		rs.closes(m.At)
	}
}

func (leave) heard(*evaluation, *Rule, *RuleState) {}
func (leave) tick(e *evaluation, r *Rule, rs *RuleState) {
	if e.zone(r) == nil && !rs.idle() {
		e.closeAll(r, rs, ended(e.f.Zones[r.Zone], e.at))
	}
}
func (leave) rejudge(_ *evaluation, _ *Rule, rs *RuleState) { rs.Track = [2]Track{} }
func (leave) due(*State, *Facts, *Rule, *RuleState, time.Time) time.Time {
	return time.Time{}
}

// Return rules begin when a leave ends: NotReturned (外出期满未销假) is open until somebody records that the person is back (R72).
const (
	Return      RuleKind      = "return"
	NotReturned ViolationKind = "not_returned"
)

func init() { kinds[Return] = &kindSpec{kind: returning{}} }

type returning struct{}

func (returning) tick(e *evaluation, r *Rule, rs *RuleState) {
	if rs.Open == "" && rs.ClosedAt.Before(r.Valid.From) {
		rs.opens(NotReturned, r.Params.Class, r.Valid.From)
		e.open(r, NotReturned, r.Params.Class, r.Valid.From, nil)
	}
}
func (k returning) rejudge(e *evaluation, r *Rule, rs *RuleState) { k.tick(e, r, rs) }
func (returning) fix(*evaluation, *Rule, *RuleState, Mark)        {}
func (returning) heard(*evaluation, *Rule, *RuleState)            {}
func (returning) due(_ *State, _ *Facts, r *Rule, rs *RuleState, after time.Time) time.Time {
	if rs == nil || rs.Open == "" && rs.ClosedAt.Before(r.Valid.From) {
		return r.Valid.From
	}
	return time.Time{}
}
