package geofence

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/twpayne/go-geom/encoding/ewkb"

	"zhijiao/internal/id"
)

// nearby is how far from an outline its references may begin, degrees: more than datums lie apart.
const nearby = 0.02

// DoubtDatum compares imported outlines with the official zones of the whole organisation that are in force now, and with
// the version a zone has that they are to replace (0: none). Where one falls on such an outline in another datum, and not in
// the one declared, it is refused: a zone in the wrong datum is half a kilometre off and looks right. Where there is nothing
// to compare with, nothing is said.
func (s *Store) DoubtDatum(ctx context.Context, org id.Org, replaced ZoneID, zones []Imported) error {
	var errs []error
	for i := range zones {
		known, err := s.references(ctx, org, replaced, &zones[i])
		if err != nil {
			return fmt.Errorf("look for outlines to compare with: %w", err)
		}
		if l := zones[i].likeness(known); l != nil {
			errs = append(errs, l.refused(zones[i].Field, zones[i].Datum))
		}
	}
	return errors.Join(errs...)
}

func (s *Store) references(ctx context.Context, org id.Org, replaced ZoneID, z *Imported) ([]landmark, error) {
	doc, err := ewkb.Marshal(z.Geometry, ewkb.NDR)
	if err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `WITH RECURSIVE above (org_id, parent_id) AS (
			SELECT org_id, parent_id FROM org WHERE org_id = $1 UNION ALL SELECT o.org_id, o.parent_id FROM org o JOIN above a ON o.org_id = a.parent_id)
		SELECT zone_id, v.version, z.name, ST_AsEWKB(v.geom) FROM zone_version v JOIN zone z USING (zone_id)
		WHERE v.shape = 'polygon' AND upper_inf(v.recorded) AND v.valid @> $2::timestamptz AND (v.official OR zone_id = $3)
		  AND z.org_id IN (SELECT org_subtree((SELECT org_id FROM above WHERE parent_id IS NULL)))
		  AND v.geom && ST_Expand(ST_SetSRID(ST_GeomFromEWKB($4), 4326), $5)
		ORDER BY ST_Area(v.geom) DESC, zone_id LIMIT 100`, int64(org), s.clock.Now(), int64(replaced), doc, nearby)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r landmark, err error) {
		var zone ZoneID
		var version int
		var doc []byte
		if err = row.Scan(&zone, &version, &r.name, &doc); err == nil {
			r.zone, err = zoneFromEWKB(zone, version, Interval{}, Polygonal, doc, 0)
		}
		return r, err
	})
}
