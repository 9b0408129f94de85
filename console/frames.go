package console

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"zhijiao/alerts"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
)

// item is one ledger entry as clients are told of it. What it says is rendered once for all of them.
type item struct {
	pos      int64
	org      id.Org // 0: concerns everybody, and says nothing of anybody
	alert    json.RawMessage
	zones    bool // zones changed
	subjects bool // who is supervised by whom, or by what, changed
	orgs     bool // the organisation changed
}

type entriesFrame struct {
	Type            string            `json:"type"`
	Pos             int64             `json:"pos"`
	Alerts          []json.RawMessage `json:"alerts"`
	ZonesChanged    bool              `json:"zones_changed"`
	SubjectsChanged bool              `json:"subjects_changed"`
}

type positionsFrame struct {
	Type  string            `json:"type"`
	Items []json.RawMessage `json:"items"`
}

type helloFrame struct {
	Type  string    `json:"type"`
	Pos   int64     `json:"pos"`
	Now   time.Time `json:"now"`
	Clock clockView `json:"clock"`
}

type byeFrame struct {
	Type   string `json:"type"`
	Reason string `json:"reason,omitempty"`
}

// render makes of entries what clients are told: an alert as it was with that entry, complete. So every version of every
// alert is told once, whether it is caught up with or followed live.
func (s *Server) render(ctx context.Context, entries []ledger.Entry) ([]item, error) {
	var ids []alerts.ID
	for _, e := range entries {
		if e.Entity == "alert" {
			ids = append(ids, alerts.ID(e.EntityID))
		}
	}
	told, err := s.alertsAt(ctx, entries, ids)
	if err != nil {
		return nil, fmt.Errorf("render ledger entries: %w", err)
	}
	out := make([]item, 0, len(entries))
	for _, e := range entries {
		it := item{pos: e.Pos, org: e.Org}
		switch e.Entity {
		case "alert":
			it.alert = told[e.Pos]
		case "zone":
			it.zones, it.org = true, 0
		case "org":
			it.orgs, it.subjects = true, true
		case "subject", "binding", "authority":
			it.subjects = true
		}
		out = append(out, it)
	}
	return out, nil
}

// alertsAt is each alert entry as the alert then was, by position.
func (s *Server) alertsAt(ctx context.Context, entries []ledger.Entry, ids []alerts.ID) (map[int64]json.RawMessage, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := s.Alerts.Every(ctx, s.Pool, ids)
	if err != nil {
		return nil, err
	}
	now := make(map[alerts.ID]alerts.Alert, len(rows))
	for _, a := range rows {
		now[a.ID] = a
	}
	var then []alerts.Alert
	var at []int64
	for _, e := range entries {
		a, ok := now[alerts.ID(e.EntityID)]
		if e.Entity != "alert" || !ok {
			continue
		}
		var b alerts.Body
		if err := json.Unmarshal(e.Body, &b); err != nil {
			return nil, fmt.Errorf("entry %d: %w", e.Pos, err)
		}
		then, at = append(then, asOf(a, &b)), append(at, e.Pos)
	}
	views, err := s.viewAlerts(ctx, s.Pool, then)
	if err != nil {
		return nil, err
	}
	out := make(map[int64]json.RawMessage, len(views))
	for i, v := range views {
		if out[at[i]], err = json.Marshal(v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// asOf takes an alert back to what a ledger entry said of it.
func asOf(a alerts.Alert, b *alerts.Body) alerts.Alert {
	a.State, a.Version, a.ViolationState, a.Review, a.Class, a.DueAt = b.State, b.Version, b.ViolationState, b.Review, b.Class, b.DueAt
	a.AcknowledgedBy, a.Conclusion = b.AcknowledgedBy, b.Conclusion
	if b.With != "" {
		a.Route, a.Step, a.EscalatesAt = []string{b.With}, 0, b.EscalatesAt
	}
	if b.AcknowledgedBy == 0 {
		a.AcknowledgedAt = time.Time{}
	}
	if b.State != alerts.Closed {
		a.ClosedBy, a.ClosedAt, a.FollowUpOn = 0, time.Time{}, time.Time{}
	}
	return a
}
