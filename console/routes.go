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
	"zhijiao/internal/rowsec"
)

// request is one request behind the guard.
type request struct {
	*http.Request
	session session
}

// scope bounds all the account sees.
func (r *request) scope() id.Org { return r.session.account.Scope }

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
	manner       manner
}

// manner is how a route is asked for.
type manner int

const (
	// quiet routes are asked for by the page itself, again and again: they keep no session awake, and a wall that nobody
	// has touched for long may go on asking.
	quiet manner = 1 << iota
	// stepUp routes change somebody's liberty, or take data out of the house: whoever sits there proves who they are once more, unless they
	// just did (stepUpFor).
	stepUp
	// unproven routes are open before the second factor that the policy asks for is set up, and while the password has to be changed.
	unproven
)

// changes reports whether the route changes something, and so needs the token against forged requests.
func (rt route) changes() bool { return rt.method != http.MethodGet }

// routes is every route of the API.
func (s *Server) routes() []route {
	return []route{
		{"POST", "/api/login", anyone, (*Server).login, 0},
		{"GET", "/api/login", anyone, (*Server).loginWays, 0},
		{"GET", "/api/sso", anyone, (*Server).ssoLogin, 0},
		{"GET", "/api/sso/again", loggedIn, (*Server).ssoAgain, unproven},
		{"GET", "/api/sso/callback", anyone, (*Server).ssoCallback, 0},
		{"POST", "/api/logout", loggedIn, (*Server).logout, quiet | unproven}, // of a wall nobody touched as well
		{"GET", "/api/me", loggedIn, (*Server).me, quiet | unproven},
		{"POST", "/api/me/step-up", loggedIn, (*Server).stepUp, unproven},
		{"PUT", "/api/me/password", loggedIn, (*Server).changePassword, unproven},
		{"POST", "/api/me/totp", loggedIn, (*Server).offerTOTP, unproven},
		{"PUT", "/api/me/totp", loggedIn, (*Server).confirmTOTP, unproven},
		{"GET", "/api/me/sessions", loggedIn, (*Server).listSessions, 0},
		{"POST", "/api/me/sessions/end", loggedIn, (*Server).endOtherSessions, 0},
		{"GET", "/api/snapshot", watch, (*Server).snapshot, quiet},
		{"GET", "/api/summary", watch, (*Server).summary, quiet},
		{"GET", "/api/accounting", loggedIn, (*Server).accounting, 0},
		{"GET", "/api/alerts", readCases, (*Server).listAlerts, 0},
		{"GET", "/api/alerts/{alert}", readCases, (*Server).getAlert, 0},
		{"POST", "/api/alerts/{alert}/acknowledge", handle, (*Server).acknowledgeAlert, 0},
		{"POST", "/api/alerts/{alert}/note", work, (*Server).noteAlert, 0},
		{"POST", "/api/alerts/{alert}/close", handle, (*Server).closeAlert, 0},
		{"POST", "/api/alerts/{alert}/attachment", handle, (*Server).attachmentOf, 0},
		{"GET", "/api/outages", watch, (*Server).listOutages, quiet},
		{"POST", "/api/outages", handle, (*Server).declareOutage, 0},
		{"POST", "/api/outages/{outage}/end", handle, (*Server).endOutage, 0},
		{"POST", "/api/outages/{outage}/people/{subject}/verify", work, (*Server).verifyOutage, 0},
		{"GET", "/api/devices", watch, (*Server).listDevices, quiet},
		{"GET", "/api/subjects/{subject}/track", watch, (*Server).track, 0},
		{"GET", "/api/subjects/{subject}/legal", readCases, (*Server).getLegal, 0},
		{"POST", "/api/subjects/{subject}/proceedings", decide, (*Server).openProceeding, stepUp},
		{"POST", "/api/subjects/{subject}/sentence", decide, (*Server).putSentence, stepUp},
		{"POST", "/api/subjects/{subject}/sanctions", decide, (*Server).putSanction, stepUp},
		{"POST", "/api/subjects/{subject}/prohibitions", decide, (*Server).putProhibition, stepUp},
		{"POST", "/api/subjects/{subject}/suspensions", decide, (*Server).putSuspension, stepUp},
		{"POST", "/api/subjects/{subject}/suspensions/{suspension}/end", decide, (*Server).endSuspension, stepUp},
		{"GET", "/api/proceedings", readCases, (*Server).listProceedings, quiet},
		{"GET", "/api/proceedings/{proceeding}", readCases, (*Server).getProceeding, 0},
		{"POST", "/api/proceedings/{proceeding}/steps", decide, (*Server).takeStep, stepUp},
		{"POST", "/api/tasks/{task}/done", decide, (*Server).finishTask, 0},
		{"GET", "/api/handling", readCases, (*Server).handling, 0},
		{"GET", "/api/periods", readCases, (*Server).getPeriods, 0},
		{"GET", "/api/calendar", readCases, (*Server).listCalendars, 0},
		{"GET", "/api/calendar/{year}", readCases, (*Server).getCalendar, 0},
		{"PUT", "/api/calendar/{year}", decide, (*Server).putCalendar, 0},
		{"POST", "/api/calendar/read", decide, (*Server).readCalendar, 0},
		{"GET", "/api/schedules", readCases, (*Server).listSchedules, 0},
		{"POST", "/api/subjects/{subject}/person", reveal, (*Server).showPerson, 0},
		{"POST", "/api/alerts/{alert}/evidence", decide, (*Server).makeEvidence, stepUp},
		{"POST", "/api/subjects/find", readCases, (*Server).findSubjects, 0},
		{"PUT", "/api/subjects/{subject}/juvenile", decide, (*Server).markJuvenile, stepUp},
		{"GET", "/api/privacy", inspect, (*Server).listPrivacy, 0},
		{"POST", "/api/subjects/{subject}/disclosures", handlePrivacy, (*Server).putDisclosure, stepUp},
		{"POST", "/api/subjects/{subject}/requests", handlePrivacy, (*Server).receiveRequest, 0},
		{"POST", "/api/requests/{request}", handlePrivacy, (*Server).answerRequest, stepUp},
		{"GET", "/api/inspection", inspect, (*Server).inspection, 0},
		{"GET", "/api/assessments", inspect, (*Server).listAssessments, 0},
		{"POST", "/api/assessments", handlePrivacy, (*Server).putAssessment, 0},
		{"GET", "/api/retention", retained, (*Server).listRetention, 0},
		{"GET", "/api/access", inspect, (*Server).listAccess, 0},
		{"POST", "/api/exports", command, (*Server).askExport, stepUp},
		{"GET", "/api/exports/{countersign}", command, (*Server).fetchExport, stepUp},
		{"GET", "/api/organisation", organise, (*Server).organisation, 0},
		{"POST", "/api/orgs", organise, (*Server).putOrg, stepUp},
		{"POST", "/api/officers", organise, (*Server).putOfficer, stepUp},
		{"GET", "/api/accounts", secure, (*Server).listAccounts, 0},
		{"POST", "/api/accounts/{account}/disable", secure, (*Server).disableAccount, 0},
		{"POST", "/api/accounts/{account}/enable", secure, (*Server).enableAccount, stepUp},
		{"POST", "/api/accounts/{account}/reset", secure, (*Server).resetPassword, stepUp},
		{"POST", "/api/grants", secure, (*Server).askGrant, stepUp},
		{"POST", "/api/policy", secure, (*Server).askPolicy, stepUp},
		{"GET", "/api/countersigns", agree, (*Server).listCountersigns, 0},
		{"POST", "/api/countersigns/{countersign}", agree, (*Server).decideCountersign, stepUp},
		{"GET", "/api/cover", command, (*Server).listCover, 0},
		{"POST", "/api/cover", command, (*Server).grantCover, stepUp},
		{"POST", "/api/cover/{cover}/end", command, (*Server).withdrawCover, 0},
		{"GET", "/api/audit", auditing, (*Server).searchAudit, 0},
		{"POST", "/api/audit/verify", auditing, (*Server).verifyAudit, 0},
		{"GET", "/ws", watch, (*Server).websocket, quiet},
	}
}

// guard lets a request through to its route: session, role, token against forged requests, time limit.
func (s *Server) guard(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
		began := time.Now()
		r := &request{Request: hr}
		err := s.admit(r, rt)
		if err == nil {
			ctx := rowsec.With(hr.Context(), r.scope())
			if rt.path != "/ws" {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, requestTime)
				defer cancel()
			}
			r.Request = hr.WithContext(ctx)
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
	if rt.access.roles == nil {
		return nil
	}
	hash, ok := s.tokenHash(r.Request)
	if !ok {
		return problem{http.StatusUnauthorized, "no_session", "", nil}
	}
	var err error
	if r.session, err = s.session(r.Context(), hash, rt.manner&quiet == 0); errors.Is(err, errNoSession) {
		return problem{http.StatusUnauthorized, "no_session", "", nil}
	} else if err != nil {
		return err
	}
	if r.session.idle && !(rt.manner&quiet != 0 && r.session.account.is(wallRole)) {
		return problem{http.StatusUnauthorized, "no_session", "", map[string]any{"idle": true}}
	}
	if rt.changes() && subtle.ConstantTimeCompare([]byte(r.Header.Get("X-CSRF-Token")), []byte(r.session.csrf)) != 1 {
		return problem{http.StatusForbidden, "csrf", "", nil}
	}
	switch a := &r.session.account; {
	case a.is(rt.access.roles...):
	case a.is(administrators...) && !rt.access.administers():
		return problem{http.StatusForbidden, "no_case_data", "", nil}
	default:
		return problem{http.StatusForbidden, "not_your_role", "", nil}
	}
	if rt.manner&unproven != 0 {
		return nil
	}
	return s.proven(r, rt.manner&stepUp != 0)
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
