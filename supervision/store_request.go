package supervision

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// RequestKind is what a person asks about their own data.
type RequestKind string

const (
	RequestAccess     RequestKind = "access"     // 查阅、复制 (个人信息保护法 45)
	RequestCorrection RequestKind = "correction" // 更正、补充 (46)
	RequestDeletion   RequestKind = "deletion"   // 删除 (47)
	RequestObjection  RequestKind = "objection"  // 限制或者拒绝、要求解释说明 (44, 48)
)

// RequestAnswer is the task of answering in time.
const RequestAnswer TaskKind = "request_answer"

// DataRequest is what a person asked, and what came of it.
type DataRequest struct {
	ID         int64
	Subject    id.Subject
	Kind       RequestKind
	Words      string // as the person put it; sealed in the database
	ReceivedAt time.Time
	Due        time.Time
	Decision   string // granted, refused; empty: not yet
	Exception  string // of law, that a refusal rests on
	Reason     string
	DecidedAt  time.Time
	DoneAt     time.Time
	Outcome    string
}

func sealedRequest(subject id.Subject) string { return fmt.Sprintf("data_request/%d", subject) }

// ReceiveRequest takes a request of a subject in scope in. When it is to be answered is the period's to say.
func (s *Store) ReceiveRequest(ctx context.Context, a Actor, scope id.Org, r DataRequest) (int64, error) {
	switch r.Kind {
	case RequestAccess, RequestCorrection, RequestDeletion, RequestObjection:
	default:
		return 0, &FieldError{"kind", Malformed, "there is no such request"}
	}
	if err := text("words", r.Words); err != nil {
		return 0, err
	}
	err := s.change(ctx, "receive a request", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		who, err := s.Subject(ctx, tx, scope, r.Subject)
		if err != nil {
			return nil, err
		}
		p, err := PeriodNamed(ctx, tx, "request.answer", now)
		if err != nil {
			return nil, err
		}
		var off DayOff
		if s.daysOff != nil {
			if off, err = s.daysOff(ctx, tx); err != nil {
				return nil, err
			}
		}
		r.Due = p.End(now, p.Amount[0], off)
		envelope, err := s.keys.Seal(crypto.Person, sealedRequest(r.Subject), []byte(r.Words))
		if err != nil {
			return nil, err
		}
		if err := tx.QueryRow(ctx, "INSERT INTO data_request (subject_id, kind, words, received_at, due_at, received_by) VALUES ($1, $2, $3, $4, $5, $6) RETURNING request_id",
			r.Subject, r.Kind, envelope, now, r.Due, null(a.Account)).Scan(&r.ID); err != nil {
			return nil, err
		}
		if err := putTask(ctx, tx, now, r.Subject, who.Office, 0, TaskSpec{RequestAnswer, strconv.FormatInt(r.ID, 10), r.Due}); err != nil {
			return nil, err
		}
		e, err := entry("request.received", "request", r.ID, now, map[string]any{"kind": r.Kind, "by": a.Account})
		e.Org, e.Subject = who.Office, r.Subject
		return []ledger.Entry{e}, err
	})
	return r.ID, err
}

// DecideRequest grants a request, or refuses it on an exception of law with a reason.
func (s *Store) DecideRequest(ctx context.Context, a Actor, scope id.Org, request int64, grant bool, exception, reason string) error {
	if !a.decides() {
		return refusedStaff
	}
	decision := "granted"
	if !grant {
		decision = "refused"
		if exception == "" {
			return &LawError{FieldError{"exception", NoBasis, "a refusal rests on an exception of law"}, "个人信息保护法 18、45、46、47"}
		}
		if err := text("reason", reason); err != nil {
			return err
		}
	} else if exception != "" {
		return &FieldError{"exception", Malformed, "what is granted rests on none"}
	}
	return s.requestStep(ctx, a, scope, request, "request.decided", func(tx pgx.Tx, now time.Time, r *DataRequest) (map[string]any, error) {
		if r.Decision != "" {
			return nil, ErrConflict
		}
		var known bool
		if err := tx.QueryRow(ctx, "SELECT $1 = '' OR EXISTS (SELECT FROM request_exception WHERE code = $1)", exception).Scan(&known); err != nil {
			return nil, err
		}
		if !known {
			return nil, &FieldError{"exception", Unknown, "there is no such exception"}
		}
		_, err := tx.Exec(ctx, "UPDATE data_request SET decision = $2, exception = $3, reason = $4, decided_at = $5, decided_by = $6 WHERE request_id = $1",
			request, decision, null(exception), reason, now, null(a.Account))
		return map[string]any{"decision": decision, "exception": exception}, err
	})
}

// FinishRequest records that the person was told, and that what was granted was done.
func (s *Store) FinishRequest(ctx context.Context, a Actor, scope id.Org, request int64, outcome string) error {
	if !a.decides() {
		return refusedStaff
	}
	if err := text("outcome", outcome); err != nil {
		return err
	}
	return s.requestStep(ctx, a, scope, request, "request.done", func(tx pgx.Tx, now time.Time, r *DataRequest) (map[string]any, error) {
		switch {
		case r.Decision == "":
			return nil, &FieldError{"request", OutOfTurn, "it is not decided yet"}
		case !r.DoneAt.IsZero():
			return nil, ErrConflict
		}
		if _, err := tx.Exec(ctx, "UPDATE data_request SET done_at = $2, outcome = $3 WHERE request_id = $1", request, now, outcome); err != nil {
			return nil, err
		}
		_, err := tx.Exec(ctx, "UPDATE task SET done_at = $3, done_by = $4, outcome = 'done' WHERE kind = $1 AND key = $2 AND done_at IS NULL", RequestAnswer, strconv.FormatInt(request, 10), now, null(a.Account))
		return map[string]any{}, err
	})
}

// Correct replaces what identifies a person, as a granted request says; what stood there is kept, sealed as it was.
func (s *Store) Correct(ctx context.Context, a Actor, scope id.Org, request int64, p Person) error {
	if !a.decides() {
		return refusedStaff
	}
	if p.Name == "" {
		return &FieldError{"name", Missing, "a subject has a name"}
	}
	return s.requestStep(ctx, a, scope, request, "person.corrected", func(tx pgx.Tx, now time.Time, r *DataRequest) (map[string]any, error) {
		if r.Kind != RequestCorrection || r.Decision != "granted" || !r.DoneAt.IsZero() {
			return nil, &FieldError{"request", OutOfTurn, "it is no granted correction that waits to be done"}
		}
		if _, err := tx.Exec(ctx, `INSERT INTO person_history (subject_id, replaced_at, request_id, surname, name, id_number, phone, address, contacts)
			SELECT subject_id, $2, $3, surname, name, id_number, phone, address, contacts FROM subject_person WHERE subject_id = $1`, r.Subject, now, request); err != nil {
			return nil, err
		}
		return map[string]any{}, s.putPerson(ctx, tx, r.Subject, surnameOf(p.Name), p)
	})
}

// requestStep locks a request of the scope, does something to it and tells the ledger.
func (s *Store) requestStep(ctx context.Context, a Actor, scope id.Org, request int64, kind string, do func(tx pgx.Tx, now time.Time, r *DataRequest) (map[string]any, error)) error {
	return s.change(ctx, "go on with a request", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		r := DataRequest{ID: request}
		var done *time.Time
		var org id.Org
		err := tx.QueryRow(ctx, `SELECT p.subject_id, p.kind, coalesce(p.decision, ''), p.done_at,
				(SELECT o.org_id FROM subject_office o WHERE o.subject_id = p.subject_id AND upper_inf(o.recorded) AND o.valid @> $2::timestamptz)
			FROM data_request p WHERE`+inScope+` AND p.request_id = $3 FOR UPDATE`, scope, now, request).Scan(&r.Subject, &r.Kind, &r.Decision, &done, &org)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, ErrNotFound
		}
		if err != nil {
			return nil, err
		}
		if done != nil {
			r.DoneAt = *done
		}
		body, err := do(tx, now, &r)
		if err != nil {
			return nil, err
		}
		body["by"] = a.Account
		e, err := entry(kind, "request", request, now, body)
		e.Org, e.Subject = org, r.Subject
		return []ledger.Entry{e}, err
	})
}

// Requests are those of subjects in scope, of one where it is given, the open first.
func (s *Store) Requests(ctx context.Context, q Querier, scope id.Org, subject id.Subject) ([]DataRequest, error) {
	rows, err := q.Query(ctx, `SELECT p.request_id, p.subject_id, p.kind, p.words, p.received_at, p.due_at, coalesce(p.decision, ''), coalesce(p.exception, ''), p.reason, p.decided_at, p.done_at, p.outcome
		FROM data_request p WHERE`+inScope+` AND ($3 = 0 OR p.subject_id = $3) ORDER BY p.done_at IS NOT NULL, p.due_at, p.request_id LIMIT 500`, scope, s.clock.Now(), subject)
	if err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r DataRequest, err error) {
		var envelope []byte
		var decided, done *time.Time
		if err := row.Scan(&r.ID, &r.Subject, &r.Kind, &envelope, &r.ReceivedAt, &r.Due, &r.Decision, &r.Exception, &r.Reason, &decided, &done, &r.Outcome); err != nil {
			return r, err
		}
		for _, t := range []struct {
			from *time.Time
			to   *time.Time
		}{{decided, &r.DecidedAt}, {done, &r.DoneAt}} {
			if t.from != nil {
				*t.to = t.from.UTC()
			}
		}
		words, err := s.keys.Open(crypto.Person, sealedRequest(r.Subject), envelope)
		r.Words = string(words)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	return list, nil
}

// Notice is that a person was told, in which version of which text, and signed.
type Notice struct {
	Code     string
	Version  int
	Body     string
	SignedAt time.Time
}

// Notices are what a subject was told, the newest first.
func Notices(ctx context.Context, q Querier, subject id.Subject) ([]Notice, error) {
	rows, err := q.Query(ctx, `SELECT t.code, t.version, t.body, n.signed_at FROM notice n JOIN notice_text t USING (notice_text_id) WHERE n.subject_id = $1 ORDER BY n.notice_id DESC`, subject)
	if err != nil {
		return nil, fmt.Errorf("read what somebody was told: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Notice])
	if err != nil {
		return nil, fmt.Errorf("read what somebody was told: %w", err)
	}
	return list, nil
}
