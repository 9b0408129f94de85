package console_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"zhijiao/console"
)

// enrolTOTP sets a second factor up as a page does, and returns its secret.
func (u *user) enrolTOTP(t *testing.T) string {
	t.Helper()
	var offer struct{ Secret, Offer, Picture string }
	status, body := u.do(t, "POST", "/api/me/totp", map[string]any{})
	if status != http.StatusOK || json.Unmarshal(body, &offer) != nil || !strings.HasPrefix(offer.Picture, "data:image/png;base64,") {
		t.Fatalf("offer: %d %.200s", status, body)
	}
	status, body = u.do(t, "PUT", "/api/me/totp", map[string]string{"offer": offer.Offer, "code": codeAt(t, offer.Secret, -1)})
	if status != http.StatusOK {
		t.Fatalf("confirm: %d %s", status, body)
	}
	if err := json.Unmarshal(body, &u.me); err != nil {
		t.Fatal(err)
	}
	u.csrf, _ = u.me["csrf"].(string)
	return offer.Secret
}

// codeAt is the code of the step that is n steps from now.
func codeAt(t *testing.T, secret string, n int) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(n)*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func (u *user) enterWith(t *testing.T, name, pw, code string) (int, []byte) {
	t.Helper()
	status, body := u.do(t, "POST", "/api/login", map[string]string{"name": name, "password": pw, "code": code})
	if status == http.StatusOK {
		if err := json.Unmarshal(body, &u.me); err != nil {
			t.Fatal(err)
		}
		u.csrf, _ = u.me["csrf"].(string)
	}
	return status, body
}

func (b *bench) demandTwoFactors(t *testing.T) {
	t.Helper()
	b.exec(t, "INSERT INTO security_policy (version, profile, second_factor) VALUES (1, 'dengbao3', true)")
}

// TestNobodyWorksWithoutASecondFactor: where the policy asks for one, a password opens nothing but the page that sets it up; a code is good once.
func TestNobodyWorksWithoutASecondFactor_R109(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.demandTwoFactors(t)
	u := b.user(t, "wang", b.city, console.Commander)
	for _, path := range []string{"/api/alerts", "/api/snapshot", "/api/accounting", "/api/cover"} {
		if status, body := u.do(t, "GET", path, nil); status != http.StatusForbidden || code(body) != "second_factor_needed" {
			t.Errorf("%s by password alone: %d %s", path, status, body)
		}
	}
	before := u.token(t)
	secret := u.enrolTOTP(t)
	if u.token(t).Value == before.Value {
		t.Error("proving more did not change the token")
	}
	if status, body := u.do(t, "GET", "/api/alerts", nil); status != http.StatusOK {
		t.Errorf("with both: %d %s", status, body)
	}
	if status, body := b.browser().enterWith(t, "wang", password, ""); status != http.StatusUnauthorized || code(body) != "code_needed" {
		t.Errorf("without a code: %d %s", status, body)
	}
	if status, body := b.browser().enterWith(t, "wang", "wrong-password-7", codeAt(t, secret, 0)); status != http.StatusUnauthorized || code(body) != "bad_login" {
		t.Errorf("with a code alone: %d %s", status, body)
	}
	if status, body := b.browser().enterWith(t, "wang", password, "000000"); status != http.StatusUnauthorized || code(body) != "bad_login" {
		t.Errorf("with a wrong code: %d %s", status, body)
	}
	now := codeAt(t, secret, 0)
	if status, body := b.browser().enterWith(t, "wang", password, now); status != http.StatusOK {
		t.Errorf("with both: %d %s", status, body)
	}
	if status, body := b.browser().enterWith(t, "wang", password, now); status != http.StatusUnauthorized || code(body) != "bad_login" {
		t.Errorf("the same code again: %d %s", status, body)
	}
	var stored string
	b.scan(t, &stored, "SELECT string_agg(a::text, '') FROM account a")
	if strings.Contains(stored, secret) {
		t.Error("the secret stands in the database")
	}
	var refused, opened int
	b.scan(t, &refused, "SELECT count(*) FROM ledger WHERE kind = 'session.refused'")
	b.scan(t, &opened, "SELECT count(*) FROM ledger WHERE kind = 'session.opened'")
	if refused != 3 || opened < 3 {
		t.Errorf("the ledger tells of %d refused and %d opened sessions", refused, opened)
	}
	other := b.user(t, "li", b.city, console.Commander)
	if status, _ := other.do(t, "PUT", "/api/me/totp", map[string]string{"offer": offerOf(t, u), "code": "000000"}); status != http.StatusUnprocessableEntity {
		t.Errorf("another's offer: %d", status)
	}
}

func offerOf(t *testing.T, u *user) string {
	t.Helper()
	var offer struct{ Offer string }
	_, body := u.do(t, "POST", "/api/me/totp", map[string]any{})
	if json.Unmarshal(body, &offer) != nil || offer.Offer == "" {
		t.Fatalf("offer: %s", body)
	}
	return offer.Offer
}

// TestWhoChangesLibertyProvesWhoTheyAre: a session that proved it long ago changes nobody's liberty before it does so again.
func TestWhoChangesLibertyProvesWhoTheyAre_R109(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "wang", b.city, console.Commander)
	secret := u.enrolTOTP(t)
	path := "/api/subjects/" + itoa(int64(b.li)) + "/sentence"
	b.exec(t, "UPDATE account_session SET stepped_at = stepped_at - interval '16 minutes'")
	if status, body := u.do(t, "POST", path, map[string]any{}); status != http.StatusForbidden || code(body) != "step_up" || !strings.Contains(string(body), "totp") {
		t.Errorf("long after: %d %s", status, body)
	}
	if status, body := u.do(t, "GET", "/api/alerts", nil); status != http.StatusOK {
		t.Errorf("reading needs it too: %d %s", status, body)
	}
	for name, in := range map[string]map[string]string{"a wrong code": {"code": "123456"}, "a password where there is more": {"password": password}} {
		if status, body := u.do(t, "POST", "/api/me/step-up", in); status != http.StatusForbidden || code(body) != "not_you" {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, body := u.do(t, "POST", "/api/me/step-up", map[string]string{"code": codeAt(t, secret, 0)}); status != http.StatusOK {
		t.Fatalf("step-up: %d %s", status, body)
	}
	if status, body := u.do(t, "POST", path, map[string]any{}); status == http.StatusForbidden {
		t.Errorf("after proving it: %d %s", status, body)
	}
	for range 4 { // two failures above
		u.do(t, "POST", "/api/me/step-up", map[string]string{"code": "123456"})
	}
	if status, body := u.do(t, "POST", "/api/me/step-up", map[string]string{"code": codeAt(t, secret, 1)}); status != http.StatusTooManyRequests {
		t.Errorf("guessing goes on: %d %s", status, body)
	}
}

func TestPasswordsByProfile_R109(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "wang", b.city, console.Commander)
	b.exec(t, "UPDATE account SET password_set_at = password_set_at - interval '91 days'")
	if status, body := u.do(t, "GET", "/api/alerts", nil); status != http.StatusForbidden || code(body) != "password_to_change" {
		t.Errorf("an old password: %d %s", status, body)
	}
	for new, want := range map[string]string{
		"Short-7":                       "password_length",
		"onlylowercaseletters":          "password_classes",
		"Password1234!":                 "password_guessable",
		"Wang-Wang-1234":                "password_guessable",
		password:                        "password_used_before",
		"Aa1" + strings.Repeat("!", 12): "password_guessable",
	} {
		if status, body := u.do(t, "PUT", "/api/me/password", map[string]string{"old": password, "new": new}); status != http.StatusUnprocessableEntity || code(body) != want {
			t.Errorf("%q: %d %s, not %s", new, status, body, want)
		}
	}
	if status, body := u.do(t, "PUT", "/api/me/password", map[string]string{"old": "wrong-password-9", "new": "Quiet-Maple-Harbour-58"}); status != http.StatusForbidden || code(body) != "not_you" {
		t.Errorf("with a wrong old one: %d %s", status, body)
	}
	elsewhere := b.login(t, "wang")
	status, body := u.do(t, "PUT", "/api/me/password", map[string]string{"old": password, "new": "Quiet-Maple-Harbour-58"})
	if status != http.StatusOK || json.Unmarshal(body, &u.me) != nil {
		t.Fatalf("change: %d %s", status, body)
	}
	u.csrf, _ = u.me["csrf"].(string)
	if status, body := u.do(t, "GET", "/api/alerts", nil); status != http.StatusOK {
		t.Errorf("afterwards: %d %s", status, body)
	}
	if status, _ := elsewhere.do(t, "GET", "/api/me", nil); status != http.StatusUnauthorized {
		t.Errorf("the other session still opens: %d", status)
	}
	if status, body := u.do(t, "PUT", "/api/me/password", map[string]string{"old": "Quiet-Maple-Harbour-58", "new": password}); status != http.StatusUnprocessableEntity || code(body) != "password_used_before" {
		t.Errorf("back to the old one: %d %s", status, body)
	}
	// ASVS: neither age nor classes.
	b.exec(t, "INSERT INTO security_policy (version, profile, second_factor) VALUES (1, 'asvs', false)")
	b.exec(t, "UPDATE account SET password_set_at = password_set_at - interval '900 days'")
	if status, body := u.do(t, "PUT", "/api/me/password", map[string]string{"old": "Quiet-Maple-Harbour-58", "new": "umbrella kettle northwind ferry"}); status != http.StatusOK {
		t.Errorf("asvs: %d %s", status, body)
	}
}

// TestSomethingsTakeTwo: roles, policies and lists that leave the house are asked for by one and agreed to by another.
func TestSomethingsTakeTwo_R107_R108(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sun, qian := b.user(t, "sun", b.city, console.SecurityAdmin), b.user(t, "qian", b.city, console.AuditAdmin)
	wang, zhou := b.user(t, "wang", b.city, console.Commander), b.user(t, "zhou", b.city, console.Approver)
	open := func(u *user) int64 {
		var v struct {
			Countersigns []struct {
				ID        int64
				DecidedAt *time.Time `json:"decided_at"`
			}
		}
		u.get(t, "/api/countersigns", &v)
		if len(v.Countersigns) == 0 || v.Countersigns[0].DecidedAt != nil {
			return 0
		}
		return v.Countersigns[0].ID
	}
	must := func(want int, wantCode string, u *user, method, path string, in any) []byte {
		t.Helper()
		status, body := u.do(t, method, path, in)
		if status != want || wantCode != "" && code(body) != wantCode {
			t.Errorf("%s %s: %d %s, not %d %s", method, path, status, body, want, wantCode)
		}
		return body
	}
	must(422, "required", sun, "POST", "/api/grants", map[string]any{"name": "new.one", "org": b.yuekou, "roles": []string{"officer"}})
	must(200, "", sun, "POST", "/api/grants", map[string]any{"name": "new.one", "org": b.yuekou, "roles": []string{"officer"}, "reason": "入职"})
	n := open(qian)
	must(403, "second_person", sun, "POST", "/api/countersigns/"+itoa(n), map[string]bool{"agree": true})
	must(404, "not_found", wang, "POST", "/api/countersigns/"+itoa(n), map[string]bool{"agree": true})
	var made struct{ Password string }
	if err := json.Unmarshal(must(200, "", qian, "POST", "/api/countersigns/"+itoa(n), map[string]bool{"agree": true}), &made); err != nil || made.Password == "" {
		t.Fatalf("%+v, %v", made, err)
	}
	must(409, "changed", qian, "POST", "/api/countersigns/"+itoa(n), map[string]bool{"agree": true}) // a replayed approval
	fresh := b.browser()
	if status, body := fresh.enterWith(t, "new.one", made.Password, ""); status != http.StatusOK {
		t.Fatalf("the new account: %d %s", status, body)
	}
	must(403, "password_to_change", fresh, "GET", "/api/alerts", nil) // two people know it
	// what excludes one another is refused by the database, in words
	must(200, "", sun, "POST", "/api/grants", map[string]any{"name": "both", "org": b.city, "roles": []string{"system_admin", "officer"}, "reason": "x"})
	must(422, "roles_refused", qian, "POST", "/api/countersigns/"+itoa(open(qian)), map[string]bool{"agree": true})
	must(200, "", qian, "POST", "/api/countersigns/"+itoa(open(qian)), map[string]bool{"agree": false})
	// whoever gains by it is not the second person, and who asked must still be one who may
	must(200, "", sun, "POST", "/api/grants", map[string]any{"account": qian.me["account"].(map[string]any)["id"], "roles": []string{"commander"}, "reason": "x"})
	n = open(qian)
	must(403, "not_your_own", qian, "POST", "/api/countersigns/"+itoa(n), map[string]bool{"agree": true})
	must(200, "", qian, "POST", "/api/countersigns/"+itoa(n), map[string]bool{"agree": false})
	gone := b.user(t, "gone", b.city, console.SecurityAdmin)
	for how, back := range map[string]string{"UPDATE account SET disabled_at = clock_timestamp() WHERE name = 'gone'": "UPDATE account SET disabled_at = NULL WHERE name = 'gone'",
		"DELETE FROM account_role WHERE account_id = (SELECT account_id FROM account WHERE name = 'gone')": "INSERT INTO account_role SELECT account_id, 'security_admin' FROM account WHERE name = 'gone'"} {
		must(200, "", gone, "POST", "/api/grants", map[string]any{"name": "friend", "org": b.city, "roles": []string{"commander"}, "reason": "x"})
		b.exec(t, how)
		n = open(qian)
		must(409, "asker_gone", qian, "POST", "/api/countersigns/"+itoa(n), map[string]bool{"agree": true})
		must(200, "", qian, "POST", "/api/countersigns/"+itoa(n), map[string]bool{"agree": false})
		b.exec(t, back)
	}
	// a policy
	must(200, "", sun, "POST", "/api/policy", map[string]any{"profile": "asvs", "second_factor": false, "reason": "x"})
	must(200, "", qian, "POST", "/api/countersigns/"+itoa(open(qian)), map[string]bool{"agree": true})
	var profile string
	if b.scan(t, &profile, "SELECT profile FROM security_policy"); profile != "asvs" {
		t.Error(profile)
	}
	// a list with names
	must(200, "", wang, "POST", "/api/exports", map[string]any{"what": "subjects", "clear": true, "reason": "移交"})
	n = open(zhou)
	must(404, "not_found", wang, "GET", "/api/exports/"+itoa(n), nil)
	must(403, "second_person", wang, "POST", "/api/countersigns/"+itoa(n), map[string]bool{"agree": true})
	must(200, "", zhou, "POST", "/api/countersigns/"+itoa(n), map[string]bool{"agree": true})
	if list := string(must(200, "", wang, "GET", "/api/exports/"+itoa(n), nil)); !strings.Contains(list, "李试验") || !strings.Contains(list, "13000000417") {
		t.Errorf("the list: %s", list)
	}
	other := b.user(t, "zheng", b.city, console.Commander)
	must(404, "not_found", other, "GET", "/api/exports/"+itoa(n), nil)
	var shown, told int
	b.scan(t, &shown, "SELECT count(*) FROM subject_access WHERE what = 'export'")
	b.scan(t, &told, "SELECT count(*) FROM ledger WHERE kind IN ('export.fetched', 'countersign.asked', 'countersign.decided')")
	if shown != 2 || told != 15 {
		t.Errorf("%d people recorded as shown, %d entries", shown, told)
	}
}

// TestCoverDuty: whoever covers for another office sees its people until the duty ends, and not an instant longer; it is written down (R96).
func TestCoverDuty_R96(t *testing.T) {
	t.Parallel()
	b := setup(t)
	wang := b.user(t, "wang", b.city, console.Commander)
	field := b.user(t, "field", b.zaoshi, console.Field)
	var account int64
	b.scan(t, &account, "SELECT account_id FROM account WHERE name = 'field'")
	alert := "/api/alerts/" + itoa(int64(b.raise(t, b.li)))
	sees := func(want bool) {
		t.Helper()
		status, _ := field.do(t, "GET", alert, nil)
		var v struct{ Subjects []struct{ ID int64 } }
		field.get(t, "/api/snapshot", &v)
		if (status == http.StatusOK) != want || (len(v.Subjects) == 2) != want {
			t.Errorf("%d, %d people; wanted %v", status, len(v.Subjects), want)
		}
	}
	sees(false)
	stream := field.stream(t, snapshotPos(t, field))
	grant := map[string]any{"account": account, "org": b.yuekou, "until": time.Now().Add(8 * time.Hour), "reason": "岳口所值班人员就医"}
	for name, change := range map[string]func(map[string]any){
		"too long":    func(m map[string]any) { m["until"] = time.Now().AddDate(0, 2, 0) },
		"in the past": func(m map[string]any) { m["until"] = time.Now().Add(-time.Hour) },
		"no reason":   func(m map[string]any) { delete(m, "reason") },
		"for oneself": func(m map[string]any) {
			b.scan(t, &account, "SELECT account_id FROM account WHERE name = 'wang'")
			m["account"] = account
		},
		"no such org":  func(m map[string]any) { m["org"] = 999 },
		"no such name": func(m map[string]any) { m["account"] = 999 },
	} {
		bad := map[string]any{}
		for k, v := range grant {
			bad[k] = v
		}
		change(bad)
		if status, body := wang.do(t, "POST", "/api/cover", bad); status != 422 && status != 404 {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, body := wang.do(t, "POST", "/api/cover", grant); status != http.StatusOK {
		t.Fatalf("grant: %d %s", status, body)
	}
	until(t, stream, func(m message) bool { return m.Type == "bye" }) // it sees something else now, and begins anew
	sees(true)
	if status, body := field.do(t, "POST", alert+"/acknowledge", map[string]int{"version": 1}); status != http.StatusOK {
		t.Errorf("the one who covers cannot take charge: %d %s", status, body)
	}
	var cover int64
	b.scan(t, &cover, "SELECT cover_id FROM cover_duty")
	if status, body := wang.do(t, "POST", "/api/cover/"+itoa(cover)+"/end", nil); status != http.StatusOK {
		t.Fatalf("end: %d %s", status, body)
	}
	sees(false)
	b.exec(t, "UPDATE cover_duty SET ended_at = NULL")
	sees(true)
	b.exec(t, "UPDATE cover_duty SET valid = tstzrange(lower(valid) - interval '2 hours', lower(valid))") // it is over by itself
	sees(false)
	var told int
	if b.scan(t, &told, "SELECT count(*) FROM ledger WHERE kind IN ('cover.granted', 'cover.ended') AND (body ->> 'by')::bigint > 0"); told != 2 {
		t.Errorf("the ledger tells of it %d times", told)
	}
}

// TestWhoSomebodyIsIsShownForAReason: names and numbers are masked until somebody says why, and that is kept.
func TestWhoSomebodyIsIsShownForAReason_R107_R111(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "zhang", b.yuekou, console.OfficerRole)
	path := "/api/subjects/" + itoa(int64(b.li)) + "/person"
	for name, in := range map[string]map[string]string{"no purpose": {}, "another purpose": {"purpose": "curiosity", "note": "x"}, "no words": {"purpose": "check"}} {
		if status, body := u.do(t, "POST", path, in); status != http.StatusUnprocessableEntity || strings.Contains(string(body), "李试验") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	status, body := u.do(t, "POST", path, map[string]string{"purpose": "check", "note": "电话核查"})
	if status != http.StatusOK || !strings.Contains(string(body), "13000000417") {
		t.Errorf("%d %s", status, body)
	}
	alert := b.raise(t, b.li)
	if status, body := u.do(t, "POST", "/api/alerts/"+itoa(int64(alert))+"/acknowledge", map[string]int{"version": 1}); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := u.do(t, "POST", path, map[string]string{}); status != http.StatusOK {
		t.Errorf("who holds the alert: %d %s", status, body)
	}
	var got string
	b.scan(t, &got, "SELECT string_agg(what || ' ' || purpose || ' ' || note || ' ' || coalesce(alert_id, 0), '; ' ORDER BY access_id) FROM subject_access")
	if want := "person check 电话核查 0; person alert  " + itoa(int64(alert)); got != want {
		t.Errorf("recorded %q, not %q", got, want)
	}
	boss := b.user(t, "pros", b.city, console.Prosecutor)
	var v struct {
		Accesses []struct{ Purpose string }
	}
	if boss.get(t, "/api/access", &v); len(v.Accesses) != 2 {
		t.Errorf("the procuratorate sees %+v", v)
	}
	if status, body := boss.do(t, "POST", path, map[string]string{"purpose": "check", "note": "x"}); status != http.StatusForbidden {
		t.Errorf("a prosecutor: %d %s", status, body)
	}
}

// TestAuditSearch: the audit administrator reads who did what, and nothing of a case.
func TestAuditSearch_R106_R108(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.raise(t, b.li)
	u := b.user(t, "shen", b.city, console.AuditAdmin)
	wang := b.user(t, "wang", b.city, console.Commander)
	wang.do(t, "POST", "/api/subjects/"+itoa(int64(b.li))+"/person", map[string]string{"purpose": "check", "note": "电话核查"})
	var v struct {
		Rows []struct {
			Kind string
			Body json.RawMessage
			By   *struct{ ID int64 }
		}
	}
	u.get(t, "/api/audit", &v)
	kinds := map[string]bool{}
	for _, r := range v.Rows {
		kinds[r.Kind] = true
		if strings.HasPrefix(r.Kind, "violation.") && r.Body != nil {
			t.Error("the audit administrator reads a case")
		}
	}
	for _, k := range []string{"access.person", "session.opened", "violation.opened", "account.added"} {
		if !kinds[k] {
			t.Errorf("no %s in %v", k, kinds)
		}
	}
	if u.get(t, "/api/audit?kind=session.", &v); len(v.Rows) != 2 {
		t.Errorf("%d sessions", len(v.Rows))
	}
	var report struct{ Unsealed, Rows int64 }
	status, body := u.do(t, "POST", "/api/audit/verify", map[string]any{})
	if status != http.StatusOK || json.Unmarshal(body, &report) != nil {
		t.Errorf("verify: %d %s", status, body)
	}
}
