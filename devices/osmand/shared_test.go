package osmand

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func shared(t *testing.T, name string) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "data", "payloads", name))
	if err != nil {
		t.Skip("the shared payloads are not on this machine")
	}
	return strings.Split(strings.TrimSpace(string(raw)), "\n")
}

// TestSharedMessages: what real apps sent is read, or refused for the reason that a person finds in it.
func TestSharedMessages_R39(t *testing.T) {
	t.Parallel()
	for i, line := range shared(t, "osmand_traccar_client.jsonl") {
		m, f := DecodeJSON([]byte(line))
		simulated := strings.Contains(line, `"mock":true`)
		switch {
		case simulated && f == nil && m.Readings[0].Placed:
			t.Errorf("line %d: a place that was made up is one", i+1)
		case !simulated && (f != nil || len(m.Readings) != 1 || !m.Readings[0].Placed || len(m.Faults) > 0):
			t.Errorf("line %d: %s", i+1, brief(m, f))
		}
	}
	for i, line := range shared(t, "osmand_traccar_client_query.txt") {
		_, query, _ := strings.Cut(strings.TrimSpace(line), "?")
		v, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		m, f := DecodeForm(v)
		want := "placed"
		switch {
		case !v.Has("id") && !v.Has("deviceid"):
			want = "missing_field id"
		case !v.Has("timestamp"):
			want = "missing_field timestamp"
		case strings.Contains(v.Get("timestamp"), " "):
			want = "time_without_zone timestamp"
		case !v.Has("lat") && !v.Has("location"):
			want = "a state"
		}
		got := "a state"
		if f != nil {
			got = string(f.Reason) + " " + f.Field
		} else if m.Readings[0].Placed {
			got = "placed"
		}
		if got != want {
			t.Errorf("line %d: %s, want %s", i+1, got, want)
		}
	}
	m, f := DecodeJSON([]byte(strings.Join(shared(t, "traccar_forward_position.CONSTRUCTED.json"), "\n")))
	if f != nil || !m.Forwarded || !m.Readings[0].Placed || m.Readings[0].Health.Strap == 0 || m.Readings[0].Satellites != 14 {
		t.Errorf("forwarded: %s", brief(m, f))
	}
}
