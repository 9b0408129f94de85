package console

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"zhijiao/internal/crypto"
)

// SingleSignOn is the site's identity provider (OpenID Connect Core 1.0, authorization code flow with PKCE). Who somebody is there and here is
// joined by hand (`zhijiao officer single-sign-on`): no account is made by logging in, and no role is taken from there.
type SingleSignOn struct {
	Name     string // what the button says
	Issuer   string
	ClientID string
	Secret   string
	Redirect string // the address of /api/sso/callback as browsers reach it
	Client   *http.Client

	mu       sync.Mutex
	provider *oidc.Provider
}

const (
	ssoTime    = 10 * time.Minute // somebody may take to log in there
	ssoAnswer  = 10 * time.Second // the provider may take to answer
	ssoSkew    = time.Minute      // by which its clock may be off
	ssoContext = "single sign-on"
)

// discover asks the provider where things are, once it answers.
func (o *SingleSignOn) discover(ctx context.Context) (*oidc.Provider, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.provider == nil {
		// The provider keeps this context for its keys: it must not end with the request.
		p, err := oidc.NewProvider(o.context(context.WithoutCancel(ctx)), o.Issuer)
		if err != nil {
			return nil, fmt.Errorf("ask the identity provider where it is: %w", err)
		}
		o.provider = p
	}
	return o.provider, nil
}

func (o *SingleSignOn) context(ctx context.Context) context.Context {
	client := o.Client
	if client == nil {
		client = &http.Client{Timeout: ssoAnswer}
	}
	return oidc.ClientContext(ctx, client)
}

func (o *SingleSignOn) config(p *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{ClientID: o.ClientID, ClientSecret: o.Secret, Endpoint: p.Endpoint(), RedirectURL: o.Redirect, Scopes: []string{oidc.ScopeOpenID}}
}

// errand is what the browser carries, sealed, while somebody is at the provider.
type errand struct {
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"`
	Began    time.Time `json:"began"`             // machine time
	Session  []byte    `json:"session,omitempty"` // whose holder proves once more who they are; empty: a login
}

// errandCookie is sent when the provider sends the browser back, as the session's own (SameSite=Strict) is not.
func (s *Server) errandCookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: s.cookieName() + "-sso", Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: s.Secure, SameSite: http.SameSiteLaxMode}
}

// loginWays says how one may log in beside name and password.
func (s *Server) loginWays(w http.ResponseWriter, _ *request) error {
	name := ""
	if s.SingleSignOn != nil {
		name = s.SingleSignOn.Name
	}
	writeJSON(w, http.StatusOK, map[string]string{"single_sign_on": name})
	return nil
}

// ssoLogin sends the browser to the provider.
func (s *Server) ssoLogin(w http.ResponseWriter, r *request) error { return s.ssoBegin(w, r, nil) }

// ssoAgain sends it there for whoever sits there to prove once more who they are.
func (s *Server) ssoAgain(w http.ResponseWriter, r *request) error {
	return s.ssoBegin(w, r, r.session.hash)
}

func (s *Server) ssoBegin(w http.ResponseWriter, r *request, session []byte) error {
	if s.SingleSignOn == nil {
		return problem{http.StatusNotFound, "not_found", "", nil}
	}
	p, err := s.SingleSignOn.discover(r.Context())
	if err != nil {
		s.Log.Warn("single sign-on cannot be reached", "err", err)
		return s.ssoBack(w, r, "unreachable")
	}
	e := errand{State: randomToken(16), Nonce: randomToken(16), Verifier: oauth2.GenerateVerifier(), Began: time.Now(), Session: session}
	doc, err := json.Marshal(e)
	if err != nil {
		return err
	}
	sealed, err := s.Keys.Seal(crypto.SecondFactor, ssoContext, doc)
	if err != nil {
		return err
	}
	http.SetCookie(w, s.errandCookie(base64.RawURLEncoding.EncodeToString(sealed), int(ssoTime.Seconds())))
	options := []oauth2.AuthCodeOption{oidc.Nonce(e.Nonce), oauth2.S256ChallengeOption(e.Verifier)}
	if session != nil {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	http.Redirect(w, r.Request, s.SingleSignOn.config(p).AuthCodeURL(e.State, options...), http.StatusFound)
	return nil
}

// ssoBack shows the page again, with what became of it.
func (s *Server) ssoBack(w http.ResponseWriter, r *request, what string) error {
	http.Redirect(w, r.Request, "/login?"+url.Values{"sso": {what}}.Encode(), http.StatusFound)
	return nil
}

// ssoCallback is where the provider sends the browser.
func (s *Server) ssoCallback(w http.ResponseWriter, r *request) error {
	if s.SingleSignOn == nil {
		return problem{http.StatusNotFound, "not_found", "", nil}
	}
	if wait := s.limiter.take(r.client(), time.Now()); wait > 0 {
		return s.ssoBack(w, r, "too_many")
	}
	e, err := s.errandOf(r)
	http.SetCookie(w, s.errandCookie("", -1)) // it is good once
	if err != nil {
		s.Log.Info("single sign-on refused", "client", r.client(), "err", err)
		return s.ssoBack(w, r, "expired")
	}
	subject, authAt, err := s.ssoSubject(r, e)
	if err != nil {
		s.Log.Info("single sign-on refused", "client", r.client(), "err", err)
		return s.ssoBack(w, r, "refused")
	}
	c, name, err := s.candidateOf(r.Context(), SingleSignOnKey(s.SingleSignOn.Issuer, subject))
	if errors.Is(err, errNoAccount) {
		s.Log.Info("single sign-on refused: nobody here is who they are there", "client", r.client())
		return s.ssoBack(w, r, "unknown")
	}
	if err != nil {
		return err
	}
	if e.Session == nil {
		if _, err := s.enterBy(w, r, c, name, factorSSO, 0, ""); err != nil {
			return err
		}
		http.Redirect(w, r.Request, "/", http.StatusFound)
		return nil
	}
	v, err := s.session(r.Context(), e.Session, false)
	if errors.Is(err, errNoSession) {
		return s.ssoBack(w, r, "expired")
	}
	if err != nil {
		return err
	}
	if v.account.ID != c.id || authAt.Before(e.Began.Add(-ssoSkew)) { // it is somebody else, or the provider did not ask
		return s.ssoBack(w, r, "refused")
	}
	if err := s.stepped(r.Context(), &v, 0, r.client()); err != nil {
		return err
	}
	return s.ssoBack(w, r, "proved")
}

// errandOf is what the browser carried, if that is what it was given for this answer.
func (s *Server) errandOf(r *request) (e errand, err error) {
	c, err := r.Cookie(s.errandCookie("", 0).Name)
	if err != nil {
		return e, errors.New("no errand")
	}
	sealed, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return e, fmt.Errorf("read the errand: %w", err)
	}
	doc, err := s.Keys.Open(crypto.SecondFactor, ssoContext, sealed)
	if err != nil {
		return e, fmt.Errorf("open the errand: %w", err)
	}
	if err := json.Unmarshal(doc, &e); err != nil {
		return e, fmt.Errorf("read the errand: %w", err)
	}
	switch {
	case time.Since(e.Began) > ssoTime:
		return e, errors.New("the errand is too old")
	case subtle.ConstantTimeCompare([]byte(e.State), []byte(r.URL.Query().Get("state"))) != 1:
		return e, errors.New("the answer is to another errand")
	}
	return e, nil
}

// ssoSubject is who the provider says it is, and when it asked them.
func (s *Server) ssoSubject(r *request, e errand) (subject string, authAt time.Time, err error) {
	o, q := s.SingleSignOn, r.URL.Query()
	if q.Get("code") == "" {
		return "", authAt, errors.New("the provider gave no code") // its own words may hold anything
	}
	p, err := o.discover(r.Context())
	if err != nil {
		return "", authAt, err
	}
	ctx := o.context(r.Context())
	token, err := o.config(p).Exchange(ctx, q.Get("code"), oauth2.VerifierOption(e.Verifier))
	if err != nil {
		var refused *oauth2.RetrieveError
		if errors.As(err, &refused) {
			err = fmt.Errorf("status %d", refused.Response.StatusCode) // the rest may hold tokens
		}
		return "", authAt, fmt.Errorf("exchange the code: %w", err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return "", authAt, errors.New("the provider gave no id_token")
	}
	id, err := p.Verifier(&oidc.Config{ClientID: o.ClientID}).Verify(ctx, raw)
	if err != nil {
		return "", authAt, fmt.Errorf("verify the id_token: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(e.Nonce)) != 1 {
		return "", authAt, errors.New("the id_token answers another errand")
	}
	var claims struct {
		AuthTime int64 `json:"auth_time"`
	}
	if err := id.Claims(&claims); err != nil {
		return "", authAt, fmt.Errorf("read the id_token: %w", err)
	}
	return id.Subject, time.Unix(claims.AuthTime, 0), nil
}

// SingleSignOnKey is how an account is joined with somebody at a provider.
func SingleSignOnKey(issuer, subject string) string {
	return strings.TrimSuffix(issuer, "/") + " " + subject
}
