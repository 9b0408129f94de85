package geofence

import (
	"cmp"
	"slices"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// Rules about several people: two who may not meet, so many in one place. What they are about is a company: people who are
// certainly near one another, all error circles and all. Such a rule has a state of its own, fed with the firm fixes of
// everybody it concerns in event order, behind a watermark (companyLag): a state that had to wait for the slowest of many
// devices would never be right for long. Pure, like Evaluate.

// CompanyFacts is everything recorded that bears on one rule about several people. Immutable.
type CompanyFacts struct {
	Facts                    // Rules: the versions of the one rule; its zone, its schedule
	Relations []RelationFact // of a rule about two: when they are recorded to be kept apart
	Members   []id.Subject   // whose fixes count, ascending
}

// RelationFact says from when to when a recorded relation keeps somebody away from another (R33).
type RelationFact struct {
	Other id.Subject
	Valid Interval
}

// Sighting is a firm fix of one of those a rule concerns.
type Sighting struct {
	Subject id.Subject    `json:"subject"`
	Class   devices.Class `json:"class"`
	Mark    Mark          `json:"mark"`
}

// CompanyState is what evaluation of a rule about several people carries on. The zero value has seen nobody.
type CompanyState struct {
	At   time.Time    `json:"at,omitzero"`    // judged up to here
	Last []Sighting   `json:"last,omitempty"` // by subject: the latest, while it is fresh
	Runs []companyRun `json:"runs,omitempty"` // by subject: seen in company again and again
	Open []company    `json:"open,omitempty"` // those told of, in order of opening
}

// companyRun is how often and since when somebody was seen in company that nobody was told of yet.
type companyRun struct {
	Subject id.Subject `json:"subject"`
	Count   int        `json:"count"`
	From    time.Time  `json:"from"`
	Last    time.Time  `json:"last"`
	First   []Mark     `json:"first"` // of the first sighting: everybody who was there
}

// company is an episode that is open.
type company struct {
	Subject id.Subject    `json:"subject"` // whom it is told of
	Class   devices.Class `json:"class"`
	At      time.Time     `json:"since"`
	Here    []presentIn   `json:"here"` // by subject
}

// presentIn is somebody who is in a company, and when that was last seen.
type presentIn struct {
	Subject id.Subject `json:"subject"`
	At      time.Time  `json:"at"`
}

// CompanyEffect is something that begins or ends, and whom it is told of.
type CompanyEffect struct {
	Subject id.Subject
	Effect  Effect
}

// companyEvaluation is one step of a rule about several people.
type companyEvaluation struct {
	s   *CompanyState
	f   *CompanyFacts
	now time.Time
	out []CompanyEffect
}

// EvaluateCompany brings the state to t, and takes a sighting at t into it (nil: time alone), and appends what must happen.
// Sightings come in event order; the same arguments give the same bytes.
func EvaluateCompany(s *CompanyState, f *CompanyFacts, t time.Time, seen *Sighting, now time.Time, out []CompanyEffect) []CompanyEffect {
	e := &companyEvaluation{s, f, now, out}
	e.advance(t)
	if seen != nil {
		if r, _ := e.force(t); r != nil {
			e.see(r, *seen)
		}
	}
	s.At = later(t, s.At)
	return e.out
}

// force is the version of the rule in force at t, nil for none, and until when that stays so; zero: for good.
func (e *companyEvaluation) force(t time.Time) (*Rule, time.Time) {
	var next soonest
	for i := range e.f.Rules {
		r := &e.f.Rules[i]
		next.takeAfter(r.Valid.From, t)
		if !r.Valid.Contains(t) {
			continue
		}
		next.takeAfter(r.Valid.Until, t)
		in, span := e.f.span(r, t)
		next.takeAfter(span.Until, t)
		related := r.Subject == 0
		for _, v := range e.f.Relations {
			next.takeAfter(v.Valid.From, t)
			next.takeAfter(v.Valid.Until, t)
			related = related || v.Valid.Contains(t)
		}
		if z := e.f.zone(r, t); z != nil {
			next.takeAfter(z.Valid.Until, t)
		} else if r.Zone != 0 {
			in = false
		}
		if in && related {
			return r, next.Time
		}
	}
	return nil, next.Time
}

// advance ends what ends by time alone up to t, each at its instant: the rule is in force no more, or nobody was seen in
// the company for so long that nobody knows.
func (e *companyEvaluation) advance(t time.Time) {
	for at := e.s.At; len(e.s.Open) > 0; {
		r, until := e.force(at)
		var next soonest
		next.take(until)
		which := -1
		for i := range e.s.Open {
			if r == nil {
				break
			}
			if gone := e.s.Open[i].known(r.Params.People).Add(r.Params.SilentAfter); next.IsZero() || gone.Before(next.Time) {
				next.Time, which = gone, i
			}
		}
		switch {
		case r == nil:
			for len(e.s.Open) > 0 {
				e.close(&e.f.Rules[len(e.f.Rules)-1], 0, at, at)
			}
			e.s.Runs = nil
		case next.IsZero() || next.After(t):
			return
		case which >= 0:
			e.close(r, which, e.s.Open[which].known(r.Params.People), next.Time)
		default:
			if again, _ := e.force(next.Time); again == nil {
				for len(e.s.Open) > 0 {
					e.close(r, 0, next.Time, next.Time)
				}
				e.s.Runs = nil
			}
		}
		at = later(at, next.Time)
	}
}

// known is up to when so many were known to be there.
func (c *company) known(people int) time.Time {
	if len(c.Here) < people {
		return c.At
	}
	at := make([]time.Time, len(c.Here))
	for i := range c.Here {
		at[i] = c.Here[i].At
	}
	slices.SortFunc(at, time.Time.Compare)
	return later(at[len(at)-people], c.At)
}

// see takes a sighting.
func (e *companyEvaluation) see(r *Rule, x Sighting) {
	p, s := &r.Params, e.s
	x.Mark.Floor = e.f.floor(x.Mark.Device, x.Mark.Method, x.Mark.At)
	x.Mark.Accuracy = p.radius(&x.Mark)
	s.Last = slices.DeleteFunc(s.Last, func(o Sighting) bool { return o.Subject == x.Subject || x.Mark.At.Sub(o.Mark.At) > p.PassGap })
	s.Runs = slices.DeleteFunc(s.Runs, func(o companyRun) bool { return x.Mark.At.Sub(o.Last) > p.PassGap })
	if r.Zone != 0 {
		z := e.f.zone(r, x.Mark.At)
		if v, _ := Judge(z, x.Mark.lon(), x.Mark.lat(), x.Mark.Accuracy); v != Inside {
			if v == Outside {
				e.leave(r, x)
			}
			return
		}
	}
	near, apart := e.others(p, &x)
	i, _ := slices.BinarySearchFunc(s.Last, x.Subject, func(o Sighting, id id.Subject) int { return cmp.Compare(o.Subject, id) })
	s.Last = slices.Insert(s.Last, i, x)
	for _, o := range apart {
		e.doubt(p, o)
	}
	if c := s.with(x.Subject); c != nil {
		away, maybe := 0, false
		for _, o := range s.Last {
			switch {
			case o.Subject == x.Subject || c.find(o.Subject) == nil:
			case slices.Contains(apart, o.Subject):
				away++
			case slices.ContainsFunc(near, func(n Sighting) bool { return n.Subject == o.Subject }):
				c.find(x.Subject).At = x.Mark.At
				return
			default:
				maybe = true
			}
		}
		if away > 0 && !maybe {
			e.leave(r, x)
		}
		return
	}
	switch {
	case len(near)+1 >= p.People:
		for _, o := range near {
			if c := s.with(o.Subject); c != nil {
				c.join(x.Subject, x.Mark.At)
				s.stop(x.Subject)
				return
			}
		}
		e.together(r, x, near)
	case len(s.Last)-1-len(apart)+1 < p.People: // even if everybody were there who might be
		s.stop(x.Subject)
	}
}

// others are those who are certainly near, with how far, and those who are certainly not.
func (e *companyEvaluation) others(p *Params, x *Sighting) (near []Sighting, apart []id.Subject) {
	limit := centimetres(p.NearM)
	for _, o := range e.s.Last {
		if o.Subject == x.Subject {
			continue
		}
		d := centimetres(metres(x.Mark.lon(), x.Mark.lat(), o.Mark.lon(), o.Mark.lat()))
		switch {
		case d+x.Mark.Accuracy+o.Mark.Accuracy <= limit:
			o.Mark.Margin = d
			near = append(near, o)
		case d-x.Mark.Accuracy-o.Mark.Accuracy > limit:
			apart = append(apart, o.Subject)
		}
	}
	return near, apart
}

// doubt ends the run of somebody with whom so many can no longer be.
func (e *companyEvaluation) doubt(p *Params, whose id.Subject) {
	if !slices.ContainsFunc(e.s.Runs, func(r companyRun) bool { return r.Subject == whose }) {
		return
	}
	i := slices.IndexFunc(e.s.Last, func(o Sighting) bool { return o.Subject == whose })
	if i < 0 {
		return
	}
	if _, apart := e.others(p, &e.s.Last[i]); len(e.s.Last)-len(apart) < p.People {
		e.s.stop(whose)
	}
}

// together counts a sighting in company, and tells of it when it is the last one needed.
func (e *companyEvaluation) together(r *Rule, x Sighting, near []Sighting) {
	p := &r.Params
	marks := make([]Mark, 0, len(near)+1)
	for _, o := range near {
		marks = append(marks, o.Mark)
	}
	run := e.s.run(x.Subject)
	switch {
	case run.Count == 0:
		run.Count, run.From, run.Last, run.First = 1, x.Mark.At, x.Mark.At, append([]Mark{x.Mark}, marks...)
	case x.Mark.At.Sub(run.Last) >= p.Independent:
		run.Count, run.Last = run.Count+1, x.Mark.At
	}
	if run.Count < p.Count || x.Mark.At.Sub(run.From) < p.Grace {
		return
	}
	c := company{Subject: r.Subject, Class: x.Class, At: run.From}
	fixes := append(slices.Clone(run.First), x.Mark)
	fixes = append(fixes, marks...)
	c.join(x.Subject, x.Mark.At)
	for _, o := range near {
		c.join(o.Subject, o.Mark.At)
	}
	if c.Subject == 0 { // whoever of them nobody is told of yet
		for _, h := range c.Here {
			if !slices.ContainsFunc(e.s.Open, func(o company) bool { return o.Subject == h.Subject }) {
				c.Subject = h.Subject
				break
			}
		}
	}
	for _, h := range c.Here {
		e.s.stop(h.Subject)
	}
	e.s.Open = append(e.s.Open, c)
	e.tell(r, &c, c.At, x.Mark.At, fixes, func(f *Finding) Effect { return Effect{Open: f} })
}

// leave has somebody be out of the company; when too few are left it has ended.
func (e *companyEvaluation) leave(r *Rule, x Sighting) {
	e.s.stop(x.Subject)
	for i := range e.s.Open {
		c := &e.s.Open[i]
		if c.find(x.Subject) == nil {
			continue
		}
		c.Here = slices.DeleteFunc(c.Here, func(h presentIn) bool { return h.Subject == x.Subject })
		if len(c.Here) < r.Params.People {
			c.Here = append(c.Here, presentIn{x.Subject, x.Mark.At})
			e.closeWith(r, i, x.Mark.At, x.Mark.At, x.Mark)
		}
		return
	}
}

func (e *companyEvaluation) close(r *Rule, i int, at, when time.Time) { e.closeWith(r, i, at, when) }

func (e *companyEvaluation) closeWith(r *Rule, i int, at, when time.Time, fixes ...Mark) {
	c := e.s.Open[i]
	e.s.Open = slices.Delete(e.s.Open, i, i+1)
	e.tell(r, &c, at, when, fixes, func(f *Finding) Effect { return Effect{Close: f} })
}

// tell appends an effect: what it is about, from when, and the event time at which it was known.
func (e *companyEvaluation) tell(r *Rule, c *company, at, when time.Time, fixes []Mark, effect func(*Finding) Effect) {
	f := &Finding{Rule: r.ID, RuleVersion: r.Version, Kind: kinds[r.Kind].finds, Channel: c.Class, At: at, Timed: r.Schedule != 0, Late: e.now.Sub(when) > r.Params.LateAfter,
		Evidence: Evidence{Fixes: fixes, Class: c.Class, Kind: r.Kind, Basis: r.Basis, DocumentNo: r.DocumentNo, Thresholds: r.Params, At: when, Now: e.now, Engine: EngineVersion}}
	for _, h := range c.Here {
		if h.Subject != c.Subject {
			f.Evidence.With = append(f.Evidence.With, h.Subject)
		}
	}
	if z := e.f.zone(r, when); z != nil {
		f.Zone, f.ZoneVersion = z.ID, z.Version
	}
	e.out = append(e.out, CompanyEffect{c.Subject, effect(f)})
}

// with is the open company somebody is in.
func (s *CompanyState) with(x id.Subject) *company {
	for i := range s.Open {
		if s.Open[i].find(x) != nil {
			return &s.Open[i]
		}
	}
	return nil
}

func (c *company) find(x id.Subject) *presentIn {
	for i := range c.Here {
		if c.Here[i].Subject == x {
			return &c.Here[i]
		}
	}
	return nil
}

func (c *company) join(x id.Subject, at time.Time) {
	i, there := slices.BinarySearchFunc(c.Here, x, func(h presentIn, id id.Subject) int { return cmp.Compare(h.Subject, id) })
	if !there {
		c.Here = slices.Insert(c.Here, i, presentIn{x, at})
	}
}

// run is somebody's run, made where there is none.
func (s *CompanyState) run(x id.Subject) *companyRun {
	i, there := slices.BinarySearchFunc(s.Runs, x, func(r companyRun, id id.Subject) int { return cmp.Compare(r.Subject, id) })
	if !there {
		s.Runs = slices.Insert(s.Runs, i, companyRun{Subject: x})
	}
	return &s.Runs[i]
}

// stop forgets somebody's run.
func (s *CompanyState) stop(x id.Subject) {
	s.Runs = slices.DeleteFunc(s.Runs, func(r companyRun) bool { return r.Subject == x })
}

// horizon is how far back what has not opened yet can reach: a run opens by then, or ends.
func (p *Params) horizon() time.Duration { return p.Grace + time.Duration(p.Count+1)*p.PassGap }

// companyStart says from where the past of a rule is judged again from an empty state, when something from dirty on changed,
// and from where on what is found is compared with what was known: far enough before that nothing is under way there, and
// nothing known is open.
func companyStart(p *Params, dirty time.Time, known []*episode) (compare, from time.Time) {
	compare = dirty
	for again := true; again; {
		again = false
		from = compare.Add(-p.horizon() - p.PassGap)
		for _, v := range known {
			if v.OpenedAt.Before(compare) && (v.State == ViolationOpen || v.evidence.Closed.At.After(from)) {
				compare, again = v.OpenedAt, true
			}
		}
	}
	return compare, from
}
