package console_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"zhijiao/console"
)

// token is the session cookie of a browser.
func (u *user) token(t *testing.T) *http.Cookie {
	t.Helper()
	at, err := url.Parse(u.b.http.URL)
	if err != nil {
		t.Fatal(err)
	}
	all := u.client.Jar.Cookies(at)
	if len(all) != 1 {
		t.Fatalf("%d cookies", len(all))
	}
	return all[0]
}

func (u *user) with(c *http.Cookie) *user {
	other := u.b.browser()
	other.client.Jar = nil
	other.csrf = u.csrf
	other.client.Transport = addCookie{c}
	return other
}

type addCookie struct{ c *http.Cookie }

func (a addCookie) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.AddCookie(a.c)
	return http.DefaultTransport.RoundTrip(r)
}

func TestSessionsRotateAndEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "wang", b.city, console.Commander)
	first := u.token(t)
	if len(first.Value) < 43 {
		t.Errorf("a token of %d characters is guessed sooner than 128 bits", len(first.Value))
	}
	var stored string
	b.scan(t, &stored, "SELECT string_agg(s::text, '') FROM account_session s")
	if strings.Contains(stored, first.Value) {
		t.Error("the token stands in the database")
	}
	u.enter(t, "wang")
	if u.token(t).Value == first.Value {
		t.Error("login kept the token")
	}
	if status, _ := u.with(first).do(t, "GET", "/api/me", nil); status != http.StatusUnauthorized {
		t.Errorf("the token from before login still opens: %d", status)
	}
	last := u.token(t)
	if status, body := u.do(t, "POST", "/api/logout", nil); status/100 != 2 {
		t.Fatalf("logout: %d %s", status, body)
	}
	if status, body := u.with(last).do(t, "GET", "/api/me", nil); status != http.StatusUnauthorized || code(body) != "no_session" {
		t.Errorf("after logout: %d %s", status, body)
	}
}

func TestSessionsExpireOnMachineTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add(t, "li", b.yuekou, console.OfficerRole)
	for name, sql := range map[string]string{
		"idle":     "UPDATE account_session SET seen_at = seen_at - interval '31 minutes'",
		"absolute": "UPDATE account_session SET expires_at = clock_timestamp()",
		"disabled": "UPDATE account SET disabled_at = clock_timestamp()",
	} {
		b.exec(t, "UPDATE account SET disabled_at = NULL")
		u := b.login(t, "li")
		b.clock.Advance(14 * time.Hour) // domain time has no say
		if status, _ := u.do(t, "GET", "/api/alerts", nil); status != http.StatusOK {
			t.Fatalf("%s: before, %d", name, status)
		}
		b.exec(t, sql)
		for _, path := range []string{"/api/alerts", "/api/me", "/api/snapshot"} {
			if status, body := u.do(t, "GET", path, nil); status != http.StatusUnauthorized || code(body) != "no_session" {
				t.Errorf("%s, %s: %d %s", name, path, status, body)
			}
		}
	}
	var lasts float64
	b.scan(t, &lasts, "SELECT extract(epoch FROM max(expires_at - created_at))::float8 / 3600 FROM account_session")
	if lasts > 12.01 {
		t.Errorf("a session may last %.1f hours", lasts)
	}
}

// TestOnlyPeopleKeepASessionAwake: what the page asks by itself does not, and a wall goes on showing without allowing.
func TestOnlyPeopleKeepASessionAwake(t *testing.T) {
	t.Parallel()
	b := setup(t)
	wall := b.user(t, "wall", b.city, console.Commander)
	alert := "/api/alerts/" + itoa(int64(b.raise(t, b.li)))
	const nearly = "UPDATE account_session SET seen_at = clock_timestamp() - interval '29 minutes'"
	age := func() (minutes float64) {
		b.scan(t, &minutes, "SELECT extract(epoch FROM clock_timestamp() - seen_at)::float8 / 60 FROM account_session")
		return minutes
	}
	b.exec(t, nearly)
	for _, path := range []string{"/api/me", "/api/snapshot", "/api/summary"} {
		wall.do(t, "GET", path, nil)
	}
	if got := age(); got < 28 {
		t.Errorf("the page alone woke the session: %v minutes", got)
	}
	wall.do(t, "GET", alert, nil)
	if got := age(); got > 1 {
		t.Errorf("a person did not wake it: %v minutes", got)
	}
	b.exec(t, "UPDATE account_session SET seen_at = clock_timestamp() - interval '31 minutes'")
	c := wall.stream(t, snapshotPos(t, wall))
	until(t, c, func(m message) bool { return m.Type == "beat" })
	for method, path := range map[string]string{"GET": alert, "POST": alert + "/acknowledge"} {
		if status, body := wall.do(t, method, path, map[string]int{"version": 1}); status != http.StatusUnauthorized {
			t.Errorf("%s %s of a wall nobody touched: %d %s", method, path, status, body)
		}
	}
	if got := age(); got < 30 {
		t.Errorf("what was refused woke the session: %v minutes", got)
	}
	if status, body := wall.do(t, "POST", "/api/logout", nil); status != http.StatusOK {
		t.Errorf("the wall cannot be logged out: %d %s", status, body)
	}
	until(t, c, func(m message) bool { return m.Type == "bye" })
}

func TestCookieIsOutOfReach(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add(t, "wang", b.city, console.Commander)
	status, _, res := b.loginFrom(t, "192.0.2.1:1000", "wang", password)
	if status != http.StatusOK {
		t.Fatal(status)
	}
	c := res.Result().Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("cookie %+v", c)
	}
	if got := res.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("caching: %q", got)
	}
}

// loginFrom logs in from an address.
func (b *bench) loginFrom(t *testing.T, address, name, pw string) (int, string, *httptest.ResponseRecorder) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/login", strings.NewReader(`{"name":"`+name+`","password":"`+pw+`"}`))
	r.RemoteAddr = address
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	b.server.ServeHTTP(w, r)
	return w.Code, w.Body.String(), w
}

func TestRefusedLoginsLookAlike(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add(t, "wang", b.city, console.Commander)
	b.add(t, "gone", b.city, console.Commander)
	b.exec(t, "UPDATE account SET disabled_at = clock_timestamp() WHERE name = 'gone'")
	hashes := 0
	b.server.CountHashes(&hashes)
	bodies := map[string]bool{}
	for _, c := range [][2]string{{"nobody", "x"}, {"wang", "wrong"}, {"gone", password}, {"gone", "wrong"}, {"Not A Name", "x"}, {"", ""}} {
		hashes = 0
		status, body, _ := b.loginFrom(t, "192.0.2.9:1", c[0], c[1])
		if status != http.StatusUnauthorized || hashes != 1 {
			t.Errorf("%q: %d after %d hashes", c[0], status, hashes)
		}
		bodies[body] = true
	}
	if len(bodies) != 1 {
		t.Errorf("refusals tell accounts apart: %v", bodies)
	}
}

// TestGuessingIsSlowAndLocksNobodyOut: whoever guesses is stopped, and the owner gets in from elsewhere all the same.
func TestGuessingIsSlowAndLocksNobodyOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add(t, "wang", b.city, console.Commander)
	for _, name := range []string{"wang", "nobody"} { // an account that is not there is stopped just so
		stopped := 0
		for range 7 {
			if status, _, w := b.loginFrom(t, "192.0.2.66:4000", name, "guess"); status == http.StatusTooManyRequests {
				stopped++
				if w.Header().Get("Retry-After") == "" {
					t.Error("it does not say when to come back")
				}
			}
		}
		if stopped != 2 {
			t.Errorf("%s: %d of 7 guesses stopped", name, stopped)
		}
	}
	if status, _, _ := b.loginFrom(t, "192.0.2.66:4000", "wang", password); status != http.StatusTooManyRequests {
		t.Errorf("the guesser's right guess: %d", status)
	}
	if status, body, _ := b.loginFrom(t, "192.0.2.67:4000", "wang", password); status != http.StatusOK {
		t.Errorf("the owner elsewhere: %d %s", status, body)
	}
	b.exec(t, "UPDATE login_failure SET locked_until = clock_timestamp()")
	if status, body, _ := b.loginFrom(t, "192.0.2.66:4000", "wang", password); status != http.StatusOK {
		t.Errorf("after the pause: %d %s", status, body)
	}
	var named bool
	b.scan(t, &named, "SELECT coalesce(string_agg(f::text, '') LIKE '%wang%', false) FROM login_failure f")
	if named {
		t.Error("what was typed as a name is kept as it was typed")
	}
}

// TestManyAddressesAtOnce: guesses at one account from many addresses end, and addresses it is known from stay welcome.
func TestManyAddressesAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add(t, "wang", b.city, console.Commander)
	if status, _, _ := b.loginFrom(t, "192.0.2.1:1", "wang", password); status != http.StatusOK {
		t.Fatal("the owner does not get in")
	}
	b.exec(t, "UPDATE login_failure SET failures = 0")
	b.exec(t, "INSERT INTO login_failure (key, failures, last_at, locked_until) VALUES ($1, 60, clock_timestamp(), clock_timestamp() + interval '5 minutes')",
		console.FailureKey("wang", ""))
	if status, _, _ := b.loginFrom(t, "198.51.100.7:1", "wang", "guess"); status != http.StatusTooManyRequests {
		t.Errorf("one more address guesses: %d", status)
	}
	if status, body, _ := b.loginFrom(t, "192.0.2.1:9", "wang", password); status != http.StatusOK {
		t.Errorf("the owner, from where they were before: %d %s", status, body)
	}
}

func TestForgedRequestsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "wang", b.city, console.Commander)
	alert := "/api/alerts/" + itoa(int64(b.raise(t, b.li)))
	for name, change := range map[string]func(*http.Request){
		"without the token": func(r *http.Request) { r.Header.Del("X-CSRF-Token") },
		"with another":      func(r *http.Request) { r.Header.Set("X-CSRF-Token", "AAAAAAAAAAAAAAAAAAAAAA") },
		"another origin":    func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"no origin at all, cross-site": func(r *http.Request) {
			r.Header.Del("Origin")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		},
	} {
		status, body := u.do(t, "POST", alert+"/acknowledge", map[string]int{"version": 1}, change)
		if status != http.StatusForbidden || (code(body) != "csrf" && code(body) != "cross_origin") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	var state string
	b.scan(t, &state, "SELECT state FROM alert")
	if state != "open" {
		t.Errorf("a forged request made it %s", state)
	}
	for name, change := range map[string]func(http.Header){
		"another origin": func(h http.Header) { h.Set("Origin", "https://evil.example") },
		"no origin":      func(h http.Header) { h.Del("Origin") },
		"another port":   func(h http.Header) { h.Set("Origin", "http://127.0.0.1:1") },
	} {
		if _, res, err := u.socket(t, 0, change); err == nil || res == nil || res.StatusCode != http.StatusForbidden {
			t.Errorf("websocket, %s: %v %v", name, err, res)
		}
	}
}

func TestBadBodiesAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "wang", b.city, console.Commander)
	note := "/api/alerts/" + itoa(int64(b.raise(t, b.li))) + "/note"
	for name, c := range map[string]struct {
		body   any
		status int
	}{
		"unknown field": {map[string]any{"text": "x", "account": 7}, http.StatusBadRequest},
		"wrong type":    {map[string]any{"text": 7}, http.StatusBadRequest},
		"empty":         {map[string]any{"text": "  "}, http.StatusUnprocessableEntity},
		"too long":      {map[string]any{"text": strings.Repeat("x", 5000)}, http.StatusUnprocessableEntity},
		"too large":     {map[string]any{"text": strings.Repeat("x", 1<<20)}, http.StatusRequestEntityTooLarge},
		"nothing":       {nil, http.StatusBadRequest},
		"not an object": {[]int{1}, http.StatusBadRequest},
	} {
		if status, body := u.do(t, "POST", note, c.body); status != c.status || code(body) == "" {
			t.Errorf("%s: %d %.200s", name, status, body)
		}
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{"/", "/alerts/1", "/api/me", "/api/nothing", "/healthz", "/../../etc/passwd", "/assets/nothing.js"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.URL.Path = path
		b.server.ServeHTTP(w, r)
		policy := w.Header().Get("Content-Security-Policy")
		for _, need := range []string{"default-src 'none'", "script-src 'self';", "worker-src 'self';", "style-src 'self';", "connect-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(policy+";", need) {
				t.Errorf("%s: the policy lacks %s", path, need)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("%s: %s", path, policy)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if bytes.Contains(w.Body.Bytes(), []byte("root:")) {
			t.Errorf("%s leaves the front end", path)
		}
		if strings.HasPrefix(path, "/api/") && (w.Header().Get("Cache-Control") != "no-store" || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json")) {
			t.Errorf("%s: %v", path, w.Header())
		}
	}
}
