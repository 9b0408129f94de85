package broker

import "time"

const (
	reportQueue  = 1024
	reportAgain  = time.Minute // the same attempt is reported this often, with how many there were
	reportMemory = 4096        // attempts remembered
)

// Violation is something a client tried and was refused.
type Violation struct {
	Act     Act
	Client  string // client id as given; at most 64 bytes
	Remote  string // address
	Detail  string // refused subject, or the reason of a refused connection
	Repeats int    // how often the same was tried since it was last reported
}

// use is a secret that a device came with while others of its were good.
type use struct {
	serial string
	mac    []byte
}

// used tells which secret a device came with where that matters.
func (b *Broker) used(serial string, mac []byte) {
	if b.opts.OnUsed == nil || !b.admissions.several(serial) {
		return
	}
	select {
	case b.uses <- use{serial, mac}:
	default:
	}
}

// Act is what was refused.
type Act string

const (
	ActConnect   Act = "connect"
	ActPublish   Act = "publish"
	ActSubscribe Act = "subscribe"
)

// attempt is what makes two violations the same one.
type attempt struct {
	act            Act
	client, detail string
}

type reported struct {
	at      time.Time
	repeats int
}

// reporter decides what is said again. A device with a wrong secret knocks several times a second for as long as it has
// power: that is one fact and a number, not a million lines of audit.
type reporter struct {
	seen map[attempt]*reported
}

// due says whether v is to be reported now, and completes it.
func (r *reporter) due(v *Violation, now time.Time) bool {
	key := attempt{v.Act, v.Client, v.Detail}
	last, known := r.seen[key]
	if known && now.Sub(last.at) < reportAgain {
		last.repeats++
		return false
	}
	if known {
		v.Repeats = last.repeats
	} else if len(r.seen) >= reportMemory {
		r.forget(now)
	}
	r.seen[key] = &reported{at: now}
	return true
}

// forget makes room: what was reported a while ago first, and everything when that is not enough.
func (r *reporter) forget(now time.Time) {
	for key, last := range r.seen {
		if now.Sub(last.at) >= reportAgain {
			delete(r.seen, key)
		}
	}
	if len(r.seen) >= reportMemory {
		clear(r.seen)
	}
}

// violated counts what the log told us. It is called under the server's log lock and must be quick.
func (b *Broker) violated(v Violation) {
	b.metrics.violations.WithLabelValues(string(v.Act)).Inc()
	b.report(v)
}

func (b *Broker) report(v Violation) {
	select {
	case b.reports <- v:
	default:
		b.metrics.unreported.Inc()
	}
}

func (b *Broker) deliverReports() {
	r := reporter{seen: map[attempt]*reported{}}
	for {
		select {
		case <-b.stop:
			return
		case u := <-b.uses:
			b.opts.OnUsed(u.serial, u.mac)
		case v := <-b.reports:
			if !r.due(&v, time.Now()) {
				continue
			}
			b.log.Warn("a client was refused", "act", string(v.Act), "client", v.Client, "remote", v.Remote,
				"detail", v.Detail, "repeats", v.Repeats)
			if b.opts.OnViolation != nil {
				b.opts.OnViolation(v)
			}
		}
	}
}
