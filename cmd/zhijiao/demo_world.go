package main

import (
	"math/rand/v2"
	"time"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
)

// inventedWorld is Tianmen as it is simulated: so many people from start on, nobody doing wrong yet.
func inventedWorld(people, wristbands int, seed uint64, start time.Time, boot int64) (simulate.Options, error) {
	city, err := simulate.ReadOutline(tianmenOutline)
	if err != nil {
		return simulate.Options{}, err
	}
	keep := simulate.DemoKeepOut
	o := simulate.Options{
		Seed: seed, People: people, Wristbands: wristbands, Start: start, Boot: boot, City: city,
		KeepOut: simulate.Circle{Lon: keep.Lon, Lat: keep.Lat, RadiusM: keep.RadiusM}, KeepOutAt: keep.Town, Outside: simulate.TianmenOutside(),
	}
	for _, f := range simulate.TianmenOffices() {
		o.Towns = append(o.Towns, f.Town)
	}
	return o, nil
}

// newcomers are the people of a world, to be enrolled from an instant on; those with two devices are there twice. Those with
// a wristband and every fourth of the others are banned from the demo's circle.
func newcomers(w *simulate.World, people, wristbands int, from time.Time, concern bool) []newcomer {
	var list []newcomer
	for i := range people {
		_, _, town := w.Home(i)
		n := newcomer{Number: i + 1, LocalNo: localNumber(i), Office: town, Serial: w.Serial(i), From: from, Banned: w.Banned(i)}
		phone := n
		phone.Serial, phone.Class, phone.Interval, phone.Finest = w.Phone(i), devices.Phone, 8*time.Hour, devices.PhoneFinest
		if i < wristbands {
			n.Class, n.Interval, n.Silence = devices.Wristband, time.Minute, true
			n.More, phone.More = held(w, i, true, phone.Serial != "", concern), nil
			list = append(list, n)
		}
		if phone.Serial != "" {
			if i >= wristbands {
				phone.More = held(w, i, false, false, concern)
			}
			list = append(list, phone)
		}
	}
	return list
}

// deedsAhead is for how many domain days misdeeds are planned.
const deedsAhead = 2

// schedule is what goes wrong in the demo: something about every hour and a half between morning and night, the same on
// the same day whoever asks and however often the program was started.
type schedule struct {
	seed               uint64
	people, wristbands int
	first              time.Time // when the demo was first started; that day is the opening's
	opening            []simulate.Misdeed
}

// day is what begins on the day-th day (0: the first), relative to start.
func (s *schedule) day(day int, start time.Time) []simulate.Misdeed {
	r := rand.New(rand.NewPCG(s.seed^0xdeed, uint64(day)+1))
	var out []simulate.Misdeed
	if day == 0 {
		for _, m := range s.opening {
			m.After += s.first.Sub(start)
			out = append(out, m)
		}
	}
	worn, carried := r.Perm(s.wristbands), r.Perm(s.people-s.wristbands)
	begins := midnight(s.first).AddDate(0, 0, day)
	for k, hour := 0, 7.0; hour < 21.5; k, hour = k+1, hour+1.2+0.6*r.Float64() {
		m := simulate.Misdeed{Duration: time.Duration(40+r.IntN(80)) * time.Minute}
		at := begins.Add(time.Duration(hour * float64(time.Hour)))
		switch {
		case k%4 == 3 && k/4 < len(carried): // a phone is away long enough for one of its three checks
			m.Person, m.Deed, m.Duration = s.wristbands+carried[k/4], simulate.LeaveCity, time.Duration(6+r.IntN(3))*time.Hour
		case k >= len(worn):
			continue
		default:
			m.Person, m.Deed = worn[k], [...]simulate.Deed{simulate.LeaveCity, simulate.EnterKeepOut, simulate.FallSilent}[k%4]
		}
		if day == 0 && (at.Before(s.first.Add(4*time.Hour)) || s.opens(m.Person)) {
			continue
		}
		m.After = at.Sub(start)
		out = append(out, m)
	}
	return out
}

func (s *schedule) opens(person int) bool {
	for _, m := range s.opening {
		if m.Person == person {
			return true
		}
	}
	return false
}

// dayOf is which day of the demo an instant lies in.
func (s *schedule) dayOf(t time.Time) int {
	return int(midnight(t).Sub(midnight(s.first)).Hours()+0.5) / 24
}

// open decides how the demo begins: whoever of those with a wristband is beyond the edge soonest leaves first, so that
// the wall has an alarm within the first hour; one enters the circle, one falls silent, one with a phone goes as well.
func (s *schedule) open(w *simulate.World, o *simulate.Options) {
	deeds := []simulate.Misdeed{
		{Deed: simulate.LeaveCity, After: 8 * time.Minute, Duration: 100 * time.Minute},
		{Deed: simulate.EnterKeepOut, After: 25 * time.Minute, Duration: 50 * time.Minute},
		{Deed: simulate.FallSilent, After: 70 * time.Minute, Duration: 2 * time.Hour},
		{Deed: simulate.EnterKeepOut, After: 2 * time.Hour, Duration: time.Hour},
		{Deed: simulate.LeaveCity, After: 190 * time.Minute, Duration: 2 * time.Hour},
	}
	taken := map[int]bool{}
	for _, d := range deeds {
		best, soonest := -1, time.Duration(0)
		for i := range s.wristbands {
			if taken[i] {
				continue
			}
			d.Person = i
			// The schedule counts from when the demo was first started, the world from its own start.
			m := d
			m.After += s.first.Sub(o.Start)
			t := arrives(w, o, m)
			if best < 0 || t < soonest {
				best, soonest = i, t
			}
		}
		if best < 0 {
			break
		}
		taken[best], d.Person = true, best
		s.opening = append(s.opening, d)
	}
	if s.people > s.wristbands {
		s.opening = append(s.opening, simulate.Misdeed{Person: s.wristbands, Deed: simulate.LeaveCity, After: 3 * time.Hour, Duration: 8 * time.Hour})
	}
}

const (
	clearly = 150.0            // metres beyond an edge that nobody argues about
	stays   = 20 * time.Minute // beyond it for so long
)

// arrives is how long after it began a journey is clearly where it should not be, and stays there.
func arrives(w *simulate.World, o *simulate.Options, m simulate.Misdeed) time.Duration {
	if m.Deed == simulate.FallSilent {
		return 0
	}
	at := w.Route(m)
	crossed, since := false, time.Duration(0)
	for t := m.After; t < m.After+m.Duration; t += time.Minute {
		lon, lat := at(o.Start.Add(t))
		beyond := o.City.Distance(lon, lat)
		if m.Deed == simulate.EnterKeepOut {
			beyond = -o.KeepOut.Distance(lon, lat)
		}
		switch {
		case beyond < clearly && crossed:
			return m.Duration // a way that comes back in would be told twice
		case beyond >= clearly && !crossed:
			crossed, since = true, t
		case crossed && t-since >= stays:
			return since - m.After
		}
	}
	return m.Duration
}
