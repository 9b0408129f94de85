package console

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"zhijiao/alerts"
	"zhijiao/evidence"
	"zhijiao/internal/crypto"
)

// makeEvidence answers with the package of evidence of an alert's violation. That it leaves the house is recorded first, with why.
func (s *Server) makeEvidence(w http.ResponseWriter, r *request) error {
	var in struct {
		Purpose string `json:"purpose"`
		Note    string `json:"note"`
	}
	n, ok := r.pathID("alert")
	if !ok {
		return alerts.ErrNotFound
	}
	a, err := s.Alerts.Get(r.Context(), s.Reads, r.scope(), alerts.ID(n))
	if err != nil {
		return err
	}
	if err := s.maySeeOf(r, a.Subject); err != nil {
		return err
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if !slices.Contains(reasons, in.Purpose) {
		return problem{http.StatusUnprocessableEntity, "required", "purpose", map[string]any{"one_of": reasons}}
	}
	if err := plainReason("note", in.Note); err != nil {
		return err
	}
	now := s.Clock.Now()
	if err := s.recordAccess(r.Context(), r, &look{subject: a.Subject, what: "evidence", purpose: in.Purpose, from: a.OpenedAt, until: now.Add(time.Second), note: in.Note}); err != nil {
		return err
	}
	account := &r.session.account
	file, _, err := evidence.Make(r.Context(), s.Pool, &evidence.Order{Violation: a.Violation, Scope: r.scope(), By: account.ID, ByName: account.DisplayName, At: now, Program: "zhijiao " + s.Version,
		Signer: s.Keys.Signer(crypto.Evidence), AuditKeys: s.AuditKeys, Font: s.EvidenceFont})
	switch {
	case errors.Is(err, evidence.ErrNotFound):
		return alerts.ErrNotFound
	case errors.Is(err, evidence.ErrNoFont):
		return problem{http.StatusServiceUnavailable, "no_font", "", nil}
	case err != nil:
		return err
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="evidence-%d.zip"`, int64(a.Violation)))
	_, _ = w.Write(file)
	return nil
}
