package evidence

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signintech/gopdf"
	"golang.org/x/image/font/gofont/goregular"

	"zhijiao/alerts"
	"zhijiao/internal/crypto"
)

// fonts are TrueType files with Chinese that Debian's packages bring; the report takes the first there is.
var fonts = []string{"/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf", "/usr/share/fonts/truetype/droid/DroidSansFallback.ttf", "/usr/share/fonts/truetype/arphic/uming.ttf"}

// ErrNoFont means that there is no font with Chinese for the report.
var ErrNoFont = errors.New("no TrueType font with Chinese was found for the report: install fonts-droid-fallback, or set evidence.font")

func findFont(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	for _, f := range fonts {
		if _, err := os.Stat(f); err == nil {
			return f, nil
		}
	}
	return "", ErrNoFont
}

var shanghai = time.FixedZone("Asia/Shanghai", 8*3600) // the law's time: no daylight saving since 1991

func clockOf(t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	return t.In(shanghai).Format("2006-01-02 15:04:05")
}

// Measures of a page, points.
const (
	left, right, top, bottom = 50.0, 545.0, 50.0, 790.0
	wide                     = right - left
	line                     = 16.0
)

// drawing is a report being drawn.
type drawing struct {
	gopdf.GoPdf
	y    float64
	page int
	err  error
}

// draw makes the report for people: A4, in Chinese.
func (p *Package) draw(font string) ([]byte, error) {
	font, err := findFont(font)
	if err != nil {
		return nil, err
	}
	d := &drawing{}
	d.Start(gopdf.Config{PageSize: *gopdf.PageSizeA4})
	if err := d.AddTTFFont("zh", font); err != nil {
		return nil, fmt.Errorf("font of the report: %w", err)
	}
	if err := d.AddTTFFontData("latin", goregular.TTF); err != nil {
		return nil, fmt.Errorf("font of the report: %w", err)
	}
	d.SetInfo(gopdf.PdfInfo{Title: fmt.Sprintf("证据包 异常情形 %d", p.Violation.Violation), Producer: "zhijiao", CreationDate: p.Manifest.MadeAt.In(shanghai)})
	d.turn()
	d.title("异常情形证据报告")
	v := &p.Violation
	d.pairs([][2]string{
		{"编号", fmt.Sprintf("%d（第 %d 版）", v.Violation, v.Version)}, {"社区矫正对象", p.Manifest.Subject}, {"机构", p.Manifest.Office},
		{"情形", alerts.KindWord(v.Kind).ZH}, {"发生", clockOf(v.OpenedAt)}, {"判定", clockOf(v.DecidedAt)}, {"结束", clockOf(v.ClosedAt)},
		{"规则", fmt.Sprintf("%d 第 %d 版", v.Rule, v.RuleVersion)}, {"判定程序", v.Engine}, {"制作", clockOf(p.Manifest.MadeAt) + "  " + p.Manifest.MadeBy},
	})
	d.heading("判定过程")
	for _, s := range p.Explanation {
		d.text(s.ZH)
	}
	if p.Zone != nil && len(p.Fixes) > 0 {
		d.heading("位置与区域")
		d.sketch(p)
	}
	d.heading("据以判定的定位点")
	d.decisive(p)
	d.heading("处置经过")
	d.history(p)
	d.heading("完整性")
	d.text(fmt.Sprintf("本包另有数据文件：定位点 %d 个，审计账目 %d 条（附封存证明）。全部文件的摘要由下列公钥对应的密钥签名；用“zhijiao evidence verify 文件 --key 公钥”核验，不需要数据库。", len(p.Fixes), len(p.Ledger)))
	if p.Manifest.Unsealed > 0 {
		d.text(fmt.Sprintf("制作时尚有 %d 条审计账目未到封存时刻，未附证明。", p.Manifest.Unsealed))
	}
	if doc, err := json.Marshal(p.Fixes); err == nil {
		sum := crypto.Sum(crypto.SHA256Ed25519)(doc)
		d.text("定位点摘要 SHA-256：" + hex.EncodeToString(sum[:]))
	}
	for _, k := range p.Manifest.AuditKeys {
		d.text("审计封存公钥：" + k.String())
	}
	d.text("本报告陈述平台记录和判定的内容，不是对违反监督管理规定的认定；认定由社区矫正机构依法作出。")
	if d.err != nil {
		return nil, fmt.Errorf("draw the report: %w", d.err)
	}
	d.foot()
	out, err := d.GetBytesPdfReturnErr()
	if err != nil {
		return nil, fmt.Errorf("draw the report: %w", err)
	}
	return out, nil
}

func (d *drawing) try(err error) {
	if d.err == nil {
		d.err = err
	}
}

// turn begins a page.
func (d *drawing) turn() {
	if d.page > 0 {
		d.foot()
	}
	d.AddPage()
	d.page++
	d.y = top
	d.SetTextColor(20, 24, 32)
}

// foot writes the number of the page under it.
func (d *drawing) foot() {
	y := d.y
	d.y = 815
	d.write(right-60, 8, fmt.Sprintf("第 %d 页", d.page))
	d.y = y
}

// room turns the page where less than so much is left.
func (d *drawing) room(height float64) {
	if d.y+height > bottom {
		d.turn()
	}
}

// chinese tells characters of the Chinese font from those of the other: fonts of the one kind have few of the other kind.
func chinese(r rune) bool { return r >= 0x2e80 }

// runs cuts a text where its font changes.
func runs(text string) (out []string) {
	from, last := 0, false
	for i, r := range text {
		if is := chinese(r); i > 0 && is != last {
			out, from, last = append(out, text[from:i]), i, is
		} else if i == 0 {
			last = is
		}
	}
	return append(out, text[from:])
}

func (d *drawing) font(run string, size float64) {
	family := "latin"
	if r, _ := utf8.DecodeRuneInString(run); chinese(r) {
		family = "zh"
	}
	d.try(d.SetFont(family, "", size))
}

// write writes a line and returns where it ends.
func (d *drawing) write(x, size float64, text string) float64 {
	for _, run := range runs(text) {
		d.font(run, size)
		w, err := d.MeasureTextWidth(run)
		d.try(err)
		d.SetXY(x, d.y)
		d.try(d.Cell(nil, run))
		x += w
	}
	return x
}

// wrap cuts a text into lines of a width: between any two Chinese characters, else at spaces where there are some.
func (d *drawing) wrap(text string, size, width float64) (lines []string) {
	var now strings.Builder
	at := 0.0
	for _, word := range words(text) {
		w := 0.0
		for _, run := range runs(word) {
			d.font(run, size)
			n, err := d.MeasureTextWidth(run)
			d.try(err)
			w += n
		}
		if at+w > width && at > 0 {
			lines = append(lines, now.String())
			now.Reset()
			at, word = 0, strings.TrimLeft(word, " ")
		}
		for w > width && len(word) > 40 { // a digest: it has no place to break
			lines, word = append(lines, word[:40]), word[40:]
			w -= width / 2
		}
		now.WriteString(word)
		at += w
	}
	return append(lines, now.String())
}

// words are what is not torn apart: a Chinese character, or others up to a space.
func words(text string) (out []string) {
	from := 0
	for i, r := range text {
		if i > from && (chinese(r) || r == ' ') {
			out, from = append(out, text[from:i]), i
		}
		if chinese(r) {
			out, from = append(out, text[from:i+utf8.RuneLen(r)]), i+utf8.RuneLen(r)
		}
	}
	if from < len(text) {
		out = append(out, text[from:])
	}
	return out
}

func (d *drawing) title(text string) {
	d.write(left, 18, text)
	d.y += 32
}

func (d *drawing) heading(text string) {
	d.room(3 * line)
	d.y += 8
	d.SetStrokeColor(180, 186, 198)
	d.SetLineWidth(0.5)
	d.Line(left, d.y+18, right, d.y+18)
	d.write(left, 12, text)
	d.y += 24
}

// clean leaves out what cannot be drawn on one line.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
}

// text writes a paragraph.
func (d *drawing) text(text string) {
	if text = clean(text); text == "" {
		return
	}
	for _, l := range d.wrap(text, 9.5, wide) {
		d.room(line)
		d.write(left, 9.5, l)
		d.y += line
	}
	d.y += 2
}

func (d *drawing) pairs(list [][2]string) {
	for i, kv := range list {
		x := left + float64(i%2)*wide/2
		d.SetTextColor(96, 104, 120)
		d.write(x, 9.5, kv[0])
		d.SetTextColor(20, 24, 32)
		d.write(x+75, 9.5, clean(kv[1]))
		if i%2 == 1 || i == len(list)-1 {
			d.y += line
		}
	}
}

// table writes rows under a head; widths are shares of the page.
func (d *drawing) table(head []string, widths []float64, rows [][]string) {
	put := func(cells []string) {
		d.room(line)
		x := left
		for i, c := range cells {
			if n := int(widths[i] * wide / 9); len([]rune(c)) > 2*n {
				c = string([]rune(c)[:2*n]) + "…"
			}
			d.write(x, 8.5, clean(c))
			x += widths[i] * wide
		}
		d.y += line
	}
	d.SetTextColor(96, 104, 120)
	put(head)
	d.SetTextColor(20, 24, 32)
	for _, r := range rows {
		put(r)
	}
}

var verdicts = map[string]string{"inside": "区域内", "outside": "区域外", "undecidable": "无法判定"}

// decisive are the fixes it was decided on.
func (d *drawing) decisive(p *Package) {
	h, err := p.Violation.thresholds()
	d.try(err)
	var rows [][]string
	for _, m := range h.Opened.Fixes {
		rows = append(rows, []string{clockOf(m.At), fmt.Sprintf("%.6f, %.6f", float64(m.LonE7)/1e7, float64(m.LatE7)/1e7), fmt.Sprintf("%.0f 米", float64(m.Accuracy)/100),
			verdicts[string(m.Verdict)], fmt.Sprintf("%.0f 米", math.Abs(float64(m.Margin))/100)})
	}
	if len(rows) == 0 {
		d.text("本情形不由定位点判定（见判定过程）。")
		return
	}
	d.table([]string{"时间", "经纬度（WGS-84）", "精度", "判定", "距边界"}, []float64{.24, .3, .13, .15, .18}, rows)
}

// acts in words.
var acts = map[string]string{"raised": "生成警情", "amended": "情形更新", "violation_closed": "情形结束", "withdrawn": "撤回", "acknowledged": "接警", "noted": "记录", "closed": "结案", "healed": "自行恢复", "viewed": "查看"}

func (d *drawing) history(p *Package) {
	var a struct {
		History []struct {
			At   time.Time
			Act  string
			Who  *string
			Body struct{ Text, Conclusion string }
		}
	}
	d.try(json.Unmarshal(p.Alerts, &a))
	var rows [][]string
	for _, e := range a.History {
		who := "平台"
		if e.Who != nil {
			who = *e.Who
		}
		word := acts[e.Act]
		if word == "" {
			word = e.Act
		}
		rows = append(rows, []string{clockOf(e.At), word, who, e.Body.Conclusion + " " + e.Body.Text})
	}
	d.table([]string{"时间", "事项", "人员", "内容"}, []float64{.24, .14, .16, .46}, rows)
}

// sketch draws zone and track to scale, north up, without a map below.
func (d *drawing) sketch(p *Package) {
	const height = 230.0
	d.room(height + line)
	var rings [][][2]float64
	var g struct {
		Type        string
		Coordinates json.RawMessage
	}
	d.try(json.Unmarshal(p.Geometry, &g))
	switch g.Type {
	case "Polygon":
		d.try(json.Unmarshal(g.Coordinates, &rings))
	case "MultiPolygon":
		var polygons [][][][2]float64
		d.try(json.Unmarshal(g.Coordinates, &polygons))
		for _, p := range polygons {
			rings = append(rings, p...)
		}
	}
	// What is shown is the track with a margin, not all of a county.
	west, east, south, north := 180.0, -180.0, 90.0, -90.0
	for i := range p.Fixes {
		f := &p.Fixes[i]
		west, east, south, north = min(west, f.lon()), max(east, f.lon()), min(south, f.lat()), max(north, f.lat())
	}
	margin := max((east-west)*.3, (north-south)*.3, .004)
	west, east, south, north = west-margin, east+margin, south-margin, north+margin
	shrink := math.Cos((south + north) / 2 * math.Pi / 180)
	scale := min(wide/((east-west)*shrink), height/(north-south))
	at := func(lon, lat float64) (x, y float64) {
		return left + wide/2 + (lon-(west+east)/2)*shrink*scale, d.y + height/2 - (lat-(south+north)/2)*scale
	}
	d.SetStrokeColor(180, 186, 198)
	d.SetLineWidth(.6)
	d.RectFromUpperLeft(left, d.y, wide, height)
	segment := func(lon1, lat1, lon2, lat2 float64) {
		x1, y1 := at(lon1, lat1)
		x2, y2 := at(lon2, lat2)
		if x1, y1, x2, y2, ok := clip(x1, y1, x2, y2, left, d.y, right, d.y+height); ok {
			d.Line(x1, y1, x2, y2)
		}
	}
	d.SetStrokeColor(32, 99, 155)
	d.SetLineWidth(1.2)
	for _, r := range rings {
		for i := 1; i < len(r); i++ {
			segment(r[i-1][0], r[i-1][1], r[i][0], r[i][1])
		}
	}
	d.SetStrokeColor(150, 156, 168)
	d.SetLineWidth(.5)
	for i := 1; i < len(p.Fixes); i++ {
		if p.Fixes[i].At.Sub(p.Fixes[i-1].At) <= 10*time.Minute { // a gap is drawn as a gap
			segment(p.Fixes[i-1].lon(), p.Fixes[i-1].lat(), p.Fixes[i].lon(), p.Fixes[i].lat())
		}
	}
	step := max(1, len(p.Fixes)/600)
	for i := 0; i < len(p.Fixes); i += step {
		f := &p.Fixes[i]
		switch f.Verdict {
		case "outside":
			d.SetStrokeColor(192, 57, 43)
		case "inside":
			d.SetStrokeColor(39, 124, 74)
		default:
			d.SetStrokeColor(150, 156, 168)
		}
		x, y := at(f.lon(), f.lat())
		d.Oval(x-1.6, y-1.6, x+1.6, y+1.6)
	}
	metres := 111_320 / scale // a point of the page, in metres
	length := math.Pow(10, math.Floor(math.Log10(metres*120)))
	d.SetStrokeColor(20, 24, 32)
	d.SetLineWidth(1)
	d.Line(left+12, d.y+height-12, left+12+length/metres, d.y+height-12)
	d.y += height - 28
	d.write(left+12, 8, fmt.Sprintf("%.0f 米  北上  蓝：%s（第 %d 版）  绿：区域内  红：区域外", length, p.ZoneName, p.Violation.ZoneVersion))
	d.y += 40
}

// clip cuts a line to a rectangle (Liang and Barsky, 1984).
func clip(x1, y1, x2, y2, west, north, east, south float64) (_, _, _, _ float64, ok bool) {
	t0, t1, dx, dy := 0.0, 1.0, x2-x1, y2-y1
	for _, e := range [4][2]float64{{-dx, x1 - west}, {dx, east - x1}, {-dy, y1 - north}, {dy, south - y1}} {
		switch p, q := e[0], e[1]; {
		case p == 0 && q < 0:
			return 0, 0, 0, 0, false
		case p < 0:
			t0 = max(t0, q/p)
		case p > 0:
			t1 = min(t1, q/p)
		}
	}
	return x1 + t0*dx, y1 + t0*dy, x1 + t1*dx, y1 + t1*dy, t0 <= t1
}
