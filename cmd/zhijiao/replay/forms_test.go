package replay

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zhijiao/devices"
)

const gpx = `<?xml version="1.0"?>
<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1" xmlns:x="urn:logger">
 <wpt lat="1" lon="2"><time>2026-11-23T00:00:00Z</time></wpt>
 <trk><trkseg>
  <trkpt lat="30.6631567" lon="113.1661234"><ele>31</ele><time>2026-11-23T12:00:00+08:00</time><hdop>1.4</hdop><sat>9</sat>
   <extensions><x:point><x:Speed>1.5</x:Speed></x:point></extensions></trkpt>
 </trkseg><trkseg>
  <trkpt lat="30.6632" lon="113.1662"><time>2026-11-23T03:59:00Z</time><extensions><accuracy>12</accuracy></extensions></trkpt>
 </trkseg></trk>
</gpx>`

func TestReadGPX(t *testing.T) {
	t.Parallel()
	tr, err := ReadGPX(strings.NewReader(gpx), "walks-one")
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)
	want := []Fix{
		{noon.Add(-time.Minute), devices.Place{Lon: 113.1662, Lat: 30.6632, Accuracy: 12, Speed: -1, Satellites: -1, Method: devices.MethodGNSS, Datum: devices.WGS84}},
		{noon, devices.Place{Lon: 113.1661234, Lat: 30.6631567, Accuracy: 7, Speed: 1.5, Satellites: 9, Method: devices.MethodGNSS, Datum: devices.WGS84}},
	}
	if len(tr.Fixes) != 2 || tr.Fixes[0] != want[0] || tr.Fixes[1] != want[1] || tr.Serial != "R-walks-one" || tr.Class != devices.Wristband {
		t.Errorf("%+v", tr)
	}
	for name, in := range map[string]string{
		"line 1: <html> is not GPX":                `<html></html>`,
		"line 5: time is no instant with a zone":   strings.Replace(gpx, "12:00:00+08:00", "12:00:00", 1),
		"line 5: lat is no number from -90 to 90":  strings.Replace(gpx, `lat="30.6631567"`, `lat="x"`, 1),
		"line 8: lon is no number from -180 to 18": strings.Replace(gpx, `lon="113.1662"`, `lon="213"`, 1),
		"line 5: XML syntax error":                 gpx[:strings.Index(gpx, "</time><hdop>")],
		"no fixes":                                 `<gpx></gpx>`,
	} {
		if _, err := ReadGPX(strings.NewReader(in), "x"); err == nil || !strings.HasPrefix(err.Error(), name[:7]) || !strings.Contains(err.Error(), name[8:]) {
			t.Errorf("%v, want %s", err, name)
		}
	}
}

const plt = "Geolife trajectory\r\nWGS 84\r\nAltitude is in Feet\r\nReserved 3\r\n0,2,255,My Track,0,0,2,8421376\r\n0\r\n" +
	"39.984702,116.318417,0,492,39744.1201851852,2008-10-23,02:53:04\r\n39.984683,116.31845,0,492,39744.1202546296,2008-10-23,02:53:10\r\n"

func TestReadPLT(t *testing.T) {
	t.Parallel()
	tr, err := ReadPLT(strings.NewReader(plt), "000-20081023025304")
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.Fixes) != 2 || !tr.Fixes[0].At.Equal(time.Date(2008, 10, 23, 2, 53, 4, 0, time.UTC)) || tr.Fixes[1].Place.Lon != 116.31845 || tr.Interval != 6*time.Second {
		t.Errorf("%+v", tr)
	}
	for want, in := range map[string]string{
		"line 8: 6 fields":              strings.Replace(plt, ",2008-10-23,02:53:10", ",02:53:10", 1),
		"line 7: no date and time":      strings.Replace(plt, "2008-10-23,02:53:04", "2008-10-23,2:53", 1),
		"line 7: latitude is no number": strings.Replace(plt, "39.984702", "-", 1),
		"no fixes":                      plt[:60],
	} {
		if _, err := ReadPLT(strings.NewReader(in), "x"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestLoadEveryForm: a folder may hold traces of all forms; of GeoLife the person is the folder above.
func TestLoadEveryForm(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for path, text := range map[string]string{"a/walk.gpx": gpx, "000/Trajectory/20081023025304.plt": plt, "b/day.CSV": "t_utc,lat,lon\n2026-11-23T04:00:00Z,30.6,113.1\n", "b/readme.txt": "no"} {
		p := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	told := ""
	list, err := LoadTelling(dir, func(files, of int) { told += fmt.Sprint(files, of, " ") })
	if err != nil {
		t.Fatal(err)
	}
	if told != "1 3 2 3 3 3 " {
		t.Errorf("it tells %q", told)
	}
	var names []string
	for _, tr := range list {
		names = append(names, string(tr.Serial))
	}
	if strings.Join(names, " ") != "R-000-20081023025304 R-a-walk R-b-day" {
		t.Errorf("%v", names)
	}
}

func FuzzForms(f *testing.F) {
	f.Add([]byte(gpx))
	f.Add([]byte(plt))
	f.Fuzz(func(_ *testing.T, in []byte) {
		_, _ = ReadGPX(strings.NewReader(string(in)), "x")
		_, _ = ReadPLT(strings.NewReader(string(in)), "x")
	})
}
