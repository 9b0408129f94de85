package geofence

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// claimOutages takes the look of a minute for this transaction.
func claimOutages(ctx context.Context, tx pgx.Tx, mark time.Time) error {
	tag, err := tx.Exec(ctx, `UPDATE outage_front SET at = $1 WHERE at < $1`, mark)
	if err == nil && tag.RowsAffected() == 0 {
		return errLooked
	}
	return err
}

// loadWatched reads the wristbands that are expected to speak at t and have been for long enough to be missed. What we did
// not hear ourselves counts for nobody's silence.
func loadWatched(ctx context.Context, tx pgx.Tx, t time.Time) ([]Watched, error) {
	rows, err := tx.Query(ctx, `SELECT b.subject_id, b.device_id, o.org_id, coalesce(h.operator, ''), coalesce(h.cell, ''), b.interval_s,
		greatest(h.heard_at, lower(b.valid)),
		coalesce((SELECT sum(extract(epoch FROM upper(during) - greatest(lower(during), h.heard_at))) FROM deaf WHERE upper(during) > h.heard_at AND upper(during) <= $1), 0)::float8
		FROM binding b JOIN authority a ON a.subject_id = b.subject_id AND upper_inf(a.recorded) AND a.valid @> $1::timestamptz
		JOIN subject_office o ON o.subject_id = b.subject_id AND upper_inf(o.recorded) AND o.valid @> $1::timestamptz
		LEFT JOIN device_health h USING (device_id)
		WHERE upper_inf(b.recorded) AND b.valid @> $1::timestamptz AND b.class = $2 ORDER BY b.subject_id, b.device_id`, t, string(devices.Wristband))
	if err != nil {
		return nil, fmt.Errorf("read who is expected to speak: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (w Watched, err error) {
		var every int
		var deaf float64
		err = row.Scan(&w.Subject, &w.Device, &w.Office, &w.Operator, &w.Cell, &every, &w.Heard, &deaf)
		w.Deaf = time.Duration(deaf * float64(time.Second))
		w.Every, w.Heard = time.Duration(every)*time.Second, w.Heard.UTC()
		return w, err
	})
	if err != nil {
		return nil, fmt.Errorf("read who is expected to speak: %w", err)
	}
	return list, nil
}

// lastEnded is when areas were last said to be back.
func lastEnded(ctx context.Context, tx pgx.Tx) (map[OutageKey]time.Time, error) {
	rows, err := tx.Query(ctx, `SELECT scope, key, max(ended_at) FROM outage WHERE ended_at IS NOT NULL GROUP BY scope, key`)
	if err != nil {
		return nil, fmt.Errorf("read outages: %w", err)
	}
	out := map[OutageKey]time.Time{}
	var k OutageKey
	var at time.Time
	if _, err := pgx.ForEachRow(rows, []any{&k.Scope, &k.Key, &at}, func() error { out[k] = at.UTC(); return nil }); err != nil {
		return nil, fmt.Errorf("read outages: %w", err)
	}
	return out, nil
}

// openOutageRow is an outage that goes on.
type openOutageRow struct {
	id       OutageID
	declared bool
	opened   time.Time
}

func openOutages(ctx context.Context, tx pgx.Tx) (map[OutageKey]openOutageRow, error) {
	rows, err := tx.Query(ctx, `SELECT outage_id, scope, key, cause = 'declared', opened_at FROM outage WHERE ended_at IS NULL ORDER BY outage_id FOR UPDATE`)
	if err != nil {
		return nil, fmt.Errorf("read outages: %w", err)
	}
	out := map[OutageKey]openOutageRow{}
	var k OutageKey
	var r openOutageRow
	if _, err := pgx.ForEachRow(rows, []any{&r.id, &k.Scope, &k.Key, &r.declared, &r.opened}, func() error { out[k] = r; return nil }); err != nil {
		return nil, fmt.Errorf("read outages: %w", err)
	}
	return out, nil
}

func openOutage(ctx context.Context, tx pgx.Tx, a *AreaState, now time.Time) (ledger.Entry, error) {
	b := OutageBody{Scope: a.Scope, Key: a.Key, Expected: a.Expected, Silent: len(a.Silent)}
	err := tx.QueryRow(ctx, `INSERT INTO outage (scope, key, cause, expected, silent, since, opened_at) VALUES ($1, $2, 'data', $3, $4, $5, $6) RETURNING outage_id`,
		a.Scope, a.Key, a.Expected, len(a.Silent), a.Since(), now).Scan(&b.Outage)
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("open an outage: %w", err)
	}
	if b.Subjects, err = listPeople(ctx, tx, b.Outage, a.Silent); err != nil {
		return ledger.Entry{}, err
	}
	return outageEntry(OutageOpenedEntry, b, 1, now)
}

// listPeople lists those who fell silent, and returns who was not listed yet.
func listPeople(ctx context.Context, tx pgx.Tx, o OutageID, silent []Watched) ([]id.Subject, error) {
	subjects, list, since := make([]int64, len(silent)), make([]int64, len(silent)), make([]time.Time, len(silent))
	for i, w := range silent {
		subjects[i], list[i], since[i] = int64(w.Subject), int64(w.Device), w.Heard
	}
	rows, err := tx.Query(ctx, `INSERT INTO outage_person (outage_id, subject_id, device_id, silent_since)
		SELECT DISTINCT ON (s) $1::bigint, s, d, t FROM unnest($2::bigint[], $3::bigint[], $4::timestamptz[]) AS v (s, d, t) ORDER BY s, t
		ON CONFLICT (outage_id, subject_id) DO UPDATE SET silent_since = excluded.silent_since, device_id = excluded.device_id,
			verified_at = NULL, verified_how = NULL, verified_by = NULL, note = ''
		WHERE outage_person.verified_how = 'heard' AND outage_person.verified_at <= excluded.silent_since RETURNING subject_id`, o, subjects, list, since)
	if err != nil {
		return nil, fmt.Errorf("list who cannot be verified: %w", err)
	}
	fresh, err := pgx.CollectRows(rows, pgx.RowTo[id.Subject])
	if err != nil {
		return nil, fmt.Errorf("list who cannot be verified: %w", err)
	}
	return fresh, nil
}

// goOnOutage lists who fell silent since, and ends what is over; what an officer declared ends by an officer, or when it was
// forgotten.
func goOnOutage(ctx context.Context, tx pgx.Tx, r openOutageRow, a *AreaState, now time.Time) ([]ledger.Entry, error) {
	if !a.Holds() && !r.declared || r.declared && now.Sub(r.opened) >= outageForgotten {
		entry, err := endOutage(ctx, tx, r.id, 0, now)
		return []ledger.Entry{entry}, err
	}
	fresh, err := listPeople(ctx, tx, r.id, a.Silent)
	if err != nil || len(fresh) == 0 {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `UPDATE outage SET expected = greatest(expected, $2), silent = (SELECT count(*) FROM outage_person p WHERE p.outage_id = $1) WHERE outage_id = $1`,
		r.id, a.Expected); err != nil {
		return nil, fmt.Errorf("go on with an outage: %w", err)
	}
	entry, err := outageEntry(OutageGrownEntry, OutageBody{Outage: r.id, Scope: a.Scope, Key: a.Key, Expected: a.Expected, Silent: len(a.Silent), Subjects: fresh}, 1, now)
	return []ledger.Entry{entry}, err
}

// endOutage ends an outage, and tells who could not be verified while it went on.
func endOutage(ctx context.Context, tx pgx.Tx, o OutageID, by id.Account, now time.Time) (ledger.Entry, error) {
	b := OutageBody{Outage: o}
	err := tx.QueryRow(ctx, `UPDATE outage SET ended_at = greatest($2, opened_at), ended_by = nullif($3::bigint, 0) WHERE outage_id = $1 AND ended_at IS NULL
		RETURNING scope, key, expected, silent`, o, now, int64(by)).Scan(&b.Scope, &b.Key, &b.Expected, &b.Silent)
	if errors.Is(err, pgx.ErrNoRows) {
		return ledger.Entry{}, &Refused{Field: "outage", Reason: NoSuchOutage, Detail: "no such outage goes on"}
	}
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("end an outage: %w", err)
	}
	rows, err := tx.Query(ctx, `SELECT subject_id FROM outage_person WHERE outage_id = $1 ORDER BY subject_id`, o)
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("end an outage: %w", err)
	}
	if b.Subjects, err = pgx.CollectRows(rows, pgx.RowTo[id.Subject]); err != nil {
		return ledger.Entry{}, fmt.Errorf("end an outage: %w", err)
	}
	return outageEntry(OutageEndedEntry, b, 2, now)
}

// verifyHeard notes who told a place after they had been silent for long enough to be listed, and is not known to be apart from the device: nobody has to check
// them again. Whoever is not heard stays on the list for a week.
func verifyHeard(ctx context.Context, tx pgx.Tx, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE outage_person p SET verified_at = c.fix_at, verified_how = 'heard' FROM outage o, current_position c
		WHERE o.outage_id = p.outage_id AND c.subject_id = p.subject_id AND p.verified_at IS NULL AND c.fix_at > p.silent_since + make_interval(secs => $2) AND NOT c.detached
		AND (o.ended_at IS NULL OR o.ended_at > $1::timestamptz - interval '7 days')`, now, outageSilent.Seconds())
	if err != nil {
		return fmt.Errorf("note who was heard: %w", err)
	}
	return nil
}

// countOutages counts areas that are away and people who are to be checked again.
func countOutages(ctx context.Context, tx pgx.Tx, now time.Time) (areas, people int, err error) {
	err = tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM outage WHERE ended_at IS NULL), (SELECT count(*) FROM outage_person JOIN outage o USING (outage_id)
		WHERE verified_at IS NULL AND (o.ended_at IS NULL OR o.ended_at > $1::timestamptz - interval '7 days'))`, now).Scan(&areas, &people)
	return areas, people, err
}

// DeclareOutage records that an area is away, because an officer knows: an operator told, or the power is out. Who is silent
// there is listed from the next look on. A town is its office's, in scope; an operator or a cell is the whole deployment's.
func (s *Store) DeclareOutage(ctx context.Context, by id.Account, scope id.Org, k OutageKey, note string) (o OutageID, err error) {
	err = s.change(ctx, "declare an outage", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		if by == 0 {
			return nil, &Refused{Field: "by", Reason: NoSuchOutage, Detail: "an officer declares it"}
		}
		if err := mayDeclare(ctx, tx, scope, k); err != nil {
			return nil, err
		}
		err := tx.QueryRow(ctx, `INSERT INTO outage (scope, key, cause, since, opened_at, note, declared_by) VALUES ($1, $2, 'declared', $3, $3, $4, $5)
			ON CONFLICT (scope, key) WHERE ended_at IS NULL DO NOTHING RETURNING outage_id`, k.Scope, k.Key, now, note, int64(by)).Scan(&o)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, &Refused{Field: "key", Reason: OutageOpen, Detail: "it is known to be away already"}
		}
		if err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, `UPDATE outage_front SET at = least(at, $1::timestamptz - interval '1 minute')`, now); err != nil { // look again at once
			return nil, err
		}
		e, err := outageEntry(OutageOpenedEntry, OutageBody{Outage: o, Scope: k.Scope, Key: k.Key}, 1, now)
		return []ledger.Entry{e}, err
	})
	return o, err
}

// mayDeclare refuses an area that is none, or that is not in scope.
func mayDeclare(ctx context.Context, tx pgx.Tx, scope id.Org, k OutageKey) error {
	var ok bool
	var err error
	switch k.Scope {
	case ByTown:
		office, convErr := strconv.ParseInt(k.Key, 10, 64)
		if convErr != nil {
			return &Refused{Field: "key", Reason: NoSuchOrg, Detail: "a town is the number of its office"}
		}
		err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM org WHERE org_id = $1 AND kind = 'judicial_office') AND ($2 = 0 OR $1 IN (SELECT org_subtree($2)))`, office, int64(scope)).Scan(&ok)
	case ByOperator, ByCell:
		if k.Key == "" || len(k.Key) > 64 {
			return &Refused{Field: "key", Reason: EmptyName, Detail: "the operator's code, or the cell, as devices tell it"}
		}
		err = tx.QueryRow(ctx, `SELECT $1 = 0 OR EXISTS (SELECT FROM org WHERE org_id = $1 AND parent_id IS NULL)`, int64(scope)).Scan(&ok)
	default:
		return &Refused{Field: "scope", Reason: BadKind, Detail: "operator, town or cell"}
	}
	if err == nil && !ok {
		err = &Refused{Field: "key", Reason: NoSuchOrg, Detail: "not in your part of the organisation"}
	}
	return err
}

// EndOutage ends an outage by an officer's word.
func (s *Store) EndOutage(ctx context.Context, by id.Account, scope id.Org, o OutageID) error {
	return s.change(ctx, "end an outage", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		var k OutageKey
		err := tx.QueryRow(ctx, `SELECT scope, key FROM outage WHERE outage_id = $1 AND ended_at IS NULL FOR UPDATE`, o).Scan(&k.Scope, &k.Key)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, &Refused{Field: "outage", Reason: NoSuchOutage, Detail: "no such outage goes on"}
		}
		if err != nil {
			return nil, err
		}
		if err := mayDeclare(ctx, tx, scope, k); err != nil {
			return nil, err
		}
		e, err := endOutage(ctx, tx, o, by, now)
		return []ledger.Entry{e}, err
	})
}

// VerifyOutagePerson records that an officer checked somebody again (补核查), and how.
func (s *Store) VerifyOutagePerson(ctx context.Context, by id.Account, scope id.Org, o OutageID, subject id.Subject, note string) error {
	return s.change(ctx, "verify somebody after an outage", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		var in bool
		if err := tx.QueryRow(ctx, "SELECT "+inScope, subject, int64(scope), now).Scan(&in); err != nil {
			return nil, err
		}
		if !in {
			return nil, &Refused{Field: "subject", Reason: NoSuchSubject, Detail: "no such subject in your part of the organisation"}
		}
		tag, err := tx.Exec(ctx, `UPDATE outage_person SET verified_at = $3, verified_how = 'officer', verified_by = $4, note = $5
			WHERE outage_id = $1 AND subject_id = $2 AND verified_at IS NULL`, o, subject, now, int64(by), note)
		if err != nil {
			return nil, err
		}
		if tag.RowsAffected() == 0 {
			return nil, &Refused{Field: "subject", Reason: NoSuchOutage, Detail: "not on the list, or verified already"}
		}
		e, err := ruleEntry(ctx, tx, "outage.verified", &RuleSpec{Subject: subject}, 1, now)
		e.Entity, e.EntityID, e.Body = "outage", int64(o), nil
		return []ledger.Entry{e}, err
	})
}

// Outage is an area that is or was away, with those in scope who could not be verified.
type Outage struct {
	ID OutageID
	OutageKey
	Declared         bool
	Expected, Silent int
	Since, OpenedAt  time.Time
	EndedAt          time.Time // zero: it goes on
	Note             string
	People           []OutagePerson
}

// OutagePerson is somebody who could not be verified.
type OutagePerson struct {
	Subject    id.Subject
	Since      time.Time
	VerifiedAt time.Time // zero: not yet
	How        string
	By         id.Account
	Note       string
}

// Outages are those that go on, and those that ended in the last seven days, newest first; of the people those in scope.
func Outages(ctx context.Context, q Querier, scope id.Org, now time.Time) ([]Outage, error) {
	rows, err := q.Query(ctx, `SELECT outage_id, scope, key, cause = 'declared', expected, silent, since, opened_at, ended_at, note FROM outage
		WHERE ended_at IS NULL OR ended_at > $1::timestamptz - interval '7 days' ORDER BY ended_at IS NULL DESC, opened_at DESC, outage_id DESC LIMIT 200`, now)
	if err != nil {
		return nil, fmt.Errorf("read outages: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o Outage, err error) {
		var ended *time.Time
		err = row.Scan(&o.ID, &o.Scope, &o.Key, &o.Declared, &o.Expected, &o.Silent, &o.Since, &o.OpenedAt, &ended, &o.Note)
		if ended != nil {
			o.EndedAt = ended.UTC()
		}
		return o, err
	})
	if err != nil {
		return nil, fmt.Errorf("read outages: %w", err)
	}
	at := map[OutageID]int{}
	ids := make([]int64, len(list))
	for i := range list {
		at[list[i].ID], ids[i] = i, int64(list[i].ID)
	}
	rows, err = q.Query(ctx, `SELECT p.outage_id, p.subject_id, p.silent_since, p.verified_at, coalesce(p.verified_how, ''), coalesce(p.verified_by, 0), p.note
		FROM outage_person p JOIN subject_office o ON o.subject_id = p.subject_id AND upper_inf(o.recorded) AND o.valid @> $2::timestamptz
		WHERE p.outage_id = ANY ($1) AND ($3 = 0 OR o.org_id IN (SELECT org_subtree($3))) ORDER BY p.outage_id, p.verified_at IS NOT NULL, p.silent_since, p.subject_id`, ids, now, int64(scope))
	if err != nil {
		return nil, fmt.Errorf("read who was not verified: %w", err)
	}
	var o OutageID
	var p OutagePerson
	var verified *time.Time
	_, err = pgx.ForEachRow(rows, []any{&o, &p.Subject, &p.Since, &verified, &p.How, &p.By, &p.Note}, func() error {
		p.VerifiedAt = time.Time{}
		if verified != nil {
			p.VerifiedAt = verified.UTC()
		}
		list[at[o]].People = append(list[at[o]].People, p)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read who was not verified: %w", err)
	}
	return list, nil
}
