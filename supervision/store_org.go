package supervision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

const orgColumns = "org_id, coalesce(parent_id, 0), kind, name, short_name, coalesce(code, ''), lon, lat"

func scanOrg(row pgx.CollectableRow) (o Org, err error) {
	err = row.Scan(&o.ID, &o.Parent, &o.Kind, &o.Name, &o.ShortName, &o.Code, &o.Lon, &o.Lat)
	return o, err
}

// Orgs is scope and everything under it, parents before their children.
func (s *Store) Orgs(ctx context.Context, scope id.Org) ([]Org, error) {
	return Orgs(ctx, s.pool, scope)
}

// Orgs reads scope and everything under it, parents before their children.
func Orgs(ctx context.Context, q Querier, scope id.Org) ([]Org, error) {
	rows, err := q.Query(ctx, `WITH RECURSIVE t AS (SELECT org, 0 AS depth FROM org WHERE org_id = $1
			UNION ALL SELECT o, t.depth + 1 FROM org o JOIN t ON o.parent_id = (t.org).org_id)
		SELECT `+orgColumns+` FROM (SELECT (org).*, depth FROM t) o ORDER BY depth, org_id`, scope)
	if err != nil {
		return nil, fmt.Errorf("read the organisation: %w", err)
	}
	orgs, err := pgx.CollectRows(rows, scanOrg)
	if err != nil {
		return nil, fmt.Errorf("read the organisation: %w", err)
	}
	return orgs, nil
}

// Roots are the organisations without a parent.
func (s *Store) Roots(ctx context.Context) ([]Org, error) {
	rows, err := s.pool.Query(ctx, "SELECT "+orgColumns+" FROM org WHERE parent_id IS NULL ORDER BY org_id")
	if err != nil {
		return nil, fmt.Errorf("read the roots of the organisation: %w", err)
	}
	orgs, err := pgx.CollectRows(rows, scanOrg)
	if err != nil {
		return nil, fmt.Errorf("read the roots of the organisation: %w", err)
	}
	return orgs, nil
}

// Within reports whether org lies in scope.
func (s *Store) Within(ctx context.Context, scope, org id.Org) (bool, error) {
	var in bool
	if err := s.pool.QueryRow(ctx, "SELECT $2 IN (SELECT org_subtree($1))", scope, org).Scan(&in); err != nil {
		return false, fmt.Errorf("look into the organisation: %w", err)
	}
	return in, nil
}

// PutOrg adds an organisation, or changes the one with o.ID.
func (s *Store) PutOrg(ctx context.Context, o Org) (id.Org, error) { return s.PutOrgWithin(ctx, 0, o) }

// PutOrgWithin is PutOrg for who may only organise scope (0: everything): the organisation and what it comes under are in it, and scope itself
// stays where it is.
func (s *Store) PutOrgWithin(ctx context.Context, scope id.Org, o Org) (id.Org, error) {
	err := s.change(ctx, "put an organisation", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		if scope != 0 {
			var there, parent, same bool
			if err := tx.QueryRow(ctx, `SELECT $2 = 0 OR $2 IN (SELECT org_subtree($1)), $3 IN (SELECT org_subtree($1)),
				EXISTS (SELECT FROM org WHERE org_id = $2 AND org_id = $1 AND coalesce(parent_id, 0) = $3)`, scope, o.ID, o.Parent).Scan(&there, &parent, &same); err != nil {
				return nil, err
			}
			switch {
			case !there:
				return nil, ErrNotFound
			case o.ID == scope && !same, !parent && !same:
				return nil, &FieldError{"parent", Unknown, "no such organisation"}
			}
		}
		args := []any{null(o.Parent), o.Kind, o.Name, o.ShortName, null(o.Code), o.Lon, o.Lat}
		if o.ID == 0 {
			if err := tx.QueryRow(ctx, `INSERT INTO org (parent_id, kind, name, short_name, code, lon, lat)
				VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING org_id`, args...).Scan(&o.ID); err != nil {
				return nil, err
			}
		} else {
			var loop bool
			if err := tx.QueryRow(ctx, "SELECT $1 IN (SELECT org_subtree($2))", o.Parent, o.ID).Scan(&loop); err != nil {
				return nil, err
			}
			if loop {
				return nil, &FieldError{"parent", Loop, "an organisation cannot be under itself"}
			}
			tag, err := tx.Exec(ctx, `UPDATE org SET parent_id = $1, kind = $2, name = $3, short_name = $4, code = $5, lon = $6, lat = $7
				WHERE org_id = $8`, append(args, o.ID)...)
			if err != nil {
				return nil, err
			}
			if tag.RowsAffected() == 0 {
				return nil, ErrNotFound
			}
		}
		return []ledger.Entry{{At: now, Kind: "org.put", Org: o.ID, Entity: "org", EntityID: int64(o.ID), Version: 1,
			Body: fmt.Appendf(nil, `{"by":%d,"parent":%d,"kind":%q}`, o.By, o.Parent, o.Kind)}}, nil
	})
	return o.ID, err
}

// PutOfficer adds a member of staff, or changes the one with o.ID.
func (s *Store) PutOfficer(ctx context.Context, o Officer) (id.Officer, error) {
	return s.PutOfficerWithin(ctx, 0, o)
}

// PutOfficerWithin is PutOfficer for who may only organise scope (0: everything): where the officer works and worked are in it.
func (s *Store) PutOfficerWithin(ctx context.Context, scope id.Org, o Officer) (id.Officer, error) {
	err := s.change(ctx, "put an officer", func(tx pgx.Tx, now time.Time) ([]ledger.Entry, error) {
		if scope != 0 {
			var there, org bool
			if err := tx.QueryRow(ctx, `SELECT $2 = 0 OR EXISTS (SELECT FROM officer WHERE officer_id = $2 AND org_id IN (SELECT org_subtree($1))), $3 IN (SELECT org_subtree($1))`,
				scope, o.ID, o.Org).Scan(&there, &org); err != nil {
				return nil, err
			}
			switch {
			case !there:
				return nil, ErrNotFound
			case !org:
				return nil, &FieldError{"org", Unknown, "no such organisation"}
			}
		}
		duty := ""
		if o.CountyHead {
			duty = "county_head"
		}
		sql, args := "INSERT INTO officer (org_id, name, kind, duty, juvenile_team) VALUES ($1, $2, $3, $4, $5) RETURNING officer_id", []any{o.Org, o.Name, o.Kind, duty, o.JuvenileTeam}
		if o.ID != 0 {
			sql, args = "UPDATE officer SET org_id = $1, name = $2, kind = $3, duty = $4, juvenile_team = $5 WHERE officer_id = $6 RETURNING officer_id", append(args, o.ID)
		}
		err := tx.QueryRow(ctx, sql, args...).Scan(&o.ID)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, ErrNotFound
		}
		if err != nil {
			return nil, err
		}
		return []ledger.Entry{{At: now, Kind: "officer.put", Org: o.Org, Entity: "officer", EntityID: int64(o.ID), Version: 1,
			Body: fmt.Appendf(nil, `{"by":%d,"kind":%q,"county_head":%t,"juvenile_team":%t}`, o.By, o.Kind, o.CountyHead, o.JuvenileTeam)}}, nil
	})
	return o.ID, err
}

// Officers is the staff of scope.
func (s *Store) Officers(ctx context.Context, scope id.Org) ([]Officer, error) {
	rows, err := s.pool.Query(ctx, `SELECT officer_id, org_id, name, kind, duty = 'county_head', juvenile_team FROM officer
		WHERE org_id IN (SELECT org_subtree($1)) ORDER BY officer_id`, scope)
	if err != nil {
		return nil, fmt.Errorf("read the officers: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o Officer, err error) {
		err = row.Scan(&o.ID, &o.Org, &o.Name, &o.Kind, &o.CountyHead, &o.JuvenileTeam)
		return o, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the officers: %w", err)
	}
	return all, nil
}
