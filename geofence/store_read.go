package geofence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"zhijiao/devices"
	"zhijiao/geofence/track"
	"zhijiao/internal/id"
)

// ErrNotFound means that there is no such thing, or none in the asker's part of the organisation.
var ErrNotFound = errors.New("geofence: not found")

// Querier is a pool, a connection or a transaction.
type Querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// supervisedIn bounds a query to subjects whom the organisation $1 and those under it supervise at $2.
const supervisedIn = ` EXISTS (SELECT FROM subject_office so WHERE so.subject_id = %s AND upper_inf(so.recorded)
	AND so.valid @> $2::timestamptz AND so.org_id IN (SELECT org_subtree($1)))`

// Current is where a subject was last, lawfully.
type Current struct {
	Subject   id.Subject
	Lon, Lat  float64
	FixAt     time.Time
	AccuracyM float64 // 0: not given
	Method    devices.Method
	Battery   *int
	WrittenAt time.Time // machine time
}

// CurrentPositions returns the current positions in the scope that were written at or after since (machine time; zero:
// all). now is domain time: whoever supervises now sees them.
func CurrentPositions(ctx context.Context, q Querier, scope id.Org, now, since time.Time) ([]Current, error) {
	rows, err := q.Query(ctx, `SELECT c.subject_id, ST_X(c.geom), ST_Y(c.geom), c.fix_at, coalesce(c.accuracy_m, 0), c.method, c.battery, c.written_at
		FROM current_position c WHERE c.written_at >= $3 AND `+fmt.Sprintf(supervisedIn, "c.subject_id")+` ORDER BY c.subject_id`, int64(scope), now, since)
	if err != nil {
		return nil, fmt.Errorf("read current positions: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Current, error) {
		var c Current
		err := r.Scan(&c.Subject, &c.Lon, &c.Lat, &c.FixAt, &c.AccuracyM, &c.Method, &c.Battery, &c.WrittenAt)
		c.FixAt = c.FixAt.UTC()
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("read current positions: %w", err)
	}
	return out, nil
}

// Drawn is a zone version as maps draw it. Geometry is GeoJSON in WGS-84; a circle has its centre
// and radius as well, a corridor its radius, which is half its width.
type Drawn struct {
	ID       ZoneID
	Version  int
	Org      id.Org
	Name     string
	Purpose  Purpose
	Shape    Shape
	Official bool
	Source   string
	Geometry json.RawMessage
	Centre   *[2]float64 // lon lat
	RadiusM  float64
}

const drawnColumns = `z.zone_id, v.version, z.org_id, z.name, z.purpose, v.shape, v.official, v.source,
	CASE WHEN v.shape IN ('circle', 'corridor') THEN ST_AsGeoJSON(ST_Buffer(v.geom::geography, v.radius_m, 24)::geometry, 7) ELSE ST_AsGeoJSON(v.geom, 7) END,
	CASE v.shape WHEN 'circle' THEN ST_X(v.geom) END, CASE v.shape WHEN 'circle' THEN ST_Y(v.geom) END, coalesce(v.radius_m, 0)
	FROM zone z JOIN zone_version v USING (zone_id)`

func scanDrawn(r pgx.CollectableRow) (Drawn, error) {
	var d Drawn
	var geometry string
	var lon, lat *float64
	err := r.Scan(&d.ID, &d.Version, &d.Org, &d.Name, &d.Purpose, &d.Shape, &d.Official, &d.Source, &geometry, &lon, &lat, &d.RadiusM)
	d.Geometry = json.RawMessage(geometry)
	if lon != nil && lat != nil {
		d.Centre = &[2]float64{*lon, *lat}
	}
	return d, err
}

// DrawnZones returns the zones valid at now that belong to the scope, or to an organisation above it.
func DrawnZones(ctx context.Context, q Querier, scope id.Org, now time.Time) ([]Drawn, error) {
	rows, err := q.Query(ctx, "SELECT "+drawnColumns+` WHERE upper_inf(v.recorded) AND v.valid @> $2::timestamptz
		AND z.org_id IN (SELECT org_subtree($1) UNION SELECT org_above($1)) ORDER BY z.zone_id`, int64(scope), now)
	if err != nil {
		return nil, fmt.Errorf("read zones: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanDrawn)
	if err != nil {
		return nil, fmt.Errorf("read zones: %w", err)
	}
	return out, nil
}

// DrawnVersion returns one version of a zone, as it was when something was decided on it.
func DrawnVersion(ctx context.Context, q Querier, zone ZoneID, version int) (Drawn, error) {
	rows, err := q.Query(ctx, "SELECT "+drawnColumns+" WHERE v.zone_id = $1 AND v.version = $2", int64(zone), version)
	if err != nil {
		return Drawn{}, fmt.Errorf("read zone: %w", err)
	}
	d, err := pgx.CollectExactlyOneRow(rows, scanDrawn)
	if errors.Is(err, pgx.ErrNoRows) {
		return d, ErrNotFound
	}
	return d, err
}

// TrackFix is a stored position.
type TrackFix struct {
	At         time.Time
	ReceivedAt time.Time
	Device     id.Device
	Class      devices.Class
	Boot, Seq  int64
	Lon, Lat   float64
	AccuracyM  float64 // 0: not given
	SpeedMPS   float64 // negative: not given
	Method     devices.Method
	Flags      Flag
	Battery    *int
	Strap      devices.Strap
	Answers    id.Check
}

// ReadTrack returns a subject's stored positions in [from, until), oldest first, at most limit; ErrNotFound when the subject
// is not supervised in the scope now. Whoever calls it records why (R107).
func ReadTrack(ctx context.Context, q Querier, scope id.Org, now time.Time, subject id.Subject, from, until time.Time, limit int) ([]TrackFix, error) {
	var may bool
	if err := q.QueryRow(ctx, "SELECT "+fmt.Sprintf(supervisedIn, "$3"), int64(scope), now, int64(subject)).Scan(&may); err != nil {
		return nil, fmt.Errorf("read track: %w", err)
	}
	if !may {
		return nil, ErrNotFound
	}
	return ReadEvidenceTrack(ctx, q, subject, from, until, limit)
}

// ReadEvidenceTrack is ReadTrack for whoever has seen that what it is evidence of is in scope: the person may have another office by now.
func ReadEvidenceTrack(ctx context.Context, q Querier, subject id.Subject, from, until time.Time, limit int) ([]TrackFix, error) {
	class, err := classesOf(ctx, q, []id.Subject{subject})
	if err != nil {
		return nil, fmt.Errorf("read track: %w", err)
	}
	var out []TrackFix
	err = readFixes(ctx, q, []id.Subject{subject}, span{From: from, Until: until}, func(_ id.Subject, f *track.Fix) error {
		if len(out) == limit {
			return errEnough
		}
		t := TrackFix{At: f.At, ReceivedAt: f.ReceivedAt, Device: f.Device, Class: class[f.Binding], Boot: f.Boot, Seq: f.Seq, Lon: float64(f.LonE7) / 1e7,
			Lat: float64(f.LatE7) / 1e7, SpeedMPS: -1, Method: f.Method, Flags: Flag(f.Flags), Answers: f.Answers}
		if f.Accuracy != nil {
			t.AccuracyM = float64(*f.Accuracy)
		}
		if f.Speed != nil {
			t.SpeedMPS = float64(*f.Speed)
		}
		if f.Battery != nil {
			battery := int(*f.Battery)
			t.Battery = &battery
		}
		if f.Strap != nil {
			t.Strap = devices.Strap(*f.Strap)
		}
		out = append(out, t)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("read track: %w", err)
	}
	return out, nil
}

var errEnough = errors.New("as many as were asked for")

// Recorded is a violation as it is kept, with its evidence.
type Recorded struct {
	ViolationBody
	Evidence json.RawMessage
	Engine   string
}

// ViolationsByID returns violations by id. The caller has seen that they are in scope.
func ViolationsByID(ctx context.Context, q Querier, ids []ViolationID) (map[ViolationID]Recorded, error) {
	raw := make([]int64, len(ids))
	for i, v := range ids {
		raw[i] = int64(v)
	}
	rows, err := q.Query(ctx, `SELECT violation_id, subject_id, org_id, rule_id, rule_version, coalesce(zone_id, 0), coalesce(zone_version, 0), kind, channel, state, version,
			opened_at, decided_at, closed_at, late, evidence, engine, coalesce(merged_into, 0) FROM violation WHERE violation_id = ANY($1)`, raw)
	if err != nil {
		return nil, fmt.Errorf("read violations: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Recorded, error) {
		var v Recorded
		var closed *time.Time
		err := r.Scan(&v.Violation, &v.Subject, &v.Org, &v.Rule, &v.RuleVersion, &v.Zone, &v.ZoneVersion, &v.Kind, &v.Channel, &v.State, &v.Version,
			&v.OpenedAt, &v.DecidedAt, &closed, &v.Late, &v.Evidence, &v.Engine, &v.MergedInto)
		if closed != nil {
			v.ClosedAt = closed.UTC()
		}
		v.OpenedAt, v.DecidedAt = v.OpenedAt.UTC(), v.DecidedAt.UTC()
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("read violations: %w", err)
	}
	out := make(map[ViolationID]Recorded, len(list))
	for _, v := range list {
		out[v.Violation] = v
	}
	return out, nil
}

// Middle is a zone by name and the middle of its newest version, for words such as "to the east of".
type Middle struct {
	ID       ZoneID
	Name     string
	Lon, Lat float64
}

// ZoneMiddles returns the middle of every zone.
func ZoneMiddles(ctx context.Context, q Querier) ([]Middle, error) {
	rows, err := q.Query(ctx, `SELECT DISTINCT ON (z.zone_id) z.zone_id, z.name, ST_X(ST_Centroid(v.geom)), ST_Y(ST_Centroid(v.geom))
		FROM zone z JOIN zone_version v USING (zone_id) ORDER BY z.zone_id, v.version DESC`)
	if err != nil {
		return nil, fmt.Errorf("read zones: %w", err)
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (m Middle, err error) {
		err = r.Scan(&m.ID, &m.Name, &m.Lon, &m.Lat)
		return m, err
	})
}

// StoredZone is one version of a zone as it is kept: what its verdicts can be computed from again, elsewhere.
type StoredZone struct {
	ID      ZoneID  `json:"zone_id"`
	Version int     `json:"version"`
	Shape   Shape   `json:"shape"`
	EWKB    []byte  `json:"ewkb"` // WGS-84
	RadiusM float64 `json:"radius_m"`
}

// Zone prepares it.
func (z *StoredZone) Zone() (*Zone, error) {
	return zoneFromEWKB(z.ID, z.Version, Interval{}, z.Shape, z.EWKB, z.RadiusM)
}

// ReadStoredZone reads one version of a zone.
func ReadStoredZone(ctx context.Context, q Querier, zone ZoneID, version int) (*StoredZone, error) {
	z := StoredZone{ID: zone, Version: version}
	err := q.QueryRow(ctx, "SELECT shape, ST_AsEWKB(geom), coalesce(radius_m, 0) FROM zone_version WHERE zone_id = $1 AND version = $2", int64(zone), version).
		Scan(&z.Shape, &z.EWKB, &z.RadiusM)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read zone: %w", err)
	}
	return &z, nil
}

// ReadZone prepares one version of a zone, to ask it what was decided on it.
func ReadZone(ctx context.Context, q Querier, zone ZoneID, version int) (*Zone, error) {
	z, err := ReadStoredZone(ctx, q, zone, version)
	if err != nil {
		return nil, err
	}
	return z.Zone()
}
