package geofence

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// EvidenceHistory is everything an episode was decided on: column evidence of violation.
type EvidenceHistory struct {
	Opened  Evidence   `json:"opened"`
	Amended []Evidence `json:"amended,omitempty"`
	Closed  *Evidence  `json:"closed,omitempty"`
	// Superseded is what was said before the past was derived again, oldest first: it stays on the record.
	Superseded []Superseded `json:"superseded,omitempty"`
}

// Superseded is an episode as an earlier version told it.
type Superseded struct {
	Version  int            `json:"version"`
	Until    time.Time      `json:"until"` // domain time at which it was corrected
	State    ViolationState `json:"state"`
	OpenedAt time.Time      `json:"opened_at"`
	ClosedAt time.Time      `json:"closed_at,omitzero"`
	Opened   Evidence       `json:"opened"`
	Amended  []Evidence     `json:"amended,omitempty"`
	Closed   *Evidence      `json:"closed,omitempty"`
}

// episode is a violation while effects are applied to it.
type episode struct {
	ViolationBody
	evidence EvidenceHistory
	engine   string // version that decided it; read where it matters
	fresh    bool   // not in the database yet
	dirty    bool
}

type episodeKey struct {
	subject id.Subject
	rule    RuleID
	kind    ViolationKind
}

// pendingCheck is a demand a rule made while effects are applied to it.
type pendingCheck struct {
	because  time.Time
	check    id.Check
	command  devices.CommandID // 0: not sent yet
	subject  id.Subject
	device   id.Device
	rule     RuleID
	asked    time.Time
	due      time.Time
	state    string
	answered time.Time
	fresh    bool
	dirty    bool
}

type checkKey struct {
	subject id.Subject
	rule    RuleID
}

// applying is what effects are applied to: what is open, as the transaction found it and as it leaves it.
type applying struct {
	engine   *Engine
	open     map[episodeKey]*episode
	episodes []*episode // touched, in order
	checks   map[checkKey]*pendingCheck
	touched  []*pendingCheck
	entries  []ledger.Entry
	ids      []ViolationID // numbers for those that open
	why      *Why          // the past is derived again, because
	checkIDs []id.Check
}

// apply turns effects into rows and returns what the ledger is to be told, in order.
func (e *Engine) apply(ctx context.Context, tx pgx.Tx, effects []decided) ([]ledger.Entry, error) {
	if len(effects) == 0 {
		return nil, nil
	}
	subjects := map[id.Subject]struct{}{}
	opens, asks := 0, 0
	for i := range effects {
		subjects[effects[i].subject.id] = struct{}{}
		if effects[i].effect.Open != nil {
			opens++
		}
		if effects[i].effect.Ask != nil {
			asks++
		}
	}
	a, err := loadApplying(ctx, tx, slices.Sorted(maps.Keys(subjects)), opens, asks)
	if err != nil {
		return nil, err
	}
	a.engine = e
	for i := range effects {
		if err := a.one(&effects[i]); err != nil {
			return nil, err
		}
	}
	if err := a.write(ctx, tx); err != nil {
		return nil, err
	}
	return a.entries, nil
}

func (a *applying) one(d *decided) error {
	switch x := &d.effect; {
	case x.Open != nil:
		return a.opened(d, x.Open)
	case x.Amend != nil:
		return a.amended(d, x.Amend)
	case x.Close != nil:
		return a.closed(d, x.Close)
	case x.Ask != nil:
		return a.asked(d, x.Ask)
	case x.Settle != nil:
		return a.settled(d, x.Settle)
	}
	return nil
}

func (a *applying) opened(d *decided, f *Finding) error {
	key := episodeKey{d.subject.id, f.Rule, f.Kind}
	if a.open[key] != nil { // the state forgot what the table holds: it is the same episode
		a.engine.log.Warn("a violation opens that is open", "violation_id", a.open[key].Violation, "kind", string(f.Kind))
		return a.amended(d, f)
	}
	return a.tell(d, a.fresh(d, f), ViolationOpenedEntry)
}

// fresh is the episode that a finding opens, with its number.
func (a *applying) fresh(d *decided, f *Finding) *episode {
	v := &episode{fresh: true, evidence: EvidenceHistory{Opened: f.Evidence}, ViolationBody: ViolationBody{
		Violation: a.ids[0], Subject: d.subject.id, Org: d.subject.known.office(d.now), Rule: f.Rule, RuleVersion: f.RuleVersion, Zone: f.Zone,
		ZoneVersion: f.ZoneVersion, Kind: f.Kind, Channel: f.Channel, State: ViolationOpen, OpenedAt: f.At, DecidedAt: d.now, Late: f.Late, Timed: f.Timed,
		Basis: f.Evidence.Basis}}
	a.ids = a.ids[1:]
	a.open[episodeKey{d.subject.id, f.Rule, f.Kind}] = v
	v.summarise(&f.Evidence)
	return v
}

// end is told when and on what the condition ended.
func (v *episode) end(f *Finding) {
	v.State, v.ClosedAt = ViolationClosed, later(f.At, v.OpenedAt)
	v.evidence.Closed = &f.Evidence
}

// supersede keeps what was said so far, because it is about to be corrected.
func (v *episode) supersede(now time.Time) {
	e := &v.evidence
	e.Superseded = append(e.Superseded, Superseded{v.Version, now, v.State, v.OpenedAt, v.ClosedAt, e.Opened, e.Amended, e.Closed})
}

func (a *applying) amended(d *decided, f *Finding) error {
	v := a.open[episodeKey{d.subject.id, f.Rule, f.Kind}]
	if v == nil {
		a.engine.log.Warn("a violation is amended that is not open", "kind", string(f.Kind))
		return nil
	}
	v.evidence.Amended = append(v.evidence.Amended, f.Evidence)
	v.summarise(&f.Evidence)
	return a.tell(d, v, ViolationAmendedEntry)
}

func (a *applying) closed(d *decided, f *Finding) error {
	key := episodeKey{d.subject.id, f.Rule, f.Kind}
	v := a.open[key]
	if v == nil {
		a.engine.log.Warn("a violation closes that is not open", "kind", string(f.Kind))
		return nil
	}
	delete(a.open, key)
	v.end(f)
	return a.tell(d, v, ViolationClosedEntry)
}

// tell has a new version of the episode written and the ledger told of it.
func (a *applying) tell(d *decided, v *episode, kind string) error {
	v.Version++
	v.TakenInAt, v.Why = d.taken, a.why
	if !v.dirty {
		v.dirty = true
		a.episodes = append(a.episodes, v)
	}
	body, err := json.Marshal(&v.ViolationBody)
	if err != nil {
		return fmt.Errorf("body of a violation: %w", err)
	}
	a.entries = append(a.entries, ledger.Entry{At: d.now, Kind: kind, Org: v.Org, Subject: v.Subject, Entity: "violation",
		EntityID: int64(v.Violation), Version: v.Version, Body: body})
	return nil
}

// summarise tells what of the evidence is no coordinate: of the fix that decided last.
func (v *episode) summarise(e *Evidence) {
	v.HeardAt, v.Fixes = e.HeardAt, len(e.Fixes)
	if v.Fixes > 0 {
		last := &e.Fixes[v.Fixes-1]
		v.MarginCM, v.AccuracyCM = last.Margin, last.Accuracy
	}
}

// CheckBody is what the ledger tells of a demand (kinds check.asked, .answered, .unanswered, .withdrawn).
type CheckBody struct {
	Check  id.Check  `json:"check_id"`
	Device id.Device `json:"device_id"`
	Rule   RuleID    `json:"rule_id,omitempty"`
	Due    time.Time `json:"due_at"`
}

func (a *applying) asked(d *decided, x *Ask) error {
	key := checkKey{d.subject.id, x.Rule}
	if old := a.checks[key]; old != nil { // one at a time
		if err := a.settle(d, old, x.At, "withdrawn"); err != nil {
			return err
		}
	}
	c := &pendingCheck{because: x.Because, check: a.checkIDs[0], subject: d.subject.id, device: x.Device, rule: x.Rule, asked: x.At, due: x.Due, state: "pending", fresh: true}
	a.checkIDs = a.checkIDs[1:]
	a.checks[key] = c
	return a.tellCheck(d, c, "check.asked")
}

func (a *applying) settled(d *decided, x *Settle) error {
	c := a.checks[checkKey{d.subject.id, x.Rule}]
	if c == nil {
		a.engine.log.Warn("a check is settled that is not pending", "rule_id", x.Rule)
		return nil
	}
	return a.settle(d, c, x.At, x.state())
}

// state is what becomes of the demand.
func (x *Settle) state() string {
	switch {
	case x.Answered:
		return "answered"
	case x.Withdrawn:
		return "withdrawn"
	}
	return "unanswered"
}

func (a *applying) settle(d *decided, c *pendingCheck, at time.Time, state string) error {
	delete(a.checks, checkKey{c.subject, c.rule})
	c.state = state
	if state == "answered" {
		c.answered = at
	}
	return a.tellCheck(d, c, "check."+state)
}

func (a *applying) tellCheck(d *decided, c *pendingCheck, kind string) error {
	if !c.dirty {
		c.dirty = true
		a.touched = append(a.touched, c)
	}
	e, err := checkEntry(kind, d.subject.known.office(d.now), c.subject, CheckBody{c.check, c.device, c.rule, c.due}, d.now)
	a.entries = append(a.entries, e)
	return err
}

func checkEntry(kind string, org id.Org, s id.Subject, b CheckBody, now time.Time) (ledger.Entry, error) {
	body, err := json.Marshal(b)
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("body of a check: %w", err)
	}
	version := 2
	if kind == "check.asked" {
		version = 1
	}
	return ledger.Entry{At: now, Kind: kind, Org: org, Subject: s, Entity: "check", EntityID: int64(b.Check), Version: version, Body: body}, nil
}

// command is what is sent to the device for a demand; nothing once it is settled.
func (c *pendingCheck) newCommand() devices.NewCommand {
	return devices.NewCommand{Device: c.device, Kind: devices.CommandCheck, Check: c.check, Due: c.due, At: c.asked, ExpiresAt: c.due}
}
