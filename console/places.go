package console

import (
	"context"
	"encoding/json"
	"time"

	"zhijiao/geofence"
	"zhijiao/internal/id"
)

const (
	// overlap is how far each look goes back over what was looked at before: a row is written before it is committed.
	overlap = 10 * time.Second
	// officesEvery is how often it is read which office supervises whom, besides when the ledger says that it changed: an
	// interval may begin by itself.
	officesEvery = 15 * time.Second
)

// places is where every subject is, as websockets are told of it. One look a second for the whole process, whoever wrote.
// What changed in a look has the look's number, so that a client is told all it missed, and each subject once.
type places struct {
	look    int64
	known   map[id.Subject]*place
	changed []id.Subject // in the last look
	since   time.Time    // machine time of the database up to which was read
	offices map[id.Subject]id.Org
	states  map[id.Subject]string
	readAt  time.Time // when offices were read
}

// place is one subject's. A change makes a new one: clients may hold the old.
type place struct {
	look int64
	org  id.Org // who supervises now; 0: nobody, and nobody is told
	at   geofence.Current
	view json.RawMessage
}

type movedView struct {
	Subject int64 `json:"subject_id"`
	positionView
	State string `json:"state"`
}

// found is what one look at the database brought.
type found struct {
	offices map[id.Subject]id.Org // nil: as before
	states  map[id.Subject]string // nil: as before
	current []geofence.Current
}

// read asks the database for what may have changed.
func (p *places) read(ctx context.Context, s *Server, officesDue, statesDue bool) (f found, err error) {
	now := s.Clock.Now()
	roots, err := s.Supervision.Roots(ctx)
	if err != nil {
		return f, err
	}
	if officesDue {
		if f.offices, err = s.offices(ctx, s.Pool, now); err != nil {
			return f, err
		}
	}
	if statesDue {
		f.states = map[id.Subject]string{}
	}
	since := time.Time{}
	if !p.since.IsZero() {
		since = p.since.Add(-overlap)
	}
	for _, root := range roots {
		current, err := geofence.CurrentPositions(ctx, s.Pool, root.ID, now, since)
		if err != nil {
			return f, err
		}
		f.current = append(f.current, current...)
		if !statesDue {
			continue
		}
		states, err := s.statesOf(ctx, s.Pool, root.ID, now)
		if err != nil {
			return f, err
		}
		for subject, state := range states {
			f.states[subject] = state
		}
	}
	return f, nil
}

// take makes what was found the newest look. It holds for all clients at once: the caller has the hub's lock.
func (p *places) take(f found) error {
	p.look++
	p.changed = p.changed[:0:0] // clients may be reading the old one
	touched := map[id.Subject]geofence.Current{}
	for _, c := range f.current {
		if c.WrittenAt.After(p.since) {
			p.since = c.WrittenAt
		}
		if was := p.known[c.Subject]; was == nil || !was.at.WrittenAt.Equal(c.WrittenAt) {
			touched[c.Subject] = c
		}
	}
	if f.offices != nil || f.states != nil {
		offices, states := p.offices, p.states
		if f.offices != nil {
			offices = f.offices
		}
		if f.states != nil {
			states = f.states
		}
		for subject, was := range p.known {
			if _, moved := touched[subject]; !moved && (was.org != offices[subject] || states[subject] != p.states[subject]) {
				touched[subject] = was.at
			}
		}
		p.offices, p.states = offices, states
	}
	for subject, at := range touched {
		state := p.states[subject]
		if state == "" {
			state = stateOK
		}
		view, err := json.Marshal(movedView{int64(subject), viewPosition(&at), state})
		if err != nil {
			return err
		}
		p.known[subject] = &place{p.look, p.offices[subject], at, view}
		p.changed = append(p.changed, subject)
	}
	return nil
}

// after is what changed after a look within some organisations; after look 0, everything.
func (p *places) after(look int64, orgs map[id.Org]bool) []json.RawMessage {
	var out []json.RawMessage
	add := func(at *place) {
		if at.look > look && orgs[at.org] {
			out = append(out, at.view)
		}
	}
	switch {
	case look == p.look:
	case look == p.look-1 && look > 0:
		for _, subject := range p.changed {
			add(p.known[subject])
		}
	default:
		for _, at := range p.known {
			add(at)
		}
	}
	return out
}
