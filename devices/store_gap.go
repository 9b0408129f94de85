package devices

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// GapAge is how long a sequence may be missing behind later ones before it counts as lost: far longer than a broker takes to deliver
// again and than a device takes to send what it kept.
const GapAge = 15 * time.Minute

// tellAtOnce bounds one transaction of TellGaps.
const tellAtOnce = 500

// KindGap is the ledger's kind of entry for sequences that are lost.
const KindGap = "device.gap"

// TellGaps records as lost what has been missing for GapAge: per device how many sequences, in its health and in the ledger. What is
// told and comes after all is taken in as ever, and is then missing no longer. It returns how many devices it told of.
func TellGaps(ctx context.Context, tx pgx.Tx, now time.Time) (int, error) {
	rows, err := tx.Query(ctx, `WITH due AS (SELECT h.device_id, d.org_id, h.missing, h.missing - h.missing_told AS more, h.missing_since
			FROM device_health h JOIN device d USING (device_id) WHERE h.missing_since <= $1
			ORDER BY h.device_id LIMIT $2 FOR UPDATE OF h SKIP LOCKED)
		UPDATE device_health h SET missing_told = due.missing, missing_since = NULL,
			lost = CASE WHEN h.lost > 9000000000000000000 - due.more THEN h.lost ELSE h.lost + due.more END
		FROM due WHERE h.device_id = due.device_id
		RETURNING h.device_id, coalesce(due.org_id, 0), due.missing, due.more, due.missing_since`, now.Add(-GapAge), tellAtOnce)
	if err != nil {
		return 0, fmt.Errorf("tell gaps: %w", err)
	}
	var entries []ledger.Entry
	var device id.Device
	var org id.Org
	var missing, more int64
	var since time.Time
	if _, err := pgx.ForEachRow(rows, []any{&device, &org, &missing, &more, &since}, func() error {
		entries = append(entries, deviceEntry(KindGap, device, org, now, 1, map[string]any{"missing": missing, "more": more, "since": since.UTC()}))
		return nil
	}); err != nil {
		return 0, fmt.Errorf("tell gaps: %w", err)
	}
	if len(entries) == 0 {
		return 0, nil
	}
	return len(entries), ledger.Append(ctx, tx, entries...)
}

// DeviceGaps is what never arrived of one device.
type DeviceGaps struct {
	Serial  Serial
	Model   string
	Missing int64 // sequences of the boots that are remembered
	Told    int64 // of these, lost: missing for GapAge
	Lost    int64 // ever told as lost
	// Conflicts is how many sequences came again with another content: somebody else may speak in the device's name (R41).
	Conflicts int64
	HeardAt   time.Time
	Gaps      []Gap // oldest first
}

// ListGaps returns the devices of which something is missing now, was ever lost or came with another content, those with conflicts and
// the most missing first; limit 0 is 100.
func ListGaps(ctx context.Context, q Querier, limit int) ([]DeviceGaps, error) {
	if limit <= 0 {
		limit = 100
	}
	rows, err := q.Query(ctx, `SELECT d.serial, d.model, h.missing, h.missing_told, h.lost, h.conflicts, h.heard_at, h.heard FROM device_health h JOIN device d USING (device_id)
		WHERE h.missing > 0 OR h.lost > 0 OR h.conflicts > 0 ORDER BY h.conflicts DESC, h.missing_told DESC, h.missing DESC, h.lost DESC, d.serial LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("list gaps: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (DeviceGaps, error) {
		var g DeviceGaps
		var heard []byte
		var at *time.Time
		if err := row.Scan(&g.Serial, &g.Model, &g.Missing, &g.Told, &g.Lost, &g.Conflicts, &at, &heard); err != nil {
			return g, err
		}
		g.HeardAt = fromNull(at)
		var w Window
		if w.UnmarshalBinary(heard) == nil {
			g.Gaps = w.Gaps()
		}
		return g, nil
	})
	if err != nil {
		return nil, fmt.Errorf("list gaps: %w", err)
	}
	return out, nil
}

// GapTotals is what never arrived, of all devices together.
type GapTotals struct {
	Devices int64 `json:"devices"` // of which something is missing that was told
	Missing int64 `json:"missing"` // told, and still missing, of the boots that are remembered
	Lost    int64 `json:"lost"`    // ever told as lost

	Conflicted int64 `json:"conflicted"` // devices whose sequences came again with another content
	Conflicts  int64 `json:"conflicts"`  // how many
}

// LoadGapTotals reads them.
func LoadGapTotals(ctx context.Context, q Querier) (GapTotals, error) {
	var t GapTotals
	err := q.QueryRow(ctx, `SELECT count(*) FILTER (WHERE missing_told > 0), least(coalesce(sum(missing_told), 0), 9000000000000000000)::bigint,
		least(coalesce(sum(lost), 0), 9000000000000000000)::bigint, count(*) FILTER (WHERE conflicts > 0), coalesce(sum(conflicts), 0)::bigint
		FROM device_health WHERE missing_told > 0 OR lost > 0 OR conflicts > 0`).Scan(&t.Devices, &t.Missing, &t.Lost, &t.Conflicted, &t.Conflicts)
	if err != nil {
		return t, fmt.Errorf("read gaps: %w", err)
	}
	return t, nil
}
