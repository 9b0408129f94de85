package devices

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
)

// QuarantineDays is how long a trace of what was refused or withheld is kept.
const QuarantineDays = 7

// Refused is an observation, or a whole message, that was rejected or withheld.
type Refused struct {
	ReceivedAt time.Time
	Device     id.Device // 0: not in the registry
	Serial     Serial
	Kind       Kind
	Outcome    Outcome // Rejected or Withheld
	Reason     Reason
	Field      string
	Boot, Seq  int64     // -1: not known
	At         time.Time // zero: not known
	Size       int
	Digest     uint64
	Payload    []byte
	Stands     int64 // messages it stands for; 0: one
	// Keep says that the raw payload may be kept, encrypted: every time in it lies where the law lets us keep a place. Whoever
	// says so has looked at bindings and authorities. Of what is withheld nothing is kept, whatever Keep says.
	Keep bool
}

// Quarantine writes traces of what was refused or withheld.
func Quarantine(ctx context.Context, tx pgx.Tx, p crypto.Provider, list []Refused) error {
	if len(list) == 0 {
		return nil
	}
	rows := make([][]any, len(list))
	for i := range list {
		r := &list[i]
		payload, masked, err := kept(p, r)
		if err != nil {
			return err
		}
		rows[i] = []any{r.ReceivedAt, orNull(int64(r.Device)), string(r.Serial), string(r.Kind), string(r.Outcome), string(r.Reason), r.Field,
			known(r.Boot), known(r.Seq), orNull(r.At), r.Size, binary.BigEndian.AppendUint64(nil, r.Digest), payload, masked,
			r.ReceivedAt.AddDate(0, 0, QuarantineDays), int32(min(max(r.Stands, 1), math.MaxInt32))}
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"quarantine"}, []string{"received_at", "device_id", "serial", "kind", "outcome", "reason", "field",
		"boot", "seq", "observed_at", "size", "digest", "payload", "masked", "expires_at", "n"}, pgx.CopyFromRows(rows))
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	return nil
}

// kept is what of a payload goes into the table.
func kept(p crypto.Provider, r *Refused) (payload []byte, masked bool, err error) {
	if r.Outcome == Withheld || len(r.Payload) == 0 {
		return nil, true, nil
	}
	if !r.Keep || len(r.Payload) > MaxPayload {
		return Mask(r.Payload), true, nil
	}
	payload, err = p.Seal(crypto.Quarantine, quarantineContext(r.Serial), r.Payload)
	if err != nil {
		return nil, false, fmt.Errorf("seal a payload: %w", err)
	}
	return payload, false, nil
}

func quarantineContext(s Serial) string { return "quarantine:" + string(s) }

func known(n int64) *int64 {
	if n == -1 {
		return nil
	}
	return &n
}

// QuarantineFilter says which traces to list. Zero values do not filter.
type QuarantineFilter struct {
	Serial Serial
	Reason Reason
	Since  time.Time
	Before int64 // only ids below: the last one of the page before
	Limit  int   // 100 when zero
}

// QuarantineRow is one trace.
type QuarantineRow struct {
	ID int64
	Refused
	Masked    bool
	ExpiresAt time.Time
}

// ListQuarantine returns traces, newest first, with their payloads as they are stored.
func ListQuarantine(ctx context.Context, q Querier, f QuarantineFilter) ([]QuarantineRow, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	rows, err := q.Query(ctx, `SELECT quarantine_id, received_at, coalesce(device_id, 0), serial, kind, outcome, reason, field, coalesce(boot, -1),
			coalesce(seq, -1), observed_at, size, digest, payload, masked, expires_at, n
		  FROM quarantine
		 WHERE ($1::text IS NULL OR serial = $1) AND ($2::text IS NULL OR reason = $2) AND ($3::timestamptz IS NULL OR received_at >= $3)
		   AND ($4::bigint IS NULL OR quarantine_id < $4)
		 ORDER BY quarantine_id DESC LIMIT $5`,
		orNull(string(f.Serial)), orNull(string(f.Reason)), orNull(f.Since), orNull(f.Before), f.Limit)
	if err != nil {
		return nil, fmt.Errorf("list the quarantine: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (QuarantineRow, error) {
		var r QuarantineRow
		var at *time.Time
		var digest []byte
		err := row.Scan(&r.ID, &r.ReceivedAt, &r.Device, &r.Serial, &r.Kind, &r.Outcome, &r.Reason, &r.Field, &r.Boot, &r.Seq, &at, &r.Size,
			&digest, &r.Payload, &r.Masked, &r.ExpiresAt, &r.Stands)
		r.ReceivedAt, r.ExpiresAt, r.At, r.Keep = r.ReceivedAt.UTC(), r.ExpiresAt.UTC(), fromNull(at), !r.Masked
		if len(digest) == 8 {
			r.Digest = binary.BigEndian.Uint64(digest)
		}
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the quarantine: %w", err)
	}
	return out, nil
}

// Open returns the payload as it was sent, or its masked shape where that is all there is.
func (r *QuarantineRow) Open(p crypto.Provider) ([]byte, error) {
	if r.Masked || len(r.Payload) == 0 {
		return r.Payload, nil
	}
	raw, err := p.Open(crypto.Quarantine, quarantineContext(r.Serial), r.Payload)
	if err != nil {
		return nil, fmt.Errorf("quarantined payload %d: %w", r.ID, err)
	}
	return raw, nil
}

// PurgeQuarantine removes what has been kept long enough, and returns how much it was.
func PurgeQuarantine(ctx context.Context, q Querier, now time.Time) (int64, error) {
	tag, err := q.Exec(ctx, `DELETE FROM quarantine WHERE expires_at <= $1`, now)
	if err != nil {
		return 0, fmt.Errorf("purge the quarantine: %w", err)
	}
	return tag.RowsAffected(), nil
}
