package console

import (
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

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

// login opens a session. Whether the name is unknown, the password wrong or the account locked is not told apart, in words
// or in time (ASVS 6.3.8).
func (s *Server) login(w http.ResponseWriter, r *request) error {
	var in struct {
		Name     string `json:"name"`
		Password string `json:"password"`
	}
	if err := readJSON(r, &in); err != nil {
		return err
	}
	client, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		client = r.RemoteAddr
	}
	if wait := s.limiter.take(client, time.Now()); wait > 0 {
		return problem{http.StatusTooManyRequests, "too_many_logins", "", map[string]any{"retry_after_s": int(wait.Seconds()) + 1}}
	}
	bad := problem{http.StatusUnauthorized, "bad_login", "", nil}
	c, err := s.candidate(r.Context(), in.Name)
	if errors.Is(err, pgx.ErrNoRows) {
		_, _, _ = s.hasher.check(r.Context(), in.Password, s.decoy)
		return bad
	}
	if err != nil {
		return err
	}
	ok, stale, err := s.hasher.check(r.Context(), in.Password, c.phc)
	if err != nil {
		return err
	}
	if !ok || c.locked {
		if !ok {
			if err := s.loginFailed(r.Context(), c.id); err != nil {
				return err
			}
		}
		s.Log.Info("login refused", "account_id", int64(c.id), "locked", c.locked)
		return bad
	}
	rehash := ""
	if stale {
		if rehash, err = s.hasher.hash(r.Context(), in.Password); err != nil {
			return err
		}
	}
	earlier, _ := s.tokenHash(r.Request)
	token, err := s.openSession(r.Context(), c.id, client, earlier, rehash)
	if err != nil {
		return err
	}
	s.limiter.clear(client)
	s.setCookie(w, token, int(sessionMost.Seconds()))
	v, err := s.session(r.Context(), sumOf(token))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, s.meOf(v))
	return nil
}

func (s *Server) logout(w http.ResponseWriter, r *request) error {
	if err := s.endSession(r.Context(), r.session.hash); err != nil {
		return err
	}
	s.hub.dropSession(r.session.hash)
	s.setCookie(w, "", -1)
	writeJSON(w, http.StatusOK, map[string]bool{"ok": true})
	return nil
}
