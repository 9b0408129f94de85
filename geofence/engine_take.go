package geofence

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/internal/fail"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// subject is one subject while it is evaluated, under the lock of its row.
type subject struct {
	id      id.Subject
	version int64
	number  int64     // facts number of the row
	due     time.Time // next_due of the row; zero: none
	state   State
	known   *subjectFacts
	changed bool

	dirty       time.Time // from here on its past is to be derived again; zero: it is not
	checkpoints []checkpoint
}

// decided is an effect and when, for whom, on what it was decided.
type decided struct {
	effect  Effect
	subject *subject
	now     time.Time // domain time of the decision
	taken   time.Time // machine time at which what decided was taken in
}

// evaluate runs one input and keeps its effects, and the state as it was before when another hour begins. What comes
// behind what was judged makes the subject dirty from there.
func evaluate(s *subject, in *Input, taken time.Time, effects []decided, scratch []Effect) ([]decided, []Effect) {
	if front := s.state.Front.At; !front.IsZero() && hourOf(in.At) > hourOf(front) {
		s.keep()
	}
	scratch = Evaluate(&s.state, in, s.known.facts, scratch[:0])
	s.changed = true
	if in.Flags&OutOfOrder != 0 && (s.dirty.IsZero() || in.At.Before(s.dirty)) {
		s.dirty = in.At
	}
	for i := range scratch {
		effects = append(effects, decided{scratch[i], s, in.Now, taken})
	}
	return effects, scratch
}

// keep keeps a checkpoint of the state as it is.
func (s *subject) keep() {
	doc, err := json.Marshal(&s.state)
	if err != nil { // there is nothing in it that cannot be written
		panic(err)
	}
	s.checkpoints = append(s.checkpoints, checkpoint{s.state.Front.At, doc})
}

// demand is a row of check_demand that an observation says it answers.
type demand struct {
	check   id.Check
	subject id.Subject
	device  id.Device
	command devices.CommandID
	rule    RuleID // 0 where no rule asked
	asked   time.Time
	due     time.Time
	state   string

	answered time.Time
}

// answeredBy reports whether an observation answers the demand: the device it was made of, the person, and in time by
// the device's own account; that it came too late for us is no fault of theirs.
func (d *demand) answeredBy(o *devices.Observation, b *BindingFact) bool {
	return d != nil && b != nil && d.device == b.Device && d.subject == b.Subject && (d.state == "pending" || d.state == "unanswered") &&
		!o.At.Before(d.asked.Add(-skewTolerance)) && !o.At.After(d.due)
}

// taking is one attempt at one batch.
type taking struct {
	engine *Engine
	batch  *Batch
	taken  time.Time // machine time
	now    time.Time

	known    map[devices.Serial]*devices.Known
	bindings map[id.Device][]BindingFact
	subjects map[id.Subject]*subject
	demands  map[id.Check]*demand

	hearing []devices.Hearing
	heard   map[int]uint32 // observations that history holds: low half of their digest
	seen    map[heardKey]uint32

	counts   devices.Counts
	refused  []devices.Refused
	rows     rows
	radios   radioIDs
	days     map[int64]struct{}
	effects  []decided
	scratch  []Effect
	commands []devices.CommandAnswer
	answered []*demand // asked by people or by plan, answered now
	earliest time.Time // of the timers this attempt sets
}

type heardKey struct {
	device    id.Device
	boot, seq int64
}

// run is one attempt within tx. last is why the attempt before failed.
func (t *taking) run(ctx context.Context, tx pgx.Tx, last error) error {
	*t = taking{engine: t.engine, batch: t.batch, taken: t.taken, now: t.engine.o.Clock.Now(), counts: devices.Counts{}, heard: map[int]uint32{},
		seen: map[heardKey]uint32{}, days: map[int64]struct{}{}}
	for kind, n := range t.batch.Received {
		t.counts.Add(kind, devices.Received, "", n)
	}
	if t.batch.Fence != nil {
		if err := t.batch.Fence(ctx, tx); err != nil {
			return err
		}
		fail.Point(fail.Fenced)
	}
	if err := t.lock(ctx, tx); err != nil {
		return err
	}
	fail.Point(fail.Locked)
	if err := t.consultHistory(ctx, tx, errors.Is(last, errHeard)); err != nil {
		return err
	}
	for i := range t.batch.Observations {
		t.take(i)
	}
	for i := range t.batch.Refusals {
		t.refuse(&t.batch.Refusals[i])
	}
	if missing := t.engine.cache.without(t.days); len(missing) > 0 {
		return missing
	}
	fail.Point(fail.Decided)
	return t.write(ctx, tx)
}

// lock locks devices, then subjects, and brings what is known of them.
func (t *taking) lock(ctx context.Context, tx pgx.Tx) (err error) {
	serials := map[devices.Serial]struct{}{}
	checks := map[id.Check]struct{}{}
	for i := range t.batch.Observations {
		o := &t.batch.Observations[i]
		serials[o.Serial] = struct{}{}
		if o.Answers != 0 {
			checks[o.Answers] = struct{}{}
		}
	}
	for i := range t.batch.Refusals {
		if s := t.batch.Refusals[i].Serial; s != "" {
			serials[s] = struct{}{}
		}
	}
	if len(serials) == 0 {
		return nil
	}
	if t.known, err = devices.LockForObserve(ctx, tx, slices.Sorted(maps.Keys(serials))); err != nil {
		return err
	}
	if t.bindings, err = t.engine.loadBindings(ctx, tx, t.known); err != nil {
		return err
	}
	if t.subjects, err = t.engine.lockSubjects(ctx, tx, t.concerned()); err != nil {
		return err
	}
	t.demands, err = loadDemands(ctx, tx, slices.Sorted(maps.Keys(checks)))
	return err
}

// concerned are the subjects the devices of the batch spoke for when they spoke.
func (t *taking) concerned() []id.Subject {
	all := map[id.Subject]struct{}{}
	note := func(s devices.Serial, at time.Time) {
		if k := t.known[s]; k != nil {
			if b := attribute(t.bindings[k.ID], at); b != nil {
				all[b.Subject] = struct{}{}
			}
		}
	}
	for i := range t.batch.Observations {
		note(t.batch.Observations[i].Serial, t.batch.Observations[i].At)
	}
	for i := range t.batch.Refusals {
		note(t.batch.Refusals[i].Serial, t.batch.Refusals[i].At)
	}
	return slices.Sorted(maps.Keys(all))
}

// consultHistory asks the windows, and history for what no window reaches. With all it asks history for everything.
func (t *taking) consultHistory(ctx context.Context, tx pgx.Tx, all bool) error {
	t.hearing = make([]devices.Hearing, len(t.batch.Observations))
	var keys historyKeys
	for i := range t.batch.Observations {
		o := &t.batch.Observations[i]
		k := t.known[o.Serial]
		if k == nil {
			continue
		}
		t.hearing[i] = k.Window.Accept(o.Boot, o.Seq, o.Digest)
		if all && t.hearing[i] == devices.HeardNew {
			t.hearing[i] = devices.HeardBelow
		}
		if t.hearing[i] == devices.HeardBelow {
			var s id.Subject
			if b := attribute(t.bindings[k.ID], o.At); b != nil {
				s = b.Subject
			}
			keys.add(i, k.ID, s, o)
		}
	}
	return keys.look(ctx, tx, t.heard)
}

// take decides on one observation.
func (t *taking) take(i int) {
	o := &t.batch.Observations[i]
	k := t.known[o.Serial]
	if k == nil {
		t.reject(o, 0, devices.UnknownDevice)
		return
	}
	switch t.heardBefore(i, k.ID) {
	case devices.HeardDuplicate:
		t.counts.Add(o.Kind, devices.Duplicate, "", 1)
		return
	case devices.HeardConflict:
		k.Conflicted(o.ReceivedAt)
		t.reject(o, k.ID, devices.SequenceConflict)
		return
	}
	b := attribute(t.bindings[k.ID], o.At)
	var s *subject
	var f *Facts
	var state *State
	if b != nil {
		s = t.subjects[b.Subject]
		f, state = s.known.facts, &s.state
	}
	answered := t.demands[o.Answers]
	if !answered.answeredBy(o, b) {
		answered = nil
	}
	d := lawful(o, k, b, f, state, answered != nil)
	k.Take(o, d.lawful)
	if o.Command != 0 { // what became of a command is nobody's place: it counts whatever the law says of the rest
		t.commands = append(t.commands, devices.CommandAnswer{Device: k.ID, Command: o.Command, Outcome: o.Outcome, At: t.now, DeviceAt: o.At})
	}
	if d.outcome == devices.Withheld {
		t.counts.Add(o.Kind, devices.Withheld, d.reason, 1)
		t.refused = append(t.refused, trace(o, k.ID, devices.Withheld, d.reason))
		return
	}
	t.store(o, k, b, s, d, answered)
}

// heardBefore is what window, history and the batch itself know of an observation.
func (t *taking) heardBefore(i int, device id.Device) devices.Hearing {
	if t.hearing[i] != devices.HeardBelow {
		return t.hearing[i]
	}
	o := &t.batch.Observations[i]
	digest := uint32(o.Digest)
	key := heardKey{device, o.Boot, o.Seq}
	before, ok := t.heard[i]
	if !ok {
		if before, ok = t.seen[key]; !ok {
			t.seen[key] = digest
			return devices.HeardNew
		}
	}
	if before != digest && before != anyDigest {
		return devices.HeardConflict
	}
	return devices.HeardDuplicate
}

// store keeps an observation and has it evaluated.
func (t *taking) store(o *devices.Observation, k *devices.Known, b *BindingFact, s *subject, d disposition, answered *demand) {
	var flags Flag
	if skew, ok := o.Skew(); ok && skew < -skewTolerance {
		flags |= Skewed
	}
	if answered != nil {
		flags |= Answer
	}
	if b != nil {
		flags = t.evaluate(s, o, b, flags)
		if o.Place != nil && b.Class == devices.Phone && answered == nil {
			s.state.Accept(b.Class, o.At)
		}
		if answered != nil && answered.rule == 0 && answered.state == "pending" && o.Place != nil {
			answered.state, answered.answered = "answered", o.At
			t.answered = append(t.answered, answered)
		}
	}
	if o.Place != nil {
		t.days[dayOf(o.At)] = struct{}{}
		t.rows.position(o, k, b, flags, answered != nil)
	}
	switch o.Kind {
	case devices.KindCheckIn:
		t.rows.checkIn(o, k, b, answered != nil)
	case devices.KindStatus:
		t.rows.status(o, k, d.lawful)
	}
	t.counts.Add(o.Kind, devices.Stored, "", 1)
}

// evaluate has an observation judged and returns the flags it has now. The instant of decision is the one of receipt, so
// that what comes out does not depend on how messages fell into batches.
func (t *taking) evaluate(s *subject, o *devices.Observation, b *BindingFact, flags Flag) Flag {
	in := Input{At: o.At, Now: o.ReceivedAt, Observed: o, Binding: b, Flags: flags}
	if in.Now.IsZero() {
		in.Now = t.now
	}
	t.effects, t.scratch = evaluate(s, &in, t.taken, t.effects, t.scratch)
	return in.Flags
}

func (t *taking) reject(o *devices.Observation, k id.Device, r devices.Reason) {
	t.counts.Add(o.Kind, devices.Rejected, r, 1)
	t.refused = append(t.refused, trace(o, k, devices.Rejected, r))
}

// trace is what the quarantine keeps of an observation: everything but what it said.
func trace(o *devices.Observation, k id.Device, outcome devices.Outcome, r devices.Reason) devices.Refused {
	return devices.Refused{ReceivedAt: o.ReceivedAt, Device: k, Serial: o.Serial, Kind: o.Kind, Outcome: outcome, Reason: r,
		Boot: o.Boot, Seq: o.Seq, At: o.At, Size: o.Size, Digest: o.Digest}
}

// refuse quarantines what could not be opened.
func (t *taking) refuse(r *Refusal) {
	t.counts.Add(r.Kind, devices.Rejected, r.Fault.Reason, 1+r.More)
	if r.Silent {
		return
	}
	q := devices.Refused{ReceivedAt: t.now, Serial: r.Serial, Kind: r.Kind, Outcome: devices.Rejected, Reason: r.Fault.Reason,
		Field: r.Fault.Field, Boot: r.Boot, Seq: r.Seq, At: r.At, Size: r.Size, Digest: r.Digest, Payload: r.Payload, Stands: r.Stands}
	if k := t.known[r.Serial]; k != nil {
		q.Device = k.ID
		if b := attribute(t.bindings[k.ID], r.At); b != nil {
			q.Keep = mayKeep(r, k, b, t.subjects[b.Subject].known.facts, t.now)
		}
	}
	t.refused = append(t.refused, q)
}

// write writes what was decided: history, health and state, then what hangs on them, the ledger last.
func (t *taking) write(ctx context.Context, tx pgx.Tx) error {
	if err := noteCompanyLate(ctx, tx, t.rows.earliest()); err != nil {
		return err
	}
	var err error
	if t.radios, err = t.engine.radios(ctx, tx, t.rows.p.radio, t.now); err != nil {
		return err
	}
	if err := t.rows.insert(ctx, tx, t.radios); err != nil {
		return err
	}
	fail.Point(fail.Written)
	known := slices.SortedFunc(maps.Values(t.known), func(a, b *devices.Known) int { return int(a.ID - b.ID) })
	if err := devices.SaveHeard(ctx, tx, known); err != nil {
		return err
	}
	if t.earliest, err = saveStates(ctx, tx, t.subjects, t.now); err != nil {
		return err
	}
	if err := devices.Quarantine(ctx, tx, t.engine.o.Keys, t.refused); err != nil {
		return err
	}
	if err := devices.SaveCounts(ctx, tx, t.batch.Partition, t.counts); err != nil {
		return err
	}
	entries, err := t.engine.apply(ctx, tx, t.effects)
	if err != nil {
		return err
	}
	more, err := settleAnswered(ctx, tx, t.answered, t.subjects, t.now)
	if err != nil {
		return err
	}
	if err := devices.AnswerCommands(ctx, tx, t.commands...); err != nil {
		return err
	}
	fail.Point(fail.Applied)
	entries = append(append(entries, more...), devices.Conflicts(known, t.now)...)
	if err := ledger.Append(ctx, tx, entries...); err != nil {
		return err
	}
	fail.Point(fail.BeforeCommit)
	return nil
}
