package console

import (
	"net/http"
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

// track is where a subject was, as reported. That it was looked at is logged with who and whose, by number (R107).
func (s *Server) track(w http.ResponseWriter, r *request) error {
	n, ok := r.pathID("subject")
	if !ok {
		return geofence.ErrNotFound
	}
	now := s.Clock.Now()
	from, until := now.Add(-4*time.Hour), now.Add(time.Minute)
	for name, to := range map[string]*time.Time{"from": &from, "until": &until} {
		if v := r.URL.Query().Get(name); v != "" {
			t, err := time.Parse(time.RFC3339, v)
			if err != nil {
				return problem{http.StatusBadRequest, "malformed", name, nil}
			}
			*to = t
		}
	}
	if !until.After(from) || until.Sub(from) > longestTrack {
		return problem{http.StatusBadRequest, "out_of_range", "until", nil}
	}
	fixes, err := geofence.ReadTrack(r.Context(), s.Pool, r.scope(), now, id.Subject(n), from, until, maxTrack)
	if err != nil {
		return err
	}
	s.Log.Info("a track was looked at", "account_id", int64(r.session.account.ID), "subject_id", n)
	gaps := []gapView{}
	for i := 1; i < len(fixes); i++ {
		if fixes[i].At.Sub(fixes[i-1].At) > gap {
			gaps = append(gaps, gapView{fixes[i-1].At, fixes[i].At})
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"fixes": viewFixes(fixes, nil), "gaps": gaps, "more": len(fixes) == maxTrack})
	return nil
}
