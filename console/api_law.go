package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"zhijiao/geofence"
	"zhijiao/internal/id"
	"zhijiao/supervision"
)

// proceedingView is a proceeding as a list shows it.
type proceedingView struct {
	ID       int64                      `json:"id"`
	Kind     supervision.ProceedingKind `json:"kind"`
	Subject  subjectRef                 `json:"subject"`
	Of       int64                      `json:"of,omitempty"`
	State    supervision.Step           `json:"state"`
	Version  int                        `json:"version"`
	Facts    supervision.Facts          `json:"facts"`
	OpenedAt time.Time                  `json:"opened_at"`
	ClosedAt *time.Time                 `json:"closed_at"`
	Next     []supervision.Step         `json:"next"` // what follows, whoever takes it
}

// stepView is a step that was taken.
type stepView struct {
	N           int              `json:"n"`
	Step        supervision.Step `json:"step"`
	At          time.Time        `json:"at"`
	RecordedAt  time.Time        `json:"recorded_at"`
	By          string           `json:"by"`
	Text        string           `json:"text,omitempty"`
	Destination string           `json:"destination,omitempty"`
}

type taskView struct {
	ID         int64                `json:"id"`
	Kind       supervision.TaskKind `json:"kind"`
	Subject    subjectRef           `json:"subject"`
	Proceeding int64                `json:"proceeding,omitempty"`
	OpenedAt   time.Time            `json:"opened_at"`
	Due        time.Time            `json:"due_at"`
	DoneAt     *time.Time           `json:"done_at"`
	Outcome    string               `json:"outcome,omitempty"`
}

type periodView struct {
	Code      string               `json:"code"`
	Title     string               `json:"title"`
	TitleEN   string               `json:"title_en"`
	Amount    []int                `json:"amount"`
	Unit      supervision.Unit     `json:"unit"`
	FirstDay  bool                 `json:"first_day"`
	Roll      bool                 `json:"roll"`
	Inclusive bool                 `json:"inclusive"`
	Citation  string               `json:"citation"`
	Evidence  supervision.Evidence `json:"evidence"`
	From      time.Time            `json:"from"`
	Until     *time.Time           `json:"until"`
}

type authorityView struct {
	ID         int64              `json:"id"`
	Ground     supervision.Ground `json:"ground"`
	DocumentNo string             `json:"document_no"`
	From       time.Time          `json:"from"`
	Until      time.Time          `json:"until"`
	Informed   time.Time          `json:"informed_at"`
	Proceeding int64              `json:"proceeding,omitempty"`
}

func (s *Server) labels(r *request) (map[id.Subject]string, error) {
	people, err := s.Supervision.Subjects(r.Context(), s.Reads, r.scope())
	if err != nil {
		return nil, err
	}
	labels := map[id.Subject]string{}
	for i := range people {
		labels[people[i].ID] = people[i].Label()
	}
	return labels, nil
}

func viewOfProceeding(p *supervision.Proceeding, labels map[id.Subject]string) proceedingView {
	v := proceedingView{p.ID, p.Kind, subjectRef{int64(p.Subject), labels[p.Subject]}, p.Of, p.State, p.Version, p.Facts, p.OpenedAt, instant(p.ClosedAt), p.Steps()}
	if v.Next == nil {
		v.Next = []supervision.Step{}
	}
	return v
}

// hidden are those of a list whose records are not for who asks (R88).
func (s *Server) hidden(r *request, list []id.Subject) (map[id.Subject]bool, error) {
	minors, err := s.Supervision.Minors(r.Context(), list)
	if err != nil {
		return nil, err
	}
	var refused *supervision.LawError
	for m := range minors {
		if err := s.maySee(r, &supervision.Subject{ID: m, Juvenile: true}); err == nil {
			delete(minors, m)
		} else if !errors.As(err, &refused) {
			return nil, err
		}
	}
	return minors, nil
}

// listProceedings is what is under way, and what has to be done: the inbox. What concerns minors is in that of those who work with them.
func (s *Server) listProceedings(w http.ResponseWriter, r *request) error {
	labels, err := s.labels(r)
	if err != nil {
		return err
	}
	list, err := s.Supervision.Proceedings(r.Context(), s.Reads, r.scope(), supervision.ProceedingFilter{Open: r.URL.Query().Get("all") == ""})
	if err != nil {
		return err
	}
	tasks, err := s.tasks(r, 0, labels)
	if err != nil {
		return err
	}
	var concerned []id.Subject
	for i := range list {
		concerned = append(concerned, list[i].Subject)
	}
	for i := range tasks {
		concerned = append(concerned, id.Subject(tasks[i].Subject.ID))
	}
	hidden, err := s.hidden(r, concerned)
	if err != nil {
		return err
	}
	out := []proceedingView{}
	for i := range list {
		if !hidden[list[i].Subject] {
			out = append(out, viewOfProceeding(&list[i], labels))
		}
	}
	tasks = slices.DeleteFunc(tasks, func(t taskView) bool { return hidden[id.Subject(t.Subject.ID)] })
	writeJSON(w, http.StatusOK, map[string]any{"proceedings": out, "tasks": tasks})
	return nil
}

func (s *Server) tasks(r *request, subject id.Subject, labels map[id.Subject]string) ([]taskView, error) {
	list, err := s.Supervision.Tasks(r.Context(), s.Reads, r.scope(), subject, subject != 0)
	if err != nil {
		return nil, err
	}
	out := []taskView{}
	for _, t := range list {
		out = append(out, taskView{t.ID, t.Kind, subjectRef{int64(t.Subject), labels[t.Subject]}, t.Proceeding, t.OpenedAt, t.Due, instant(t.DoneAt), t.Outcome})
	}
	return out, nil
}

// getProceeding is one with its steps in words, and what the caller may do next.
func (s *Server) getProceeding(w http.ResponseWriter, r *request) error {
	n, ok := r.pathID("proceeding")
	if !ok {
		return supervision.ErrNotFound
	}
	return s.showProceeding(w, r, n)
}

func (s *Server) showProceeding(w http.ResponseWriter, r *request, n int64) error {
	actor, err := supervision.ActorOf(r.Context(), s.Reads, r.session.account.ID, r.client())
	if err != nil {
		return err
	}
	p, steps, may, err := s.Supervision.Proceeding(r.Context(), s.Reads, r.scope(), actor, n)
	if err != nil {
		return err
	}
	if err := s.maySeeOf(r, p.Subject); err != nil {
		return err
	}
	labels, err := s.labels(r)
	if err != nil {
		return err
	}
	var accounts []int64
	for i := range steps {
		accounts = append(accounts, int64(steps[i].Account))
	}
	names, err := s.displayNames(r.Context(), s.Reads, accounts)
	if err != nil {
		return err
	}
	out := []stepView{}
	for _, v := range steps {
		out = append(out, stepView{v.N, v.Step, v.At, v.RecordedAt, names[v.Account], v.Words.Text, v.Words.Destination})
	}
	if may == nil {
		may = []supervision.Step{}
	}
	writeJSON(w, http.StatusOK, map[string]any{"proceeding": viewOfProceeding(&p, labels), "steps": out, "may": may})
	return nil
}

// readStep reads a step as a form gives it.
func readStep(in *supervision.Input) error {
	for field, text := range map[string]string{"text": in.Text, "destination": in.Destination, "document_no": in.DocumentNo, "ground_record": in.GroundRecord, "device": in.Device} {
		if err := storable(field, text); err != nil {
			return err
		}
		if len(text) > longestText {
			return problem{http.StatusUnprocessableEntity, "too_long", field, nil}
		}
	}
	return nil
}

// longestText is what anybody writes into a form at most, bytes.
const longestText = 12_000

func (s *Server) openProceeding(w http.ResponseWriter, r *request) error {
	var in struct {
		Kind supervision.ProceedingKind `json:"kind"`
		Of   int64                      `json:"of"`
		Step supervision.Input          `json:"step"`
	}
	subject, ok := r.pathID("subject")
	if !ok {
		return supervision.ErrNotFound
	}
	if _, err := s.Supervision.Subject(r.Context(), s.Reads, r.scope(), id.Subject(subject)); err != nil {
		return err
	}
	if err := s.maySeeOf(r, id.Subject(subject)); err != nil {
		return err
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := readStep(&in.Step); err != nil {
		return err
	}
	actor, err := supervision.ActorOf(r.Context(), s.Reads, r.session.account.ID, r.client())
	if err != nil {
		return err
	}
	p, err := s.Supervision.OpenProceeding(r.Context(), actor, in.Kind, id.Subject(subject), in.Of, in.Step)
	if err != nil {
		return err
	}
	return s.showProceeding(w, r, p.ID)
}

func (s *Server) takeStep(w http.ResponseWriter, r *request) error {
	var in supervision.Input
	n, ok := r.pathID("proceeding")
	if !ok {
		return supervision.ErrNotFound
	}
	actor, err := supervision.ActorOf(r.Context(), s.Reads, r.session.account.ID, r.client())
	if err != nil {
		return err
	}
	p, _, _, err := s.Supervision.Proceeding(r.Context(), s.Reads, r.scope(), actor, n) // in scope?
	if err != nil {
		return err
	}
	if err := s.maySeeOf(r, p.Subject); err != nil {
		return err
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := readStep(&in); err != nil {
		return err
	}
	if in.Step == supervision.Fitted { // what was seen is what the platform saw, not what a form says
		if in.Fitting, err = s.seenFitting(r, n, in.Device, in.Fitting); err != nil {
			return err
		}
	}
	if _, err := s.Supervision.TakeStep(r.Context(), actor, n, in); err != nil {
		return err
	}
	return s.showProceeding(w, r, n)
}

func (s *Server) finishTask(w http.ResponseWriter, r *request) error {
	var in struct {
		Outcome string `json:"outcome"`
	}
	n, ok := r.pathID("task")
	if !ok {
		return supervision.ErrNotFound
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := storable("outcome", in.Outcome); err != nil {
		return err
	}
	actor, err := supervision.ActorOf(r.Context(), s.Reads, r.session.account.ID, r.client())
	if err != nil {
		return err
	}
	if err := s.Supervision.FinishTask(r.Context(), actor, r.scope(), n, strings.TrimSpace(in.Outcome)); err != nil {
		return err
	}
	return s.listProceedings(w, r)
}

// getLegal is what applies to a subject, why and until when.
func (s *Server) getLegal(w http.ResponseWriter, r *request) error {
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
	labels := map[id.Subject]string{subject: who.Label()}
	authorities, err := supervision.Authorities(ctx, s.Reads, []id.Subject{subject})
	if err != nil {
		return err
	}
	list, err := s.Supervision.Proceedings(ctx, s.Reads, r.scope(), supervision.ProceedingFilter{Subject: subject})
	if err != nil {
		return err
	}
	tasks, err := s.tasks(r, subject, labels)
	if err != nil {
		return err
	}
	orders, err := s.Supervision.Prohibitions(ctx, s.Reads, subject)
	if err != nil {
		return err
	}
	sanctions, err := supervision.Sanctions(ctx, s.Reads, subject)
	if err != nil {
		return err
	}
	sentence, err := s.Supervision.SentenceOf(ctx, s.Reads, subject)
	if err != nil {
		return err
	}
	suspended, err := geofence.SuspensionsAt(ctx, s.Reads, r.scope(), s.Clock.Now())
	if err != nil {
		return err
	}
	type order struct {
		ID         int64                       `json:"id"`
		Type       supervision.ProhibitionType `json:"type"`
		DocumentNo string                      `json:"document_no"`
		Court      string                      `json:"court"`
		Wording    string                      `json:"wording"`
		From       time.Time                   `json:"from"`
		Until      time.Time                   `json:"until"`
	}
	type sanction struct {
		Kind       supervision.SanctionKind `json:"kind"`
		Refused    bool                     `json:"refused_to_report"`
		DocumentNo string                   `json:"document_no"`
		Organ      string                   `json:"organ"`
		DecidedAt  time.Time                `json:"decided_at"`
	}
	type suspension struct {
		ID    int64                    `json:"id"`
		Cause geofence.SuspensionCause `json:"cause"`
		Kinds []geofence.RuleKind      `json:"kinds"`
		From  time.Time                `json:"from"`
		Until *time.Time               `json:"until"`
	}
	doc := struct {
		Subject     subjectRef           `json:"subject"`
		Category    supervision.Category `json:"category"`
		Office      string               `json:"office"`
		Now         time.Time            `json:"now"`
		Sentence    any                  `json:"sentence"`
		Authorities []authorityView      `json:"authorities"`
		Proceedings []proceedingView     `json:"proceedings"`
		Tasks       []taskView           `json:"tasks"`
		Orders      []order              `json:"orders"`
		Sanctions   []sanction           `json:"sanctions"`
		Suspensions []suspension         `json:"suspensions"`
	}{Subject: subjectRef{n, who.Label()}, Category: who.Category, Office: who.OfficeShort, Now: s.Clock.Now(), Authorities: []authorityView{}, Proceedings: []proceedingView{}, Tasks: tasks,
		Orders: []order{}, Sanctions: []sanction{}, Suspensions: []suspension{}}
	if sentence != nil {
		doc.Sentence = map[string]any{"document_no": sentence.DocumentNo, "from": sentence.From, "until": sentence.Until}
	}
	for _, a := range authorities[subject] {
		doc.Authorities = append(doc.Authorities, authorityView{a.ID, a.Ground, a.DocumentNo, a.From, a.Until, a.Informed, a.Proceeding})
	}
	for i := range list {
		doc.Proceedings = append(doc.Proceedings, viewOfProceeding(&list[i], labels))
	}
	for _, o := range orders {
		doc.Orders = append(doc.Orders, order{o.ID, o.Type, o.DocumentNo, o.Court, o.Wording, o.From, o.Until})
	}
	for _, v := range sanctions {
		doc.Sanctions = append(doc.Sanctions, sanction{v.Kind, v.Refused, v.DocumentNo, v.Organ, v.DecidedAt})
	}
	for _, v := range suspended[subject] {
		doc.Suspensions = append(doc.Suspensions, suspension{int64(v.ID), v.Cause, append([]geofence.RuleKind{}, v.Kinds...), v.Valid.From, instant(v.Valid.Until)})
	}
	writeJSON(w, http.StatusOK, doc)
	return nil
}

// getPeriods is the rule table, with the destinations somebody may be allowed to go to: what forms need.
func (s *Server) getPeriods(w http.ResponseWriter, r *request) error {
	list, err := supervision.Periods(r.Context(), s.Reads)
	if err != nil {
		return err
	}
	out := []periodView{}
	for _, p := range list {
		out = append(out, periodView{p.Code, p.Title, p.TitleEN, p.Amount, p.Unit, p.FirstDay, p.Roll, p.Inclusive, p.Citation, p.Evidence, p.From, instant(p.Until)})
	}
	notices, err := supervision.NoticeTexts(r.Context(), s.Reads)
	if err != nil {
		return err
	}
	zones, err := geofence.Destinations(r.Context(), s.Reads, r.scope(), s.Clock.Now())
	if err != nil {
		return err
	}
	officers, err := s.Supervision.Officers(r.Context(), r.scope())
	if err != nil {
		return err
	}
	type named struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
		Kind string `json:"kind,omitempty"`
	}
	doc := map[string]any{"periods": out, "notices": notices}
	staff, places := []named{}, []named{}
	for _, o := range officers {
		staff = append(staff, named{int64(o.ID), o.Name, string(o.Kind)})
	}
	for _, z := range zones {
		places = append(places, named{int64(z.ID), z.Name, string(z.Purpose)})
	}
	doc["officers"], doc["zones"] = staff, places
	writeJSON(w, http.StatusOK, doc)
	return nil
}
