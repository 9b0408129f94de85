package geofence

import (
	"maps"
	"math"
	"slices"
	"time"

	"zhijiao/devices"
)

// kind is one kind of rule. Adding one is one file and its entry in kinds.
type kind interface {
	// fix judges one plausible fix of a channel that speaks in order.
	fix(e *evaluation, r *Rule, s *RuleState, m Mark)
	// heard is told of every sign of life of a channel, before fix.
	heard(e *evaluation, r *Rule, s *RuleState)
	// tick acts on timers due at e.in.At or earlier.
	tick(e *evaluation, r *Rule, s *RuleState)
	// rejudge judges the present again, because the rule or its zone is another than the one it was last judged by.
	rejudge(e *evaluation, r *Rule, s *RuleState)
	// due is when tick has something to do, later than after unless it is overdue; zero: never. rs is nil for a rule that
	// has no state yet.
	due(s *State, f *Facts, r *Rule, rs *RuleState, after time.Time) time.Time
}

// kindSpec is what a kind of rule is: how it judges, and which rules of it may be recorded.
type kindSpec struct {
	kind
	zones  []Purpose     // what its zone is for; none: it is about no zone
	timed  bool          // it is about a schedule
	times  bool          // it looks at its schedule itself: it judges outside of its windows too
	fewest int           // count is no less; 0: 1
	usual  func(*Params) // its defaults that differ from those of all
	calm   bool          // what is heard moves none of its timers earlier, unless it says so (evaluation.stirs)

	company  bool          // it is about several people: EvaluateCompany judges it, and kind is nil
	finds    ViolationKind // what that finds
	relation bool          // it rests on a recorded relation to another person
	org      bool          // it is about an organisation's subjects, not about one
	anywhere bool          // it may be about no zone
}

// kinds is the registry; each kind_*.go enters itself, and adding one touches no other file of this package.
var kinds = map[RuleKind]*kindSpec{}

// RuleKinds are the kinds of rules there are, in order of their names.
func RuleKinds() []RuleKind { return slices.Sorted(maps.Keys(kinds)) }

// evaluation is one call of Evaluate.
type evaluation struct {
	s   *State
	in  *Input
	f   *Facts
	at  time.Time            // event time of what is being judged
	o   *devices.Observation // nil while a timer fires
	out []Effect

	now   *standing // the rule that is judged; nil: none
	stirs bool      // a timer may be due earlier than before
}

// Evaluate brings the state to in.At and takes the input into it, and appends what must happen to out. It is a pure
// function: no clock, no I/O, no order of a map; the same arguments give the same bytes. Facts are not changed. The flags
// it finds are added to in.Flags.
//
// Everything happens in event order, whichever way it came: timers that are due before an observation fire before it, each
// at its own instant, and an observation that lies before what was judged already is not judged here: it is flagged
// OutOfOrder, and changes nothing. Whoever calls has its subject derived again from there (Derive). So what was found does
// not depend on when the clock was looked at, nor on the order of arrival.
//
// The present is judged again by ticks alone: when a version of a rule or of its zone begins or ends a timer is due then,
// and a tick that finds other facts than the last one judges at once.
func Evaluate(s *State, in *Input, f *Facts, out []Effect) []Effect {
	if s.work == nil {
		s.work = new(work)
	}
	if s.Since.IsZero() {
		s.begin(f, in.At, in.At)
	}
	e := &s.work.evaluation
	*e = evaluation{s: s, in: in, f: f, out: out}
	switch {
	case in.Observed == nil:
		e.fire(in.At)
		if s.Facts != f.Version {
			e.tick(later(in.At, s.Front.At))
			s.Facts = f.Version
		}
	case in.Binding == nil:
	case s.Front.after(in):
		in.Flags |= OutOfOrder
	default:
		e.fire(in.At)
		e.at, e.o = in.At, in.Observed
		before := len(s.Rules)
		e.observe()
		s.Front = in.key()
		if e.stirs || len(e.out) > len(out) || len(s.Rules) != before {
			s.work.arm(nil)
		}
		s.work.exact = false
	}
	out = e.out
	*e = evaluation{}
	return out
}

// work is what a state keeps from one evaluation to the next and nobody stores.
type work struct {
	evaluation
	lineup lineup
	facts  *Facts    // for which due is right; nil: it is not known
	due    time.Time // the earliest timer; zero: none
	exact  bool      // not: it may be due later, but no earlier
}

// arm forgets when the next timer is due.
func (w *work) arm(f *Facts) { w.facts = f }

// next is when the earliest timer is due; where none is by t it may be later.
func (e *evaluation) next(t time.Time) time.Time {
	w := e.s.work
	if known := w.facts == e.f && (w.exact || w.due.After(t)); !known {
		w.due, w.facts, w.exact = NextDue(e.s, e.f, e.s.Front.At), e.f, true
	}
	return w.due
}

// fire fires every timer that is due by t, in order, each at its instant.
func (e *evaluation) fire(t time.Time) {
	for {
		due := e.next(t)
		if due.IsZero() || due.After(t) {
			return
		}
		at := later(due, e.s.Front.At)
		e.tick(at)
		if due = e.next(at); !due.IsZero() && !due.After(at) {
			return // what is overdue and did not act has its moment when the clock asks again
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// tick judges the present at an instant: what ended, what began, what is due.
func (e *evaluation) tick(at time.Time) {
	e.at, e.o = at, nil
	e.attachments()
	e.end()
	list := e.lineup()
	for i := range list {
		k, r, rs := e.stand(&list[i])
		zone := 0
		if z := e.zone(r); z != nil {
			zone = z.Version
		}
		if rs.Version != r.Version || rs.ZoneVersion != zone {
			k.rejudge(e, r, rs)
			rs.Version, rs.ZoneVersion = r.Version, zone
		}
		k.tick(e, r, rs)
	}
	e.now = nil
	if at.After(e.s.Front.At) {
		e.s.Front = Front{At: at}
	}
	e.s.work.arm(nil)
}

// observe takes an observation that is in order.
func (e *evaluation) observe() {
	ch := &e.s.Channel[channelIndex(e.in.Binding.Class)]
	ch.HeardAt = later(e.at, ch.HeardAt)
	e.strap()
	list := e.lineup()
	for i := range list {
		k, r, rs := e.stand(&list[i])
		e.stirs = e.stirs || !list[i].spec.calm
		k.heard(e, r, rs)
	}
	e.now = nil
	if e.o.Place != nil {
		e.place(ch)
	}
}

// end closes what rules left open that are no longer in force, and forgets them.
func (e *evaluation) end() {
	kept := e.s.Rules[:0]
	for i := range e.s.Rules {
		rs := &e.s.Rules[i]
		last, now := e.rule(rs.Rule)
		if now {
			kept = append(kept, *rs)
			continue
		}
		at, gone := e.at, Rule{ID: rs.Rule}
		if last != nil {
			gone = *last
			if until := last.Valid.Until; !until.IsZero() && until.Before(at) {
				at = until
			}
		}
		e.closeAll(&gone, rs, at)
	}
	clear(e.s.Rules[len(kept):])
	e.s.Rules = kept
}

// rule returns the last version of a rule that began by the instant, and whether one is in force at it.
func (e *evaluation) rule(r RuleID) (last *Rule, now bool) {
	for i := range e.f.Rules {
		if x := &e.f.Rules[i]; x.ID == r {
			if !x.Valid.From.After(e.at) && (last == nil || last.Valid.From.Before(x.Valid.From)) {
				last = x
			}
			k := kinds[x.Kind]
			now = now || x.Valid.Contains(e.at) && k != nil && !k.company && (k.times || e.inForce(i))
		}
	}
	return last, now
}

// inForce reports whether the schedule of a rule lets it apply at the instant.
func (e *evaluation) inForce(i int) bool {
	in, _ := e.f.span(&e.f.Rules[i], e.at)
	return in
}

// closeAll ends what a rule left open: nobody wants to know any more.
func (e *evaluation) closeAll(r *Rule, rs *RuleState, at time.Time) {
	if rs.Ask != nil {
		rs.settle(e, Settle{At: at, Withdrawn: true})
	}
	if rs.Unheard != "" {
		e.close(r, CheckUnanswered, rs.Unheard, at, nil)
		rs.Unheard, rs.UnheardAt = "", time.Time{}
	}
	if rs.Open != "" {
		e.close(r, rs.Open, rs.OpenClass, at, nil)
		rs.closes(at)
	}
	rs.Track = [2]Track{}
}

// How often and how long the same place must be told to the centimetre before it is a receiver that has stuck.
const (
	frozenCount = 20
	frozenAfter = time.Hour
)

// usual are the thresholds for what is decided of a fix before any rule is asked.
var usual = DefaultParams(StayIn)

// place takes a fix into its channel, and lets the rules judge it if it is possible.
func (e *evaluation) place(ch *Channel) {
	p := e.o.Place
	m := Mark{
		Device: e.in.Binding.Device, Boot: e.o.Boot, Seq: e.o.Seq, At: e.at, LonE7: e7(p.Lon), LatE7: e7(p.Lat),
		Claimed: claimed(p.Accuracy), Method: p.Method,
	}
	m.Floor = e.f.floor(m.Device, m.Method, m.At)
	m.Accuracy = usual.radius(&m)
	if e.in.Now.Sub(e.at) > usual.LateAfter {
		e.in.Flags |= Late
	}
	if e.s.Loose != nil {
		e.in.Flags |= Detached
	}
	if len(ch.Recent) > 0 && e.in.Flags.moves() {
		e.plausible(ch, &m)
		e.frozen(ch, &m)
	}
	if !e.in.Flags.moves() {
		return
	}
	list := e.lineup()
	for i := range list {
		k, r, rs := e.stand(&list[i])
		k.fix(e, r, rs, m)
	}
	e.now = nil
	ch.remember(m)
}

// claimed is an accuracy as history keeps it, a float32 in metres: what is derived from history is then what was judged.
func claimed(m float64) int64 { return centimetres(float64(float32(m))) }

// remember keeps marks that are apart, and the newest.
func (ch *Channel) remember(m Mark) {
	n := len(ch.Recent)
	switch {
	case n > 1 && m.At.Sub(ch.Recent[n-1].At) < usual.Independent && ch.Recent[n-1].At.Sub(ch.Recent[n-2].At) < usual.Independent:
		ch.Recent[n-1] = m
	case n < recentMarks:
		ch.Recent = append(ch.Recent, m)
	default:
		copy(ch.Recent, ch.Recent[n-recentMarks+1:])
		ch.Recent[recentMarks-1] = m
		ch.Recent = ch.Recent[:recentMarks]
	}
}

// plausible flags a fix that nothing on the ground could reach from the last one in the time between. When a second one
// bears the first out, it was the last one that was wrong.
func (e *evaluation) plausible(ch *Channel, m *Mark) {
	if reachable(&ch.Recent[len(ch.Recent)-1], m) {
		ch.Suspect = nil
		return
	}
	if ch.Suspect != nil && m.At.After(ch.Suspect.At) && reachable(ch.Suspect, m) {
		ch.Suspect = nil
		return
	}
	suspect := *m
	ch.Suspect = &suspect
	e.in.Flags |= Impossible
}

func reachable(a, b *Mark) bool {
	if dx, dy := int64(a.LonE7)-int64(b.LonE7), int64(a.LatE7)-int64(b.LatE7); max(dx, -dx)+max(dy, -dy) < 44_000 {
		return true // no 500 m
	}
	d := metres(a.lon(), a.lat(), b.lon(), b.lat()) - float64(a.Accuracy+b.Accuracy)/100
	return d <= usual.FastestPlausible*b.At.Sub(a.At).Seconds()+500
}

// frozen flags a satellite fix that tells the last place again to the centimetre, as it has done for long: satellite
// fixes tremble.
func (e *evaluation) frozen(ch *Channel, m *Mark) {
	last := &ch.Recent[len(ch.Recent)-1]
	switch {
	case m.Method != last.Method || !satellite(m) || m.LonE7 != last.LonE7 || m.LatE7 != last.LatE7:
		ch.Same, ch.SameSince = 0, time.Time{}
	case ch.Same == 0:
		ch.Same, ch.SameSince = 1, last.At
	default:
		ch.Same = min(ch.Same+1, frozenCount)
	}
	if ch.Same == frozenCount && m.At.Sub(ch.SameSince) >= frozenAfter {
		e.in.Flags |= Frozen
	}
}

// e7 is 1e-7 degrees, rounded once.
func e7(deg float64) int32 { return int32(math.Round(deg * 1e7)) }

// zone is the version of a rule's zone at the input's instant.
func (e *evaluation) zone(r *Rule) *Zone {
	if e.now != nil && r == &e.f.Rules[e.now.rule] {
		return e.now.zone
	}
	return e.f.zone(r, e.at)
}

// zone is the version of a rule's zone at t; nil where there is none.
func (f *Facts) zone(r *Rule, t time.Time) *Zone {
	for _, z := range f.Zones[r.Zone] {
		if z.Valid.Contains(t) {
			return z
		}
	}
	return nil
}
