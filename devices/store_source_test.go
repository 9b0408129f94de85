package devices_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"zhijiao/devices"
)

// hear makes a device say something: observed by its clock, received later.
func (b *bench) hear(serial devices.Serial, observed, received time.Time) {
	b.Helper()
	b.must(func(tx pgx.Tx) error {
		known, err := devices.LockForObserve(b.Context(), tx, []devices.Serial{serial})
		if err != nil {
			return err
		}
		k := known[serial]
		k.Take(&devices.Observation{At: observed, ReceivedAt: received}, true)
		return devices.SaveHeard(b.Context(), tx, []*devices.Known{k})
	})
}

// Each source has a watermark of its own: data that stays behind the limit is told within the next look, whether nothing comes or only what
// is old; what is in step again is told as well, each once. R46.
func TestSourcesOutOfStep_R46(t *testing.T) {
	t.Parallel()
	b := setup(t)
	band, phone, jt := b.device("wb-0001", devices.Wristband), b.device("ph-0001", devices.Phone), b.device("jt808-13511221122", devices.Wristband)
	b.device("wb-0002", devices.Wristband) // bound to nobody: nobody waits for it
	for i, d := range []devices.Enrolled{band, phone, jt} {
		interval := []time.Duration{time.Minute, 8 * time.Hour, 10 * time.Minute}[i]
		s := b.subject(d.Serial != "ph-0001")
		b.must(func(tx pgx.Tx) error {
			_, err := devices.Bind(t.Context(), tx, devices.NewBinding{Device: d.ID, Subject: s, Interval: interval, From: start, At: start})
			return err
		})
	}
	const limit = 15 * time.Minute
	look := func(after time.Duration, want string) {
		t.Helper()
		var got []string
		b.must(func(tx pgx.Tx) error {
			got = nil
			list, err := devices.WatchSources(t.Context(), tx, start.Add(after), limit)
			for _, s := range list {
				state := "fresh"
				if !s.StaleSince.IsZero() {
					state = "stale"
				}
				got = append(got, s.Source+" "+state)
			}
			return err
		})
		if all := strings.Join(got, ", "); all != want {
			t.Errorf("after %v: %q is told, not %q", after, all, want)
		}
	}
	at := func(after time.Duration) time.Time { return start.Add(after) }
	look(15*time.Minute, "") // never heard, and nobody could expect it
	look(16*time.Minute, "mqtt wristband stale")
	look(17*time.Minute, "") // once
	b.hear("wb-0001", at(17*time.Minute), at(18*time.Minute))
	b.hear("jt808-13511221122", at(18*time.Minute), at(18*time.Minute))
	b.hear("ph-0001", at(18*time.Minute), at(18*time.Minute))
	look(18*time.Minute, "mqtt wristband fresh")
	look(32*time.Minute, "")
	// The wristbands go on, the terminals' gateway stands: three times their interval.
	for m := 19; m <= 49; m++ {
		b.hear("wb-0001", at(time.Duration(m)*time.Minute), at(time.Duration(m)*time.Minute))
	}
	look(48*time.Minute, "")
	look(49*time.Minute, "jt808 wristband stale")
	// It comes back with what it had kept: data arrives, and is old. In step it is when the newest is new.
	b.hear("jt808-13511221122", at(19*time.Minute), at(50*time.Minute))
	look(51*time.Minute, "")
	b.hear("jt808-13511221122", at(50*time.Minute), at(51*time.Minute))
	look(52*time.Minute, "jt808 wristband fresh")
	// A clock that is ahead moves nothing beyond the receipt, and nothing moves back.
	b.hear("wb-0001", at(57*time.Minute), at(53*time.Minute))
	look(54*time.Minute, "")
	var mark time.Time
	b.scan(&mark, `SELECT observed_at FROM source_watermark WHERE source = 'mqtt wristband'`)
	if !mark.Equal(at(53 * time.Minute)) {
		t.Errorf("the watermark is at %v", mark)
	}
	b.exec(`UPDATE device_health SET observed_at = $1 WHERE device_id = $2`, at(time.Minute), band.ID)
	look(55*time.Minute, "")
	b.scan(&mark, `SELECT observed_at FROM source_watermark WHERE source = 'mqtt wristband'`)
	if !mark.Equal(at(53 * time.Minute)) {
		t.Errorf("the watermark went back to %v", mark)
	}
	look(69*time.Minute, "mqtt wristband stale")
	stale, err := devices.StaleSources(t.Context(), b.pool)
	if err != nil || strings.Join(stale, ",") != "mqtt wristband" {
		t.Errorf("%v, %v", stale, err)
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(devices.NewSourceCollector(b.pool, func() time.Time { return at(73 * time.Minute) }, slog.New(slog.DiscardHandler)))
	want := `# HELP zhijiao_source_lag_seconds Age of the newest data of each source: a wire and a class of device (R46).
# TYPE zhijiao_source_lag_seconds gauge
zhijiao_source_lag_seconds{source="jt808 wristband"} 1380
zhijiao_source_lag_seconds{source="mqtt phone"} 3300
zhijiao_source_lag_seconds{source="mqtt wristband"} 1200
# HELP zhijiao_source_stale 1 while the data of a source is older than its limit.
# TYPE zhijiao_source_stale gauge
zhijiao_source_stale{source="jt808 wristband"} 0
zhijiao_source_stale{source="mqtt phone"} 0
zhijiao_source_stale{source="mqtt wristband"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	// Whose devices are all taken off has nothing to be in step with.
	b.must(func(tx pgx.Tx) error { return devices.Revoke(t.Context(), tx, band.ID, at(70*time.Minute)) })
	look(70*time.Minute+time.Second, "mqtt wristband fresh")
	var entries string
	b.scan(&entries, `SELECT string_agg(kind || ' ' || version || ' ' || (body->>'source'), ', ' ORDER BY pos) FROM ledger WHERE entity = 'source'`)
	if entries != "source.stale 1 mqtt wristband, source.fresh 2 mqtt wristband, source.stale 1 jt808 wristband, source.fresh 2 jt808 wristband, source.stale 3 mqtt wristband, source.fresh 4 mqtt wristband" {
		t.Errorf("the ledger says %s", entries)
	}
}
