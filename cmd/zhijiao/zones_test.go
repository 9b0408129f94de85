package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twpayne/go-geom"

	"zhijiao/geofence"
	"zhijiao/internal/clock"
	"zhijiao/internal/crypto"
	"zhijiao/internal/pgtest"
	"zhijiao/supervision"
)

func TestIndecisionInWords_R25(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		r    geofence.Indecision
		warn bool
		says string
	}{
		"fine":      {geofence.Indecision{Fixes: 1000, Undecidable: 10, SizeM: 500, All: 2000, AccuracyM: 20}, false, "undecidable for 1.0 % of the 1000 fixes"},
		"often":     {geofence.Indecision{Fixes: 100, Undecidable: 30, SizeM: 100, All: 100, AccuracyM: 50}, true, "30.0 %"},
		"too small": {geofence.Indecision{Fixes: 10, Undecidable: 10, SizeM: 30, All: 10, AccuracyM: 50}, true, "smaller than can be told apart"},
		"nothing":   {geofence.Indecision{SizeM: 30}, false, "no fix in 30 days"},
	} {
		if s := indecision("家", "TM0417", &c.r); strings.HasPrefix(s, "warning: ") != c.warn || !strings.Contains(s, c.says) || !strings.Contains(s, "家, TM0417") {
			t.Errorf("%s: %s", name, s)
		}
	}
}

// TestZoneIsTriedOnPeople_R25 tries a recorded zone on somebody of whom nothing is known yet, and on nobody.
func TestZoneIsTriedOnPeople_R25(t *testing.T) {
	t.Parallel()
	pool, c := pgtest.Schema(t), clock.NewStepped(time.Date(2026, 5, 1, 4, 0, 0, 0, time.UTC))
	people := supervision.NewStore(pool, c, crypto.Random())
	county, err := people.PutOrg(t.Context(), supervision.Org{Kind: supervision.CountyDepartment, Name: "天门市司法局", ShortName: "天门"})
	if err != nil {
		t.Fatal(err)
	}
	office, err := people.PutOrg(t.Context(), supervision.Org{Parent: county, Kind: supervision.JudicialOffice, Name: "岳口司法所", ShortName: "岳口"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := people.Enrol(t.Context(), 0, supervision.Enrolment{LocalNo: "TM000417", Category: supervision.Probation, Person: supervision.Person{Name: "李试验"},
		Office: office, From: c.Now().AddDate(0, -1, 0)}); err != nil {
		t.Fatal(err)
	}
	store := geofence.NewStore(pool, c)
	zone, _, err := store.PutZone(t.Context(), 0, 0, geofence.ZoneSpec{Org: office, Purpose: geofence.Activity, Name: "家", Shape: geofence.Circular,
		Geometry: geom.NewPointFlat(geom.XY, []float64{113.1, 30.6}), RadiusM: 200, Datum: "WGS-84"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := findTried(t.Context(), pool, []string{"TM000417", "TM000418"}); err == nil || !strings.Contains(err.Error(), "TM000418") {
		t.Errorf("nobody has that number: %v", err)
	}
	who, err := findTried(t.Context(), pool, []string{"TM000417"})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := tryZones(t.Context(), store, []geofence.ZoneSpec{{ID: zone, Name: "家"}}, who, &out); err != nil || !strings.Contains(out.String(), "家, TM000417: no fix in 30 days") {
		t.Errorf("%v: %s", err, out.String())
	}
	if err := tryZones(t.Context(), store, []geofence.ZoneSpec{{ID: zone + 1}}, who, &out); err == nil || !strings.Contains(err.Error(), "no such zone") {
		t.Errorf("a zone that is none: %v", err)
	}
}

// importVendorOutline imports the city as a map vendor serves it, which is not valid as it stands: first without consent, then
// with it, then once more as the datum it is not.
func importVendorOutline(t *testing.T, dir string) {
	t.Helper()
	file := filepath.Join("..", "..", "..", "shared", "data", "boundaries", "tianmen_gcj02.geojson")
	if _, err := os.Stat(file); err != nil {
		t.Log("the shared boundaries are not on this machine: the vendor's outline is not imported")
		return
	}
	load := func(more ...string) (string, error) {
		return program(t, append([]string{"zones", "import", file, "--data-dir", dir, "--org", "天门市司法局"}, more...)...).result()
	}
	out, err := load("--datum", "GCJ-02", "--official")
	if err == nil || !strings.Contains(out, "touching_parts") || !strings.Contains(out, "978 points before") || !strings.Contains(out, "--accept-repairs") {
		t.Errorf("without consent: %v: %s", err, out)
	}
	if out, err = load("--datum", "GCJ-02", "--official", "--accept-repairs"); err != nil || !strings.Contains(out, "version 1: 天门市") || !strings.Contains(out, "touching_parts") {
		t.Errorf("with consent: %v: %s", err, out)
	}
	if out, err = load("--datum", "WGS-84", "--accept-repairs"); err == nil || !strings.Contains(out, "looks like GCJ-02") {
		t.Errorf("in the wrong datum: %v: %s", err, out)
	}
	if out, err = load("--datum", "WGS-84", "--accept-repairs", "--datum-is-right"); err != nil {
		t.Errorf("insisted upon: %v: %s", err, out)
	}
}
