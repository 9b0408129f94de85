package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// Message is what a device sends at one instant: one or many observations of one kind, all with the same topic.
type Message struct {
	At           time.Time // domain time at which it is sent
	Sent         time.Time // the same, by the device's clock
	Person       int
	Serial       devices.Serial
	Kind         devices.Kind
	Observations []devices.Observation
}

// Report is the message as it goes over the wire.
func (m *Message) Report() devices.Report {
	return devices.Report{Boot: m.Observations[0].Boot, Sent: m.Sent, Datum: devices.WGS84, Observations: m.Observations}
}

// SerialPrefix begins the serials of every world's devices.
const SerialPrefix = "SIM-"

// Serial is the device of a person: the wristband of those who wear one, the phone of the others.
func (w *World) Serial(person int) devices.Serial {
	return serial(person, person < w.opts.Wristbands)
}

// Phone is the phone of a person, which some carry who wear a wristband; "" for a person without one.
func (w *World) Phone(person int) devices.Serial {
	if person >= w.opts.Both && person < w.opts.Wristbands {
		return ""
	}
	return serial(person, false)
}

func serial(person int, wristband bool) devices.Serial {
	if wristband {
		return devices.Serial(fmt.Sprintf(SerialPrefix+"W%05d", person+1))
	}
	return devices.Serial(fmt.Sprintf(SerialPrefix+"P%05d", person+1))
}

// Operators are whose networks there are, and Share how many of ten devices are in each.
var operators = []struct {
	code  string
	share int
}{{"46000", 5}, {"46001", 3}, {"46011", 2}}

// device is what the person wears or carries.
type device struct {
	person    int
	wristband bool
	serial    devices.Serial
	operator  string
	r         *rand.Rand
	boot, seq int64
	battery   float64 // per cent
	charging  bool
	last      time.Time
	next      time.Time
	place     int // in the queue of those that will speak

	cached  []devices.Observation // not sent while the network is away, or until a batch is full
	away    time.Time             // no network until then; zero: there is
	cut     bool                  // it was away: what is sent next may be sent twice
	off     bool
	drift   [5]point // by method, metres east and north: the slow error of indoor fixes
	jumped  time.Time
	answers []answer // demands to be answered, by time
	demands uint64
	every   time.Duration                                // of its reports, where it was told; 0: as everybody's
	carried map[devices.CommandID]devices.CommandOutcome // what it was told, and what that came to

	skew    time.Duration // its clock less the world's
	coarse  bool
	doubles bool
	jumps   bool
	gaps    bool
	effects []effect // of misdeeds, by beginning
}

type answer struct {
	at      time.Time
	check   id.Check
	command devices.CommandMessage // instead of a check; zero: none
}

// What misdeeds do to a device.
type what int

const (
	switchedOff what = iota
	gasping          // the same, with a last word
	deaf             // no network
	blind            // no place
	opened           // the strap, and the wristband stays where it is
	leftHome         // the phone stays at home
	draining         // the battery runs out in the end
)

type effect struct {
	from, until time.Time
	what        what
}

func newDevice(person int, wristband bool, o *Options) *device {
	stream := uint64(person) + 1
	if !wristband {
		stream |= 1 << 32
	}
	d := &device{person: person, wristband: wristband, serial: serial(person, wristband), boot: o.Boot, r: rand.New(rand.NewPCG(o.Seed^0x5eed, stream))}
	d.battery = 55 + 45*d.r.Float64()
	d.last = o.Start
	if wristband {
		d.next = o.Start.Add(time.Duration(d.r.Int64N(int64(o.Interval))))
	} else {
		d.next = firstCheckIn(d.r, o.Start)
	}
	d.operator = operators[0].code
	if n := person * 7 % 10; n >= operators[0].share { // spread, so that a small world has every operator too
		d.operator = operators[1].code
		if n >= operators[0].share+operators[1].share {
			d.operator = operators[2].code
		}
	}
	q := rand.New(rand.NewPCG(o.Seed^0x9014c5, stream))
	one := func(of int) bool { return q.IntN(of) == 0 }
	if one(6) && o.has(Skew) {
		d.skew = time.Duration(q.IntN(220)-180) * time.Second
		if one(8) {
			d.skew = -time.Duration(12+q.IntN(20)) * time.Minute
		}
	}
	d.coarse, d.doubles = one(10) && o.has(Coarse), one(4) && o.has(Duplicates)
	d.jumps, d.gaps = one(3) && o.has(Jumps), one(3) && o.has(Gaps)
	return d
}

// plot makes effects of the misdeeds of this device's person, or area.
func (d *device) plot(o *Options) {
	d.effects = nil
	for i := range o.Misdeeds {
		m := &o.Misdeeds[i]
		from := o.Start.Add(m.After)
		until := from.Add(m.Duration)
		add := func(w what, from, until time.Time) { d.effects = append(d.effects, effect{from, until, w}) }
		switch {
		case m.Deed == AreaOutage && m.Operator == d.operator:
			if d.person%11 == 3 { // some come back hours later than the network
				until = until.Add(time.Duration(1+d.person%4) * time.Hour)
			}
			add(deaf, from, until)
		case !m.involves(d.person):
		case !d.wristband && (m.Deed == PhoneAtHome || m.Deed == LeaveWithoutPhone):
			add(leftHome, from.Add(-time.Hour), until.Add(homeAgain))
		case d.wristband && m.Deed == FallSilent:
			add(switchedOff, from, until)
		case d.wristband && m.Deed == BatteryDies:
			add(draining, from.Add(-3*time.Hour), from)
			add(switchedOff, from, until)
		case d.wristband && m.Deed == PowerOut:
			add(draining, from.Add(-3*time.Hour), from)
			add(gasping, from, until)
		case d.wristband && m.Deed == DeadZone:
			add(deaf, from, until)
		case d.wristband && m.Deed == LeaveUnheard:
			add(deaf, from.Add(-10*time.Minute), until.Add(90*time.Minute))
		case d.wristband && m.Deed == LoseLocation:
			add(blind, from, until)
		case d.wristband && m.Deed == OpenStrap:
			add(opened, from, until)
		}
	}
	sort.SliceStable(d.effects, func(a, b int) bool { return d.effects[a].from.Before(d.effects[b].from) })
}

// under is the effect of a kind that the device is under at t.
func (d *device) under(t time.Time, kinds ...what) *effect {
	for i := range d.effects {
		e := &d.effects[i]
		if t.Before(e.from) {
			return nil
		}
		for _, k := range kinds {
			if e.what == k && t.Before(e.until) {
				return e
			}
		}
	}
	return nil
}

// windows are the lawful hours in which checks are made: morning, afternoon, evening.
var windows = [3][2]float64{{8, 11}, {13, 16}, {17.5, 20.5}}

// firstCheckIn is the first check of somebody who begins at an instant: within the window that is open then, if one is.
func firstCheckIn(r *rand.Rand, start time.Time) time.Time {
	hours := start.Sub(midnight(start)).Hours()
	for _, w := range windows {
		if hours >= w[0] && hours < w[1]-0.25 {
			return start.Add(time.Duration(r.Float64() * (w[1] - hours) * float64(time.Hour))).UTC().Truncate(time.Second)
		}
	}
	return nextCheckIn(r, start)
}

// nextCheckIn is the next of three checks a day, at a time that cannot be guessed within its window (R64).
func nextCheckIn(r *rand.Rand, after time.Time) time.Time {
	today := midnight(after)
	for day := 0; ; day++ {
		for _, w := range windows {
			from := today.AddDate(0, 0, day).Add(time.Duration(w[0] * float64(time.Hour)))
			if from.After(after) {
				return from.Add(time.Duration(r.Float64() * (w[1] - w[0]) * float64(time.Hour))).UTC().Truncate(time.Second)
			}
		}
	}
}

// say makes an observation without a place.
func (d *device) say(t time.Time, kind devices.Kind) devices.Observation {
	o := devices.Observation{Serial: d.serial, Kind: kind, Boot: d.boot, Seq: d.seq, At: t.Add(d.skew).UTC(), Health: d.health(t)}
	d.seq++
	return o
}

// observe makes an observation of where the device is at t, with the error its method has there.
func (d *device) observe(p *person, t time.Time, kind devices.Kind) devices.Observation {
	where, moving := p.at(t)
	if e := d.under(t, opened); e != nil {
		where, _ = p.at(e.from)
		moving = false
	}
	if d.under(t, leftHome) != nil {
		where, moving = p.home, false
	}
	method, sigma, acc := d.method(moving)
	drift := &d.drift[method]
	drift.lon = 0.8*drift.lon + 0.6*sigma*d.r.NormFloat64()
	drift.lat = 0.8*drift.lat + 0.6*sigma*d.r.NormFloat64()
	east, north := drift.lon, drift.lat
	rarely := 3000
	if d.jumps {
		rarely = 250
	}
	if method == devices.MethodGNSS && d.r.IntN(rarely) == 0 && t.Sub(d.jumped) > 15*time.Minute {
		// A single over-confident fix, 200 m out, claiming 1.7 m: it happens, and must open nothing (R25).
		a := d.r.Float64() * 2 * math.Pi
		east, north, acc = 200*math.Cos(a), 200*math.Sin(a), 1.7
		d.jumped = t
	}
	q := where.offset(east, north)
	speed := 0.0
	if moving {
		before, _ := p.at(t.Add(-10 * time.Second))
		speed = max(0, before.metres(where)/10+0.3*d.r.NormFloat64())
	}
	sats := -1
	if method == devices.MethodGNSS {
		sats = 7 + d.r.IntN(8)
	}
	o := d.say(t, kind)
	o.Place = &devices.Place{Lon: round7(q.lon), Lat: round7(q.lat), Accuracy: math.Round(acc*10) / 10, Speed: math.Round(speed*10) / 10,
		Satellites: sats, Method: method, Datum: devices.WGS84}
	return o
}

func round7(v float64) float64 { return math.Round(v*1e7) / 1e7 }

// method draws how the place was found: satellites outdoors, a mixture under a roof.
func (d *device) method(moving bool) (m devices.Method, sigma, accuracy float64) {
	u := d.r.Float64()
	satellites := 0.7
	if d.coarse {
		satellites = 0.25
	}
	switch {
	case moving && !d.coarse || u < satellites:
		sigma = 5
		if !moving {
			sigma = 10
		}
		return devices.MethodGNSS, sigma, sigma * (1.3 + d.r.Float64())
	case u < 0.94:
		return devices.MethodWiFi, 20, 30 + 40*d.r.Float64()
	default:
		return devices.MethodCell, 300, 700 + 600*d.r.Float64()
	}
}

// health drains the battery and charges it at night.
func (d *device) health(t time.Time) devices.Health {
	hours := t.Sub(d.last).Hours()
	d.last = t
	h := t.In(shanghai).Hour()
	switch {
	case d.charging:
		d.battery = math.Min(100, d.battery+40*hours)
		d.charging = d.battery < 99.5
	default:
		d.battery = math.Max(3, d.battery-2.2*hours)
		d.charging = d.battery < 12 || d.battery < 60 && (h >= 22 || h < 6)
	}
	if e := d.under(t, draining); e != nil {
		d.charging, d.battery = false, math.Min(d.battery, 1+20*e.until.Sub(t).Hours())
	}
	battery, signal, charging := int(d.battery), -70-d.r.IntN(35), d.charging
	health := devices.Health{Battery: &battery, Charging: &charging, Signal: &signal, Operator: d.operator,
		Cell: fmt.Sprintf("%s-%s-2861-%d", d.operator[:3], d.operator[3:], 100+d.r.IntN(40))}
	if d.wristband {
		health.Strap = devices.StrapClosed
		if d.under(t, opened) != nil {
			health.Strap = devices.StrapOpen
		}
	}
	return health
}
