package geofence

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// radio is how a device was connected when it said something. Many fixes share one; history refers to it by a number.
type radio struct {
	operator, cell, sim string
}

// radioID is the number of a radio, good on the day (since 1970, UTC) on which it was read: what was used today is not removed.
type radioID struct {
	id, day int64
}

// radioIDs are the numbers of the radios of a batch.
type radioIDs map[radio]radioID

// maxRadios is how many are remembered: 26,000 people with ten cells each.
const maxRadios = 1 << 18

// of is the column radio_id; nil where nothing is known.
func (m radioIDs) of(list []radio) []*int64 {
	out := make([]*int64, len(list))
	for i, r := range list {
		if r != (radio{}) {
			n := m[r].id
			out[i] = &n
		}
	}
	return out
}

// radios finds the numbers of what a batch is to store, and makes those that are new. They may be remembered once the
// transaction is committed. Keys are taken in order: two batches may want the same.
func (e *Engine) radios(ctx context.Context, tx pgx.Tx, list []radio, now time.Time) (radioIDs, error) {
	today := dayOf(now)
	out := radioIDs{}
	var missing []radio
	e.cache.mu.Lock()
	for _, r := range list {
		if _, done := out[r]; done || r == (radio{}) {
			continue
		}
		if out[r] = e.cache.radios[r]; out[r].id == 0 || out[r].day != today {
			missing = append(missing, r)
		}
	}
	e.cache.mu.Unlock()
	if len(missing) == 0 {
		return out, nil
	}
	slices.SortFunc(missing, func(a, b radio) int {
		return cmp.Or(cmp.Compare(a.operator, b.operator), cmp.Compare(a.cell, b.cell), cmp.Compare(a.sim, b.sim))
	})
	operators, cells, sims := make([]string, len(missing)), make([]string, len(missing)), make([]string, len(missing))
	for i, r := range missing {
		operators[i], cells[i], sims[i] = r.operator, r.cell, r.sim
	}
	rows, err := tx.Query(ctx, `INSERT INTO radio AS r (operator, cell, sim, used_on) SELECT v.*, ($4::timestamptz AT TIME ZONE 'UTC')::date
		FROM unnest($1::text[], $2::text[], $3::text[]) AS v ON CONFLICT (operator, cell, sim) DO UPDATE SET used_on = greatest(r.used_on, excluded.used_on)
		RETURNING operator, cell, sim, radio_id`, operators, cells, sims, now)
	if err != nil {
		return nil, fmt.Errorf("store radios: %w", err)
	}
	var r radio
	n := radioID{day: today}
	if _, err := pgx.ForEachRow(rows, []any{&r.operator, &r.cell, &r.sim, &n.id}, func() error { out[r] = n; return nil }); err != nil {
		return nil, fmt.Errorf("store radios: %w", err)
	}
	return out, nil
}

// keepRadios remembers what was committed.
func (c *cache) keepRadios(list radioIDs) {
	if len(list) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.radios)+len(list) > maxRadios {
		clear(c.radios)
	}
	for r, n := range list {
		c.radios[r] = n
	}
}
