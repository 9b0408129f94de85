package geofence

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

const (
	// settled is how long a subject must have been left alone before its past is derived again, and patience how long
	// that is waited for at most: a backlog comes in one piece and costs one or two passes. Machine time.
	defaultSettled  = 250 * time.Millisecond
	defaultPatience = 30 * time.Second
	// postponed is after how long it is tried again to derive a past that could not be derived. Machine time.
	postponed = time.Minute
)

// Why says what made the past be derived again: data that came late, or a fact that reaches back.
type Why struct {
	What   string     `json:"what"` // late_data, or the entity of a fact
	Entity int64      `json:"entity_id,omitempty"`
	By     id.Account `json:"by,omitempty"` // who recorded the fact
	At     time.Time  `json:"at,omitzero"`  // when, domain time
	From   time.Time  `json:"from,omitzero"`
}

// doc is the cause as facts_changed keeps it.
func (w Why) doc() string {
	w.From = time.Time{}
	doc, err := json.Marshal(&w)
	if err != nil { // there is nothing in it that cannot be written
		panic(err)
	}
	return string(doc)
}

// lateData is why when observations came behind what was judged.
const lateData = "late_data"

// Derive derives the past of one subject again that something late bears on, in a transaction of its own, and reports
// whether there was one. What comes out is compared with what was said: the difference is amended or withdrawn, with its
// history, and told.
func (e *Engine) Derive(ctx context.Context) (bool, error) {
	return e.deriveOne(ctx, e.o.Settled)
}

// Settle derives everything again that is to be, without waiting whether more comes: a stepped rehearsal knows that nothing
// does. The order is the same on any machine.
func (e *Engine) Settle(ctx context.Context) error {
	for {
		if did, err := e.deriveOne(ctx, 0); err != nil {
			return err
		} else if did {
			continue
		}
		if did, err := e.companies(ctx, 0); err != nil || !did {
			return err
		}
	}
}

func (e *Engine) deriveOne(ctx context.Context, settled time.Duration) (bool, error) {
	start := time.Now()
	var r derivingRound
	err := e.transact(ctx, "derive", func(ctx context.Context, tx pgx.Tx, _ error) error {
		r = derivingRound{engine: e, settled: settled, now: e.o.Clock.Now(), taken: start.UTC().Truncate(time.Microsecond)}
		return r.run(ctx, tx)
	})
	if err != nil {
		if r.subject != nil && ctx.Err() == nil { // the past of others does not wait for it
			err = errors.Join(err, postponeDirty(ctx, e.o.Pool, r.subject.id, postponed))
		}
		e.metrics.past.WithLabelValues("failed").Inc()
		return false, fmt.Errorf("derive the past again: %w", err)
	}
	if r.subject == nil {
		return false, nil
	}
	e.cache.keep(map[id.Subject]*subject{r.subject.id: r.subject})
	e.metrics.derived(time.Since(start), r.evaluated, r.changes)
	e.rouse()
	return true, nil
}

// derivingRound is one attempt at one subject.
type derivingRound struct {
	engine  *Engine
	settled time.Duration // how long the subject must have been left alone
	now     time.Time
	taken   time.Time

	subject   *subject
	from      time.Time // where what changed begins
	why       Why
	evaluated int
	changes   int
}

func (r *derivingRound) run(ctx context.Context, tx pgx.Tx) error {
	var err error
	if r.subject, r.from, r.why, err = r.engine.claimDirty(ctx, tx, r.settled, r.engine.o.Patience); err != nil || r.subject == nil {
		return err
	}
	s := r.subject
	s.changed = true
	if r.from.After(s.state.Front.At) { // nothing was judged yet of what it bears on
		return saveDerived(ctx, tx, s, r.from, nil, r.now)
	}
	d, err := r.engine.deriveFrom(ctx, tx, s, r.from, r.now)
	if err != nil {
		return err
	}
	r.evaluated = d.Evaluated
	entries, err := r.apply(ctx, tx, d)
	if err != nil {
		return err
	}
	for c := range d.State.Channel { // which phone fixes were taken is no matter of judging: it stays as it is (R13)
		d.State.Channel[c].Accepted = s.state.Channel[c].Accepted
	}
	s.state = d.State
	s.state.Facts = s.known.facts.Version
	if len(d.flags) > 0 { // in order of time
		if err := noteCompanyLate(ctx, tx, map[id.Subject]time.Time{s.id: d.flags[0].at}); err != nil {
			return err
		}
	}
	if err := moveFlags(ctx, tx, s.id, d.flags); err != nil {
		return err
	}
	if err := saveDerived(ctx, tx, s, r.from, d.checkpoints, r.now); err != nil {
		return err
	}
	return ledger.Append(ctx, tx, entries...)
}

// deriveFrom judges everything that history holds of a subject again, from the last checkpoint before an instant to where
// the state stands.
func (e *Engine) deriveFrom(ctx context.Context, tx pgx.Tx, s *subject, from, now time.Time) (*Derivation, error) {
	base, err := lastCheckpoint(ctx, tx, s.id, from)
	if err != nil {
		return nil, err
	}
	asked, err := loadAsked(ctx, tx, s.id, base.Front.At)
	if err != nil {
		return nil, err
	}
	d := NewDerivation(base, s.known.facts, asked, s.state.Since, from, now)
	if err := readPast(ctx, tx, s.known.facts, d.base.Front, time.Time{}, time.Time{}, d.Take); err != nil {
		return nil, err
	}
	d.Finish(s.state.Front.At)
	return d, nil
}

// apply writes how what was derived differs from what was said, and returns what the ledger is to be told.
func (r *derivingRound) apply(ctx context.Context, tx pgx.Tx, d *Derivation) ([]ledger.Entry, error) {
	base := d.base
	known, err := loadEpisodes(ctx, tx, r.subject.id, base)
	if err != nil {
		return nil, err
	}
	matches := reconcile(known, d.Episodes.List)
	opens := 0
	for i := range matches {
		if matches[i].known == nil {
			opens++
		}
	}
	a, err := loadApplying(ctx, tx, []id.Subject{r.subject.id}, opens, len(d.asks))
	if err != nil {
		return nil, err
	}
	a.engine, a.why = r.engine, &r.why
	for i := range matches {
		if err := r.settle(a, &matches[i], d); err != nil {
			return nil, err
		}
	}
	r.changes = len(a.entries)
	if err := r.demands(ctx, tx, a, d); err != nil {
		return nil, err
	}
	if err := a.write(ctx, tx); err != nil {
		return nil, err
	}
	return a.entries, nil
}

// compare makes what stands what was derived, of one rule about several people.
func (r *derivingRound) compare(ctx context.Context, tx pgx.Tx, known []*episode, derived []*Episode) ([]ledger.Entry, error) {
	matches := reconcile(known, derived)
	opens := 0
	for i := range matches {
		if matches[i].known == nil {
			opens++
		}
	}
	a, err := loadApplying(ctx, tx, []id.Subject{r.subject.id}, opens, 0)
	if err != nil {
		return nil, err
	}
	a.engine, a.why = r.engine, &r.why
	for i := range matches {
		if err := r.settle(a, &matches[i], &Derivation{}); err != nil {
			return nil, err
		}
	}
	return a.entries, a.write(ctx, tx)
}

// settle makes one line of the comparison true.
func (r *derivingRound) settle(a *applying, m *match, d *Derivation) error {
	by := &decided{subject: r.subject, now: r.now, taken: r.taken}
	switch {
	case m.derived == nil:
		v := m.known
		v.supersede(r.now)
		v.State, v.MergedInto = ViolationWithdrawn, 0
		if m.into != nil {
			v.MergedInto = m.into.Violation
		}
		return a.tell(by, v, ViolationWithdrawnEntry)
	case m.known == nil:
		return r.open(a, by, m.derived, d)
	}
	return r.amend(a, by, m.known, m.derived)
}

// open tells of an episode that nobody knew of.
func (r *derivingRound) open(a *applying, by *decided, p *Episode, d *Derivation) error {
	if p.Opened == nil {
		return fmt.Errorf("the state of subject %d says that %s of rule %d holds since %v, and no violation does", r.subject.id, p.Kind, p.Rule, p.At)
	}
	p.Opened.Late = p.Opened.Late && !(p.Closed == nil && d.fresh(p.Opened, r.now))
	v := a.fresh(by, p.Opened)
	for _, f := range p.Amended {
		v.evidence.Amended = append(v.evidence.Amended, f.Evidence)
		v.summarise(&f.Evidence)
	}
	if err := a.tell(by, v, ViolationOpenedEntry); err != nil || p.Closed == nil {
		return err
	}
	v.end(p.Closed)
	return a.tell(by, v, ViolationClosedEntry)
}

// fresh reports whether what a channel told last still bears out what it opened: then it is no matter for review.
func (d *Derivation) fresh(f *Finding, now time.Time) bool {
	recent := d.State.Channel[channelIndex(f.Channel)].Recent
	return len(recent) > 0 && now.Sub(recent[len(recent)-1].At) <= usual.LateAfter
}

// amend corrects an episode that was known, if there is anything to correct.
func (r *derivingRound) amend(a *applying, by *decided, v *episode, p *Episode) error {
	grounds := p.Opened != nil && !sameGrounds(&v.evidence.Opened, &p.Opened.Evidence)
	wasOpen := v.State == ViolationOpen
	ends := p.Closed != nil && (wasOpen || !v.ClosedAt.Equal(p.until()) || v.evidence.Closed == nil || !sameGrounds(v.evidence.Closed, &p.Closed.Evidence))
	reopens := p.Closed == nil && !wasOpen
	amended := p.Opened != nil && !sameAmendments(v.evidence.Amended, p.Amended)
	if p.Opened == nil { // those before the checkpoint stand
		amended = len(p.Amended) > 0 && !endsWith(v.evidence.Amended, p.Amended)
	}
	if v.OpenedAt.Equal(p.At) && !grounds && !ends && !reopens && !amended {
		return nil
	}
	v.supersede(r.now)
	v.OpenedAt = p.At
	if p.Opened != nil {
		v.evidence.Opened, v.evidence.Amended = p.Opened.Evidence, nil
		v.RuleVersion, v.Zone, v.ZoneVersion, v.Channel = p.Opened.RuleVersion, p.Opened.Zone, p.Opened.ZoneVersion, p.Opened.Channel
		v.Basis = p.Opened.Evidence.Basis
		v.summarise(&p.Opened.Evidence)
	}
	if p.Opened != nil || amended {
		for _, f := range p.Amended {
			v.evidence.Amended = append(v.evidence.Amended, f.Evidence)
			v.summarise(&f.Evidence)
		}
	}
	if p.Closed == nil {
		v.State, v.ClosedAt, v.evidence.Closed = ViolationOpen, time.Time{}, nil
		return a.tell(by, v, ViolationAmendedEntry)
	}
	v.end(p.Closed)
	if wasOpen {
		return a.tell(by, v, ViolationClosedEntry)
	}
	return a.tell(by, v, ViolationAmendedEntry)
}

// sameGrounds reports whether two pieces of evidence say the same; when it was decided is not what they say.
func sameGrounds(a, b *Evidence) bool {
	x, y := *a, *b
	x.Now, y.Now = time.Time{}, time.Time{}
	l, err1 := json.Marshal(&x)
	r, err2 := json.Marshal(&y)
	return err1 == nil && err2 == nil && bytes.Equal(l, r)
}

func sameAmendments(was []Evidence, is []*Finding) bool {
	return len(was) == len(is) && endsWith(was, is)
}

func endsWith(was []Evidence, is []*Finding) bool {
	if len(was) < len(is) {
		return false
	}
	was = was[len(was)-len(is):]
	for i := range was {
		if !sameGrounds(&was[i], &is[i].Evidence) {
			return false
		}
	}
	return true
}

// demands makes what became of demands true, and asks what is to be asked now.
func (r *derivingRound) demands(ctx context.Context, tx pgx.Tx, a *applying, d *Derivation) error {
	by := &decided{subject: r.subject, now: r.now, taken: r.taken}
	was, err := loadSettled(ctx, tx, r.subject.id, d.base.Front.At)
	if err != nil {
		return err
	}
	for _, x := range d.settled {
		c := was[demandKey{x.Rule, x.Because.UnixNano()}]
		if c == nil {
			continue
		}
		state := x.state()
		if c.state == state || c.state == "pending" && a.checks[checkKey{c.subject, c.rule}] == nil {
			continue
		}
		if err := a.settle(by, c, x.At, state); err != nil {
			return err
		}
	}
	for i := range d.State.Rules { // in order of rules
		if x := d.asks[d.State.Rules[i].Rule]; x != nil {
			if err := a.asked(by, x); err != nil {
				return err
			}
		}
	}
	return nil
}
