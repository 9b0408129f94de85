package ingest

import (
	"time"

	"zhijiao/devices"
	"zhijiao/geofence"
)

const (
	// backlogAge is how old the newest observation of a message is when it counts as backlog: the device kept it while it could not
	// send. What is younger is live.
	backlogAge = 2 * time.Minute
	// limitAgain is how often a trace is left of a device that goes on sending too much, with how much it was.
	limitAgain = time.Minute
	// limitMemory is how many devices a lane remembers before it forgets those whose buckets are full again.
	limitMemory = 8192
)

// Limit is how many messages a device may send: Rate a second on the long run, Burst of them at once, and Backlog at once of what it
// kept while it could not send. A Rate of zero is no limit. The time is domain time.
type Limit struct {
	Rate, Burst, Backlog float64
}

// limiter is a lane's: what a device says always goes through the same one, so it needs no lock.
//
// What is over the limit is refused and not delayed: a message that is not acknowledged holds a place in the window that all devices
// of a partition share, and a flood that is acknowledged slowly would slow everybody. And a backlog has a bucket of its own, far
// larger, because what a device kept while it was out of reach comes all at once when it is back, and is what it was kept for.
type limiter struct {
	Limit
	devices map[devices.Serial]*bucket
	sweep   int // how many devices there may be before the next sweep
}

type bucket struct {
	live, backlog float64 // messages that may come now
	at            time.Time
	untold        int64     // messages refused since the last trace
	told          time.Time // when that was
}

// admit says whether a message received at an instant may pass, newest being when its newest observation was made; zero: it has none. A message that
// the broker delivers again was admitted before.
func (l *limiter) admit(serial devices.Serial, at, newest time.Time, again bool) bool {
	if l.Rate <= 0 || again || serial == "" {
		return true
	}
	b := l.bucket(serial, at)
	tokens := &b.live
	if !newest.IsZero() && at.Sub(newest) >= backlogAge {
		tokens = &b.backlog
	}
	if *tokens < 1 {
		return false
	}
	*tokens--
	return true
}

// bucket is the device's, filled up to now.
func (l *limiter) bucket(serial devices.Serial, at time.Time) *bucket {
	b := l.devices[serial]
	if b == nil {
		if len(l.devices) >= max(l.sweep, limitMemory) {
			l.forget(at)
		}
		b = &bucket{live: l.Burst, backlog: l.Backlog, at: at}
		l.devices[serial] = b
		return b
	}
	l.fill(b, at)
	return b
}

func (l *limiter) fill(b *bucket, at time.Time) {
	passed := at.Sub(b.at).Seconds()
	if passed <= 0 { // a clock that went back gives nothing and takes nothing
		return
	}
	b.live, b.backlog, b.at = min(l.Burst, b.live+passed*l.Rate), min(l.Backlog, b.backlog+passed*l.Rate), at
}

// forget drops the devices of which a new bucket would say the same.
func (l *limiter) forget(at time.Time) {
	for serial, b := range l.devices {
		if l.fill(b, at); b.live >= l.Burst && b.backlog >= l.Backlog && b.untold == 0 {
			delete(l.devices, serial)
		}
	}
	l.sweep = 2 * len(l.devices)
}

// refuse is what is left of a message over the limit: counted like any, with a trace once a minute that says how many it stands for.
func (l *limiter) refuse(serial devices.Serial, kind devices.Kind, observations, size int, at time.Time) item {
	b := l.devices[serial]
	b.untold++
	r := &geofence.Refusal{Serial: serial, Kind: kind, Boot: -1, Seq: -1, Size: size, Fault: limited, More: int64(observations) - 1, Silent: true}
	if b.told.IsZero() || at.Sub(b.told) >= limitAgain {
		r.Silent, r.Stands = false, b.untold
		b.told, b.untold = at, 0
	}
	return item{refusal: r}
}

// overdue are traces of floods that have ended, each for what the last trace did not tell.
func (l *limiter) overdue(at time.Time) (out []item) {
	for serial, b := range l.devices {
		if b.untold > 0 && at.Sub(b.told) >= limitAgain {
			out = append(out, item{refusal: &geofence.Refusal{Serial: serial, Kind: devices.KindUnknown, Boot: -1, Seq: -1, Fault: limited, More: -1, Stands: b.untold}})
			b.told, b.untold = at, 0
		}
	}
	return out
}

var limited = devices.Fault{Reason: devices.RateLimited, Detail: "more messages than a device may send"}

// newestOf is when the newest observation of a message was made.
func newestOf(items []item) (newest time.Time) {
	for _, it := range items {
		at := time.Time{}
		if it.observation != nil {
			at = it.observation.At
		} else {
			at = it.refusal.At
		}
		if at.After(newest) {
			newest = at
		}
	}
	return newest
}
