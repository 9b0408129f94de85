package simulate

import (
	"container/heap"
	"iter"
	"slices"
	"time"

	"zhijiao/devices"
)

// World is the city. Not safe for concurrent use.
type World struct {
	opts     Options
	people   []person
	queue    queue
	bySerial map[devices.Serial]*device
	truth    truth
}

// New builds a world.
func New(o Options) (*World, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	w := &World{opts: o, bySerial: map[devices.Serial]*device{}}
	none := o
	none.Misdeeds = nil
	for i := range o.People {
		w.people = append(w.people, newPerson(i, &none))
		w.equip(i, i < o.Wristbands)
		if i < o.Both {
			w.equip(i, false)
		}
	}
	heap.Init(&w.queue)
	w.opts.Misdeeds = nil
	w.enter(o.Misdeeds)
	return w, nil
}

func (w *World) equip(person int, wristband bool) {
	d := newDevice(person, wristband, &w.opts)
	w.queue.Push(d)
	w.bySerial[d.serial] = d
}

// enter has misdeeds take place.
func (w *World) enter(misdeeds []Misdeed) {
	w.opts.Misdeeds = append(w.opts.Misdeeds, misdeeds...)
	concern := map[int]*Options{} // each with the misdeeds it needs to know
	area := false
	for i := range w.opts.Misdeeds {
		m := &w.opts.Misdeeds[i]
		area = area || m.Person < 0
		for _, p := range append([]int{m.Person}, m.With...) {
			if concern[p] == nil {
				o := w.opts
				o.Misdeeds = nil
				concern[p] = &o
			}
			concern[p].Misdeeds = append(concern[p].Misdeeds, *m)
		}
	}
	none := w.opts
	none.Misdeeds = nil
	for i := range w.people {
		o := concern[i]
		if o == nil {
			o = &none
		}
		if len(o.Misdeeds) > 0 || len(w.people[i].trips)+len(w.people[i].missed) > 0 {
			w.people[i].plot(o)
		}
	}
	for _, d := range w.queue {
		o := none
		if c := concern[d.person]; c != nil {
			o = *c
		}
		if area {
			o.Misdeeds = append(slices.Clone(o.Misdeeds), concern[-1].Misdeeds...)
		}
		d.plot(&o)
	}
	for _, m := range misdeeds {
		w.truth.enter(w, m)
	}
}

// Home is where a person lives, and Town the index of its town; for enrolment.
func (w *World) Home(person int) (lon, lat float64, town int) {
	p := &w.people[person]
	return p.home.lon, p.home.lat, p.town
}

// Banned tells whom a court bans from the prohibited place, Night who must be home at night, Office who must be at the
// office on Monday mornings.
func (w *World) Banned(person int) bool { return w.opts.banned(person) }

// Night tells who must be home from ten at night until six in the morning.
func (w *World) Night(person int) bool { return w.opts.night(person) }

// Office tells who must be at the office of their town on Mondays from nine to eleven, and where that is.
func (w *World) Office(person int) (lon, lat float64, must bool) {
	p := &w.people[person]
	return p.office.lon, p.office.lat, w.opts.office(person)
}

// Near reports whether anybody else really was within some metres of a person at t.
func (w *World) Near(person int, t time.Time, metres float64) bool {
	here, _ := w.people[person].at(t)
	for i := range w.people {
		if there, _ := w.people[i].at(t); i != person && there.metres(here) <= metres {
			return true
		}
	}
	return false
}

// At is where a person really is at t.
func (w *World) At(person int, t time.Time) (lon, lat float64) {
	q, _ := w.people[person].at(t)
	return q.lon, q.lat
}

// Route is where a person would be at any time if this misdeed were the only one.
func (w *World) Route(m Misdeed) func(t time.Time) (lon, lat float64) {
	p := w.people[m.Person]
	o := w.opts
	o.Misdeeds = []Misdeed{m}
	p.plot(&o)
	return func(t time.Time) (lon, lat float64) {
		q, _ := p.at(t)
		return q.lon, q.lat
	}
}

// Add has more go wrong, later: from now on, at least two hours ahead, which is what a journey changes of the day before
// it. What ended before now is forgotten, so that a world may go on for ever.
func (w *World) Add(now time.Time, misdeeds []Misdeed) error {
	if err := w.opts.check(misdeeds); err != nil {
		return err
	}
	over := func(m Misdeed) bool { return w.opts.Start.Add(m.After + m.Duration + 6*time.Hour).Before(now) }
	w.opts.Misdeeds = slices.DeleteFunc(w.opts.Misdeeds, over)
	w.truth.forget(over)
	w.enter(misdeeds)
	return nil
}

// Next is the instant of the next message.
func (w *World) Next() time.Time { return w.queue[0].due() }

// All is what is sent up to and including until, in order of sending. Nothing is held but what devices hold themselves.
func (w *World) All(until time.Time) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for !w.Next().After(until) {
			d := w.queue[0]
			said := w.speak(d)
			w.queue.moved(d)
			for i := range said {
				w.truth.hear(&said[i])
			}
			for i := range said {
				if !yield(said[i]) {
					return
				}
			}
		}
		w.truth.settle(until)
	}
}

// Step returns all that is sent up to and including until.
func (w *World) Step(until time.Time) []Message { return slices.Collect(w.All(until)) }
