package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/twpayne/go-geom"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/id"
)

// newRule is one more rule for an invented person.
type newRule struct {
	Kind   geofence.RuleKind
	Basis  string
	Params string  // JSON
	Place  *circle // nil: about no zone
	Hours  *hours  // nil: always
}

// circle is a zone of an invented person.
type circle struct {
	Name             string
	Purpose          geofence.Purpose
	Lon, Lat, Radius float64
}

// hours is a schedule of invented people.
type hours struct{ Name, Doc string }

var (
	nights  = &hours{"每晚在家 22:00–06:00（演示）", `{"rows":[{"from":"22:00","until":"06:00"}]}`}
	mondays = &hours{"周一到所 09:00–11:00（演示）", `{"rows":[{"days":[1],"from":"09:00","until":"11:00"}]}`}
)

// worn are the rules about a wristband itself.
func worn() []newRule {
	return []newRule{{Kind: geofence.Strap, Basis: "positioning"}, {Kind: geofence.Power, Basis: "positioning"}, {Kind: geofence.Location, Basis: "positioning"}}
}

// held are the rules about a person of a world that has them.
func held(w *simulate.World, person int, wristband, both, concern bool) (list []newRule) {
	if wristband {
		list = worn()
	}
	if both {
		list = append(list, newRule{Kind: geofence.Separation, Basis: "check"})
	}
	if w.Night(person) {
		lon, lat, _ := w.Home(person)
		list = append(list, newRule{Kind: geofence.StayIn, Basis: "prohibition", Hours: nights,
			Place: &circle{fmt.Sprintf("住处（演示）%05d", person+1), geofence.Activity, lon, lat, simulate.HomeCircle}})
	}
	if lon, lat, must := w.Office(person); must {
		list = append(list, newRule{Kind: geofence.Presence, Basis: "prohibition", Hours: mondays,
			Place: &circle{fmt.Sprintf("司法所（演示）%.4f,%.4f", lon, lat), geofence.Destination, lon, lat, simulate.HomeCircle}})
	}
	if at := simulate.DemoConcern; concern && wristband {
		list = append(list, newRule{Kind: geofence.Dwell, Basis: "check", Params: `{"dwell_after_s":7200}`,
			Place: &circle{at.Name, geofence.Attention, at.Lon, at.Lat, simulate.ConcernCircle}})
	}
	return list
}

// spec is the rule as it is put, its zone and its schedule made where they are not there yet.
func (e *enroller) spec(ctx context.Context, c *county, r *newRule, from time.Time) (s geofence.RuleSpec, err error) {
	s = geofence.RuleSpec{Kind: r.Kind, Basis: r.Basis}
	if r.Params != "" {
		s.Params = json.RawMessage(r.Params)
	}
	if r.Basis == "prohibition" {
		s.DocumentNo = "（演示）鄂9006刑初9号"
	}
	if r.Place != nil {
		if s.Zone, err = e.circle(ctx, c, r.Place); err != nil {
			return s, err
		}
	}
	if r.Hours != nil {
		s.Schedule, err = e.hours(ctx, c, r.Hours, from)
	}
	return s, err
}

func (e *enroller) circle(ctx context.Context, c *county, p *circle) (geofence.ZoneID, error) {
	zone, err := zoneByName(ctx, e.pool, c.Department, p.Name)
	if err != nil || zone != 0 {
		return zone, err
	}
	zone, _, err = e.zones.PutZone(ctx, 0, 0, geofence.ZoneSpec{Org: c.Department, Purpose: p.Purpose, Name: p.Name, Shape: geofence.Circular,
		Geometry: geom.NewPointFlat(geom.XY, []float64{p.Lon, p.Lat}), RadiusM: p.Radius, Datum: devices.WGS84.String(), Source: "demo", From: devices.InForce})
	return zone, err
}

func (e *enroller) hours(ctx context.Context, c *county, h *hours, from time.Time) (geofence.ScheduleID, error) {
	s, err := scheduleByName(ctx, e.pool, c.Department, h.Name)
	if err != nil || s != 0 {
		return s, err
	}
	s, _, err = e.zones.PutSchedule(ctx, 0, 0, geofence.ScheduleSpec{Org: c.Department, Name: h.Name, Doc: json.RawMessage(h.Doc), From: from})
	return s, err
}

// companies records who may not meet, and that so many together are told.
func (e *enroller) companies(ctx context.Context, c *county, pairs [][2]int, gatherings bool, from time.Time) error {
	for _, pair := range pairs {
		var ids [2]id.Subject
		for i, person := range pair {
			var err error
			if ids[i], err = subjectByNumber(ctx, e.pool, localNumber(person)); err != nil {
				return err
			}
		}
		relation, err := e.zones.PutRelation(ctx, 0, 0, geofence.RelationSpec{Subject: ids[0], Other: ids[1], Kind: geofence.Accomplice, DocumentNo: "（演示）天司矫批1号", From: from})
		if err != nil {
			return err
		}
		if _, _, err := e.zones.PutRule(ctx, 0, 0, geofence.RuleSpec{Subject: ids[0], Kind: geofence.Proximity, Relation: relation, Basis: "prohibition",
			DocumentNo: "（演示）鄂9006刑初8号", From: from}); err != nil {
			return err
		}
	}
	if !gatherings {
		return nil
	}
	_, _, err := e.zones.PutRule(ctx, 0, 0, geofence.RuleSpec{Org: c.Department, Kind: geofence.Gathering, Basis: "check", From: from,
		Params: json.RawMessage(fmt.Sprintf(`{"people":%d}`, simulate.Gathered))})
	return err
}

// localNumber is the number of the person-th invented person, from 0.
func localNumber(person int) string { return fmt.Sprintf("TM-%05d", person+1) }
