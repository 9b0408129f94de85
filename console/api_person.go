package console

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"zhijiao/internal/audit"
	"zhijiao/internal/id"
	"zhijiao/supervision"
)

// reasons are why somebody may see who a person is without holding their alert (R107).
var reasons = []string{"task", "check", "investigation", "approval", "handover", "request"}

// showPerson shows who a subject is. That it was shown is recorded first, with why: the alert the caller holds, or a reason they choose and put in words.
func (s *Server) showPerson(w http.ResponseWriter, r *request) error {
	var in struct {
		Purpose string `json:"purpose"`
		Note    string `json:"note"`
	}
	n, ok := r.pathID("subject")
	if !ok {
		return supervision.ErrNotFound
	}
	ctx, subject := r.Context(), id.Subject(n)
	who, err := s.Supervision.Subject(ctx, s.Reads, r.scope(), subject)
	if err != nil {
		return err
	}
	if err := s.maySee(r, &who); err != nil {
		return err
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	held, err := s.heldAlert(ctx, s.Reads, r.scope(), r.session.account.ID, subject)
	switch {
	case err != nil:
		return err
	case held != 0:
		in.Purpose, in.Note = purposeAlert, ""
	case in.Purpose == "":
		return problem{http.StatusUnprocessableEntity, "required", "purpose", map[string]any{"one_of": reasons}}
	case !slices.Contains(reasons, in.Purpose):
		return problem{http.StatusUnprocessableEntity, "unknown", "purpose", map[string]any{"one_of": reasons}}
	default:
		if err := plainReason("note", in.Note); err != nil {
			return err
		}
	}
	now := s.Clock.Now()
	if err := s.recordAccess(ctx, r, &look{subject: subject, what: "person", purpose: in.Purpose, alert: held, from: now, until: now.Add(time.Second), note: in.Note}); err != nil {
		return err
	}
	p, err := s.Supervision.Person(ctx, s.Reads, r.scope(), subject)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"id": n, "label": who.Label(), "name": p.Name, "id_number": p.IDNumber, "phone": p.Phone, "address": p.Address, "contacts": p.Contacts})
	return nil
}

// askExport asks for a list to leave the house. It takes two (R107).
func (s *Server) askExport(w http.ResponseWriter, r *request) error {
	var in struct {
		massExport
		Reason string `json:"reason"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if in.What != "subjects" && in.What != "alerts" {
		return problem{http.StatusUnprocessableEntity, "unknown", "what", nil}
	}
	if err := plainReason("reason", in.Reason); err != nil {
		return err
	}
	if _, err := s.ask(r.Context(), r, signMassExport, in.massExport, in.Reason); err != nil {
		return err
	}
	return s.listCountersigns(w, r)
}

// exportFor is how long what was agreed to may be fetched, by who asked for it.
const exportFor = 24 * time.Hour

// fetchExport is the list as a CSV file. Each person in it is recorded as looked at.
func (s *Server) fetchExport(w http.ResponseWriter, r *request) error {
	n, ok := r.pathID("countersign")
	if !ok {
		return problem{http.StatusNotFound, "not_found", "", nil}
	}
	e, err := s.agreedExport(r.Context(), r, n)
	if err != nil {
		return err
	}
	head, lines, subjects, err := s.exportLines(r, &e)
	if err != nil {
		return err
	}
	if err := s.recordExport(r.Context(), r, n, &e, subjects); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-%d.csv"`, e.What, n))
	out := csv.NewWriter(w)
	_, _ = w.Write([]byte("\ufeff")) // spreadsheets read UTF-8 by it
	_ = out.Write(head)
	for _, l := range lines {
		for i := range l {
			l[i] = harmless(l[i])
		}
		_ = out.Write(l)
	}
	out.Flush()
	return nil
}

// harmless keeps a spreadsheet from taking a text for a formula (CWE-1236).
func harmless(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

// exportLines is the table of an export.
func (s *Server) exportLines(r *request, e *massExport) (head []string, lines [][]string, subjects []id.Subject, err error) {
	ctx := r.Context()
	people, err := s.Supervision.Subjects(ctx, s.Reads, r.scope())
	if err != nil {
		return nil, nil, nil, err
	}
	if e.What == "alerts" {
		list, err := s.alertLines(ctx, r.scope())
		return []string{"alert", "subject", "office", "kind", "class", "state", "opened_at", "acknowledged_at", "closed_at", "conclusion"}, list, nil, err
	}
	head = []string{"local_no", "label", "office", "category"}
	if e.Clear {
		head = append(head, "name", "id_number", "phone", "address")
	}
	for i := range people {
		p := &people[i]
		line := []string{p.LocalNo, p.Label(), p.OfficeShort, string(p.Category)}
		if e.Clear {
			who, err := s.Supervision.Person(ctx, s.Reads, r.scope(), p.ID)
			if err != nil {
				return nil, nil, nil, err
			}
			line = append(line, who.Name, who.IDNumber, who.Phone, who.Address)
		}
		lines, subjects = append(lines, line), append(subjects, p.ID)
	}
	return head, lines, subjects, nil
}

// verifyAudit compares the ledger with its seals, and names the first row that somebody rewrote.
func (s *Server) verifyAudit(w http.ResponseWriter, r *request) error {
	if s.AuditKeys == nil {
		return problem{http.StatusServiceUnavailable, "unavailable", "", nil}
	}
	report, err := audit.Verify(r.Context(), s.Pool, s.AuditKeys, s.AuditAnchor, nil)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, report)
	return nil
}
