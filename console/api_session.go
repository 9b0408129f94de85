package console

import (
	"context"
	"errors"
	"net/http"
	"regexp"
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
}

type meView struct {
	Account    accountView       `json:"account"`
	CSRF       string            `json:"csrf"`
	Deployment map[string]string `json:"deployment"`
	Clock      clockView         `json:"clock"`
	Version    string            `json:"version"`
	Map        mapView           `json:"map"`
}

type mapView struct {
	Center [2]float64 `json:"center"`
	Zoom   float64    `json:"zoom"`
}

func (s *Server) meOf(v session) meView {
	a := v.account
	return meView{
		Account:    accountView{int64(a.ID), a.Name, a.DisplayName, a.Roles, orgRef{int64(a.Org), a.OrgName, a.OrgShort}},
		CSRF:       v.csrf,
		Deployment: map[string]string{"mode": s.Mode},
		Clock:      s.clockView(),
		Version:    s.Version,
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
	if errors.Is(err, errRefused) {
		if err := s.loginFailed(r.Context(), in.Name, client); err != nil {
			return err
		}
		s.Log.Info("login refused", "account_id", int64(c.id), "client", client)
		return problem{http.StatusUnauthorized, "bad_login", "", nil}
	}
	if err != nil {
		return err
	}
	earlier, _ := s.tokenHash(r.Request)
	token, err := s.openSession(r.Context(), c, in.Name, client, earlier, rehash)
	if err != nil {
		return err
	}
	if earlier != nil {
		s.hub.dropSession(earlier)
	}
	s.limiter.clear(client)
	v, err := s.session(r.Context(), sumOf(token), false)
	if err != nil {
		return err
	}
	s.setCookie(w, token, int(sessionMost.Seconds()))
	writeJSON(w, http.StatusOK, s.meOf(v))
	return nil
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
	if err := s.endSession(r.Context(), r.session.hash); err != nil {
		return err
	}
	s.hub.dropSession(r.session.hash)
	s.setCookie(w, "", -1)
	writeJSON(w, http.StatusOK, map[string]bool{"ok": true})
	return nil
}
