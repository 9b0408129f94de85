package simulate

import (
	"slices"
	"sort"
	"time"

	"zhijiao/devices"
)

// Truth is a misdeed as it happened, and whether what was sent could show it.
type Truth struct {
	Person   int              `json:"person"` // -1: an area
	Serial   devices.Serial   `json:"serial,omitempty"`
	With     []devices.Serial `json:"with,omitempty"`
	Operator string           `json:"operator,omitempty"`
	Deed     Deed             `json:"deed"`
	Kind     string           `json:"kind"` // of violation
	From     time.Time        `json:"from"` // when it was really so
	Until    time.Time        `json:"until"`
	// Visible: a reader of what was sent, and of nothing else, could tell, by the thresholds the platform states. Why says
	// why not.
	Visible bool   `json:"visible"`
	Why     string `json:"why,omitempty"`
	Fixes   int    `json:"fixes"` // observations that bear it out
}

// truth listens to what is sent and keeps what bears on a misdeed until it can be judged.
type truth struct {
	all  []*tally
	by   map[int][]*tally // those that still listen, by person
	area []*tally         // those that listen to everybody
}

// tally is a misdeed while the world goes on.
type tally struct {
	w           *World
	misdeed     Misdeed
	from, until time.Time
	sights      []sight
	result      *reading // once it is settled
}

// sight is an observation as it was sent.
type sight struct {
	person    int
	wristband bool
	at, sent  time.Time // by the device's clock, and really
	skew      time.Duration
	place     *devices.Place
	strap     devices.Strap
	gasp      bool
}

// backlogWithin is how long after a misdeed something may still come that tells of it.
const backlogWithin = 8 * time.Hour

// around a misdeed: what was sent shortly before and after belongs to it.
const around = time.Hour

func (h *truth) enter(w *World, m Misdeed) {
	t := &tally{w: w, misdeed: m}
	t.from, t.until = w.really(&m)
	h.all = append(h.all, t)
	h.listen(t)
}

func (h *truth) listen(t *tally) {
	if t.misdeed.Person < 0 {
		h.area = append(h.area, t)
		return
	}
	if h.by == nil {
		h.by = map[int][]*tally{}
	}
	for _, p := range append([]int{t.misdeed.Person}, t.misdeed.With...) {
		h.by[p] = append(h.by[p], t)
	}
}

func (h *truth) forget(over func(Misdeed) bool) {
	h.all = slices.DeleteFunc(h.all, func(t *tally) bool { return over(t.misdeed) })
	h.relisten()
}

func (h *truth) relisten() {
	h.by, h.area = nil, nil
	for _, t := range h.all {
		if t.result == nil {
			h.listen(t)
		}
	}
}

// hear takes a message as it is sent.
func (h *truth) hear(m *Message) {
	for _, t := range h.by[m.Person] {
		t.hear(m)
	}
	for _, t := range h.area {
		if t.w.bySerial[m.Serial].operator == t.misdeed.Operator {
			t.hear(m)
		}
	}
}

func (t *tally) hear(m *Message) {
	if m.At.Before(t.from.Add(-around)) {
		return
	}
	d := t.w.bySerial[m.Serial]
	for i := range m.Observations {
		o := &m.Observations[i]
		if o.At.Before(t.from.Add(-around)) || o.At.After(t.until.Add(around)) {
			continue
		}
		t.sights = append(t.sights, sight{m.Person, d.wristband, o.At, m.At, d.skew, o.Place, o.Health.Strap, o.Health.LastGasp != ""})
	}
}

// settle judges what nothing can be added to any more, and lets go of what it was judged on.
func (h *truth) settle(now time.Time) {
	settled := false
	for _, t := range h.all {
		if t.result == nil && t.until.Add(backlogWithin).Before(now) {
			t.result = t.read(now)
			t.sights, t.result.sights, settled = nil, nil, true
		}
	}
	if settled {
		h.relisten()
	}
}

func (t *tally) read(now time.Time) *reading {
	r := &reading{w: t.w, misdeed: &t.misdeed, from: t.from, until: t.until, end: now, sights: slices.Clone(t.sights)}
	sort.SliceStable(r.sights, func(a, b int) bool { return r.sights[a].at.Before(r.sights[b].at) })
	if r.until.After(now) {
		r.until = now
	}
	switch e := t.misdeed.Deed.entry(); {
	case !t.from.Before(now):
		r.why = "it did not begin"
	case !t.until.After(t.from):
		r.why = "it did not come to it"
	default:
		e.read(r)
	}
	return r
}

// Truth tells all that went wrong up to now.
func (w *World) Truth(now time.Time) []Truth {
	var out []Truth
	for _, t := range w.truth.all {
		r := t.result
		if r == nil {
			r = t.read(now)
		}
		m := &t.misdeed
		v := Truth{Person: m.Person, Operator: m.Operator, Deed: m.Deed, Kind: m.Deed.Kind(), From: t.from, Until: t.until, Visible: r.visible, Why: r.why, Fixes: r.fixes}
		if m.Person >= 0 {
			v.Serial = w.Serial(m.Person)
		}
		for _, p := range m.With {
			v.With = append(v.With, w.Serial(p))
		}
		out = append(out, v)
	}
	return out
}

// homeCircle is the circle around home, and around the office, that windows speak of, metres.
const homeCircle = 200.0

// HomeCircle is the radius around home, and around the office, that windows speak of, metres.
const HomeCircle = homeCircle

// ConcernCircle is the radius of the place of concern, metres.
const ConcernCircle = 300.0

// really is when a misdeed was really so: not the way there.
func (w *World) really(m *Misdeed) (from, until time.Time) {
	start := w.opts.Start.Add(m.After)
	from, until = start, start.Add(m.Duration)
	var wrong func(point) bool
	often := 5 * time.Second
	switch m.Deed {
	case LeaveCity, CommuteOver, LeaveUnheard, LeaveWithoutPhone:
		wrong, often = func(q point) bool { return w.opts.City.Distance(q.lon, q.lat) > 0 }, 30*time.Second
	case EnterKeepOut, PassKeepOut:
		wrong = func(q point) bool { return w.opts.KeepOut.Distance(q.lon, q.lat) <= 0 }
	case NightOut:
		home := w.people[m.Person].home
		wrong = func(q point) bool { return q.metres(home) > homeCircle }
	case Dwell:
		concern := point{w.opts.Concern.Lon, w.opts.Concern.Lat}
		wrong = func(q point) bool { return q.metres(concern) <= ConcernCircle }
	case Meet, Gather:
		from = time.Time{} // until all are there, from when the last came
		for _, p := range append([]int{m.Person}, m.With...) {
			s, e := w.between(p, 5*time.Second, start, until, func(q point) bool { return q.metres(meetingPoint(w, m)) < 5 })
			if s.After(from) {
				from = s
			}
			if e.Before(until) {
				until = e
			}
		}
		return from, until
	default:
		return from, until
	}
	return w.between(m.Person, often, start, until, wrong)
}

func meetingPoint(w *World, m *Misdeed) point { return w.people[m.Person].work }

// between is the first and the last time during a journey at which something holds of the person's place.
func (w *World) between(person int, often time.Duration, start, until time.Time, wrong func(point) bool) (from, to time.Time) {
	p := &w.people[person]
	for t := start; t.Before(until.Add(homeAgain)); t = t.Add(often) {
		q, _ := p.at(t)
		if !wrong(q) {
			continue
		}
		if from.IsZero() {
			from = t
		}
		to = t.Add(often)
	}
	if from.IsZero() {
		return start, start
	}
	return from, to
}
