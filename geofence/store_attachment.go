package geofence

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// AttachmentSpec is what an officer records of a device being on the person.
type AttachmentSpec struct {
	Subject id.Subject
	What    Attachment
	At      time.Time // zero: now
	How     string    // seen, video, refitted; lead for a separation that is accepted
	Note    string
}

// PutAttachment records 复位确认, or that a separation is accepted: from then on fixes speak for the person again, or no
// more (R122). Who recorded it and how they know stays on the record.
func (s *Store) PutAttachment(ctx context.Context, by id.Account, scope id.Org, spec AttachmentSpec) error {
	return s.change(ctx, "record an attachment", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		if spec.At.IsZero() {
			spec.At = now
		}
		hows := []string{"seen", "video", "refitted"}
		if spec.What == SeparationAccepted {
			hows = []string{"lead"}
		}
		switch {
		case spec.What != ResetConfirmed && spec.What != SeparationAccepted:
			return nil, &Refused{Field: "what", Reason: BadKind, Detail: "reset_confirmed or separation_accepted"}
		case !slices.Contains(hows, spec.How):
			return nil, &Refused{Field: "how", Reason: BadKind, Detail: fmt.Sprintf("one of %v: a reset rests on somebody who saw it", hows)}
		case spec.At.After(now):
			return nil, &Refused{Field: "at", Reason: EmptyInterval, Detail: "not later than now"}
		}
		why := Why{What: "attachment", By: by, At: now, From: spec.At}
		if err := lockScoped(ctx, tx, spec.Subject, scope, now, why); err != nil {
			return nil, err
		}
		var n int64
		if err := tx.QueryRow(ctx, `INSERT INTO attachment (subject_id, what, at, how, note, recorded, recorded_by)
			VALUES ($1, $2, $3, $4, $5, tstzrange($6, NULL), nullif($7::bigint, 0)) RETURNING attachment_id`,
			spec.Subject, spec.What, spec.At, spec.How, spec.Note, now, int64(by)).Scan(&n); err != nil {
			return nil, err
		}
		e, err := ruleEntry(ctx, tx, "attachment."+string(spec.What), &RuleSpec{Subject: spec.Subject}, 1, now)
		e.Entity, e.EntityID, e.Body = "attachment", n, nil
		return []ledger.Entry{e}, err
	})
}

// readAttachments gives the facts of subjects what is recorded of their devices being on them.
func readAttachments(ctx context.Context, tx pgx.Tx, ids []id.Subject, known time.Time, out map[id.Subject]*subjectFacts) error {
	rows, err := tx.Query(ctx, `SELECT subject_id, what, at FROM attachment WHERE subject_id = ANY ($1) AND `+recordedAt(known)+` ORDER BY subject_id, at, attachment_id`, ids)
	if err != nil {
		return fmt.Errorf("read attachments: %w", err)
	}
	var s id.Subject
	var a AttachmentFact
	_, err = pgx.ForEachRow(rows, []any{&s, &a.What, &a.At}, func() error {
		a.At = a.At.UTC()
		out[s].facts.Attachments = append(out[s].facts.Attachments, a)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read attachments: %w", err)
	}
	return nil
}
