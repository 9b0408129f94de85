package geofence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twpayne/go-geom/encoding/ewkb"

	"zhijiao/internal/clock"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// Store records zones and rules: what evaluation goes by.
type Store struct {
	pool  *pgxpool.Pool
	clock clock.Clock
}

// NewStore returns the store of a database.
func NewStore(pool *pgxpool.Pool, c clock.Clock) *Store { return &Store{pool: pool, clock: c} }

// change runs do in a transaction and appends what it returns to the ledger, last.
func (s *Store) change(ctx context.Context, what string, do func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error)) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		entries, err := do(tx, s.clock.Now())
		if err != nil {
			return err
		}
		return ledger.Append(ctx, tx, entries...)
	})
	var refused *Refused
	if err == nil || errors.As(err, &refused) {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}

// PutZone records a zone, or a new version of one; those it applies to are judged again at once, and what was found
// before stays tied to the version that found it (R29). scope is the asker's organisation; 0 is the platform itself.
func (s *Store) PutZone(ctx context.Context, by id.Account, scope id.Org, spec ZoneSpec) (ZoneID, int, error) {
	ids, versions, err := s.PutZones(ctx, by, scope, []ZoneSpec{spec})
	if err != nil {
		return 0, 0, err
	}
	return ids[0], versions[0], nil
}

// PutZones records several zones, all or none; the error says which one is at fault.
func (s *Store) PutZones(ctx context.Context, by id.Account, scope id.Org, specs []ZoneSpec) (ids []ZoneID, versions []int, err error) {
	ids, versions = make([]ZoneID, len(specs)), make([]int, len(specs))
	err = s.change(ctx, "put zones", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		entries := make([]ledger.Entry, 0, len(specs))
		for i := range specs {
			spec := specs[i]
			if spec.From.IsZero() {
				spec.From = now
			}
			if err := spec.check(); err != nil {
				return nil, which(i, len(specs), err)
			}
			var err error
			if ids[i], versions[i], err = putZone(ctx, tx, by, scope, now, &spec); err != nil {
				return nil, which(i, len(specs), err)
			}
			body, err := json.Marshal(map[string]any{"purpose": spec.Purpose, "shape": spec.Shape, "official": spec.Official, "from": spec.From.UTC()})
			if err != nil {
				return nil, err
			}
			entries = append(entries, ledger.Entry{At: now, Kind: "zone.put", Org: spec.Org, Entity: "zone", EntityID: int64(ids[i]), Version: versions[i], Body: body})
		}
		return entries, nil
	})
	return ids, versions, err
}

// which says which of several specs is at fault.
func which(i, n int, err error) error {
	if n == 1 {
		return err
	}
	return fmt.Errorf("zone %d of %d: %w", i+1, n, err)
}

func putZone(ctx context.Context, tx pgx.Tx, by id.Account, scope id.Org, now time.Time, z *ZoneSpec) (ZoneID, int, error) {
	doc, err := ewkb.Marshal(z.Geometry, ewkb.NDR)
	if err != nil {
		return 0, 0, fmt.Errorf("geometry: %w", err)
	}
	if err := arbitrate(ctx, tx, doc); err != nil {
		return 0, 0, err
	}
	version, recorded := 0, now
	if z.ID == 0 {
		err = tx.QueryRow(ctx, `INSERT INTO zone (org_id, purpose, name) SELECT $1, $2, $3 WHERE $4 = 0 OR $1 IN (SELECT org_subtree($4)) RETURNING zone_id`,
			z.Org, z.Purpose, z.Name, int64(scope)).Scan(&z.ID)
		if errors.Is(err, pgx.ErrNoRows) {
			return 0, 0, &Refused{Field: "org", Reason: NoSuchOrg, Detail: "not in your part of the organisation"}
		}
	} else {
		version, recorded, err = succeedZone(ctx, tx, by, scope, now, z)
	}
	if err != nil {
		return 0, 0, zoneRefusal(err)
	}
	version++
	var radius *float64
	if z.Shape != Polygonal {
		radius = &z.RadiusM
	}
	_, err = tx.Exec(ctx, `INSERT INTO zone_version (zone_id, version, shape, geom, radius_m, datum, official, source, valid, recorded, recorded_by)
		VALUES ($1, $2, $3, ST_SetSRID(ST_GeomFromEWKB($4), 4326), $5, $6, $7, $8, tstzrange($9, $10), tstzrange($11, NULL), nullif($12::bigint, 0))`,
		z.ID, version, z.Shape, doc, radius, z.Datum, z.Official, z.Source, z.From, orNull(z.Until), recorded, int64(by))
	return z.ID, version, zoneRefusal(err)
}

// arbitrate has PostGIS say whether a geometry is valid, and where not.
func arbitrate(ctx context.Context, tx pgx.Tx, doc []byte) error {
	var valid bool
	var reason *string
	var lon, lat *float64
	err := tx.QueryRow(ctx, `SELECT (d).valid AND NOT ST_IsEmpty(g), (d).reason, ST_X((d).location), ST_Y((d).location)
		FROM (SELECT g, ST_IsValidDetail(g) AS d FROM ST_SetSRID(ST_GeomFromEWKB($1), 4326) AS g) v`, doc).Scan(&valid, &reason, &lon, &lat)
	if err != nil {
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code[:2] == "XX" { // PostGIS cannot even read it: a ring that is not closed, too few points
			return &Refused{Field: "geometry", Reason: InvalidGeometry, Detail: pg.Message}
		}
		return fmt.Errorf("look at the geometry: %w", err)
	}
	if valid {
		return nil
	}
	r := &Refused{Field: "geometry", Reason: InvalidGeometry, Detail: "it is empty"}
	if reason != nil {
		r.Detail = *reason
	}
	if lon != nil && lat != nil {
		r.Place = &[2]float64{*lon, *lat}
	}
	return r
}

// succeedZone locks a zone and those it applies to, and closes what was recorded of the time the new version is for; what
// is left of it before and after is recorded again. It returns the highest version and since when the record holds.
func succeedZone(ctx context.Context, tx pgx.Tx, by id.Account, scope id.Org, now time.Time, z *ZoneSpec) (version int, recorded time.Time, err error) {
	err = tx.QueryRow(ctx, `SELECT org_id FROM zone WHERE zone_id = $1 AND ($2 = 0 OR org_id IN (SELECT org_subtree($2))) FOR UPDATE`, z.ID, int64(scope)).Scan(&z.Org)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, now, &Refused{Field: "zone", Reason: NoSuchZone, Detail: "no such zone in your part of the organisation"}
	}
	if err != nil {
		return 0, now, err
	}
	if _, err := tx.Exec(ctx, `UPDATE zone SET name = $2, purpose = $3 WHERE zone_id = $1 AND (name, purpose) IS DISTINCT FROM ($2, $3)`, z.ID, z.Name, z.Purpose); err != nil {
		return 0, now, err
	}
	if err := factsChangedWhere(ctx, tx, now, Why{What: "zone", Entity: int64(z.ID), By: by, At: now, From: z.From},
		"r.zone_id = $1", z.ID); err != nil {
		return 0, now, err
	}
	return succeed(ctx, tx, now, z.From, z.Until, versioned{
		table: "zone_version", key: "zone_id", id: int64(z.ID), columns: "shape, geom, radius_m, datum, official, source"})
}

func zoneRefusal(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.ConstraintName == "zone_org_id_fkey" {
		return &Refused{Field: "org", Reason: NoSuchOrg, Detail: "no such organisation"}
	}
	return err
}

// versioned names the rows of one thing in a table of versions.
type versioned struct {
	table, key string
	id         int64
	columns    string // what is recorded again of a version, besides its interval
}

// succeed closes the record of every version that says something of [from, until), and records again what they say of
// the time before and after. It returns the highest version number used and the instant from which the record holds.
func succeed(ctx context.Context, tx pgx.Tx, now, from, until time.Time, v versioned) (int, time.Time, error) {
	type row struct {
		version     int
		from, until *time.Time
	}
	// On a clock that stands still two records of the same instant still follow one another.
	rows, err := tx.Query(ctx, `SELECT version, lower(valid), upper(valid), greatest($4, lower(recorded) + interval '1 microsecond')
		FROM `+v.table+` WHERE `+v.key+` = $1 AND upper_inf(recorded) AND valid && tstzrange($2, $3) ORDER BY version`, v.id, from, orNull(until), now)
	if err != nil {
		return 0, now, err
	}
	recorded := now
	var old []row
	var r row
	var at time.Time
	if _, err := pgx.ForEachRow(rows, []any{&r.version, &r.from, &r.until, &at}, func() error {
		old = append(old, r)
		if at.After(recorded) {
			recorded = at
		}
		return nil
	}); err != nil {
		return 0, now, err
	}
	var highest int
	if err := tx.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM `+v.table+` WHERE `+v.key+` = $1`, v.id).Scan(&highest); err != nil {
		return 0, now, err
	}
	for _, r := range old {
		if _, err := tx.Exec(ctx, `UPDATE `+v.table+` SET recorded = tstzrange(lower(recorded), $3) WHERE `+v.key+` = $1 AND version = $2`, v.id, r.version, recorded); err != nil {
			return 0, now, err
		}
	}
	again := func(version int, from, until *time.Time) error {
		highest++
		_, err := tx.Exec(ctx, `INSERT INTO `+v.table+` (`+v.key+`, version, `+v.columns+`, valid, recorded, recorded_by)
			SELECT `+v.key+`, $3, `+v.columns+`, tstzrange($4, $5), tstzrange($6, NULL), recorded_by FROM `+v.table+` WHERE `+v.key+` = $1 AND version = $2`,
			v.id, version, highest, from, until, recorded)
		return err
	}
	for _, r := range old {
		if r.from == nil || r.from.Before(from) {
			if err := again(r.version, r.from, &from); err != nil {
				return 0, now, err
			}
		}
		if !until.IsZero() && (r.until == nil || r.until.After(until)) {
			if err := again(r.version, &until, r.until); err != nil {
				return 0, now, err
			}
		}
	}
	return highest, recorded, nil
}

// factsChangedWhere tells that the facts which the rules r rest on that a condition names changed: the states of their
// subjects are locked, caches of facts end, and they are judged at once; what reaches back before now is derived again from
// why.From.
func factsChangedWhere(ctx context.Context, tx pgx.Tx, now time.Time, why Why, condition string, arg any) error {
	var subjects, rules []int64
	err := tx.QueryRow(ctx, `SELECT array_agg(DISTINCT r.subject_id) FILTER (WHERE r.subject_id IS NOT NULL), array_agg(DISTINCT r.rule_id)
		FROM rule r WHERE upper_inf(r.recorded) AND `+condition, arg).Scan(&subjects, &rules)
	if err != nil || len(rules) == 0 {
		return err
	}
	if len(subjects) > 0 {
		if _, err := tx.Exec(ctx, "SELECT facts_changed($1, $2, $3, $4)", subjects, now, why.From, why.doc()); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, "SELECT company_changed($1, $2, $3)", rules, why.From, why.doc())
	return err
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
