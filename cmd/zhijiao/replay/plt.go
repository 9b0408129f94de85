package replay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"zhijiao/devices"
)

// pltHeader is how many lines come before the fixes.
const pltHeader = 6

// ReadPLT reads a trajectory as the GeoLife corpus has it (Zheng, Xie, Ma: GeoLife, IEEE Data Engineering Bulletin 33-2, 2010): six lines
// nobody needs, then latitude, longitude, 0, altitude in feet, days since 30 December 1899, date and time in GMT. WGS-84.
func ReadPLT(r io.Reader, name string) (Trace, error) {
	t := newTrace(name)
	s := bufio.NewScanner(r)
	for line := 1; s.Scan(); line++ {
		text := strings.TrimSpace(s.Text())
		if line <= pltHeader || text == "" {
			continue
		}
		fix, err := pltFix(strings.Split(text, ","))
		if err != nil {
			return Trace{}, fmt.Errorf("line %d: %w", line, err)
		}
		t.Fixes = append(t.Fixes, fix)
	}
	if err := s.Err(); err != nil {
		return Trace{}, err
	}
	return t.finished()
}

func pltFix(row []string) (Fix, error) {
	if len(row) != 7 {
		return Fix{}, fmt.Errorf("%d fields, a fix has 7", len(row))
	}
	p := devices.Place{Speed: -1, Satellites: -1, Method: devices.MethodGNSS, Datum: devices.WGS84}
	var err error
	if p.Lat, err = degrees("latitude", row[0], 90); err != nil {
		return Fix{}, err
	}
	if p.Lon, err = degrees("longitude", row[1], 180); err != nil {
		return Fix{}, err
	}
	at, err := time.Parse("2006-01-02 15:04:05", row[5]+" "+row[6])
	if err != nil {
		return Fix{}, errors.New("no date and time")
	}
	return Fix{at.UTC(), p}, nil
}
