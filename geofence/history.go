package geofence

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/internal/id"
)

// History judges again what is stored, without changing anything: to prove what was decided, and to try what might be.
type History struct {
	pool   *pgxpool.Pool
	engine *Engine // for its reading and its prepared zones; it never runs
}

// NewHistory returns the history of a database.
func NewHistory(pool *pgxpool.Pool) *History {
	return &History{pool, &Engine{o: Options{Pool: pool}, log: slog.New(slog.DiscardHandler), cache: newCache()}}
}

// Subjects are those whom evaluation knows, in order.
func (h *History) Subjects(ctx context.Context) ([]id.Subject, error) {
	return subjectsWithState(ctx, h.pool)
}

// read runs do in a transaction that sees one moment of the database and writes nothing.
func (h *History) read(ctx context.Context, do func(tx pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, h.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, do)
}

// facts are those about one subject as they were recorded; zero: now.
func (h *History) facts(ctx context.Context, tx pgx.Tx, s id.Subject, known time.Time) (*Facts, error) {
	out, err := h.engine.readFacts(ctx, tx, []id.Subject{s}, known)
	if err != nil {
		return nil, err
	}
	f := out[s].facts
	f.Version = 1
	return f, nil
}

// Checked is what replay-check found of one violation.
type Checked struct {
	Violation  ViolationID
	Engine     string // the version that decided it
	Identical  bool
	Difference string // the first one, in words; empty when identical
}

// Check derives the violations of a subject again, from stored fixes and versions and with the knowledge they were decided
// on, and compares what comes out byte for byte with what is stored.
func (h *History) Check(ctx context.Context, s id.Subject) (out []Checked, err error) {
	err = h.read(ctx, func(tx pgx.Tx) error {
		list, since, err := loadToCheck(ctx, tx, s)
		if err != nil || len(list) == 0 {
			return err
		}
		// What is known now decides most of them as what was known then did: one pass does for those.
		now, err := h.derived(ctx, tx, s, since, time.Time{})
		if err != nil {
			return err
		}
		then := map[time.Time][]*Episode{}
		for _, v := range list {
			if k := kinds[v.evidence.Opened.Kind]; k != nil && k.company {
				c, err := h.checkCompany(ctx, tx, v)
				if err != nil {
					return err
				}
				out = append(out, c)
				continue
			}
			c := Checked{Violation: v.Violation, Engine: v.engine, Difference: differs(v, now)}
			if known := v.evidence.decided(); c.Difference != "" {
				if then[known] == nil {
					if then[known], err = h.derived(ctx, tx, s, since, known); err != nil {
						return err
					}
				}
				c.Difference = differs(v, then[known])
			}
			c.Identical = c.Difference == ""
			out = append(out, c)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("check the violations of subject %d: %w", s, err)
	}
	return out, nil
}

// checkCompany is Check of a violation that a rule about several people found.
func (h *History) checkCompany(ctx context.Context, tx pgx.Tx, v *episode) (Checked, error) {
	c := Checked{Violation: v.Violation, Engine: v.engine}
	known, err := loadCompanyEpisodes(ctx, tx, v.Rule)
	if err != nil {
		return c, err
	}
	mark, err := companyJudged(ctx, tx, v.Rule)
	if err != nil {
		return c, err
	}
	for _, at := range []time.Time{{}, v.evidence.decided()} { // with what is known now, else with what was known then
		r := companyRound{engine: h.engine, mark: mark, now: farFuture, rule: v.Rule, dirty: v.OpenedAt, known: at}
		if r.facts, err = h.engine.companyFacts(ctx, tx, v.Rule, at); err != nil {
			return c, err
		}
		if !at.IsZero() {
			r.mark = earlier(mark, companyMark(at))
		}
		c.Difference = "no version of its rule"
		if len(r.facts.Rules) > 0 {
			_, derived, err := r.derive(ctx, tx, known)
			if err != nil {
				return c, err
			}
			c.Difference = differs(v, derived[v.Subject])
		}
		if c.Difference == "" {
			break
		}
	}
	c.Identical = c.Difference == ""
	return c, nil
}

// decided is the last instant at which anything of it was decided.
func (h *EvidenceHistory) decided() time.Time {
	at := h.Opened.Now
	for i := range h.Amended {
		at = later(at, h.Amended[i].Now)
	}
	if h.Closed != nil {
		at = later(at, h.Closed.Now)
	}
	return at
}

// derived judges all of a subject's past with what was known at an instant; zero: now.
func (h *History) derived(ctx context.Context, tx pgx.Tx, s id.Subject, since, known time.Time) ([]*Episode, error) {
	f, err := h.facts(ctx, tx, s, known)
	if err != nil {
		return nil, err
	}
	asked, err := loadAsked(ctx, tx, s, time.Time{})
	if err != nil {
		return nil, err
	}
	from, err := firstHeard(ctx, tx, s, since)
	if err != nil {
		return nil, err
	}
	end := known
	if end.IsZero() {
		end = farFuture
	}
	d := NewDerivation(State{}, f, asked, since, from, end)
	d.proving = true
	if err := readPast(ctx, tx, f, Front{At: from}, time.Time{}, known, d.Take); err != nil {
		return nil, err
	}
	if !known.IsZero() {
		d.Finish(known)
	} else if err := d.finishAt(ctx, tx); err != nil {
		return nil, err
	}
	return d.Episodes.List, nil
}

// farFuture is later than anything that was decided.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// finishAt brings the state to where the stored one stands.
func (d *Derivation) finishAt(ctx context.Context, tx pgx.Tx) error {
	front, err := storedFront(ctx, tx, d.Facts.Subject)
	if err == nil {
		d.Finish(front)
	}
	return err
}

// differs is the first difference between a stored violation and what was derived; empty: there is none.
func differs(v *episode, list []*Episode) string {
	var p *Episode
	for _, x := range list {
		if x.Rule == v.Rule && x.Kind == v.Kind && x.At.Equal(v.OpenedAt) {
			p = x
		}
	}
	if p == nil || p.Opened == nil {
		return fmt.Sprintf("nothing of kind %s by rule %d begins at %s", v.Kind, v.Rule, v.OpenedAt.Format(time.RFC3339Nano))
	}
	if p.Opened.RuleVersion != v.RuleVersion || p.Opened.ZoneVersion != v.ZoneVersion {
		return fmt.Sprintf("rule version %d and zone version %d, stored are %d and %d", p.Opened.RuleVersion, p.Opened.ZoneVersion, v.RuleVersion, v.ZoneVersion)
	}
	if d := differ("opened", &p.Opened.Evidence, &v.evidence.Opened); d != "" {
		return d
	}
	if len(p.Amended) < len(v.evidence.Amended) {
		return fmt.Sprintf("%d amendments, stored are %d", len(p.Amended), len(v.evidence.Amended))
	}
	for i := range v.evidence.Amended {
		if d := differ(fmt.Sprintf("amended[%d]", i), &p.Amended[i].Evidence, &v.evidence.Amended[i]); d != "" {
			return d
		}
	}
	switch {
	case v.evidence.Closed == nil:
	case p.Closed == nil:
		return "it does not end"
	case !p.until().Equal(v.ClosedAt):
		return fmt.Sprintf("it ends at %s, stored is %s", p.until().Format(time.RFC3339Nano), v.ClosedAt.Format(time.RFC3339Nano))
	default:
		return differ("closed", &p.Closed.Evidence, v.evidence.Closed)
	}
	return ""
}

// differ compares evidence byte for byte. When it was decided is taken from what is stored: it is part of the question.
func differ(what string, derived, stored *Evidence) string {
	x := *derived
	x.Now = stored.Now
	a, err1 := json.Marshal(&x)
	b, err2 := json.Marshal(stored)
	if err1 != nil || err2 != nil {
		return what + ": cannot be written"
	}
	if bytes.Equal(a, b) {
		return ""
	}
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	from := max(0, i-40)
	return fmt.Sprintf("%s: derived …%s, stored …%s", what, a[from:min(len(a), i+40)], b[from:min(len(b), i+40)])
}

// Trial is a change that was not made: what would have been found with it.
type Trial struct {
	From, Until time.Time    // what began in this interval is told
	Change      func(*Facts) // changes the facts of each subject; nil: as they are
}

// Found is one episode of a trial, or one that is stored.
type Found struct {
	Subject id.Subject
	Body    ViolationBody
}

// Try judges one subject's past with a change, and returns what would have begun in the interval and how many observations
// that took. A day before it is judged as well, so that the interval begins as it did.
func (h *History) Try(ctx context.Context, s id.Subject, t *Trial) (found []Found, observations int, err error) {
	err = h.read(ctx, func(tx pgx.Tx) error {
		f, err := h.facts(ctx, tx, s, time.Time{})
		if err != nil {
			return err
		}
		if t.Change != nil {
			t.Change(f)
		}
		if len(f.Rules) == 0 {
			return nil
		}
		begin, err := begun(ctx, tx, s)
		if err != nil {
			return err
		}
		begin = later(begin, t.From.AddDate(0, 0, -1))
		d := NewDerivation(State{}, f, nil, begin, begin, t.Until)
		d.proving = true
		if err := readPast(ctx, tx, f, Front{At: begin}, t.Until, time.Time{}, d.Take); err != nil {
			return err
		}
		d.Finish(t.Until)
		observations = d.Evaluated
		for _, p := range d.Episodes.List {
			if p.Opened != nil && !p.At.Before(t.From) && p.At.Before(t.Until) {
				found = append(found, Found{s, ViolationBody{Subject: s, Rule: p.Rule, Kind: p.Kind, Channel: p.Opened.Channel, OpenedAt: p.At, ClosedAt: p.until(),
					Basis: p.Opened.Evidence.Basis, Timed: p.Opened.Timed}})
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("judge the past of subject %d with the change: %w", s, err)
	}
	return found, observations, nil
}

// Was is what is stored that began in an interval and was not withdrawn.
func (h *History) Was(ctx context.Context, subjects []id.Subject, from, until time.Time) ([]Found, error) {
	return loadFound(ctx, h.pool, subjects, from, until)
}
