package console

import (
	"context"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"zhijiao/internal/id"
)

// access is who may use a route.
type access int

const (
	anyone   access = iota // without a session
	loggedIn               // any account
	caseWork               // accounts that see cases
)

// request is one request behind the guard.
type request struct {
	*http.Request
	session session
}

// scope is the organisation that bounds all the account sees.
func (r *request) scope() id.Org { return r.session.account.Org }

// pathID is a number in the path; ok is false where it is none.
func (r *request) pathID(name string) (int64, bool) {
	n, err := strconv.ParseInt(r.PathValue(name), 10, 64)
	return n, err == nil && n > 0
}

// client is the address a request came from.
func (r *request) client() string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// route is a row of the table.
type route struct {
	method, path string
	access       access
	handle       func(s *Server, w http.ResponseWriter, r *request) error
	// quiet routes are asked for by the page itself, again and again: they keep no session awake, and a wall that nobody
	// has touched for long may go on asking.
	quiet bool
}

// changes reports whether the route changes something, and so needs the token against forged requests.
func (rt route) changes() bool { return rt.method != http.MethodGet }

// routes is every route of the API.
func (s *Server) routes() []route {
	return []route{
		{"POST", "/api/login", anyone, (*Server).login, false},
		{"POST", "/api/logout", loggedIn, (*Server).logout, true}, // of a wall nobody touched as well
		{"GET", "/api/me", loggedIn, (*Server).me, true},
		{"GET", "/api/snapshot", caseWork, (*Server).snapshot, true},
		{"GET", "/api/summary", caseWork, (*Server).summary, true},
		{"GET", "/api/accounting", loggedIn, (*Server).accounting, false},
		{"GET", "/api/alerts", caseWork, (*Server).listAlerts, false},
		{"GET", "/api/alerts/{alert}", caseWork, (*Server).getAlert, false},
		{"POST", "/api/alerts/{alert}/acknowledge", caseWork, (*Server).acknowledgeAlert, false},
		{"POST", "/api/alerts/{alert}/note", caseWork, (*Server).noteAlert, false},
		{"POST", "/api/alerts/{alert}/close", caseWork, (*Server).closeAlert, false},
		{"POST", "/api/alerts/{alert}/attachment", caseWork, (*Server).attachmentOf, false},
		{"GET", "/api/outages", caseWork, (*Server).listOutages, true},
		{"POST", "/api/outages", caseWork, (*Server).declareOutage, false},
		{"POST", "/api/outages/{outage}/end", caseWork, (*Server).endOutage, false},
		{"POST", "/api/outages/{outage}/people/{subject}/verify", caseWork, (*Server).verifyOutage, false},
		{"GET", "/api/devices", caseWork, (*Server).listDevices, true},
		{"GET", "/api/subjects/{subject}/track", caseWork, (*Server).track, false},
		{"GET", "/api/subjects/{subject}/legal", caseWork, (*Server).getLegal, false},
		{"POST", "/api/subjects/{subject}/proceedings", caseWork, (*Server).openProceeding, false},
		{"POST", "/api/subjects/{subject}/sentence", caseWork, (*Server).putSentence, false},
		{"POST", "/api/subjects/{subject}/sanctions", caseWork, (*Server).putSanction, false},
		{"POST", "/api/subjects/{subject}/prohibitions", caseWork, (*Server).putProhibition, false},
		{"POST", "/api/subjects/{subject}/suspensions", caseWork, (*Server).putSuspension, false},
		{"POST", "/api/subjects/{subject}/suspensions/{suspension}/end", caseWork, (*Server).endSuspension, false},
		{"GET", "/api/proceedings", caseWork, (*Server).listProceedings, true},
		{"GET", "/api/proceedings/{proceeding}", caseWork, (*Server).getProceeding, false},
		{"POST", "/api/proceedings/{proceeding}/steps", caseWork, (*Server).takeStep, false},
		{"POST", "/api/tasks/{task}/done", caseWork, (*Server).finishTask, false},
		{"GET", "/api/periods", caseWork, (*Server).getPeriods, false},
		{"GET", "/api/calendar", caseWork, (*Server).listCalendars, false},
		{"GET", "/api/calendar/{year}", caseWork, (*Server).getCalendar, false},
		{"PUT", "/api/calendar/{year}", caseWork, (*Server).putCalendar, false},
		{"POST", "/api/calendar/read", caseWork, (*Server).readCalendar, false},
		{"GET", "/api/schedules", caseWork, (*Server).listSchedules, false},
		{"GET", "/ws", caseWork, (*Server).websocket, true},
	}
}

// guard lets a request through to its route: session, role, token against forged requests, time limit.
func (s *Server) guard(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		began := time.Now()
		r := &request{Request: hr}
		err := s.admit(r, rt)
		if err == nil {
			if rt.path != "/ws" {
				ctx, cancel := context.WithTimeout(hr.Context(), requestTime)
				defer cancel()
				r.Request = hr.WithContext(ctx)
			}
			err = rt.handle(s, w, r)
		}
		if err != nil {
			s.failWith(w, hr, err)
		}
		if rt.path != "/ws" { // it is as long as somebody watches
			s.metrics.request.WithLabelValues(rt.method, rt.path).Observe(time.Since(began).Seconds())
		}
	})
}

func (s *Server) admit(r *request, rt route) error {
	if rt.access == anyone {
		return nil
	}
	hash, ok := s.tokenHash(r.Request)
	if !ok {
		return problem{http.StatusUnauthorized, "no_session", "", nil}
	}
	var err error
	if r.session, err = s.session(r.Context(), hash, !rt.quiet); errors.Is(err, errNoSession) {
		return problem{http.StatusUnauthorized, "no_session", "", nil}
	} else if err != nil {
		return err
	}
	if r.session.idle && !(rt.quiet && r.session.account.is(wallRole)) {
		return problem{http.StatusUnauthorized, "no_session", "", map[string]any{"idle": true}}
	}
	if rt.changes() && subtle.ConstantTimeCompare([]byte(r.Header.Get("X-CSRF-Token")), []byte(r.session.csrf)) != 1 {
		return problem{http.StatusForbidden, "csrf", "", nil}
	}
	if rt.access == caseWork && !r.session.account.is(caseRoles...) {
		return problem{http.StatusForbidden, "no_case_data", "", nil}
	}
	return nil
}

// cookieName carries the prefix that binds a cookie to this host where TLS makes that possible.
func (s *Server) cookieName() string {
	if s.Secure {
		return "__Host-zhijiao"
	}
	return "zhijiao"
}

func (s *Server) tokenHash(r *http.Request) ([]byte, bool) {
	c, err := r.Cookie(s.cookieName())
	if err != nil || c.Value == "" {
		return nil, false
	}
	return sumOf(c.Value), true
}

func (s *Server) setCookie(w http.ResponseWriter, token string, maxAge int) {
	http.SetCookie(w, &http.Cookie{Name: s.cookieName(), Value: token, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: s.Secure, SameSite: http.SameSiteStrictMode})
}
