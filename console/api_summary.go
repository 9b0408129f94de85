package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"zhijiao/alerts"
	"zhijiao/devices"
	"zhijiao/internal/id"
	"zhijiao/supervision"
)

type officeLoad struct {
	Org  officeRef `json:"org"`
	Open int       `json:"open"`
}

type summaryView struct {
	InSupervision    int            `json:"in_supervision"`
	Wristbands       int            `json:"wristbands"`
	WristbandsSilent int            `json:"wristbands_silent"`
	Phones           int            `json:"phones"`
	ChecksToday      map[string]int `json:"checks_today"`
	Open             map[string]int `json:"open"`
	ByOffice         []officeLoad   `json:"by_office"`
	Raised24h        [24]int        `json:"raised_24h"`
}

func (s *Server) summaryOf(ctx context.Context, q querier, scope id.Org) (summaryView, error) {
	now := s.Clock.Now()
	v := summaryView{ChecksToday: map[string]int{}, Open: map[string]int{}, ByOffice: []officeLoad{}}
	channels, err := s.channelsOf(ctx, q, scope, now)
	if err != nil {
		return v, err
	}
	states, err := s.statesOf(ctx, q, scope, now)
	if err != nil {
		return v, err
	}
	subjects, err := s.Supervision.Subjects(ctx, q, scope)
	if err != nil {
		return v, err
	}
	v.InSupervision = len(subjects)
	for subject, class := range channels {
		switch devices.Class(class) {
		case devices.Wristband:
			v.Wristbands++
			if states[subject] == stateSilent {
				v.WristbandsSilent++
			}
		case devices.Phone:
			v.Phones++
		}
	}
	asked, answered, err := s.checksToday(ctx, q, scope, now)
	if err != nil {
		return v, err
	}
	v.ChecksToday["asked"], v.ChecksToday["answered"] = asked, answered
	counts, err := s.Alerts.OpenCounts(ctx, q, scope)
	if err != nil {
		return v, err
	}
	for _, c := range []alerts.Class{alerts.Alarm, alerts.Reminder, alerts.Lead} {
		v.Open[string(c)] = counts.ByClass[c]
	}
	orgs, err := supervision.Orgs(ctx, q, scope)
	if err != nil {
		return v, err
	}
	for _, o := range orgs {
		if n := counts.ByOrg[o.ID]; n > 0 {
			v.ByOffice = append(v.ByOffice, officeLoad{officeRef{int64(o.ID), o.ShortName}, n})
		}
	}
	v.Raised24h, err = s.Alerts.RaisedByHour(ctx, q, scope, now)
	return v, err
}

func (s *Server) summary(w http.ResponseWriter, r *request) error {
	v, err := s.summaryOf(r.Context(), s.Reads, r.scope())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, v)
	return nil
}

type countView struct {
	Kind    devices.Kind    `json:"kind"`
	Outcome devices.Outcome `json:"outcome"`
	Reason  devices.Reason  `json:"reason"`
	N       int64           `json:"n"`
}

// sourceView is how far the data of a source has come.
type sourceView struct {
	Source     string     `json:"source"` // wire and class
	Devices    int        `json:"devices"`
	ObservedAt *time.Time `json:"observed_at"` // the newest; null: never
	Lag        int        `json:"lag_s"`
	Limit      int        `json:"limit_s"`
	Stale      bool       `json:"stale"`
}

// accounting is what became of every observation; it is about devices, not people, and the same for everybody.
func (s *Server) accounting(w http.ResponseWriter, r *request) error {
	counts, err := devices.LoadCounts(r.Context(), s.Pool)
	if err != nil {
		return err
	}
	gaps, err := devices.LoadGapTotals(r.Context(), s.Pool)
	if err != nil {
		return err
	}
	sources, err := devices.LoadSources(r.Context(), s.Pool, s.Clock.Now())
	if err != nil {
		return err
	}
	from := make([]sourceView, len(sources))
	for i, x := range sources {
		from[i] = sourceView{Source: x.Source, Devices: x.Devices, Limit: int(x.Limit / time.Second), Stale: !x.StaleSince.IsZero()}
		if !x.ObservedAt.IsZero() {
			from[i].ObservedAt, from[i].Lag = &x.ObservedAt, int(x.Lag/time.Second)
		}
	}
	rows := []countView{}
	for k, n := range counts {
		rows = append(rows, countView{k.Kind, k.Outcome, k.Reason, n})
	}
	slices.SortFunc(rows, func(a, b countView) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Outcome, b.Outcome), cmp.Compare(a.Reason, b.Reason))
	})
	writeJSON(w, http.StatusOK, map[string]any{"rows": rows, "open": counts.Open(), "gaps": gaps, "sources": from})
	return nil
}
