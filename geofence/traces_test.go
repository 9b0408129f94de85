package geofence

import (
	"compress/gzip"
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"zhijiao/devices"
)

// recorded is a fix of a recorded trace, and whether the place it names lies in the city by another library's account.
type recorded struct {
	at     time.Time
	place  devices.Place
	inCity bool
}

func readGzip(t testing.TB, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// readTrace reads a recorded trace and its truth.
func readTrace(t *testing.T, path, truth string) []recorded {
	t.Helper()
	rows, facts := readGzip(t, path), readGzip(t, truth)
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	number := func(row []string, name string) float64 {
		i, ok := column[name]
		if !ok || row[i] == "" {
			return 0
		}
		v, err := strconv.ParseFloat(row[i], 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	var out []recorded
	for n, row := range rows[1:] {
		at, err := time.Parse(time.RFC3339, row[column["t_utc"]])
		if err != nil {
			t.Fatal(err)
		}
		p := devices.Place{Lon: number(row, "lon"), Lat: number(row, "lat"), Accuracy: number(row, "acc_m"), Method: devices.MethodGNSS}
		if i, ok := column["provider"]; ok && row[i] != "gps" {
			p.Method = devices.MethodWiFi
		}
		out = append(out, recorded{at, p, facts[n+1][1] == "1"})
	}
	return out
}

// TestRecordedTraces_R24_R25: on traces of real phones and loggers nobody is found to have left the city who has not, and
// whoever plain reading shows outside for half an hour, by satellite and clearly, is found.
func TestRecordedTraces_R24_R25(t *testing.T) {
	t.Parallel()
	data := filepath.Join("..", "..", "shared", "data")
	paths, _ := filepath.Glob(filepath.Join(data, "traces", "*_tianmen", "u*.csv.gz"))
	if len(paths) == 0 {
		t.Skip("the recorded traces are not on this machine")
	}
	f, err := os.Open(filepath.Join(data, "boundaries", "tianmen_wgs84_valid.geojson"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zones, err := ImportGeoJSON(f, devices.WGS84)
	if err != nil {
		t.Fatal(err)
	}
	z, err := NewPolygon(1, 1, Interval{}, zones[0].Geometry)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		name := filepath.Base(path)
		interval, truth := dense, "town_"+name
		if strings.Contains(path, "studentlife") {
			interval, truth = 15*time.Minute, "sl_dev_"+name
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkTrace(t, z, interval, readTrace(t, path, filepath.Join(data, "traces", "truth", truth)))
		})
	}
}

func checkTrace(t *testing.T, z *Zone, interval time.Duration, fixes []recorded) {
	w := newWorld(t, StayIn, interval)
	w.facts.Zones[1] = []*Zone{z}
	w.facts.Bindings[0].Valid.From, w.facts.Rules[0].Valid.From = time.Time{}, time.Time{}
	w.facts.Authorities = []Interval{{}}
	inCity := map[time.Time]bool{}
	p := w.facts.Rules[0].Params
	var found, wrong, missed, naive int
	var since time.Time // of the absence that plain reading shows
	var open *Finding
	clearly := 0
	for i := range fixes {
		x := &fixes[i]
		inCity[x.at] = x.inCity
		o := devices.Observation{Seq: int64(i), At: x.at, Place: &x.place}
		in := Input{At: x.at, Now: x.at, Observed: &o, Binding: &w.facts.Bindings[0]}
		for _, e := range Evaluate(&w.state, &in, &w.facts, nil) {
			switch {
			case e.Open != nil && e.Open.Kind == LeftZone:
				found, open = found+1, e.Open
				for _, m := range e.Open.Evidence.Fixes {
					if inCity[m.At] {
						wrong++
					}
				}
			case e.Close != nil && e.Close.Kind == LeftZone:
				open = nil
			}
		}
		switch a := p.accuracy(x.place.Method, centimetres(x.place.Accuracy)); {
		case x.inCity:
			since, clearly = time.Time{}, 0
		case x.place.Method == devices.MethodGNSS && in.Flags.moves() && centimetres(z.Distance(x.place.Lon, x.place.Lat)) > a+centimetres(p.Band):
			if clearly++; clearly == 1 {
				since = x.at
			}
			if clearly >= 3 && x.at.Sub(since) >= 30*time.Minute && open == nil {
				missed++
			}
		}
		if !x.inCity && (i == 0 || fixes[i-1].inCity) {
			naive++
		}
	}
	t.Logf("%d fixes: single fixes would have found %d absences, evaluation found %d", len(fixes), naive, found)
	if wrong > 0 || missed > 0 {
		t.Errorf("%d fixes that decided lie in the city; %d times nothing was open after half an hour outside", wrong, missed)
	}
}
