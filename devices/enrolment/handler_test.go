package enrolment

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"zhijiao/devices"
)

// R40: what is refused is answered alike, and tries are limited by address and altogether.
func TestHandler_R40(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	h := New(Options{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
		Exchange: func(_ context.Context, serial devices.Serial, code string) (string, error) {
			switch {
			case serial == "DOWN":
				return "", errors.New("database at 10.0.0.1 is away")
			case serial == "WB-1" && code == "right":
				return "the secret", nil
			}
			return "", devices.ErrCode
		}})
	ask := func(method, path, from, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.RemoteAddr = from + ":1"
		r.Header.Set("X-Forwarded-For", "192.0.2.99") // counts for nothing
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Error("may be stored")
		}
		return w
	}
	for _, c := range []struct {
		method, path, body string
		want               int
		answer             string
	}{
		{"POST", Path, `{"serial":"WB-1","code":"right"}`, 200, `{"serial":"WB-1","secret":"the secret"}`},
		{"POST", Path, `{"serial":"WB-1","code":"wrong"}`, 403, `{"error":"refused"}`},
		{"POST", Path, `{"serial":"NOBODY","code":"right"}`, 403, `{"error":"refused"}`},
		{"POST", Path, `{"serial":"DOWN","code":"right"}`, 503, `{"error":"unavailable"}`},
		{"POST", Path, `{"serial":"a/b","code":"right"}`, 400, `{"error":"malformed"}`},
		{"POST", Path, `{"serial":"WB-1"}`, 400, `{"error":"malformed"}`},
		{"POST", Path, `{"serial":"WB-1","code":"` + strings.Repeat("x", 2000) + `"}`, 400, `{"error":"malformed"}`},
		{"GET", Path, ``, 405, `{"error":"method"}`},
		{"POST", "/", `{"serial":"WB-1","code":"right"}`, 404, `{"error":"not_found"}`},
	} {
		if w := ask(c.method, c.path, "192.0.2.1", c.body); w.Code != c.want || strings.TrimSpace(w.Body.String()) != c.answer {
			t.Errorf("%s %s %.40s: %d %s", c.method, c.path, c.body, w.Code, w.Body)
		}
	}
	wrong := `{"serial":"WB-1","code":"wrong"}`
	for range addressBurst {
		if w := ask("POST", Path, "192.0.2.2", wrong); w.Code != http.StatusForbidden {
			t.Fatal(w.Code)
		}
	}
	if w := ask("POST", Path, "192.0.2.2", `{"serial":"WB-1","code":"right"}`); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "30" {
		t.Errorf("%d after %q", w.Code, w.Header().Get("Retry-After"))
	}
	if w := ask("POST", Path, "192.0.2.3", wrong); w.Code != http.StatusForbidden {
		t.Errorf("another address: %d", w.Code)
	}
	now = now.Add(addressEvery)
	if w := ask("POST", Path, "192.0.2.2", wrong); w.Code != http.StatusForbidden {
		t.Errorf("after a while: %d", w.Code)
	}
}

// R40: many addresses together are bounded, and so is what is remembered of them.
func TestLimiter_R40(t *testing.T) {
	t.Parallel()
	l := limiter{seen: map[string]bucket{}}
	now := time.Unix(0, 0)
	taken := 0
	for i := range 3 * wholeBurst {
		if l.take(string(rune('a'+i)), now) == 0 {
			taken++
		}
	}
	if taken != wholeBurst {
		t.Errorf("%d tries at once", taken)
	}
	for i := range addressesMax + 10 {
		now = now.Add(wholeEvery)
		if wait := l.take(string(rune(0x4e00+i)), now); wait != 0 {
			t.Fatalf("try %d waits %v", i, wait)
		}
	}
	if len(l.seen) > addressesMax {
		t.Errorf("%d addresses remembered", len(l.seen))
	}
}
