package geofence

import (
	"cmp"
	"slices"
	"time"
)

// Episode is a violation as evaluation tells it: from when to when, and on what grounds.
type Episode struct {
	Rule    RuleID
	Kind    ViolationKind
	At      time.Time // when the condition began to hold
	Opened  *Finding  // nil: it was open before evaluation began here
	Amended []*Finding
	Closed  *Finding // nil: it holds
}

// until is when the episode ended; zero: it holds.
func (p *Episode) until() time.Time {
	if p.Closed == nil {
		return time.Time{}
	}
	return later(p.Closed.At, p.At)
}

type conditionKey struct {
	rule RuleID
	kind ViolationKind
}

// Episodes puts effects together to episodes, in the order in which they opened. The zero value has none.
type Episodes struct {
	List []*Episode
	open map[conditionKey]*Episode
}

// Standing are the episodes that a state says hold.
func Standing(s *State) *Episodes {
	c := &Episodes{}
	for i := range s.Rules {
		rs := &s.Rules[i]
		if rs.Open != "" {
			c.add(&Episode{Rule: rs.Rule, Kind: rs.Open, At: rs.OpenedAt})
		}
		if rs.Unheard != "" {
			c.add(&Episode{Rule: rs.Rule, Kind: CheckUnanswered, At: rs.UnheardAt})
		}
	}
	return c
}

func (c *Episodes) add(p *Episode) {
	if c.open == nil {
		c.open = map[conditionKey]*Episode{}
	}
	c.open[conditionKey{p.Rule, p.Kind}] = p
	c.List = append(c.List, p)
}

// Take takes what an input had happen.
func (c *Episodes) Take(effects []Effect) {
	for i := range effects {
		switch x := &effects[i]; {
		case x.Open != nil:
			c.add(&Episode{Rule: x.Open.Rule, Kind: x.Open.Kind, At: x.Open.At, Opened: x.Open})
		case x.Amend != nil:
			if p := c.open[conditionKey{x.Amend.Rule, x.Amend.Kind}]; p != nil {
				p.Amended = append(p.Amended, x.Amend)
			}
		case x.Close != nil:
			key := conditionKey{x.Close.Rule, x.Close.Kind}
			if p := c.open[key]; p != nil {
				p.Closed = x.Close
				delete(c.open, key)
			}
		}
	}
}

// match is one line of what derivation makes of what was known: known alone is withdrawn, derived alone is new, both are
// the same episode.
type match struct {
	known   *episode
	derived *Episode
	into    *episode // known alone: the episode it was joined with; nil: nothing is left of it
}

// reconcile says which derived episode is which known one. One that overlaps a known one of the same rule and kind is that
// one; of several that were joined the earliest stays, and the others are withdrawn as merged; of one that was split the
// first part keeps it. Both lists are of one subject; the answer is in the order of rule, kind and beginning.
func reconcile(known []*episode, derived []*Episode) (out []match) {
	known, derived = slices.Clone(known), slices.Clone(derived)
	slices.SortStableFunc(known, func(a, b *episode) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Kind, b.Kind), a.OpenedAt.Compare(b.OpenedAt), cmp.Compare(a.Violation, b.Violation))
	})
	slices.SortStableFunc(derived, func(a, b *Episode) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Kind, b.Kind), a.At.Compare(b.At))
	})
	of, taken := map[*Episode]*episode{}, map[*episode]bool{}
	pair := func(same func(*episode, *Episode) bool) {
		for _, d := range derived {
			for _, k := range known {
				if of[d] == nil && !taken[k] && k.Rule == d.Rule && k.Kind == d.Kind && same(k, d) {
					of[d], taken[k] = k, true
				}
			}
		}
	}
	pair(func(k *episode, d *Episode) bool { return k.OpenedAt.Equal(d.At) })
	pair(overlap)
	for _, d := range derived {
		out = append(out, match{derived: d, known: of[d]})
	}
	for _, k := range known {
		if taken[k] {
			continue
		}
		m := match{known: k}
		for _, d := range derived {
			if m.into == nil && k.Rule == d.Rule && k.Kind == d.Kind && overlap(k, d) {
				m.into = of[d]
			}
		}
		out = append(out, m)
	}
	return out
}

// undecided are the episodes that were not decided to their end when a state was as it is.
func undecided(all []*episode, base *State) (out []*episode) {
	standing := Standing(base).open
	for _, v := range all {
		p := standing[conditionKey{v.Rule, v.Kind}]
		if v.State == ViolationOpen || v.evidence.Closed.At.After(base.Front.At) || p != nil && p.At.Equal(v.OpenedAt) {
			out = append(out, v)
		}
	}
	return out
}

// overlap reports whether a known and a derived episode share more than an instant.
func overlap(k *episode, d *Episode) bool {
	until := d.until()
	return (until.IsZero() || k.OpenedAt.Before(until)) && (k.ClosedAt.IsZero() || d.At.Before(k.ClosedAt))
}
