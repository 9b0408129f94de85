package console

import (
	"sync"
	"time"
)

// limiter bounds how often one address may try to log in, so that guessing is slow and nobody is locked out by another's
// guesses: twenty at once, then one in three seconds.
type limiter struct {
	mu   sync.Mutex
	seen map[string]bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

const (
	loginBurst = 20
	loginEvery = 3 * time.Second
	limiterMax = 10_000 // addresses remembered; beyond that the full buckets go
)

func newLimiter() *limiter { return &limiter{seen: map[string]bucket{}} }

// take uses one try, or says how long to wait.
func (l *limiter) take(client string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.seen[client]
	if !ok {
		b = bucket{loginBurst, now}
	}
	b.tokens = min(loginBurst, b.tokens+float64(now.Sub(b.at))/float64(loginEvery))
	b.at = now
	if b.tokens < 1 {
		l.seen[client] = b
		return time.Duration((1 - b.tokens) * float64(loginEvery))
	}
	b.tokens--
	l.seen[client] = b
	if len(l.seen) > limiterMax {
		for k, v := range l.seen {
			if now.Sub(v.at) > loginBurst*loginEvery {
				delete(l.seen, k)
			}
		}
	}
	return 0
}

// clear forgets the tries of an address that logged in.
func (l *limiter) clear(client string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.seen, client)
}
