package alerts

import (
	"fmt"
	"strings"
	"time"

	"zhijiao/devices"
	"zhijiao/geofence"
)

// Explaining is what the chain from fixes to a violation is told from: what is stored, and names in words.
type Explaining struct {
	Label   string // 李某某·岳口·0417
	Zone    string // name of the zone, or ""
	Basis   Basis
	Engine  string
	Body    geofence.ViolationBody
	History geofence.EvidenceHistory
}

// Explain tells what a court would ask, a line each: who and on what rule, by which thresholds, what was seen and judged,
// when it was decided and by which engine, what was added, what was said before and why it was corrected, when it ended.
// The console and the command line show the same text.
func Explain(x *Explaining) []Place {
	e := &explaining{Explaining: x}
	e.rule()
	e.thresholds(&x.History.Opened)
	for i := range x.History.Superseded {
		e.superseded(&x.History.Superseded[i])
	}
	e.grounds(&x.History.Opened)
	e.opened()
	for i := range x.History.Amended {
		e.amended(&x.History.Amended[i])
	}
	e.ended()
	return e.lines
}

type explaining struct {
	*Explaining
	lines []Place
}

func (e *explaining) say(zh, en string) { e.lines = append(e.lines, Place{zh, en}) }

func instant(t time.Time) string { return t.In(shanghai).Format("2006-01-02 15:04:05") }

func (e *explaining) rule() {
	o, kind := &e.History.Opened, ruleWords[e.History.Opened.Kind]
	zh := fmt.Sprintf("%s：%s。规则 %d 第 %d 版（%s）", e.Label, KindWord(e.Body.Kind).ZH, e.Body.Rule, e.Body.RuleVersion, kind.ZH)
	en := fmt.Sprintf("%s: %s. Rule %d version %d (%s)", e.Label, KindWord(e.Body.Kind).EN, e.Body.Rule, e.Body.RuleVersion, kind.EN)
	if e.Body.Zone != 0 {
		zh += fmt.Sprintf("，区域“%s”第 %d 版", e.Zone, e.Body.ZoneVersion)
		en += fmt.Sprintf(", zone “%s” version %d", e.Zone, e.Body.ZoneVersion)
	}
	zh += "。依据：" + e.Basis.ZH
	en += ". Basis: " + e.Basis.EN
	if o.DocumentNo != "" {
		zh += "，" + o.DocumentNo
		en += ", " + o.DocumentNo
	}
	if e.Body.Timed {
		zh += "。该规则只在规定时段内适用"
		en += ". The rule applies in the windows of a schedule only"
	}
	e.say(zh+"。", en+".")
}

// KindWord is how a kind of violation is called.
func KindWord(k geofence.ViolationKind) Place {
	if w, ok := kindWords[k]; ok {
		return w
	}
	return Place{string(k), string(k)}
}

// thresholds tells those the kind of rule decides by.
func (e *explaining) thresholds(o *geofence.Evidence) {
	say := thresholdWords[o.Kind]
	if say == nil {
		return
	}
	w := say(&o.Thresholds)
	floors := Place{}
	if len(o.Fixes) > 0 {
		p := &o.Thresholds
		floors.ZH = fmt.Sprintf("定位误差按设备所报计，但不低于：卫星 %s，无线网络 %s，基站 %s，信标 %s。", metresZH(p.FloorGNSS), metresZH(p.FloorWiFi), metresZH(p.FloorCell), metresZH(p.FloorRF))
		floors.EN = fmt.Sprintf(" Accuracy is what the device claims, and never better than: satellite %s, Wi-Fi %s, cell %s, beacon %s.", metresEN(p.FloorGNSS), metresEN(p.FloorWiFi), metresEN(p.FloorCell), metresEN(p.FloorRF))
	}
	e.say("判定标准："+w.ZH+"。"+floors.ZH, "Decided by: "+w.EN+"."+floors.EN)
}

// grounds tells what was seen, fix by fix, and what else it rests on.
func (e *explaining) grounds(o *geofence.Evidence) {
	for i := range o.Fixes {
		e.fix(&o.Fixes[i])
	}
	if !o.HeardAt.IsZero() {
		zh, en := "最后一次收到设备信号："+instant(o.HeardAt), "The device was last heard at "+instant(o.HeardAt)
		if o.ExpectedS > 0 {
			zh += fmt.Sprintf("，设备应每 %s上报一次", durationZH(seconds(o.ExpectedS)))
			en += fmt.Sprintf("; it is expected every %s", durationEN(seconds(o.ExpectedS)))
		}
		e.say(zh+"。", en+".")
	}
	if !o.AskedAt.IsZero() {
		e.say("要求核查的时间："+instant(o.AskedAt)+"。", "It was asked for at "+instant(o.AskedAt)+".")
	}
	if o.Battery != nil {
		e.say(fmt.Sprintf("电量 %d%%。", *o.Battery), fmt.Sprintf("Battery %d %%.", *o.Battery))
	}
	if n := len(o.With); n > 0 {
		e.say(fmt.Sprintf("同在的还有 %d 人。", n), fmt.Sprintf("%d more people were there.", n))
	}
}

func (e *explaining) fix(m *geofence.Mark) {
	claimedZH, claimedEN := "设备未报误差", "the device claims none"
	if m.Claimed > 0 {
		claimedZH, claimedEN = "设备所报 "+metresZH(float64(m.Claimed)/100), "the device claims "+metresEN(float64(m.Claimed)/100)
	}
	method := methodWords[m.Method]
	zh := fmt.Sprintf("%s %s定位，误差 %s（%s）", instant(m.At), method.ZH, metresZH(float64(m.Accuracy)/100), claimedZH)
	en := fmt.Sprintf("%s by %s, accuracy %s (%s)", instant(m.At), method.EN, metresEN(float64(m.Accuracy)/100), claimedEN)
	far := float64(m.Margin) / 100
	switch {
	case m.Verdict == "" && m.Margin != 0:
		zh += "，相距 " + metresZH(far)
		en += ", " + metresEN(far) + " apart"
	case m.Verdict == "":
	case far > 0:
		zh += "，在区域边界外 " + metresZH(far)
		en += ", " + metresEN(far) + " outside the edge"
	default:
		zh += "，在区域边界内 " + metresZH(-far)
		en += ", " + metresEN(-far) + " inside the edge"
	}
	if v, ok := verdictWords[m.Verdict]; ok {
		zh, en = zh+"："+v.ZH, en+": "+v.EN
	}
	e.say(zh+"。", en+".")
}

func (e *explaining) opened() {
	o := &e.History.Opened
	zh := fmt.Sprintf("自 %s 起成立；据 %s 的数据，于 %s 作出判定（判定引擎第 %s 版）", instant(e.Body.OpenedAt), instant(o.At), instant(o.Now), o.Engine)
	en := fmt.Sprintf("It holds since %s; decided at %s on data of %s (engine %s)", instant(e.Body.OpenedAt), instant(o.Now), instant(o.At), o.Engine)
	if e.Body.Late {
		zh += "。数据迟到，转复核，不作即时报警"
		en += ". The data came late: it is for review and rang no alarm"
	}
	e.say(zh+"。", en+".")
}

func (e *explaining) amended(o *geofence.Evidence) {
	e.say("情形更新（"+instant(o.Now)+" 判定）：", "Added to (decided at "+instant(o.Now)+"):")
	e.grounds(o)
}

// superseded tells what was said before, and that it was corrected.
func (e *explaining) superseded(s *geofence.Superseded) {
	zh := fmt.Sprintf("第 %d 版曾判定：自 %s 起", s.Version, instant(s.OpenedAt))
	en := fmt.Sprintf("Version %d said: since %s", s.Version, instant(s.OpenedAt))
	if !s.ClosedAt.IsZero() {
		zh += "，至 " + instant(s.ClosedAt) + " 止"
		en += ", until " + instant(s.ClosedAt)
	}
	e.say(zh+"；"+instant(s.Until)+" 因迟到的数据或追溯生效的事实更正。", en+"; corrected at "+instant(s.Until)+" because of data that came late, or of a fact that reaches back.")
}

func (e *explaining) ended() {
	c := e.History.Closed
	switch {
	case e.Body.State == geofence.ViolationWithdrawn && e.Body.MergedInto != 0:
		e.say(fmt.Sprintf("已撤回：与第 %d 号为同一情形。", e.Body.MergedInto), fmt.Sprintf("Withdrawn: it is the same matter as number %d.", e.Body.MergedInto))
	case e.Body.State == geofence.ViolationWithdrawn:
		e.say("已撤回：后来的数据或事实表明并无此情形。", "Withdrawn: what came later shows that it was not so.")
	case c == nil:
		e.say("情形仍在持续。", "It goes on.")
	default:
		if len(c.Fixes) > 0 {
			e.say("结束所据：", "It ended on:")
			for i := range c.Fixes {
				e.fix(&c.Fixes[i])
			}
		}
		e.say(fmt.Sprintf("于 %s 结束（%s 判定）。", instant(e.Body.ClosedAt), instant(c.Now)), fmt.Sprintf("It ended at %s (decided at %s).", instant(e.Body.ClosedAt), instant(c.Now)))
	}
	if e.Engine != "" && e.Engine != e.History.Opened.Engine {
		e.say("最近一次由判定引擎第 "+e.Engine+" 版写入。", "Last written by engine "+e.Engine+".")
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func metresZH(m float64) string { return exact(m, "公里", "米") }
func metresEN(m float64) string { return exact(m, "km", "m") }

// exact is a length as it was decided on, not rounded for a headline.
func exact(m float64, km, metre string) string {
	if m >= 10_000 {
		return fmt.Sprintf("%.2f %s", m/1000, km)
	}
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.1f", m), "0"), ".") + " " + metre
}

func durationZH(d time.Duration) string { return lasting(d, "小时", "分钟", "秒") }
func durationEN(d time.Duration) string { return lasting(d, "h", "min", "s") }

func lasting(d time.Duration, h, m, s string) string {
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d %s", d/time.Hour, h)
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%d %s", d/time.Minute, m)
	}
	return fmt.Sprintf("%g %s", d.Seconds(), s)
}

var methodWords = map[devices.Method]Place{
	devices.MethodGNSS: {"卫星", "satellite"}, devices.MethodWiFi: {"无线网络", "Wi-Fi"}, devices.MethodCell: {"基站", "cell"}, devices.MethodRF: {"信标", "beacon"},
}

var verdictWords = map[geofence.Verdict]Place{
	geofence.Inside:      {"误差圆全部在区域内", "the whole error circle is inside"},
	geofence.Outside:     {"误差圆全部在区域外", "the whole error circle is outside"},
	geofence.Undecidable: {"误差圆跨边界，无法判定", "the error circle lies on both sides, undecidable"},
}

var ruleWords = map[geofence.RuleKind]Place{
	geofence.StayIn: {"不得离开区域", "stay in"}, geofence.KeepOut: {"不得进入区域", "keep out"}, geofence.Silence: {"按时上报", "be heard"},
	geofence.Strap: {"不得拆卸", "keep the strap closed"}, geofence.Power: {"保持供电", "keep the power on"}, geofence.Location: {"保持定位", "be located"},
	geofence.Dwell: {"不得长时间停留", "not stay long"}, geofence.Leave: {"外出期间不得在他地停留", "not stay elsewhere on leave"}, geofence.Return: {"按时销假", "be back in time"}, geofence.Separation: {"人机不得分离", "keep wristband and phone together"},
	geofence.Presence: {"按时在场", "be present in a window"}, geofence.CheckInDue: {"按时核查", "check in"},
	geofence.Proximity: {"不得接触特定人", "keep away from a person"}, geofence.Gathering: {"聚集提示", "gathering"},
}

var kindWords = map[geofence.ViolationKind]Place{
	geofence.LeftZone: {"越界", "left the permitted area"}, geofence.EnteredZone: {"进入禁止令限制区域", "entered a prohibited place"},
	geofence.PassedThrough: {"途经禁止令限制区域", "passed through a prohibited place"}, geofence.DeviceSilent: {"设备离线", "device silent"},
	geofence.CheckUnanswered: {"核查未应答", "check unanswered"}, geofence.StrapBroken: {"拆卸", "strap opened"}, geofence.LowBattery: {"低电", "low battery"},
	geofence.PowerLost: {"断电", "power lost"}, geofence.LocationLost: {"定位失败", "location lost"}, geofence.Dwelt: {"长时间停留", "long stay"},
	geofence.StayedElsewhere: {"外出途中停留他地", "stayed elsewhere on leave"}, geofence.NotReturned: {"外出期满未销假", "not back from leave"},
	geofence.Apart: {"人机分离", "wristband and phone apart"}, geofence.Absent: {"未按时在场", "absent"}, geofence.Unverified: {"无法核实", "unverified"},
	geofence.CheckMissed: {"未按时核查", "check missed"}, geofence.Near: {"接近特定人", "near a person to keep away from"}, geofence.Gathered: {"聚集", "gathering"},
}

// thresholdWords tell the thresholds each kind of rule decides by.
var thresholdWords = map[geofence.RuleKind]func(p *geofence.Params) Place{
	geofence.StayIn:  breachWords,
	geofence.KeepOut: keepOutWords,
	geofence.Silence: func(p *geofence.Params) Place {
		return Place{fmt.Sprintf("超过 %s且超过 %g 个上报周期未收到信号", durationZH(p.SilentAfter), p.SilentFactor),
			fmt.Sprintf("nothing heard for more than %s and %g intervals", durationEN(p.SilentAfter), p.SilentFactor)}
	},
	geofence.Location: func(p *geofence.Params) Place {
		return Place{fmt.Sprintf("设备在线但超过 %s没有可用定位", durationZH(p.SilentAfter)), fmt.Sprintf("heard, but without a place for more than %s", durationEN(p.SilentAfter))}
	},
	geofence.Power: func(p *geofence.Params) Place {
		return Place{fmt.Sprintf("电量不高于 %d%%，或设备告知关机", p.BatteryLow), fmt.Sprintf("battery at %d %% or less, or the device says that it goes off", p.BatteryLow)}
	},
	geofence.Leave: func(p *geofence.Params) Place {
		return Place{fmt.Sprintf("在批准范围以外同一地点（%g 米内）停留超过 %s；途中移动不计", p.ApartM, durationZH(p.DwellAfter)),
			fmt.Sprintf("in one place (within %g m) outside of what was granted for more than %s; moving on does not count", p.ApartM, durationEN(p.DwellAfter))}
	},
	geofence.Return: func(*geofence.Params) Place {
		return Place{"批准的外出期满，没有销假记录", "the leave that was granted has ended, and nobody recorded the return"}
	},
	geofence.Dwell: func(p *geofence.Params) Place {
		return Place{"在区域内停留满 " + durationZH(p.DwellAfter), "in the zone for " + durationEN(p.DwellAfter)}
	},
	geofence.Separation: func(p *geofence.Params) Place {
		return Place{fmt.Sprintf("腕带与手机相距超过 %s，连续 %d 次、历时 %s", metresZH(p.ApartM), p.Count, durationZH(p.Grace)),
			fmt.Sprintf("wristband and phone more than %s apart, %d times over %s", metresEN(p.ApartM), p.Count, durationEN(p.Grace))}
	},
	geofence.Presence: func(p *geofence.Params) Place {
		return Place{"时段开始 " + durationZH(p.Grace) + "后核对最近一次定位", "the last fix when " + durationEN(p.Grace) + " of the window are over"}
	},
	geofence.CheckInDue: func(p *geofence.Params) Place {
		return Place{"时段内至少核查一次，宽限 " + durationZH(p.Grace), "one check-in in every window, and " + durationEN(p.Grace) + " of grace"}
	},
	geofence.Proximity: companyWords,
	geofence.Gathering: companyWords,
}

func companyWords(p *geofence.Params) Place {
	return Place{fmt.Sprintf("%d 人误差圆均在 %s之内，连续 %d 次、历时 %s", p.People, metresZH(p.NearM), p.Count, durationZH(p.Grace)),
		fmt.Sprintf("%d people within %s of one another, error circles and all, %d times over %s", p.People, metresEN(p.NearM), p.Count, durationEN(p.Grace))}
}

func breachWords(p *geofence.Params) Place {
	return Place{fmt.Sprintf("连续 %d 个独立卫星定位（相隔 %s以上）、历时 %s，误差圆全部在边界外 %s以远；超出 %s且超过三倍误差时不等历时",
		p.Count, durationZH(p.Independent), durationZH(p.Grace), metresZH(p.Band), metresZH(p.WaiveMargin)),
		fmt.Sprintf("%d consecutive independent satellite fixes (%s apart) over %s, their error circles wholly more than %s beyond the edge; beyond %s and three accuracies the time is waived",
			p.Count, durationEN(p.Independent), durationEN(p.Grace), metresEN(p.Band), metresEN(p.WaiveMargin))}
}

func keepOutWords(p *geofence.Params) Place {
	return Place{fmt.Sprintf("%d 个独立卫星定位的误差圆全部在区域内；速度超过 %g 米/秒且停留短于 %s为途经", p.Count, p.PassSpeed, durationZH(p.PassDwell)),
		fmt.Sprintf("%d independent satellite fixes wholly inside; faster than %g m/s and shorter than %s is passing through", p.Count, p.PassSpeed, durationEN(p.PassDwell))}
}
