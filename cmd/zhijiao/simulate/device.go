package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// Message is what a device sends at one instant: one or many observations of one kind, all with the same topic.
type Message struct {
	At           time.Time // domain time at which it is sent
	Person       int
	Kind         devices.Kind
	Observations []devices.Observation
}

// SerialPrefix begins the serials of every world's devices.
const SerialPrefix = "SIM-"

// Serial is the device of a person.
func (w *World) Serial(person int) devices.Serial {
	if person < w.opts.Wristbands {
		return devices.Serial(fmt.Sprintf(SerialPrefix+"W%05d", person+1))
	}
	return devices.Serial(fmt.Sprintf(SerialPrefix+"P%05d", person+1))
}

// device is what the person wears or carries.
type device struct {
	wristband bool
	r         *rand.Rand
	seq       int64
	battery   float64 // per cent
	charging  bool
	last      time.Time
	next      time.Time
	cached    []devices.Observation // not sent while the network is away
	away      time.Time             // no network until then; zero: there is
	drift     point                 // metres east and north, slow error of indoor fixes
	answers   []answer              // demands to be answered, by time
	demands   uint64
	boot      int64
}

type answer struct {
	at    time.Time
	check id.Check
}

func newDevice(i int, o *Options) device {
	d := device{wristband: i < o.Wristbands, boot: o.Boot, r: rand.New(rand.NewPCG(o.Seed^0x5eed, uint64(i)+1))}
	d.battery = 55 + 45*d.r.Float64()
	d.last = o.Start
	if d.wristband {
		d.next = o.Start.Add(time.Duration(d.r.Int64N(int64(o.Interval))))
	} else {
		d.next = nextCheckIn(d.r, o.Start.Add(-1)) // the window that begins now is one
	}
	return d
}

// nextCheckIn is the next of three checks a day, at a time that cannot be guessed within its window of lawful hours
// (R64): morning, afternoon, evening.
func nextCheckIn(r *rand.Rand, after time.Time) time.Time {
	windows := [3][2]float64{{8, 11}, {13, 16}, {17.5, 20.5}}
	local := after.In(shanghai)
	midnight := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, shanghai)
	for day := 0; ; day++ {
		for _, w := range windows {
			from := midnight.AddDate(0, 0, day).Add(time.Duration(w[0] * float64(time.Hour)))
			if from.After(after) {
				return from.Add(time.Duration(r.Float64() * (w[1] - w[0]) * float64(time.Hour))).UTC().Truncate(time.Second)
			}
		}
	}
}

// observe makes an observation of where the person is at t, with the error its method has there.
func (d *device) observe(p *person, t time.Time, serial devices.Serial, kind devices.Kind) devices.Observation {
	where, moving := p.at(t)
	method, sigma, acc := d.method(moving)
	d.drift.lon = 0.8*d.drift.lon + 0.6*sigma*d.r.NormFloat64()
	d.drift.lat = 0.8*d.drift.lat + 0.6*sigma*d.r.NormFloat64()
	east, north := d.drift.lon, d.drift.lat
	if method == devices.MethodGNSS && d.r.IntN(3000) == 0 {
		// A single over-confident fix, 200 m out, claiming 1.7 m: it happens, and must open nothing (R25).
		a := d.r.Float64() * 2 * math.Pi
		east, north, acc = 200*math.Cos(a), 200*math.Sin(a), 1.7
	}
	q := where.offset(east, north)
	speed := 0.0
	if moving {
		speed = 1 + 4*d.r.Float64()
	}
	sats := -1
	if method == devices.MethodGNSS {
		sats = 7 + d.r.IntN(8)
	}
	o := devices.Observation{
		Serial: serial, Kind: kind, Boot: d.boot, Seq: d.seq, At: t.UTC(),
		Place: &devices.Place{Lon: round7(q.lon), Lat: round7(q.lat), Accuracy: math.Round(acc*10) / 10, Speed: math.Round(speed*10) / 10,
			Satellites: sats, Method: method, Datum: devices.WGS84},
		Health: d.health(t),
	}
	d.seq++
	return o
}

func round7(v float64) float64 { return math.Round(v*1e7) / 1e7 }

// method draws how the place was found: satellites outdoors, a mixture under a roof.
func (d *device) method(moving bool) (m devices.Method, sigma, accuracy float64) {
	u := d.r.Float64()
	switch {
	case moving || u < 0.7:
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
	battery, signal, charging := int(d.battery), -70-d.r.IntN(35), d.charging
	health := devices.Health{Battery: &battery, Charging: &charging, Signal: &signal, Operator: "46000", Cell: fmt.Sprintf("460-00-2861-%d", 100+d.r.IntN(40))}
	if d.wristband {
		health.Strap = devices.StrapClosed
	}
	return health
}
