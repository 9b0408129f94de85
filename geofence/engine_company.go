package geofence

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

const (
	// companyLag is how far rules about several people stay behind the clock: what comes later than that is late, and has
	// them judged again.
	companyLag = 2 * time.Minute
	// companyStep is how often they are judged, domain time.
	companyStep = 20 * time.Second
)

// companyMark is up to where rules about several people are judged when the clock says now.
func companyMark(now time.Time) time.Time { return now.Add(-companyLag).Truncate(companyStep) }

// Companies judges rules about several people up to their watermark, those whose past changed from there, each in a
// transaction of its own. It reports whether there was anything to do.
func (e *Engine) Companies(ctx context.Context) (bool, error) {
	return e.companies(ctx, e.o.Settled)
}

func (e *Engine) companies(ctx context.Context, settled time.Duration) (bool, error) {
	mark := companyMark(e.o.Clock.Now())
	if e.companyFront.Load() < mark.Unix() {
		if err := moveCompanyFront(ctx, e.o.Pool, mark); err != nil {
			return false, err
		}
		e.companyFront.Store(mark.Unix())
	}
	if err := spreadCompanyLate(ctx, e.o.Pool, settled, e.o.Patience); err != nil {
		return false, err
	}
	did := false
	for {
		start := time.Now()
		var r companyRound
		err := e.transact(ctx, "company", func(ctx context.Context, tx pgx.Tx, _ error) error {
			r = companyRound{engine: e, mark: mark, now: e.o.Clock.Now(), taken: start.UTC().Truncate(time.Microsecond)}
			return r.run(ctx, tx)
		})
		if err != nil {
			return did, fmt.Errorf("judge a rule about several people: %w", err)
		}
		if r.rule == 0 {
			return did, nil
		}
		did = true
		e.metrics.companies(time.Since(start), r.judged)
	}
}

// companyRound is one attempt at one rule.
type companyRound struct {
	engine *Engine
	mark   time.Time
	now    time.Time
	taken  time.Time

	rule   RuleID // 0: there was none
	state  CompanyState
	dirty  time.Time // zero: only go on
	why    Why
	facts  *CompanyFacts
	judged int
	known  time.Time // with what was known then; zero: now
}

func (r *companyRound) run(ctx context.Context, tx pgx.Tx) error {
	if err := r.claim(ctx, tx); err != nil || r.rule == 0 {
		return err
	}
	var err error
	if r.facts, err = r.engine.companyFacts(ctx, tx, r.rule, time.Time{}); err != nil {
		return err
	}
	var entries []ledger.Entry
	if len(r.facts.Rules) > 0 {
		if !r.dirty.IsZero() {
			entries, err = r.again(ctx, tx)
		} else {
			entries, err = r.goOn(ctx, tx)
		}
		if err != nil {
			return err
		}
	}
	r.state.At = later(r.mark, r.state.At)
	if err := r.save(ctx, tx); err != nil {
		return err
	}
	return ledger.Append(ctx, tx, entries...)
}

// judge takes everything from after an instant to the watermark.
func (r *companyRound) judge(ctx context.Context, tx pgx.Tx, s *CompanyState, take func([]CompanyEffect)) error {
	var out []CompanyEffect
	err := readSightings(ctx, tx, r.facts.Members, s.At, r.mark, r.known, func(x *Sighting) {
		r.judged++
		out = EvaluateCompany(s, r.facts, x.Mark.At, x, r.now, out[:0])
		take(out)
	})
	if err != nil {
		return err
	}
	take(EvaluateCompany(s, r.facts, r.mark, nil, r.now, out[:0]))
	return nil
}

// goOn judges what came since.
func (r *companyRound) goOn(ctx context.Context, tx pgx.Tx) ([]ledger.Entry, error) {
	var effects []CompanyEffect
	if err := r.judge(ctx, tx, &r.state, func(list []CompanyEffect) { effects = append(effects, list...) }); err != nil || len(effects) == 0 {
		return nil, err
	}
	ids := map[id.Subject]bool{}
	for _, x := range effects {
		ids[x.Subject] = true
	}
	subjects, err := r.subjects(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	list := make([]decided, 0, len(effects))
	for _, x := range effects {
		list = append(list, decided{x.Effect, subjects[x.Subject], r.now, r.taken})
	}
	return r.engine.apply(ctx, tx, list)
}

// subjects are those who are told of, with their offices.
func (r *companyRound) subjects(ctx context.Context, tx pgx.Tx, ids map[id.Subject]bool) (map[id.Subject]*subject, error) {
	out, known := map[id.Subject]*subject{}, map[id.Subject]*subjectFacts{}
	list := slices.Sorted(maps.Keys(ids))
	for _, s := range list {
		known[s] = &subjectFacts{facts: &Facts{Subject: s}}
		out[s] = &subject{id: s, known: known[s]}
	}
	return out, readOffices(ctx, tx, list, known)
}

// again judges the past again from where it changed, and makes what was said true.
func (r *companyRound) again(ctx context.Context, tx pgx.Tx) ([]ledger.Entry, error) {
	known, err := loadCompanyEpisodes(ctx, tx, r.rule)
	if err != nil {
		return nil, err
	}
	compare, derived, err := r.derive(ctx, tx, known)
	if err != nil {
		return nil, err
	}
	by := map[id.Subject][2]int{} // how many are known, how many are derived
	ids := map[id.Subject]bool{}
	known = slices.DeleteFunc(known, func(v *episode) bool { return v.OpenedAt.Before(compare) })
	for _, v := range known {
		n := by[v.Subject]
		n[0]++
		by[v.Subject], ids[v.Subject] = n, true
	}
	for s, list := range derived {
		n := by[s]
		n[1] += len(list)
		by[s], ids[s] = n, true
	}
	subjects, err := r.subjects(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	var entries []ledger.Entry
	for _, s := range slices.SortedFunc(maps.Keys(ids), func(a, b id.Subject) int { return cmp.Compare(a, b) }) {
		var its []*episode
		for _, v := range known {
			if v.Subject == s {
				its = append(its, v)
			}
		}
		round := derivingRound{engine: r.engine, subject: subjects[s], now: r.now, taken: r.taken, why: r.why}
		more, err := round.compare(ctx, tx, its, derived[s])
		if err != nil {
			return nil, err
		}
		entries = append(entries, more...)
	}
	return entries, nil
}

// derive is what comes out from where the past has to be judged again; those that began before compare stay as they are.
func (r *companyRound) derive(ctx context.Context, tx pgx.Tx, known []*episode) (compare time.Time, out map[id.Subject][]*Episode, err error) {
	compare, from := companyStart(r.facts.params(), r.dirty, known)
	s := CompanyState{At: from}
	episodes := newCompanyEpisodes()
	if err := r.judge(ctx, tx, &s, episodes.take); err != nil {
		return compare, nil, err
	}
	r.state = s
	return compare, episodes.since(compare), nil
}

// params are thresholds that reach as far back as those of any version of the rule.
func (f *CompanyFacts) params() *Params {
	p := f.Rules[0].Params
	for i := range f.Rules {
		x := &f.Rules[i].Params
		p.Grace, p.Count, p.PassGap = max(p.Grace, x.Grace), max(p.Count, x.Count), max(p.PassGap, x.PassGap)
	}
	return &p
}

// companyEpisodes puts effects together to episodes, by whom they are told of.
type companyEpisodes struct {
	list map[id.Subject][]*Episode
	open map[id.Subject]*Episode
}

func newCompanyEpisodes() *companyEpisodes {
	return &companyEpisodes{map[id.Subject][]*Episode{}, map[id.Subject]*Episode{}}
}

func (c *companyEpisodes) take(list []CompanyEffect) {
	for i := range list {
		x := &list[i]
		if f := x.Effect.Open; f != nil {
			p := &Episode{Rule: f.Rule, Kind: f.Kind, At: f.At, Opened: f}
			c.open[x.Subject], c.list[x.Subject] = p, append(c.list[x.Subject], p)
			continue
		}
		if p := c.open[x.Subject]; p != nil {
			p.Closed = x.Effect.Close
			delete(c.open, x.Subject)
		}
	}
}

// since are those that were first known at an instant or later, by when things happened. One that began before and was not
// known by then is a new one: whatever was under way there was not told of yet.
func (c *companyEpisodes) since(at time.Time) map[id.Subject][]*Episode {
	out := map[id.Subject][]*Episode{}
	for s, list := range c.list {
		for _, p := range list {
			if !p.Opened.Evidence.At.Before(at) {
				out[s] = append(out[s], p)
			}
		}
	}
	return out
}
