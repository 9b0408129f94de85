package clock

import (
	"sync"
	"time"
)

// never is the wait of who only a change of the clock can wake.
const never = time.Duration(-1)

// waiters are those who asked to be woken at a domain time. The zero value has none.
type waiters struct {
	mu  sync.Mutex
	all map[chan struct{}]struct{} // each holds one signal: one is enough, whoever waits looks at Now again
}

func signal(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// add makes a waiter. in is how long domain time needs to get there as it runs now.
func (ws *waiters) add(in time.Duration) (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	stop := func() bool { return true }
	if in == 0 {
		signal(ch)
	} else if in != never {
		stop = time.AfterFunc(in, func() { signal(ch) }).Stop
	}
	ws.mu.Lock()
	if ws.all == nil {
		ws.all = map[chan struct{}]struct{}{}
	}
	ws.all[ch] = struct{}{}
	ws.mu.Unlock()
	return ch, func() {
		stop()
		ws.mu.Lock()
		delete(ws.all, ch)
		ws.mu.Unlock()
	}
}

// wake signals everybody: the clock changed.
func (ws *waiters) wake() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for ch := range ws.all {
		signal(ch)
	}
}
