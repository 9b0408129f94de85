package enrolment

import (
	"sync"
	"time"
)

const (
	addressBurst = 10 // tries of one address at once, then one in addressEvery
	addressEvery = 30 * time.Second
	wholeBurst   = 100 // of all addresses together, then one in wholeEvery
	wholeEvery   = 200 * time.Millisecond
	addressesMax = 10_000 // remembered
)

// limiter bounds how often one address may try, and all of them together: behind a mobile network many devices have one address, and
// somebody with many addresses has one installation before him.
type limiter struct {
	mu    sync.Mutex
	seen  map[string]bucket
	whole bucket
}

type bucket struct {
	spent float64 // tries that are not yet forgotten
	at    time.Time
}

// after is the bucket at now, with what was spent and is forgotten by then.
func (b bucket) after(now time.Time, every time.Duration) bucket {
	if d := now.Sub(b.at); d > 0 {
		b.spent = max(0, b.spent-float64(d)/float64(every))
	}
	b.at = now
	return b
}

// wait is how long until the bucket takes another try.
func (b bucket) wait(burst int, every time.Duration) time.Duration {
	return max(0, time.Duration((b.spent+1-float64(burst))*float64(every)))
}

// take uses one try, or says how long to wait. A try that is refused for one bucket is spent of none.
func (l *limiter) take(address string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.whole = l.whole.after(now, wholeEvery)
	b := l.seen[address].after(now, addressEvery)
	if wait := max(b.wait(addressBurst, addressEvery), l.whole.wait(wholeBurst, wholeEvery)); wait > 0 {
		return wait
	}
	b.spent++
	l.whole.spent++
	l.seen[address] = b
	if len(l.seen) > addressesMax {
		for k, v := range l.seen {
			if v.after(now, addressEvery).spent == 0 {
				delete(l.seen, k)
			}
		}
		if len(l.seen) > addressesMax { // the bucket of all bounds them meanwhile
			clear(l.seen)
		}
	}
	return 0
}
