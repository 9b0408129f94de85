package supervision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// Rules is told what a decision means to the rules somebody is held to, in the decision's own transaction.
type Rules interface {
	Change(ctx context.Context, tx pgx.Tx, by id.Account, now time.Time, changes []RuleChange) error
}

// Words is what was written in a step, in words. It is kept sealed.
type Words struct {
	Text        string `json:"text,omitempty"`
	Destination string `json:"destination,omitempty"`
}

// TakenStep is a step as it was taken.
type TakenStep struct {
	N          int
	Step       Step
	At         time.Time // when it happened
	RecordedAt time.Time
	Account    id.Account
	Officer    id.Officer
	Body       json.RawMessage // what was given, without words
	Words      Words           // only where it was asked for
}

// ActorOf is who an account acts as: its officer, with what that officer may.
func ActorOf(ctx context.Context, q Querier, account id.Account, client string) (Actor, error) {
	a := Actor{Account: account, Client: client}
	err := q.QueryRow(ctx, `SELECT coalesce(o.officer_id, 0), coalesce(o.name, ''), coalesce(o.kind, ''), coalesce(o.duty = 'county_head', false), coalesce(o.juvenile_team, false), coalesce(o.org_id, a.org_id), g.kind
		FROM account a LEFT JOIN officer o USING (officer_id) JOIN org g ON g.org_id = coalesce(o.org_id, a.org_id) WHERE a.account_id = $1`, account).
		Scan(&a.Officer, &a.Name, &a.Kind, &a.Head, &a.Team, &a.Org, &a.OrgKind)
	if err != nil {
		return a, fmt.Errorf("read who acts: %w", err)
	}
	return a, nil
}

// ActorByOfficer is an officer who acts without an account: on the command line.
func ActorByOfficer(ctx context.Context, q Querier, officer id.Officer) (Actor, error) {
	a := Actor{Officer: officer, Client: "command line"}
	err := q.QueryRow(ctx, `SELECT o.name, o.kind, o.duty = 'county_head', o.juvenile_team, o.org_id, g.kind FROM officer o JOIN org g USING (org_id) WHERE officer_id = $1`, officer).
		Scan(&a.Name, &a.Kind, &a.Head, &a.Team, &a.Org, &a.OrgKind)
	if errors.Is(err, pgx.ErrNoRows) {
		return a, ErrNotFound
	}
	return a, err
}

// OpenProceeding opens a proceeding about a subject with its first step. of is the one it goes on from, where there is one.
func (s *Store) OpenProceeding(ctx context.Context, a Actor, kind ProceedingKind, subject id.Subject, of int64, in Input) (Proceeding, error) {
	p := Proceeding{Kind: kind, Subject: subject, Of: of}
	if _, ok := machine[kind]; !ok {
		return p, &FieldError{"kind", Malformed, "there is no such proceeding"}
	}
	err := s.change(ctx, "open a proceeding", func(tx pgx.Tx, now time.Time) (_ []ledger.Entry, err error) {
		if p.Org, err = officeOf(ctx, tx, subject, now); err != nil {
			return nil, err
		}
		p.OpenedAt = now
		// Its row first: what it brings about refers to it.
		if err := tx.QueryRow(ctx, `INSERT INTO proceeding (kind, subject_id, org_id, of_id, state, version, facts, opened_at)
			VALUES ($1, $2, $3, $4, 'opening', 1, '{}', $5) RETURNING proceeding_id`, kind, subject, p.Org, null(of), now).Scan(&p.ID); err != nil {
			return nil, err
		}
		return s.take(ctx, tx, now, &p, a, in)
	})
	return p, err
}

// TakeStep takes a step of a proceeding.
func (s *Store) TakeStep(ctx context.Context, a Actor, proceeding int64, in Input) (Proceeding, error) {
	var p Proceeding
	err := s.change(ctx, "take a step", func(tx pgx.Tx, now time.Time) (_ []ledger.Entry, err error) {
		if p, err = proceedingOf(ctx, tx, proceeding, " FOR UPDATE OF p"); err != nil {
			return nil, err
		}
		return s.take(ctx, tx, now, &p, a, in)
	})
	return p, err
}

func (s *Store) take(ctx context.Context, tx pgx.Tx, now time.Time, p *Proceeding, a Actor, in Input) ([]ledger.Entry, error) {
	c, err := s.circumstances(ctx, tx, p, &a, now)
	if err != nil {
		return nil, err
	}
	next, e, err := Take(*p, &a, &in, c)
	if err != nil {
		return nil, err
	}
	*p = next
	facts, err := json.Marshal(p.Facts)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `UPDATE proceeding SET state = $2, version = $3, facts = $4, closed_at = $5 WHERE proceeding_id = $1`,
		p.ID, p.State, p.Version, facts, null(p.ClosedAt)); err != nil {
		return nil, err
	}
	words, err := json.Marshal(Words{in.Text, in.Destination})
	if err != nil {
		return nil, err
	}
	envelope, err := s.keys.Seal(crypto.Person, sealedStep(p.ID, p.Version), words)
	if err != nil {
		return nil, err
	}
	given := in
	given.Text, given.Destination = "", ""
	body, err := json.Marshal(given)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO proceeding_step (proceeding_id, n, step, at, recorded_at, account_id, officer_id, client, body, sealed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, p.ID, p.Version, in.Step, in.At, now, null(a.Account), null(a.Officer), a.Client, body, envelope); err != nil {
		return nil, err
	}
	entries, err := s.bringAbout(ctx, tx, now, p, a, in, e)
	if err != nil {
		return nil, err
	}
	told, err := json.Marshal(map[string]any{"kind": p.Kind, "step": in.Step, "state": p.State, "n": p.Version, "law": p.Facts.Law, "by": a.Account, "officer": a.Officer})
	if err != nil {
		return nil, err
	}
	return append(entries, ledger.Entry{At: now, Kind: "proceeding.step", Org: p.Org, Subject: p.Subject, Entity: "proceeding", EntityID: p.ID, Version: p.Version, Body: told}), nil
}

func sealedStep(proceeding int64, n int) string {
	return fmt.Sprintf("proceeding_step/%d/%d", proceeding, n)
}

// bringAbout does what a step brings about.
func (s *Store) bringAbout(ctx context.Context, tx pgx.Tx, now time.Time, p *Proceeding, a Actor, in Input, e Effects) ([]ledger.Entry, error) {
	var entries []ledger.Entry
	if e.Notice {
		if _, err := tx.Exec(ctx, `INSERT INTO notice (subject_id, notice_text_id, proceeding_id, signed_at, recorded_at, recorded_by) VALUES ($1, $2, $3, $4, $5, $6)`,
			p.Subject, in.NoticeText, p.ID, in.At, now, null(a.Account)); err != nil {
			return nil, err
		}
	}
	if e.Put != nil {
		if err := e.Put.check(); err != nil {
			return nil, err
		}
		more, err := putAuthority(ctx, tx, now, a.Account, p.Org, e.Put)
		if err != nil {
			return nil, err
		}
		p.Facts.Authority = e.Put.ID
		entries = append(entries, more)
	}
	if e.LiftAt != nil {
		current, err := authorityAt(ctx, tx, p.Subject, *e.LiftAt)
		if err != nil {
			return nil, err
		}
		if current != nil {
			more, err := liftAuthority(ctx, tx, now, a.Account, p.Subject, current.ID, *e.LiftAt)
			if err != nil {
				return nil, err
			}
			entries = append(entries, more)
		}
	}
	for _, t := range e.Tasks {
		if err := putTask(ctx, tx, now, p.Subject, p.Org, p.ID, t); err != nil {
			return nil, err
		}
	}
	for _, k := range e.Done {
		if _, err := tx.Exec(ctx, `UPDATE task SET done_at = $1, done_by = $2, outcome = 'done' WHERE proceeding_id = $3 AND kind = $4 AND ($5 = '' OR key = $5) AND done_at IS NULL`,
			now, null(a.Account), p.ID, k.Kind, k.Key); err != nil {
			return nil, err
		}
	}
	if len(e.Rules) > 0 {
		if s.rules == nil {
			return nil, errors.New("nobody keeps rules here")
		}
		if err := s.rules.Change(ctx, tx, a.Account, now, e.Rules); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// circumstances reads what bears on a step.
func (s *Store) circumstances(ctx context.Context, tx Querier, p *Proceeding, a *Actor, now time.Time) (*Circumstances, error) {
	law, err := s.law(ctx, tx, now)
	if err != nil {
		return nil, err
	}
	c := &Circumstances{Now: now, Law: law}
	var office id.Org
	if office, err = officeOf(ctx, tx, p.Subject, now); err != nil {
		return nil, err
	}
	// Who supervises now acts: the office that has the subject, or what is above it; or who covers for it.
	if err := tx.QueryRow(ctx, "SELECT $1::bigint IN (SELECT org_subtree($2)), $1::bigint IN (SELECT org_subtree($2)) AND $1::bigint <> $2::bigint", office, a.Org).
		Scan(&c.Supervises, &c.Above); err != nil {
		return nil, fmt.Errorf("look into the organisation: %w", err)
	}
	if c.Authority, err = authorityAt(ctx, tx, p.Subject, now); err != nil {
		return nil, err
	}
	if c.Authority == nil { // the last one that ended
		if c.Authority, err = lastAuthority(ctx, tx, p.Subject, now); err != nil {
			return nil, err
		}
	}
	if p.Of != 0 {
		of, err := proceedingOf(ctx, tx, p.Of, "")
		if err != nil {
			return nil, err
		}
		if of.Subject != p.Subject {
			return nil, ErrNotFound
		}
		c.Of = &of
	}
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM delegation WHERE power = 'leave' AND to_org = $1 AND upper_inf(recorded) AND valid @> $2::timestamptz)`, office, now).
		Scan(&c.Delegated); err != nil {
		return nil, fmt.Errorf("read the delegations: %w", err)
	}
	rows, err := tx.Query(ctx, `SELECT (facts ->> 'from')::timestamptz, CASE WHEN closed_at IS NULL THEN greatest((facts ->> 'until')::timestamptz, $3)
			ELSE least((facts ->> 'ended_at')::timestamptz, closed_at) END
		FROM proceeding WHERE subject_id = $1 AND kind = 'leave' AND proceeding_id <> $2 AND facts ? 'approved_at' AND state <> 'withdrawn' AND state <> 'refused'`, p.Subject, p.ID, now)
	if err != nil {
		return nil, fmt.Errorf("read the leaves: %w", err)
	}
	var v Interval
	if _, err := pgx.ForEachRow(rows, []any{&v.From, &v.Until}, func() error { c.Leaves = append(c.Leaves, Interval{v.From.UTC(), v.Until.UTC()}); return nil }); err != nil {
		return nil, fmt.Errorf("read the leaves: %w", err)
	}
	if c.Sentence, err = sentenceAt(ctx, tx, p.Subject, now); err != nil {
		return nil, err
	}
	return c, nil
}

const proceedingColumns = `p.proceeding_id, p.kind, p.subject_id, p.org_id, coalesce(p.of_id, 0), p.state, p.version, p.facts, p.opened_at, p.closed_at`

func scanProceeding(row pgx.CollectableRow) (p Proceeding, err error) {
	var facts []byte
	var closed *time.Time
	if err := row.Scan(&p.ID, &p.Kind, &p.Subject, &p.Org, &p.Of, &p.State, &p.Version, &facts, &p.OpenedAt, &closed); err != nil {
		return p, err
	}
	p.OpenedAt = p.OpenedAt.UTC()
	if closed != nil {
		p.ClosedAt = closed.UTC()
	}
	return p, json.Unmarshal(facts, &p.Facts)
}

func proceedingOf(ctx context.Context, q Querier, proceeding int64, lock string) (Proceeding, error) {
	rows, err := q.Query(ctx, "SELECT "+proceedingColumns+" FROM proceeding p WHERE proceeding_id = $1"+lock, proceeding)
	if err != nil {
		return Proceeding{}, fmt.Errorf("read a proceeding: %w", err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanProceeding)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, ErrNotFound
	}
	return p, err
}

// inScope limits proceedings to subjects whom the offices in scope ($1) supervise at $2.
const inScope = ` EXISTS (SELECT FROM subject_office o WHERE o.subject_id = p.subject_id AND upper_inf(o.recorded) AND o.valid @> $2::timestamptz AND o.org_id IN (SELECT org_subtree($1)))`

// ProceedingFilter says which proceedings; zero fields do not limit.
type ProceedingFilter struct {
	Subject id.Subject
	Open    bool // those that are not over
}

// Proceedings are those about subjects in scope, the newest first, at most 500.
func (s *Store) Proceedings(ctx context.Context, q Querier, scope id.Org, f ProceedingFilter) ([]Proceeding, error) {
	rows, err := q.Query(ctx, "SELECT "+proceedingColumns+` FROM proceeding p WHERE`+inScope+` AND ($3 = 0 OR p.subject_id = $3) AND (NOT $4 OR p.closed_at IS NULL)
		ORDER BY p.proceeding_id DESC LIMIT 500`, scope, s.clock.Now(), f.Subject, f.Open)
	if err != nil {
		return nil, fmt.Errorf("read the proceedings: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanProceeding)
	if err != nil {
		return nil, fmt.Errorf("read the proceedings: %w", err)
	}
	return list, nil
}

// Proceeding is one about a subject in scope with its steps and their words, and what an actor may do next.
func (s *Store) Proceeding(ctx context.Context, q Querier, scope id.Org, a Actor, proceeding int64) (p Proceeding, steps []TakenStep, may []Step, err error) {
	rows, err := q.Query(ctx, "SELECT "+proceedingColumns+` FROM proceeding p WHERE`+inScope+` AND p.proceeding_id = $3`, scope, s.clock.Now(), proceeding)
	if err != nil {
		return p, nil, nil, fmt.Errorf("read a proceeding: %w", err)
	}
	p, err = pgx.CollectExactlyOneRow(rows, scanProceeding)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, nil, nil, ErrNotFound
	}
	if err != nil {
		return p, nil, nil, fmt.Errorf("read a proceeding: %w", err)
	}
	rows, err = q.Query(ctx, `SELECT n, step, at, recorded_at, coalesce(account_id, 0), coalesce(officer_id, 0), body, sealed FROM proceeding_step WHERE proceeding_id = $1 ORDER BY n`, proceeding)
	if err != nil {
		return p, nil, nil, fmt.Errorf("read the steps: %w", err)
	}
	steps, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (v TakenStep, err error) {
		var envelope []byte
		if err := row.Scan(&v.N, &v.Step, &v.At, &v.RecordedAt, &v.Account, &v.Officer, &v.Body, &envelope); err != nil {
			return v, err
		}
		v.At, v.RecordedAt = v.At.UTC(), v.RecordedAt.UTC()
		words, err := s.keys.Open(crypto.Person, sealedStep(proceeding, v.N), envelope)
		if err != nil {
			return v, err
		}
		return v, json.Unmarshal(words, &v.Words)
	})
	if err != nil {
		return p, nil, nil, fmt.Errorf("read the steps: %w", err)
	}
	c, err := s.circumstances(ctx, q, &p, &a, s.clock.Now())
	if err != nil {
		return p, nil, nil, err
	}
	return p, steps, p.May(&a, c), nil
}
