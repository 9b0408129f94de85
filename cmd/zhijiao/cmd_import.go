package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
	"golang.org/x/text/encoding/simplifiedchinese"

	"zhijiao/devices"
	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/supervision"

	"github.com/jackc/pgx/v5"
)

func newImportCommand() *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use:   "import orgs|officers|devices FILE [--dry-run]",
		Short: "Import the organisation tree, officers or devices from a CSV file",
		Long: `Import from a CSV file with a head, in UTF-8 or GB18030 (what Excel saves). Columns, in Chinese or English:
  orgs      名称 name, 简称 short_name, 类别 kind, 上级 parent, 代码 code
  officers  姓名 name, 机构 org, 类别 kind, 负责人 head, 未成年小组 juvenile_team
  devices   序列号 serial, 类别 class, 型号 model, 机构 org
Every bad row is named with its field and the reason, and then nothing is written. Run again it adds what is new and leaves what is there.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := os.ReadFile(args[1])
			if err != nil {
				return err
			}
			t, err := readTable(args[0], raw)
			if err != nil {
				return err
			}
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				c, closeClock, err := openClock(ctx, pool, log)
				if err != nil {
					return err
				}
				defer closeClock()
				keys, err := openKeys(ctx, cfg, log, pool)
				if err != nil {
					return err
				}
				in := &importer{pool: pool, people: supervision.NewStore(pool, c, keys), keys: keys, dry: dry, out: cmd.OutOrStdout(), now: c.Now}
				return in.run(ctx, t)
			})
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would be done, and write nothing")
	return cmd
}

// csvColumns are those of each file, by what they are called in heads.
var csvColumns = map[string]map[string]string{
	"orgs":     {"名称": "name", "简称": "short_name", "类别": "kind", "上级": "parent", "代码": "code"},
	"officers": {"姓名": "name", "机构": "org", "类别": "kind", "负责人": "head", "未成年小组": "juvenile_team"},
	"devices":  {"序列号": "serial", "类别": "class", "型号": "model", "机构": "org"},
}

var csvRequired = map[string][]string{"orgs": {"name", "short_name", "kind"}, "officers": {"name", "org", "kind"}, "devices": {"serial", "class"}}

// csvWords are values in Chinese.
var csvWords = map[string]string{
	"省司法厅": "province_department", "省社区矫正机构": "province_agency", "市司法局": "county_department", "县司法局": "county_department", "司法行政部门": "county_department", "市社区矫正机构": "county_agency", "社区矫正机构": "county_agency",
	"中队": "squadron", "司法所": "judicial_office", "社会组织": "social_organisation",
	"执法人员": "enforcement", "选派民警": "seconded_police", "社会工作者": "social_worker", "辅助人员": "auxiliary", "腕带": "wristband", "手机": "phone", "是": "yes", "否": "", "no": "", "true": "yes", "false": "",
}

// csvTable is a CSV file read: rows by column, with the line each stands on.
type csvTable struct {
	what string
	rows []map[string]string
	line []int
}

// badRows are everything wrong with a file.
type badRows []string

// Error lists it.
func (b badRows) Error() string {
	return fmt.Sprintf("%d problems, nothing was written:\n%s", len(b), strings.Join(b, "\n"))
}

const longestCell = 200

func readTable(what string, raw []byte) (*csvTable, error) {
	known, ok := csvColumns[what]
	if !ok {
		return nil, fmt.Errorf("%q is none of orgs, officers, devices", what)
	}
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	if !utf8.Valid(raw) {
		var err error
		if raw, err = simplifiedchinese.GB18030.NewDecoder().Bytes(raw); err != nil {
			return nil, fmt.Errorf("the file is neither UTF-8 nor GB18030: %w", err)
		}
	}
	r := csv.NewReader(bytes.NewReader(raw))
	r.FieldsPerRecord = -1
	r.TrimLeadingSpace = true
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("the head of the file: %w", err)
	}
	names := make([]string, len(head))
	for i, h := range head {
		h = strings.TrimSpace(h)
		names[i] = h
		if en, ok := known[h]; ok {
			names[i] = en
		}
		if !slices.Contains([]string{"name", "short_name", "kind", "parent", "code", "org", "head", "juvenile_team", "serial", "class", "model"}, names[i]) {
			return nil, fmt.Errorf("column %d is called %q: none of this file's", i+1, h)
		}
	}
	for _, c := range csvRequired[what] {
		if !slices.Contains(names, c) {
			return nil, fmt.Errorf("there is no column %s", c)
		}
	}
	t := &csvTable{what: what}
	var bad badRows
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("the file: %w", err) // it names the line
		}
		line, _ := r.FieldPos(0)
		row := map[string]string{}
		for i, v := range record {
			if i >= len(names) {
				bad = append(bad, fmt.Sprintf("line %d: %d fields, the head has %d", line, len(record), len(names)))
				break
			}
			v = strings.TrimSpace(v)
			switch {
			case utf8.RuneCountInString(v) > longestCell:
				bad = append(bad, fmt.Sprintf("line %d: %s: longer than %d characters", line, names[i], longestCell))
			case v != "" && strings.ContainsRune("=+@\t", rune(v[0])):
				bad = append(bad, fmt.Sprintf("line %d: %s: %q looks like a formula", line, names[i], v))
			case strings.ContainsRune(v, 0):
				bad = append(bad, fmt.Sprintf("line %d: %s: a character that cannot be kept", line, names[i]))
			}
			if w, ok := csvWords[v]; ok && names[i] != "name" && names[i] != "short_name" && names[i] != "org" && names[i] != "parent" {
				v = w
			}
			row[names[i]] = v
		}
		for _, c := range csvRequired[what] {
			if row[c] == "" {
				bad = append(bad, fmt.Sprintf("line %d: %s: missing", line, c))
			}
		}
		t.rows, t.line = append(t.rows, row), append(t.line, line)
	}
	if len(bad) > 0 {
		return nil, bad
	}
	return t, nil
}

type importer struct {
	pool   *pgxpool.Pool
	people *supervision.Store
	keys   *crypto.Keys
	dry    bool
	out    io.Writer
	now    func() time.Time
}

// run plans all of it, and writes it when nothing is wrong.
func (in *importer) run(ctx context.Context, t *csvTable) error {
	orgs := map[string]supervision.Org{}
	roots, err := in.people.Roots(ctx)
	if err != nil {
		return err
	}
	for _, r := range roots {
		all, err := in.people.Orgs(ctx, r.ID)
		if err != nil {
			return err
		}
		for _, o := range all {
			orgs[o.Name] = o
		}
	}
	var bad badRows
	say := func(n int, field, why string) {
		bad = append(bad, fmt.Sprintf("line %d: %s: %s", t.line[n], field, why))
	}
	var adds []func(context.Context) error
	same := 0
	switch t.what {
	case "orgs":
		adds, same = in.orgs(t, orgs, say)
	case "officers":
		adds, same, err = in.officers(ctx, t, orgs, say)
	case "devices":
		adds, same, err = in.devices(ctx, t, orgs, say)
	}
	if err != nil {
		return err
	}
	if len(bad) > 0 {
		return bad
	}
	if !in.dry {
		for n, add := range adds {
			if err := add(ctx); err != nil {
				return fmt.Errorf("after %d of %d: %w; run it again when that is put right: what was added stays", n, len(adds), err)
			}
			if n%500 == 499 {
				fmt.Fprintf(in.out, "%d of %d\n", n+1, len(adds)) //nolint:errcheck // progress
			}
		}
	}
	verb := "added"
	if in.dry {
		verb = "would be added"
	}
	_, err = fmt.Fprintf(in.out, "%s: %d %s, %d unchanged\n", t.what, len(adds), verb, same)
	return err
}

var orgKinds = []string{"province_department", "province_agency", "county_department", "county_agency", "squadron", "judicial_office", "social_organisation"}

// orgs plans organisations, parents first wherever they stand in the file.
func (in *importer) orgs(t *csvTable, have map[string]supervision.Org, say func(int, string, string)) (adds []func(context.Context) error, same int) {
	inFile := map[string]int{}
	for n, r := range t.rows {
		if first, twice := inFile[r["name"]]; twice {
			say(n, "name", fmt.Sprintf("%s stands on line %d already", r["name"], t.line[first]))
			continue
		}
		inFile[r["name"]] = n
		if !slices.Contains(orgKinds, r["kind"]) {
			say(n, "kind", fmt.Sprintf("%q is none of %s", r["kind"], strings.Join(orgKinds, ", ")))
		}
		if p := r["parent"]; p == r["name"] {
			say(n, "parent", "it is under itself")
		}
	}
	made := map[string]id.Org{}
	done := map[string]int{} // 1: being placed, 2: placed
	var place func(n int)
	place = func(n int) {
		r := t.rows[n]
		name, parent := r["name"], r["parent"]
		if done[name] == 2 {
			return
		}
		if done[name] == 1 {
			say(n, "parent", "organisations under one another in a circle")
			return
		}
		done[name] = 1
		if parent != "" {
			if p, ok := inFile[parent]; ok && parent != name {
				place(p)
			} else if _, ok := have[parent]; !ok {
				say(n, "parent", fmt.Sprintf("there is no organisation %q, here or in the file", parent))
			}
		}
		done[name] = 2
		if o, ok := have[name]; ok {
			if string(o.Kind) != r["kind"] {
				say(n, "kind", fmt.Sprintf("it is here already, as %s", o.Kind))
			}
			same++
			return
		}
		adds = append(adds, func(ctx context.Context) error {
			p := have[parent].ID
			if v, ok := made[parent]; ok {
				p = v
			}
			v, err := in.people.PutOrg(ctx, supervision.Org{Parent: p, Kind: supervision.OrgKind(r["kind"]), Name: name, ShortName: r["short_name"], Code: r["code"]})
			made[name] = v
			return err
		})
	}
	for n := range t.rows {
		place(n)
	}
	return adds, same
}

var officerKinds = []string{"enforcement", "seconded_police", "social_worker", "auxiliary"}

func (in *importer) officers(ctx context.Context, t *csvTable, orgs map[string]supervision.Org, say func(int, string, string)) (adds []func(context.Context) error, same int, err error) {
	have := map[string]bool{}
	roots, err := in.people.Roots(ctx)
	if err != nil {
		return nil, 0, err
	}
	for _, r := range roots {
		list, err := in.people.Officers(ctx, r.ID)
		if err != nil {
			return nil, 0, err
		}
		for _, o := range list {
			have[fmt.Sprint(o.Org, "/", o.Name)] = true
		}
	}
	for n, r := range t.rows {
		o, ok := orgs[r["org"]]
		if !ok {
			say(n, "org", fmt.Sprintf("there is no organisation %q", r["org"]))
		}
		if !slices.Contains(officerKinds, r["kind"]) {
			say(n, "kind", fmt.Sprintf("%q is none of %s", r["kind"], strings.Join(officerKinds, ", ")))
		}
		if key := fmt.Sprint(o.ID, "/", r["name"]); have[key] {
			same++
			continue
		} else {
			have[key] = true
		}
		adds = append(adds, func(ctx context.Context) error {
			_, err := in.people.PutOfficer(ctx, supervision.Officer{Org: o.ID, Name: r["name"], Kind: supervision.OfficerKind(r["kind"]), CountyHead: r["head"] != "", JuvenileTeam: r["juvenile_team"] != ""})
			return err
		})
	}
	return adds, same, nil
}

// serialForm is what the database takes for one.
var serialForm = regexp.MustCompile(`\A[A-Za-z0-9_-]{1,64}\z`)

func (in *importer) devices(ctx context.Context, t *csvTable, orgs map[string]supervision.Org, say func(int, string, string)) (adds []func(context.Context) error, same int, err error) {
	seen := map[string]int{}
	for n, r := range t.rows {
		if first, twice := seen[r["serial"]]; twice {
			say(n, "serial", fmt.Sprintf("%s stands on line %d already", r["serial"], t.line[first]))
		}
		seen[r["serial"]] = n
		if !serialForm.MatchString(r["serial"]) {
			say(n, "serial", "letters, digits, _ and -, at most 64")
		}
		if r["class"] != "wristband" && r["class"] != "phone" {
			say(n, "class", fmt.Sprintf("%q is neither wristband nor phone", r["class"]))
		}
		o, ok := orgs[r["org"]]
		if r["org"] != "" && !ok {
			say(n, "org", fmt.Sprintf("there is no organisation %q", r["org"]))
		}
		d, err := devices.Find(ctx, in.pool, devices.Serial(r["serial"]))
		if err == nil {
			if string(d.Class) != r["class"] {
				say(n, "class", fmt.Sprintf("it is here already, as %s", d.Class))
			}
			same++
			continue
		}
		adds = append(adds, func(ctx context.Context) error {
			return pgx.BeginFunc(ctx, in.pool, func(tx pgx.Tx) error {
				_, err := devices.Enrol(ctx, tx, in.keys, devices.Enrolment{Serial: devices.Serial(r["serial"]), Class: devices.Class(r["class"]), Model: r["model"], Org: o.ID, At: in.now()})
				return err
			})
		})
	}
	return adds, same, nil
}
