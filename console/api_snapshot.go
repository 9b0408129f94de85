package console

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/alerts"
	"zhijiao/geofence"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
	"zhijiao/supervision"
)

type positionView struct {
	Lon      float64   `json:"lon"`
	Lat      float64   `json:"lat"`
	FixAt    time.Time `json:"fix_at"`
	Accuracy *float64  `json:"accuracy_m"`
	Method   string    `json:"method"`
	Battery  *int      `json:"battery"`
}

func viewPosition(c *geofence.Current) positionView {
	return positionView{c.Lon, c.Lat, c.FixAt, given(c.AccuracyM), c.Method.String(), c.Battery}
}

type subjectView struct {
	ID       int64         `json:"id"`
	Label    string        `json:"label"`
	Surname  string        `json:"surname"`
	Office   officeRef     `json:"office"`
	Tail     string        `json:"local_no_tail"`
	Channel  string        `json:"channel"`
	State    string        `json:"state"`
	Position *positionView `json:"position"`
}

type zoneView struct {
	ID       int64           `json:"id"`
	Version  int             `json:"version"`
	Name     string          `json:"name"`
	Purpose  string          `json:"purpose"`
	Official bool            `json:"official"`
	Source   string          `json:"source"`
	Shape    string          `json:"shape"`
	Geometry json.RawMessage `json:"geometry"`
	Center   *[2]float64     `json:"center,omitempty"`
	RadiusM  float64         `json:"radius_m,omitempty"`
}

func viewZone(d *geofence.Drawn) zoneView {
	return zoneView{int64(d.ID), d.Version, d.Name, string(d.Purpose), d.Official, d.Source, string(d.Shape), d.Geometry, d.Centre, d.RadiusM}
}

type orgView struct {
	ID         int64    `json:"id"`
	ParentID   *int64   `json:"parent_id"`
	Kind       string   `json:"kind"`
	Name       string   `json:"name"`
	ShortName  string   `json:"short_name"`
	Lon        *float64 `json:"lon"` // null: not known
	Lat        *float64 `json:"lat"`
	OpenAlerts int      `json:"open_alerts"`
}

type snapshotView struct {
	Pos      int64         `json:"pos"`
	Now      time.Time     `json:"now"`
	Clock    clockView     `json:"clock"`
	DataAt   *time.Time    `json:"data_at"`
	Subjects []subjectView `json:"subjects"`
	Alerts   []alertView   `json:"alerts"`
	Zones    []zoneView    `json:"zones"`
	Orgs     []orgView     `json:"orgs"`
	Summary  summaryView   `json:"summary"`
}

// snapshot is everything the wall begins with, and the ledger position at which it was true: the stream goes on from there
// without a gap.
func (s *Server) snapshot(w http.ResponseWriter, r *request) error {
	var v snapshotView
	ctx := r.Context()
	err := pgx.BeginTxFunc(ctx, s.Reads, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var err error
		v, err = s.snapshotIn(ctx, tx, r.scope())
		return err
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, v)
	return nil
}

func (s *Server) snapshotIn(ctx context.Context, tx pgx.Tx, scope id.Org) (v snapshotView, err error) {
	v = snapshotView{Clock: s.clockView(), Subjects: []subjectView{}, Zones: []zoneView{}, Orgs: []orgView{}}
	v.Now = v.Clock.Now
	if v.Pos, err = ledger.Head(ctx, tx); err != nil {
		return v, err
	}
	heard, err := s.heard(ctx, tx, v.Now)
	if err != nil {
		return v, err
	}
	orgs, err := s.orgSet(ctx, scope)
	if err != nil {
		return v, err
	}
	v.DataAt = instant(newest(heard, orgs))
	if v.Subjects, err = s.subjectsIn(ctx, tx, scope, v.Now); err != nil {
		return v, err
	}
	open, err := s.Alerts.NotClosed(ctx, tx, scope)
	if err != nil {
		return v, err
	}
	if v.Alerts, err = s.viewAlerts(ctx, tx, open); err != nil {
		return v, err
	}
	zones, err := geofence.DrawnZones(ctx, tx, scope, v.Now)
	if err != nil {
		return v, err
	}
	for i := range zones {
		v.Zones = append(v.Zones, viewZone(&zones[i]))
	}
	counts, err := s.Alerts.OpenCounts(ctx, tx, scope)
	if err != nil {
		return v, err
	}
	if v.Orgs, err = s.orgsIn(ctx, tx, scope, counts); err != nil {
		return v, err
	}
	v.Summary, err = s.summaryOf(ctx, tx, scope)
	return v, err
}

func (s *Server) orgsIn(ctx context.Context, q querier, scope id.Org, counts alerts.Counts) ([]orgView, error) {
	orgs, err := supervision.Orgs(ctx, q, scope)
	if err != nil {
		return nil, err
	}
	out := make([]orgView, 0, len(orgs))
	for _, o := range orgs {
		out = append(out, orgView{int64(o.ID), given(int64(o.Parent)), string(o.Kind), o.Name, o.ShortName, o.Lon, o.Lat, counts.ByOrg[o.ID]})
	}
	return out, nil
}

func (s *Server) subjectsIn(ctx context.Context, q querier, scope id.Org, now time.Time) ([]subjectView, error) {
	subjects, err := s.Supervision.Subjects(ctx, q, scope)
	if err != nil {
		return nil, err
	}
	channels, err := s.channelsOf(ctx, q, scope, now)
	if err != nil {
		return nil, err
	}
	states, err := s.statesOf(ctx, q, scope, now)
	if err != nil {
		return nil, err
	}
	current, err := geofence.CurrentPositions(ctx, q, scope, now, time.Time{})
	if err != nil {
		return nil, err
	}
	where := make(map[id.Subject]positionView, len(current))
	for i := range current {
		where[current[i].Subject] = viewPosition(&current[i])
	}
	out := make([]subjectView, 0, len(subjects))
	for _, p := range subjects {
		v := subjectView{ID: int64(p.ID), Label: p.Label(), Surname: p.Surname, Office: officeRef{int64(p.Office), p.OfficeShort}, Tail: p.Tail(), Channel: "none", State: stateOK}
		if p.Juvenile {
			v.Surname = ""
		}
		if c := channels[p.ID]; c != "" {
			v.Channel = c
		}
		if st := states[p.ID]; st != "" {
			v.State = st
		}
		if at, ok := where[p.ID]; ok {
			v.Position = &at
		}
		out = append(out, v)
	}
	return out, nil
}
