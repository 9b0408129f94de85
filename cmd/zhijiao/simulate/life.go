package simulate

import (
	"math"
	"math/rand/v2"
	"sort"
	"time"
)

var shanghai = mustZone("Asia/Shanghai")

func mustZone(name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		return time.FixedZone(name, 8*3600)
	}
	return loc
}

// person is who they are; where they are follows from it and from the day.
type person struct {
	index       int
	seed        uint64
	home, work  point
	office      point // of their judicial office
	shops       []point
	works       bool
	town        int
	night, call bool   // must be home at night, at the office on Monday mornings
	trips       []trip // misdeeds that are journeys, by start
	missed      []time.Time
	days        [3]day
}

// day is the path of a local day, kept for a while. Its legs may go on past midnight.
type day struct {
	midnight time.Time
	legs     []leg
}

// leg is a stretch of a path: at from at start, at to at end. A stay has equal ends.
type leg struct {
	start, end time.Time
	from, to   point
}

// trip is a journey that breaks into the ordinary day.
type trip struct {
	start, until time.Time
	via          []point // corners on the way there
	fast         bool    // past the corners, by car and straight
	to           point
}

// workNear is how far inside the boundary those work who work near it, metres.
const workNear, workNearest = 600, 250

func newPerson(i int, o *Options) person {
	r := rand.New(rand.NewPCG(o.Seed, uint64(i)+1))
	p := person{index: i, seed: o.Seed ^ (uint64(i)+1)*0x9e3779b97f4a7c15, town: r.IntN(len(o.Towns)), night: o.night(i), call: o.office(i)}
	p.office = point{o.Towns[p.town].Lon, o.Towns[p.town].Lat}
	p.home = place(r, o, p.office, p.office, 300, 2500)
	p.works = r.Float64() < 0.75
	p.work = place(r, o, p.home, p.home, 800, 6000)
	for range 3 {
		p.shops = append(p.shops, place(r, o, p.home, p.home, 150, 1200))
	}
	if o.has(CommuteNear) && r.IntN(8) == 0 {
		p.commuteNear(r, o)
	}
	p.plot(o)
	return p
}

// commuteNear moves the work of a person close to the boundary, where there is a way to it that keeps inside.
func (p *person) commuteNear(r *rand.Rand, o *Options) {
	for range 60 {
		a := r.Float64() * 2 * math.Pi
		for d, edge := 1000.0, 0.0; d < 20_000; d += math.Max(170, -edge-workNear) {
			q := p.home.offset(d*math.Cos(a), d*math.Sin(a))
			edge = o.City.Distance(q.lon, q.lat)
			if edge > -workNearest {
				break
			}
			if edge > -workNear {
				if wayIsClear(o, p.home, q, workNearest) {
					p.works, p.work = true, q
					return
				}
				break
			}
		}
	}
}

// plot makes journeys of the misdeeds of this person.
func (p *person) plot(o *Options) {
	p.trips, p.missed = nil, nil
	p.days = [3]day{}
	for i := range o.Misdeeds {
		if m := &o.Misdeeds[i]; m.involves(p.index) {
			p.take(o, m)
		}
	}
	sort.Slice(p.trips, func(a, b int) bool { return p.trips[a].start.Before(p.trips[b].start) })
}

func (p *person) take(o *Options, m *Misdeed) {
	start := o.Start.Add(m.After)
	t := trip{start: start, until: start.Add(m.Duration)}
	switch m.Deed {
	case LeaveCity, CommuteOver, LeaveUnheard, LeaveWithoutPhone:
		t.to = away(o, p.home)
	case EnterKeepOut:
		t.to = point{o.KeepOutAt.Lon, o.KeepOutAt.Lat}
	case PassKeepOut:
		a, b, ok := through(o, p.home)
		if !ok {
			return
		}
		t.via, t.to, t.fast = []point{a}, b, true
	case NightOut, PhoneAtHome:
		t.to = p.work
	case Meet, Gather:
		t.to = meeting(o, m)
	case Dwell:
		t.to = point{o.Concern.Lon, o.Concern.Lat}
	case MissOffice:
		p.missed = append(p.missed, midnight(start))
		return
	default:
		return
	}
	p.trips = append(p.trips, t)
}

// away is the nearest place outside the city to which the way does not lead through the prohibited place; or, where there
// is none, the nearest.
func away(o *Options, from point) point {
	best, found := point{}, false
	for _, t := range o.Outside {
		q := point{t.Lon, t.Lat}
		if keepsOut(o, from, q) && (!found || q.metres(from) < best.metres(from)) {
			best, found = q, true
		}
	}
	if !found {
		best = nearest(o.Outside, from)
	}
	return best
}

// through is a way straight through the middle of the prohibited place, between two points that can be reached from home
// and left for it without going near.
func through(o *Options, home point) (a, b point, ok bool) {
	c := point{o.KeepOutAt.Lon, o.KeepOutAt.Lat}
	for k := range 36 {
		turn := float64(k) * math.Pi / 18
		a, b = c.offset(1800*math.Cos(turn), 1800*math.Sin(turn)), c.offset(-1800*math.Cos(turn), -1800*math.Sin(turn))
		if keepsOut(o, home, a) && keepsOut(o, b, home) {
			return a, b, true
		}
	}
	return a, b, false
}

// meeting is where those meet who meet: at the work of the first whose work all can reach lawfully.
func meeting(o *Options, m *Misdeed) point {
	// Everybody who takes part draws it for themselves: it follows from the options alone.
	host := *o
	host.Misdeeds = nil
	first := newPerson(m.Person, &host)
	return first.work
}

// place draws a point between near and far metres around c such that the way from from keeps a kilometre inside the
// city and well clear of the prohibited place. When chance finds none, people stay where they come from.
func place(r *rand.Rand, o *Options, from, c point, near, far float64) point {
	for range 200 {
		a, d := r.Float64()*2*math.Pi, near+(far-near)*r.Float64()
		q := c.offset(d*math.Cos(a), d*math.Sin(a))
		if wayIsClear(o, from, q, 1000) && (o.Concern == (Town{}) || q.metres(point{o.Concern.Lon, o.Concern.Lat}) > clearOf) {
			return q
		}
	}
	return from
}

// clearOf is how far lawful ways keep from the prohibited place, metres.
const clearOf = 600

// wayIsClear reports whether the way there and back keeps so far inside the city, and clear of the prohibited place.
func wayIsClear(o *Options, from, to point, inside float64) bool {
	return along(from, to, func(q point) float64 { return -o.City.Distance(q.lon, q.lat) - inside }) && keepsOut(o, from, to)
}

// keepsOut reports whether the way there and back keeps clear of the prohibited place.
func keepsOut(o *Options, from, to point) bool {
	return o.KeepOut == nil || along(from, to, func(q point) float64 { return o.KeepOut.Distance(q.lon, q.lat) - clearOf })
}

// along walks there and back and reports whether room is never below zero. With room for a kilometre a kilometre need not
// be looked at.
func along(from, to point, room func(point) float64) bool {
	for _, l := range [][2]point{{from, from.corner(to)}, {from.corner(to), to}, {to, to.corner(from)}, {to.corner(from), from}} {
		way := l[0].metres(l[1])
		for gone := 0.0; ; {
			left := room(l[0].towards(l[1], math.Min(1, gone/math.Max(way, 1))))
			if left < 0 {
				return false
			}
			if gone >= way {
				break
			}
			gone += math.Max(50, 0.9*left)
		}
	}
	return true
}

func nearest(towns []Town, p point) point {
	best := point{towns[0].Lon, towns[0].Lat}
	for _, t := range towns[1:] {
		if q := (point{t.Lon, t.Lat}); q.metres(p) < best.metres(p) {
			best = q
		}
	}
	return best
}

// at is where the person really is.
func (p *person) at(t time.Time) (where point, moving bool) {
	legs := p.day(midnight(t))
	k := sort.Search(len(legs), func(i int) bool { return legs[i].end.After(t) })
	if k == len(legs) {
		return p.home, false
	}
	l := legs[k]
	if l.from == l.to || !t.After(l.start) {
		return l.from, false
	}
	f := float64(t.Sub(l.start)) / float64(l.end.Sub(l.start))
	return l.from.towards(l.to, f), true
}

func midnight(t time.Time) time.Time {
	local := t.In(shanghai)
	return time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, shanghai)
}

// day is the path of the local day that begins at midnight, made once. Who is on a journey at midnight goes on with it.
func (p *person) day(midnight time.Time) []leg {
	slot := &p.days[int(midnight.Unix()/86400)%len(p.days)]
	if slot.midnight.Equal(midnight) {
		return slot.legs
	}
	w := walk{now: midnight, here: p.home}
	if p.underWay(midnight) {
		for _, l := range p.day(midnight.AddDate(0, 0, -1)) {
			if l.end.After(midnight) {
				w.legs, w.now, w.here = append(w.legs, l), l.end, l.to
			}
		}
	}
	for _, v := range p.plan(rand.New(rand.NewPCG(p.seed, uint64(midnight.Unix()))), midnight) {
		w.visit(v, p.home)
	}
	w.stay(midnight.AddDate(0, 0, 1))
	*slot = day{midnight, w.legs}
	return w.legs
}

// homeAgain is the longest a way home takes.
const homeAgain = 3 * time.Hour

func (p *person) underWay(t time.Time) bool {
	for i := range p.trips {
		if tr := &p.trips[i]; tr.start.Before(t) && tr.until.Add(homeAgain).After(t) {
			return true
		}
	}
	return false
}

// visit is a place to be at from start until end.
type visit struct {
	start, end time.Time
	via        []point
	fast       bool
	to         point
}

func (p *person) plan(r *rand.Rand, midnight time.Time) []visit {
	at := func(hour float64, spread float64) time.Time {
		return midnight.Add(time.Duration((hour + spread*(2*r.Float64()-1)) * float64(time.Hour)))
	}
	var vs []visit
	weekday := midnight.Weekday() != time.Saturday && midnight.Weekday() != time.Sunday
	if p.works && (weekday || r.Float64() < 0.3) {
		vs = append(vs, visit{start: at(7.7, 0.5), end: at(17.6, 0.6), to: p.work})
	} else {
		s := at(9.5, 1)
		vs = append(vs, visit{start: s, end: s.Add(time.Duration(30+r.IntN(60)) * time.Minute), to: p.shops[r.IntN(len(p.shops))]})
	}
	if r.Float64() < 0.6 {
		s := at(18.8, 0.4)
		vs = append(vs, visit{start: s, end: s.Add(time.Duration(20+r.IntN(40)) * time.Minute), to: p.shops[r.IntN(len(p.shops))]})
	}
	if p.call && midnight.Weekday() == time.Monday {
		vs = p.monday(vs, midnight)
	}
	// A journey takes the place of whatever it overlaps.
	for _, tr := range p.trips {
		if tr.until.Add(homeAgain).Before(midnight) || !tr.start.Before(midnight.AddDate(0, 0, 1)) {
			continue
		}
		kept := vs[:0]
		for _, v := range vs {
			if v.end.Before(tr.start.Add(-time.Hour)) || v.start.After(tr.until.Add(2*time.Hour)) {
				kept = append(kept, v)
			} else if v.start.Before(tr.start.Add(-time.Hour)) {
				v.end = tr.start.Add(-time.Minute)
				kept = append(kept, v)
			}
		}
		vs = kept
		if !tr.start.Before(midnight) {
			vs = append(vs, visit{tr.start, tr.until, tr.via, tr.fast, tr.to})
		}
	}
	sort.Slice(vs, func(a, b int) bool { return vs[a].start.Before(vs[b].start) })
	return vs
}

// monday has the person at the office from nine to eleven, or at home when that is what goes wrong.
func (p *person) monday(vs []visit, midnight time.Time) []visit {
	from, until := midnight.Add(8*time.Hour), midnight.Add(11*time.Hour+10*time.Minute)
	kept := vs[:0]
	for _, v := range vs {
		if v.start.Before(until) {
			v.start = until.Add(time.Minute)
		}
		if v.end.After(v.start) {
			kept = append(kept, v)
		}
	}
	for _, m := range p.missed {
		if m.Equal(midnight) {
			return kept
		}
	}
	return append(kept, visit{start: from, end: until, to: p.office})
}

// walk lays the legs of a day one after the other.
type walk struct {
	now  time.Time
	here point
	legs []leg
}

func (w *walk) stay(until time.Time) {
	if until.After(w.now) {
		w.legs = append(w.legs, leg{w.now, until, w.here, w.here})
		w.now = until
	}
}

// visit goes there, stays, and comes home.
func (w *walk) visit(v visit, home point) {
	w.stay(v.start)
	for _, q := range v.via {
		w.travel(q)
	}
	if v.fast {
		w.straight(v.to, car)
	} else {
		w.travel(v.to)
	}
	w.stay(v.end)
	w.travel(home)
}

// Speeds, metres a second.
const onFoot, scooter, car = 1.3, 5.5, 15.0

// travel goes by the corner, on foot when near, by scooter or by car when far.
func (w *walk) travel(to point) {
	speed := onFoot
	switch d := w.here.metres(to); {
	case d > 8000:
		speed = car
	case d > 1200:
		speed = scooter
	}
	w.straight(w.here.corner(to), speed)
	w.straight(to, speed)
}

func (w *walk) straight(to point, speed float64) {
	if m := w.here.metres(to); m > 1 {
		end := w.now.Add(time.Duration(m / speed * float64(time.Second)))
		w.legs = append(w.legs, leg{w.now, end, w.here, to})
		w.now, w.here = end, to
	}
}
