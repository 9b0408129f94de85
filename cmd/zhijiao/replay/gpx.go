package replay

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"zhijiao/devices"
)

// trackPoint is a trkpt of GPX 1.0 or 1.1 (https://www.topografix.com/GPX/1/1/): all that we use of it.
type trackPoint struct {
	Lat  string  `xml:"lat,attr"`
	Lon  string  `xml:"lon,attr"`
	Time string  `xml:"time"`
	Sat  string  `xml:"sat"`
	HDOP string  `xml:"hdop"`
	Rest []child `xml:",any"` // extensions of loggers: speed in m/s, accuracy in metres; GPX 1.0 has speed itself
}

type child struct {
	XMLName xml.Name
	Text    string  `xml:",chardata"`
	Rest    []child `xml:",any"`
}

// find is the text of the first element of a name, at any depth.
func find(list []child, name string) string {
	for _, c := range list {
		if strings.EqualFold(c.XMLName.Local, name) {
			return strings.TrimSpace(c.Text)
		}
		if s := find(c.Rest, name); s != "" {
			return s
		}
	}
	return ""
}

// ReadGPX reads the track points of all tracks and segments of a GPX file as one trace. Way-points and routes are not where anybody was.
func ReadGPX(r io.Reader, name string) (Trace, error) {
	d := xml.NewDecoder(r)
	t := newTrace(name)
	seen := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		line, _ := d.InputPos()
		if err != nil {
			return Trace{}, fmt.Errorf("line %d: %w", line, err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if !seen {
			if seen = true; start.Name.Local != "gpx" {
				return Trace{}, fmt.Errorf("line %d: <%s> is not GPX", line, start.Name.Local)
			}
		}
		if start.Name.Local != "trkpt" {
			continue
		}
		var p trackPoint
		if err := d.DecodeElement(&p, &start); err != nil {
			return Trace{}, fmt.Errorf("line %d: %w", line, err)
		}
		fix, err := p.fix()
		if err != nil {
			return Trace{}, fmt.Errorf("line %d: %w", line, err)
		}
		t.Fixes = append(t.Fixes, fix)
	}
	return t.finished()
}

func (p *trackPoint) fix() (Fix, error) {
	at, err := time.Parse(time.RFC3339, strings.TrimSpace(p.Time))
	if err != nil {
		return Fix{}, errors.New("time is no instant with a zone")
	}
	place := devices.Place{Speed: -1, Satellites: -1, Method: devices.MethodGNSS, Datum: devices.WGS84}
	if place.Lat, err = degrees("lat", p.Lat, 90); err != nil {
		return Fix{}, err
	}
	if place.Lon, err = degrees("lon", p.Lon, 180); err != nil {
		return Fix{}, err
	}
	if v, err := strconv.ParseFloat(find(p.Rest, "speed"), 64); err == nil && v >= 0 && v < 1000 {
		place.Speed = v
	}
	if v, err := strconv.Atoi(strings.TrimSpace(p.Sat)); err == nil && v >= 0 && v <= 200 {
		place.Satellites = v
	}
	if v, err := strconv.ParseFloat(find(p.Rest, "accuracy"), 64); err == nil && v > 0 && v <= 100_000 {
		place.Accuracy = v
	} else if v, err := strconv.ParseFloat(strings.TrimSpace(p.HDOP), 64); err == nil && v > 0 && v <= 100 {
		place.Accuracy = math.Max(5, 5*v) // the usual error of a civil receiver's ranges times the dilution
	}
	return Fix{at.UTC(), place}, nil
}

func degrees(name, s string, most float64) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(math.Abs(v) <= most) { // NaN too
		return 0, fmt.Errorf("%s is no number from -%g to %g", name, most, most)
	}
	return v, nil
}
