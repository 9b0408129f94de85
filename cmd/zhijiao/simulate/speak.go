package simulate

import (
	"math/rand/v2"
	"sort"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// Limits of one message: what fits into 16 KiB.
const mostObservations = 60

func (d *device) due() time.Time {
	if len(d.answers) > 0 && d.answers[0].at.Before(d.next) {
		return d.answers[0].at
	}
	return d.next
}

// Demand tells a person's device that it is asked for a confirming fix. It answers within minutes, if it can.
func (w *World) Demand(serial devices.Serial, check id.Check, at time.Time) {
	d, ok := w.bySerial[serial]
	if !ok {
		return
	}
	d.demands++
	r := rand.New(rand.NewPCG(w.people[d.person].seed^0xa115, d.demands))
	w.plan(d, answer{at: at.Add(40*time.Second + time.Duration(r.Int64N(int64(3*time.Minute)))).UTC().Truncate(time.Second), check: check})
}

func (w *World) plan(d *device, a answer) {
	d.answers = append(d.answers, a)
	sort.SliceStable(d.answers, func(a, b int) bool { return d.answers[a].at.Before(d.answers[b].at) })
	w.queue.moved(d)
}

// Tell tells a device something other than a check. It does it within seconds and says so, or that it cannot; it does it once, and says so
// each time it is told.
func (w *World) Tell(serial devices.Serial, m devices.CommandMessage, at time.Time) {
	d, ok := w.bySerial[serial]
	if !ok || m.Kind == devices.CommandCheck || !at.Before(m.Expires) {
		return
	}
	takes := 2 * time.Second
	if m.Kind == devices.CommandLocate {
		takes = 20 * time.Second // to find satellites
	}
	w.plan(d, answer{at: at.Add(takes).UTC().Truncate(time.Second), command: m})
}

// speak lets one device do what it is due for, which may be to say nothing.
func (w *World) speak(d *device) []Message {
	t := d.due()
	if len(d.answers) > 0 && d.answers[0].at.Equal(t) {
		a := d.answers[0]
		d.answers = d.answers[1:]
		if a.command.ID != 0 {
			return w.carryOut(d, t, a.command)
		}
		return w.answer(d, t, a.check)
	}
	if d.wristband {
		return w.wristband(d, t)
	}
	d.next = nextCheckIn(d.r, t)
	if d.under(t, switchedOff, gasping) != nil {
		return nil
	}
	o := d.observe(&w.people[d.person], t, devices.KindCheckIn)
	o.Result = "ok"
	return d.send(t, o, 1)
}

func (w *World) answer(d *device, t time.Time, check id.Check) []Message {
	p := &w.people[d.person]
	switch where, _ := p.at(t); {
	case d.under(t, switchedOff, gasping) != nil:
		return nil
	case d.under(t, leftHome) != nil && where != p.home:
		return nil // nobody is there to answer
	}
	o := d.observe(p, t, devices.KindCheckIn)
	o.Answers, o.Result = check, "ok"
	// Whoever answers a demand holds the phone to the sky until it has satellites.
	o.Place.Method, o.Place.Satellites = devices.MethodGNSS, 9
	if o.Place.Accuracy > 30 {
		where, _ := p.at(t)
		o.Place.Lon, o.Place.Lat, o.Place.Accuracy = round7(where.lon), round7(where.lat), 12
	}
	return d.send(t, o, 1)
}

// carryOut does what a device was told, and says what became of it.
func (w *World) carryOut(d *device, t time.Time, m devices.CommandMessage) []Message {
	if d.off || d.under(t, switchedOff, gasping) != nil {
		return nil
	}
	outcome, again := d.carried[m.ID]
	if !again {
		outcome = devices.OutcomeDone
		switch m.Kind {
		case devices.CommandText, devices.CommandVibrate:
		case devices.CommandLocate:
			if d.under(t, blind) != nil {
				outcome = devices.OutcomeFailed
			}
		case devices.CommandInterval:
			if !d.wristband { // a phone reports when its person does
				outcome = devices.OutcomeUnsupported
				break
			}
			d.every = m.Every
			d.next = t.Add(d.every)
		default:
			outcome = devices.OutcomeUnsupported
		}
		if d.carried == nil {
			d.carried = map[devices.CommandID]devices.CommandOutcome{}
		}
		d.carried[m.ID] = outcome
	}
	var o devices.Observation
	if m.Kind == devices.CommandLocate && outcome == devices.OutcomeDone && !again {
		o = d.observe(&w.people[d.person], t, devices.KindFix)
	} else {
		o = d.say(t, devices.KindStatus)
	}
	o.Command, o.Outcome = m.ID, outcome
	return d.send(t, o, 1)
}

// wristband is a fix an interval; a few are lost, and sometimes the network is away for minutes and they come at once.
func (w *World) wristband(d *device, t time.Time) []Message {
	d.next = t.Add(w.opts.Interval)
	if d.every > 0 {
		d.next = t.Add(d.every)
	}
	at := t.Truncate(time.Second)
	if e := d.under(t, switchedOff, gasping); e != nil {
		return d.die(t, at, e)
	}
	if d.off { // it starts again
		d.off, d.seq = false, 0
		d.boot++
	}
	if d.r.Float64() < 0.02 {
		return nil
	}
	if d.away.IsZero() && d.r.Float64() < 0.0006 {
		d.away = t.Add(time.Duration(4+d.r.IntN(9)) * time.Minute)
		if d.gaps {
			d.away = t.Add(time.Duration(10+d.r.IntN(15)) * time.Minute)
		}
	}
	if d.under(t, blind) != nil {
		return d.send(t, d.say(at, devices.KindStatus), w.opts.Batch)
	}
	return d.send(t, d.observe(&w.people[d.person], at, devices.KindFix), w.opts.Batch)
}

// die falls silent, with a last word where there is one. What was not sent is lost.
func (d *device) die(t, at time.Time, e *effect) []Message {
	if d.off {
		return nil
	}
	d.off = true
	if e.what != gasping {
		d.cached = nil
		return nil
	}
	o := d.say(at, devices.KindStatus)
	battery := 1
	o.Health.LastGasp, o.Health.Battery = "battery", &battery
	return d.send(t, o, 1)
}

// send sends what is there when there is a network and enough of it, oldest first.
func (d *device) send(t time.Time, o devices.Observation, batch int) []Message {
	d.cached = append(d.cached, o)
	if t.Before(d.away) || d.under(t, deaf) != nil {
		d.cut = true
		return nil
	}
	d.away = time.Time{}
	if len(d.cached) < batch {
		return nil
	}
	var out []Message
	for all := d.cached; len(all) > 0; {
		n := 1
		for n < len(all) && n < mostObservations && all[n].Kind == all[0].Kind && all[n].Boot == all[0].Boot {
			n++
		}
		out = append(out, Message{t.UTC(), t.Add(d.skew).UTC(), d.person, d.serial, all[0].Kind, all[:n:n]})
		all = all[n:]
	}
	d.cached = nil
	// The acknowledgement was lost with the connection: the same once more.
	if last := out[len(out)-1]; d.doubles && last.Kind != devices.KindStatus && (d.cut || d.r.IntN(100) == 0) {
		out = append(out, last)
	}
	d.cut = false
	return out
}
