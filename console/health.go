package console

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"zhijiao/devices"
	"zhijiao/geofence"
)

// checkTime is how long one check of the health may take.
const checkTime = 3 * time.Second

// examinedFor is how long the outcome of the checks is good: whoever asks more often gets the same answer.
const examinedFor = time.Second

// health is the last outcome of the checks, and what is to be done although everything works.
type health struct {
	mu      sync.Mutex
	at      time.Time
	checks  map[string]string
	missing []int    // years whose days off are not recorded although rules go by them
	stale   []string // sources whose data is out of step
}

// examine returns what each check says, "ok" when all is well. Many who ask at once wait for one examination.
func (s *Server) examine(ctx context.Context) map[string]string {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	if s.health.checks == nil || time.Since(s.health.at) > examinedFor {
		ctx := context.WithoutCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { s.health.missing = s.missingCalendars(ctx) })
		wg.Go(func() { s.health.stale = s.staleSources(ctx) })
		s.health.checks = s.runChecks(ctx)
		wg.Wait()
		s.health.at = time.Now()
	}
	return s.health.checks
}

// missing is the years that examine found to lack a calendar.
func (s *Server) missing() []int {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	return s.health.missing
}

// stale is the sources that examine found out of step.
func (s *Server) stale() []string {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	return s.health.stale
}

// staleSources looks which sources are out of step; while the database is away, those of the last look.
func (s *Server) staleSources(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	list, err := devices.StaleSources(ctx, s.Pool)
	if err != nil {
		s.Log.Debug("it could not be read which sources are out of step", "err", err) // the check of the database says so aloud
		return s.health.stale
	}
	return list
}

// setMissing tells at once what a change made of it.
func (s *Server) setMissing(years []int) {
	s.health.mu.Lock()
	s.health.missing = years
	s.health.mu.Unlock()
	s.hub.mu.Lock()
	s.hub.missing = years
	s.hub.mu.Unlock()
}

// missingCalendars looks which calendars are missing; while the database is away, those of the last look.
func (s *Server) missingCalendars(ctx context.Context) []int {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	years, err := geofence.MissingCalendars(ctx, s.Pool, s.Clock.Now())
	if err != nil {
		s.Log.Debug("it could not be read which calendars are missing", "err", err) // the check of the database says so aloud
		return s.health.missing
	}
	return years
}

// warnings are what is to be done although everything works.
func warnings(missing []int, stale []string) map[string]string {
	out := map[string]string{}
	if len(missing) > 0 {
		years := strings.Trim(fmt.Sprint(missing), "[]")
		out["calendar"] = "rules go by the days off of " + years + ", which are not recorded: Saturdays and Sundays are taken for the only ones"
	}
	if len(stale) > 0 {
		out["sources"] = "data is out of step, nothing new comes from: " + strings.Join(stale, ", ")
	}
	return out
}

// runChecks runs every check at once.
func (s *Server) runChecks(ctx context.Context) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	out := make(map[string]string, len(s.Health))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, c := range s.Health {
		wg.Go(func() {
			text := "ok"
			if err := c.Run(ctx); err != nil {
				text = err.Error()
			}
			mu.Lock()
			out[c.Name] = text
			mu.Unlock()
		})
	}
	wg.Wait()
	return out
}

// degraded is the names of the checks that do not hold.
func degraded(checks map[string]string, order []Check) []string {
	out := []string{}
	for _, c := range order {
		if checks[c.Name] != "ok" {
			out = append(out, c.Name)
		}
	}
	return out
}

// healthz tells starting from ready from degraded: 200 only when ready.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	checks := s.examine(r.Context())
	status, code := "ready", http.StatusOK
	switch {
	case s.Starting != nil && s.Starting():
		status, code = "starting", http.StatusServiceUnavailable
	case len(degraded(checks, s.Health)) > 0:
		status, code = "degraded", http.StatusServiceUnavailable
	}
	answer := map[string]any{"status": status, "checks": checks}
	if w := warnings(s.missing(), s.stale()); len(w) > 0 {
		answer["warnings"] = w // no 503: the program does what it can
	}
	writeJSON(w, code, answer)
}
