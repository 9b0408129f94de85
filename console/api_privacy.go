package console

import (
	"net/http"
	"strings"
	"time"

	"zhijiao/internal/id"
	"zhijiao/supervision"
)

// actor is who acts.
func (s *Server) actor(r *request) (supervision.Actor, error) {
	return supervision.ActorOf(r.Context(), s.Pool, r.session.account.ID, r.client())
}

// maySee refuses the record of somebody who was a minor to whoever is not of the team for minors, does not head it and holds no alert about them (R88).
// Who supervises the work by law sees it.
func (s *Server) maySee(r *request, who *supervision.Subject) error {
	if !who.Juvenile || r.session.account.is(Prosecutor) {
		return nil
	}
	a, err := s.actor(r)
	if err != nil {
		return err
	}
	refused := a.MaySee(who)
	if refused == nil {
		return nil
	}
	held, err := s.heldAlert(r.Context(), s.Reads, r.scope(), r.session.account.ID, who.ID)
	if err != nil {
		return err
	}
	if held != 0 {
		return nil
	}
	return refused
}

// maySeeOf is maySee by number. The caller has seen that what was asked for is in scope.
func (s *Server) maySeeOf(r *request, subject id.Subject) error {
	hidden, err := s.hidden(r, []id.Subject{subject})
	if err == nil && hidden[subject] {
		a := supervision.Actor{}
		err = a.MaySee(&supervision.Subject{Juvenile: true})
	}
	return err
}

// findSubjects answers who somebody is called by a number or a name, masked. What was asked is in the body: it is in no address and no log.
func (s *Server) findSubjects(w http.ResponseWriter, r *request) error {
	var in struct {
		Text string `json:"text"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := storable("text", in.Text); err != nil {
		return err
	}
	list, err := s.Supervision.Find(r.Context(), s.Reads, r.scope(), in.Text)
	if err != nil {
		return err
	}
	type found struct {
		subjectRef
		Office   string `json:"office"`
		Juvenile bool   `json:"juvenile"`
	}
	out := []found{}
	for i := range list {
		out = append(out, found{subjectRef{int64(list[i].ID), list[i].Label()}, list[i].OfficeShort, list[i].Juvenile})
	}
	writeJSON(w, http.StatusOK, map[string]any{"subjects": out})
	return nil
}

// markJuvenile records that somebody was a minor at the time of the offence, or corrects it.
func (s *Server) markJuvenile(w http.ResponseWriter, r *request) error {
	var in struct {
		Juvenile bool   `json:"juvenile"`
		Note     string `json:"note"`
	}
	subject, err := s.mayRecord(r)
	if err != nil {
		return err
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := texts("note", in.Note); err != nil {
		return err
	}
	if err := s.Supervision.PutJuvenile(r.Context(), r.session.account.ID, subject, in.Juvenile, in.Note); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]bool{"ok": true})
	return nil
}

// listPrivacy is what was given to others, what people asked, and on what either rests.
func (s *Server) listPrivacy(w http.ResponseWriter, r *request) error {
	ctx := r.Context()
	labels, err := s.labels(r)
	if err != nil {
		return err
	}
	given, err := s.Supervision.Disclosures(ctx, s.Reads, r.scope(), 0)
	if err != nil {
		return err
	}
	asked, err := s.Supervision.Requests(ctx, s.Reads, r.scope(), 0)
	if err != nil {
		return err
	}
	bases, err := supervision.DisclosureBases(ctx, s.Reads, s.Clock.Now())
	if err != nil {
		return err
	}
	exceptions, err := s.exceptions(ctx)
	if err != nil {
		return err
	}
	type disclosure struct {
		supervision.Disclosure
		Subject subjectRef `json:"subject"`
	}
	type dataRequest struct {
		ID         int64      `json:"id"`
		Subject    subjectRef `json:"subject"`
		Kind       string     `json:"kind"`
		Words      string     `json:"words"`
		ReceivedAt time.Time  `json:"received_at"`
		Due        time.Time  `json:"due_at"`
		Decision   string     `json:"decision"`
		Exception  string     `json:"exception"`
		Reason     string     `json:"reason"`
		DoneAt     *time.Time `json:"done_at"`
		Outcome    string     `json:"outcome"`
	}
	out, requests := []disclosure{}, []dataRequest{}
	for _, d := range given {
		out = append(out, disclosure{d, subjectRef{int64(d.Subject), labels[d.Subject]}})
	}
	for i := range asked {
		q := &asked[i]
		requests = append(requests, dataRequest{q.ID, subjectRef{int64(q.Subject), labels[q.Subject]}, string(q.Kind), q.Words, q.ReceivedAt, q.Due, q.Decision, q.Exception, q.Reason, instant(q.DoneAt), q.Outcome})
	}
	writeJSON(w, http.StatusOK, map[string]any{"disclosures": out, "requests": requests, "bases": bases, "exceptions": exceptions})
	return nil
}

func (s *Server) putDisclosure(w http.ResponseWriter, r *request) error {
	subject, ok := r.pathID("subject")
	if !ok {
		return supervision.ErrNotFound
	}
	if _, err := s.Supervision.Subject(r.Context(), s.Reads, r.scope(), id.Subject(subject)); err != nil {
		return err
	}
	var in struct {
		Basis         string    `json:"basis"`
		RecipientKind string    `json:"recipient_kind"`
		Recipient     string    `json:"recipient"`
		DocumentNo    string    `json:"document_no"`
		Fields        []string  `json:"fields"`
		Purpose       string    `json:"purpose"`
		From          time.Time `json:"from"`
		Until         time.Time `json:"until"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := texts("recipient", in.Recipient, "document_no", in.DocumentNo, "purpose", in.Purpose, "basis", in.Basis, "fields", strings.Join(in.Fields, " ")); err != nil {
		return err
	}
	a, err := s.actor(r)
	if err != nil {
		return err
	}
	if _, err := s.Supervision.Disclose(r.Context(), a, r.scope(), supervision.Disclosure{Subject: id.Subject(subject), Basis: in.Basis, RecipientKind: in.RecipientKind, Recipient: in.Recipient,
		DocumentNo: in.DocumentNo, Fields: in.Fields, Purpose: in.Purpose, From: in.From, Until: in.Until}); err != nil {
		return err
	}
	return s.listPrivacy(w, r)
}

func (s *Server) receiveRequest(w http.ResponseWriter, r *request) error {
	subject, ok := r.pathID("subject")
	if !ok {
		return supervision.ErrNotFound
	}
	if _, err := s.Supervision.Subject(r.Context(), s.Reads, r.scope(), id.Subject(subject)); err != nil {
		return err
	}
	var in struct {
		Kind  supervision.RequestKind `json:"kind"`
		Words string                  `json:"words"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := texts("words", in.Words); err != nil {
		return err
	}
	a, err := s.actor(r)
	if err != nil {
		return err
	}
	if _, err := s.Supervision.ReceiveRequest(r.Context(), a, r.scope(), supervision.DataRequest{Subject: id.Subject(subject), Kind: in.Kind, Words: in.Words}); err != nil {
		return err
	}
	return s.listPrivacy(w, r)
}

// answerRequest decides a request, or records that it was done.
func (s *Server) answerRequest(w http.ResponseWriter, r *request) error {
	n, ok := r.pathID("request")
	if !ok {
		return supervision.ErrNotFound
	}
	var in struct {
		Grant     *bool               `json:"grant"`
		Exception string              `json:"exception"`
		Reason    string              `json:"reason"`
		Correct   *supervision.Person `json:"correct"`
		Outcome   string              `json:"outcome"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := texts("exception", in.Exception, "reason", in.Reason, "outcome", in.Outcome); err != nil {
		return err
	}
	a, err := s.actor(r)
	if err != nil {
		return err
	}
	switch {
	case in.Grant != nil:
		err = s.Supervision.DecideRequest(r.Context(), a, r.scope(), n, *in.Grant, in.Exception, in.Reason)
	case in.Correct != nil:
		err = s.Supervision.Correct(r.Context(), a, r.scope(), n, *in.Correct)
	default:
		err = s.Supervision.FinishRequest(r.Context(), a, r.scope(), n, in.Outcome)
	}
	if err != nil {
		return err
	}
	return s.listPrivacy(w, r)
}

// inspection answers what the procuratorate asks, item by item (R103).
func (s *Server) inspection(w http.ResponseWriter, r *request) error {
	labels, err := s.labels(r)
	if err != nil {
		return err
	}
	type found struct {
		Subject subjectRef `json:"subject"`
		At      time.Time  `json:"at"`
		What    string     `json:"what"`
	}
	type item struct {
		Code     string  `json:"code"`
		ZH       string  `json:"zh"`
		EN       string  `json:"en"`
		Citation string  `json:"citation"`
		Missing  string  `json:"missing,omitempty"`
		Found    []found `json:"found"`
	}
	out := []item{}
	for i := range supervision.Items {
		v := &supervision.Items[i]
		rows, err := supervision.Inspect(r.Context(), s.Reads, r.scope(), v, s.Clock.Now())
		if err != nil {
			return err
		}
		it := item{v.Code, v.ZH, v.EN, v.Citation, v.Missing, []found{}}
		for _, f := range rows {
			it.Found = append(it.Found, found{subjectRef{int64(f.Subject), labels[f.Subject]}, f.At, f.What})
		}
		out = append(out, it)
	}
	writeJSON(w, http.StatusOK, map[string]any{"items": out, "now": s.Clock.Now()})
	return nil
}

// listAssessments is which kind of rule and source was assessed, by whom, until when (R115).
func (s *Server) listAssessments(w http.ResponseWriter, r *request) error {
	list, err := supervision.Assessments(r.Context(), s.Reads, s.Clock.Now())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"assessments": list})
	return nil
}

func (s *Server) putAssessment(w http.ResponseWriter, r *request) error {
	var in supervision.Assessment
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := texts("lawful", in.Lawful, "impact", in.Impact, "measures", in.Measures, "assessor", in.Assessor, "reviewer", in.Reviewer, "code", in.Code, "document_no", in.DocumentNo); err != nil {
		return err
	}
	if _, err := s.Supervision.PutAssessment(r.Context(), r.session.account.ID, in); err != nil {
		return err
	}
	return s.listAssessments(w, r)
}

// listRetention is what was deleted and blocked, and what would be next.
func (s *Server) listRetention(w http.ResponseWriter, r *request) error {
	list, broken, err := supervision.RetentionReports(r.Context(), s.Pool)
	if err != nil {
		return err
	}
	next, err := s.Supervision.Retain(r.Context(), nil, true, nil)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"reports": append([]supervision.RetentionReport{}, list...), "broken": broken, "next": len(next.Erased), "held": next.Held})
	return nil
}
