package geofence

import (
	"sync"
	"time"

	"zhijiao/internal/id"
)

// cached is how many subjects, devices or zones are remembered before all are forgotten.
const cached = 50_000

// cache is what an engine remembers between transactions. Nothing in it is believed: facts and bindings are good only
// while the number under the lock is the one they were read at, a state only at its version; a version of a zone never
// changes.
type cache struct {
	mu       sync.Mutex
	subjects map[id.Subject]*subjectFacts
	states   map[id.Subject]keptState
	bindings map[id.Device]*deviceBindings
	zones    map[zoneKey]*Zone
	days     map[int64]struct{} // days since 1970 that have a partition
	radios   radioIDs
}

type zoneKey struct {
	id      ZoneID
	version int
}

// subjectFacts is what evaluation knows of a subject, and which office has it when.
type subjectFacts struct {
	facts   *Facts
	offices []officeInterval
}

type officeInterval struct {
	org   id.Org
	valid Interval
}

// office is who supervises at t; the nearest office where nobody did.
func (s *subjectFacts) office(t time.Time) id.Org {
	var org id.Org
	for _, o := range s.offices {
		if org == 0 || !t.Before(o.valid.From) {
			org = o.org
		}
	}
	return org
}

type deviceBindings struct {
	facts    int64
	bindings []BindingFact
}

type keptState struct {
	version int64
	state   State
}

func newCache() *cache {
	return &cache{subjects: map[id.Subject]*subjectFacts{}, states: map[id.Subject]keptState{}, bindings: map[id.Device]*deviceBindings{},
		zones: map[zoneKey]*Zone{}, days: map[int64]struct{}{}, radios: radioIDs{}}
}

func put[K comparable, V any](m map[K]V, k K, v V) {
	if len(m) >= cached {
		clear(m)
	}
	m[k] = v
}

// factsAt returns the facts of a subject if they are those of a number.
func (c *cache) factsAt(s id.Subject, number int64) *subjectFacts {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.subjects[s]; f != nil && f.facts.Version == number {
		return f
	}
	return nil
}

func (c *cache) putFacts(f *subjectFacts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	put(c.subjects, f.facts.Subject, f)
}

func (c *cache) bindingsAt(d id.Device, number int64) *deviceBindings {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b := c.bindings[d]; b != nil && b.facts == number {
		return b
	}
	return nil
}

func (c *cache) putBindings(d id.Device, b *deviceBindings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	put(c.bindings, d, b)
}

func (c *cache) zone(k zoneKey) *Zone {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.zones[k]
}

func (c *cache) putZone(z *Zone) {
	c.mu.Lock()
	defer c.mu.Unlock()
	put(c.zones, zoneKey{z.ID, z.Version}, z)
}

// takeState gives away the state of a subject at a version. It is evaluated in place, so it is not here any more until
// what became of it is committed and kept.
func (c *cache) takeState(s id.Subject, version int64) (State, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.states[s]
	delete(c.states, s)
	if !ok || k.version != version { // another process has gone on since: nothing of what we knew may be left in it
		return State{}, false
	}
	return k.state, true
}

// keep remembers what was committed.
func (c *cache) keep(subjects map[id.Subject]*subject) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range subjects {
		version := s.version
		if s.changed {
			version++
		}
		put(c.states, s.id, keptState{version, s.state})
	}
}

const daySeconds = 24 * 60 * 60

func dayOf(t time.Time) int64 { return t.Unix() / daySeconds }

// without are the days that have no partition as far as is known.
func (c *cache) without(days map[int64]struct{}) (missing missingDays) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for d := range days {
		if _, ok := c.days[d]; !ok {
			missing = append(missing, time.Unix(d*daySeconds, 0).UTC())
		}
	}
	return missing
}

func (c *cache) putDay(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	put(c.days, dayOf(t), struct{}{})
}

func (c *cache) forgetDays() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.days)
}
