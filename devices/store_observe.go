package devices

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// LockForObserve locks the devices of a batch, in order of their ids, and returns what is known of each. A serial that is
// not in the registry is not in the map. What it returns is exact until the transaction ends: whoever changes a device
// or its bindings takes the same lock, and the device is read after it was locked.
func LockForObserve(ctx context.Context, tx pgx.Tx, serials []Serial) (map[Serial]*Known, error) {
	var b pgx.Batch
	b.Queue(`SELECT FROM device_health h JOIN device d USING (device_id) WHERE serial = ANY($1) ORDER BY h.device_id FOR UPDATE OF h`, serials)
	b.Queue(`SELECT `+deviceColumns+`, h.heard, h.heard_at, h.observed_at, h.conflict_told FROM device d JOIN device_health h USING (device_id)
		WHERE serial = ANY($1)`, serials)
	results := tx.SendBatch(ctx, &b)
	defer results.Close() //nolint:errcheck // an error has come out of Query or rows.Err before
	if _, err := results.Exec(); err != nil {
		return nil, fmt.Errorf("lock devices: %w", err)
	}
	rows, err := results.Query()
	if err != nil {
		return nil, fmt.Errorf("read devices: %w", err)
	}
	defer rows.Close()
	out := make(map[Serial]*Known, len(serials))
	for rows.Next() {
		k := new(Known)
		var heard []byte
		var heardAt, observedAt, conflictTold *time.Time
		if k.Device, err = scanDevice(rows, &heard, &heardAt, &observedAt, &conflictTold); err != nil {
			return nil, fmt.Errorf("read devices: %w", err)
		}
		k.conflictTold = fromNull(conflictTold)
		k.heardAt, k.ObservedAt = fromNull(heardAt), fromNull(observedAt)
		if k.Window.UnmarshalBinary(heard) != nil {
			k.Window = lostWindow()
		}
		out[k.Serial] = k
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read devices: %w", err)
	}
	return out, nil
}

// lostWindow stands in for one that cannot be read: it says of everything that history decides, so that nothing is lost and
// nothing happens twice, only slower.
func lostWindow() Window { return Window{forgotten: math.MaxInt64, lost: true} }

// SaveHeard writes the windows and the health of devices that LockForObserve locked.
func SaveHeard(ctx context.Context, tx pgx.Tx, list []*Known) error {
	n := len(list)
	if n == 0 {
		return nil
	}
	ids, heard, heardAt, observedAt := make([]id.Device, n), make([][]byte, n), make([]*time.Time, n), make([]*time.Time, n)
	battery, signal, strap := make([]*int, n), make([]*int, n), make([]*int16, n)
	charging, skew, missing := make([]*bool, n), make([]*int64, n), make([]int64, n)
	conflicts, conflictTold := make([]int64, n), make([]*time.Time, n)
	cell, operator, sim, gasp := make([]*string, n), make([]*string, n), make([]*string, n), make([]*string, n)
	for i, k := range list {
		var err error
		if heard[i], err = k.Window.MarshalBinary(); err != nil {
			return fmt.Errorf("window of a device: %w", err)
		}
		ids[i], heardAt[i], skew[i], missing[i] = k.ID, orNull(k.heardAt), k.skew, k.Window.Missing()
		conflicts[i], conflictTold[i] = k.conflicts, orNull(k.conflictTold)
		if !k.fresher {
			continue
		}
		h := &k.health
		observedAt[i], battery[i], signal[i], charging[i] = orNull(k.ObservedAt), h.Battery, h.Signal, h.Charging
		if h.Strap != StrapUnknown {
			strap[i] = orNull(int16(h.Strap))
		}
		cell[i], operator[i], sim[i], gasp[i] = orNull(h.Cell), orNull(h.Operator), orNull(h.SIM), orNull(h.LastGasp)
	}
	_, err := tx.Exec(ctx, `UPDATE device_health h SET heard = v.heard, heard_at = greatest(h.heard_at, v.heard_at),
			observed_at = coalesce(v.observed_at, h.observed_at), battery = coalesce(v.battery, h.battery), signal = coalesce(v.signal, h.signal),
			strap = coalesce(v.strap, h.strap), charging = coalesce(v.charging, h.charging), cell = coalesce(v.cell, h.cell),
			operator = coalesce(v.operator, h.operator), sim = coalesce(v.sim, h.sim), skew_ms = coalesce(v.skew_ms, h.skew_ms),
			last_gasp = CASE WHEN v.observed_at IS NULL THEN h.last_gasp ELSE v.last_gasp END,
			conflicts = h.conflicts + v.conflicts, conflict_told = greatest(h.conflict_told, v.conflict_told),
			missing = v.missing, missing_told = least(h.missing_told, v.missing),
			missing_since = CASE WHEN v.missing > h.missing_told THEN coalesce(h.missing_since, v.heard_at, h.heard_at) END
		FROM unnest($1::bigint[], $2::bytea[], $3::timestamptz[], $4::timestamptz[], $5::smallint[], $6::smallint[], $7::smallint[],
			$8::boolean[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::bigint[], $15::bigint[], $16::timestamptz[])
			AS v (device_id, heard, heard_at, observed_at, battery, signal, strap, charging, cell, operator, sim, last_gasp, skew_ms, missing,
				conflicts, conflict_told)
		WHERE h.device_id = v.device_id`,
		ids, heard, heardAt, observedAt, battery, signal, strap, charging, cell, operator, sim, gasp, skew, missing, conflicts, conflictTold)
	if err != nil {
		return fmt.Errorf("save what devices said: %w", err)
	}
	return nil
}

// KindConflict is the ledger's kind of entry for sequences that came again with another content.
const KindConflict = "device.conflict"

// Conflicts are the entries of the ledger for devices that a batch found in conflict with what they said before.
func Conflicts(list []*Known, now time.Time) []ledger.Entry {
	var out []ledger.Entry
	for _, k := range list {
		if k.tellConflict {
			out = append(out, deviceEntry(KindConflict, k.ID, k.Org, now, 1, map[string]any{"n": k.conflicts}))
		}
	}
	return out
}

// CountKey is what observations are counted by. Reason is empty for received, stored and duplicate.
type CountKey struct {
	Kind    Kind
	Outcome Outcome
	Reason  Reason
}

// Counts is how many observations of a batch came to what.
type Counts map[CountKey]int64

// Add counts n observations.
func (c Counts) Add(kind Kind, outcome Outcome, reason Reason, n int64) {
	if n != 0 {
		c[CountKey{kind, outcome, reason}] += n
	}
}

// SaveCounts adds the counts of one owner of a partition to the account.
func SaveCounts(ctx context.Context, tx pgx.Tx, partition int, c Counts) error {
	if len(c) == 0 {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(c), func(a, b CountKey) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Outcome, b.Outcome), cmp.Compare(a.Reason, b.Reason))
	})
	kinds, outcomes, reasons, n := make([]string, len(keys)), make([]string, len(keys)), make([]string, len(keys)), make([]int64, len(keys))
	for i, k := range keys {
		kinds[i], outcomes[i], reasons[i], n[i] = string(k.Kind), string(k.Outcome), string(k.Reason), c[k]
	}
	_, err := tx.Exec(ctx, `INSERT INTO observation_count AS o (partition, kind, outcome, reason, n)
		SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[])
		ON CONFLICT (partition, kind, outcome, reason) DO UPDATE SET n = o.n + excluded.n`, partition, kinds, outcomes, reasons, n)
	if err != nil {
		return fmt.Errorf("count observations: %w", err)
	}
	return nil
}

// LoadCounts returns the account of the whole installation.
func LoadCounts(ctx context.Context, q Querier) (Counts, error) {
	rows, err := q.Query(ctx, `SELECT kind, outcome, reason, sum(n)::bigint FROM observation_count GROUP BY kind, outcome, reason`)
	if err != nil {
		return nil, fmt.Errorf("read the account: %w", err)
	}
	c := Counts{}
	var k CountKey
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&k.Kind, &k.Outcome, &k.Reason, &n}, func() error { c[k] = n; return nil }); err != nil {
		return nil, fmt.Errorf("read the account: %w", err)
	}
	return c, nil
}

// Total is how many observations came to an outcome, of every kind and for every reason.
func (c Counts) Total(o Outcome) int64 {
	var n int64
	for k, v := range c {
		if k.Outcome == o {
			n += v
		}
	}
	return n
}

// Open is received less everything that is accounted for: zero, always.
func (c Counts) Open() int64 {
	return c.Total(Received) - c.Total(Stored) - c.Total(Withheld) - c.Total(Rejected) - c.Total(Duplicate)
}
