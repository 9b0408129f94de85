package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zhijiao/geofence"
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
