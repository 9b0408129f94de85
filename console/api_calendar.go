package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"zhijiao/geofence"
	"zhijiao/supervision"
)

// calendarView is what is recorded of a year; days hold only dates that a notice names.
type calendarView struct {
	Year       int                 `json:"year"`
	Source     string              `json:"source"`
	Official   bool                `json:"official"`
	RecordedAt *time.Time          `json:"recorded_at"` // null: nothing is recorded of the year
	RecordedBy string              `json:"recorded_by"` // "": the platform itself
	Days       []geofence.NamedDay `json:"days"`
	Eve        []geofence.NamedDay `json:"eve,omitempty"` // of a file: days of the December before, for the calendar of their own year
}

func (s *Server) viewCalendar(r *request, c *geofence.RecordedCalendar) (calendarView, error) {
	v := calendarView{c.Year, c.Source, c.Official, instant(c.At), "", c.Days, c.Eve}
	if v.Days == nil {
		v.Days = []geofence.NamedDay{}
	}
	if c.By != 0 {
		names, err := s.displayNames(r.Context(), s.Pool, []int64{int64(c.By)})
		if err != nil {
			return v, err
		}
		v.RecordedBy = names[c.By]
	}
	return v, nil
}

// mayEditCalendar: a calendar holds for everybody, so whoever changes it answers for the whole organisation.
func (s *Server) mayEditCalendar(r *request) (bool, error) {
	roots, err := s.Supervision.Roots(r.Context())
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(roots, func(o supervision.Org) bool { return o.ID == r.session.account.Org }), nil
}

// listCalendars tells the years, those that are missing, and whether the account may record one.
func (s *Server) listCalendars(w http.ResponseWriter, r *request) error {
	list, err := geofence.Calendars(r.Context(), s.Pool)
	if err != nil {
		return err
	}
	missing, err := geofence.MissingCalendars(r.Context(), s.Pool, s.Clock.Now())
	if err != nil {
		return err
	}
	may, err := s.mayEditCalendar(r)
	if err != nil {
		return err
	}
	years := make([]int, 0, len(list))
	for i := range list {
		years = append(years, list[i].Year)
	}
	writeJSON(w, http.StatusOK, map[string]any{"years": years, "missing": append([]int{}, missing...), "may_edit": may})
	return nil
}

func (s *Server) getCalendar(w http.ResponseWriter, r *request) error {
	year, ok := r.pathID("year")
	if !ok || year > 9999 {
		return geofence.ErrNotFound
	}
	c, err := geofence.CalendarOf(r.Context(), s.Pool, int(year))
	if errors.Is(err, geofence.ErrNotFound) {
		c, err = geofence.RecordedCalendar{CalendarSpec: geofence.CalendarSpec{Year: int(year)}}, nil
	}
	if err != nil {
		return err
	}
	v, err := s.viewCalendar(r, &c)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, v)
	return nil
}

// putCalendar records a year in place of what the change was begun on.
func (s *Server) putCalendar(w http.ResponseWriter, r *request) error {
	var in struct {
		Source     string              `json:"source"`
		Official   bool                `json:"official"`
		RecordedAt *time.Time          `json:"recorded_at"`
		Days       []geofence.NamedDay `json:"days"`
	}
	year, ok := r.pathID("year")
	if !ok || year > 9999 {
		return geofence.ErrNotFound
	}
	if may, err := s.mayEditCalendar(r); err != nil {
		return err
	} else if !may {
		return problem{http.StatusForbidden, "whole_only", "", nil}
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	in.Source = strings.TrimSpace(in.Source)
	if err := storable("source", in.Source); err != nil {
		return err
	}
	for i := range in.Days {
		if err := storable("days", in.Days[i].Name); err != nil {
			return err
		}
	}
	on := time.Time{}
	if in.RecordedAt != nil {
		on = *in.RecordedAt
	}
	err := s.Zones.PutCalendar(r.Context(), r.session.account.ID, geofence.CalendarSpec{Year: int(year), Source: in.Source, Official: in.Official, Days: in.Days, On: &on})
	if err != nil {
		return err
	}
	if missing, err := geofence.MissingCalendars(r.Context(), s.Pool, s.Clock.Now()); err == nil { // else with the next examination
		s.setMissing(missing)
	}
	s.Log.Info("a calendar was recorded", "year", year, "account_id", int64(r.session.account.ID), "client", r.client())
	return s.getCalendar(w, r)
}

// readCalendar makes a calendar of a file, for the officer to look at before it is saved. Nothing is recorded.
func (s *Server) readCalendar(w http.ResponseWriter, r *request) error {
	var in struct {
		Text string `json:"text"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	spec, err := geofence.ReadCalendar(strings.NewReader(in.Text))
	if err != nil {
		return err
	}
	v, err := s.viewCalendar(r, &geofence.RecordedCalendar{CalendarSpec: spec})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, v)
	return nil
}

type scheduleView struct {
	ID         int64           `json:"id"`
	Name       string          `json:"name"`
	Org        officeRef       `json:"org"`
	Version    int             `json:"version"`
	From       *time.Time      `json:"from"`
	Until      *time.Time      `json:"until"`
	Rules      int             `json:"rules"`
	ByCalendar bool            `json:"by_calendar"`
	Doc        json.RawMessage `json:"doc"` // rows and exceptions, as they were written
}

func (s *Server) listSchedules(w http.ResponseWriter, r *request) error {
	list, err := geofence.Schedules(r.Context(), s.Reads, r.scope(), s.Clock.Now())
	if err != nil {
		return err
	}
	out := make([]scheduleView, 0, len(list))
	for i := range list {
		c := &list[i]
		doc, err := c.MarshalJSON()
		if err != nil {
			return err
		}
		out = append(out, scheduleView{int64(c.ID), c.Name, officeRef{int64(c.Org), c.OrgName}, c.Version,
			instant(c.Valid.From), instant(c.Valid.Until), c.Rules, c.UsesCalendar(), doc})
	}
	writeJSON(w, http.StatusOK, map[string]any{"schedules": out})
	return nil
}
