package devices

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// PhoneFinest is how close to one another the fixes of a phone may be without a justification (R13).
const PhoneFinest = 10 * time.Minute

// Binding is the interval in which a device speaks for a subject, as it is recorded now.
type Binding struct {
	ID       id.Binding
	Device   id.Device
	Class    Class
	Subject  id.Subject
	Interval time.Duration // a fix is expected this often
	Finest   time.Duration // a phone fix closer to another than this is withheld (R13); 0: none is
	From     time.Time
	Until    time.Time // zero: open
}

// Holds says whether the device speaks for the subject at t.
func (b Binding) Holds(t time.Time) bool {
	return !t.Before(b.From) && (b.Until.IsZero() || t.Before(b.Until))
}

// NewBinding is a binding to record.
type NewBinding struct {
	Device        id.Device
	Subject       id.Subject
	Interval      time.Duration
	Finest        time.Duration // zero without a justification means PhoneFinest for a phone
	Justification string        // why finer than PhoneFinest, which Reviewer confirmed (R13)
	Reviewer      id.Officer
	From          time.Time
	Until         time.Time // zero: open
	By            id.Account
	At            time.Time // domain time at which it is recorded
}

// Bind records that a device speaks for a subject: 佩戴 or 开通. What the law refuses comes back as a LawError, and the
// transaction is then good for nothing but a rollback.
func Bind(ctx context.Context, tx pgx.Tx, n NewBinding) (id.Binding, error) {
	d, err := locked(ctx, tx, n.Device)
	if err != nil {
		return 0, fmt.Errorf("bind: %w", err)
	}
	if !d.RevokedAt.IsZero() {
		return 0, fmt.Errorf("bind: %w", ErrRevoked)
	}
	if err := changeFacts(ctx, tx, n.At, n.From, n.Device, n.Subject); err != nil {
		return 0, fmt.Errorf("bind: %w", err)
	}
	b, err := insertBinding(ctx, tx, n, n.At)
	if err != nil {
		return 0, explain("bind", err)
	}
	return b, appendBinding(ctx, tx, "binding.opened", b, 0, n.At)
}

func insertBinding(ctx context.Context, tx pgx.Tx, n NewBinding, recorded time.Time) (id.Binding, error) {
	var b id.Binding
	if n.From.IsZero() || !n.Until.IsZero() && !n.Until.After(n.From) {
		law := laws["binding_valid_check"]
		return 0, &law
	}
	err := tx.QueryRow(ctx, `INSERT INTO binding (device_id, class, subject_id, interval_s, finest_s, justification, reviewer_id, valid, recorded, recorded_by)
		SELECT device_id, class, $2, $3, CASE WHEN class = 'phone' AND $4 = 0 AND $5::text IS NULL THEN $11 ELSE $4 END, $5, $6,
		       tstzrange($7, $8), tstzrange($9, NULL), $10
		  FROM device WHERE device_id = $1 RETURNING binding_id`,
		n.Device, n.Subject, int(n.Interval/time.Second), int(n.Finest/time.Second), orNull(n.Justification), orNull(n.Reviewer),
		n.From, orNull(n.Until), recorded, orNull(n.By), int(PhoneFinest/time.Second)).Scan(&b)
	return b, err
}

// changeFacts makes every cache of what bears on the device and the subjects stale, and the subjects due at once. The
// device must be locked; this locks the subjects. What reaches back before at is derived again from since.
func changeFacts(ctx context.Context, tx pgx.Tx, at, since time.Time, device id.Device, subjects ...id.Subject) error {
	if _, err := tx.Exec(ctx, `UPDATE device SET facts = facts + 1 WHERE device_id = $1`, device); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `SELECT facts_changed(array_agg(DISTINCT subject_id), $2, $3, jsonb_build_object('what', 'binding', 'at', $2::timestamptz))
		FROM subject WHERE subject_id = ANY ($1) HAVING count(*) > 0`, subjects, at, since)
	return err
}

// appendBinding tells the ledger, under the office that supervises the subject then.
func appendBinding(ctx context.Context, tx pgx.Tx, kind string, b, before id.Binding, at time.Time) error {
	e := ledger.Entry{At: at, Kind: kind, Entity: "binding", EntityID: int64(b)}
	var device id.Device
	var class Class
	err := tx.QueryRow(ctx, `SELECT b.device_id, b.class, b.subject_id, d.facts, coalesce((SELECT org_id FROM subject_office o
			WHERE o.subject_id = b.subject_id AND upper_inf(o.recorded) AND o.valid @> $2::timestamptz), d.org_id, 0)
		  FROM binding b JOIN device d USING (device_id) WHERE binding_id = $1`, b, at).Scan(&device, &class, &e.Subject, &e.Version, &e.Org)
	if err != nil {
		return fmt.Errorf("tell the ledger of a binding: %w", err)
	}
	body := map[string]any{"device_id": device, "class": class}
	if before != 0 {
		body["replaces"] = before
	}
	e.Body = asJSON(body)
	return ledger.Append(ctx, tx, e)
}

// Unbind records the end of a binding: 拆除 or 停用. The record before stays, superseded; the new one has another id.
func Unbind(ctx context.Context, tx pgx.Tx, b id.Binding, until time.Time, by id.Account, at time.Time) (id.Binding, error) {
	was, recorded, err := supersede(ctx, tx, b, 0, at, until)
	if err != nil {
		return 0, fmt.Errorf("unbind: %w", err)
	}
	if !until.After(was.From) || !was.Until.IsZero() && until.After(was.Until) {
		return 0, fmt.Errorf("unbind: %w", &LawError{Rule: "R11", Citation: "社区矫正法 29、26",
			Detail: "a binding ends after it began and not later than recorded; anything else is a correction"})
	}
	was.Until, was.By = until, by
	now, err := insertBinding(ctx, tx, was, recorded)
	if err != nil {
		return 0, explain("unbind", err)
	}
	return now, appendBinding(ctx, tx, "binding.ended", now, b, at)
}

// CorrectBinding replaces what was recorded of a binding. The device stays the same; everything else may change, and the
// verdicts on both subjects are looked at again.
func CorrectBinding(ctx context.Context, tx pgx.Tx, b id.Binding, n NewBinding) (id.Binding, error) {
	was, recorded, err := supersede(ctx, tx, b, n.Subject, n.At, n.From)
	if err != nil {
		return 0, fmt.Errorf("correct a binding: %w", err)
	}
	n.Device = was.Device
	now, err := insertBinding(ctx, tx, n, recorded)
	if err != nil {
		return 0, explain("correct a binding", err)
	}
	return now, appendBinding(ctx, tx, "binding.corrected", now, b, n.At)
}

// supersede closes the record of a binding under the locks of its device, its subject and another one, and returns what
// it said and from when the next record holds. since is from when on it says something else; where the record of another
// subject takes its place, as far back as either reaches.
func supersede(ctx context.Context, tx pgx.Tx, b id.Binding, also id.Subject, at, since time.Time) (NewBinding, time.Time, error) {
	var n NewBinding
	var interval, finest int
	var justification *string
	var reviewer *id.Officer
	var until *time.Time
	err := tx.QueryRow(ctx, `SELECT device_id, subject_id, interval_s, finest_s, justification, reviewer_id, lower(valid), upper(valid)
		FROM binding WHERE binding_id = $1`, b).Scan(&n.Device, &n.Subject, &interval, &finest, &justification, &reviewer, &n.From, &until)
	if errors.Is(err, pgx.ErrNoRows) {
		return n, at, ErrUnknownBinding
	}
	if err != nil {
		return n, at, err
	}
	n.Interval, n.Finest = time.Duration(interval)*time.Second, time.Duration(finest)*time.Second
	n.From, n.Until, n.At = n.From.UTC(), fromNull(until), at
	if justification != nil {
		n.Justification = *justification
	}
	if reviewer != nil {
		n.Reviewer = *reviewer
	}
	if err := lockDevices(ctx, tx, n.Device); err != nil {
		return n, at, err
	}
	subjects := []id.Subject{n.Subject}
	if also != 0 {
		subjects = append(subjects, also)
		if n.From.Before(since) {
			since = n.From
		}
	}
	if err := changeFacts(ctx, tx, at, since, n.Device, subjects...); err != nil {
		return n, at, err
	}
	// On a clock that stands still two records of the same instant still follow one another.
	var recorded time.Time
	err = tx.QueryRow(ctx, `UPDATE binding SET recorded = tstzrange(lower(recorded), greatest($2, lower(recorded) + interval '1 microsecond'))
		WHERE binding_id = $1 AND upper_inf(recorded) RETURNING upper(recorded)`, b, at).Scan(&recorded)
	if errors.Is(err, pgx.ErrNoRows) {
		return n, at, ErrUnknownBinding
	}
	return n, recorded, err
}

// LoadBindings returns the bindings of devices as they are recorded now, each device's in order of time.
func LoadBindings(ctx context.Context, q Querier, devices []id.Device) (map[id.Device][]Binding, error) {
	rows, err := q.Query(ctx, `SELECT binding_id, device_id, class, subject_id, interval_s, finest_s, lower(valid), upper(valid)
		FROM binding WHERE device_id = ANY($1) AND upper_inf(recorded) ORDER BY device_id, valid`, devices)
	if err != nil {
		return nil, fmt.Errorf("load bindings: %w", err)
	}
	out := make(map[id.Device][]Binding, len(devices))
	var b Binding
	var interval, finest int
	var from time.Time
	var until *time.Time
	_, err = pgx.ForEachRow(rows, []any{&b.ID, &b.Device, &b.Class, &b.Subject, &interval, &finest, &from, &until}, func() error {
		b.Interval, b.Finest = time.Duration(interval)*time.Second, time.Duration(finest)*time.Second
		b.From, b.Until = from.UTC(), fromNull(until)
		out[b.Device] = append(out[b.Device], b)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load bindings: %w", err)
	}
	return out, nil
}
