package console_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"zhijiao/console"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

var everyRole = console.Roles

// plain replaces what stands in a path by a number.
func plain(t *testing.T, path, number string) string {
	t.Helper()
	for {
		from := strings.IndexByte(path, '{')
		if from < 0 {
			return path
		}
		to := strings.IndexByte(path, '}')
		path = path[:from] + number + path[to+1:]
	}
}

// matrix is the file with who may use what: a route that is added, or opened to somebody else, changes it, and that is looked at.
const matrix = "../docs/access.md"

// TestEveryRouteForEveryRole walks the route table with every role, and keeps the matrix of docs/access.md true (R109: nothing but the login is open
// without a session).
func TestEveryRouteForEveryRole_R108_R109(t *testing.T) {
	t.Parallel()
	b := setup(t)
	users := map[console.Role]*user{}
	name := func(r console.Role) string { return strings.ReplaceAll(string(r), "_", ".") }
	for _, role := range everyRole {
		org := b.city
		if role == console.Field {
			org = b.yuekou
		}
		users[role] = b.user(t, name(role), org, role)
	}
	var doc strings.Builder
	doc.WriteString("# Who may use which route\n\nGenerated from the route table (`go test ./console -run TestEveryRouteForEveryRole -rewrite`), and asserted for every cell. ● yes, ◐ yes, after proving once more who one is.\n\n| route | access |")
	for _, role := range everyRole {
		doc.WriteString(" " + string(role) + " |")
	}
	doc.WriteString("\n|---|---|" + strings.Repeat(":-:|", len(everyRole)) + "\n")
	administrators := []console.Role{console.SystemAdmin, console.SecurityAdmin, console.AuditAdmin}
	for _, rt := range b.server.RouteTable() {
		path := plain(t, rt.Path, "999999")
		try := func(u *user) (int, string) {
			var body any
			if rt.Method != http.MethodGet {
				body = map[string]any{}
			}
			status, answer := u.do(t, rt.Method, path, body)
			return status, code(answer)
		}
		open := len(rt.Roles) == 0
		if status, c := try(b.browser()); open == (c == "no_session") || !open && status != http.StatusUnauthorized {
			t.Errorf("%s %s without a session: %d %s", rt.Method, rt.Path, status, c)
		}
		fmt.Fprintf(&doc, "| `%s %s` | %s |", rt.Method, rt.Path, rt.Access)
		for _, role := range everyRole {
			u := users[role]
			if rt.Path == "/api/logout" || rt.Path == "/api/me/sessions/end" {
				u = b.login(t, name(role))
			}
			if rt.Path == "/api/me/sessions/end" { // the one that stays
				users[role] = u
			}
			status, c := try(u)
			may := open || slices.Contains(rt.Roles, role)
			mark := " "
			switch {
			case may && rt.StepUp:
				mark = "◐"
			case may:
				mark = "●"
			}
			doc.WriteString(" " + mark + " |")
			switch {
			case !may && slices.Contains(administrators, role) && slices.ContainsFunc(rt.Roles, func(r console.Role) bool { return !slices.Contains(administrators, r) }):
				if status != http.StatusForbidden || c != "no_case_data" {
					t.Errorf("%s %s as %s: %d %s", rt.Method, rt.Path, role, status, c)
				}
			case !may:
				if status != http.StatusForbidden || c != "not_your_role" {
					t.Errorf("%s %s as %s: %d %s", rt.Method, rt.Path, role, status, c)
				}
			case c == "not_your_role" || c == "no_case_data" || c == "no_session" || status >= 500:
				t.Errorf("%s %s as %s: %d %s", rt.Method, rt.Path, role, status, c)
			}
		}
		doc.WriteString("\n")
	}
	if *rewrite {
		if err := os.WriteFile(matrix, []byte(doc.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have, err := os.ReadFile(matrix); err != nil || string(have) != doc.String() {
		t.Errorf("%s is not what the route table says (%v): look at what changed, and run this with -rewrite", matrix, err)
	}
}

var rewrite = flag.Bool("rewrite", false, "write docs/access.md anew")

// TestRolesExclude: nobody administers and sees cases (R108).
func TestRolesExclude_R108(t *testing.T) {
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

// TestNobodyReachesIntoAnotherOffice asks every route that names something, as every role that may use it, for what is another office's: a number
// that is guessed is not found (IDOR).
func TestNobodyReachesIntoAnotherOffice_R96(t *testing.T) {
	t.Parallel()
	b := setup(t)
	alert := b.raise(t, b.li)
	users := map[console.Role]*user{}
	for _, role := range everyRole {
		users[role] = b.user(t, "z."+strings.ReplaceAll(string(role), "_", "."), b.zaoshi, role)
	}
	b.exec(t, "WITH o AS (INSERT INTO officer (org_id, name, kind) VALUES ($1, '钱', 'enforcement') RETURNING officer_id) UPDATE account SET officer_id = o.officer_id FROM o", int64(b.zaoshi))
	b.add(t, "y.officer", b.yuekou, console.OfficerRole)
	b.add(t, "y.commander", b.yuekou, console.Commander)
	var account, commander, proceeding, task, countersign, cover int64
	b.scan(t, &account, "SELECT account_id FROM account WHERE name = 'y.officer'")
	b.scan(t, &commander, "SELECT account_id FROM account WHERE name = 'y.commander'")
	b.scan(t, &proceeding, "INSERT INTO proceeding (kind, subject_id, org_id, state, version, facts, opened_at) VALUES ('leave', $1, $2, 'applied', 1, '{}', $3) RETURNING proceeding_id", int64(b.li), int64(b.yuekou), now)
	b.scan(t, &task, "INSERT INTO task (kind, key, subject_id, org_id, opened_at, due_at) VALUES ('copy', 'x', $1, $2, $3, $3) RETURNING task_id", int64(b.li), int64(b.yuekou), now)
	b.scan(t, &countersign, "INSERT INTO countersign (kind, body, reason, org_id, asked_by) VALUES ('mass_export', '{}', 'r', $1, $2) RETURNING countersign_id", int64(b.yuekou), commander)
	b.scan(t, &cover, "INSERT INTO cover_duty (account_id, org_id, valid, reason, granted_by) VALUES ($1, $2, '[2026-01-01,2099-01-01)', 'r', $3) RETURNING cover_id", account, int64(b.yuekou), commander)
	names := map[string]int64{"{alert}": int64(alert), "{subject}": int64(b.li), "{proceeding}": proceeding, "{task}": task, "{account}": account, "{countersign}": countersign, "{cover}": cover}
	tried := 0
	for _, rt := range b.server.RouteTable() {
		path := rt.Path
		for name, v := range names {
			path = strings.ReplaceAll(path, name, itoa(v))
		}
		if path == rt.Path || strings.Contains(path, "{") { // names nothing of an office
			continue
		}
		for _, role := range rt.Roles {
			var body any
			if rt.Method != http.MethodGet {
				body = map[string]any{}
				switch {
				case strings.HasSuffix(path, "evidence"):
					body = map[string]any{"purpose": "investigation", "note": "x"}
				case strings.HasSuffix(path, "done"):
					body = map[string]any{"outcome": "x"}
				case strings.HasSuffix(path, "acknowledge"):
					body = map[string]any{"version": 1}
				case strings.HasSuffix(path, "note"):
					body = map[string]any{"text": "x"}
				case strings.HasSuffix(path, "attachment"):
					body = map[string]any{"what": "reset_confirmed", "how": "seen"}
				case strings.Contains(path, "countersigns"):
					body = map[string]any{"agree": true}
				case strings.HasSuffix(path, "close"):
					body = map[string]any{"version": 1, "conclusion": "drift"}
				}
			}
			if strings.HasSuffix(path, "/track") {
				path += "?purpose=check"
			}
			tried++
			if status, answer := users[role].do(t, rt.Method, path, body); status != http.StatusNotFound || code(answer) != "not_found" {
				t.Errorf("%s %s as %s: %d %s", rt.Method, path, role, status, answer)
			}
		}
	}
	if tried < 70 {
		t.Errorf("only %d requests", tried)
	}
	var changed bool
	b.scan(t, &changed, "SELECT EXISTS (SELECT FROM account WHERE disabled_at IS NOT NULL OR must_change) OR EXISTS (SELECT FROM countersign WHERE decided_by IS NOT NULL) OR EXISTS (SELECT FROM cover_duty WHERE ended_at IS NOT NULL)")
	if changed {
		t.Error("something of the other office was changed")
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
		if rt.Path == "/api/login" || rt.Path == "/api/logout" || rt.Path == "/ws" || strings.HasPrefix(rt.Path, "/api/me") {
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
		if !slices.Contains(rt.Roles, console.OfficerRole) { // others of that office: TestNobodyReachesIntoAnotherOffice
			continue
		}
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
