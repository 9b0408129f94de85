package console_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"zhijiao/console"
)

// provider is an identity provider: what OpenID Connect Core 1.0 says of the authorization code flow, for one person.
type provider struct {
	*httptest.Server
	key     *rsa.PrivateKey
	subject string
	asked   url.Values     // of the last authorization request
	claims  map[string]any // instead of what is true
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	published := key.PublicKey
	p := &provider{key: key, subject: "u-1"}
	answer := func(w http.ResponseWriter, doc any) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(doc); err != nil {
			t.Error(err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &published, KeyID: "1", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("GET /auth", func(w http.ResponseWriter, r *http.Request) {
		p.asked = r.URL.Query()
		http.Redirect(w, r, p.asked.Get("redirect_uri")+"?"+url.Values{"code": {"good"}, "state": {p.asked.Get("state")}}.Encode(), http.StatusFound)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		if id != "console" || secret != "a-secret-of-sixteen" || r.PostFormValue("code") != "good" || base64.RawURLEncoding.EncodeToString(sum[:]) != p.asked.Get("code_challenge") {
			http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
			return
		}
		claims := map[string]any{"iss": p.URL, "sub": p.subject, "aud": "console", "nonce": p.asked.Get("nonce"), "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(), "auth_time": time.Now().Unix()}
		maps.Copy(claims, p.claims)
		doc, err := json.Marshal(claims)
		if err != nil {
			t.Error(err)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "1"}}, nil)
		if err != nil {
			t.Error(err)
			return
		}
		jws, err := signer.Sign(doc)
		if err != nil {
			t.Error(err)
			return
		}
		token, err := jws.CompactSerialize()
		if err != nil {
			t.Error(err)
		}
		answer(w, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": token})
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// follow follows a link as a browser does, and returns where it ends up.
func (u *user) follow(t *testing.T, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", u.b.http.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := u.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return strings.TrimPrefix(res.Request.URL.String(), u.b.http.URL)
}

// TestSingleSignOn_R108: who is somebody at the site's provider is let in as the account that was joined with them, under a second factor that is the
// provider's to ask for; answers that are forged, replayed, of another errand or of nobody known here open nothing; who sits there can prove
// it again there.
func TestSingleSignOn_R108(t *testing.T) {
	b := setup(t)
	p := newProvider(t)
	b.server.SingleSignOn = &console.SingleSignOn{Name: "统一身份认证", Issuer: p.URL, ClientID: "console", Secret: "a-secret-of-sixteen", Redirect: b.http.URL + "/api/sso/callback"}
	b.add(t, "wei.chen", b.yuekou, console.OfficerRole)
	b.demandTwoFactors(t)
	u := b.browser()
	var ways map[string]string
	if u.get(t, "/api/login", &ways); ways["single_sign_on"] != "统一身份认证" {
		t.Errorf("the login page offers %v", ways)
	}
	if end := u.follow(t, "/api/sso"); end != "/login?sso=unknown" {
		t.Fatalf("nobody here is joined with them: %s", end)
	}
	key := console.SingleSignOnKey(p.URL, "u-1")
	if err := console.JoinSingleSignOn(t.Context(), b.pool, now, "wei.chen", &key); err != nil {
		t.Fatal(err)
	}
	if err := console.JoinSingleSignOn(t.Context(), b.pool, now, "nobody", &key); err == nil {
		t.Error("an account that is none was joined")
	}
	if end := u.follow(t, "/api/sso"); end != "/" {
		t.Fatalf("login: %s", end)
	}
	if p.asked.Get("code_challenge_method") != "S256" || p.asked.Get("nonce") == "" || len(p.asked.Get("state")) < 20 {
		t.Errorf("asked with %v", p.asked)
	}
	u.get(t, "/api/me", &u.me)
	u.csrf, _ = u.me["csrf"].(string)
	if proven := u.me["proven"].(map[string]any); proven["factor"] != "single_sign_on" || proven["second_factor_needed"] != false {
		t.Errorf("proven: %v", proven)
	}
	u.get(t, "/api/alerts", &map[string]any{})

	// After a quarter of an hour, what is grave needs proof again; the password of the platform is not asked of who never had to know it.
	b.exec(t, "UPDATE account_session SET stepped_at = clock_timestamp() - interval '1 hour' WHERE ended_at IS NULL")
	sentence := fmt.Sprintf("/api/subjects/%d/sentence", b.li)
	if status, body := u.do(t, "POST", sentence, map[string]any{}); status != http.StatusForbidden || !strings.Contains(string(body), `"single_sign_on"`) {
		t.Errorf("without proof: %d %s", status, body)
	}
	p.claims = map[string]any{"auth_time": time.Now().Add(-time.Hour).Unix()}
	if end := u.follow(t, "/api/sso/again"); end != "/login?sso=refused" {
		t.Errorf("a login of an hour ago proves who sits there: %s", end)
	}
	p.claims, p.subject = nil, "u-2"
	if end := u.follow(t, "/api/sso/again"); end != "/login?sso=unknown" {
		t.Errorf("somebody else proves who sits there: %s", end)
	}
	p.subject = "u-1"
	if end := u.follow(t, "/api/sso/again"); end != "/login?sso=proved" || p.asked.Get("prompt") != "login" || p.asked.Get("max_age") != "0" {
		t.Errorf("proof: %s, asked with %v", end, p.asked)
	}
	if status, body := u.do(t, "POST", sentence, map[string]any{}); status == http.StatusForbidden {
		t.Errorf("after proof: %d %s", status, body)
	}

	// What is forged opens nothing.
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good := p.key
	for name, forge := range map[string]func(){
		"for another client": func() { p.claims = map[string]any{"aud": "another"} },
		"of another issuer":  func() { p.claims = map[string]any{"iss": "https://another"} },
		"of another errand":  func() { p.claims = map[string]any{"nonce": "another"} },
		"that is over":       func() { p.claims = map[string]any{"exp": time.Now().Add(-time.Hour).Unix()} },
		"signed by another":  func() { *p.key = *other },
	} {
		saved := *good
		forge()
		v := b.browser()
		if end := v.follow(t, "/api/sso"); end != "/login?sso=refused" {
			t.Errorf("a token %s: %s", name, end)
		}
		if status, _ := v.do(t, "GET", "/api/me", nil); status != http.StatusUnauthorized {
			t.Errorf("a token %s opened a session", name)
		}
		*p.key, p.claims = saved, nil
	}
	// An answer is good for the browser that asked, and once.
	victim := b.browser()
	if end := victim.follow(t, "/api/sso/callback?"+url.Values{"code": {"good"}, "state": {p.asked.Get("state")}}.Encode()); end != "/login?sso=expired" {
		t.Errorf("an answer that somebody else asked for: %s", end)
	}
	if end := u.follow(t, "/api/sso/callback?"+url.Values{"code": {"good"}, "state": {p.asked.Get("state")}}.Encode()); end != "/login?sso=expired" {
		t.Errorf("an answer twice: %s", end)
	}
	b.exec(t, "UPDATE account SET disabled_at = clock_timestamp() WHERE name = 'wei.chen'")
	if end := b.browser().follow(t, "/api/sso"); end != "/login?sso=unknown" {
		t.Errorf("an account that is disabled: %s", end)
	}
	var n int
	if b.scan(t, &n, "SELECT count(*) FROM ledger WHERE kind = 'account.single_sign_on_set'"); n != 1 {
		t.Errorf("the ledger says %d times that an account was joined", n)
	}
	p.Close()
	b.server.SingleSignOn = &console.SingleSignOn{Issuer: p.URL, Redirect: b.http.URL + "/api/sso/callback"}
	if end := b.browser().follow(t, "/api/sso"); end != "/login?sso=unreachable" {
		t.Errorf("a provider that is away: %s", end)
	}
}
