package console_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"zhijiao/console"
)

// page is an alert's page.
type page struct {
	ID      int64  `json:"id"`
	State   string `json:"state"`
	Version int    `json:"version"`
	Subject struct {
		Label    string `json:"label"`
		Masked   bool   `json:"masked"`
		Name     string `json:"name"`
		Phone    string `json:"phone"`
		Contacts []struct {
			Name, Phone string
		} `json:"contacts"`
	} `json:"subject"`
	Org      struct{ ShortName string }       `json:"org"`
	Sentence struct{ ZH, EN string }          `json:"sentence"`
	Position *struct{ Lon, Lat float64 }      `json:"position"`
	Basis    struct{ Title, Citation string } `json:"legal_basis"`
	History  []struct {
		Act     string         `json:"act"`
		Body    map[string]any `json:"body"`
		Account *struct {
			DisplayName string `json:"display_name"`
		} `json:"account"`
	} `json:"history"`
	Zone struct {
		Version  int    `json:"version"`
		Name     string `json:"name"`
		Geometry struct {
			Type string `json:"type"`
		} `json:"geometry"`
	} `json:"zone"`
	Rule struct {
		Kind string `json:"kind"`
	} `json:"rule"`
	Violation struct {
		Evidence json.RawMessage `json:"evidence"`
	} `json:"violation"`
}

func (p *page) acts() string {
	var acts []string
	for _, h := range p.History {
		acts = append(acts, h.Act)
	}
	return strings.Join(acts, " ")
}

func TestMaskedUntilOneHoldsIt_R107_R111(t *testing.T) {
	t.Parallel()
	b := setup(t)
	holder, other := b.user(t, "wang", b.city, console.Commander), b.user(t, "yuekou.li", b.yuekou, console.OfficerRole)
	alert := "/api/alerts/" + itoa(int64(b.raise(t, b.li)))
	secret := []byte("13000000417")

	var before page
	holder.get(t, alert, &before)
	if !before.Subject.Masked || before.Subject.Phone != "" || before.Subject.Name != "" || before.Subject.Label != "李某某·岳口·0417" {
		t.Errorf("before: %+v", before.Subject)
	}
	if status, body := holder.do(t, "POST", alert+"/acknowledge", map[string]int{"version": before.Version}); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	var held page
	holder.get(t, alert, &held)
	if s := held.Subject; s.Name != "李试验" || s.Phone != string(secret) || len(s.Contacts) != 1 || s.Contacts[0].Phone != "13100000001" {
		t.Errorf("the holder sees %+v", s)
	}
	if _, body := other.do(t, "GET", alert, nil); bytes.Contains(body, secret) || bytes.Contains(body, []byte("李试验")) {
		t.Error("somebody else sees the person")
	}
	for _, path := range []string{"/api/snapshot", "/api/alerts", "/api/summary"} {
		if _, body := holder.do(t, "GET", path, nil); bytes.Contains(body, secret) || bytes.Contains(body, []byte("李试验")) {
			t.Errorf("%s shows the person", path)
		}
	}
	var viewed int
	b.scan(t, &viewed, "SELECT count(DISTINCT account_id) FROM alert_event WHERE act = 'viewed'")
	if viewed != 2 {
		t.Errorf("%d accounts recorded as having looked", viewed)
	}
	if status, body := holder.do(t, "POST", alert+"/close", map[string]any{"version": held.Version, "conclusion": "justified", "text": "看病，已补办"}); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if _, body := holder.do(t, "GET", alert, nil); bytes.Contains(body, secret) {
		t.Error("the alert is closed, and the person still shown")
	}
	var stored string
	b.scan(t, &stored, "SELECT (SELECT string_agg(l::text, '') FROM ledger l) || (SELECT string_agg(e::text, '') FROM alert_event e)")
	if strings.Contains(stored, string(secret)) || strings.Contains(stored, "李试验") {
		t.Error("the ledger or the history holds personal data")
	}
}

func TestAnAlertSaysWhy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "wang", b.city, console.Commander)
	var p page
	u.get(t, "/api/alerts/"+itoa(int64(b.raise(t, b.li))), &p)
	for _, part := range []string{"李某某·岳口·0417", "22:12", "离开天门市", "东南方向", "1.3 公里", "2 次定位确认", "第二十七条"} {
		if !strings.Contains(p.Sentence.ZH, part) {
			t.Errorf("%q is not in %s", part, p.Sentence.ZH)
		}
	}
	for _, part := range []string{"22:12", "south-east", "1.3 km", "art. 27"} {
		if !strings.Contains(p.Sentence.EN, part) {
			t.Errorf("%q is not in %s", part, p.Sentence.EN)
		}
	}
	if p.Position == nil || p.Position.Lon != 113.415 || p.Zone.Name != "天门市" || p.Zone.Version != 1 || p.Zone.Geometry.Type != "MultiPolygon" ||
		p.Rule.Kind != "stay_in" || !bytes.Contains(p.Violation.Evidence, []byte("margin")) {
		t.Errorf("the page: %+v", p)
	}
}

// TestAnAlertIsExplained: the chain from fixes to the alert is on its page, in words.
func TestAnAlertIsExplained(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "wang", b.city, console.Commander)
	var p struct {
		Violation struct {
			Explanation []struct{ ZH, EN string } `json:"explanation"`
		} `json:"violation"`
	}
	u.get(t, "/api/alerts/"+itoa(int64(b.raise(t, b.li))), &p)
	var zh, en strings.Builder
	for _, l := range p.Violation.Explanation {
		zh.WriteString(l.ZH)
		en.WriteString(l.EN)
	}
	for _, part := range []string{"李某某·岳口·0417", "第二十七条", "连续 2 个独立卫星定位", "在区域边界外 1200 米", "情形仍在持续"} {
		if !strings.Contains(zh.String(), part) {
			t.Errorf("%q is not in %s", part, zh.String())
		}
	}
	if !strings.Contains(en.String(), "art. 27") || !strings.Contains(en.String(), "1200 m outside the edge") {
		t.Errorf("in English: %s", en.String())
	}
}

// TestWhoSawTheEarlierVersionIsTold_R36: whoever saw an alert before the past was derived again is told when they look again,
// once; who sees it for the first time is not.
func TestWhoSawTheEarlierVersionIsTold_R36(t *testing.T) {
	t.Parallel()
	b := setup(t)
	wang, li := b.user(t, "wang", b.city, console.Commander), b.user(t, "yuekou.li", b.yuekou, console.OfficerRole)
	alert := b.raise(t, b.li)
	path := "/api/alerts/" + itoa(int64(alert))
	told := func(u *user) bool {
		t.Helper()
		var p struct {
			CorrectedAt *time.Time `json:"corrected_at"`
		}
		u.get(t, path, &p)
		return p.CorrectedAt != nil
	}
	if told(wang) {
		t.Error("nothing was corrected")
	}
	b.exec(t, `INSERT INTO alert_event (alert_id, seq, act, at, body) SELECT $1, max(seq) + 1, 'amended', $2, '{"why":{"what":"late_data"}}' FROM alert_event WHERE alert_id = $1`, int64(alert), now)
	if told(li) {
		t.Error("who sees it for the first time saw no earlier version")
	}
	if !told(wang) {
		t.Error("who saw the earlier version was not told")
	}
}

// TestResetIsConfirmed_R122: an officer of the person's office says that the device was seen on the person, how, and it
// stands in the history; nobody else's office can, and not of an alert it does not belong to.
func TestResetIsConfirmed_R122(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u, other := b.user(t, "yuekou.li", b.yuekou, console.OfficerRole), b.user(t, "zaoshi.zhao", b.zaoshi, console.OfficerRole)
	path := "/api/alerts/" + itoa(int64(b.raise(t, b.li))) + "/attachment"
	reset := map[string]string{"what": "reset_confirmed", "how": "seen", "note": "到户查验，佩戴完好"}
	if status, _ := other.do(t, "POST", path, reset); status != http.StatusNotFound {
		t.Errorf("another office: %d", status)
	}
	for field, in := range map[string]map[string]string{"what": {"what": "separation_accepted", "how": "lead"}, "how": {"what": "reset_confirmed", "how": "hearsay"}} {
		if status, body := u.do(t, "POST", path, in); status != http.StatusUnprocessableEntity || !bytes.Contains(body, []byte(`"field":"`+field+`"`)) {
			t.Errorf("%s: %d %s", field, status, body)
		}
	}
	var n int
	b.scan(t, &n, "SELECT count(*) FROM attachment")
	if n != 0 {
		t.Errorf("%d were recorded of what was refused", n)
	}
	status, body := u.do(t, "POST", path, reset)
	if status != http.StatusOK || !bytes.Contains(body, []byte("复位确认（当面查验）：到户查验，佩戴完好")) {
		t.Errorf("%d %s", status, body)
	}
	b.scan(t, &n, "SELECT count(*) FROM attachment WHERE subject_id = $1 AND what = 'reset_confirmed' AND recorded_by IS NOT NULL", int64(b.li))
	if n != 1 {
		t.Errorf("%d are recorded", n)
	}
}

func TestTwoOfficersAtOnce_R58(t *testing.T) {
	t.Parallel()
	b := setup(t)
	users := []*user{b.user(t, "wang", b.city, console.Commander), b.user(t, "yuekou.li", b.yuekou, console.OfficerRole)}
	alert := "/api/alerts/" + itoa(int64(b.raise(t, b.li)))
	statuses, bodies := make([]int, 2), make([][]byte, 2)
	var wg sync.WaitGroup
	for i, u := range users {
		wg.Go(func() { statuses[i], bodies[i] = u.do(t, "POST", alert+"/acknowledge", map[string]int{"version": 1}) })
	}
	wg.Wait()
	won := 0
	if statuses[0] != http.StatusOK {
		won = 1
	}
	var told struct {
		Error struct {
			Code   string `json:"code"`
			Detail struct {
				By      string `json:"by"`
				At      string `json:"at"`
				State   string `json:"state"`
				Version int    `json:"version"`
			} `json:"detail"`
		} `json:"error"`
	}
	if err := json.Unmarshal(bodies[1-won], &told); err != nil {
		t.Fatal(err)
	}
	d := told.Error.Detail
	if statuses[won] != http.StatusOK || statuses[1-won] != http.StatusConflict || told.Error.Code != "conflict" ||
		d.By != []string{"wang", "yuekou.li"}[won] || d.State != "acknowledged" || d.At == "" || d.Version != 2 {
		t.Errorf("%v %s %s", statuses, bodies[0], bodies[1])
	}
	if status, body := users[1-won].do(t, "POST", alert+"/close", map[string]any{"version": 2, "conclusion": "drift", "text": ""}); status != http.StatusConflict {
		t.Errorf("the loser closes it: %d %s", status, body)
	}
	for _, c := range []struct {
		body  map[string]any
		field string
	}{
		{map[string]any{"version": 2, "conclusion": "fine", "text": ""}, "conclusion"},
		{map[string]any{"version": 2, "conclusion": "other", "text": " "}, "text"},
		{map[string]any{"version": 2, "conclusion": "unverifiable", "text": "x"}, "follow_up_on"},
		{map[string]any{"version": 2, "conclusion": "unverifiable", "text": "x", "follow_up_on": "tomorrow"}, "follow_up_on"},
	} {
		status, body := users[won].do(t, "POST", alert+"/close", c.body)
		if status != http.StatusUnprocessableEntity || !bytes.Contains(body, []byte(`"field":"`+c.field+`"`)) {
			t.Errorf("%v: %d %s", c.body, status, body)
		}
	}
}

func TestNotesAreKeptAsTyped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "wang", b.city, console.Commander)
	alert := "/api/alerts/" + itoa(int64(b.raise(t, b.li)))
	notes := []string{
		`<script>alert(1)</script><img src=x onerror=alert(2)>`,
		`'; DROP TABLE alert; --`,
		"一行\n二行\t\"引号\" \\ 反斜杠 \u202e倒写 👮 &amp; %00",
		`{{constructor.constructor("alert(1)")()}}`,
	}
	for _, n := range notes {
		if status, body := u.do(t, "POST", alert+"/note", map[string]string{"text": n}); status != http.StatusOK {
			t.Fatalf("%q: %d %s", n, status, body)
		}
	}
	if status, _ := u.do(t, "POST", alert+"/note", map[string]string{"text": "null\x00byte"}); status != http.StatusUnprocessableEntity {
		t.Errorf("a text that the database cannot hold: %d", status)
	}
	var p page
	u.get(t, alert, &p)
	var got []string
	for _, h := range p.History {
		if h.Act == "noted" {
			text, _ := h.Body["text"].(string)
			got = append(got, text)
		}
	}
	if strings.Join(got, "\x00") != strings.Join(notes, "\x00") {
		t.Errorf("kept as %q", got)
	}
	status, body := u.do(t, "GET", alert, nil)
	if status != http.StatusOK || bytes.Contains(body, []byte("<script>")) {
		t.Error("an answer opened as a page could run what somebody typed")
	}
}

// TestTracksAreLookedAtForAReason: the alert one holds is a reason by itself, everybody else names one, and both are kept.
func TestTracksAreLookedAtForAReason_R107(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "yuekou.li", b.yuekou, console.OfficerRole)
	track := "/api/subjects/" + itoa(int64(b.li)) + "/track"
	for query, want := range map[string]string{"": "required", "?purpose=curiosity": "unknown"} {
		if status, body := u.do(t, "GET", track+query, nil); status != http.StatusUnprocessableEntity || code(body) != want || !bytes.Contains(body, []byte(`"purpose"`)) {
			t.Errorf("%q: %d %s", query, status, body)
		}
	}
	if status, body := u.do(t, "GET", track+"?purpose=check", nil); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	alert := b.raise(t, b.li)
	if status, body := u.do(t, "POST", "/api/alerts/"+itoa(int64(alert))+"/acknowledge", map[string]int{"version": 1}); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := u.do(t, "GET", track, nil); status != http.StatusOK {
		t.Errorf("for the alert one holds: %d %s", status, body)
	}
	var kept string
	b.scan(t, &kept, "SELECT string_agg(purpose || ':' || coalesce(alert_id, 0), ' ' ORDER BY access_id) FROM subject_access")
	if want := "check:0 alert:" + itoa(int64(alert)); kept != want {
		t.Errorf("kept %q, want %q", kept, want)
	}
	if _, err := b.pool.Exec(t.Context(), "DELETE FROM subject_access"); err == nil {
		t.Error("what was looked at could be struck out")
	}
	for query, want := range map[string]int{
		"?purpose=check&from=2026-09-01T00:00:00Z&until=2026-11-01T00:00:00Z": http.StatusUnprocessableEntity,
		"?purpose=check&from=2026-11-02T00:00:00Z&until=2026-11-01T00:00:00Z": http.StatusUnprocessableEntity,
		"?purpose=check&from=yesterday":                                       http.StatusUnprocessableEntity,
	} {
		if status, body := u.do(t, "GET", track+query, nil); status != want {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
}
