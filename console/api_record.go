package console

import (
	"net/http"
	"strings"
	"time"

	"zhijiao/geofence"
	"zhijiao/internal/id"
	"zhijiao/supervision"
)

// What was decided elsewhere, on paper, and is recorded here: the sentence, sanctions, prohibition orders, suspensions.

// mayRecord is the subject in the path, in the caller's part of the organisation, for staff whose acts bind (R135).
func (s *Server) mayRecord(r *request) (id.Subject, error) {
	n, ok := r.pathID("subject")
	if !ok {
		return 0, supervision.ErrNotFound
	}
	if _, err := s.Supervision.Subject(r.Context(), s.Reads, r.scope(), id.Subject(n)); err != nil {
		return 0, err
	}
	if err := s.maySeeOf(r, id.Subject(n)); err != nil {
		return 0, err
	}
	actor, err := supervision.ActorOf(r.Context(), s.Reads, r.session.account.ID, r.client())
	if err != nil {
		return 0, err
	}
	return id.Subject(n), actor.MayRecord()
}

func texts(named ...string) error {
	for i := 0; i+1 < len(named); i += 2 {
		if err := storable(named[i], named[i+1]); err != nil {
			return err
		}
		if len(named[i+1]) > longestText {
			return problem{http.StatusUnprocessableEntity, "too_long", named[i], nil}
		}
	}
	return nil
}

func (s *Server) putSentence(w http.ResponseWriter, r *request) error {
	var in struct {
		DocumentNo   string    `json:"document_no"`
		DetainedDays int       `json:"detained_days"`
		From         time.Time `json:"from"`
		Until        time.Time `json:"until"`
	}
	subject, err := s.mayRecord(r)
	if err != nil {
		return err
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := texts("document_no", in.DocumentNo); err != nil {
		return err
	}
	if in.DetainedDays < 0 || in.DetainedDays > 36500 {
		return problem{http.StatusUnprocessableEntity, "malformed", "detained_days", nil}
	}
	if err := s.Supervision.PutSentence(r.Context(), r.session.account.ID, supervision.Sentence{Subject: subject, DocumentNo: strings.TrimSpace(in.DocumentNo),
		DetainedDays: in.DetainedDays, From: in.From, Until: in.Until}); err != nil {
		return err
	}
	return s.getLegal(w, r)
}

func (s *Server) putSanction(w http.ResponseWriter, r *request) error {
	var in struct {
		Kind       supervision.SanctionKind `json:"kind"`
		Refused    bool                     `json:"refused_to_report"`
		DocumentNo string                   `json:"document_no"`
		Organ      string                   `json:"organ"`
		DecidedAt  time.Time                `json:"decided_at"`
	}
	subject, err := s.mayRecord(r)
	if err != nil {
		return err
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := texts("document_no", in.DocumentNo, "organ", in.Organ); err != nil {
		return err
	}
	if _, err := s.Supervision.PutSanction(r.Context(), r.session.account.ID, supervision.Sanction{Subject: subject, Kind: in.Kind, Refused: in.Refused,
		DocumentNo: strings.TrimSpace(in.DocumentNo), Organ: strings.TrimSpace(in.Organ), DecidedAt: in.DecidedAt}); err != nil {
		return err
	}
	return s.getLegal(w, r)
}

func (s *Server) putProhibition(w http.ResponseWriter, r *request) error {
	var in struct {
		ID         int64                       `json:"id"`
		Type       supervision.ProhibitionType `json:"type"`
		DocumentNo string                      `json:"document_no"`
		Court      string                      `json:"court"`
		Wording    string                      `json:"wording"`
		Zones      []int64                     `json:"zones"`
		Relations  []int64                     `json:"relations"`
		From       time.Time                   `json:"from"`
		Until      time.Time                   `json:"until"`
	}
	subject, err := s.mayRecord(r)
	if err != nil {
		return err
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := texts("document_no", in.DocumentNo, "court", in.Court, "wording", in.Wording); err != nil {
		return err
	}
	if _, err := s.Supervision.PutProhibition(r.Context(), r.session.account.ID, supervision.Prohibition{ID: in.ID, Subject: subject, Type: in.Type, DocumentNo: strings.TrimSpace(in.DocumentNo),
		Court: strings.TrimSpace(in.Court), Wording: in.Wording, Zones: in.Zones, Relations: in.Relations, From: in.From, Until: in.Until}); err != nil {
		return err
	}
	return s.getLegal(w, r)
}

func (s *Server) putSuspension(w http.ResponseWriter, r *request) error {
	var in struct {
		Cause      geofence.SuspensionCause `json:"cause"`
		DocumentNo string                   `json:"document_no"`
		From       time.Time                `json:"from"`
		Until      *time.Time               `json:"until"`
	}
	subject, err := s.mayRecord(r)
	if err != nil {
		return err
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := texts("document_no", in.DocumentNo); err != nil {
		return err
	}
	v := geofence.SuspensionSpec{Subject: subject, Cause: in.Cause, DocumentNo: strings.TrimSpace(in.DocumentNo), From: in.From}
	if in.Until != nil {
		v.Until = *in.Until
	}
	if _, err := s.Zones.PutSuspension(r.Context(), r.session.account.ID, r.scope(), v); err != nil {
		return err
	}
	return s.getLegal(w, r)
}

func (s *Server) endSuspension(w http.ResponseWriter, r *request) error {
	n, ok := r.pathID("suspension")
	if _, err := s.mayRecord(r); err != nil || !ok {
		if err == nil {
			err = supervision.ErrNotFound
		}
		return err
	}
	if err := s.Zones.EndSuspension(r.Context(), r.session.account.ID, r.scope(), geofence.SuspensionID(n), time.Time{}); err != nil {
		return err
	}
	return s.getLegal(w, r)
}
