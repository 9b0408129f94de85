package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"zhijiao/alerts"
	"zhijiao/geofence"
	"zhijiao/internal/id"
	"zhijiao/supervision"
)

// handling is the table of what is done about what: class, clocks, who has it, what closing needs.
func (s *Server) handling(w http.ResponseWriter, r *request) error {
	list, err := alerts.Table(r.Context(), s.Reads, s.Clock.Now())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"handling": list})
	return nil
}

func (s *Server) listAlerts(w http.ResponseWriter, r *request) error {
	q := r.URL.Query()
	f := alerts.Filter{Class: alerts.Class(q.Get("class"))}
	switch state := q.Get("state"); state {
	case "", "open":
		f.State = alerts.Open
	case "closed":
		f.State = alerts.Closed
	case "all":
	default:
		return problem{http.StatusUnprocessableEntity, "unknown", "state", nil}
	}
	if f.Class != "" && !slices.Contains([]alerts.Class{alerts.Alarm, alerts.Reminder, alerts.Lead}, f.Class) {
		return problem{http.StatusUnprocessableEntity, "unknown", "class", nil}
	}
	for name, to := range map[string]func(int64){
		"org": func(n int64) { f.Org = id.Org(n) }, "before": func(n int64) { f.Before = alerts.ID(n) }, "limit": func(n int64) { f.Limit = int(n) },
	} {
		if v := q.Get(name); v != "" {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil || n <= 0 {
				return problem{http.StatusUnprocessableEntity, "malformed", name, nil}
			}
			to(n)
		}
	}
	if f.Limit <= 0 || f.Limit > 200 {
		f.Limit = 50
	}
	list, err := s.Alerts.List(r.Context(), s.Reads, r.scope(), f)
	if err != nil {
		return err
	}
	views, err := s.viewAlerts(r.Context(), s.Reads, list)
	if err != nil {
		return err
	}
	var next *string
	if len(list) == f.Limit {
		next = given(strconv.FormatInt(int64(list[len(list)-1].ID), 10))
	}
	writeJSON(w, http.StatusOK, map[string]any{"alerts": views, "next": next})
	return nil
}

type eventView struct {
	Seq       int             `json:"seq"`
	Act       string          `json:"act"`
	Account   *accountRef     `json:"account"`
	At        time.Time       `json:"at"`
	WrittenAt time.Time       `json:"written_at"`
	Body      json.RawMessage `json:"body"`
}

type personView struct {
	ID       int64                 `json:"id"`
	Label    string                `json:"label"`
	Masked   bool                  `json:"masked"`
	Name     string                `json:"name,omitempty"`
	Phone    string                `json:"phone,omitempty"`
	Address  string                `json:"address,omitempty"`
	Contacts []supervision.Contact `json:"contacts,omitempty"`
}

type violationView struct {
	ID        int64        `json:"id"`
	Kind      string       `json:"kind"`
	State     string       `json:"state"`
	Version   int          `json:"version"`
	OpenedAt  time.Time    `json:"opened_at"`
	DecidedAt time.Time    `json:"decided_at"`
	ClosedAt  *time.Time   `json:"closed_at"`
	Late      bool         `json:"late"`
	Engine    string       `json:"engine"`
	Rule      int64        `json:"rule_id"`
	RuleVer   int          `json:"rule_version"`
	Evidence  evidenceView `json:"evidence"`
	// Explanation is the chain from fixes to the violation in words, a line each, in both languages.
	Explanation []sentenceView `json:"explanation"`
}

// ruleView is the version of the rule it was decided on.
type ruleView struct {
	ID         int64           `json:"id"`
	Version    int             `json:"version"`
	Kind       string          `json:"kind"`
	Basis      string          `json:"legal_basis"`
	DocumentNo string          `json:"document_no"`
	Params     json.RawMessage `json:"params"`
}

type fixView struct {
	Lon      float64   `json:"lon"`
	Lat      float64   `json:"lat"`
	FixAt    time.Time `json:"fix_at"`
	Accuracy *float64  `json:"accuracy_m"`
	Speed    *float64  `json:"speed_mps"`
	Method   string    `json:"method"`
	Flags    int       `json:"flags"`
	Battery  *int      `json:"battery"`
	Class    string    `json:"class"`
	Verdict  string    `json:"verdict,omitempty"`
	MarginM  *float64  `json:"margin_m,omitempty"`
}

// alertPage is an alert with all that belongs to it.
type alertPage struct {
	alertView
	// CorrectedAt is when what the caller saw last was corrected by data that came late, or by a fact that reaches back.
	CorrectedAt *time.Time    `json:"corrected_at"`
	Subject     personView    `json:"subject"`
	History     []eventView   `json:"history"`
	Violation   violationView `json:"violation"`
	Zone        *zoneView     `json:"zone"`
	Rule        *ruleView     `json:"rule"`
	Track       []fixView     `json:"track"`
}

func (s *Server) getAlert(w http.ResponseWriter, r *request) error {
	n, ok := r.pathID("alert")
	if !ok {
		return alerts.ErrNotFound
	}
	page, err := s.alertPage(r, alerts.ID(n))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, page)
	return nil
}

func (s *Server) alertPage(r *request, alert alerts.ID) (alertPage, error) {
	ctx := r.Context()
	var page alertPage
	a, err := s.Alerts.Get(ctx, s.Reads, r.scope(), alert)
	if err != nil {
		return page, err
	}
	views, err := s.viewAlerts(ctx, s.Reads, []alerts.Alert{a})
	if err != nil {
		return page, err
	}
	page.alertView = views[0]
	events, err := s.Alerts.History(ctx, s.Reads, alert)
	if err != nil {
		return page, err
	}
	page.CorrectedAt = instant(corrected(events, r.session.account.ID))
	if err := s.Alerts.Viewed(ctx, s.act(r, alert, 0)); err != nil {
		return page, err
	}
	if page.Subject, err = s.personOf(r, &a, views[0].Subject.Label); err != nil {
		return page, err
	}
	if page.History, err = s.eventsOf(ctx, alert); err != nil {
		return page, err
	}
	recorded, err := geofence.ViolationsByID(ctx, s.Reads, []geofence.ViolationID{a.Violation})
	if err != nil {
		return page, err
	}
	v := recorded[a.Violation]
	page.Violation = violationView{int64(v.Violation), string(v.Kind), string(v.State), v.Version, v.OpenedAt, v.DecidedAt, instant(v.ClosedAt), v.Late, v.Engine,
		int64(v.Rule), v.RuleVersion, viewEvidence(&v), nil}
	if page.Violation.Explanation, err = s.explain(ctx, v.Violation, views[0].Subject.Label); err != nil {
		return page, err
	}
	if page.Rule, err = s.ruleOf(ctx, s.Reads, v.Rule, v.RuleVersion); err != nil {
		return page, err
	}
	var zone *geofence.Zone
	if v.Zone != 0 {
		d, err := geofence.DrawnVersion(ctx, s.Reads, v.Zone, v.ZoneVersion)
		if err != nil {
			return page, err
		}
		z := viewZone(&d)
		page.Zone = &z
		if zone, err = geofence.ReadZone(ctx, s.Reads, v.Zone, v.ZoneVersion); err != nil {
			return page, err
		}
	}
	if me := r.session.account.ID; a.State == alerts.Closed && a.AcknowledgedBy != me && a.ClosedBy != me || !r.session.account.is(watch.roles...) {
		page.Track = []fixView{} // it is over, and was another's matter: what it rests on is enough (R107). So it is for who supervises the work.
		return page, nil
	}
	page.Track, err = s.trackOf(r, &v, zone)
	return page, err
}

// corrected is when what somebody saw of an alert last was corrected, because the past was derived again; zero: it was not,
// or they never saw it.
func corrected(events []alerts.Event, who id.Account) time.Time {
	var seen, at time.Time
	for _, e := range events {
		switch {
		case e.Account == who:
			seen, at = e.WrittenAt, time.Time{}
		case e.Account == 0 && !seen.IsZero() && e.WrittenAt.After(seen):
			var found struct {
				Why json.RawMessage `json:"why"`
			}
			if json.Unmarshal(e.Body, &found) == nil && len(found.Why) > 0 {
				at = e.At
			}
		}
	}
	return at
}

// explain is what the chain from fixes to a violation is in words. Evidence that another version wrote otherwise says
// nothing here; it is shown as it is stored.
func (s *Server) explain(ctx context.Context, v geofence.ViolationID, label string) ([]sentenceView, error) {
	out := []sentenceView{}
	x, err := alerts.LoadExplaining(ctx, s.Reads, v, label)
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax) || errors.As(err, &mismatch):
		return out, nil
	case err != nil:
		return nil, err
	}
	for _, l := range alerts.Explain(x) {
		out = append(out, sentenceView{l.ZH, l.EN})
	}
	return out, nil
}

// trackOf is what the device reported around the violation: an hour before it opened until an hour after it closed or until
// now, at most a day, with what the zone says of each fix.
func (s *Server) trackOf(r *request, v *geofence.Recorded, zone *geofence.Zone) ([]fixView, error) {
	now := s.Clock.Now()
	from, until := v.OpenedAt.Add(-time.Hour), now.Add(time.Minute)
	if !v.ClosedAt.IsZero() {
		until = v.ClosedAt.Add(time.Hour)
	}
	if until.Sub(from) > 24*time.Hour {
		until = from.Add(24 * time.Hour)
	}
	fixes, err := geofence.ReadTrack(r.Context(), s.Reads, r.scope(), now, v.Subject, from, until, maxTrack)
	if errors.Is(err, geofence.ErrNotFound) { // another office has the person now: this one keeps the alert it handled
		return []fixView{}, nil
	}
	if err != nil {
		return nil, err
	}
	return viewFixes(fixes, zone), nil
}

const maxTrack = 20_000

func viewFixes(fixes []geofence.TrackFix, zone *geofence.Zone) []fixView {
	out := make([]fixView, 0, len(fixes))
	p := geofence.DefaultParams(geofence.StayIn)
	for _, f := range fixes {
		v := fixView{f.Lon, f.Lat, f.At, given(f.AccuracyM), nil, f.Method.String(), int(f.Flags), f.Battery, string(f.Class), "", nil}
		if f.SpeedMPS >= 0 {
			v.Speed = &f.SpeedMPS
		}
		if zone != nil {
			verdict, margin := p.Judge(zone, f.Lon, f.Lat, f.AccuracyM, f.Method)
			m := float64(margin) / 100
			v.Verdict, v.MarginM = string(verdict), &m
		}
		out = append(out, v)
	}
	return out
}

// personOf is the subject of an alert: masked, unless the caller holds the open alert. Then the alert is the purpose, and the
// view just recorded says so (R107).
func (s *Server) personOf(r *request, a *alerts.Alert, label string) (personView, error) {
	v := personView{ID: int64(a.Subject), Label: label, Masked: true}
	if a.State != alerts.Acknowledged || a.AcknowledgedBy != r.session.account.ID {
		return v, nil
	}
	p, err := s.Supervision.Person(r.Context(), s.Reads, r.scope(), a.Subject)
	if errors.Is(err, supervision.ErrNotFound) { // another office has the person now
		return v, nil
	}
	if err != nil {
		return v, err
	}
	v.Masked, v.Name, v.Phone, v.Address, v.Contacts = false, p.Name, p.Phone, p.Address, p.Contacts
	return v, nil
}

func (s *Server) eventsOf(ctx context.Context, alert alerts.ID) ([]eventView, error) {
	events, err := s.Alerts.History(ctx, s.Reads, alert)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, 0, len(events))
	for _, e := range events {
		ids = append(ids, int64(e.Account))
	}
	names, err := s.displayNames(ctx, s.Reads, ids)
	if err != nil {
		return nil, err
	}
	out := make([]eventView, 0, len(events))
	for _, e := range events {
		v := eventView{Seq: e.Seq, Act: e.Act, At: e.At, WrittenAt: e.WrittenAt, Body: e.Body}
		if e.Account != 0 {
			v.Account = &accountRef{int64(e.Account), names[e.Account]}
		}
		out = append(out, v)
	}
	return out, nil
}

// act is who does what to an alert, from where.
func (s *Server) act(r *request, alert alerts.ID, version int) alerts.Act {
	return alerts.Act{Alert: alert, Account: r.session.account.ID, Scope: r.scope(), Version: version, Client: r.client()}
}

// answer sends the alert's page after an act.
func (s *Server) answer(w http.ResponseWriter, r *request, a alerts.Alert) error {
	page, err := s.alertPage(r, a.ID)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, page)
	return nil
}

// storable refuses the one character that PostgreSQL cannot keep; everything else is kept as it was typed.
func storable(field, text string) error {
	if strings.ContainsRune(text, 0) {
		return problem{http.StatusUnprocessableEntity, "malformed", field, nil}
	}
	return nil
}

func (s *Server) acknowledgeAlert(w http.ResponseWriter, r *request) error {
	var in struct {
		Version int `json:"version"`
	}
	n, ok := r.pathID("alert")
	if !ok {
		return alerts.ErrNotFound
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := s.mayConclude(r); err != nil {
		return err
	}
	a, err := s.Alerts.Acknowledge(r.Context(), s.act(r, alerts.ID(n), in.Version))
	if err != nil {
		return err
	}
	return s.answer(w, r, a)
}

func (s *Server) noteAlert(w http.ResponseWriter, r *request) error {
	var in struct {
		Text string `json:"text"`
	}
	n, ok := r.pathID("alert")
	if !ok {
		return alerts.ErrNotFound
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := storable("text", in.Text); err != nil {
		return err
	}
	a, err := s.Alerts.Note(r.Context(), s.act(r, alerts.ID(n), 0), in.Text)
	if err != nil {
		return err
	}
	return s.answer(w, r, a)
}

// attachmentOf records what an officer knows of the device of an alert's person: that it was seen on the person (复位确认), or
// that the two are apart (R122). It stands in the alert's history as well.
func (s *Server) attachmentOf(w http.ResponseWriter, r *request) error {
	var in struct {
		What geofence.Attachment `json:"what"`
		How  string              `json:"how"`
		Note string              `json:"note"`
	}
	n, ok := r.pathID("alert")
	if !ok {
		return alerts.ErrNotFound
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := storable("note", in.Note); err != nil {
		return err
	}
	a, err := s.Alerts.Get(r.Context(), s.Reads, r.scope(), alerts.ID(n))
	if err != nil {
		return err
	}
	if allowed := map[geofence.ViolationKind]geofence.Attachment{geofence.StrapBroken: geofence.ResetConfirmed, geofence.Apart: geofence.SeparationAccepted}[a.Kind]; in.What != allowed {
		if in.What != geofence.ResetConfirmed { // a reset may follow an accepted separation too
			return problem{http.StatusUnprocessableEntity, "unknown", "what", nil}
		}
	}
	if err := s.Zones.PutAttachment(r.Context(), r.session.account.ID, r.scope(), geofence.AttachmentSpec{Subject: a.Subject, What: in.What, How: in.How, Note: in.Note}); err != nil {
		return err
	}
	words := map[string]string{"seen": "复位确认（当面查验）", "video": "复位确认（视频查验）", "refitted": "复位确认（重新佩戴）", "lead": "确认人机分离，人员位置不再以设备定位认定"}
	text := words[in.How]
	if in.Note != "" {
		text += "：" + in.Note
	}
	if a, err = s.Alerts.Note(r.Context(), s.act(r, a.ID, 0), text); err != nil {
		return err
	}
	return s.answer(w, r, a)
}

// mayConclude refuses those who neither take charge nor conclude (R135): an alert they held nobody could conclude.
func (s *Server) mayConclude(r *request) error {
	actor, err := supervision.ActorOf(r.Context(), s.Reads, r.session.account.ID, r.client())
	if err != nil {
		return err
	}
	return actor.MayConclude()
}

func (s *Server) closeAlert(w http.ResponseWriter, r *request) error {
	var in struct {
		Version    int               `json:"version"`
		Conclusion alerts.Conclusion `json:"conclusion"`
		Text       string            `json:"text"`
		FollowUpOn string            `json:"follow_up_on"`
	}
	n, ok := r.pathID("alert")
	if !ok {
		return alerts.ErrNotFound
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	if err := storable("text", in.Text); err != nil {
		return err
	}
	c := alerts.Conclude{Conclusion: in.Conclusion, Text: in.Text}
	if in.FollowUpOn != "" {
		day, err := time.Parse(time.DateOnly, in.FollowUpOn)
		if err != nil {
			return problem{http.StatusUnprocessableEntity, "malformed", "follow_up_on", nil}
		}
		c.FollowUpOn = day
	}
	if err := s.mayConclude(r); err != nil {
		return err
	}
	a, err := s.Alerts.Close(r.Context(), s.act(r, alerts.ID(n), in.Version), c)
	if err != nil {
		return err
	}
	return s.answer(w, r, a)
}
