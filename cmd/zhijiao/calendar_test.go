package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCalendarCommands_R16: what is built in and what a file says is recorded, listed, and read again as it was listed; what is
// wrong is refused with its place, and nothing is recorded of it.
func TestCalendarCommands_R16(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	run := func(args ...string) (string, error) {
		t.Helper()
		return program(t, append(args, "--data-dir", dir)...).result()
	}
	if out, err := run("migrate"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	table := file("2028.csv", "day,off,name\n2028-01-03,1,元旦\n")
	list := file("2027.json", `{"year":2027,"papers":["http://www.gov.cn/x"],"days":[{"name":"元旦","date":"2027-01-01","isOffDay":true},{"name":"元旦","date":"2027-01-09","isOffDay":false}]}`)
	eve := file("eve.csv", "2026-12-31,1,元旦\n2027-01-01,1,元旦\n")
	for _, c := range []struct {
		args []string
		want string
		fine bool
	}{
		{[]string{"calendar", "import"}, "name a file, or a year", false},
		{[]string{"calendar", "import", table, "--builtin", "2026"}, "name a file, or a year", false},
		{[]string{"calendar", "import", "--builtin", "2019"}, "no calendar of 2019", false},
		{[]string{"calendar", "import", file("bad.csv", "2027-02-30,1,x")}, `line 1: "2027-02-30" is no date`, false},
		{[]string{"calendar", "import", file("none.csv", "")}, "no day in it", false},
		{[]string{"calendar", "list", "2026"}, "no calendar of 2026", false},
		{[]string{"calendar", "import", eve}, "2026-12-31 is of 2026, whose calendar is not recorded", false},
		{[]string{"calendar", "import", "--builtin", "2026"}, "calendar 2026: 33 days off, 6 worked weekend days: 国办发明电〔2025〕7号", true},
		{[]string{"calendar", "import", list}, "calendar 2027: 1 days off, 1 worked weekend days: http://www.gov.cn/x (not official)", true},
		{[]string{"calendar", "import", eve}, "calendar 2026: 2026-12-31 is off now\ncalendar 2027: 1 days off", true},
		{[]string{"calendar", "list", "2026"}, "2026-12-31,1,元旦", true},
		{[]string{"calendar", "import", table}, "calendar 2028: 1 days off, 0 worked weekend days: 2028.csv (not official)", true},
		{[]string{"calendar", "import", table, "--official", "--source", "某通知"}, "worked weekend days: 某通知\n", true},
		{[]string{"calendar", "list"}, "2028", true},
		{[]string{"calendar", "list", "2026"}, "2026-10-10,0,国庆节", true},
		{[]string{"schedule", "list"}, "0 shown", true},
	} {
		out, err := run(c.args...)
		if (err == nil) != c.fine || !strings.Contains(out, c.want) {
			t.Errorf("%v: %v: %s", c.args, err, out)
		}
	}
}
