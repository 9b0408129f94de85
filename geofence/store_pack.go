package geofence

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"zhijiao/geofence/track"
	"zhijiao/internal/fail"
	"zhijiao/internal/id"
)

// sparseDay is how many fixes of a day are packed as one: hours of one fix each would save nothing.
const sparseDay = 120

// subjectDay is whose fixes of which day are packed.
type subjectDay struct {
	subject id.Subject
	day     time.Time // its beginning, UTC
}

// packDay packs all fixes of some subjects on a day, those that were packed before and those that came since, and returns how
// many there were of the latter. The subjects are locked: nobody stores a fix of theirs or judges by it meanwhile. Those
// whose lock another transaction has are left for another time.
func packDay(ctx context.Context, tx pgx.Tx, subjects []id.Subject, day time.Time) (fixes int64, left []id.Subject, err error) {
	rows, err := tx.Query(ctx, `SELECT subject_id FROM subject_state WHERE subject_id = ANY ($1) ORDER BY subject_id FOR UPDATE SKIP LOCKED`, subjects)
	if err != nil {
		return 0, nil, fmt.Errorf("lock subjects: %w", err)
	}
	locked, err := pgx.CollectRows(rows, pgx.RowTo[id.Subject])
	if err != nil {
		return 0, nil, fmt.Errorf("lock subjects: %w", err)
	}
	for _, s := range subjects {
		if !slices.Contains(locked, s) {
			left = append(left, s)
		}
	}
	days, fixes, err := takeRows(ctx, tx, locked, day)
	if err != nil || fixes == 0 {
		return fixes, left, err
	}
	if err := takePacks(ctx, tx, days, day); err != nil {
		return 0, nil, err
	}
	for range days {
		fail.Point(fail.Packing)
	}
	return fixes, left, putPacks(ctx, tx, days, day)
}

// takeRows takes the fixes of a day out of position.
func takeRows(ctx context.Context, tx pgx.Tx, subjects []id.Subject, day time.Time) (map[id.Subject][]track.Fix, int64, error) {
	rows, err := tx.Query(ctx, `WITH p AS (DELETE FROM position WHERE subject_id = ANY ($1) AND fix_at >= $2 AND fix_at < $3 RETURNING *)
		SELECT `+fixColumns+` FROM p LEFT JOIN radio r USING (radio_id)`, subjects, day, day.AddDate(0, 0, 1))
	if err != nil {
		return nil, 0, fmt.Errorf("take fixes to pack them: %w", err)
	}
	defer rows.Close()
	out := map[id.Subject][]track.Fix{}
	var s id.Subject
	var n int64
	for rows.Next() {
		var f track.Fix
		if err := scanFix(rows, &s, &f); err != nil {
			return nil, 0, fmt.Errorf("take fixes to pack them: %w", err)
		}
		out[s] = append(out[s], f)
		n++
	}
	if err := rows.Err(); err != nil {
		return nil, 0, fmt.Errorf("take fixes to pack them: %w", err)
	}
	return out, n, nil
}

// takePacks opens the packs of a day of those who have new fixes: they are packed again.
func takePacks(ctx context.Context, tx pgx.Tx, days map[id.Subject][]track.Fix, day time.Time) error {
	subjects := make([]id.Subject, 0, len(days))
	for s := range days {
		subjects = append(subjects, s)
	}
	rows, err := tx.Query(ctx, `DELETE FROM position_pack WHERE subject_id = ANY ($1) AND hour >= $2 AND hour < $3 RETURNING subject_id, hour, data`,
		subjects, day, day.AddDate(0, 0, 1))
	if err != nil {
		return fmt.Errorf("open packs to pack them again: %w", err)
	}
	var p pack
	_, err = pgx.ForEachRow(rows, []any{&p.subject, &p.hour, &p.data}, func() error {
		fixes, err := track.Decode(p.data)
		if err != nil {
			return fmt.Errorf("subject %d, %s: %w", p.subject, p.hour.UTC().Format(time.RFC3339), err)
		}
		days[p.subject] = append(days[p.subject], fixes...)
		return nil
	})
	if err != nil {
		return fmt.Errorf("open packs to pack them again: %w", err)
	}
	return nil
}

// packColumns are packs, column by column.
type packColumns struct {
	subjects []int64
	hours    []time.Time
	spans    []int16
	fixes    []int32
	data     [][]byte
}

// add packs the fixes of one row, and looks whether they come out as they went in.
func (c *packColumns) add(s id.Subject, hour time.Time, hours int16, fixes []track.Fix) error {
	data, err := track.Encode(fixes)
	if err != nil {
		return fmt.Errorf("subject %d, %s: %w", s, hour.Format(time.RFC3339), err)
	}
	again, err := track.Decode(data)
	if err != nil {
		return fmt.Errorf("subject %d, %s: %w", s, hour.Format(time.RFC3339), err)
	}
	if !slices.EqualFunc(again, fixes, func(a, b track.Fix) bool { return track.Same(&a, &b) }) {
		return fmt.Errorf("subject %d, %s: what comes out of the pack is not what went in", s, hour.Format(time.RFC3339))
	}
	c.subjects, c.hours, c.spans = append(c.subjects, int64(s)), append(c.hours, hour), append(c.spans, hours)
	c.fixes, c.data = append(c.fixes, int32(len(fixes))), append(c.data, data)
	return nil
}

// putPacks packs days, a sparse one whole and others by the hour.
func putPacks(ctx context.Context, tx pgx.Tx, days map[id.Subject][]track.Fix, day time.Time) error {
	var c packColumns
	for s, fixes := range days {
		slices.SortFunc(fixes, func(a, b track.Fix) int { return a.Compare(&b) })
		if len(fixes) <= sparseDay {
			if err := c.add(s, day, 24, fixes); err != nil {
				return fmt.Errorf("pack: %w", err)
			}
			continue
		}
		for len(fixes) > 0 {
			hour := fixes[0].At.Truncate(time.Hour)
			end := slices.IndexFunc(fixes, func(f track.Fix) bool { return !f.At.Before(hour.Add(time.Hour)) })
			if end < 0 {
				end = len(fixes)
			}
			if err := c.add(s, hour, 1, fixes[:end]); err != nil {
				return fmt.Errorf("pack: %w", err)
			}
			fixes = fixes[end:]
		}
	}
	_, err := tx.Exec(ctx, `INSERT INTO position_pack (subject_id, hour, hours, fixes, data)
		SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::smallint[], $4::int[], $5::bytea[]) AS v (s, h) ORDER BY s, h`,
		c.subjects, c.hours, c.spans, c.fixes, c.data)
	if err != nil {
		return fmt.Errorf("store packs: %w", err)
	}
	return nil
}

// moveFlagsPacked corrects flags of fixes that may be packed. Their subject is locked.
func moveFlagsPacked(ctx context.Context, tx pgx.Tx, s id.Subject, list []moved) error {
	first, last := list[0].at, list[0].at
	to := make(map[heardKey]moved, len(list))
	for _, m := range list {
		to[heardKey{m.device, m.boot, m.seq}] = m
		if m.at.Before(first) {
			first = m.at
		}
		if m.at.After(last) {
			last = m.at
		}
	}
	closed, err := readPacks(ctx, tx, []id.Subject{s}, span{From: first, Until: last.Add(time.Microsecond)})
	if err != nil {
		return err
	}
	var b pgx.Batch
	for _, p := range closed.closed {
		fixes, err := track.Decode(p.data)
		if err != nil {
			return fmt.Errorf("correct flags: subject %d, %s: %w", s, p.hour.UTC().Format(time.RFC3339), err)
		}
		changed := false
		for i := range fixes {
			f := &fixes[i]
			if m, ok := to[heardKey{f.Device, f.Boot, f.Seq}]; ok && m.at.Equal(f.At) && f.Flags != int16(m.flags) {
				f.Flags, changed = int16(m.flags), true
			}
		}
		if !changed {
			continue
		}
		data, err := track.Encode(fixes)
		if err != nil {
			return fmt.Errorf("correct flags: %w", err)
		}
		b.Queue(`UPDATE position_pack SET data = $3 WHERE subject_id = $1 AND hour = $2`, s, p.hour, data)
	}
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("correct flags: %w", err)
	}
	return nil
}

// lookPacked finds which observations are packed. What they said is not known any more, only that they were said.
func (h *historyKeys) lookPacked(ctx context.Context, tx pgx.Tx, found map[int]uint32) error {
	rows, err := tx.Query(ctx, `SELECT v.n, p.subject_id, p.hour, p.data FROM unnest($1::int[], $2::bigint[], $3::timestamptz[]) AS v (n, subject_id, at)
		JOIN LATERAL (SELECT * FROM position_pack p WHERE p.subject_id = v.subject_id AND p.hour <= v.at AND p.hour > v.at - interval '24 hours'
			AND p.hour + make_interval(hours => p.hours) > v.at ORDER BY p.hour DESC LIMIT 1) AS p ON true ORDER BY p.subject_id, p.hour`, h.n, h.subject, h.at)
	if err != nil {
		return fmt.Errorf("look into packed history: %w", err)
	}
	type look struct {
		n int32
		pack
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (l look, err error) {
		err = r.Scan(&l.n, &l.subject, &l.hour, &l.data)
		return l, err
	})
	if err != nil {
		return fmt.Errorf("look into packed history: %w", err)
	}
	place := make(map[int32]int, len(h.n))
	for i, n := range h.n {
		place[n] = i
	}
	var fixes []track.Fix
	for i, l := range list {
		if i == 0 || list[i-1].subject != l.subject || !list[i-1].hour.Equal(l.hour) {
			if fixes, err = track.Decode(l.data); err != nil {
				return fmt.Errorf("look into packed history: subject %d, %s: %w", l.subject, l.hour.UTC().Format(time.RFC3339), err)
			}
		}
		k := place[l.n]
		for j := range fixes {
			f := &fixes[j]
			if f.At.Equal(h.at[k]) && int64(f.Device) == h.device[k] && f.Boot == h.boot[k] && f.Seq == h.sequence[k] {
				if _, known := found[int(l.n)]; !known {
					found[int(l.n)] = anyDigest
				}
			}
		}
	}
	return nil
}

// Unpack makes rows of a packed day again, for those who would rather have them: a day that is asked about a lot, or a database that
// goes back behind packing.
func Unpack(ctx context.Context, pool *pgxpool.Pool, day time.Time) error {
	if err := makeDay(ctx, pool, day); err != nil {
		return err
	}
	e := Engine{cache: newCache()}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT FROM subject_state WHERE subject_id IN (SELECT subject_id FROM position_pack WHERE hour >= $1 AND hour < $2)
			ORDER BY subject_id FOR UPDATE`, day, day.AddDate(0, 0, 1)); err != nil {
			return fmt.Errorf("unpack: lock subjects: %w", err)
		}
		rows, err := tx.Query(ctx, `DELETE FROM position_pack WHERE hour >= $1 AND hour < $2 RETURNING subject_id, hour, data`, day, day.AddDate(0, 0, 1))
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (p pack, err error) {
			err = r.Scan(&p.subject, &p.hour, &p.data)
			return p, err
		})
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		for _, p := range list {
			fixes, err := track.Decode(p.data)
			if err != nil {
				return fmt.Errorf("unpack: subject %d, %s: %w", p.subject, p.hour.UTC().Format(time.RFC3339), err)
			}
			if err := e.putFixes(ctx, tx, p.subject, fixes); err != nil {
				return fmt.Errorf("unpack: subject %d, %s: %w", p.subject, p.hour.UTC().Format(time.RFC3339), err)
			}
		}
		return nil
	})
}

// putFixes stores fixes as rows. What they were sent as is not known any more.
func (e *Engine) putFixes(ctx context.Context, tx pgx.Tx, s id.Subject, fixes []track.Fix) error {
	list := make([]radio, len(fixes))
	for i, f := range fixes {
		list[i] = radio{f.Operator, f.Cell, f.SIM}
	}
	radios, err := e.radios(ctx, tx, list, fixes[len(fixes)-1].StoredAt)
	if err != nil {
		return err
	}
	e.cache.keepRadios(radios)
	numbers := radios.of(list)
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"position"}, []string{"subject_id", "fix_at", "boot", "seq", "binding_id", "received_at", "stored_at", "answers", "lon_e7",
		"lat_e7", "digest", "accuracy_m", "speed_mps", "skew_ms", "flags", "method", "datum", "satellites", "battery", "strap", "signal_dbm", "charging", "radio_id", "last_gasp"},
		pgx.CopyFromSlice(len(fixes), func(i int) ([]any, error) {
			f := &fixes[i]
			var answers *int64
			if f.Answers != 0 {
				v := int64(f.Answers)
				answers = &v
			}
			return []any{int64(s), f.At, f.Boot, f.Seq, int64(f.Binding), f.ReceivedAt, f.StoredAt, answers, f.LonE7, f.LatE7, int32(anyDigest), f.Accuracy, f.Speed,
				f.SkewMS, f.Flags, int16(f.Method), int16(f.Datum), f.Satellites, f.Battery, f.Strap, f.Signal, f.Charging, numbers[i], text(f.LastGasp)}, nil
		}))
	return err
}
