package simulate

import (
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// World is the city. Not safe for concurrent use.
type World struct {
	opts    Options
	people  []person
	devices []device
	truth   []tally
}

// New builds a world.
func New(o Options) (*World, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	w := &World{opts: o}
	for i := range o.People {
		w.people = append(w.people, newPerson(i, &o))
		w.devices = append(w.devices, newDevice(i, &o))
	}
	for _, m := range o.Misdeeds {
		w.truth = append(w.truth, tally{misdeed: m})
	}
	return w, nil
}

// Home is where a person lives, and Town the index of its town; for enrolment.
func (w *World) Home(person int) (lon, lat float64, town int) {
	p := &w.people[person]
	return p.home.lon, p.home.lat, p.town
}

// At is where a person really is at t.
func (w *World) At(person int, t time.Time) (lon, lat float64) {
	q, _ := w.people[person].at(t)
	return q.lon, q.lat
}

// Route is where a person would be at any time if this misdeed were the only one.
func (w *World) Route(m Misdeed) func(t time.Time) (lon, lat float64) {
	p := w.people[m.Person]
	p.days = map[int64][]leg{}
	o := w.opts
	o.Misdeeds = []Misdeed{m}
	p.plot(&o)
	return func(t time.Time) (lon, lat float64) {
		q, _ := p.at(t)
		return q.lon, q.lat
	}
}

// Add has people do more that is wrong, later: from now on, at least two hours ahead, which is what a journey changes
// of the day before it. What ended before now is forgotten, so that a world may go on for ever.
func (w *World) Add(now time.Time, misdeeds []Misdeed) error {
	if err := w.opts.check(misdeeds); err != nil {
		return err
	}
	over := func(m Misdeed) bool { return w.opts.Start.Add(m.After + m.Duration + 6*time.Hour).Before(now) }
	w.opts.Misdeeds = append(slices.DeleteFunc(w.opts.Misdeeds, over), misdeeds...)
	w.truth = slices.DeleteFunc(w.truth, func(t tally) bool { return over(t.misdeed) })
	for _, m := range misdeeds {
		w.truth = append(w.truth, tally{misdeed: m})
	}
	for i := range w.people {
		w.people[i].plot(&w.opts)
	}
	return nil
}

// Next is the instant of the next message.
func (w *World) Next() time.Time {
	_, t := w.first()
	return t
}

func (w *World) first() (person int, at time.Time) {
	person = -1
	for i := range w.devices {
		if t := w.devices[i].due(); person < 0 || t.Before(at) {
			person, at = i, t
		}
	}
	return person, at
}

func (d *device) due() time.Time {
	if len(d.answers) > 0 && d.answers[0].at.Before(d.next) {
		return d.answers[0].at
	}
	return d.next
}

// Step returns all that is sent up to and including until, in order of sending.
func (w *World) Step(until time.Time) []Message {
	var out []Message
	for i := range w.devices {
		for !w.devices[i].due().After(until) {
			if m, ok := w.speak(i); ok {
				out = append(out, m)
			}
		}
	}
	sort.SliceStable(out, func(a, b int) bool { return out[a].At.Before(out[b].At) })
	for i := range out {
		w.judge(&out[i])
	}
	return out
}

// Demand tells a person's device that it is asked for a confirming fix. It answers within minutes, if it can.
func (w *World) Demand(serial devices.Serial, check id.Check, at time.Time) {
	for i := range w.devices {
		if w.Serial(i) != serial {
			continue
		}
		d := &w.devices[i]
		d.demands++
		r := rand.New(rand.NewPCG(w.people[i].seed^0xa115, d.demands))
		d.answers = append(d.answers, answer{at.Add(40*time.Second + time.Duration(r.Int64N(int64(3*time.Minute)))).UTC().Truncate(time.Second), check})
		sort.Slice(d.answers, func(a, b int) bool { return d.answers[a].at.Before(d.answers[b].at) })
		return
	}
}

// speak lets one device do what it is due for, which may be to say nothing.
func (w *World) speak(i int) (Message, bool) {
	d, p := &w.devices[i], &w.people[i]
	t := d.due()
	if len(d.answers) > 0 && d.answers[0].at.Equal(t) {
		a := d.answers[0]
		d.answers = d.answers[1:]
		if w.silent(i, t) {
			return Message{}, false
		}
		o := d.observe(p, t, w.Serial(i), devices.KindCheckIn)
		o.Answers, o.Result = a.check, "ok"
		// Whoever answers a demand holds the phone to the sky until it has satellites.
		o.Place.Method, o.Place.Satellites = devices.MethodGNSS, 9
		if o.Place.Accuracy > 30 {
			where, _ := p.at(t)
			o.Place.Lon, o.Place.Lat, o.Place.Accuracy = round7(where.lon), round7(where.lat), 12
		}
		return Message{t, i, devices.KindCheckIn, []devices.Observation{o}}, true
	}
	if !d.wristband {
		d.next = nextCheckIn(d.r, t)
		if w.silent(i, t) {
			return Message{}, false
		}
		o := d.observe(p, t, w.Serial(i), devices.KindCheckIn)
		o.Result = "ok"
		return Message{t, i, devices.KindCheckIn, []devices.Observation{o}}, true
	}
	return w.wristband(i, t)
}

// wristband is a fix an interval; a few are lost, and sometimes the network is away for minutes and they come at once.
func (w *World) wristband(i int, t time.Time) (Message, bool) {
	d, p := &w.devices[i], &w.people[i]
	d.next = t.Add(w.opts.Interval)
	if w.silent(i, t) || d.r.Float64() < 0.02 {
		return Message{}, false
	}
	if d.away.IsZero() && d.r.Float64() < 0.0006 {
		d.away = t.Add(time.Duration(4+d.r.IntN(9)) * time.Minute)
	}
	o := d.observe(p, t.Truncate(time.Second), w.Serial(i), devices.KindFix)
	if t.Before(d.away) {
		d.cached = append(d.cached, o)
		return Message{}, false
	}
	d.away = time.Time{}
	obs := append(d.cached, o)
	d.cached = nil
	return Message{t.UTC(), i, devices.KindFix, obs}, true
}

// silent reports whether the device of a person is off at t.
func (w *World) silent(i int, t time.Time) bool {
	for _, m := range w.people[i].misdeeds {
		if from := w.opts.Start.Add(m.After); m.Deed == FallSilent && !t.Before(from) && t.Before(from.Add(m.Duration)) {
			return true
		}
	}
	return false
}

// Report is the message as it goes over the wire.
func (m Message) Report() devices.Report {
	return devices.Report{Boot: m.Observations[0].Boot, Sent: m.At, Datum: devices.WGS84, Observations: m.Observations}
}
