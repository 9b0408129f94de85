package simulate

import (
	"math/rand/v2"
	"time"
)

// Plan draws what goes wrong on each of so many days: about so many misdeeds a day, of every deed in turn, each by somebody
// whose it can be, nobody's on two days running. The same options give the same plan.
func (w *World) Plan(list []Deed, days, daily int) []Misdeed {
	if len(list) == 0 {
		return nil
	}
	p := planner{w: w, r: rand.New(rand.NewPCG(w.opts.Seed^0x91a7, uint64(days))), busy: make([]int, w.opts.People)}
	for i := range p.busy {
		p.busy[i] = -2
	}
	first := midnight(w.opts.Start)
	if first.Before(w.opts.Start) {
		first = first.AddDate(0, 0, 1)
	}
	end := w.opts.Start.AddDate(0, 0, days)
	turn, order := 0, p.r.Perm(len(list))
	for day := 0; first.AddDate(0, 0, day).Before(end); day++ {
		made := 0
		for tries := 0; made < daily && tries < 3*len(list)+daily; tries++ {
			e := list[order[turn%len(order)]].entry()
			turn++
			if p.draw(e, day, first.AddDate(0, 0, day), end) {
				made++
			}
		}
	}
	return p.out
}

type planner struct {
	w    *World
	r    *rand.Rand
	busy []int // the last day on which somebody had a part in something
	out  []Misdeed
}

// never is the day after which somebody who can be told nothing of any more may have a part in something again.
const never = 1 << 30

// draw finds who does a thing on a day, and when.
func (p *planner) draw(e *deed, day int, midnight, end time.Time) bool {
	if e.monday && midnight.Weekday() != time.Monday {
		return false
	}
	begins := midnight.Add(time.Duration((e.from + (e.until-e.from)*p.r.Float64()) * float64(time.Hour)))
	m := Misdeed{Deed: e.name, After: begins.Sub(p.w.opts.Start), Duration: e.shortest + time.Duration(p.r.Float64()*float64(e.longest-e.shortest)).Truncate(time.Second)}
	if begins.Add(m.Duration + time.Hour).After(end) {
		return false // what has no end within the time tells little
	}
	if e.who == nobody {
		m.Person, m.Operator = -1, operators[p.r.IntN(len(operators))].code
		for _, x := range p.out { // one a day, and one is plenty
			if x.Deed == e.name && x.After > m.After-36*time.Hour {
				return false
			}
		}
		p.out = append(p.out, m)
		return true
	}
	for range 40 {
		person, ok := p.somebody(e)
		if !ok || !p.free(person, day) || !p.can(e, person, midnight) {
			continue
		}
		m.Person, m.With = person, nil
		if !p.w.opts.wearer(person) {
			m.Duration += e.phone
		}
		if e.others > 0 && !p.company(e, &m, day, midnight) {
			continue
		}
		for _, x := range append([]int{person}, m.With...) {
			p.busy[x] = day
			if e.last {
				p.busy[x] = never
			}
		}
		p.out = append(p.out, m)
		return true
	}
	return false
}

func (o *Options) wearer(person int) bool { return person < o.Wristbands }

func (p *planner) free(person, day int) bool { return p.busy[person] < day-1 }

// somebody draws one of those whose deed it can be.
func (p *planner) somebody(e *deed) (int, bool) {
	o := &p.w.opts
	from, until := 0, o.People
	switch e.who {
	case dense:
		until = o.Wristbands
	case both:
		until = o.Both
	case phoned:
		from = o.Wristbands
	case banned, dweller, caller:
		if p.r.IntN(3) > 0 { // wristbands are few, and are what shows it
			until = o.Wristbands
		}
	case anyone:
		if p.r.IntN(3) == 0 {
			until = o.Wristbands
		}
	}
	if until <= from {
		return 0, false
	}
	return from + p.r.IntN(until-from), true
}

func (p *planner) can(e *deed, person int, midnight time.Time) bool {
	o := &p.w.opts
	if o.office(person) && !e.monday && midnight.Weekday() == time.Monday {
		return false // two things at once
	}
	home := p.w.people[person].home
	switch e.who {
	case banned:
		if !o.banned(person) {
			return false
		}
	case dweller:
		return o.night(person) && p.w.people[person].work != home
	case caller:
		return o.office(person)
	}
	switch e.name {
	case PassKeepOut:
		_, _, ok := through(o, home)
		return ok
	case LeaveCity, CommuteOver, LeaveUnheard, LeaveWithoutPhone:
		return len(o.Outside) > 0 && keepsOut(o, home, away(o, home))
	case PhoneAtHome:
		return p.w.people[person].work.metres(home) > 700
	case Dwell:
		return o.Concern != (Town{}) && wayIsClear(o, home, point{o.Concern.Lon, o.Concern.Lat}, 500)
	}
	return true
}

// company finds the others who take part: those who can reach the place lawfully, and are not far.
func (p *planner) company(e *deed, m *Misdeed, day int, midnight time.Time) bool {
	o := &p.w.opts
	to := p.w.people[m.Person].work
	for _, x := range p.r.Perm(o.Wristbands) {
		if x == m.Person || !p.free(x, day) || o.office(x) && midnight.Weekday() == time.Monday {
			continue
		}
		if home := p.w.people[x].home; home.metres(to) < 40_000 && wayIsClear(o, home, to, 500) {
			if m.With = append(m.With, x); len(m.With) == e.others {
				// All have to come: the way takes up to an hour.
				m.Duration += time.Hour
				return true
			}
		}
	}
	return false
}

// Pairs are who may not meet: everybody who is to meet somebody in these misdeeds, and whom.
func Pairs(misdeeds []Misdeed) (pairs [][2]int) {
	for _, m := range misdeeds {
		if m.Deed == Meet {
			pairs = append(pairs, [2]int{m.Person, m.With[0]})
		}
	}
	return pairs
}

// Do has misdeeds take place in a world that has not begun.
func (w *World) Do(misdeeds []Misdeed) error {
	if err := w.opts.check(misdeeds); err != nil {
		return err
	}
	w.enter(misdeeds)
	return nil
}
