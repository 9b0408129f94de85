package console

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"zhijiao/alerts"
	"zhijiao/geofence"
	"zhijiao/supervision"
)

// problem is an error as the front end shows it: a code it has words for, the field, and what else it needs.
type problem struct {
	Status int            `json:"-"`
	Code   string         `json:"code"`
	Field  string         `json:"field,omitempty"`
	Detail map[string]any `json:"detail,omitempty"`
}

// Error is the code.
func (p problem) Error() string { return p.Code }

// failWith turns an error into a problem: this is the only place that does. What nobody foresaw is logged and called
// internal.
func (s *Server) failWith(w http.ResponseWriter, r *http.Request, err error) {
	var p problem
	var conflict *alerts.Conflict
	var field *alerts.FieldError
	var refused *geofence.Refused
	var law *supervision.LawError
	var rejected *supervision.FieldError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
	case errors.Is(err, alerts.ErrNotFound), errors.Is(err, supervision.ErrNotFound), errors.Is(err, geofence.ErrNotFound):
		p = problem{http.StatusNotFound, "not_found", "", nil}
	case errors.As(err, &conflict):
		names, _ := s.displayNames(r.Context(), s.Pool, []int64{int64(conflict.By)})
		p = problem{http.StatusConflict, "conflict", "", map[string]any{
			"by": names[conflict.By], "at": conflict.At, "state": conflict.State, "version": conflict.Version}}
	case errors.As(err, &field):
		p = problem{http.StatusUnprocessableEntity, field.Reason, field.Field, nil}
	case errors.As(err, &refused) && refused.Reason == geofence.CalendarChanged:
		p = problem{http.StatusConflict, string(refused.Reason), refused.Field, nil}
	case errors.As(err, &refused) && (refused.Reason == geofence.NoSuchOutage || refused.Reason == geofence.NoSuchSubject): // or not in scope: the two are not told apart
		p = problem{http.StatusNotFound, "not_found", "", nil}
	case errors.As(err, &refused):
		p = problem{http.StatusUnprocessableEntity, string(refused.Reason), refused.Field, nil}
	case errors.Is(err, supervision.ErrConflict):
		p = problem{http.StatusConflict, "changed", "", nil}
	case errors.As(err, &law):
		p = problem{http.StatusUnprocessableEntity, string(law.Code), law.Field, map[string]any{"article": law.Article}}
	case errors.As(err, &rejected):
		p = problem{http.StatusUnprocessableEntity, string(rejected.Code), rejected.Field, nil}
	case errors.As(err, &tooLarge):
		p = problem{http.StatusRequestEntityTooLarge, "too_large", "", nil}
	case errors.Is(err, context.Canceled):
		return // whoever asked has gone
	default:
		s.Log.Error("a request could not be answered", "route", r.Pattern, "err", err)
		p = problem{http.StatusServiceUnavailable, "unavailable", "", nil}
	}
	s.fail(w, r, p)
}

func (s *Server) fail(w http.ResponseWriter, _ *http.Request, p problem) {
	writeJSON(w, p.Status, map[string]problem{"error": p})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	doc, err := json.Marshal(v)
	if err != nil {
		http.Error(w, `{"error":{"code":"internal"}}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(doc)
}

// readJSON decodes a request body, refusing what it does not know.
func readJSON(r *request, to any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return problem{http.StatusUnsupportedMediaType, "not_json", "", nil} // what a form of another site could send is none
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return err
		}
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return problem{http.StatusBadRequest, "wrong_type", wrong.Field, nil}
		}
		return problem{http.StatusBadRequest, "malformed", "", nil}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return problem{http.StatusBadRequest, "malformed", "", nil}
	}
	return nil
}
