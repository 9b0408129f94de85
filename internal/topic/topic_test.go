package topic_test

import (
	"strings"
	"testing"

	"zhijiao/devices"
	"zhijiao/internal/topic"
)

func TestParse(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", topic.MaxSerial)
	for _, c := range []struct {
		topic  string
		serial devices.Serial
		kind   devices.Kind
		ok     bool
	}{
		{"up/WB-1/fix", "WB-1", devices.KindFix, true},
		{"up/WB_1/checkin", "WB_1", devices.KindCheckIn, true},
		{"p/3/up/WB-1/status", "WB-1", devices.KindStatus, true},
		{"up/" + long + "/fix", devices.Serial(long), devices.KindFix, true},
		{"up/" + long + "a/fix", "", devices.KindUnknown, false},
		{"up/WB-1/position", "WB-1", devices.KindUnknown, false},
		{"up/WB-1/fix/x", "WB-1", devices.KindUnknown, false},
		{"up/WB-1", "WB-1", devices.KindUnknown, false},
		{"up/../fix", "", devices.KindUnknown, false},
		{"up//fix", "", devices.KindUnknown, false},
		{"p/x/up/WB-1/fix", "", devices.KindUnknown, false},
		{"p/1", "", devices.KindUnknown, false},
		{"down/WB-1/cmd", "", devices.KindUnknown, false},
		{"owntracks/PH-1/pixel", "PH-1", devices.KindOwnTracks, true},
		{"owntracks/PH-1/pixel/event", "PH-1", devices.KindOwnTracks, true},
		{"p/3/up/PH-1/owntracks", "PH-1", devices.KindOwnTracks, true},
		{"up/PH-1/owntracks", "PH-1", devices.KindUnknown, false},
		{"p/3/owntracks/PH-1/pixel", "", devices.KindUnknown, false},
		{"owntracks/PH-1", "PH-1", devices.KindUnknown, false},
		{"owntracks/PH-1/", "PH-1", devices.KindUnknown, false},
		{"owntracks/PH-1/a/b/c", "PH-1", devices.KindUnknown, false},
		{"owntracks/P 1/pixel", "", devices.KindUnknown, false},
		{"", "", devices.KindUnknown, false},
	} {
		serial, kind, ok := topic.Parse(c.topic)
		if serial != c.serial || kind != c.kind || ok != c.ok {
			t.Errorf("Parse(%q) = %q, %q, %v; want %q, %q, %v", c.topic, serial, kind, ok, c.serial, c.kind, c.ok)
		}
	}
}

// A device can never be called like one of our sessions.
func TestServiceNamesAreNoSerials(t *testing.T) {
	t.Parallel()
	for _, name := range []string{topic.IngestClient(0), topic.IngestClient(12), topic.CommandClient("a1"), topic.GatewayClient("g1")} {
		if topic.ValidSerial(name) {
			t.Errorf("%q could be a device", name)
		}
	}
	if k, ok := topic.IngestPartition(topic.IngestClient(12)); !ok || k != 12 {
		t.Errorf("partition of session 12: %d, %v", k, ok)
	}
	for _, name := range []string{"zhijiao:ingest:", "zhijiao:ingest:-1", "zhijiao:ingest:01", "ingest:1", "zhijiao:command:1"} {
		if _, ok := topic.IngestPartition(name); ok {
			t.Errorf("%q taken for an ingest session", name)
		}
	}
}
