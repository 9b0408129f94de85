package console_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"zhijiao/console"
)

// TestOrganisationIsTheSystemAdministrators_R108: who organises adds and moves organisations and staff within their own part of the tree, told
// which field is wrong; what they did is written down with who did it; and they reach nobody else's part.
func TestOrganisationIsTheSystemAdministrators_R108(t *testing.T) {
	b := setup(t)
	u := b.user(t, "sys", b.city, console.SystemAdmin)
	type organisation struct {
		Orgs []struct {
			ID, Parent int64
			Name       string
		}
		Officers []struct {
			ID, Org    int64
			Name, Kind string
			CountyHead bool `json:"county_head"`
		}
	}
	var doc organisation
	u.get(t, "/api/organisation", &doc)
	if len(doc.Orgs) != 3 {
		t.Fatalf("%+v", doc)
	}
	put := func(u *user, path string, in map[string]any) (int, string) {
		status, body := u.do(t, "POST", path, in)
		return status, fmt.Sprintf("%s %s", code(body), body)
	}
	must := func(path string, in map[string]any) {
		t.Helper()
		if status, body := put(u, path, in); status != http.StatusOK {
			t.Fatalf("%s %v: %d %s", path, in, status, body)
		}
	}
	must("/api/orgs", map[string]any{"parent": b.city, "kind": "judicial_office", "name": "多宝司法所", "short_name": "多宝", "code": "429006102", "lon": 112.8, "lat": 30.68})
	must("/api/officers", map[string]any{"org": b.city, "name": "周局", "kind": "enforcement", "county_head": true})
	u.get(t, "/api/organisation", &doc)
	duobao, zhou := doc.Orgs[len(doc.Orgs)-1].ID, doc.Officers[len(doc.Officers)-1].ID
	must("/api/orgs", map[string]any{"id": duobao, "parent": b.city, "kind": "judicial_office", "name": "多宝镇司法所", "short_name": "多宝"})
	must("/api/officers", map[string]any{"id": zhou, "org": b.yuekou, "name": "周局", "kind": "enforcement"})
	must("/api/orgs", map[string]any{"id": b.city, "parent": 0, "kind": "county_department", "name": "天门市司法局", "short_name": "天门"})

	small := b.user(t, "sys.yuekou", b.yuekou, console.SystemAdmin)
	for _, c := range []struct {
		u      *user
		path   string
		in     map[string]any
		status int
		field  string
	}{
		{u, "/api/orgs", map[string]any{"parent": b.city, "kind": "palace", "name": "x", "short_name": "x"}, 422, "kind"},
		{u, "/api/orgs", map[string]any{"parent": b.city, "kind": "squadron", "name": "", "short_name": "x"}, 422, "name"},
		{u, "/api/orgs", map[string]any{"parent": 0, "kind": "squadron", "name": "一中队", "short_name": "一"}, 422, "parent"},
		{u, "/api/orgs", map[string]any{"id": b.city, "parent": b.yuekou, "kind": "county_department", "name": "天门市司法局", "short_name": "天门"}, 422, "parent"},
		{u, "/api/orgs", map[string]any{"parent": b.city, "kind": "squadron", "name": "一中队", "short_name": "一", "lon": 300, "lat": 30}, 422, "lon"},
		{u, "/api/orgs", map[string]any{"id": 4711, "parent": b.city, "kind": "squadron", "name": "一中队", "short_name": "一"}, 404, ""},
		{u, "/api/officers", map[string]any{"org": 4711, "name": "周", "kind": "enforcement"}, 422, "org"},
		{u, "/api/officers", map[string]any{"org": b.city, "name": "周", "kind": "king"}, 422, "kind"},
		// Another's part of the tree is not there.
		{small, "/api/orgs", map[string]any{"id": b.zaoshi, "parent": b.yuekou, "kind": "judicial_office", "name": "皂市司法所", "short_name": "皂市"}, 404, ""},
		{small, "/api/orgs", map[string]any{"parent": b.city, "kind": "squadron", "name": "一中队", "short_name": "一"}, 422, "parent"},
		{small, "/api/orgs", map[string]any{"id": b.yuekou, "parent": b.zaoshi, "kind": "judicial_office", "name": "岳口司法所", "short_name": "岳口"}, 422, "parent"},
		{small, "/api/officers", map[string]any{"org": b.zaoshi, "name": "周", "kind": "enforcement"}, 422, "org"},
	} {
		if status, body := put(c.u, c.path, c.in); status != c.status || c.field != "" && !strings.Contains(body, `"field":"`+c.field+`"`) {
			t.Errorf("%s %v: %d %s", c.path, c.in, status, body)
		}
	}
	var told int
	if b.scan(t, &told, "SELECT count(*) FROM ledger WHERE kind IN ('org.put', 'officer.put') AND body ->> 'by' = $1::text", fmt.Sprint(u.me["account"].(map[string]any)["id"])); told != 5 {
		t.Errorf("the ledger names who did it %d times, of 5", told)
	}
	if status, _ := put(b.user(t, "sec", b.city, console.SecurityAdmin), "/api/orgs", map[string]any{}); status != http.StatusForbidden {
		t.Errorf("a security administrator organises: %d", status)
	}
}
