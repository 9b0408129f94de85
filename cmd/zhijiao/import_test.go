package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// TestImportNamesEverythingWrong: a file with anything wrong in it is refused with every problem, by line and field.
func TestImportNamesEverythingWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ what, file, says string }{
		"no such file":       {"people", "x", "none of orgs"},
		"no such column":     {"orgs", "名称,电话\n", "电话"},
		"a column missing":   {"orgs", "名称,类别\na,b\n", "short_name"},
		"a formula":          {"orgs", "名称,简称,类别\n=1+1,a,司法所\n", "line 2: name"},
		"too long":           {"orgs", "名称,简称,类别\n" + strings.Repeat("字", 201) + ",a,司法所\n", "longer"},
		"too many fields":    {"orgs", "名称,简称,类别\na,b,司法所,d,e\n", "line 2: 5 fields"},
		"a field missing":    {"orgs", "名称,简称,类别\na,,司法所\n", "line 2: short_name: missing"},
		"both are named":     {"orgs", "名称,简称,类别\na,,司法所\nb,,司法所\n", "line 3: short_name"},
		"no quotes' end":     {"orgs", "名称,简称,类别\n\"a,b,c\n", "line"},
		"not a table at all": {"orgs", "\x00\x01", "column 1"},
	} {
		if _, err := readTable(c.what, []byte(c.file)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	gb, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte("名称,简称,类别\n岳口司法所,岳口,司法所\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{"GB18030": gb, "with a BOM": []byte("\ufeff名称,简称,类别\n岳口司法所,岳口,司法所\n"), "in English": []byte("name,short_name,kind\n岳口司法所,岳口,judicial_office\n")} {
		if got, err := readTable("orgs", raw); err != nil || len(got.rows) != 1 || got.rows[0]["name"] != "岳口司法所" || got.rows[0]["kind"] != "judicial_office" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func FuzzReadTable(f *testing.F) {
	f.Add([]byte("名称,简称,类别\na,b,司法所\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := readTable("orgs", raw)
		if err == nil && len(got.rows) != len(got.line) {
			t.Error("a row without its line")
		}
	})
}

// TestImport brings an organisation tree, officers and devices in, children before parents, again without a change, and a person out and not in twice.
func TestImport_R105(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dataDir := dataFolder(t)
	run := func(args ...string) (string, error) {
		t.Helper()
		return program(t, append(args, "--data-dir", dataDir)...).result()
	}
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	orgs := file("orgs.csv", "名称,简称,类别,上级,代码\n岳口司法所,岳口,司法所,天门市司法局,429006101\n天门市司法局,天门,市司法局,,429006\n天门市社区矫正管理局,矫正局,市社区矫正机构,天门市司法局,\n")
	circle := file("circle.csv", "名称,简称,类别,上级\n甲,甲,司法所,乙\n乙,乙,司法所,甲\n丙,丙,派出所,丁\n")
	officers := file("officers.csv", "姓名,机构,类别,负责人\n张三,岳口司法所,执法人员,\n李四,天门市司法局,执法人员,是\n")
	stranger := file("stranger.csv", "姓名,机构,类别\n张三,潜江司法所,执法人员\n王五,岳口司法所,保安\n")
	devicesFile := file("devices.csv", "序列号,类别,型号,机构\nWB-1,腕带,X1,岳口司法所\nPH-1,手机,,\n")
	badDevices := file("bad.csv", "序列号,类别\nWB 1,腕带\nPH-2,手表\nPH-3,手机\nPH-3,手机\n")
	if out, err := run("migrate"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, c := range []struct {
		args []string
		says string
		fine bool
	}{
		{[]string{"import", "orgs", circle}, "circle", false},
		{[]string{"import", "orgs", circle}, "派出所", false},
		{[]string{"import", "orgs", circle}, "丁", false},
		{[]string{"import", "orgs", orgs, "--dry-run"}, "3 would be added, 0 unchanged", true},
		{[]string{"import", "orgs", orgs}, "3 added, 0 unchanged", true},
		{[]string{"import", "orgs", orgs}, "0 added, 3 unchanged", true},
		{[]string{"import", "officers", stranger}, "line 2: org", false},
		{[]string{"import", "officers", stranger}, "line 3: kind", false},
		{[]string{"import", "officers", officers}, "2 added, 0 unchanged", true},
		{[]string{"import", "officers", officers}, "0 added, 2 unchanged", true},
		{[]string{"import", "devices", badDevices}, "line 2: serial", false},
		{[]string{"import", "devices", badDevices}, "line 3: class", false},
		{[]string{"import", "devices", badDevices}, "line 5: serial", false},
		{[]string{"import", "devices", devicesFile}, "2 added, 0 unchanged", true},
		{[]string{"import", "devices", devicesFile}, "0 added, 2 unchanged", true},
		{[]string{"subject", "export", "TM1", "--out", filepath.Join(dir, "x.zip")}, "no subject", false},
		{[]string{"subject", "import", orgs}, "no file of a person", false},
	} {
		out, err := run(c.args...)
		if err != nil {
			out += err.Error()
		}
		if (err == nil) != c.fine || !strings.Contains(out, c.says) {
			t.Errorf("%v: %s, not %q", c.args, out, c.says)
		}
	}
}
