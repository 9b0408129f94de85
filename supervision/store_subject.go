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

// Enrol takes a subject on.
func (s *Store) Enrol(ctx context.Context, by id.Account, e Enrolment) (id.Subject, error) {
	if e.Person.Name == "" {
		return 0, &FieldError{"name", Missing, "a subject has a name"}
	}
	if e.Category == Protected {
		return 0, &FieldError{"category", Malformed, "somebody who is protected is not supervised"}
	}
	if e.From.IsZero() {
		return 0, &FieldError{"from", Missing, "since when the office supervises"}
	}
	if e.Surname == "" {
		e.Surname = surnameOf(e.Person.Name)
	}
	var subject id.Subject
	err := s.change(ctx, "enrol a subject", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		if err := tx.QueryRow(ctx, "INSERT INTO subject (local_no, province_no, category) VALUES ($1, $2, $3) RETURNING subject_id",
			e.LocalNo, null(e.ProvinceNo), e.Category).Scan(&subject); err != nil {
			return nil, err
		}
		if err := s.putPerson(ctx, tx, subject, e.Surname, e.Person); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO subject_office (subject_id, org_id, valid, recorded, recorded_by)
			VALUES ($1, $2, tstzrange($3, NULL), tstzrange($4, NULL), $5)`, subject, e.Office, e.From, now, null(by)); err != nil {
			return nil, err
		}
		if err := factsChanged(ctx, tx, now, now, "subject", by, subject); err != nil {
			return nil, err
		}
		return []ledger.Entry{{At: now, Kind: "subject.enrolled", Org: e.Office, Subject: subject, Entity: "subject",
			EntityID: int64(subject), Version: 1}}, nil
	})
	return subject, err
}

// Protect records somebody whom a relation protects (被保护人). Nobody supervises them: they have no office, are in no list, and
// no rule is about them; a phone they agreed to carry may be bound to them.
func (s *Store) Protect(ctx context.Context, by id.Account, localNo string, p Person) (id.Subject, error) {
	if p.Name == "" {
		return 0, &FieldError{"name", Missing, "a person has a name"}
	}
	var subject id.Subject
	err := s.change(ctx, "record a protected person", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		if err := tx.QueryRow(ctx, "INSERT INTO subject (local_no, category) VALUES ($1, $2) RETURNING subject_id", localNo, Protected).Scan(&subject); err != nil {
			return nil, err
		}
		if err := s.putPerson(ctx, tx, subject, surnameOf(p.Name), p); err != nil {
			return nil, err
		}
		if err := factsChanged(ctx, tx, now, now, "subject", by, subject); err != nil {
			return nil, err
		}
		return []ledger.Entry{{At: now, Kind: "protected.recorded", Entity: "subject", EntityID: int64(subject), Version: 1}}, nil
	})
	return subject, err
}

// sealed names a field of a person: an envelope opens only where it was made for.
func sealed(subject id.Subject, field string) string {
	return fmt.Sprintf("subject_person/%d/%s", subject, field)
}

func (s *Store) putPerson(ctx context.Context, tx pgx.Tx, subject id.Subject, surname string, p Person) error {
	contacts := []byte(nil)
	if len(p.Contacts) > 0 {
		var err error
		if contacts, err = json.Marshal(p.Contacts); err != nil {
			return err
		}
	}
	args := []any{subject, surname}
	for _, f := range []struct {
		name  string
		value []byte
	}{{"name", []byte(p.Name)}, {"id_number", []byte(p.IDNumber)}, {"phone", []byte(p.Phone)}, {"address", []byte(p.Address)}, {"contacts", contacts}} {
		var envelope []byte
		if len(f.value) > 0 {
			var err error
			if envelope, err = s.keys.Seal(crypto.Person, sealed(subject, f.name), f.value); err != nil {
				return err
			}
		}
		args = append(args, envelope)
	}
	args = append(args, s.blind(byName, p.Name), s.blind(byIDNumber, p.IDNumber), s.blind(byPhone, p.Phone))
	_, err := tx.Exec(ctx, `INSERT INTO subject_person (subject_id, surname, name, id_number, phone, address, contacts, name_index, id_index, phone_index)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (subject_id) DO UPDATE SET surname = excluded.surname, name = excluded.name,
			id_number = excluded.id_number, phone = excluded.phone, address = excluded.address, contacts = excluded.contacts,
			name_index = excluded.name_index, id_index = excluded.id_index, phone_index = excluded.phone_index`, args...)
	return err
}

// subjects reads subjects with the office that has them at $2, limited to the scope $1.
const subjects = `SELECT s.subject_id, s.local_no, coalesce(s.province_no, ''), s.category, s.juvenile, p.surname, o.org_id, o.short_name, lower(so.valid)
	FROM subject s JOIN subject_person p USING (subject_id)
	JOIN subject_office so ON so.subject_id = s.subject_id AND upper_inf(so.recorded) AND so.valid @> $2::timestamptz
	JOIN org o ON o.org_id = so.org_id
	WHERE s.blocked_at IS NULL AND so.org_id IN (SELECT org_subtree($1))`

func scanSubject(row pgx.CollectableRow) (v Subject, err error) {
	err = row.Scan(&v.ID, &v.LocalNo, &v.ProvinceNo, &v.Category, &v.Juvenile, &v.Surname, &v.Office, &v.OfficeShort, &v.OfficeSince)
	v.OfficeSince = v.OfficeSince.UTC()
	return v, err
}

// Subjects are those the offices in scope supervise now.
func (s *Store) Subjects(ctx context.Context, q Querier, scope id.Org) ([]Subject, error) {
	rows, err := q.Query(ctx, subjects+" ORDER BY s.subject_id", scope, s.clock.Now())
	if err != nil {
		return nil, fmt.Errorf("read the subjects: %w", err)
	}
	all, err := pgx.CollectRows(rows, scanSubject)
	if err != nil {
		return nil, fmt.Errorf("read the subjects: %w", err)
	}
	return all, nil
}

// Subject is one that an office in scope supervises now, else ErrNotFound.
func (s *Store) Subject(ctx context.Context, q Querier, scope id.Org, subject id.Subject) (Subject, error) {
	rows, err := q.Query(ctx, subjects+" AND s.subject_id = $3", scope, s.clock.Now(), subject)
	if err != nil {
		return Subject{}, fmt.Errorf("read a subject: %w", err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, scanSubject)
	if errors.Is(err, pgx.ErrNoRows) {
		return Subject{}, ErrNotFound
	}
	if err != nil {
		return Subject{}, fmt.Errorf("read a subject: %w", err)
	}
	return v, nil
}

// Person is who a subject in scope is. The caller records who asked, and why.
func (s *Store) Person(ctx context.Context, q Querier, scope id.Org, subject id.Subject) (Person, error) {
	if _, err := s.Subject(ctx, q, scope, subject); err != nil {
		return Person{}, err
	}
	return s.person(ctx, q, subject)
}

// person opens who a subject is.
func (s *Store) person(ctx context.Context, q Querier, subject id.Subject) (Person, error) {
	var p Person
	fields := []string{"name", "id_number", "phone", "address", "contacts"}
	envelopes := make([][]byte, len(fields))
	if err := q.QueryRow(ctx, "SELECT name, id_number, phone, address, contacts FROM subject_person WHERE subject_id = $1", subject).
		Scan(&envelopes[0], &envelopes[1], &envelopes[2], &envelopes[3], &envelopes[4]); err != nil {
		return p, fmt.Errorf("read a person: %w", err)
	}
	plain := make([][]byte, len(fields))
	for i, envelope := range envelopes {
		if len(envelope) == 0 {
			continue
		}
		var err error
		if plain[i], err = s.keys.Open(crypto.Person, sealed(subject, fields[i]), envelope); err != nil {
			return p, fmt.Errorf("open the %s of subject %d: %w", fields[i], subject, err)
		}
	}
	p.Name, p.IDNumber, p.Phone, p.Address = string(plain[0]), string(plain[1]), string(plain[2]), string(plain[3])
	if len(plain[4]) > 0 {
		if err := json.Unmarshal(plain[4], &p.Contacts); err != nil {
			return p, fmt.Errorf("open the contacts of subject %d: %w", subject, err)
		}
	}
	return p, nil
}

// Move has another office supervise a subject from an instant on. The office that had it keeps the interval it had.
func (s *Store) Move(ctx context.Context, by id.Account, subject id.Subject, to id.Org, from time.Time) error {
	return s.change(ctx, "move a subject", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		if err := factsChanged(ctx, tx, now, now, "subject", by, subject); err != nil {
			return nil, err
		}
		var org id.Org
		var since, recorded time.Time
		// The interval that is open ends; that is a correction of what was recorded of it.
		err := tx.QueryRow(ctx, `UPDATE subject_office SET recorded = tstzrange(lower(recorded), greatest($2, lower(recorded) + interval '1 microsecond'))
			WHERE subject_id = $1 AND upper_inf(recorded) AND upper_inf(valid) RETURNING org_id, lower(valid), upper(recorded)`, subject, now).
			Scan(&org, &since, &recorded)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, ErrNotFound
		}
		if err != nil {
			return nil, err
		}
		if !from.After(since) {
			return nil, &FieldError{"from", NotAfterTheLast, "later than the office that has the subject began"}
		}
		if _, err := tx.Exec(ctx, `INSERT INTO subject_office (subject_id, org_id, valid, recorded, recorded_by)
			VALUES ($1, $2, tstzrange($3, $5), tstzrange($6, NULL), $7), ($1, $4, tstzrange($5, NULL), tstzrange($6, NULL), $7)`,
			subject, org, since, to, from, recorded, null(by)); err != nil {
			return nil, err
		}
		entry := ledger.Entry{At: now, Kind: "subject.moved", Subject: subject, Entity: "subject", EntityID: int64(subject), Version: 1}
		left, entered := entry, entry
		left.Org, entered.Org = org, to // both offices hear of it
		return []ledger.Entry{left, entered}, nil
	})
}
