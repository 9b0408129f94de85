package geofence

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// PutModelFloor records what a model errs by at least, from an instant on (zero: now); everybody who carries one is judged
// again at once.
func (s *Store) PutModelFloor(ctx context.Context, by id.Account, model string, m devices.Method, floorM float64, from time.Time) error {
	return s.change(ctx, "record what a model errs by", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		if from.IsZero() {
			from = now
		}
		switch {
		case model == "":
			return nil, &Refused{Field: "model", Reason: EmptyName, Detail: "a model has a name"}
		case m < devices.MethodGNSS || m > devices.MethodRF:
			return nil, &Refused{Field: "method", Reason: BadKind, Detail: "gnss, wifi, cell or rf"}
		case !(floorM > 0 && floorM <= 100_000):
			return nil, &Refused{Field: "floor_m", Reason: BadRadius, Detail: "more than 0, at most 100 km"}
		}
		// One at a time: versions follow one another.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('model_floor', 0))`); err != nil {
			return nil, err
		}
		var version int
		if err := tx.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM model_floor WHERE model = $1 AND method = $2`, model, m).Scan(&version); err != nil {
			return nil, err
		}
		// What was said of the time from then on is closed, and what it said of the time before is recorded again.
		rows, err := tx.Query(ctx, `UPDATE model_floor SET recorded = tstzrange(lower(recorded), greatest($4, lower(recorded) + interval '1 microsecond'))
			WHERE model = $1 AND method = $2 AND upper_inf(recorded) AND valid && tstzrange($3, NULL) RETURNING floor_m::float8, lower(valid), upper(recorded)`, model, m, from, now)
		if err != nil {
			return nil, err
		}
		type before struct {
			FloorM   float64
			From     time.Time
			Recorded time.Time
		}
		old, err := pgx.CollectRows(rows, pgx.RowToStructByPos[before])
		if err != nil {
			return nil, err
		}
		recorded := now
		put := func(floor float64, from time.Time, until *time.Time) error {
			version++
			_, err := tx.Exec(ctx, `INSERT INTO model_floor (model, method, version, floor_m, valid, recorded, recorded_by)
				VALUES ($1, $2, $3, $4, tstzrange($5, $6), tstzrange($7, NULL), nullif($8::bigint, 0))`, model, m, version, floor, from, until, recorded, int64(by))
			return err
		}
		for _, o := range old {
			recorded = later(recorded, o.Recorded)
		}
		for _, o := range old {
			if o.From.Before(from) {
				if err := put(o.FloorM, o.From, &from); err != nil {
					return nil, err
				}
			}
		}
		if err := put(floorM, from, nil); err != nil {
			return nil, err
		}
		why := Why{What: "model_floor", By: by, At: now, From: from}
		if _, err := tx.Exec(ctx, `SELECT facts_changed(array_agg(DISTINCT b.subject_id), $2, $3, $4) FROM binding b JOIN device d USING (device_id)
			WHERE d.model = $1 AND upper_inf(b.recorded) HAVING count(*) > 0`, model, now, from, why.doc()); err != nil {
			return nil, err
		}
		return []ledger.Entry{{At: now, Kind: "model_floor.put", Entity: "model_floor", EntityID: int64(m), Version: version}}, nil
	})
}

// readFloors gives the facts of subjects what the models of their devices err by.
func readFloors(ctx context.Context, tx pgx.Tx, ids []id.Subject, known time.Time, take func(id.Subject, FloorFact)) error {
	rows, err := tx.Query(ctx, `SELECT DISTINCT b.subject_id, b.device_id, f.method, f.floor_m::float8, lower(f.valid), upper(f.valid)
		FROM (SELECT * FROM model_floor WHERE `+recordedAt(known)+`) f JOIN device d USING (model) JOIN binding b ON b.device_id = d.device_id
		WHERE b.subject_id = ANY ($1) ORDER BY b.subject_id, b.device_id, f.method, lower(f.valid)`, ids)
	if err != nil {
		return fmt.Errorf("read what models err by: %w", err)
	}
	var s id.Subject
	var f FloorFact
	var metres float64
	var from, until *time.Time
	_, err = pgx.ForEachRow(rows, []any{&s, &f.Device, &f.Method, &metres, &from, &until}, func() error {
		f.Floor, f.Valid = centimetres(metres), between(from, until)
		take(s, f)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read what models err by: %w", err)
	}
	return nil
}
