package console_test

import (
	"net/http"
	"testing"

	"zhijiao/console"
	"zhijiao/supervision"
)

// TestRecordsOfMinorsAreForTheirTeam_R88: whatever route asks for the record of somebody who was a minor, officers who are not of the team for minors
// are refused with the article, their inbox does not name them, and who holds an alert sees that; the team, the head and the procuratorate see it.
func TestRecordsOfMinorsAreForTheirTeam_R88(t *testing.T) {
	t.Parallel()
	b := setup(t)
	team := b.officer(t, "tang", supervision.Officer{Org: b.yuekou, Name: "唐所", Kind: supervision.Enforcement, JuvenileTeam: true}, console.OfficerRole)
	head := b.officer(t, "liu", supervision.Officer{Org: b.city, Name: "刘局", Kind: supervision.Enforcement, CountyHead: true}, console.OfficerRole)
	other := b.officer(t, "zhao", supervision.Officer{Org: b.yuekou, Name: "赵所", Kind: supervision.Enforcement}, console.OfficerRole)
	prosecutor := b.user(t, "proc", b.city, console.Prosecutor)
	alert := b.raise(t, b.li)
	subject := "/api/subjects/" + itoa(int64(b.li))
	var opened struct {
		Proceeding struct {
			ID int64 `json:"id"`
		} `json:"proceeding"`
	}
	status, body := other.do(t, "POST", subject+"/proceedings", m{"kind": "use", "step": m{"step": "proposed", "ground": 1, "text": "违反禁止令"}})
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	unmarshal(t, body, &opened)
	proceeding := "/api/proceedings/" + itoa(opened.Proceeding.ID)
	if status, body := other.do(t, "PUT", subject+"/juvenile", m{"juvenile": true, "note": "判决书载明"}); status != http.StatusOK {
		t.Fatalf("mark: %d %s", status, body)
	}
	asks := []struct {
		method, path string
		in           any
	}{
		{"GET", subject + "/legal", nil},
		{"GET", subject + "/track?purpose=check", nil},
		{"POST", subject + "/person", m{"purpose": "check", "note": "核对"}},
		{"POST", subject + "/proceedings", m{"kind": "use", "step": m{"step": "proposed", "ground": 1, "text": "x"}}},
		{"POST", subject + "/sentence", m{}},
		{"POST", subject + "/sanctions", m{}},
		{"POST", subject + "/prohibitions", m{}},
		{"POST", subject + "/suspensions", m{}},
		{"GET", proceeding, nil},
		{"POST", proceeding + "/steps", m{"step": "withdrawn", "text": "x"}},
		{"POST", "/api/alerts/" + itoa(int64(alert)) + "/evidence", m{"purpose": "investigation", "note": "核查"}},
	}
	inbox := func(u *user) (n int) {
		var doc struct {
			Proceedings []struct {
				Subject struct{ ID int64 }
			}
		}
		u.get(t, "/api/proceedings", &doc)
		for _, p := range doc.Proceedings {
			if p.Subject.ID == int64(b.li) {
				n++
			}
		}
		return n
	}
	for _, q := range asks {
		if status, body := other.do(t, q.method, q.path, q.in); status != http.StatusUnprocessableEntity || code(body) != "of_a_juvenile" {
			t.Errorf("%s %s by another officer: %d %.200s", q.method, q.path, status, body)
		}
		for name, u := range map[string]*user{"the team": team, "the head": head} {
			if _, body := u.do(t, q.method, q.path, q.in); code(body) == "of_a_juvenile" {
				t.Errorf("%s %s by %s: %.200s", q.method, q.path, name, body)
			}
		}
	}
	prosecutor.get(t, subject+"/legal", &m{})
	for name, c := range map[string]struct {
		u    *user
		want int
	}{"another officer": {other, 0}, "the team": {team, 1}, "the head": {head, 1}, "the procuratorate": {prosecutor, 1}} {
		if n := inbox(c.u); (n > 0) != (c.want > 0) {
			t.Errorf("the inbox of %s names %d proceedings", name, n)
		}
	}
	if status, body := other.do(t, "POST", "/api/alerts/"+itoa(int64(alert))+"/acknowledge", m{"version": 1}); status != http.StatusOK {
		t.Fatalf("acknowledge: %d %s", status, body)
	}
	other.get(t, subject+"/legal", &m{})
}
