package console

import (
	"net/http"
	"slices"
	"time"

	"zhijiao/geofence"
	"zhijiao/internal/id"
)

// longestTrack is how much of a person's track one request shows.
const longestTrack = 31 * 24 * time.Hour

// gap is how long a channel may be silent before the line is broken: a gap is drawn as a gap (R91).
const gap = 10 * time.Minute

type gapView struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
}

// purposes are the reasons one may give for looking at a person's track without holding their alert (R107).
var purposes = []string{"check", "investigation", "approval", "handover"}

// purposeAlert is the reason that needs no words: the caller holds an open alert about the person.
const purposeAlert = "alert"

// track is where a subject was, as reported. That it was looked at is recorded before it is shown, with its purpose.
func (s *Server) track(w http.ResponseWriter, r *request) error {
	n, ok := r.pathID("subject")
	if !ok {
		return geofence.ErrNotFound
	}
	ctx, subject, now := r.Context(), id.Subject(n), s.Clock.Now()
	who, err := s.Supervision.Subject(ctx, s.Reads, r.scope(), subject)
	if err != nil {
		return err
	}
	if err := s.maySee(r, &who); err != nil {
		return err
	}
	from, until, err := stretch(r, now)
	if err != nil {
		return err
	}
	purpose := r.URL.Query().Get("purpose")
	held, err := s.heldAlert(ctx, s.Reads, r.scope(), r.session.account.ID, subject)
	switch {
	case err != nil:
		return err
	case held != 0:
		purpose = purposeAlert
	case purpose == "":
		return problem{http.StatusUnprocessableEntity, "required", "purpose", map[string]any{"one_of": purposes}}
	case !slices.Contains(purposes, purpose):
		return problem{http.StatusUnprocessableEntity, "unknown", "purpose", map[string]any{"one_of": purposes}}
	}
	if err := s.recordAccess(ctx, r, &look{subject: subject, what: "track", purpose: purpose, alert: held, from: from, until: until}); err != nil {
		return err
	}
	fixes, err := geofence.ReadTrack(ctx, s.Reads, r.scope(), now, subject, from, until, maxTrack)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"fixes": viewFixes(fixes, nil), "gaps": gapsOf(fixes), "more": len(fixes) == maxTrack, "purpose": purpose})
	return nil
}

// stretch is the time asked for: the last four hours where nothing is said.
func stretch(r *request, now time.Time) (from, until time.Time, err error) {
	until = now.Add(time.Minute)
	from = until.Add(-4 * time.Hour)
	for name, to := range map[string]*time.Time{"from": &from, "until": &until} {
		v := r.URL.Query().Get(name)
		if v == "" {
			continue
		}
		if *to, err = time.Parse(time.RFC3339, v); err != nil {
			return from, until, problem{http.StatusUnprocessableEntity, "malformed", name, nil}
		}
	}
	if !until.After(from) || until.Sub(from) > longestTrack {
		return from, until, problem{http.StatusUnprocessableEntity, "out_of_range", "until", nil}
	}
	return from, until, nil
}

// gapsOf is where the line is broken.
func gapsOf(fixes []geofence.TrackFix) []gapView {
	gaps := []gapView{}
	for i := 1; i < len(fixes); i++ {
		if fixes[i].At.Sub(fixes[i-1].At) > gap {
			gaps = append(gaps, gapView{fixes[i-1].At, fixes[i].At})
		}
	}
	return gaps
}
