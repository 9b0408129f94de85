package mqtttest_test

import (
	"fmt"
	"testing"

	"zhijiao/internal/broker"
	"zhijiao/internal/mqtttest"
)

// The yardstick itself: everything that is published is delivered, on both settings of sync.
func TestBare(t *testing.T) {
	t.Parallel()
	var serials []string
	for i := range 20 {
		serials = append(serials, fmt.Sprintf("WB-%d", i))
	}
	payload := []byte(`{"v":1,"boot":1,"sent":"2026-11-23T14:00:00Z","datum":"WGS-84","obs":[{"seq":101,"at":"2026-11-23T13:59:58Z","lon":113.16,"lat":30.65,"acc":8.5,"method":"gnss"}]}`)
	for _, c := range []struct {
		sync broker.Sync
		each int
	}{{broker.SyncAlways, 20}, {broker.SyncInterval, 200}} {
		rate := mqtttest.Bare(t, mqtttest.Options{Sync: c.sync, Partitions: 4}, mqtttest.Load{Serials: serials, Each: c.each,
			Window: 100, Payload: func(string, int) []byte { return payload }})
		t.Logf("sync %s: %.0f messages/s", c.sync, rate)
	}
}
