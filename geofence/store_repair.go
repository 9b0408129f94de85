package geofence

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/twpayne/go-geom"
	"github.com/twpayne/go-geom/encoding/ewkb"

	"zhijiao/devices"
)

// mendSQL makes an outline valid and says how far that is from what was drawn. The method is structure: every polygon
// keeps what its rings hold together, less its holes, and polygons are merged. The other one, linework, counts crossings and
// makes a hole of what is drawn twice: a boundary that overlaps itself would let people out in the middle of it. Where the two
// disagree the drawing itself leaves a doubt, so their difference is part of what changed. New corners are brought back to
// 1e-7 degrees in a way that keeps the result valid.
const mendSQL = `WITH drawn AS (SELECT ST_SetSRID(ST_GeomFromEWKB($1), 4326) AS g),
made AS MATERIALIZED (SELECT g, ST_IsValid(g) AS valid,
    CASE WHEN ST_IsValid(g) THEN g ELSE ST_CollectionExtract(ST_MakeValid(g, 'method=structure keepcollapsed=false'), 3) END AS s,
    CASE WHEN ST_IsValid(g) THEN g ELSE ST_CollectionExtract(ST_MakeValid(g, 'method=linework'), 3) END AS l FROM drawn),
done AS MATERIALIZED (SELECT g, valid,
    CASE WHEN valid THEN g ELSE ST_Multi(ST_ForcePolygonCCW(ST_CollectionExtract(ST_ReducePrecision(s, 1e-7), 3))) END AS r,
    ST_SymDifference(s, l) AS doubt FROM made)
SELECT valid, ST_AsEWKB(r), ST_IsValid(r) AND NOT ST_IsEmpty(r), ST_NPoints(r), ST_Area(g::geography), ST_Area(r::geography),
    greatest(abs(ST_Area(r) - ST_Area(g)), ST_Area(doubt)) / nullif(ST_Area(r), 0), ST_X(ST_PointOnSurface(doubt)), ST_Y(ST_PointOnSurface(doubt))
FROM done`

// faultsSQL lists what is wrong: within each polygon what PostGIS names, and the corners its repair had to add, which are
// the crossings; and the pairs of polygons that overlap or share an edge.
const faultsSQL = `WITH part AS MATERIALIZED (SELECT (d).path[1] AS n, (d).geom AS g, ST_IsValidDetail((d).geom) AS detail,
    ST_MakeValid((d).geom, 'method=structure keepcollapsed=false') AS sound FROM (SELECT ST_Dump(ST_SetSRID(ST_GeomFromEWKB($1), 4326)) AS d) x)
SELECT n, 0, (detail).reason, ST_X((detail).location), ST_Y((detail).location) FROM part WHERE NOT (detail).valid
UNION ALL
SELECT n, 0, 'Crossing', ST_X(c), ST_Y(c) FROM (
    SELECT n, (ST_DumpPoints(sound)).geom AS c FROM part WHERE NOT (detail).valid
    EXCEPT SELECT n, (ST_DumpPoints(g)).geom FROM part
    EXCEPT SELECT n, ST_SetSRID((detail).location, 4326) FROM part) x
UNION ALL
SELECT a.n, b.n, CASE ST_Dimension(i) WHEN 2 THEN 'overlaps' ELSE 'shares an edge with' END, ST_X(at), ST_Y(at)
FROM part a JOIN part b ON a.n < b.n AND a.sound && b.sound, LATERAL ST_Intersection(a.sound, b.sound) AS i,
    LATERAL (SELECT q AS at FROM (SELECT 0 AS o, ST_PointOnSurface(ST_CollectionExtract(i, ST_Dimension(i) + 1)) AS q
        UNION ALL SELECT 1, geom FROM ST_DumpPoints(i)) AS c WHERE NOT ST_IsEmpty(q) ORDER BY o LIMIT 1) AS w WHERE ST_Dimension(i) > 0
ORDER BY 1, 2, 3, 4, 5`

// Mend has PostGIS repair what of imported outlines is not valid, and completes their reports; nothing is recorded. What
// cannot be repaired, or only by changing more than MostChanged, is refused; the reports so far are there all the same.
func (s *Store) Mend(ctx context.Context, zones []Imported) error {
	var errs []error
	for i := range zones {
		err := mend(ctx, s.pool, &zones[i])
		var refused *Refused
		if err != nil && !errors.As(err, &refused) {
			return fmt.Errorf("repair an outline: %w", err)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func mend(ctx context.Context, q Querier, z *Imported) error {
	doc, err := ewkb.Marshal(z.Geometry, ewkb.NDR)
	if err != nil {
		return err
	}
	refuse := func(detail string, lon, lat *float64) *Refused {
		r := &Refused{Field: z.Field, Reason: InvalidGeometry, Detail: detail}
		if lon != nil && lat != nil {
			place := z.asDrawn(*lon, *lat)
			r.Place = &place
		}
		return r
	}
	var valid, sound bool
	var mended []byte
	var share, lon, lat *float64
	r := &z.Report
	err = q.QueryRow(ctx, mendSQL, doc).Scan(&valid, &mended, &sound, &r.VerticesAfter, &r.AreaBefore, &r.AreaAfter, &share, &lon, &lat)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code[:2] == "XX" || pg.Code == "42883") { // it cannot read it, or is too old to repair (before GEOS 3.10)
		return refuse(pg.Message, nil, nil)
	}
	if err != nil {
		return err
	}
	if valid {
		return nil
	}
	found := len(r.Repairs)
	if err := z.faults(ctx, q, doc); err != nil {
		return err
	}
	if share != nil {
		r.Changed = *share
	}
	switch {
	case !sound || share == nil:
		r.Changed = 1
		return refuse("it cannot be repaired: nothing with an area is left of it", nil, nil)
	case r.Changed > MostChanged && lon == nil && len(r.Repairs) > found: // both ways to read it agree: the place of the first fault
		err := refuse(tooMuch(r.Changed), nil, nil)
		err.Place = &r.Repairs[found].Place
		return err
	case r.Changed > MostChanged:
		return refuse(tooMuch(r.Changed), lon, lat)
	}
	g, err := ewkb.Unmarshal(mended)
	if err != nil {
		return err
	}
	mp, ok := g.(*geom.MultiPolygon)
	if !ok {
		return refuse(fmt.Sprintf("it cannot be repaired: a %T came of it", g), nil, nil)
	}
	mp.SetSRID(0)
	z.Geometry = mp
	return nil
}

func tooMuch(share float64) string {
	return fmt.Sprintf("repairing it would change %.2f %% of its area; at most %.1f %% is repaired", 100*share, 100*MostChanged)
}

// faults adds to the report what PostGIS finds wrong.
func (z *Imported) faults(ctx context.Context, q Querier, doc []byte) error {
	rows, err := q.Query(ctx, faultsSQL, doc)
	if err != nil {
		return err
	}
	var n, with int
	var what string
	var lon, lat *float64
	_, err = pgx.ForEachRow(rows, []any{&n, &with, &what, &lon, &lat}, func() error {
		one := Repair{Fault: CrossingRing, Where: fmt.Sprintf("%s, polygon %d", z.Field, n-1),
			Detail: what + ": redrawn without the crossing, what its rings hold is kept"}
		if with != 0 {
			one.Fault, one.Detail = TouchingParts, fmt.Sprintf("%s polygon %d: the two are merged", what, with-1)
		}
		if lon != nil && lat != nil {
			one.Place = z.asDrawn(*lon, *lat)
		}
		z.Report.Repairs = append(z.Report.Repairs, one)
		return nil
	})
	return err
}

// asDrawn is a place in WGS-84 as the file would have it.
func (z *Imported) asDrawn(lon, lat float64) [2]float64 {
	lon, lat = devices.FromWGS84(z.Datum, lon, lat)
	return [2]float64{round7(lon), round7(lat)}
}
