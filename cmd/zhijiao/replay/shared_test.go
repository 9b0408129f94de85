package replay

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSharedForms: files that real loggers wrote are read to the last point, or refused with the line where the fault is.
func TestSharedForms(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "..", "..", "shared", "data", "traces")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the shared traces are not on this machine")
	}
	var files []string
	for _, pattern := range []string{"gpx/*.gpx", "geolife/raw_plt/*.plt"} {
		list, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(list) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		files = append(files, list...)
	}
	named := regexp.MustCompile(`^line \d+: `)
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		want, timed := len(strings.Split(strings.TrimSpace(text), "\n"))-pltHeader, true
		if ending(f) == ".gpx" {
			points := strings.Split(text, "<trkpt")[1:]
			want = len(points)
			for _, p := range points {
				p, _, _ = strings.Cut(p, "</trkseg>")
				timed = timed && strings.Contains(p, "<time>")
			}
		}
		tr, err := loadFile(f)
		switch {
		case err == nil && (len(tr.Fixes) != want || !timed):
			t.Errorf("%s: %d fixes of %d", filepath.Base(f), len(tr.Fixes), want)
		case err != nil && timed && want > 0:
			t.Errorf("%s: %v", filepath.Base(f), err)
		case err != nil && want > 0 && !named.MatchString(err.Error()):
			t.Errorf("%s: the line is not named: %v", filepath.Base(f), err)
		}
	}
}
