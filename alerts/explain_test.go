package alerts

import (
	"strings"
	"testing"
	"time"

	"zhijiao/devices"
	"zhijiao/geofence"
)

// TestEveryKindHasWords: no kind of rule or violation is told by its code.
func TestEveryKindHasWords(t *testing.T) {
	t.Parallel()
	for _, k := range geofence.RuleKinds() {
		if w := ruleWords[k]; w.ZH == "" || w.EN == "" {
			t.Errorf("rules of kind %s have no words", k)
		}
		if thresholdWords[k] == nil && k != geofence.Strap {
			t.Errorf("nobody tells what rules of kind %s decide by", k)
		}
	}
	for k := range catalogue {
		if w := kindWords[k]; w.ZH == "" || w.EN == "" {
			t.Errorf("%s has no words", k)
		}
	}
	for k := range kindWords {
		if w := catalogue[k]; w.ZH == "" || w.EN == "" {
			t.Errorf("%s has no sentence", k)
		}
	}
}

// TestExplainTellsWhatACourtWouldAsk: every fix with its verdict and margin, the versions, the thresholds, the law, what was
// said before, and when.
func TestExplainTellsWhatACourtWouldAsk(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 0, 31, 20, 0, time.UTC) // 08:31:20 in Tianmen
	fix := func(n int, margin int64, v geofence.Verdict) geofence.Mark {
		return geofence.Mark{Device: 1, Boot: 1, Seq: int64(n), At: at.Add(time.Duration(n) * time.Minute), LonE7: 1131600000, LatE7: 306600000,
			Accuracy: 1000, Claimed: 170, Method: devices.MethodGNSS, Verdict: v, Margin: margin}
	}
	evidence := geofence.Evidence{Fixes: []geofence.Mark{fix(0, 81_234, geofence.Outside), fix(2, 91_000, geofence.Outside)}, Class: devices.Wristband, Kind: geofence.StayIn,
		Basis: "leave_city", DocumentNo: "天司矫〔2026〕1号", Thresholds: geofence.DefaultParams(geofence.StayIn), At: at.Add(2 * time.Minute), Now: at.Add(2*time.Minute + time.Second), Engine: "2"}
	closed := evidence
	closed.Fixes, closed.Now = []geofence.Mark{fix(30, -500, geofence.Undecidable), fix(31, -20_000, geofence.Inside)}, at.Add(32*time.Minute)
	x := &Explaining{Label: "李某某·岳口·0417", Zone: "天门市", Basis: Basis{"未经批准不得离开", "leave needs approval"}, Engine: "2",
		Body:    geofence.ViolationBody{Violation: 7, Rule: 3, RuleVersion: 2, Zone: 1, ZoneVersion: 4, Kind: geofence.LeftZone, State: geofence.ViolationClosed, OpenedAt: at, ClosedAt: at.Add(30 * time.Minute)},
		History: geofence.EvidenceHistory{Opened: evidence, Closed: &closed, Superseded: []geofence.Superseded{{Version: 1, Until: at.Add(time.Hour), OpenedAt: at.Add(4 * time.Minute), Opened: evidence}}}}
	var zh, en strings.Builder
	for _, l := range Explain(x) {
		zh.WriteString(l.ZH + "\n")
		en.WriteString(l.EN + "\n")
	}
	for _, want := range []string{"李某某·岳口·0417", "规则 3 第 2 版", "“天门市”第 4 版", "未经批准不得离开", "天司矫〔2026〕1号", "连续 2 个独立卫星定位", "历时 2 分钟", "边界外 50 米",
		"2026-11-23 08:31:20 卫星定位，误差 10 米（设备所报 1.7 米），在区域边界外 812.3 米：误差圆全部在区域外", "自 2026-11-23 08:31:20 起成立", "判定引擎第 2 版", "第 1 版曾判定",
		"误差圆跨边界，无法判定", "于 2026-11-23 09:01:20 结束"} {
		if !strings.Contains(zh.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, zh.String())
		}
	}
	for _, want := range []string{"Rule 3 version 2", "“天门市” version 4", "leave needs approval", "2 consecutive independent satellite fixes", "812.3 m outside the edge", "engine 2", "Version 1 said", "It ended at 2026-11-23 09:01:20"} {
		if !strings.Contains(en.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, en.String())
		}
	}
}
