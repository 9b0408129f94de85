package alerts

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"zhijiao/geofence"
)

func TestSentence(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 14, 14, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		t      Telling
		zh, en string
	}{
		"left the city": {
			Telling{"李某某·岳口·0417", geofence.LeftZone, at, "天门市", Place{"仙桃", "Xiantao"}, 1310, 2, Basis{"《社区矫正法》第二十七条", "art. 27"}},
			"李某某·岳口·0417 22:14 离开天门市，仙桃方向 1.3 公里，已 2 次定位确认。依据：《社区矫正法》第二十七条",
			"李某某·岳口·0417 left 天门市 at 22:14, 1.3 km towards Xiantao, confirmed by 2 fixes. Basis: art. 27",
		},
		"near the edge": {
			Telling{"张某某·皂市·0233", geofence.LeftZone, at, "天门市", Place{}, 342, 3, Basis{}},
			"张某某·皂市·0233 22:14 离开天门市，340 米，已 3 次定位确认。", "张某某·皂市·0233 left 天门市 at 22:14, 340 m, confirmed by 3 fixes.",
		},
		"silent": {
			Telling{"赵某某·竟陵·0102", geofence.DeviceSilent, at, "", Place{}, 0, 0, Basis{}},
			"赵某某·竟陵·0102 设备自 22:14 起无数据（设备离线，人员位置不明）。", "赵某某·竟陵·0102 device silent since 22:14; where the person is, is not known.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.t.ZH(); got != c.zh {
				t.Errorf("zh %q\nwant %q", got, c.zh)
			}
			if got := c.t.EN(); got != c.en {
				t.Errorf("en %q\nwant %q", got, c.en)
			}
		})
	}
}

func TestEveryKindHasItsWords(t *testing.T) {
	t.Parallel()
	for _, k := range []geofence.ViolationKind{geofence.LeftZone, geofence.EnteredZone, geofence.PassedThrough, geofence.DeviceSilent, geofence.CheckUnanswered} {
		if w := catalogue[k]; w.ZH == "" || w.EN == "" {
			t.Errorf("nothing is said of %s", k)
		}
	}
}

func TestWithoutBasisAtMostALead_R15(t *testing.T) {
	t.Parallel()
	policy := handling{class: Alarm}
	for allowed, want := range map[Class]Class{Alarm: Alarm, Reminder: Reminder, Lead: Lead} {
		if got := classify(policy, allowed); got != want {
			t.Errorf("policy wants an alarm, the basis allows a %s: got %s", allowed, got)
		}
	}
	if got := classify(handling{class: Reminder}, Alarm); got != Reminder {
		t.Errorf("a basis raised the class to %s", got)
	}
}

func TestMetricsAreWellNamed(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := NewMetrics(reg)
	m.raise(raised{class: Alarm, kind: geofence.LeftZone, takenIn: time.Now(), unhandled: true})
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}
