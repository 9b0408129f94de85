package jt808

import (
	"context"
	"sync"
	"time"

	"zhijiao/devices"
)

const (
	maxSettled  = 16 << 10 // commands that are remembered: what is sent again within hours
	doneQueue   = 256
	doneTimeout = 5 * time.Second
)

// settled remembers how terminals answered commands, so that a command that comes again is not carried out again, and tells of
// those that were carried out.
type settled struct {
	mu    sync.Mutex
	by    map[devices.CommandID]Result
	order []devices.CommandID // a ring
	next  int
	queue chan doneCommand
}

type doneCommand struct {
	serial  devices.Serial
	command devices.CommandID
}

func newSettled() settled {
	return settled{by: map[devices.CommandID]Result{}, queue: make(chan doneCommand, doneQueue)}
}

func (s *settled) of(c devices.CommandID) (Result, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, known := s.by[c]
	return r, known
}

func (s *settled) put(c devices.CommandID, r Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.by[c]; !known {
		if len(s.order) < maxSettled {
			s.order = append(s.order, c)
		} else {
			delete(s.by, s.order[s.next])
			s.order[s.next] = c
			s.next = (s.next + 1) % maxSettled
		}
	}
	s.by[c] = r
}

// tell has it told that a command was carried out. With a full queue it is not, and the command comes again.
func (s *settled) tell(serial devices.Serial, c devices.CommandID) {
	select {
	case s.queue <- doneCommand{serial, c}:
	default:
	}
}

func (s *settled) run(g *Gateway) {
	for {
		select {
		case <-g.ctx.Done():
			return
		case d := <-s.queue:
			ctx, cancel := context.WithTimeout(g.ctx, doneTimeout)
			if err := g.o.Done(ctx, d.serial, d.command); err != nil {
				g.metrics.untold.Inc()
				g.o.Log.Warn("a command that was carried out is not recorded so; it will come again", "serial", string(d.serial), "err", err)
			}
			cancel()
		}
	}
}
