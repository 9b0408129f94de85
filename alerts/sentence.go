package alerts

import (
	"fmt"
	"math"
	"strings"
	"time"

	"zhijiao/geofence"
)

// Telling is what the first line of an alert is made of. Names and places in words come from the caller.
type Telling struct {
	Label   string // 李某某·岳口·0417
	Kind    geofence.ViolationKind
	At      time.Time // since when the condition holds
	Zone    string    // name of the zone, or ""
	Towards Place     // where the person is from the zone's edge, in words; may be empty
	MarginM float64   // how far beyond the edge, metres; 0: not known
	Fixes   int       // how many fixes decided
	Basis   Basis
}

// Place is a direction or a place in both languages.
type Place struct{ ZH, EN string }

// Basis is the title of a legal basis in both languages.
type Basis struct{ ZH, EN string }

var shanghai = func() *time.Location {
	loc, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		return time.FixedZone("Asia/Shanghai", 8*3600)
	}
	return loc
}()

// ZH is the sentence in Chinese: who, when, what, where, how sure, on what basis.
func (t *Telling) ZH() string {
	var b strings.Builder
	b.WriteString(t.Label)
	b.WriteByte(' ')
	b.WriteString(t.fill(catalogue[t.Kind].ZH))
	if t.MarginM >= 1 {
		b.WriteString("，")
		if t.Towards.ZH != "" {
			b.WriteString(t.Towards.ZH + "方向 ")
		}
		b.WriteString(distance(t.MarginM, "公里", "米"))
	}
	if t.Fixes > 1 {
		fmt.Fprintf(&b, "，已 %d 次定位确认", t.Fixes)
	}
	b.WriteString("。")
	if t.Basis.ZH != "" {
		b.WriteString("依据：" + t.Basis.ZH)
	}
	return b.String()
}

// EN is the sentence in English.
func (t *Telling) EN() string {
	var b strings.Builder
	b.WriteString(t.Label)
	b.WriteByte(' ')
	b.WriteString(t.fill(catalogue[t.Kind].EN))
	if t.MarginM >= 1 {
		b.WriteString(", " + distance(t.MarginM, "km", "m"))
		if t.Towards.EN != "" {
			b.WriteString(" towards " + t.Towards.EN)
		}
	}
	if t.Fixes > 1 {
		fmt.Fprintf(&b, ", confirmed by %d fixes", t.Fixes)
	}
	b.WriteString(".")
	if t.Basis.EN != "" {
		b.WriteString(" Basis: " + t.Basis.EN)
	}
	return b.String()
}

func (t *Telling) fill(s string) string {
	return strings.NewReplacer("{zone}", t.Zone, "{at}", t.At.In(shanghai).Format("15:04")).Replace(s)
}

func distance(m float64, km, metre string) string {
	if m >= 1000 {
		return fmt.Sprintf("%.1f %s", m/1000, km)
	}
	return fmt.Sprintf("%.0f %s", math.Round(m/10)*10, metre)
}
