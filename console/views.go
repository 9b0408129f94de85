package console

import (
	"context"
	"math"
	"time"

	"zhijiao/alerts"
	"zhijiao/geofence"
	"zhijiao/internal/id"
	"zhijiao/supervision"
)

type subjectRef struct {
	ID    int64  `json:"id"`
	Label string `json:"label"`
}

type officeRef struct {
	ID        int64  `json:"id"`
	ShortName string `json:"short_name"`
}

type accountRef struct {
	ID          int64  `json:"id"`
	DisplayName string `json:"display_name"`
}

type basisView struct {
	Code     string `json:"code"`
	Title    string `json:"title"`
	TitleEN  string `json:"title_en"`
	Citation string `json:"citation"`
}

type sentenceView struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

type pointView struct {
	Lon float64 `json:"lon"`
	Lat float64 `json:"lat"`
}

// alertView is an alert as the front end gets it everywhere: list, page and stream are the same object.
type alertView struct {
	ID             int64        `json:"id"`
	Subject        subjectRef   `json:"subject"`
	Org            officeRef    `json:"org"`
	Kind           string       `json:"kind"`
	Channel        string       `json:"channel"`
	Class          alerts.Class `json:"class"`
	State          alerts.State `json:"state"`
	Version        int          `json:"version"`
	OpenedAt       time.Time    `json:"opened_at"`
	RaisedAt       time.Time    `json:"raised_at"`
	DueAt          time.Time    `json:"due_at"`
	With           []string     `json:"with"`         // who has it now (R56)
	EscalatesAt    *time.Time   `json:"escalates_at"` // to the next, unless somebody takes charge of it
	Review         bool         `json:"review"`
	Outage         int64        `json:"outage_id,omitempty"` // it stands under this incident
	ViolationState string       `json:"violation_state"`
	AcknowledgedBy *accountRef  `json:"acknowledged_by"`
	AcknowledgedAt *time.Time   `json:"acknowledged_at"`
	ClosedBy       *accountRef  `json:"closed_by"`
	ClosedAt       *time.Time   `json:"closed_at"`
	Conclusion     *string      `json:"conclusion"`
	FollowUpOn     *string      `json:"follow_up_on"`
	LegalBasis     basisView    `json:"legal_basis"`
	Sentence       sentenceView `json:"sentence"`
	Position       *pointView   `json:"position"`
}

func instant(t time.Time) *time.Time { return given(t) }

// given is nil for a zero value: null in JSON.
func given[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// States of a subject as maps show them.
const (
	stateOK           = "ok"
	stateUnverifiable = "unverifiable" // a check was not answered
	stateSilent       = "silent"
	stateOut          = "out" // of the zone to stay in, or in one to stay out of
)

var stateWeight = map[string]int{stateUnverifiable: 1, stateSilent: 2, stateOut: 3}

// stateOf is the state an open violation puts a subject in; "" for none: what passed is over.
func stateOf(k geofence.ViolationKind) string {
	switch k {
	case geofence.LeftZone, geofence.EnteredZone, geofence.Absent:
		return stateOut
	case geofence.DeviceSilent, geofence.PowerLost:
		return stateSilent
	case geofence.CheckUnanswered, geofence.StrapBroken, geofence.Unverified, geofence.LocationLost:
		return stateUnverifiable
	}
	return ""
}

// viewAlerts completes alerts with what people read: labels, sentences, who did what. Few queries for any number.
func (s *Server) viewAlerts(ctx context.Context, q querier, list []alerts.Alert) ([]alertView, error) {
	out := make([]alertView, 0, len(list))
	if len(list) == 0 {
		return out, nil
	}
	var raised []int64
	var violations []geofence.ViolationID
	var accounts []int64
	for _, a := range list {
		raised, violations = append(raised, int64(a.ID)), append(violations, a.Violation)
		accounts = append(accounts, int64(a.AcknowledgedBy), int64(a.ClosedBy))
	}
	people, err := s.subjectsOf(ctx, q, raised)
	if err != nil {
		return nil, err
	}
	recorded, err := geofence.ViolationsByID(ctx, q, violations)
	if err != nil {
		return nil, err
	}
	names, err := s.displayNames(ctx, q, accounts)
	if err != nil {
		return nil, err
	}
	bases, err := s.legalBases(ctx, q)
	if err != nil {
		return nil, err
	}
	zones, err := s.zoneNames(ctx)
	if err != nil {
		return nil, err
	}
	account := func(a id.Account) *accountRef {
		if a == 0 {
			return nil
		}
		return &accountRef{int64(a), names[a]}
	}
	for _, a := range list {
		v := recorded[a.Violation]
		p := people[a.ID]
		view := alertView{
			ID: int64(a.ID), Subject: subjectRef{int64(a.Subject), p.Label()}, Org: officeRef{int64(a.Org), p.OfficeShort}, Kind: string(a.Kind),
			Channel: string(a.Channel), Class: a.Class, State: a.State, Version: a.Version, OpenedAt: a.OpenedAt, RaisedAt: a.RaisedAt, DueAt: a.DueAt, With: a.With(), EscalatesAt: instant(a.EscalatesAt),
			Review: a.Review, Outage: int64(a.Outage), ViolationState: string(a.ViolationState), AcknowledgedBy: account(a.AcknowledgedBy), AcknowledgedAt: instant(a.AcknowledgedAt),
			ClosedBy: account(a.ClosedBy), ClosedAt: instant(a.ClosedAt), Conclusion: given(string(a.Conclusion)), LegalBasis: bases[a.Basis],
		}
		if !a.FollowUpOn.IsZero() {
			day := a.FollowUpOn.Format(time.DateOnly)
			view.FollowUpOn = &day
		}
		view.tell(&v, zones[v.Zone], p)
		out = append(out, view)
	}
	return out, nil
}

// tell fills in the sentence and the place from the evidence.
func (v *alertView) tell(r *geofence.Recorded, zone zoneName, p supervision.Subject) {
	t := alerts.Telling{Label: p.Label(), Kind: r.Kind, At: v.OpenedAt, Zone: zone.name, Basis: alerts.Basis{ZH: v.LegalBasis.Title, EN: v.LegalBasis.TitleEN}}
	h := historyOf(r)
	t.Fixes = len(h.Opened.Fixes)
	if m := h.lastMark(); m != nil {
		lon, lat := float64(m.LonE7)/1e7, float64(m.LatE7)/1e7
		v.Position = &pointView{lon, lat}
		if r.Kind == geofence.LeftZone {
			t.MarginM = math.Abs(float64(m.Margin)) / 100
			t.Towards = towards(zone.lon, zone.lat, lon, lat)
		}
	}
	if !h.Opened.HeardAt.IsZero() {
		t.At = h.Opened.HeardAt
	}
	v.Sentence = sentenceView{t.ZH(), t.EN()}
}
