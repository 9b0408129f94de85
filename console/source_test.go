package console_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"zhijiao/console"
)

// TestSourcesAreTold_R46: a source whose data is out of step is on every console's banner, in /healthz as a warning (the program itself
// works) and on the page of the account, until it is in step again.
func TestSourcesAreTold_R46(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "wang", b.city, console.Commander)
	c := u.stream(t, snapshotPos(t, u))
	until(t, c, func(m message) bool { return m.Type == "beat" && len(m.Stale) == 0 })
	if _, err := b.pool.Exec(t.Context(), `INSERT INTO source_watermark (source, devices, observed_at, heard_at, limit_s, stale_since, version)
		VALUES ('jt808 wristband', 3, $1, $1, 900, $2, 1), ('mqtt wristband', 0, $1, $1, 900, NULL, 0)`, now.Add(-time.Hour), now); err != nil {
		t.Fatal(err)
	}
	until(t, c, func(m message) bool { return m.Type == "beat" && slices.Equal(m.Stale, []string{"jt808 wristband"}) })
	if status, body := u.do(t, "GET", "/healthz", nil); status != http.StatusOK || !strings.Contains(string(body), `"sources":"data is out of step, nothing new comes from: jt808 wristband"`) {
		t.Errorf("%d %s", status, body)
	}
	var doc struct {
		Sources []struct {
			Source  string `json:"source"`
			Devices int    `json:"devices"`
			Lag     int    `json:"lag_s"`
			Limit   int    `json:"limit_s"`
			Stale   bool   `json:"stale"`
		} `json:"sources"`
	}
	u.get(t, "/api/accounting", &doc)
	if len(doc.Sources) != 1 || doc.Sources[0].Devices != 3 || doc.Sources[0].Lag != 3600 || doc.Sources[0].Limit != 900 || !doc.Sources[0].Stale {
		t.Errorf("%+v", doc)
	}
	if _, err := b.pool.Exec(t.Context(), `UPDATE source_watermark SET stale_since = NULL`); err != nil {
		t.Fatal(err)
	}
	until(t, c, func(m message) bool { return m.Type == "beat" && len(m.Stale) == 0 })
}
