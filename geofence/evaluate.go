package geofence

import (
	"math"
	"time"
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
	// due is when tick has something to do, later than after unless it is overdue; zero: never. s is nil for a rule that
	// has no state yet.
	due(c *[2]Channel, f *Facts, r *Rule, s *RuleState, after time.Time) time.Time
}

// kinds is the registry; each kind_*.go enters itself.
var kinds = map[RuleKind]kind{}

// evaluation is one call of Evaluate.
type evaluation struct {
	s   *State
	in  *Input
	f   *Facts
	out []Effect
}

// Evaluate takes one input into the state and appends what must happen to out. It is a pure function: no clock, no I/O,
// no order of a map; the same arguments give the same bytes. Facts are not changed. The flags it finds are added to
// in.Flags.
//
// An observation is judged by the facts of its own instant. The present is judged again by ticks alone: when a version of
// a rule or of its zone begins or ends NextDue asks for one, and whoever records a fact makes one due.
func Evaluate(s *State, in *Input, f *Facts, out []Effect) []Effect {
	if s.work == nil {
		s.work = new(evaluation)
	}
	e := s.work
	*e = evaluation{s, in, f, out}
	e.evaluate()
	out = e.out
	*e = evaluation{}
	return out
}

func (e *evaluation) evaluate() {
	s, in, f := e.s, e.in, e.f
	e.end()
	if in.Observed == nil {
		e.tick()
		return
	}
	if in.Binding == nil {
		return
	}
	ch := &s.Channel[channelIndex(in.Binding.Class)]
	if in.Now.After(ch.HeardAt) {
		ch.HeardAt = in.Now
	}
	for i := range f.Rules {
		if k, r, rs := e.valid(i); k != nil {
			// A demand that ran out before this fix ran out, whenever the clock gets round to it.
			k.tick(e, r, rs)
			k.heard(e, r, rs)
		}
	}
	if in.Observed.Place != nil {
		e.place(ch)
	}
}

// valid returns a rule that is valid at the input's instant with its kind and state; no kind where it is not.
func (e *evaluation) valid(i int) (kind, *Rule, *RuleState) {
	r := &e.f.Rules[i]
	if k, ok := kinds[r.Kind]; ok && r.Valid.Contains(e.in.At) {
		return k, r, e.s.rule(r.ID)
	}
	return nil, nil, nil
}

func (e *evaluation) tick() {
	e.s.Facts = e.f.Version
	for i := range e.f.Rules {
		k, r, rs := e.valid(i)
		if k == nil {
			continue
		}
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
}

// end closes what rules left open that are no longer valid, and forgets them.
func (e *evaluation) end() {
	kept := e.s.Rules[:0]
	for i := range e.s.Rules {
		rs := &e.s.Rules[i]
		last, now, later := e.f.rule(rs.Rule, e.in.At)
		// An observation may be older than the rule; a tick that comes between two versions ends the first.
		if now || later && (e.in.Observed != nil || last == nil) {
			kept = append(kept, *rs)
			continue
		}
		at, gone := e.in.At, Rule{ID: rs.Rule}
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

// rule returns the last version of a rule that began by t, and whether one is valid at t and one begins later.
func (f *Facts) rule(r RuleID, t time.Time) (last *Rule, now, later bool) {
	for i := range f.Rules {
		if x := &f.Rules[i]; x.ID == r {
			if !x.Valid.From.After(t) && (last == nil || last.Valid.From.Before(x.Valid.From)) {
				last = x
			}
			now = now || x.Valid.Contains(t)
			later = later || x.Valid.From.After(t)
		}
	}
	return last, now, later
}

// closeAll ends what a rule left open: nobody wants to know any more.
func (e *evaluation) closeAll(r *Rule, rs *RuleState, at time.Time) {
	if rs.Ask != nil {
		e.out = append(e.out, Effect{Settle: &Settle{Rule: rs.Rule, At: at, Withdrawn: true}})
		rs.Ask = nil
	}
	if rs.Unheard != "" {
		e.close(r, CheckUnanswered, rs.Unheard, at, nil)
		rs.Unheard = ""
	}
	if rs.Open != "" {
		e.close(r, rs.Open, rs.OpenClass, at, nil)
		rs.Open, rs.OpenClass, rs.Margin = "", "", 0
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

// place takes a fix into its channel, and lets the rules judge it if it is in order and possible.
func (e *evaluation) place(ch *Channel) {
	o := e.in.Observed
	m := Mark{
		Device: e.in.Binding.Device, Boot: o.Boot, Seq: o.Seq, At: o.At, LonE7: e7(o.Place.Lon), LatE7: e7(o.Place.Lat),
		Claimed: centimetres(o.Place.Accuracy), Method: o.Place.Method,
	}
	m.Accuracy = usual.accuracy(m.Method, m.Claimed)
	if e.in.Now.Sub(o.At) > usual.LateAfter {
		e.in.Flags |= Late
	}
	if n := len(ch.Recent); n > 0 && !o.At.After(ch.Recent[n-1].At) {
		e.in.Flags |= OutOfOrder
	} else if n > 0 && e.in.Flags.moves() {
		e.plausible(ch, &m)
		e.frozen(ch, &m)
	}
	if !e.in.Flags.moves() {
		return
	}
	for i := range e.f.Rules {
		if k, r, rs := e.valid(i); k != nil {
			k.fix(e, r, rs, m)
		}
	}
	ch.remember(m)
}

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
func (e *evaluation) zone(r *Rule) *Zone { return e.f.zone(r, e.in.At) }

// zone is the version of a rule's zone at t; nil where there is none.
func (f *Facts) zone(r *Rule, t time.Time) *Zone {
	for _, z := range f.Zones[r.Zone] {
		if z.Valid.Contains(t) {
			return z
		}
	}
	return nil
}
