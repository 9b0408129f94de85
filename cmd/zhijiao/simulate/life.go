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
	index      int
	seed       uint64
	home, work point
	shops      []point
	works      bool
	town       int
	misdeeds   []Misdeed
	trips      []trip // misdeeds that are journeys, by start
	days       map[int64][]leg
}

// leg is a stretch of a path: at from at start, at to at end. A stay has equal ends.
type leg struct {
	start, end time.Time
	from, to   point
}

// trip is a journey that breaks into the ordinary day.
type trip struct {
	start, until time.Time
	to           point
}

func newPerson(i int, o *Options) person {
	r := rand.New(rand.NewPCG(o.Seed, uint64(i)+1))
	p := person{index: i, seed: o.Seed ^ (uint64(i)+1)*0x9e3779b97f4a7c15, town: r.IntN(len(o.Towns)), days: map[int64][]leg{}}
	town := point{o.Towns[p.town].Lon, o.Towns[p.town].Lat}
	p.home = place(r, o, town, town, 300, 2500)
	p.works = r.Float64() < 0.75
	p.work = place(r, o, p.home, p.home, 800, 6000)
	for range 3 {
		p.shops = append(p.shops, place(r, o, p.home, p.home, 150, 1200))
	}
	p.plot(o)
	return p
}

// plot makes journeys of the misdeeds of this person.
func (p *person) plot(o *Options) {
	p.misdeeds, p.trips = nil, nil
	clear(p.days)
	for _, m := range o.Misdeeds {
		if m.Person != p.index {
			continue
		}
		p.misdeeds = append(p.misdeeds, m)
		start := o.Start.Add(m.After)
		switch m.Deed {
		case LeaveCity:
			to := nearest(o.Outside, p.home)
			p.trips = append(p.trips, trip{start, start.Add(m.Duration), to})
		case EnterKeepOut:
			p.trips = append(p.trips, trip{start, start.Add(m.Duration), point{o.KeepOutAt.Lon, o.KeepOutAt.Lat}})
		}
	}
	sort.Slice(p.trips, func(a, b int) bool { return p.trips[a].start.Before(p.trips[b].start) })
}

// place draws a point between near and far metres around c such that the way from from keeps a kilometre inside the
// city and well clear of the prohibited place. When chance finds none, people stay where they come from.
func place(r *rand.Rand, o *Options, from, c point, near, far float64) point {
	for range 200 {
		a, d := r.Float64()*2*math.Pi, near+(far-near)*r.Float64()
		q := c.offset(d*math.Cos(a), d*math.Sin(a))
		if wayIsClear(o, from, q) {
			return q
		}
	}
	return from
}

func wayIsClear(o *Options, from, to point) bool {
	for _, l := range [][2]point{{from, from.corner(to)}, {from.corner(to), to}, {to, to.corner(from)}, {to.corner(from), from}} {
		n := int(l[0].metres(l[1])/100) + 1
		for k := 0; k <= n; k++ {
			q := l[0].towards(l[1], float64(k)/float64(n))
			if o.City.Distance(q.lon, q.lat) > -1000 || o.KeepOut != nil && o.KeepOut.Distance(q.lon, q.lat) < 600 {
				return false
			}
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
	legs := p.day(t)
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

// day is the path of the local day of t, made once.
func (p *person) day(t time.Time) []leg {
	local := t.In(shanghai)
	midnight := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, shanghai)
	key := midnight.Unix()
	if legs, ok := p.days[key]; ok {
		return legs
	}
	r := rand.New(rand.NewPCG(p.seed, uint64(key)))
	w := walk{now: midnight, here: p.home}
	for _, v := range p.plan(r, midnight) {
		w.visit(v, p.home)
	}
	w.stay(midnight.AddDate(0, 0, 1))
	if len(p.days) > 4 {
		clear(p.days)
	}
	p.days[key] = w.legs
	return w.legs
}

// visit is a place to be at from start until end.
type visit struct {
	start, end time.Time
	to         point
}

func (p *person) plan(r *rand.Rand, midnight time.Time) []visit {
	at := func(hour float64, spread float64) time.Time {
		return midnight.Add(time.Duration((hour + spread*(2*r.Float64()-1)) * float64(time.Hour)))
	}
	var vs []visit
	weekday := midnight.Weekday() != time.Saturday && midnight.Weekday() != time.Sunday
	if p.works && (weekday || r.Float64() < 0.3) {
		vs = append(vs, visit{at(7.7, 0.5), at(17.6, 0.6), p.work})
	} else {
		s := at(9.5, 1)
		vs = append(vs, visit{s, s.Add(time.Duration(30+r.IntN(60)) * time.Minute), p.shops[r.IntN(len(p.shops))]})
	}
	if r.Float64() < 0.6 {
		s := at(18.8, 0.4)
		vs = append(vs, visit{s, s.Add(time.Duration(20+r.IntN(40)) * time.Minute), p.shops[r.IntN(len(p.shops))]})
	}
	// A journey takes the place of whatever it overlaps.
	for _, tr := range p.trips {
		if tr.until.Before(midnight) || !tr.start.Before(midnight.AddDate(0, 0, 1)) {
			continue
		}
		kept := vs[:0]
		for _, v := range vs {
			if v.end.Before(tr.start.Add(-time.Hour)) || v.start.After(tr.until.Add(2*time.Hour)) {
				kept = append(kept, v)
			} else if v.start.Before(tr.start.Add(-time.Hour)) {
				kept = append(kept, visit{v.start, tr.start.Add(-time.Minute), v.to})
			}
		}
		vs = append(kept, visit{tr.start, tr.until, tr.to})
	}
	sort.Slice(vs, func(a, b int) bool { return vs[a].start.Before(vs[b].start) })
	return vs
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
	w.travel(v.to)
	w.stay(v.end)
	w.travel(home)
}

// travel goes by the corner, on foot when near, by scooter or by car when far.
func (w *walk) travel(to point) {
	d := w.here.metres(to)
	speed := 1.3 // metres a second
	switch {
	case d > 8000:
		speed = 15
	case d > 1200:
		speed = 5.5
	}
	for _, q := range []point{w.here.corner(to), to} {
		if m := w.here.metres(q); m > 1 {
			end := w.now.Add(time.Duration(m / speed * float64(time.Second)))
			w.legs = append(w.legs, leg{w.now, end, w.here, q})
			w.now, w.here = end, q
		}
	}
}
