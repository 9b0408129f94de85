package console_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"zhijiao/console"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

var everyRole = []console.Role{console.Commander, console.OfficerRole, console.SystemAdmin, console.SecurityAdmin, console.AuditAdmin}

// TestEveryRouteForEveryRole walks the route table: a route that is added without saying who may use it fails here.
func TestEveryRouteForEveryRole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	users := map[console.Role]*user{}
	for _, role := range everyRole {
		users[role] = b.user(t, strings.ReplaceAll(string(role), "_", "."), b.city, role)
	}
	for _, rt := range b.server.RouteTable() {
		path := rt.Path
		for _, name := range []string{"{alert}", "{subject}", "{year}", "{outage}", "{proceeding}", "{task}", "{suspension}"} {
			path = strings.ReplaceAll(path, name, "999999")
		}
		if strings.Contains(path, "{") {
			t.Fatalf("%s: this test does not know the parameter", rt.Path)
		}
		try := func(u *user) (int, string) {
			var body any
			if rt.Method != http.MethodGet {
				body = map[string]any{}
			}
			status, answer := u.do(t, rt.Method, path, body)
			return status, code(answer)
		}
		if status, c := try(b.browser()); rt.Anyone == (c == "no_session") || !rt.Anyone && status != http.StatusUnauthorized {
			t.Errorf("%s %s without a session: %d %s", rt.Method, rt.Path, status, c)
		}
		for _, role := range everyRole {
			u := users[role]
			if rt.Path == "/api/logout" {
				u = b.login(t, strings.ReplaceAll(string(role), "_", "."))
			}
			sees := role == console.Commander || role == console.OfficerRole
			status, c := try(u)
			switch {
			case rt.Cases && !sees:
				if status != http.StatusForbidden || c != "no_case_data" {
					t.Errorf("%s %s as %s: %d %s", rt.Method, rt.Path, role, status, c)
				}
			case rt.Anyone:
				if status == http.StatusForbidden || status >= 500 {
					t.Errorf("%s %s as %s: %d %s", rt.Method, rt.Path, role, status, c)
				}
			case status == http.StatusUnauthorized || status == http.StatusForbidden || status >= 500:
				t.Errorf("%s %s as %s: %d %s", rt.Method, rt.Path, role, status, c)
			}
		}
	}
}

// TestRolesExclude: nobody administers and sees cases (R108).
func TestRolesExclude(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, roles := range map[string][]console.Role{
		"two administrators":    {console.SystemAdmin, console.AuditAdmin},
		"administrator at work": {console.SecurityAdmin, console.OfficerRole},
		"no role":               {},
		"no such role":          {"root"},
	} {
		_, err := console.AddAccount(t.Context(), b.pool, console.NewAccount{Name: "x", Org: b.city, Roles: roles, Password: password, At: now})
		if err == nil || strings.Contains(err.Error(), "SQLSTATE") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, n := range map[string]console.NewAccount{
		"short password": {Name: "zhang", Org: b.city, Roles: everyRole[:1], Password: "short"},
		"name with case": {Name: "Zhang San", Org: b.city, Roles: everyRole[:1], Password: password},
		"no such org":    {Name: "zhang", Org: 999, Roles: everyRole[:1], Password: password},
	} {
		n.At = now
		if _, err := console.AddAccount(t.Context(), b.pool, n); err == nil || strings.Contains(err.Error(), "SQLSTATE") {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.add(t, "wang", b.city, console.Commander, console.OfficerRole)
	if _, err := console.AddAccount(t.Context(), b.pool, console.NewAccount{Name: "wang", Org: b.city, Roles: everyRole[:1], Password: password, At: now}); err == nil {
		t.Error("one name, two accounts")
	}
}

// TestOneOfficeSeesNothingOfAnother asks every route there is for what belongs to another office.
func TestOneOfficeSeesNothingOfAnother(t *testing.T) {
	t.Parallel()
	b := setup(t)
	city := b.user(t, "wang", b.city, console.Commander)
	zaoshi := b.user(t, "zaoshi.zhou", b.zaoshi, console.OfficerRole)
	yuekou := b.user(t, "yuekou.li", b.yuekou, console.OfficerRole)
	stream := zaoshi.stream(t, snapshotPos(t, zaoshi))
	foreign := b.raise(t, b.li)
	b.at(t, b.li, 113.0915, 30.5111, now)
	own := b.raise(t, b.zhao)

	paths := strings.NewReplacer("{alert}", itoa(int64(foreign)), "{subject}", itoa(int64(b.li)), "{outage}", "1")
	for _, rt := range b.server.RouteTable() {
		if rt.Path == "/api/login" || rt.Path == "/api/logout" || rt.Path == "/ws" {
			continue
		}
		var body any
		if rt.Method != http.MethodGet {
			body = map[string]any{"version": 1}
			if strings.HasSuffix(rt.Path, "note") {
				body = map[string]any{"text": "x"}
			}
			if strings.HasSuffix(rt.Path, "verify") || strings.HasSuffix(rt.Path, "end") {
				body = map[string]any{}
			}
			if strings.HasSuffix(rt.Path, "verify") {
				body = map[string]any{"note": ""}
			}
			if strings.HasSuffix(rt.Path, "attachment") {
				body = map[string]any{"what": "reset_confirmed", "how": "seen"}
			}
			if strings.HasSuffix(rt.Path, "close") {
				body = map[string]any{"version": 1, "conclusion": "drift", "text": ""}
			}
		}
		path := paths.Replace(rt.Path)
		if strings.HasSuffix(path, "/track") {
			path += "?purpose=check"
		}
		status, answer := zaoshi.do(t, rt.Method, path, body)
		if strings.Contains(rt.Path, "{") && (status != http.StatusNotFound || code(answer) != "not_found") {
			t.Errorf("%s %s: %d %s", rt.Method, path, status, answer)
		}
		for _, secret := range []string{"0417", "岳口", "113.091", "李某某", "13000000417"} {
			if bytes.Contains(answer, []byte(secret)) {
				t.Errorf("%s %s tells %q", rt.Method, path, secret)
			}
		}
	}
	for who, want := range map[*user]int{city: 2, zaoshi: 1, yuekou: 1} {
		var list struct {
			Alerts []struct{ ID int64 }
		}
		who.get(t, "/api/alerts?state=all", &list)
		var sum struct {
			InSupervision int            `json:"in_supervision"`
			Open          map[string]int `json:"open"`
		}
		who.get(t, "/api/summary", &sum)
		if len(list.Alerts) != want || sum.InSupervision != want || sum.Open["alarm"] != want {
			t.Errorf("%v sees %d alerts, %+v", who.me["account"], len(list.Alerts), sum)
		}
	}
	var narrowed struct{ Alerts []json.RawMessage }
	zaoshi.get(t, "/api/alerts?org="+itoa(int64(b.yuekou)), &narrowed)
	if len(narrowed.Alerts) != 0 {
		t.Error("asking for another office gave its alerts")
	}

	// The stream tells of the own alert only; by then it has passed over the other.
	until(t, stream, func(m message) bool {
		for _, a := range m.Alerts {
			if a.Subject.ID == int64(b.li) || a.ID == int64(foreign) {
				t.Errorf("the stream tells of %s", a.Subject.Label)
			}
			if a.ID == int64(own) {
				return true
			}
		}
		return false
	})
	b.at(t, b.zhao, 113.26, 30.83, now)
	b.at(t, b.li, 113.0916, 30.5112, now.Add(1e9))
	until(t, stream, func(m message) bool {
		found := false
		for _, i := range m.Items {
			if i.Subject == int64(b.li) {
				t.Error("the stream tells where a subject of another office is")
			}
			found = found || i.Subject == int64(b.zhao)
		}
		return found
	})
}
