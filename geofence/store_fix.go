package geofence

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/geofence/track"
	"zhijiao/internal/id"
)

// span is which fixes are read: those of [From, Until), and where Known is not zero only those received by then. An Until of zero is
// no end.
type span struct {
	From, Until, Known time.Time
}

func (s *span) contains(f *track.Fix) bool {
	return !f.At.Before(s.From) && (s.Until.IsZero() || f.At.Before(s.Until)) && (s.Known.IsZero() || !f.ReceivedAt.After(s.Known))
}

// Columns of position p as scanFix takes them. What decides is read without how it was received: that is a third of the work.
const (
	keyColumns = `p.subject_id, p.fix_at, (SELECT b.device_id FROM binding b WHERE b.binding_id = p.binding_id), p.boot, p.seq, p.binding_id,
		p.received_at, p.stored_at, coalesce(p.answers, 0), p.lon_e7, p.lat_e7, p.accuracy_m, p.speed_mps, p.skew_ms, p.flags, p.method, p.datum, `
	decidingColumns = keyColumns + `NULL::smallint, p.battery, p.strap, NULL::smallint, p.charging, '', '', '', coalesce(p.last_gasp, '')`
	fixColumns      = keyColumns + `p.satellites, p.battery, p.strap, p.signal_dbm, p.charging,
		coalesce(r.cell, ''), coalesce(r.operator, ''), coalesce(r.sim, ''), coalesce(p.last_gasp, '')`
)

func scanFix(r pgx.Rows, s *id.Subject, f *track.Fix) error {
	err := r.Scan(s, &f.At, &f.Device, &f.Boot, &f.Seq, &f.Binding, &f.ReceivedAt, &f.StoredAt, &f.Answers, &f.LonE7, &f.LatE7, &f.Accuracy, &f.Speed,
		&f.SkewMS, &f.Flags, &f.Method, &f.Datum, &f.Satellites, &f.Battery, &f.Strap, &f.Signal, &f.Charging, &f.Cell, &f.Operator, &f.SIM, &f.LastGasp)
	f.At, f.ReceivedAt, f.StoredAt = f.At.UTC(), f.ReceivedAt.UTC(), f.StoredAt.UTC()
	return err
}

// readFixes reads what history holds of subjects in event order, whether it is packed or not. take may keep what the fix
// points to, but not the fix itself. Of packed fixes everything is told, of others what decides.
func readFixes(ctx context.Context, q Querier, subjects []id.Subject, in span, take func(id.Subject, *track.Fix) error) error {
	packed, err := readPacks(ctx, q, subjects, in)
	if err != nil {
		return err
	}
	rows, err := q.Query(ctx, `SELECT `+decidingColumns+` FROM position p WHERE p.subject_id = ANY ($1) AND p.fix_at >= $2
		AND ($3::timestamptz IS NULL OR p.fix_at < $3) AND ($4::timestamptz IS NULL OR p.received_at <= $4) ORDER BY 2, 3, 4, 5`,
		subjects, in.From, orNull(in.Until), orNull(in.Known))
	if err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	defer rows.Close()
	var s id.Subject
	for rows.Next() {
		var f track.Fix
		if err := scanFix(rows, &s, &f); err != nil {
			return fmt.Errorf("read history: %w", err)
		}
		if err := packed.upTo(&f, take); err != nil {
			return err
		}
		if err := take(s, &f); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	return packed.upTo(nil, take)
}

// packs are packed fixes that are told in event order, a pack opened when its hour has come.
type packs struct {
	in     span
	closed []pack // by hour
	open   []owned
}

type pack struct {
	subject id.Subject
	hour    time.Time
	data    []byte
}

type owned struct {
	subject id.Subject
	fix     track.Fix
}

// readPacks reads the packs that overlap a span, closed: an hour is some hundred bytes. Of months that were removed there is what
// belongs to violations.
func readPacks(ctx context.Context, q Querier, subjects []id.Subject, in span) (*packs, error) {
	rows, err := q.Query(ctx, `SELECT subject_id, hour, data FROM position_pack WHERE subject_id = ANY ($1) AND hour > $2::timestamptz - interval '24 hours'
		   AND hour + make_interval(hours => hours) > $2 AND ($3::timestamptz IS NULL OR hour < $3)
		UNION
		SELECT subject_id, hour, data FROM evidence_pack e WHERE subject_id = ANY ($1) AND hour > $2::timestamptz - interval '24 hours'
		   AND hour + make_interval(hours => hours) > $2 AND ($3::timestamptz IS NULL OR hour < $3)
		   AND NOT EXISTS (SELECT FROM position_pack p WHERE p.subject_id = e.subject_id AND p.hour = e.hour)
		ORDER BY hour, subject_id`, subjects, in.From, orNull(in.Until))
	if err != nil {
		return nil, fmt.Errorf("read packed history: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (p pack, err error) {
		err = r.Scan(&p.subject, &p.hour, &p.data)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("read packed history: %w", err)
	}
	return &packs{in: in, closed: list}, nil
}

// upTo tells what comes before a fix; nil: all that is left.
func (p *packs) upTo(f *track.Fix, take func(id.Subject, *track.Fix) error) error {
	for {
		for len(p.closed) > 0 && (f == nil && len(p.open) == 0 || f != nil && !p.closed[0].hour.After(f.At) ||
			len(p.open) > 0 && !p.closed[0].hour.After(p.open[0].fix.At)) {
			if err := p.openNext(); err != nil {
				return err
			}
		}
		if len(p.open) == 0 || f != nil && p.open[0].fix.Compare(f) >= 0 {
			return nil
		}
		first := &p.open[0]
		p.open = p.open[1:]
		if err := take(first.subject, &first.fix); err != nil {
			return err
		}
	}
}

func (p *packs) openNext() error {
	next := p.closed[0]
	p.closed = p.closed[1:]
	fixes, err := track.Decode(next.data)
	if err != nil {
		return fmt.Errorf("history of subject %d, %s: %w", next.subject, next.hour.UTC().Format(time.RFC3339), err)
	}
	mixed := len(p.open) > 0
	for i := range fixes {
		if p.in.contains(&fixes[i]) {
			p.open = append(p.open, owned{next.subject, fixes[i]})
		}
	}
	if mixed { // several people, or a sparse day and its neighbour
		slices.SortStableFunc(p.open, func(a, b owned) int { return a.fix.Compare(&b.fix) })
	}
	return nil
}
