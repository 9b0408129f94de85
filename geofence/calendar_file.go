package geofence

import (
	"bytes"
	"embed"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"
)

// calendars are what the State Council ordered, one file a year, each with the notice it was read from.
//
//go:embed calendars/*.csv
var calendars embed.FS

// mostCalendarFile bounds a calendar's file: a year has 366 days.
const mostCalendarFile = 1 << 20

// BuiltinCalendar is the official arrangement of a year that this program carries; false where it carries none.
func BuiltinCalendar(year int) (CalendarSpec, bool) {
	doc, err := calendars.ReadFile(path.Join("calendars", strconv.Itoa(year)+".csv"))
	if err != nil {
		return CalendarSpec{}, false
	}
	spec, err := ReadCalendar(bytes.NewReader(doc))
	if err != nil { // a test reads them all
		panic(fmt.Sprintf("calendar of %d: %v", year, err))
	}
	spec.Official = true
	return spec, true
}

// ReadCalendar reads the days of one year from the JSON of holiday-cn ({"year":2026,"papers":["…"],"days":[{"name":"元旦",
// "date":"2026-01-01","isOffDay":true}]}) or from CSV with the columns day, off and name, where off is 1 or off for a day
// off, 0 or work for a worked day, and a line "# source: …" names the notice. Days of the December before are in Eve. Official
// is for the caller to say. A *Refused names what is wrong and where.
func ReadCalendar(r io.Reader) (CalendarSpec, error) {
	doc, err := io.ReadAll(io.LimitReader(r, mostCalendarFile+1))
	if err != nil {
		return CalendarSpec{}, err
	}
	doc = bytes.TrimSpace(bytes.TrimPrefix(doc, []byte("\ufeff"))) // spreadsheets begin with one
	var spec CalendarSpec
	switch {
	case len(doc) > mostCalendarFile:
		return spec, &Refused{Field: "file", Reason: BadDay, Detail: "longer than the calendar of a year can be"}
	case bytes.HasPrefix(doc, []byte("{")):
		spec, err = readHolidayCN(doc)
	default:
		spec, err = readCalendarCSV(doc)
	}
	if err != nil {
		return CalendarSpec{}, err
	}
	spec.split()
	return spec, spec.checkDays()
}

// split sets aside the days of the December before: a notice may begin its New Year there.
func (spec *CalendarSpec) split() {
	var days []NamedDay
	for _, d := range spec.Days {
		if strings.HasPrefix(d.Date, strconv.Itoa(spec.Year-1)+"-12-") {
			spec.Eve = append(spec.Eve, d)
		} else {
			days = append(days, d)
		}
	}
	spec.Days = days
}

func readHolidayCN(doc []byte) (spec CalendarSpec, err error) {
	var j struct {
		Year   int      `json:"year"`
		Papers []string `json:"papers"`
		Days   []struct {
			Name string `json:"name"`
			Date string `json:"date"`
			Off  *bool  `json:"isOffDay"`
		} `json:"days"`
	}
	if err := json.Unmarshal(doc, &j); err != nil {
		return spec, &Refused{Field: "file", Reason: BadDay, Detail: fmt.Sprintf("not the JSON of holiday-cn: %v", err)}
	}
	spec.Year, spec.Source = j.Year, strings.Join(j.Papers, " ")
	for i, d := range j.Days {
		if d.Off == nil {
			return spec, &Refused{Field: fmt.Sprintf("days[%d].isOffDay", i), Reason: BadDay, Detail: "it says neither true nor false"}
		}
		spec.Days = append(spec.Days, NamedDay{d.Date, *d.Off, d.Name})
	}
	return spec, nil
}

// offWords are how a table says that a day is off, or worked.
var offWords = map[string]bool{"1": true, "true": true, "off": true, "休": true, "0": false, "false": false, "work": false, "班": false}

func readCalendarCSV(doc []byte) (spec CalendarSpec, err error) {
	for line := range strings.Lines(string(doc)) {
		if text, ok := strings.CutPrefix(line, "# source:"); ok {
			spec.Source = strings.TrimSpace(text)
		}
	}
	in := csv.NewReader(bytes.NewReader(doc))
	in.Comment, in.FieldsPerRecord, in.TrimLeadingSpace = '#', 3, true
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		line, _ := in.FieldPos(0)
		if err != nil {
			return spec, &Refused{Field: "file", Reason: BadDay, Detail: fmt.Sprintf("day,off,name: %v", err)}
		}
		if row[0] == "day" && len(spec.Days) == 0 {
			continue
		}
		off, ok := offWords[strings.ToLower(strings.TrimSpace(row[1]))]
		if !ok {
			return spec, &Refused{Field: fmt.Sprintf("line %d", line), Reason: BadDay, Detail: fmt.Sprintf("%q is neither 1 (off) nor 0 (worked)", row[1])}
		}
		d := NamedDay{strings.TrimSpace(row[0]), off, strings.TrimSpace(row[2])}
		at, err := time.Parse(time.DateOnly, d.Date)
		if err != nil {
			return spec, &Refused{Field: fmt.Sprintf("line %d", line), Reason: BadDay, Detail: fmt.Sprintf("%q is no date, as 2026-10-01", d.Date)}
		}
		spec.Year = max(spec.Year, at.Year())
		spec.Days = append(spec.Days, d)
	}
	if len(spec.Days) == 0 {
		return spec, &Refused{Field: "file", Reason: BadDay, Detail: "no day in it"}
	}
	return spec, nil
}

// WriteCalendar writes a calendar as ReadCalendar reads it.
func WriteCalendar(out io.Writer, spec *CalendarSpec) error {
	if _, err := fmt.Fprintf(out, "# source: %s\n", strings.NewReplacer("\n", " ", "\r", " ").Replace(spec.Source)); err != nil {
		return err
	}
	w := csv.NewWriter(out)
	rows := [][]string{{"day", "off", "name"}}
	for _, d := range spec.Days {
		off := "0"
		if d.Off {
			off = "1"
		}
		rows = append(rows, []string{d.Date, off, d.Name})
	}
	return w.WriteAll(rows)
}
