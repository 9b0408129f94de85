package geofence

import (
	"time"

	"zhijiao/devices"
)

// breach is what stay-in and keep-out share: a run of independent fixes on the wrong side opens, a run on the right
// side closes, and a channel that speaks seldom is asked before anybody is alarmed. wrong tells the sides apart.
type breach struct {
	kind  ViolationKind
	wrong func(p *Params, m Mark) bool // clearly on the wrong side, beyond the band
	right func(m Mark) bool            // clearly on the right side
	depth func(m Mark) int64           // how far on the wrong side, centimetres
	// holds reports whether a run that would open is yet to be waited for; nil: never.
	holds func(p *Params, run []Mark) bool
	// unsure: fixes that open nothing by themselves, one after the other on the wrong side for long, are told as what they
	// are: nobody can say where the person is (无法核实).
	unsure bool
	// before looks at a judged fix before it is taken into the run; may be nil.
	before func(e *evaluation, r *Rule, rs *RuleState, z *Zone, m Mark)
}

func satellite(m *Mark) bool { return m.Method == devices.MethodGNSS }

// firm is a place that cannot well be somewhere else: a satellite fix, or the beacon in the subject's home.
func firm(m *Mark) bool { return m.Method == devices.MethodGNSS || m.Method == devices.MethodRF }

// fix judges one more fix of a channel.
func (b breach) fix(e *evaluation, r *Rule, rs *RuleState, m Mark) {
	z := e.zone(r)
	if z == nil {
		return
	}
	p := &r.Params
	class := e.in.Binding.Class
	if b.ordinary(e, p, rs, z, channelIndex(class), &m) {
		rs.Track[channelIndex(class)].Return = rs.Track[channelIndex(class)].Return[:0]
		return
	}
	e.stirs = true
	m = p.judged(z, m)
	if rs.Open != "" && rs.OpenClass != class && !e.f.speaks(rs.OpenClass, e.at) {
		rs.OpenClass = class // who opened it speaks no more
	}
	if b.before != nil {
		b.before(e, r, rs, z, m)
	}
	t := &rs.Track[channelIndex(class)]
	switch {
	case b.wrong(p, m):
		switch {
		case satellite(&m) || e.confirms(t):
			if t.against(p, m) {
				b.against(e, r, rs, t, class, m)
			}
		default:
			b.doubt(e, r, rs, t, class, m)
		}
	case b.right(m):
		t.inFavour(p, m, rs.Open == "", p.sparse(e.in.Binding.Interval))
		b.inFavour(e, r, rs, t, class, m)
	case rs.Ask != nil && rs.Ask.Class == class && m.At.After(rs.Ask.At):
		rs.Ask.Heard = true
	}
	// Undecidable, or within the band: the state holds.
}

// ordinary reports whether a fix is one of the many that change nothing: nothing is open, asked or under way in the channel,
// and it is clearly where one is supposed to be. How clearly is then not measured.
func (b breach) ordinary(e *evaluation, p *Params, rs *RuleState, z *Zone, channel int, m *Mark) bool {
	if t := &rs.Track[channel]; rs.Open != "" || rs.Ask != nil || len(t.Breach) > 0 || t.Doubt != nil || b.before != nil && !z.apartFrom(e.s.Channel[channel].Recent, *m) {
		return false
	}
	v := z.verdict(m.lon(), m.lat(), p.radius(m))
	return b.right(Mark{Verdict: v})
}

// confirms reports whether a cell or Wi-Fi fix on the wrong side is the answer that was asked for: it bears out a satellite
// fix, and so does not open by itself (R27).
func (e *evaluation) confirms(t *Track) bool {
	n := len(t.Breach)
	return e.in.Flags&Answer != 0 && n > 0 && satellite(&t.Breach[n-1])
}

// against takes a fix on the wrong side into the run and reports whether it is one more.
func (t *Track) against(p *Params, m Mark) bool {
	t.Return = t.Return[:0]
	if n := len(t.Breach); n > 0 && m.At.Sub(t.Breach[n-1].At) < p.Independent {
		return false // the same place told twice is one fix
	}
	t.Breach = append(t.Breach, m)
	if n, most := len(t.Breach), p.run(); n > most { // the first, and the latest
		t.Breach = append(t.Breach[:1], t.Breach[n-most+1:]...)
	}
	return true
}

// inFavour takes a fix on the right side into the run. One firm fix ends a run on the wrong side; of cell and Wi-Fi
// fixes, which err beyond what they claim, it takes as many as open a violation, unless the channel is sparse and will be
// asked again. idle: nothing is open.
func (t *Track) inFavour(p *Params, m Mark, idle, sparse bool) {
	t.Doubt = nil
	if idle && len(t.Breach) == 0 {
		t.Return = t.Return[:0]
		return // where one is supposed to be
	}
	if n := len(t.Return); n == 0 || m.At.Sub(t.Return[n-1].At) >= p.Independent && n < p.run() {
		t.Return = append(t.Return, m)
	}
	if firm(&m) || sparse || len(t.Return) >= p.Count {
		t.Breach = t.Breach[:0]
	}
}

// coarse takes a cell or Wi-Fi fix on the wrong side: it does not open, but nor is that the way back.
func (t *Track) coarse(m Mark) {
	t.Return = t.Return[:0]
	if m.Method == devices.MethodWiFi {
		if t.Doubt == nil {
			t.Doubt = &Doubt{At: m.At}
		}
		t.Doubt.Count++
	}
}

// against acts on one more fix in the run on the wrong side.
func (b breach) against(e *evaluation, r *Rule, rs *RuleState, t *Track, class devices.Class, m Mark) {
	p := &r.Params
	sparse := p.sparse(e.in.Binding.Interval)
	switch {
	case rs.decided():
		b.further(e, r, rs, class, m)
	case b.enough(p, t.Breach, sparse):
		b.opens(e, r, rs, class, t.Breach, m.At)
	case sparse:
		rs.ask(e, r, class, m)
	}
}

// opens opens the violation: it began with the run, or with the rule or the zone that makes it one.
func (b breach) opens(e *evaluation, r *Rule, rs *RuleState, class devices.Class, run []Mark, answered time.Time) {
	at := run[0].At
	if r.Valid.From.After(at) {
		at = r.Valid.From
	}
	if z := e.zone(r); z.Valid.From.After(at) {
		at = z.Valid.From
	}
	_, span := e.f.span(r, e.at)
	at = later(later(at, span.From), rs.ClosedAt) // one after the other, whichever channel tells it
	if rs.Open == Unverified {                    // now it is known
		at = later(at, rs.OpenedAt)
		e.close(r, Unverified, rs.OpenClass, at, withFixes(run...))
		rs.closes(at)
	}
	b.clear(e, r, rs, class, answered)
	rs.opens(b.kind, class, at)
	rs.Margin = b.depth(run[len(run)-1])
	e.open(r, b.kind, class, at, withFixes(run...))
}

// enough reports whether a run of fixes opens: the count always; the grace unless the channel speaks seldom (then the
// second fix is the answer to a demand, or as good) or the margin waives it.
func (b breach) enough(p *Params, run []Mark, sparse bool) bool {
	if len(run) < p.Count || b.holds != nil && b.holds(p, run) {
		return false
	}
	last := &run[len(run)-1]
	if sparse || last.At.Sub(run[0].At) >= p.Grace {
		return true
	}
	deciding := run[len(run)-p.Count:]
	for i := range deciding {
		if d := b.depth(deciding[i]); d <= 3*deciding[i].Accuracy || d <= centimetres(p.WaiveMargin) {
			return false
		}
	}
	return true
}

// further amends an open violation when it has become a different matter: twice as far, and more than 500 m.
func (b breach) further(e *evaluation, r *Rule, rs *RuleState, class devices.Class, m Mark) {
	if d := b.depth(m); class == rs.OpenClass && d >= 2*rs.Margin && d >= 50_000 {
		rs.Margin = d
		e.amend(r, b.kind, class, m.At, withFixes(m))
	}
}

// doubt acts on a cell or Wi-Fi fix on the wrong side. It opens nothing by itself (R27); a channel that speaks seldom is
// asked for a satellite fix, but not over and over: a cell that is told from time to time is where it is. As many Wi-Fi
// fixes as open a violation, and none on the right side between them, are another matter than the one that was asked about.
func (b breach) doubt(e *evaluation, r *Rule, rs *RuleState, t *Track, class devices.Class, m Mark) {
	t.coarse(m)
	p := &r.Params
	anew := t.Doubt != nil && t.Doubt.Count >= p.Count && rs.AskedAt.Before(t.Doubt.At)
	if b.unsure && rs.Open == "" && t.Doubt != nil && t.Doubt.Count > p.Count && m.At.Sub(t.Doubt.At) >= p.AskWithin+p.Grace {
		at := later(t.Doubt.At, rs.ClosedAt)
		rs.opens(Unverified, class, at)
		e.open(r, Unverified, class, at, withFixes(m))
	}
	switch {
	case rs.Ask != nil:
		rs.Ask.Heard = rs.Ask.Heard || rs.Ask.Class == class && m.At.After(rs.Ask.At)
	case !rs.decided() && p.sparse(e.in.Binding.Interval) && (rs.AskedAt.IsZero() || anew || m.At.Sub(rs.AskedAt) >= p.AskAgain):
		rs.ask(e, r, class, m)
	}
}

func (b breach) inFavour(e *evaluation, r *Rule, rs *RuleState, t *Track, class devices.Class, m Mark) {
	if rs.Ask != nil && m.At.After(rs.Ask.At) {
		b.clear(e, r, rs, class, m.At)
	}
	if rs.Open != "" && class == rs.OpenClass && t.back(&r.Params, r.Params.sparse(e.in.Binding.Interval)) {
		b.closes(e, r, rs, t, t.Return[0].At)
	}
}

// back reports whether the run on the right side closes: by the count or, on a channel that speaks seldom, by one firm fix.
func (t *Track) back(p *Params, sparse bool) bool {
	n := len(t.Return)
	return n >= p.Count || sparse && n > 0 && firm(&t.Return[n-1])
}

func (b breach) closes(e *evaluation, r *Rule, rs *RuleState, t *Track, at time.Time) {
	e.close(r, rs.Open, rs.OpenClass, at, withFixes(t.Return...))
	rs.closes(at)
	t.Return, t.Breach = t.Return[:0], t.Breach[:0]
}

// ask demands a confirming fix of the channel's device at once, unless one is being waited for. The past is not asked:
// what was asked then is known.
func (rs *RuleState) ask(e *evaluation, r *Rule, class devices.Class, because Mark) {
	if rs.Ask != nil {
		return
	}
	now, due := e.in.Now, e.in.Now.Add(r.Params.AskWithin)
	asked := e.in.Asked.of(r.ID, because.At)
	switch {
	case asked != nil:
		now, due = asked.Asked, asked.Due
	case (e.o != nil || e.in.Asked != nil) && e.in.Now.Sub(because.At) > r.Params.LateAfter:
		return
	}
	rs.AskedAt = because.At
	rs.Ask = &Pending{At: because.At, Asked: now, Due: due, Class: class, Because: because}
	if asked != nil {
		return
	}
	device := because.Device
	if bound := e.f.binding(class, e.at); bound != nil {
		device = bound.Device
	}
	e.out = append(e.out, Effect{Ask: &Ask{Device: device, Rule: r.ID, Because: because.At, At: now, Due: due}})
}

// settle ends what is being waited for.
func (rs *RuleState) settle(e *evaluation, s Settle) {
	s.Rule, s.Because = rs.Rule, rs.Ask.At
	e.out = append(e.out, Effect{Settle: &s})
	rs.Ask = nil
}

// clear settles what a channel was asked, answered by a fix that decides.
func (b breach) clear(e *evaluation, r *Rule, rs *RuleState, class devices.Class, at time.Time) {
	if rs.Ask != nil && rs.Ask.Class == class {
		rs.settle(e, Settle{At: at, Answered: true})
	}
}

// heard closes what was said about not answering, when the channel tells a place again.
func (b breach) heard(e *evaluation, r *Rule, rs *RuleState) {
	if e.o.Place != nil && rs.Unheard == e.in.Binding.Class {
		rs.Unheard, rs.UnheardAt = "", time.Time{}
		e.close(r, CheckUnanswered, e.in.Binding.Class, e.at, nil)
	}
}

// tick opens 核查未应答 when a demand ran out and nothing was heard. A place that decides nothing is an answer: the person
// was not silent, though nobody knows more.
func (b breach) tick(e *evaluation, r *Rule, rs *RuleState) {
	if e.o == nil && e.zone(r) == nil && !rs.idle() {
		e.closeAll(r, rs, ended(e.f.Zones[r.Zone], e.at)) // without a zone nobody is on its wrong side
		return
	}
	if rs.Ask == nil || rs.Ask.Due.After(e.at) {
		return
	}
	asked := *rs.Ask
	rs.settle(e, Settle{At: asked.Due, Answered: asked.Heard})
	if !asked.Heard && rs.Unheard == "" {
		rs.Unheard, rs.UnheardAt = asked.Class, asked.Due
		e.open(r, CheckUnanswered, asked.Class, asked.Due, func(f *Finding) {
			f.Evidence.AskedAt = asked.Asked
			f.Evidence.Fixes = []Mark{asked.Because}
			f.Late = false
		})
	}
}

// ended is when the last of some versions of a zone ended by t.
func ended(zones []*Zone, t time.Time) time.Time {
	at := time.Time{}
	for _, z := range zones {
		if until := z.Valid.Until; !until.IsZero() && !until.After(t) && until.After(at) {
			at = until
		}
	}
	if at.IsZero() {
		return t
	}
	return at
}

// decided reports whether a violation is open that says where the person is.
func (rs *RuleState) decided() bool { return rs.Open != "" && rs.Open != Unverified }

// idle reports whether nothing is open, asked or under way.
func (rs *RuleState) idle() bool {
	n := 0
	for c := range rs.Track {
		n += len(rs.Track[c].Breach) + len(rs.Track[c].Return)
	}
	return n == 0 && rs.Open == "" && rs.Ask == nil && rs.Unheard == ""
}

func (b breach) due(_ *State, f *Facts, r *Rule, rs *RuleState, after time.Time) time.Time {
	switch {
	case rs == nil:
		return time.Time{}
	case !rs.idle() && f.zone(r, after) == nil:
		return after // a fix that came late left it
	case rs.Ask == nil:
		return time.Time{}
	}
	return rs.Ask.Due
}

// rejudge asks what the last fixes of each channel say under the rule and the zone as they are now, and acts on where
// that leaves the person, not on how they came there. What was told long ago alarms nobody: a window that opens in the
// evening does not know from the afternoon's fixes that somebody is away. Who was away when last heard is asked.
func (b breach) rejudge(e *evaluation, r *Rule, rs *RuleState) {
	z := e.zone(r)
	if z == nil || e.s.Loose != nil {
		return // tick ends what is open; and where the device is is not where the person is
	}
	for c := range e.s.Channel {
		class, recent := classOf(c), e.s.Channel[c].Recent
		bound := e.f.binding(class, e.at)
		t := &rs.Track[c]
		if bound == nil || len(recent) == 0 || rs.Version == 0 && len(t.Breach)+len(t.Return) > 0 {
			continue
		}
		sparse := r.Params.sparse(bound.Interval)
		was := *t
		*t = b.again(z, &r.Params, recent, rs.Open == "", sparse)
		if t.Doubt != nil && was.Doubt != nil { // they began before what is remembered
			t.Doubt.Count, t.Doubt.At = max(t.Doubt.Count, was.Doubt.Count), earlier(t.Doubt.At, was.Doubt.At)
		}
		n := len(t.Breach)
		stale := n > 0 && e.at.Sub(t.Breach[n-1].At) > r.Params.LateAfter
		switch {
		case !rs.decided() && !stale && b.enough(&r.Params, t.Breach, sparse):
			b.opens(e, r, rs, class, t.Breach, e.at)
		case !rs.decided() && n > 0 && (sparse || stale) && rs.Unheard == "":
			rs.ask(e, r, class, t.Breach[n-1])
		case n == 0 && rs.Open != "" && rs.OpenClass == class && t.back(&r.Params, sparse):
			b.closes(e, r, rs, t, e.at)
		}
	}
}

// again is the run that the last fixes make.
func (b breach) again(z *Zone, p *Params, recent []Mark, idle, sparse bool) (t Track) {
	for _, m := range recent {
		m = p.judged(z, m)
		switch {
		case b.wrong(p, m) && satellite(&m):
			t.against(p, m)
		case b.wrong(p, m):
			t.coarse(m)
		case b.right(m):
			t.inFavour(p, m, idle, sparse)
		}
	}
	return t
}
