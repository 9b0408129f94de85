package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/alerts"
	"zhijiao/console"
	"zhijiao/geofence"
)

func TestHealthTellsStartingReadyAndDegraded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var starting, broken atomic.Bool
	starting.Store(true)
	reg := prometheus.NewRegistry()
	s, err := console.New(console.Options{
		Pool: b.pool, Reads: b.pool, Keys: b.keys, Clock: b.clock, Supervision: b.people, Alerts: alerts.NewStore(b.pool, b.clock), Zones: geofence.NewStore(b.pool, b.clock), Log: slog.New(slog.DiscardHandler), Gatherer: reg, Registerer: reg,
		Starting: starting.Load, Mode: "live", Secure: true,
		Health: []console.Check{
			{Name: "database", Run: b.pool.Ping},
			{Name: "broker", Run: func(context.Context) error {
				if broken.Load() {
					return errors.New("not connected")
				}
				return nil
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(path, from string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
		r.RemoteAddr = from
		s.ServeHTTP(w, r)
		return w
	}
	expect := func(status int, word, broker string) {
		t.Helper()
		var got struct {
			Status string            `json:"status"`
			Checks map[string]string `json:"checks"`
		}
		for deadline := time.Now().Add(wait); ; time.Sleep(20 * time.Millisecond) { // an answer is good for a second
			w := ask("/healthz", "192.0.2.1:1")
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if w.Code == status && got.Status == word && got.Checks["broker"] == broker && got.Checks["database"] == "ok" {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d %+v, want %d %s", w.Code, got, status, word)
			}
		}
	}
	expect(http.StatusServiceUnavailable, "starting", "ok")
	starting.Store(false)
	expect(http.StatusOK, "ready", "ok")
	broken.Store(true)
	expect(http.StatusServiceUnavailable, "degraded", "not connected")

	if w := ask("/metrics", "192.0.2.1:1"); w.Code != http.StatusForbidden {
		t.Errorf("metrics from afar: %d", w.Code)
	}
	w := ask("/metrics", "127.0.0.1:1")
	for _, name := range []string{"zhijiao_websocket_clients"} {
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), name) {
			t.Errorf("metrics from here: %d without %s", w.Code, name)
		}
	}
	if got := w.Header().Get("Strict-Transport-Security"); got == "" {
		t.Error("over TLS it does not ask to stay there")
	}
	b.add(t, "wang", b.city, console.Commander)
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/login", strings.NewReader(`{"name":"wang","password":"`+password+`"}`))
	r.Header.Set("Content-Type", "application/json")
	w = httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if c := w.Result().Cookies(); len(c) != 1 || c[0].Name != "__Host-zhijiao" || !c[0].Secure {
		t.Errorf("over TLS the cookie is %v", c)
	}
}

// TestTheBeatSaysWhatIsMissing: the stream goes on and tells when a part is not well, and how old the data are.
func TestTheBeatSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "wang", b.city, console.Commander)
	c := u.stream(t, snapshotPos(t, u))
	heard := now.Add(-5 * time.Minute)
	b.exec(t, "UPDATE device_health SET heard_at = $1 WHERE device_id = 1", heard)
	b.exec(t, "INSERT INTO device (serial, class, model, enrolled_at) VALUES ('canary-1', 'phone', 'canary', $1)", now)
	b.exec(t, "INSERT INTO device_health (device_id, heard_at) SELECT device_id, $1 FROM device WHERE model = 'canary'", now)
	m := until(t, c, func(m message) bool { return m.Type == "beat" && m.DataAt != nil })
	if !m.DataAt.Equal(heard) {
		t.Errorf("the canary passes for people: data at %v", m.DataAt)
	}
}
