package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zhijiao/cmd/zhijiao/replay"
	"zhijiao/devices"
	"zhijiao/geofence"
)

// TestCompareFindsWhatPlainReadingFinds_R24: on every recorded trace each absence of more than half an hour is found, and
// far fewer others are told than single fixes would tell.
func TestCompareFindsWhatPlainReadingFinds_R24(t *testing.T) {
	t.Parallel()
	folder := filepath.Join("..", "..", "..", "shared", "data", "traces")
	homes, names, err := readHomes(filepath.Join(folder, "index.json"))
	if err != nil {
		t.Skip("the recorded traces are not on this machine")
	}
	boundary, err := readBoundary("")
	if err != nil {
		t.Fatal(err)
	}
	traces, err := tracesOf(folder, names)
	if err != nil {
		t.Fatal(err)
	}
	c := comparison{boundary: boundary, homes: homes, radius: 200}
	var total tally
	for i := range traces {
		one, err := c.one(&traces[i])
		if err != nil {
			t.Fatal(err)
		}
		if one.home.found < one.home.plain || one.city.found < one.city.plain {
			t.Errorf("%s: found %d of %d absences from home and %d of %d from the city", one.name, one.home.found, one.home.plain, one.city.found, one.city.plain)
		}
		total.add(one.home)
		total.add(one.city)
	}
	if total.plain < 1000 || total.core*2 > total.naive {
		t.Errorf("%d absences, found %d times by evaluation and %d times by single fixes", total.plain, total.core, total.naive)
	}
}

// TestCompareInvented: a walk beside the edge that a lucky fix crosses, and one that leaves for an hour.
func TestCompareInvented(t *testing.T) {
	t.Parallel()
	z, err := geofence.NewCircle(compareCity, 1, geofence.Interval{}, 113.16, 30.66, 1000)
	if err != nil {
		t.Fatal(err)
	}
	tr := replay.Trace{Name: "t", Class: devices.Wristband, Interval: time.Minute}
	begin := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for m := range 180 {
		lon := 113.16 + 950/95_700.0
		switch {
		case m%30 == 7:
			lon = 113.16 + 1040/95_700.0 // one fix over the edge
		case m >= 90 && m < 150:
			lon = 113.16 + 3000/95_700.0
		}
		tr.Fixes = append(tr.Fixes, replay.Fix{At: begin.Add(time.Duration(m) * time.Minute), Place: devices.Place{Lon: lon, Lat: 30.66, Accuracy: 5, Method: devices.MethodGNSS}})
	}
	c := comparison{boundary: z, radius: 200}
	one, err := c.one(&tr)
	if err != nil {
		t.Fatal(err)
	}
	if one.city.naive < 4 || one.city.core != 1 || one.city.plain != 1 || one.city.found != 1 {
		t.Errorf("%+v", one.city)
	}
	var out bytes.Buffer
	if err := printComparison(&out, []compared{one}); err != nil || !strings.Contains(out.String(), "left city") {
		t.Errorf("%v %s", err, out.String())
	}
}
