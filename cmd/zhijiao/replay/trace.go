package replay

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"zhijiao/devices"
)

// Trace is what one person's device recorded, in order of time.
type Trace struct {
	Name   string // folder and file, without endings: becomes part of the serial
	Index  string // the same as an index of traces names it: folder/file
	Serial devices.Serial
	Class  devices.Class // a fix every five minutes or oftener was worn, the rest was carried
	Fixes  []Fix

	Interval time.Duration // median between fixes
}

// Fix is one row of a trace.
type Fix struct {
	At    time.Time
	Place devices.Place
}

// From and Until are the first and the last instant of the trace.
func (t *Trace) From() time.Time  { return t.Fixes[0].At }
func (t *Trace) Until() time.Time { return t.Fixes[len(t.Fixes)-1].At }

// Shift moves the trace so that it begins at from.
func (t *Trace) Shift(from time.Time) {
	d := from.Sub(t.From())
	for i := range t.Fixes {
		t.Fixes[i].At = t.Fixes[i].At.Add(d)
	}
}

// Load reads a file, or every trace of a folder, in order of name.
func Load(path string) ([]Trace, error) { return LoadTelling(path, func(int, int) {}) }

// LoadTelling is Load that tells after each file how many of how many are read.
func LoadTelling(path string, told func(files, of int)) ([]Trace, error) {
	var files []string
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && ending(p) != "" {
			files = append(files, p)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for traces: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no trace: .csv, .gpx or .plt, plain or .gz", path)
	}
	sort.Strings(files)
	var out []Trace
	for i, f := range files {
		t, err := loadFile(f)
		if err != nil {
			return nil, fmt.Errorf("read trace %s: %w", filepath.Base(f), err)
		}
		out = append(out, t)
		told(i+1, len(files))
	}
	return out, nil
}

// readers are the forms of a trace by the ending of its file.
var readers = map[string]func(io.Reader, string) (Trace, error){".csv": Read, ".gpx": ReadGPX, ".plt": ReadPLT}

// ending is which of them a file has; empty: none.
func ending(path string) string {
	e := strings.ToLower(filepath.Ext(strings.TrimSuffix(path, ".gz")))
	if readers[e] == nil {
		return ""
	}
	return e
}

func loadFile(path string) (Trace, error) {
	f, err := os.Open(path)
	if err != nil {
		return Trace{}, err
	}
	defer f.Close()
	var r io.Reader = bufio.NewReader(f)
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(r)
		if err != nil {
			return Trace{}, err
		}
		defer z.Close()
		r = z
	}
	e := ending(path)
	if e == "" {
		return Trace{}, errors.New("neither .csv, .gpx nor .plt, plain or .gz")
	}
	base := strings.TrimSuffix(filepath.Base(path), ".gz")
	folder, name := filepath.Base(filepath.Dir(path)), base[:len(base)-len(e)]
	if folder == "Trajectory" { // of GeoLife: the person is the folder above
		folder = filepath.Base(filepath.Dir(filepath.Dir(path)))
	}
	t, err := readers[e](r, folder+"-"+name)
	t.Index = folder + "/" + name
	return t, err
}

var notSerial = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// Read reads one trace.
func Read(r io.Reader, name string) (Trace, error) {
	c := csv.NewReader(r)
	c.ReuseRecord = true
	header, err := c.Read()
	if err != nil {
		return Trace{}, fmt.Errorf("header: %w", err)
	}
	col := map[string]int{}
	for i, h := range header {
		col[strings.TrimSpace(strings.TrimPrefix(h, "\ufeff"))] = i
	}
	for _, need := range []string{"t_utc", "lat", "lon"} {
		if _, ok := col[need]; !ok {
			return Trace{}, fmt.Errorf("header: no column %s", need)
		}
	}
	t := newTrace(name)
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Trace{}, err
		}
		fix, err := parse(row, col)
		if err != nil {
			line, _ := c.FieldPos(0)
			return Trace{}, fmt.Errorf("line %d: %w", line, err)
		}
		t.Fixes = append(t.Fixes, fix)
	}
	return t.finished()
}

func newTrace(name string) Trace {
	serial := notSerial.ReplaceAllString(name, "-")
	return Trace{Name: name, Serial: devices.Serial("R-" + serial[max(0, len(serial)-60):])}
}

// finished puts the fixes in order, and says by what they were recorded.
func (t Trace) finished() (Trace, error) {
	if len(t.Fixes) == 0 {
		return Trace{}, errors.New("no fixes")
	}
	sort.SliceStable(t.Fixes, func(i, j int) bool { return t.Fixes[i].At.Before(t.Fixes[j].At) })
	t.Class, t.Interval = devices.Phone, interval(t.Fixes)
	if len(t.Fixes) > 1 && t.Interval <= 5*time.Minute {
		t.Class = devices.Wristband
	}
	return t, nil
}

// interval is the median between fixes; zero for a single one.
func interval(fixes []Fix) time.Duration {
	var gaps []time.Duration
	for i := 1; i < len(fixes); i++ {
		gaps = append(gaps, fixes[i].At.Sub(fixes[i-1].At))
	}
	if len(gaps) == 0 {
		return 0
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}

func parse(row []string, col map[string]int) (Fix, error) {
	field := func(name string) string {
		if i, ok := col[name]; ok && i < len(row) {
			return row[i]
		}
		return ""
	}
	number := func(name string) (float64, bool, error) {
		s := field(name)
		if s == "" {
			return 0, false, nil
		}
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return 0, false, fmt.Errorf("column %s is no number", name)
		}
		return v, true, nil
	}
	at, err := time.Parse(time.RFC3339, field("t_utc"))
	if err != nil {
		return Fix{}, errors.New("column t_utc is no instant with a zone")
	}
	p := devices.Place{Speed: -1, Satellites: -1, Method: devices.MethodGNSS, Datum: devices.WGS84}
	var ok bool
	if p.Lat, ok, err = number("lat"); err != nil || !ok {
		return Fix{}, errors.Join(err, errors.New("column lat must be there"))
	}
	if p.Lon, ok, err = number("lon"); err != nil || !ok {
		return Fix{}, errors.Join(err, errors.New("column lon must be there"))
	}
	if p.Accuracy, _, err = number("acc_m"); err != nil {
		return Fix{}, err
	}
	if v, ok, err := number("speed"); err != nil {
		return Fix{}, err
	} else if ok {
		p.Speed = v
	}
	if field("provider") == "network" {
		p.Method = devices.MethodWiFi
		if n := field("network_type"); n != "" && n != "wifi" {
			p.Method = devices.MethodCell
		}
	}
	return Fix{at.UTC(), p}, nil
}
