package osmand

import (
	"sync"
	"time"
)

const (
	wrongRate, wrongBurst     = 1. / 3, 20 // wrong secrets a second for one tracker from one address, in the long run and at once
	trackerRate, trackerBurst = 20, 200    // requests of one tracker
	traceRate, traceBurst     = 5, 50      // traces: whoever sends nonsense must not keep the database busy
	maxLimits                 = 100_000    // of whom it is remembered; then all are forgotten
)

// limits are rates, one for each key: so many a second, and no more than a burst of them saved.
type limits[K comparable] struct {
	rate, burst float64
	mu          sync.Mutex
	by          map[K]bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

func newLimits[K comparable](rate, burst float64) *limits[K] {
	return &limits[K]{rate: rate, burst: burst, by: map[K]bucket{}}
}

// take takes one, or says how long to wait for it.
func (l *limits[K]) take(key K) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.now(key)
	if b.tokens < 1 {
		return l.until(b)
	}
	b.tokens--
	if len(l.by) >= maxLimits {
		clear(l.by)
	}
	l.by[key] = b
	return 0
}

// wait is how long there is none to take.
func (l *limits[K]) wait(key K) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.now(key); b.tokens < 1 {
		return l.until(b)
	}
	return 0
}

func (l *limits[K]) now(key K) bucket {
	now := time.Now()
	b, seen := l.by[key]
	if !seen {
		return bucket{l.burst, now}
	}
	return bucket{min(l.burst, b.tokens+l.rate*now.Sub(b.at).Seconds()), now}
}

func (l *limits[K]) until(b bucket) time.Duration {
	return time.Duration((1 - b.tokens) / l.rate * float64(time.Second))
}
