package geofence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twpayne/go-geom"
	"github.com/twpayne/go-geom/encoding/ewkb"

	"zhijiao/geofence/track"
	"zhijiao/internal/id"
)

// lookedBack is the history by which a zone is tried.
const lookedBack = 30 * 24 * time.Hour

// Undecidable says how often a zone would be undecidable for a subject, from its own fixes of the last 30 days, with the usual
// thresholds. A spec with an ID and no geometry is the recorded zone as it is now. Only counts leave it, no places. scope is
// the asker's organisation; 0 is the platform itself.
func (s *Store) Undecidable(ctx context.Context, scope id.Org, zone ZoneSpec, subject id.Subject) (Indecision, error) {
	kind := StayIn
	if zone.Purpose == Prohibited || zone.Purpose == Attention {
		kind = KeepOut
	}
	p := DefaultParams(kind)
	return s.undecidable(ctx, scope, zone, subject, &p)
}

// UndecidableRule says the same of a rule and its zone as recorded now, with the rule's own thresholds. A rule without a zone
// is never undecidable.
func (s *Store) UndecidableRule(ctx context.Context, scope id.Org, rule RuleSpec) (Indecision, error) {
	p, err := ParseParams(rule.Kind, rule.Params)
	if err != nil {
		return Indecision{}, &Refused{Field: "params", Reason: BadParams, Detail: err.Error()}
	}
	if rule.Zone == 0 {
		return Indecision{}, nil
	}
	return s.undecidable(ctx, scope, ZoneSpec{ID: rule.Zone}, rule.Subject, &p)
}

func (s *Store) undecidable(ctx context.Context, scope id.Org, spec ZoneSpec, subject id.Subject, p *Params) (Indecision, error) {
	now := s.clock.Now()
	var may bool
	if err := s.pool.QueryRow(ctx, "SELECT "+inScope, int64(subject), int64(scope), now).Scan(&may); err != nil {
		return Indecision{}, fmt.Errorf("try a zone: %w", err)
	}
	if !may {
		return Indecision{}, &Refused{Field: "subject", Reason: NoSuchSubject, Detail: "no such person in your part of the organisation"}
	}
	if spec.Geometry == nil && spec.ID != 0 {
		if err := s.drawn(ctx, &spec, now); err != nil {
			return Indecision{}, err
		}
	}
	z, err := spec.prepared()
	if err != nil {
		return Indecision{}, &Refused{Field: "geometry", Reason: WrongGeometry, Detail: err.Error()}
	}
	count := newIndecision(z, p, sizeOf(spec.Geometry, spec.RadiusM))
	// What moves nothing for another reason than its accuracy says nothing about accuracy; what only came late does.
	err = readFixes(ctx, s.pool, []id.Subject{subject}, span{From: now.Add(-lookedBack), Until: now.Add(time.Microsecond)}, func(_ id.Subject, f *track.Fix) error {
		if Flag(f.Flags)&(Impossible|Skewed|Frozen|Detached) == 0 {
			var accuracy float64
			if f.Accuracy != nil {
				accuracy = float64(*f.Accuracy)
			}
			count.add(float64(f.LonE7)/1e7, float64(f.LatE7)/1e7, accuracy, f.Method)
		}
		return nil
	})
	if err != nil {
		return Indecision{}, fmt.Errorf("try a zone: %w", err)
	}
	return count.done(), nil
}

// drawn reads the outline a zone has now.
func (s *Store) drawn(ctx context.Context, spec *ZoneSpec, now time.Time) error {
	var doc []byte
	err := s.pool.QueryRow(ctx, `SELECT shape, ST_AsEWKB(geom), coalesce(radius_m, 0) FROM zone_version
		WHERE zone_id = $1 AND upper_inf(recorded) AND valid @> $2::timestamptz`, int64(spec.ID), now).Scan(&spec.Shape, &doc, &spec.RadiusM)
	if errors.Is(err, pgx.ErrNoRows) {
		return &Refused{Field: "zone", Reason: NoSuchZone, Detail: "no such zone now"}
	}
	if err == nil {
		spec.Geometry, err = ewkb.Unmarshal(doc)
	}
	if err != nil {
		return fmt.Errorf("read a zone: %w", err)
	}
	return nil
}

// prepared makes a zone of a spec that is not recorded yet.
func (z *ZoneSpec) prepared() (*Zone, error) {
	switch g := z.Geometry.(type) {
	case *geom.Point:
		return NewCircle(z.ID, 0, Interval{}, g.X(), g.Y(), z.RadiusM)
	case *geom.Polygon:
		mp := geom.NewMultiPolygon(g.Layout())
		if err := mp.Push(g); err != nil {
			return nil, err
		}
		z.Geometry = mp
		return NewPolygon(z.ID, 0, Interval{}, mp)
	case *geom.MultiPolygon:
		return NewPolygon(z.ID, 0, Interval{}, g)
	}
	return nil, errors.New("no polygon and no circle")
}

// RuledBy are the subjects whose rules are about a zone now, at most limit of them, and how many there are.
func (s *Store) RuledBy(ctx context.Context, zone ZoneID, limit int) (list []id.Subject, all int, err error) {
	rows, err := s.pool.Query(ctx, `SELECT DISTINCT subject_id FROM rule WHERE zone_id = $1 AND subject_id IS NOT NULL
		AND upper_inf(recorded) AND valid @> $2::timestamptz ORDER BY 1`,
		int64(zone), s.clock.Now())
	if err == nil {
		list, err = pgx.CollectRows(rows, pgx.RowTo[id.Subject])
	}
	if err != nil {
		return nil, 0, fmt.Errorf("who goes by a zone: %w", err)
	}
	return list[:min(limit, len(list))], len(list), nil
}
