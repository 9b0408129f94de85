package console_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"zhijiao/console"
	"zhijiao/supervision"
)

// officer gives an account of a kind of staff.
func (b *bench) officer(t *testing.T, name string, o supervision.Officer, role console.Role) *user {
	t.Helper()
	n, err := b.people.PutOfficer(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	u := b.user(t, name, o.Org, role)
	b.exec(t, `UPDATE account SET officer_id = $2 WHERE name = $1`, name, int64(n))
	return u
}

type m = map[string]any

// TestPositioningByForms_R01_R135: an approval comes about through the API: each refusal names the field, the reason and the article; who may not
// is told so; what is written is read back by those who may and by nobody of another office.
func TestPositioningByForms_R01_R135(t *testing.T) {
	t.Parallel()
	b := setup(t)
	office := b.officer(t, "zhao", supervision.Officer{Org: b.yuekou, Name: "赵所", Kind: supervision.Enforcement}, console.OfficerRole)
	helper := b.officer(t, "zhou", supervision.Officer{Org: b.yuekou, Name: "周辅", Kind: supervision.Auxiliary}, console.OfficerRole)
	agency := b.officer(t, "sun", supervision.Officer{Org: b.city, Name: "孙科", Kind: supervision.Enforcement}, console.OfficerRole)
	head := b.officer(t, "liu", supervision.Officer{Org: b.city, Name: "刘局", Kind: supervision.Enforcement, CountyHead: true}, console.OfficerRole)
	zaoshi := b.officer(t, "qian", supervision.Officer{Org: b.zaoshi, Name: "钱所", Kind: supervision.Enforcement}, console.OfficerRole)
	open := "/api/subjects/" + itoa(int64(b.li)) + "/proceedings"
	first := m{"kind": "use", "step": m{"step": "proposed", "ground": 1, "text": "违反禁止令，进入网吧"}}
	refused := func(u *user, path string, body any, status int, want, field string) {
		t.Helper()
		got, answer := u.do(t, "POST", path, body)
		var doc struct {
			Error struct {
				Code   string `json:"code"`
				Field  string `json:"field"`
				Detail struct {
					Article string `json:"article"`
				} `json:"detail"`
			} `json:"error"`
		}
		if err := json.Unmarshal(answer, &doc); err != nil || got != status || doc.Error.Code != want || doc.Error.Field != field {
			t.Errorf("%d %s, want %d %s of %s", got, answer, status, want, field)
		}
	}
	refused(helper, open, first, 422, "wrong_staff", "step")
	refused(zaoshi, open, first, 404, "not_found", "")
	refused(office, open, m{"kind": "use", "step": m{"step": "proposed", "ground": 3, "text": "x"}}, 422, "ground_without_record", "ground_record")
	refused(office, open, m{"kind": "use", "step": m{"step": "proposed", "ground": 1, "text": "a\x00b"}}, 422, "malformed", "text")
	refused(office, open, m{"kind": "use", "step": m{"step": "approved", "ground": 1, "text": "x"}}, 422, "out_of_turn", "step")
	var p struct {
		Proceeding struct {
			ID      int64    `json:"id"`
			Version int      `json:"version"`
			State   string   `json:"state"`
			Next    []string `json:"next"`
		} `json:"proceeding"`
		Steps []struct {
			By   string `json:"by"`
			Text string `json:"text"`
		} `json:"steps"`
		May []string `json:"may"`
	}
	take := func(u *user, path string, body any) {
		t.Helper()
		status, answer := u.do(t, "POST", path, body)
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
		p.May, p.Steps = nil, nil
		if err := json.Unmarshal(answer, &p); err != nil {
			t.Fatal(err)
		}
	}
	take(office, open, first)
	if p.Proceeding.State != "proposed" || len(p.May) != 0 || len(p.Steps) != 1 || p.Steps[0].By != "赵所" || p.Steps[0].Text != "违反禁止令，进入网吧" {
		t.Fatalf("%+v", p)
	}
	one := "/api/proceedings/" + itoa(p.Proceeding.ID)
	for u, sees := range map[*user]int{office: 200, agency: 200, zaoshi: 404} {
		if status, answer := u.do(t, "GET", one, nil); status != sees || sees == 404 && bytes.Contains(answer, []byte("网吧")) {
			t.Errorf("%d %s", status, answer)
		}
	}
	steps := one + "/steps"
	refused(zaoshi, steps, m{"step": "deliberated", "version": 1}, 404, "not_found", "")
	refused(office, steps, m{"step": "deliberated", "version": 1, "members": []int{1, 2, 3}, "opinion": "agree", "text": "x"}, 422, "wrong_organ", "step")
	take(agency, steps, m{"step": "deliberated", "version": 1, "members": []int{1, 2, 3}, "opinion": "agree", "text": "一致同意"})
	approve := m{"step": "approved", "version": 2, "document_no": "天司矫定〔2026〕7号", "from": now, "until": now.AddDate(0, 3, 1)}
	refused(agency, steps, approve, 422, "not_the_county_head", "approver")
	refused(head, steps, approve, 422, "longer_than_3_months", "until")
	approve["until"] = now.AddDate(0, 3, 0)
	take(head, steps, approve)
	refused(head, steps, approve, 409, "changed", "") // the same request again
	take(office, steps, m{"step": "informed", "version": 3, "notice_text": 1})
	refused(office, steps, m{"step": "fitted", "version": 4, "device": "phone-TM20260417", "fitting": m{"strap_closed_at": now, "fix_at": now}}, 422, "missing", "fitting.strap_closed_at")
	var legal struct {
		Authorities []struct {
			DocumentNo string `json:"document_no"`
		} `json:"authorities"`
		Proceedings []struct{} `json:"proceedings"`
		Tasks       []struct {
			ID   int64  `json:"id"`
			Kind string `json:"kind"`
		} `json:"tasks"`
	}
	office.get(t, "/api/subjects/"+itoa(int64(b.li))+"/legal", &legal)
	if len(legal.Authorities) != 1 || legal.Authorities[0].DocumentNo != "天司矫定〔2026〕7号" || len(legal.Proceedings) != 1 || len(legal.Tasks) != 1 || legal.Tasks[0].Kind != "procuratorate_copy" {
		t.Errorf("%+v", legal)
	}
	if status, _ := zaoshi.do(t, "GET", "/api/subjects/"+itoa(int64(b.li))+"/legal", nil); status != 404 {
		t.Errorf("another office reads it: %d", status)
	}
	done := "/api/tasks/" + itoa(legal.Tasks[0].ID) + "/done"
	refused(helper, done, m{"outcome": "x"}, 422, "wrong_staff", "step")
	refused(zaoshi, done, m{"outcome": "x"}, 404, "not_found", "")
	refused(office, done, m{"outcome": " "}, 422, "missing", "outcome")
	if status, answer := office.do(t, "POST", done, m{"outcome": "天检回执1号"}); status != 200 || bytes.Contains(answer, []byte("procuratorate_copy")) {
		t.Errorf("%d %s", status, answer)
	}
	// What was decided elsewhere, recorded by those whose acts bind.
	subject := "/api/subjects/" + itoa(int64(b.li))
	refused(helper, subject+"/sentence", m{"document_no": "1", "from": now, "until": now.AddDate(1, 0, 0)}, 422, "wrong_staff", "step")
	for path, body := range map[string]any{
		"/sentence":    m{"document_no": "刑初1号", "from": now.AddDate(-1, 0, 0), "until": now.AddDate(1, 0, 0)},
		"/sanctions":   m{"kind": "warning", "refused_to_report": true, "document_no": "警1", "organ": "天门市司法局", "decided_at": now.Add(-time.Hour)},
		"/suspensions": m{"cause": "hospital", "document_no": "病历1", "from": now.Add(-time.Hour)},
	} {
		if status, answer := office.do(t, "POST", subject+path, body); status != 200 || !bytes.Contains(answer, []byte(`"document_no"`)) {
			t.Errorf("%s: %d %s", path, status, answer)
		}
		if status, _ := zaoshi.do(t, "POST", subject+path, body); status != 404 {
			t.Errorf("%s by another office: %d", path, status)
		}
	}
	refused(office, subject+"/prohibitions", m{"type": "area", "document_no": "刑初1号", "court": "天门市人民法院", "wording": "x", "zones": []int64{1}, "from": now, "until": now.AddDate(2, 0, 0)}, 422, "outlives_the_sentence", "until")
}

// TestAuxiliariesDoNotConclude_R135: who helps calls, visits and notes; who is in charge, and what it was, is for others.
func TestAuxiliariesDoNotConclude_R135(t *testing.T) {
	t.Parallel()
	b := setup(t)
	helper := b.officer(t, "zhou", supervision.Officer{Org: b.yuekou, Name: "周辅", Kind: supervision.Auxiliary}, console.OfficerRole)
	worker := b.officer(t, "wu", supervision.Officer{Org: b.yuekou, Name: "吴社工", Kind: supervision.SocialWorker}, console.OfficerRole)
	one := "/api/alerts/" + itoa(int64(b.raise(t, b.li)))
	conclude := m{"version": 3, "conclusion": "drift", "text": "定位漂移"}
	for _, act := range []struct {
		by   *user
		path string
		body m
		want int
	}{
		{helper, "/acknowledge", m{"version": 1}, 422}, {helper, "/note", m{"text": "电话接通，在家"}, 200}, {worker, "/acknowledge", m{"version": 2}, 200},
		{helper, "/close", conclude, 422}, {worker, "/close", conclude, 200},
	} {
		status, answer := act.by.do(t, "POST", one+act.path, act.body)
		if status != act.want || status == 422 && code(answer) != "wrong_staff" {
			t.Errorf("%s: %d %s", act.path, status, answer)
		}
	}
}
