package geofence

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/twpayne/go-geom"

	"zhijiao/internal/id"
)

// ZoneSpec is a zone to record, or what a recorded one is to be from an instant on.
type ZoneSpec struct {
	ID       ZoneID // 0: a new zone
	Org      id.Org
	Purpose  Purpose
	Name     string
	Shape    Shape
	Geometry geom.T  // WGS-84, lon lat: a polygon or multipolygon, the centre of a circle, or the line of a corridor
	RadiusM  float64 // of a circle; of a corridor: how far from its line, half its width
	Datum    string  // as it was declared; the geometry is converted already
	Official bool    // false: a demo outline, marked so wherever it is drawn
	Source   string
	From     time.Time // zero: from now on
	Until    time.Time // zero: open
}

// RuleSpec is a rule to record, or what a recorded one is to be from an instant on.
type RuleSpec struct {
	ID         RuleID     // 0: a new rule
	Subject    id.Subject // 0 for kinds that are about an organisation's subjects
	Org        id.Org     // whose subjects, for those
	Relation   RelationID // who the other one is, for kinds about two
	Kind       RuleKind
	Zone       ZoneID // 0 for kinds without one
	Basis      string // legal_basis.code
	DocumentNo string // the judgment, order or decision it rests on
	Params     json.RawMessage
	Schedule   ScheduleID // 0: always
	From       time.Time  // zero: from now on
	Until      time.Time  // zero: open
}

// Reason says why a zone or a rule was refused; the console has a sentence for each.
type Reason string

const (
	InvalidGeometry Reason = "invalid_geometry" // not a valid polygon; Place says where
	WrongGeometry   Reason = "wrong_geometry"   // not of the kind the shape says
	UndeclaredDatum Reason = "undeclared_datum"
	DoubtfulDatum   Reason = "doubtful_datum" // the outline falls on a known one in another datum
	EmptyName       Reason = "empty_name"
	BadPurpose      Reason = "bad_purpose"
	BadRadius       Reason = "bad_radius"
	NoSuchZone      Reason = "no_such_zone" // or not in the asker's part of the organisation
	NoSuchRule      Reason = "no_such_rule"
	NoSuchSubject   Reason = "no_such_subject"
	NoSuchOrg       Reason = "no_such_org"
	BadKind         Reason = "bad_kind"
	KindNeedsZone   Reason = "kind_needs_zone"
	KindTakesNoZone Reason = "kind_takes_no_zone"
	WrongPurpose    Reason = "wrong_purpose" // a rule of this kind is not about such a zone
	NoBasis         Reason = "no_basis"      // no such legal basis, or not in force then (R15)
	NoDocument      Reason = "no_document"   // a prohibition is an order somebody can read
	NoRelation      Reason = "no_relation"   // none recorded of these two, or it lacks the consent
	NoSuchSchedule  Reason = "no_such_schedule"
	NeedsSchedule   Reason = "needs_schedule"
	NoSuchOutage    Reason = "no_such_outage"
	OutageOpen      Reason = "outage_open"
	BadSchedule     Reason = "bad_schedule"
	BadYear         Reason = "bad_year"
	BadDay          Reason = "bad_day"          // of a calendar: no date, of another year, or there twice
	CalendarChanged Reason = "calendar_changed" // by somebody else, since the change was begun
	BadParams       Reason = "bad_params"
	EmptyInterval   Reason = "empty_interval"
)

// Refused is why a zone or a rule was not recorded.
type Refused struct {
	Field  string
	Reason Reason
	Detail string
	// Place is where a geometry is at fault, WGS-84 lon lat; nil where it is not about a place.
	Place *[2]float64
}

// Error says all of it.
func (r *Refused) Error() string {
	s := r.Field + ": " + r.Detail
	if r.Place != nil {
		s += fmt.Sprintf(" at %.7f E %.7f N", r.Place[0], r.Place[1])
	}
	return s
}

var purposes = map[Purpose]bool{Activity: true, Prohibited: true, Destination: true, Attention: true}

// check says what is wrong before the database is asked, and makes the geometry of a polygon a multipolygon.
func (z *ZoneSpec) check() error {
	if z.Name == "" {
		return &Refused{Field: "name", Reason: EmptyName, Detail: "a zone has a name"}
	}
	if !purposes[z.Purpose] {
		return &Refused{Field: "purpose", Reason: BadPurpose, Detail: "activity, prohibited, destination or attention"}
	}
	if !z.Until.IsZero() && !z.From.Before(z.Until) {
		return &Refused{Field: "until", Reason: EmptyInterval, Detail: "it ends before it begins, or at once"}
	}
	wrong := &Refused{Field: "geometry", Reason: WrongGeometry, Detail: "not what the shape says: polygons, a circle's centre, or a corridor's line"}
	switch g := z.Geometry.(type) {
	case *geom.Polygon:
		mp := geom.NewMultiPolygon(g.Layout())
		if err := mp.Push(g); err != nil || z.Shape != Polygonal {
			return wrong
		}
		z.Geometry = mp
	case *geom.MultiPolygon:
		if z.Shape != Polygonal {
			return wrong
		}
	case *geom.Point:
		if z.Shape != Circular {
			return wrong
		}
	case *geom.LineString:
		if z.Shape != Corridor || g.Layout() != geom.XY {
			return wrong
		}
		if length := g.Length(); !(length > 0) {
			return &Refused{Field: "geometry", Reason: InvalidGeometry, Detail: "the line of a corridor has two points that are apart"}
		}
	default:
		return wrong
	}
	if z.Shape != Polygonal != (z.RadiusM > 0) || z.RadiusM > 500_000 || z.Shape == Corridor && z.RadiusM > 20_000 {
		return &Refused{Field: "radius_m", Reason: BadRadius, Detail: "a circle has one, up to 500 km, and a corridor, up to 20 km; polygons have none"}
	}
	return nil
}

// check says what is wrong with a rule by itself.
func (r *RuleSpec) check() error {
	k := kinds[r.Kind]
	hasZone := k != nil && len(k.zones) > 0
	switch {
	case k == nil:
		return &Refused{Field: "kind", Reason: BadKind, Detail: "no such kind of rule"}
	case k.org && (r.Org == 0 || r.Subject != 0):
		return &Refused{Field: "org", Reason: NoSuchOrg, Detail: "a rule of this kind is about an organisation's subjects"}
	case !k.org && (r.Subject == 0 || r.Org != 0):
		return &Refused{Field: "subject", Reason: NoSuchSubject, Detail: "a rule of this kind is about one subject"}
	case k.relation != (r.Relation != 0):
		return &Refused{Field: "relation", Reason: NoRelation, Detail: "a rule about two rests on a recorded relation (实施办法 25), others on none"}
	case hasZone && r.Zone == 0 && !k.anywhere:
		return &Refused{Field: "zone", Reason: KindNeedsZone, Detail: "a rule of this kind is about a zone"}
	case !hasZone && r.Zone != 0:
		return &Refused{Field: "zone", Reason: KindTakesNoZone, Detail: "a rule of this kind is about no zone"}
	case k.timed && r.Schedule == 0:
		return &Refused{Field: "schedule", Reason: NeedsSchedule, Detail: "a rule of this kind says when"}
	case !r.Until.IsZero() && !r.From.Before(r.Until):
		return &Refused{Field: "until", Reason: EmptyInterval, Detail: "it ends before it begins, or at once"}
	case r.Basis == "prohibition" && r.DocumentNo == "":
		return &Refused{Field: "document_no", Reason: NoDocument, Detail: "a prohibition names the judgment it stands in"}
	}
	if _, err := ParseParams(r.Kind, r.Params); err != nil {
		return &Refused{Field: "params", Reason: BadParams, Detail: err.Error()}
	}
	return nil
}
