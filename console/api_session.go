package console

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"zhijiao/internal/clock"
)

type clockView struct {
	Now  time.Time  `json:"now"`
	Kind clock.Kind `json:"kind"`
	Rate float64    `json:"rate"`
}

func (s *Server) clockView() clockView {
	r := s.Clock.Read()
	return clockView{r.Now, r.Kind, r.Rate}
}

type orgRef struct {
	ID        int64  `json:"id"`
	Name      string `json:"name"`
	ShortName string `json:"short_name"`
}

type accountView struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	DisplayName string `json:"display_name"`
	Roles       []Role `json:"roles"`
	Org         orgRef `json:"org"`
	TOTP        bool   `json:"totp"`     // it has a second factor of that kind
	Covering    bool   `json:"covering"` // it covers for others just now
}

// provenView is what the session still has to prove before it may work.
type provenView struct {
	Factor       string  `json:"factor"`
	SecondFactor bool    `json:"second_factor_needed"`
	Password     bool    `json:"password_to_change"`
	Profile      Profile `json:"profile"`
	Least        int     `json:"password_least"`
}

type meView struct {
	Account    accountView       `json:"account"`
	CSRF       string            `json:"csrf"`
	Deployment map[string]string `json:"deployment"`
	Clock      clockView         `json:"clock"`
	Version    string            `json:"version"`
	Proven     provenView        `json:"proven"`
	May        []string          `json:"may"` // the accesses of the route table it has
	Map        mapView           `json:"map"`
}

type mapView struct {
	Center [2]float64 `json:"center"`
	Zoom   float64    `json:"zoom"`
}

func (s *Server) meOf(v session) meView {
	a := v.account
	return meView{
		Account:    accountView{int64(a.ID), a.Name, a.DisplayName, a.Roles, orgRef{int64(a.Org), a.OrgName, a.OrgShort}, a.TOTP, a.Cover != ""},
		CSRF:       v.csrf,
		Deployment: map[string]string{"mode": s.Mode},
		Clock:      s.clockView(),
		Version:    s.Version,
		Proven:     provenView{v.factor, v.policy.SecondFactor && v.factor == factorPassword, v.mustChange, v.policy.Profile, v.policy.Least},
		May:        a.may(),
		Map:        mapView{[2]float64{113.13, 30.64}, 9.3},
	}
}

func (s *Server) me(w http.ResponseWriter, r *request) error {
	writeJSON(w, http.StatusOK, s.meOf(r.session))
	return nil
}

// login opens a session. Whether the name is unknown or the password wrong is not told apart, in words, in time or by who is
// stopped (ASVS 6.3.8).
func (s *Server) login(w http.ResponseWriter, r *request) error {
	var in struct {
		Name     string `json:"name"`
		Password string `json:"password"`
		Code     string `json:"code"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	client := r.client()
	wait := s.limiter.take(client, time.Now())
	if wait <= 0 {
		var err error
		if wait, err = s.locked(r.Context(), in.Name, client); err != nil {
			return err
		}
	}
	if wait > 0 {
		seconds := int(wait/time.Second) + 1
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		return problem{http.StatusTooManyRequests, "too_many_logins", "", map[string]any{"retry_after_s": seconds}}
	}
	c, rehash, err := s.checkLogin(r.Context(), in.Name, in.Password)
	var factor string
	var step int64
	if err == nil {
		factor, step, err = s.secondFactor(r, &c, in.Code)
	}
	if err == nil {
		err = s.enter(w, r, c, in.Name, factor, step, rehash)
	}
	if errors.Is(err, errRefused) {
		if err := s.loginFailed(r.Context(), c, in.Name, client); err != nil {
			return err
		}
		s.Log.Info("login refused", "account_id", int64(c.id), "client", client)
		return problem{http.StatusUnauthorized, "bad_login", "", nil}
	}
	return err
}

// secondFactor is what proves who it is beside the password. An account without one gets in by the password, and no further than the policy lets it.
func (s *Server) secondFactor(r *request, c *candidate, code string) (factor string, step int64, err error) {
	if key := certificateKey(r.Request); key != nil && slices.ContainsFunc(c.keys, func(k []byte) bool { return bytes.Equal(k, key) }) {
		return factorCertificate, 0, nil
	}
	switch {
	case c.totp == nil && len(c.keys) > 0:
		return "", 0, problem{http.StatusUnauthorized, "certificate_needed", "", nil}
	case c.totp == nil:
		return factorPassword, 0, nil
	case code == "":
		return "", 0, problem{http.StatusUnauthorized, "code_needed", "", nil}
	}
	secret, err := s.openTOTP((&account{ID: c.id}).totpContext(), c.totp)
	if err != nil {
		return "", 0, err
	}
	if step = totpStep(secret, code, time.Now(), c.totpStep); step == 0 {
		return "", 0, errRefused
	}
	return factorTOTP, step, nil
}

// enter opens the session of somebody who proved who they are, under a new token: what a browser brought along ends (session fixation).
func (s *Server) enter(w http.ResponseWriter, r *request, c candidate, name, factor string, step int64, rehash string) error {
	v, err := s.enterBy(w, r, c, name, factor, step, rehash)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, s.meOf(v))
	return nil
}

// enterBy is enter that leaves the answer to its caller.
func (s *Server) enterBy(w http.ResponseWriter, r *request, c candidate, name, factor string, step int64, rehash string) (session, error) {
	earlier, _ := s.tokenHash(r.Request)
	token, err := s.openSession(r.Context(), c, name, r.client(), factor, step, earlier, rehash)
	if err != nil {
		return session{}, err
	}
	if earlier != nil {
		s.hub.dropSession(earlier)
	}
	s.limiter.clear(r.client())
	v, err := s.session(r.Context(), sumOf(token), false)
	if err != nil {
		return session{}, err
	}
	s.setCookie(w, token, int(sessionMost.Seconds()))
	return v, nil
}

var errRefused = errors.New("login refused")

// checkLogin computes one hash whatever is asked. rehash is the hash to keep from now on, where the old one is of another
// kind.
func (s *Server) checkLogin(ctx context.Context, name, password string) (c candidate, rehash string, err error) {
	c.phc = s.decoy
	if len(password) > passwordMost {
		password = "" // it is nobody's
	}
	known := accountName.MatchString(name)
	if known {
		found, err := s.candidate(ctx, name)
		switch {
		case err == nil:
			c = found
		case errors.Is(err, errNoAccount):
			known = false
		default:
			return c, "", err
		}
	}
	ok, stale, err := s.hasher.check(ctx, password, c.phc)
	if err != nil {
		return c, "", err
	}
	if !ok || !known {
		return c, "", errRefused
	}
	if stale {
		rehash, err = s.hasher.hash(ctx, password)
	}
	return c, rehash, err
}

// accountName is what the database takes for one.
var accountName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,62}$`)

func (s *Server) logout(w http.ResponseWriter, r *request) error {
	if err := s.endSession(r.Context(), &r.session); err != nil {
		return err
	}
	s.hub.dropSession(r.session.hash)
	s.setCookie(w, "", -1)
	writeJSON(w, http.StatusOK, map[string]bool{"ok": true})
	return nil
}
