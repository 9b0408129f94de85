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

// settled remembers how terminals answered commands, so that a command that comes again is not carried out again, and tells
// what they answered.
type settled struct {
	mu    sync.Mutex
	by    map[devices.CommandID]Result
	order []devices.CommandID // a ring
	next  int
	queue chan saidCommand
}

type saidCommand struct {
	serial devices.Serial
	answer devices.CommandAnswer
}

func newSettled() settled {
	return settled{by: map[devices.CommandID]Result{}, queue: make(chan saidCommand, doneQueue)}
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

// tell has it told what became of a command. With a full queue it is not, and the command comes again.
func (s *settled) tell(serial devices.Serial, a devices.CommandAnswer) {
	select {
	case s.queue <- saidCommand{serial, a}:
	default:
	}
}

// outcomeOf is what a general reply means. Only what the terminal never can is not tried again.
func outcomeOf(r Result) (o devices.CommandOutcome, reason string) {
	switch r {
	case Success:
		return devices.OutcomeDone, ""
	case Unsupported:
		return devices.OutcomeUnsupported, ""
	}
	return devices.OutcomeReceived, devices.ReasonRefused
}

func (s *settled) run(g *Gateway) {
	for {
		select {
		case <-g.ctx.Done():
			return
		case d := <-s.queue:
			ctx, cancel := context.WithTimeout(g.ctx, doneTimeout)
			if err := g.o.Answer(ctx, d.serial, d.answer); err != nil {
				g.metrics.untold.Inc()
				g.o.Log.Warn("what a terminal said of a command is not recorded; the command will come again", "serial", string(d.serial), "err", err)
			}
			cancel()
		}
	}
}
