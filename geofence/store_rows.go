package geofence

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// rows are what a batch adds to history, column by column: one statement a table however many rows.
type rows struct {
	p positionColumns
	c checkInColumns
	s statusColumns

	newest map[id.Subject]int // row of p with the newest fix that moves
}

type positionColumns struct {
	subject, device, boot, seq, binding []int64
	fixAt, receivedAt                   []time.Time
	answers                             []*int64
	lonE7, latE7, digest                []int32
	accuracy, speed                     []*float32
	skew                                []*int32
	flags, method, datum                []int16
	satellites, battery, strap, signal  []*int16
	charging                            []*bool
	radio                               []radio
	lastly                              []*string
}

type checkInColumns struct {
	device, boot, seq, subject, binding []int64
	at, receivedAt                      []time.Time
	answers                             []*int64
	result                              []string
	placed                              []bool
	battery, strap                      []*int16
	charging                            []*bool
	lastly                              []*string
}

type statusColumns struct {
	device, boot, seq           []int64
	at, receivedAt              []time.Time
	battery, strap, signal      []*int16
	charging                    []*bool
	cell, operator, sim, lastly []*string
}

// earliest are the first times of fixes that take part in decisions, by whose they are.
func (r *rows) earliest() map[id.Subject]time.Time {
	out := map[id.Subject]time.Time{}
	for i, flags := range r.p.flags {
		s, at := id.Subject(r.p.subject[i]), r.p.fixAt[i]
		if first, ok := out[s]; Flag(flags).moves() && (!ok || at.Before(first)) {
			out[s] = at
		}
	}
	return out
}

func (r *rows) position(o *devices.Observation, k *devices.Known, b *BindingFact, flags Flag, answers bool) {
	p, c := o.Place, &r.p
	if (flags &^ Detached).moves() { // where a device is that may not be on the person is shown as that
		if r.newest == nil {
			r.newest = map[id.Subject]int{}
		}
		if n, ok := r.newest[b.Subject]; !ok || o.At.After(c.fixAt[n]) {
			r.newest[b.Subject] = len(c.fixAt)
		}
	}
	c.subject, c.device = append(c.subject, int64(b.Subject)), append(c.device, int64(k.ID))
	c.boot, c.seq, c.binding = append(c.boot, o.Boot), append(c.seq, o.Seq), append(c.binding, int64(b.ID))
	c.fixAt, c.receivedAt = append(c.fixAt, o.At), append(c.receivedAt, o.ReceivedAt)
	c.answers = append(c.answers, answer(o, answers))
	c.lonE7, c.latE7, c.digest = append(c.lonE7, e7(p.Lon)), append(c.latE7, e7(p.Lat)), append(c.digest, int32(uint32(o.Digest)))
	c.accuracy, c.speed = append(c.accuracy, real(p.Accuracy, p.Accuracy > 0)), append(c.speed, real(p.Speed, p.Speed >= 0))
	var skew *int32
	if d, ok := o.Skew(); ok {
		ms := int32(min(max(d.Milliseconds(), -1<<31), 1<<31-1))
		skew = &ms
	}
	c.skew = append(c.skew, skew)
	c.flags, c.method, c.datum = append(c.flags, int16(flags)), append(c.method, int16(p.Method)), append(c.datum, int16(p.Datum))
	var satellites *int
	if p.Satellites >= 0 {
		satellites = &p.Satellites
	}
	h := &o.Health
	c.satellites, c.battery = append(c.satellites, small(satellites)), append(c.battery, small(h.Battery))
	c.strap, c.signal, c.charging = append(c.strap, strap(h.Strap)), append(c.signal, small(h.Signal)), append(c.charging, h.Charging)
	c.radio, c.lastly = append(c.radio, radio{h.Operator, h.Cell, h.SIM}), append(c.lastly, text(h.LastGasp))
}

func (r *rows) checkIn(o *devices.Observation, k *devices.Known, b *BindingFact, answers bool) {
	c := &r.c
	c.device, c.boot, c.seq = append(c.device, int64(k.ID)), append(c.boot, o.Boot), append(c.seq, o.Seq)
	c.subject, c.binding = append(c.subject, int64(b.Subject)), append(c.binding, int64(b.ID))
	c.at, c.receivedAt = append(c.at, o.At), append(c.receivedAt, o.ReceivedAt)
	c.answers, c.result, c.placed = append(c.answers, answer(o, answers)), append(c.result, o.Result), append(c.placed, o.Place != nil)
	h := &o.Health
	c.battery, c.strap = append(c.battery, small(h.Battery)), append(c.strap, strap(h.Strap))
	c.charging, c.lastly = append(c.charging, h.Charging), append(c.lastly, text(h.LastGasp))
}

func (r *rows) status(o *devices.Observation, k *devices.Known, lawful bool) {
	h, c := o.Health, &r.s
	if !lawful {
		h = h.WithoutWhereabouts()
	}
	c.device, c.boot, c.seq = append(c.device, int64(k.ID)), append(c.boot, o.Boot), append(c.seq, o.Seq)
	c.at, c.receivedAt = append(c.at, o.At), append(c.receivedAt, o.ReceivedAt)
	c.battery, c.strap, c.signal = append(c.battery, small(h.Battery)), append(c.strap, strap(h.Strap)), append(c.signal, small(h.Signal))
	c.charging, c.cell, c.operator = append(c.charging, h.Charging), append(c.cell, text(h.Cell)), append(c.operator, text(h.Operator))
	c.sim, c.lastly = append(c.sim, text(h.SIM)), append(c.lastly, text(h.LastGasp))
}

func answer(o *devices.Observation, answers bool) *int64 {
	if !answers {
		return nil
	}
	v := int64(o.Answers)
	return &v
}

func real(v float64, known bool) *float32 {
	if !known {
		return nil
	}
	f := float32(v)
	return &f
}

func small(v *int) *int16 {
	if v == nil {
		return nil
	}
	s := int16(min(max(*v, -1<<15), 1<<15-1))
	return &s
}

func strap(s devices.Strap) *int16 {
	if s == devices.StrapUnknown {
		return nil
	}
	v := int16(s)
	return &v
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// insert adds the rows. Their number was told as stored already; a row that is there makes it wrong, and errHeard. Nobody else
// can store what a device of the batch said: the devices are locked.
func (r *rows) insert(ctx context.Context, tx pgx.Tx, radios radioIDs) error {
	var b pgx.Batch
	var want []int
	add := func(n int, sql string, args ...any) {
		if n > 0 {
			b.Queue(sql, args...)
			want = append(want, n)
		}
	}
	p, c, s := &r.p, &r.c, &r.s
	add(len(p.subject), `INSERT INTO position (subject_id, fix_at, boot, seq, binding_id, received_at, answers, lon_e7, lat_e7, digest,
			accuracy_m, speed_mps, skew_ms, flags, method, datum, satellites, battery, strap, signal_dbm, charging, radio_id, last_gasp)
		SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::bigint[], $6::timestamptz[],
			$7::bigint[], $8::int[], $9::int[], $10::int[], $11::real[], $12::real[], $13::int[], $14::smallint[], $15::smallint[], $16::smallint[],
			$17::smallint[], $18::smallint[], $19::smallint[], $20::smallint[], $21::boolean[], $22::bigint[], $23::text[])
			AS v (subject_id, fix_at, boot, seq, binding_id)
		 WHERE NOT EXISTS (SELECT FROM position o WHERE o.subject_id = v.subject_id AND o.fix_at = v.fix_at AND o.boot = v.boot AND o.seq = v.seq
			AND o.binding_id = v.binding_id OFFSET 0)`, // OFFSET: look for each in the index, whatever the statistics say
		p.subject, p.fixAt, p.boot, p.seq, p.binding, p.receivedAt, p.answers, p.lonE7, p.latE7, p.digest, p.accuracy, p.speed, p.skew,
		p.flags, p.method, p.datum, p.satellites, p.battery, p.strap, p.signal, p.charging, radios.of(p.radio), p.lastly)
	add(len(c.device), `INSERT INTO check_in (device_id, boot, seq, subject_id, binding_id, at, received_at, answers, result, placed, battery, strap, charging, last_gasp)
		SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::timestamptz[], $7::timestamptz[], $8::bigint[], $9::text[],
			$10::boolean[], $11::smallint[], $12::smallint[], $13::boolean[], $14::text[])
		ON CONFLICT DO NOTHING`,
		c.device, c.boot, c.seq, c.subject, c.binding, c.at, c.receivedAt, c.answers, c.result, c.placed, c.battery, c.strap, c.charging, c.lastly)
	add(len(s.device), `INSERT INTO device_status (device_id, boot, seq, at, received_at, battery, strap, signal_dbm, charging, cell, operator, sim, last_gasp)
		SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::smallint[], $7::smallint[],
			$8::smallint[], $9::boolean[], $10::text[], $11::text[], $12::text[], $13::text[])
		ON CONFLICT DO NOTHING`,
		s.device, s.boot, s.seq, s.at, s.receivedAt, s.battery, s.strap, s.signal, s.charging, s.cell, s.operator, s.sim, s.lastly)
	counted := len(want)
	r.queueCurrent(&b)
	if b.Len() == 0 {
		return nil
	}
	results := tx.SendBatch(ctx, &b)
	for i := range b.Len() {
		tag, err := results.Exec()
		if err != nil {
			results.Close()
			return fmt.Errorf("store observations: %w", err)
		}
		if i < counted && tag.RowsAffected() != int64(want[i]) {
			results.Close()
			return errHeard
		}
	}
	return results.Close()
}

// queueCurrent moves the current positions that are older than what came.
func (r *rows) queueCurrent(b *pgx.Batch) {
	n := len(r.newest)
	if n == 0 {
		return
	}
	p := &r.p
	subjects, at, device, method := make([]int64, 0, n), make([]time.Time, 0, n), make([]int64, 0, n), make([]int16, 0, n)
	lon, lat := make([]float64, 0, n), make([]float64, 0, n)
	accuracy, battery, detached := make([]*float32, 0, n), make([]*int16, 0, n), make([]bool, 0, n)
	for _, i := range r.newest {
		subjects, at, device, method = append(subjects, p.subject[i]), append(at, p.fixAt[i]), append(device, p.device[i]), append(method, p.method[i])
		lon, lat = append(lon, float64(p.lonE7[i])/1e7), append(lat, float64(p.latE7[i])/1e7)
		accuracy, battery, detached = append(accuracy, p.accuracy[i]), append(battery, p.battery[i]), append(detached, Flag(p.flags[i])&Detached != 0)
	}
	b.Queue(`INSERT INTO current_position AS c (subject_id, geom, fix_at, device_id, accuracy_m, method, battery, detached)
		SELECT s, ST_SetSRID(ST_MakePoint(lon, lat), 4326), at, device, accuracy, method, battery, detached
		  FROM unnest($1::bigint[], $2::float8[], $3::float8[], $4::timestamptz[], $5::bigint[], $6::real[], $7::smallint[], $8::smallint[], $9::boolean[])
		       AS v (s, lon, lat, at, device, accuracy, method, battery, detached) ORDER BY s
		ON CONFLICT (subject_id) DO UPDATE SET geom = excluded.geom, fix_at = excluded.fix_at, device_id = excluded.device_id,
			accuracy_m = excluded.accuracy_m, method = excluded.method, battery = coalesce(excluded.battery, c.battery), detached = excluded.detached, written_at = clock_timestamp()
		WHERE excluded.fix_at > c.fix_at`, subjects, lon, lat, at, device, accuracy, method, battery, detached)
}

// anyDigest stands for a digest that history does not hold: the sequence alone says that it was heard.
const anyDigest = 0

// historyKeys are observations history is asked for.
type historyKeys struct {
	n                               []int32
	kind                            []string
	subject, device, boot, sequence []int64
	at                              []time.Time
}

func (h *historyKeys) add(i int, device id.Device, s id.Subject, o *devices.Observation) {
	h.n, h.kind, h.subject = append(h.n, int32(i)), append(h.kind, string(o.Kind)), append(h.subject, int64(s))
	h.device, h.boot, h.sequence, h.at = append(h.device, int64(device)), append(h.boot, o.Boot), append(h.sequence, o.Seq), append(h.at, o.At)
}

// look finds which of them history holds, with the low half of the digest where it holds one.
func (h *historyKeys) look(ctx context.Context, tx pgx.Tx, found map[int]uint32) error {
	if len(h.n) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `WITH v AS MATERIALIZED (SELECT * FROM unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
			$7::timestamptz[]) AS v (n, kind, subject_id, device_id, boot, seq, at))
		SELECT n, p.digest FROM v JOIN position p ON p.subject_id = v.subject_id AND p.fix_at = v.at AND p.boot = v.boot AND p.seq = v.seq
			JOIN binding b ON b.binding_id = p.binding_id AND b.device_id = v.device_id
		UNION ALL SELECT n, $8::int FROM v JOIN check_in c ON c.device_id = v.device_id AND c.boot = v.boot AND c.seq = v.seq WHERE kind = 'checkin'
		UNION ALL SELECT n, $8::int FROM v JOIN device_status s ON s.device_id = v.device_id AND s.boot = v.boot AND s.seq = v.seq WHERE kind = 'status'`,
		h.n, h.kind, h.subject, h.device, h.boot, h.sequence, h.at, anyDigest)
	if err != nil {
		return fmt.Errorf("look into history: %w", err)
	}
	var n, digest int32
	_, err = pgx.ForEachRow(rows, []any{&n, &digest}, func() error {
		if d := uint32(digest); d != anyDigest || found[int(n)] == anyDigest {
			found[int(n)] = d
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look into history: %w", err)
	}
	return h.lookPacked(ctx, tx, found)
}
