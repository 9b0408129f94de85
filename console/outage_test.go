package console_test

import (
	"bytes"
	"net/http"
	"testing"

	"zhijiao/console"
)

// TestOutagesAreDeclaredAndChecked_R128: an officer declares the office's town away and ends it, checks people again, and
// sees nobody of another office; an operator is the whole deployment's.
func TestOutagesAreDeclaredAndChecked_R128(t *testing.T) {
	t.Parallel()
	b := setup(t)
	city, yuekou, zaoshi := b.user(t, "wang", b.city, console.Commander), b.user(t, "yuekou.li", b.yuekou, console.OfficerRole), b.user(t, "zaoshi.zhao", b.zaoshi, console.OfficerRole)
	town := itoa(int64(b.yuekou))
	if status, body := zaoshi.do(t, "POST", "/api/outages", map[string]string{"scope": "town", "key": town}); status != http.StatusUnprocessableEntity {
		t.Errorf("another office's town: %d %s", status, body)
	}
	if status, body := yuekou.do(t, "POST", "/api/outages", map[string]string{"scope": "operator", "key": "46000"}); status != http.StatusUnprocessableEntity {
		t.Errorf("an operator by one office: %d %s", status, body)
	}
	status, body := yuekou.do(t, "POST", "/api/outages", map[string]string{"scope": "town", "key": town, "note": "停电"})
	if status != http.StatusOK || !bytes.Contains(body, []byte(`"name":"岳口"`)) || !bytes.Contains(body, []byte("停电")) {
		t.Fatalf("%d %s", status, body)
	}
	b.exec(t, `INSERT INTO outage_person (outage_id, subject_id, device_id, silent_since) SELECT 1, $1, device_id, $2 FROM device LIMIT 1`, int64(b.li), now)
	for u, sees := range map[*user]bool{city: true, yuekou: true, zaoshi: false} {
		_, body := u.do(t, "GET", "/api/outages", nil)
		if bytes.Contains(body, []byte("0417")) != sees || bytes.Contains(body, []byte("李试验")) {
			t.Errorf("seen: %s", body)
		}
	}
	verify := "/api/outages/1/people/" + itoa(int64(b.li)) + "/verify"
	if status, _ := zaoshi.do(t, "POST", verify, map[string]string{"note": "x"}); status != http.StatusNotFound {
		t.Errorf("another office checks: %d", status)
	}
	if status, body := yuekou.do(t, "POST", verify, map[string]string{"note": "电话核实在家"}); status != http.StatusOK || !bytes.Contains(body, []byte("电话核实在家")) {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := zaoshi.do(t, "POST", "/api/outages/1/end", map[string]string{}); status != http.StatusUnprocessableEntity && status != http.StatusNotFound {
		t.Errorf("another office ends it: %d", status)
	}
	if status, body := yuekou.do(t, "POST", "/api/outages/1/end", map[string]string{}); status != http.StatusOK || bytes.Contains(body, []byte(`"ended_at":null`)) {
		t.Errorf("%d %s", status, body)
	}
}
