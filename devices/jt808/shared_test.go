package jt808

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"zhijiao/devices"
)

const sharedFrames = "../../../shared/data/payloads/jt808_dev.jsonl"

// sharedFrame is one frame that others decoded, with what they found.
type sharedFrame struct {
	Line       int    `json:"line"`
	Hex        string `json:"hex"`
	Expect     string `json:"expect"`
	ChecksumOK bool   `json:"checksum_ok"`
	LengthOK   bool   `json:"len_ok"`
	MessageID  string `json:"msg_id"`
	V2019      bool   `json:"v2019"`
	Parts      bool   `json:"subpackage"`
	Encrypted  bool   `json:"encrypted"`
	BodyLength int    `json:"body_len"`
	Phone      string `json:"phone_bcd"`
	Decoded    *struct {
		Alarm  uint32  `json:"alarm"`
		Status uint32  `json:"status"`
		Lat    float64 `json:"lat"`
		Lon    float64 `json:"lon"`
		Alt    uint16  `json:"alt"`
		Speed  float64 `json:"speed_kmh"`
		Course uint16  `json:"course"`
		Time   string  `json:"time_bcd_utc8"`
	} `json:"decoded"`
}

func loadSharedFrames(t *testing.T) []sharedFrame {
	t.Helper()
	file, err := os.Open(sharedFrames)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the frames in ../shared/data are not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var all []sharedFrame
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var one sharedFrame
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	if len(all) < 100 {
		t.Fatalf("%d frames", len(all))
	}
	return all
}

// R38, R39: every frame that others captured decodes to what they found in it, and those that are broken are refused for what
// is broken.
func TestSharedFrames_R38(t *testing.T) {
	t.Parallel()
	opened, refused := 0, map[string]int{}
	for _, x := range loadSharedFrames(t) {
		m, f := openHex(t, x.Hex)
		switch {
		case f != nil:
			refused[f.Field]++
			if x.ChecksumOK && x.LengthOK && !x.Encrypted {
				t.Errorf("line %d: refused: %v", x.Line, f)
			}
			if want := refusalOf(x); want != "" && f.Field != want {
				t.Errorf("line %d: refused for %s, not %s", x.Line, f.Field, want)
			}
			continue
		case !x.ChecksumOK || !x.LengthOK || x.Encrypted:
			t.Errorf("line %d: accepted", x.Line)
			continue
		}
		opened++
		if id, _ := strconv.ParseUint(x.MessageID, 0, 16); ID(id) != m.ID || m.V2019 != x.V2019 || (m.Parts > 0) != x.Parts ||
			len(m.Body) != x.BodyLength || m.Phone != x.Phone {
			t.Errorf("line %d: %+v", x.Line, m.Header)
		}
		again, err := Append(nil, m)
		if back, f := Open(again[1 : len(again)-1]); err != nil || f != nil || back.Header != m.Header || !bytes.Equal(back.Body, m.Body) {
			t.Errorf("line %d: written again it is another frame (%v)", x.Line, err)
		}
		if m.ID == Batch {
			if list, faults, f := OpenBatch(m.Body); f != nil || len(list) == 0 {
				t.Errorf("line %d: %v", x.Line, f)
			} else {
				for i, f := range faults {
					if f != nil {
						t.Errorf("line %d: location %d: %v", x.Line, i, f)
					}
				}
			}
		}
		if x.Decoded != nil {
			checkShared(t, x, m)
		}
	}
	if opened < 80 || refused["checksum"] == 0 || refused["length"] == 0 {
		t.Errorf("%d opened, refused %v", opened, refused)
	}
	t.Logf("%d opened, refused %v", opened, refused)
}

// brokenEscape is 0x7d before neither 0x01 nor 0x02, at a whole byte, in a frame that holds no mark.
var brokenEscape = regexp.MustCompile(`^7e(?:[0-689a-f].|7[0-9abcf]|7d0[12])*7d(?:[1-9a-f].|0[03-9a-f])(?:..)*7e$`)

// refusalOf is what a broken frame is refused for; "" where its marks stand inside of it, and several things are broken.
func refusalOf(x sharedFrame) string {
	switch {
	case !strings.HasPrefix(x.Hex, "7e"), x.V2019:
		return ""
	case brokenEscape.MatchString(x.Hex):
		return "escape"
	case !x.ChecksumOK:
		return "checksum"
	case !x.LengthOK:
		return "length"
	}
	return "encryption"
}

func openHex(t *testing.T, s string) (Message, *devices.Fault) {
	t.Helper()
	raw, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) < 2 || raw[0] != mark {
		var sp Splitter
		var fault *devices.Fault
		sp.Split(raw, func(_ []byte, f *devices.Fault) bool { fault = f; return f == nil })
		return Message{}, fault
	}
	raw = bytes.TrimSuffix(raw[1:], []byte{mark})
	if bytes.IndexByte(raw, mark) >= 0 { // taken down after somebody had undone the escapes: no stream can bring it so
		return Open(unmarked(raw))
	}
	return Open(raw)
}

// unmarked escapes what stands between the marks.
func unmarked(plain []byte) []byte {
	var out []byte
	for _, c := range plain {
		out = appendByte(out, c)
	}
	return out
}

func checkShared(t *testing.T, x sharedFrame, m Message) {
	t.Helper()
	l, f := OpenLocation(m.Body)
	if f != nil {
		t.Errorf("line %d: %v", x.Line, f)
		return
	}
	d := x.Decoded
	near := func(a uint32, b float64) bool { return math.Abs(float64(a)/1e6-b) < 1e-9 }
	at, err := time.ParseInLocation("060102150405", d.Time, time.FixedZone("", 8*3600))
	if err != nil {
		t.Fatal(err)
	}
	if l.Alarm != d.Alarm || l.Status != d.Status || !near(l.Lat, d.Lat) || !near(l.Lon, d.Lon) || l.Altitude != d.Alt ||
		math.Abs(float64(l.Speed)/10-d.Speed) > 1e-6 || l.Course != d.Course || !l.Time.Equal(at) {
		t.Errorf("line %d: %+v, want %+v", x.Line, l, *d)
	}
	if again, f := OpenLocation(AppendLocation(nil, l)); f != nil || again.Time != l.Time || len(again.Items) != len(l.Items) {
		t.Errorf("line %d: written again it is another: %v", x.Line, f)
	}
	o, f := l.Observation(Reading{Datum: devices.WGS84, Makers: true, V2019: m.V2019})
	if f != nil {
		t.Errorf("line %d: %v", x.Line, f)
		return
	}
	located := binary.BigEndian.Uint32(m.Body[4:])&2 != 0 && (d.Lat != 0 || d.Lon != 0)
	if (o.Place != nil) != located || (o.Kind == devices.KindFix) != located || !o.At.Equal(at) {
		t.Errorf("line %d: place %v, located %v", x.Line, o.Place != nil, located)
	}
	if located && (math.Abs(math.Abs(o.Place.Lat)-d.Lat) > 1e-9 || math.Abs(math.Abs(o.Place.Lon)-d.Lon) > 1e-9) {
		t.Errorf("line %d: elsewhere", x.Line)
	}
	checkExpectation(t, x, o)
}

// checkExpectation compares what the makers' items were said to mean with what we read, where it is something we know.
func checkExpectation(t *testing.T, x sharedFrame, o devices.Observation) {
	t.Helper()
	what, value, _ := strings.Cut(strings.TrimPrefix(x.Expect, "Position."), ", ")
	switch what {
	case "KEY_BATTERY_LEVEL":
		if unread[x.Line] {
			return
		}
		if o.Health.Battery == nil || strconv.Itoa(*o.Health.Battery) != value {
			t.Errorf("line %d: battery %v, want %s", x.Line, o.Health.Battery, value)
		}
	case "KEY_ICCID":
		if !unread[x.Line] && !strings.HasPrefix(o.Health.SIM, strings.Trim(value, `"`)) {
			t.Errorf("line %d: SIM %q, want %s", x.Line, o.Health.SIM, value)
		}
	case "KEY_ALARM":
		if strings.Contains(value, "REMOVING") && o.Health.Strap != devices.StrapOpen {
			t.Errorf("line %d: strap %v", x.Line, o.Health.Strap)
		}
		if strings.Contains(value, "TAMPERING") && o.Health.Strap != devices.CaseOpen {
			t.Errorf("line %d: strap %v", x.Line, o.Health.Strap)
		}
		if strings.Contains(value, "LOW_BATTERY") && (o.Health.Battery == nil || *o.Health.Battery > 20) {
			t.Errorf("line %d: battery %v", x.Line, o.Health.Battery)
		}
	}
}

// unread are frames whose maker puts the battery, or the card's number, where another maker puts something else. They are left
// unread.
var unread = map[int]bool{93: true, 122: true, 421: true}
