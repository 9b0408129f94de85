package console

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"zhijiao/alerts"
	"zhijiao/geofence"
	"zhijiao/internal/id"
)

// outageView is an area that is or was away (R128).
type outageView struct {
	ID       int64              `json:"id"`
	Scope    string             `json:"scope"`
	Key      string             `json:"key"`
	Name     string             `json:"name"` // of the town's office; else the key
	Declared bool               `json:"declared"`
	Expected int                `json:"expected"`
	Silent   int                `json:"silent"`
	Held     int                `json:"held"` // reminders that stand under it
	Since    time.Time          `json:"since"`
	OpenedAt time.Time          `json:"opened_at"`
	EndedAt  *time.Time         `json:"ended_at"`
	Note     string             `json:"note,omitempty"`
	People   []outagePersonView `json:"people"`
}

// outagePersonView is somebody who could not be verified.
type outagePersonView struct {
	Subject    subjectRef  `json:"subject"`
	Since      time.Time   `json:"since"`
	VerifiedAt *time.Time  `json:"verified_at"`
	How        string      `json:"how,omitempty"`
	By         *accountRef `json:"by"`
	Note       string      `json:"note,omitempty"`
}

func (s *Server) listOutages(w http.ResponseWriter, r *request) error {
	out, err := s.outagesIn(r.Context(), r.scope())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"outages": out})
	return nil
}

// outagesIn are outages with those of the people the caller may see; one that concerns none of them is not told.
func (s *Server) outagesIn(ctx context.Context, scope id.Org) ([]outageView, error) {
	now := s.Clock.Now()
	list, err := geofence.Outages(ctx, s.Reads, scope, now)
	if err != nil {
		return nil, err
	}
	people, err := s.Supervision.Subjects(ctx, s.Reads, scope)
	if err != nil {
		return nil, err
	}
	labels := map[id.Subject]string{}
	for i := range people {
		labels[people[i].ID] = people[i].Label()
	}
	offices, err := s.Supervision.Orgs(ctx, scope)
	if err != nil {
		return nil, err
	}
	towns := map[string]string{}
	for _, o := range offices {
		towns[strconv.FormatInt(int64(o.ID), 10)] = o.ShortName
	}
	var accounts []int64
	for i := range list {
		for _, p := range list[i].People {
			accounts = append(accounts, int64(p.By))
		}
	}
	names, err := s.displayNames(ctx, s.Reads, accounts)
	if err != nil {
		return nil, err
	}
	held, err := alerts.HeldUnder(ctx, s.Reads, scope)
	if err != nil {
		return nil, err
	}
	out := []outageView{}
	for i := range list {
		o := &list[i]
		v := outageView{int64(o.ID), string(o.Scope), o.Key, o.Key, o.Declared, o.Expected, o.Silent, held[o.ID], o.Since, o.OpenedAt, instant(o.EndedAt), o.Note, []outagePersonView{}}
		town, mine := towns[o.Key]
		if mine = mine && o.Scope == geofence.ByTown; mine {
			v.Name = town
		}
		if len(o.People) == 0 && !mine && (o.Scope == geofence.ByTown || !o.Declared) {
			continue
		}
		for _, p := range o.People {
			x := outagePersonView{subjectRef{int64(p.Subject), labels[p.Subject]}, p.Since, instant(p.VerifiedAt), p.How, nil, p.Note}
			if p.By != 0 {
				x.By = &accountRef{int64(p.By), names[p.By]}
			}
			v.People = append(v.People, x)
		}
		out = append(out, v)
	}
	return out, nil
}

func (s *Server) declareOutage(w http.ResponseWriter, r *request) error {
	var in struct {
		Scope geofence.OutageScope `json:"scope"`
		Key   string               `json:"key"`
		Note  string               `json:"note"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := storable("note", in.Note); err != nil {
		return err
	}
	if err := storable("key", in.Key); err != nil {
		return err
	}
	if _, err := s.Zones.DeclareOutage(r.Context(), r.session.account.ID, r.scope(), geofence.OutageKey{Scope: in.Scope, Key: in.Key}, in.Note); err != nil {
		return err
	}
	return s.listOutages(w, r)
}

func (s *Server) endOutage(w http.ResponseWriter, r *request) error {
	n, ok := r.pathID("outage")
	if !ok {
		return geofence.ErrNotFound
	}
	if err := s.Zones.EndOutage(r.Context(), r.session.account.ID, r.scope(), geofence.OutageID(n)); err != nil {
		return err
	}
	return s.listOutages(w, r)
}

func (s *Server) verifyOutage(w http.ResponseWriter, r *request) error {
	var in struct {
		Note string `json:"note"`
	}
	n, ok := r.pathID("outage")
	subject, ok2 := r.pathID("subject")
	if !ok || !ok2 {
		return geofence.ErrNotFound
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := storable("note", in.Note); err != nil {
		return err
	}
	if err := s.Zones.VerifyOutagePerson(r.Context(), r.session.account.ID, r.scope(), geofence.OutageID(n), id.Subject(subject), in.Note); err != nil {
		return err
	}
	return s.listOutages(w, r)
}
