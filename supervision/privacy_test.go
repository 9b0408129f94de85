package supervision_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"zhijiao/supervision"
)

func (b *bundle) scan(t *testing.T, into any, sql string, args ...any) {
	t.Helper()
	if err := b.pool.QueryRow(t.Context(), sql, args...).Scan(into); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func (b *bundle) run(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := b.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// refusedAs is the code and the article an error carries.
func refusedAs(err error) (supervision.Code, string) {
	var law *supervision.LawError
	var field *supervision.FieldError
	switch {
	case errors.As(err, &law):
		return law.Code, law.Article
	case errors.As(err, &field):
		return field.Code, ""
	}
	return "", ""
}

var officer = supervision.Actor{Kind: supervision.Enforcement, Name: "张"}

// TestNothingReadableIsInTheDatabase: what identifies a person cannot be read from a copy of the database, and they are found all the same, by whoever's
// they are.
func TestNothingReadableIsInTheDatabase_R110_R111(t *testing.T) {
	t.Parallel()
	b := setup(t)
	secret := supervision.Person{Name: "欧阳试验", IDNumber: "42900619900101001X", Phone: "+86 139-0000-0417", Address: "天门市岳口镇建设街17号", Contacts: []supervision.Contact{{Name: "王担保", Phone: "13100000001"}}}
	s, err := b.store.Enrol(t.Context(), 0, supervision.Enrolment{LocalNo: "TM20269417", Category: supervision.Probation, Office: b.yuekou, From: b.clock.Now(), Person: secret})
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	b.scan(t, &tables, "SELECT array_agg(relname::text) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'")
	for _, table := range tables {
		var all string
		b.scan(t, &all, "SELECT coalesce(string_agg(x::text, ' '), '') FROM "+table+" x")
		for _, plain := range []string{"欧阳试验", "42900619900101001", "13900000417", "139-0000-0417", "建设街", "13100000001"} {
			if strings.Contains(all, plain) {
				t.Errorf("%s holds %q", table, plain)
			}
		}
	}
	for _, text := range []string{"欧阳试验", "42900619900101001x", "13900000417", "+8613900000417", "TM20269417", "9417"} {
		if list, err := b.store.Find(t.Context(), b.pool, b.city, text); err != nil || len(list) != 1 || list[0].ID != s {
			t.Errorf("%q: %d found, %v", text, len(list), err)
		}
		if list, err := b.store.Find(t.Context(), b.pool, b.zaoshi, text); err != nil || len(list) != 0 {
			t.Errorf("%q: another office finds %d, %v", text, len(list), err)
		}
	}
	for _, text := range []string{"欧阳", "4290061990", "1390000041", "417"} {
		if list, err := b.store.Find(t.Context(), b.pool, b.city, text); err != nil || len(list) != 0 {
			t.Errorf("part of it, %q: %d found, %v", text, len(list), err)
		}
	}
	b.run(t, "UPDATE subject_person SET name_index = NULL, id_index = NULL, phone_index = NULL")
	if n, err := b.store.Index(t.Context()); err != nil || n < 2 {
		t.Errorf("%d indexed, %v", n, err)
	}
	if list, err := b.store.Find(t.Context(), b.pool, b.city, "13900000417"); err != nil || len(list) != 1 {
		t.Errorf("after it was indexed anew: %d, %v", len(list), err)
	}
}

// TestMinorsStayMinors: the flag outlives coming of age and ends by a correction with a reason alone; no surname stands anywhere; few may see the record.
func TestMinorsStayMinors_R88(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.store.PutJuvenile(t.Context(), 0, b.subject, true, "判决书载明犯罪时不满十八周岁"); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(10 * 365 * 24 * time.Hour)
	v, err := b.store.Subject(t.Context(), b.pool, b.city, b.subject)
	if err != nil || !v.Juvenile || strings.Contains(v.Label(), v.Surname) || !strings.HasPrefix(v.Label(), "未成年人·") {
		t.Errorf("%s, %v", v.Label(), err)
	}
	if _, err := b.pool.Exec(t.Context(), "UPDATE subject SET juvenile = false WHERE subject_id = $1", int64(b.subject)); err == nil {
		t.Error("it ended without a reason")
	}
	for name, c := range map[string]struct {
		actor supervision.Actor
		may   bool
	}{"anybody": {officer, false}, "the team": {supervision.Actor{Kind: supervision.Enforcement, Team: true}, true}, "the head": {supervision.Actor{Head: true}, true}} {
		if err := c.actor.MaySee(&v); (err == nil) != c.may {
			t.Errorf("%s: %v", name, err)
		}
	}
	adult := supervision.Subject{}
	if err := officer.MaySee(&adult); err != nil {
		t.Error(err)
	}
	if err := supervision.Together([]supervision.Subject{v, adult}); err == nil {
		t.Error("minors and adults are in one group")
	}
	if err := supervision.Together([]supervision.Subject{v, v}); err != nil {
		t.Error(err)
	}
	if err := b.store.PutJuvenile(t.Context(), 0, b.subject, false, "更正：录入错误"); err != nil {
		t.Error(err)
	}
}

// TestDisclosuresHaveABasis: what is given to others has a basis in law, a recipient, a document; positions serve community correction alone.
func TestDisclosuresHaveABasis_R102(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := b.clock.Now()
	good := supervision.Disclosure{Subject: b.subject, Basis: "revocation", RecipientKind: "court", Recipient: "天门市人民法院", DocumentNo: "（2026）鄂9006刑更1号", Fields: []string{"alerts", "positions"},
		Purpose: "提请撤销缓刑", From: now.AddDate(0, -1, 0), Until: now}
	for name, c := range map[string]struct {
		change func(*supervision.Disclosure)
		code   supervision.Code
		says   string
	}{
		"no basis":                      {func(d *supervision.Disclosure) { d.Basis = "" }, supervision.NoBasis, "34"},
		"a basis for others":            {func(d *supervision.Disclosure) { d.Basis = "penalty" }, supervision.NoBasis, ""},
		"positions for another purpose": {func(d *supervision.Disclosure) { d.Basis, d.RecipientKind = "case", "police" }, supervision.NotForThisPurpose, "29"},
		"no recipient":                  {func(d *supervision.Disclosure) { d.Recipient = " " }, supervision.Missing, ""},
		"no document":                   {func(d *supervision.Disclosure) { d.DocumentNo = "" }, supervision.NoDocument, ""},
		"no purpose":                    {func(d *supervision.Disclosure) { d.Purpose = "" }, supervision.Missing, ""},
		"nothing":                       {func(d *supervision.Disclosure) { d.Fields = nil }, supervision.Missing, ""},
		"no time":                       {func(d *supervision.Disclosure) { d.Until = d.From }, supervision.EmptyInterval, ""},
	} {
		d := good
		c.change(&d)
		_, err := b.store.Disclose(t.Context(), officer, b.city, d)
		if code, article := refusedAs(err); code != c.code || !strings.Contains(article, c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.store.Disclose(t.Context(), supervision.Actor{Kind: supervision.Auxiliary}, b.city, good); err == nil {
		t.Error("auxiliary staff give data away (R135)")
	}
	if _, err := b.store.Disclose(t.Context(), officer, b.zaoshi, good); !errors.Is(err, supervision.ErrNotFound) {
		t.Errorf("another office: %v", err)
	}
	n, err := b.store.Disclose(t.Context(), officer, b.city, good)
	if err != nil {
		t.Fatal(err)
	}
	list, err := b.store.Disclosures(t.Context(), b.pool, b.city, b.subject)
	if err != nil || len(list) != 1 || list[0].ID != n || list[0].Recipient != good.Recipient || len(list[0].Fields) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	if err := b.store.PutJuvenile(t.Context(), 0, b.subject, true, "x"); err != nil {
		t.Fatal(err)
	}
	other := good
	other.Basis, other.RecipientKind, other.Fields = "inquiry", "other", []string{"sentence"}
	if code, article := refusedAs(func() error { _, err := b.store.Disclose(t.Context(), officer, b.city, other); return err }()); code != supervision.OfAJuvenile || !strings.Contains(article, "54") {
		t.Errorf("of a minor: %s %s", code, article)
	}
	if _, err := b.pool.Exec(t.Context(), "UPDATE disclosure SET purpose = 'x'"); err == nil {
		t.Error("what was given can be rewritten")
	}
}

// TestRequestsAreAnsweredInTime: a request has a day by which it is answered, a task, a decision with an exception of law where it is refused.
func TestRequestsAreAnsweredInTime_R114(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ask := func(kind supervision.RequestKind) int64 {
		t.Helper()
		n, err := b.store.ReceiveRequest(t.Context(), officer, b.city, supervision.DataRequest{Subject: b.subject, Kind: kind, Words: "我的电话错了"})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := ask(supervision.RequestCorrection)
	list, err := b.store.Requests(t.Context(), b.pool, b.city, b.subject)
	if err != nil || len(list) != 1 || list[0].Words != "我的电话错了" || list[0].Due.Sub(list[0].ReceivedAt) < 14*24*time.Hour || list[0].Due.Sub(list[0].ReceivedAt) > 17*24*time.Hour {
		t.Fatalf("%+v, %v", list, err)
	}
	var stored string
	if b.scan(t, &stored, "SELECT string_agg(r::text, '') FROM data_request r"); strings.Contains(stored, "电话") {
		t.Error("the person's words can be read")
	}
	if err := b.store.Correct(t.Context(), officer, b.city, n, supervision.Person{Name: "李更正"}); err == nil {
		t.Error("corrected before it was decided")
	}
	if err := b.store.FinishRequest(t.Context(), officer, b.city, n, "x"); err == nil {
		t.Error("done before it was decided")
	}
	if code, article := refusedAs(b.store.DecideRequest(t.Context(), officer, b.city, n, false, "", "x")); code != supervision.NoBasis || article == "" {
		t.Errorf("refused without an exception: %s", code)
	}
	if code, _ := refusedAs(b.store.DecideRequest(t.Context(), officer, b.city, n, false, "duty", "")); code != supervision.Missing {
		t.Errorf("refused without a reason: %s", code)
	}
	if err := b.store.DecideRequest(t.Context(), officer, b.zaoshi, n, true, "", ""); !errors.Is(err, supervision.ErrNotFound) {
		t.Errorf("another office: %v", err)
	}
	if err := b.store.DecideRequest(t.Context(), officer, b.city, n, true, "", ""); err != nil {
		t.Fatal(err)
	}
	if err := b.store.DecideRequest(t.Context(), officer, b.city, n, false, "duty", "x"); !errors.Is(err, supervision.ErrConflict) {
		t.Errorf("decided twice: %v", err)
	}
	if err := b.store.Correct(t.Context(), officer, b.city, n, supervision.Person{Name: "李更正", Phone: "13900009999"}); err != nil {
		t.Fatal(err)
	}
	p, err := b.store.Person(t.Context(), b.pool, b.city, b.subject)
	var kept int
	b.scan(t, &kept, "SELECT count(*) FROM person_history WHERE request_id = $1", n)
	if err != nil || p.Phone != "13900009999" || kept != 1 {
		t.Errorf("%v, %d kept of before", err, kept)
	}
	if err := b.store.FinishRequest(t.Context(), officer, b.city, n, "已更正并告知本人"); err != nil {
		t.Fatal(err)
	}
	var open int
	if b.scan(t, &open, "SELECT count(*) FROM task WHERE kind = 'request_answer' AND done_at IS NULL"); open != 0 {
		t.Errorf("%d tasks open", open)
	}
	m := ask(supervision.RequestDeletion)
	if err := b.store.DecideRequest(t.Context(), officer, b.city, m, false, "keeping", "矫正期限未满"); err != nil {
		t.Error(err)
	}
	b.run(t, "INSERT INTO notice (subject_id, notice_text_id, signed_at, recorded_at) SELECT $1, notice_text_id, $2, $2 FROM notice_text WHERE code = 'privacy'", int64(b.subject), b.clock.Now())
	told, err := supervision.Notices(t.Context(), b.pool, b.subject)
	if err != nil || len(told) != 1 || told[0].Code != "privacy" || told[0].Version != 1 || told[0].Body == "" {
		t.Errorf("%+v, %v", told, err)
	}
}

// TestRulesRestOnAnAssessment: a rule of a kind that nobody assessed is not put into force; assessments stay.
func TestRulesRestOnAnAssessment_R115(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := b.clock.Now()
	list, err := supervision.Assessments(t.Context(), b.pool, now)
	if err != nil || len(list) < 15 || !list[0].Provisional {
		t.Fatalf("%d assessments, %v", len(list), err)
	}
	rule := func(kind string) error {
		_, err := b.pool.Exec(t.Context(), `INSERT INTO rule (rule_id, version, subject_id, kind, legal_basis, valid, recorded) VALUES (nextval('rule_id'), 1, $1, $2, 'none', tstzrange($3, NULL), tstzrange($3, NULL))`, int64(b.subject), kind, now)
		return err
	}
	if err := rule("face"); err == nil || !strings.Contains(err.Error(), "55") {
		t.Errorf("a kind that nobody assessed: %v", err)
	}
	a := supervision.Assessment{What: "rule_kind", Code: "face", DocumentNo: "评估〔2026〕1号", Lawful: "必要", Impact: "敏感", Measures: "加密", Assessor: "张", Reviewer: "张", From: now}
	if code, _ := refusedAs(func() error { _, err := b.store.PutAssessment(t.Context(), 0, a); return err }()); code != supervision.SamePerson {
		t.Errorf("reviewed by who assessed: %s", code)
	}
	a.Reviewer, a.Measures = "王", ""
	if _, err := b.store.PutAssessment(t.Context(), 0, a); err == nil {
		t.Error("without measures")
	}
	a.Measures = "加密"
	if _, err := b.store.PutAssessment(t.Context(), 0, a); err != nil {
		t.Fatal(err)
	}
	if err := rule("face"); err != nil {
		t.Errorf("after it was assessed: %v", err)
	}
	if _, err := b.pool.Exec(t.Context(), "DELETE FROM assessment"); err == nil {
		t.Error("an assessment can be deleted")
	}
}

// TestTheProcuratorateIsAnswered: each item is a query over what is on record, scoped; what nothing answers says so.
func TestTheProcuratorateIsAnswered_R103(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := b.clock.Now()
	b.run(t, "INSERT INTO task (kind, key, subject_id, org_id, opened_at, due_at) VALUES ('procuratorate_copy', 'x', $1, $2, $3, $4)", int64(b.subject), int64(b.yuekou), now.AddDate(0, 0, -20), now.AddDate(0, 0, -10))
	b.run(t, `INSERT INTO rule (rule_id, version, subject_id, kind, legal_basis, valid, recorded) VALUES (78, 1, $1, 'silence', 'none', '[2020-01-01,)', '[2021-01-01,)')`, int64(b.subject))
	b.run(t, `INSERT INTO violation (subject_id, org_id, rule_id, rule_version, kind, channel, state, opened_at, decided_at, evidence, engine)
		VALUES ($1, $2, 78, 1, 'device_silent', 'phone', 'open', $3, $3, '{}', '1')`, int64(b.subject), int64(b.yuekou), now.AddDate(0, 0, -3))
	for range 2 {
		b.run(t, "INSERT INTO sanction (subject_id, kind, cause, document_no, organ, decided_at, recorded_at) VALUES ($1, 'warning', 'other', md5(random()::text), '天门市司法局', $2, $2)", int64(b.subject), now)
	}
	want := map[string]int{"copy_late": 1, "out_of_control": 1, "third_warning": 1}
	for i := range supervision.Items {
		item := &supervision.Items[i]
		found, err := supervision.Inspect(t.Context(), b.pool, b.city, item, now)
		if err != nil {
			t.Errorf("%s: %v", item.Code, err)
		}
		if len(found) != want[item.Code] {
			t.Errorf("%s: %+v", item.Code, found)
		}
		if elsewhere, err := supervision.Inspect(t.Context(), b.pool, b.zaoshi, item, now); err != nil || len(elsewhere) != 0 {
			t.Errorf("%s of another office: %d, %v", item.Code, len(elsewhere), err)
		}
		if item.Citation == "" || item.ZH == "" || item.EN == "" {
			t.Errorf("%s says not what it rests on", item.Code)
		}
	}
}
