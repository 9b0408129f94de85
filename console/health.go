package console

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// checkTime is how long one check of the health may take.
const checkTime = 3 * time.Second

// examinedFor is how long the outcome of the checks is good: whoever asks more often gets the same answer.
const examinedFor = time.Second

// health is the last outcome of the checks.
type health struct {
	mu     sync.Mutex
	at     time.Time
	checks map[string]string
}

// examine returns what each check says, "ok" when all is well. Many who ask at once wait for one examination.
func (s *Server) examine(ctx context.Context) map[string]string {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	if s.health.checks == nil || time.Since(s.health.at) > examinedFor {
		s.health.checks, s.health.at = s.runChecks(context.WithoutCancel(ctx)), time.Now()
	}
	return s.health.checks
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
	writeJSON(w, code, map[string]any{"status": status, "checks": checks})
}
