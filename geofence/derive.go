package geofence

import (
	"encoding/json"
	"fmt"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// Derivation judges a stretch of one subject's past again, from a state before it and from what history holds, in event
// order. It asks nobody and tells nobody: what comes out is compared with what was said. Pure, like Evaluate.
type Derivation struct {
	State    State
	Facts    *Facts
	Now      time.Time // domain time of this decision
	Asked    *Asked    // what was asked then
	Episodes *Episodes

	Evaluated int     // observations judged
	flags     []moved // those whose flags are others now

	base        *State // as it was before; for comparing
	proving     bool   // nothing is kept on the way: it only proves or tries something
	checkpoints []checkpoint
	asks        map[RuleID]*Ask
	settled     []*Settle
	scratch     []Effect
	in          Input
}

// moved is a stored fix whose flags changed.
type moved struct {
	at        time.Time
	device    id.Device
	boot, seq int64
	flags     Flag
}

// checkpoint is a state as it was when everything up to an instant had been judged.
type checkpoint struct {
	at    time.Time
	state []byte
}

// NewDerivation begins at a checkpoint; where there is none s is the zero State, and it begins where evaluation did (since),
// or where the stretch to derive begins.
func NewDerivation(s State, f *Facts, asked *Asked, since, from, now time.Time) *Derivation {
	if asked == nil {
		asked = &Asked{}
	}
	if s.Since.IsZero() {
		s.begin(f, since, earlier(since, from))
	}
	base := s
	return &Derivation{base: &base, State: s.clone(), Facts: f, Now: now, Asked: asked, Episodes: Standing(&base), asks: map[RuleID]*Ask{}}
}

// Past is one observation out of history.
type Past struct {
	Observation devices.Observation
	Binding     *BindingFact
	Flags       Flag // as stored
}

// fromHistory are the flags of a stored fix that do not depend on what came before it.
const fromHistory = Skewed | Answer

// Take judges the next observation. They come in event order; one that does not is an error.
func (d *Derivation) Take(p *Past) error {
	if !d.proving && d.hour(p.Observation.At) {
		if err := d.keep(); err != nil {
			return err
		}
	}
	in := &d.in
	*in = Input{At: p.Observation.At, Now: d.Now, Observed: &p.Observation, Binding: p.Binding, Flags: p.Flags & fromHistory, Asked: d.Asked}
	d.evaluate(in)
	d.Evaluated++
	if in.Flags&OutOfOrder != 0 {
		return fmt.Errorf("history of subject %d is out of order at %v", d.Facts.Subject, in.At)
	}
	o := &p.Observation
	if o.ReceivedAt.Sub(o.At) > usual.LateAfter { // late when it came, whenever we look at it
		in.Flags |= Late
	} else {
		in.Flags &^= Late
	}
	if o.Place != nil && in.Flags != p.Flags && !d.proving {
		d.flags = append(d.flags, moved{o.At, p.Binding.Device, o.Boot, o.Seq, in.Flags})
	}
	return nil
}

// Finish brings the state to an instant: the present, or where the stretch ends.
func (d *Derivation) Finish(at time.Time) {
	d.evaluate(&Input{At: at, Now: d.Now, Asked: d.Asked})
}

func (d *Derivation) evaluate(in *Input) {
	d.scratch = Evaluate(&d.State, in, d.Facts, d.scratch[:0])
	d.Episodes.Take(d.scratch)
	for i := range d.scratch {
		switch x := &d.scratch[i]; {
		case x.Ask != nil:
			d.asks[x.Ask.Rule] = x.Ask
		case x.Settle != nil && d.asks[x.Settle.Rule] != nil:
			delete(d.asks, x.Settle.Rule) // it was answered before anybody was asked
		case x.Settle != nil:
			d.settled = append(d.settled, x.Settle)
		}
	}
}

// hour reports whether an observation at t begins another hour than the last one judged.
func (d *Derivation) hour(t time.Time) bool {
	return !d.State.Front.At.IsZero() && hourOf(t) != hourOf(d.State.Front.At)
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// keep keeps a checkpoint of the state as it is.
func (d *Derivation) keep() error {
	doc, err := json.Marshal(&d.State)
	if err != nil {
		return fmt.Errorf("state of subject %d: %w", d.Facts.Subject, err)
	}
	d.checkpoints = append(d.checkpoints, checkpoint{d.State.Front.At, doc})
	return nil
}
