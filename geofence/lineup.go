package geofence

import "time"

// lineup is the rules in force at an instant, kept for as long as they are the same ones, so that a fix need not look them
// up. It is no part of the state.
type lineup struct {
	facts    *Facts
	version  int64
	rules    int
	from     time.Time // zero: open
	until    time.Time
	standing []standing
}

// standing is a rule in force.
type standing struct {
	rule  int // in Facts.Rules
	state int // in State.Rules, where it was last
	spec  *kindSpec
	zone  *Zone // nil: the rule has none, or there is no version of it now
}

// longestLineup is how long a lineup is kept at most: a schedule looks no further than farthest days.
const longestLineup = (farthest - 2) * 24 * time.Hour

// lineup returns the rules in force at the instant.
func (e *evaluation) lineup() []standing {
	l := &e.s.work.lineup
	if l.facts == e.f && l.version == e.f.Version && l.rules == len(e.f.Rules) && !e.at.Before(l.from) && e.at.Before(l.until) {
		return l.standing
	}
	*l = lineup{facts: e.f, version: e.f.Version, rules: len(e.f.Rules), from: e.at.Add(-longestLineup), until: e.at.Add(longestLineup), standing: l.standing[:0]}
	for i := range e.f.Rules {
		r := &e.f.Rules[i]
		k := kinds[r.Kind]
		if k == nil || k.company {
			continue
		}
		l.within(r.Valid, e.at)
		if !r.Valid.Contains(e.at) {
			continue
		}
		if !k.times {
			in, span := e.f.span(r, e.at)
			if l.within(span, e.at); !in {
				continue
			}
		}
		for _, z := range e.f.Zones[r.Zone] {
			l.within(z.Valid, e.at)
		}
		l.standing = append(l.standing, standing{rule: i, spec: k, zone: e.f.zone(r, e.at)})
	}
	return l.standing
}

// within ends the lineup where an interval begins or ends.
func (l *lineup) within(v Interval, at time.Time) {
	for _, t := range [...]time.Time{v.From, v.Until} {
		switch {
		case t.IsZero():
		case t.After(at):
			l.until = earlier(l.until, t)
		default:
			l.from = later(l.from, t)
		}
	}
}

// stand is the rule of a standing and its state; the kind is then told which zone is the rule's.
func (e *evaluation) stand(x *standing) (kind, *Rule, *RuleState) {
	e.now = x
	r := &e.f.Rules[x.rule]
	if x.state >= len(e.s.Rules) || e.s.Rules[x.state].Rule != r.ID {
		rs := e.s.rule(r.ID)
		for x.state = 0; &e.s.Rules[x.state] != rs; {
			x.state++
		}
	}
	return x.spec.kind, r, &e.s.Rules[x.state]
}
