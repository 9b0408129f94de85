package supervision

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5"

	"time"
	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// What a blind index is over. It stands in what is digested, so that equal texts of different fields differ.
const (
	byName     = "name"
	byIDNumber = "id_number"
	byPhone    = "phone"
)

// blindSize is how much of a digest is kept: enough that two of a province's people hardly share one, too little to be a key.
const blindSize = 12

// blind is the keyed digest of a field by which it is found; nil for an empty one. Without the key nobody can try numbers until one fits.
func (s *Store) blind(field, text string) []byte {
	if text = plainly(field, text); text == "" || s.keys == nil {
		return nil
	}
	return s.keys.MAC(crypto.Search, []byte(field+"\x00"+text))[:blindSize]
}

// plainly writes a field as everybody writes it.
func plainly(field, text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
	switch field {
	case byIDNumber:
		return strings.ToUpper(text)
	case byPhone:
		text = strings.TrimPrefix(strings.TrimPrefix(text, "+86"), "0086")
		return strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, text)
	}
	return text
}

// Find are subjects in scope that a text names exactly: an identity number, a telephone, a full name, a number or its last four digits.
func (s *Store) Find(ctx context.Context, q Querier, scope id.Org, text string) ([]Subject, error) {
	text = strings.TrimSpace(text)
	if len(text) < 2 || len(text) > 64 {
		return nil, &FieldError{"text", Malformed, "2 characters or more"}
	}
	rows, err := q.Query(ctx, subjects+` AND (s.local_no = $3 OR s.province_no = $3 OR length($3) = 4 AND right(s.local_no, 4) = $3 OR p.name_index = $4 OR p.id_index = $5 OR p.phone_index = $6)
		ORDER BY s.subject_id LIMIT 50`, scope, s.clock.Now(), text, s.blind(byName, text), s.blind(byIDNumber, text), s.blind(byPhone, text))
	if err != nil {
		return nil, fmt.Errorf("find a subject: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanSubject)
	if err != nil {
		return nil, fmt.Errorf("find a subject: %w", err)
	}
	return list, nil
}

// Index gives people who were recorded before there was an index theirs, some at a time; it returns how many. The keys are not in the database, so
// no migration can.
func (s *Store) Index(ctx context.Context) (n int, err error) {
	for {
		rows, err := s.pool.Query(ctx, "SELECT subject_id FROM subject_person WHERE name_index IS NULL ORDER BY subject_id LIMIT 500")
		if err != nil {
			return n, fmt.Errorf("look for people without an index: %w", err)
		}
		list, err := pgx.CollectRows(rows, pgx.RowTo[id.Subject])
		if err != nil || len(list) == 0 {
			return n, err
		}
		for _, subject := range list {
			p, err := s.person(ctx, s.pool, subject)
			if err != nil {
				return n, err
			}
			if _, err := s.pool.Exec(ctx, "UPDATE subject_person SET name_index = $2, id_index = $3, phone_index = $4 WHERE subject_id = $1", subject,
				s.blind(byName, p.Name), s.blind(byIDNumber, p.IDNumber), s.blind(byPhone, p.Phone)); err != nil {
				return n, fmt.Errorf("index a person: %w", err)
			}
			n++
		}
	}
}

// Minors are those of a list who were minors, wherever they are supervised by now.
func (s *Store) Minors(ctx context.Context, list []id.Subject) (map[id.Subject]bool, error) {
	rows, err := s.pool.Query(ctx, "SELECT subject_id FROM subject WHERE juvenile AND subject_id = ANY ($1)", list)
	if err != nil {
		return nil, fmt.Errorf("read who was a minor: %w", err)
	}
	minors, err := pgx.CollectRows(rows, pgx.RowTo[id.Subject])
	if err != nil {
		return nil, fmt.Errorf("read who was a minor: %w", err)
	}
	out := make(map[id.Subject]bool, len(minors))
	for _, m := range minors {
		out[m] = true
	}
	return out, nil
}

// PutJuvenile records that somebody was a minor at the time of the offence, or corrects that with a reason (R88).
func (s *Store) PutJuvenile(ctx context.Context, by id.Account, subject id.Subject, juvenile bool, note string) error {
	if err := text("note", note); err != nil {
		return err
	}
	return s.change(ctx, "record that somebody was a minor", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		org, err := officeOf(ctx, tx, subject, now)
		if err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, "UPDATE subject SET juvenile = $2, juvenile_note = $3 WHERE subject_id = $1", subject, juvenile, note); err != nil {
			return nil, err
		}
		e, err := entry("subject.juvenile", "subject", int64(subject), now, map[string]any{"juvenile": juvenile, "by": by})
		e.Org, e.Subject = org, subject
		return []ledger.Entry{e}, err
	})
}
