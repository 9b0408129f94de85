package main

import (
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
