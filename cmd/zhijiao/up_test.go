package main

import (
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// said returns what the program told a person under a heading.
func (p *process) said(what string) string {
	p.t.Helper()
	m := regexp.MustCompile(`(?m)^\s+` + what + `\s+(\S+)`).FindStringSubmatch(p.output())
	if m == nil {
		p.t.Fatalf("it said nothing about %q", what)
	}
	return m[1]
}

// TestUpStopsAndStartsAgain: everything comes up on an empty folder, is ready, stops whole on a signal, and comes up again
// on what it left, with the people who were entered meanwhile.
func TestUpStopsAndStartsAgain(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	p := up(t, dir)
	eventually(t, "healthz says ready", func() bool { // what it examined while it was starting is good for a second
		code, body := get(t, p.said("page")+"/healthz")
		return code == http.StatusOK && strings.Contains(body, `"ready"`)
	})
	if code, body := get(t, p.said("page")+"/metrics"); code != http.StatusOK || !strings.Contains(body, "zhijiao_canary_seconds_count") {
		t.Errorf("metrics: %d %.200s", code, body)
	}
	if !strings.Contains(p.output(), "nobody can log in yet") {
		t.Error("it does not say that there is no account")
	}
	if out, err := program(t, "up", "--data-dir", dir, "--mqtt-listen", "127.0.0.1:0").result(); err == nil || !strings.Contains(out, "another zhijiao") {
		t.Errorf("a second one on the folder: %v: %s", err, out)
	}
	// A command beside the running program finds its database.
	out, err := program(t, "officer", "add", "--data-dir", dir, "--login", "first", "--name", "张伟", "--org", "天门市司法局", "--role", "commander").result()
	if err != nil {
		t.Fatalf("officer add: %v: %s", err, out)
	}
	password := regexp.MustCompile(`password\s+(\S+)`).FindStringSubmatch(out)[1]
	login(t, p.said("page"), "first", password)
	p.stop()
	if left := processesOn(filepath.Dir(dir)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	p = up(t, dir)
	login(t, p.said("page"), "first", password)
	if out, err := program(t, "up", "--demo", "--data-dir", dir).result(); err == nil {
		t.Errorf("a demo on a live folder that is in use: %s", out)
	}
	p.stop()
	if out, err := program(t, "up", "--demo", "--data-dir", dir, "--http-listen", "127.0.0.1:0", "--mqtt-listen", "127.0.0.1:0").result(); err == nil || !strings.Contains(out, "made for real people") {
		t.Errorf("a demo on a live folder: %v: %s", err, out)
	}
}

// login checks that an account may log in, and returns its cookie-carrying client.
func login(t testing.TB, page, name, password string) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Timeout: 20 * time.Second}
	body, err := json.Marshal(map[string]string{"name": name, "password": password})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Post(page+"/api/login", "application/json", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("login: %s", resp.Status)
	}
	return client
}

// TestUpKilled: after kill -9 no process stays, and the next start recovers by itself, at once.
func TestUpKilled(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	p := up(t, dir)
	p.kill()
	p = up(t, dir)
	p.kill()
	eventually(t, "nothing is left of it", func() bool { return len(processesOn(filepath.Dir(dir))) == 0 })
	up(t, dir).stop()
}

func TestUnsafeSettingsDoNotStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"console without TLS": {[]string{"up", "--http-listen", "0.0.0.0:0"}, "has no TLS"},
		"devices without TLS": {[]string{"up", "--mqtt-listen", "0.0.0.0:0"}, "has no TLS"},
		"unknown flag":        {[]string{"up", "--htp-listen", "x"}, "unknown flag"},
		"serve alone":         {[]string{"serve"}, "database_url is needed"},
		"broker alone":        {[]string{"broker"}, "database_url is needed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := program(t, append(c.args, "--data-dir", filepath.Join(t.TempDir(), "data"))...).result()
			if err == nil || !strings.Contains(out, c.want) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

func TestZonesImport(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	if out, err := program(t, "officer", "add", "--data-dir", dir, "--login", "x1", "--name", "n", "--org", "o").result(); err == nil || !strings.Contains(out, "zhijiao migrate") {
		t.Fatalf("without a schema: %v: %s", err, out)
	}
	for _, args := range [][]string{{"migrate"}, {"officer", "add", "--login", "admin", "--name", "管理员", "--org", "天门市司法局"}} {
		if out, err := program(t, append(args, "--data-dir", dir)...).result(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	feature := func(ring string) string {
		return `{"type":"Feature","properties":{"name":"天门市"},"geometry":{"type":"Polygon","coordinates":[[` + ring + `]]}}`
	}
	good := write("good.geojson", feature(`[113,30.5],[113.3,30.5],[113.3,30.8],[113,30.8],[113,30.5]`))
	bow := write("bow.geojson", feature(`[113,30.5],[113.4,30.9],[113.4,30.5],[113,30.9],[113,30.5]`))
	spike := write("spike.geojson", feature(`[113,30.5],[113.3,30.5],[113.3,30.8],[113.3,30.9],[113.3,30.8],[113,30.8],[113,30.5]`))
	for name, c := range map[string]struct {
		args []string
		want string
		fine bool
	}{
		"a spike":        {[]string{spike, "--org", "天门市司法局", "--datum", "WGS-84"}, "nothing was put", false},
		"told where":     {[]string{spike, "--org", "天门市司法局", "--datum", "WGS-84"}, "polygon 0, ring 0: at 113.3000000 E 30.9000000 N", false},
		"broken for all": {[]string{bow, "--org", "天门市司法局", "--datum", "WGS-84", "--accept-repairs"}, "% of its area", false},
		"no datum":       {[]string{good, "--org", "天门市司法局"}, `"datum" not set`, false},
		"unknown datum":  {[]string{good, "--org", "天门市司法局", "--datum", "Mars"}, "none of WGS-84", false},
		"unknown org":    {[]string{good, "--org", "nobody", "--datum", "WGS-84"}, "there are 天门市司法局", false},
		"crossing edges": {[]string{bow, "--org", "天门市司法局", "--datum", "WGS-84"}, "113.2", false}, // the place of the fault
		"fine":           {[]string{good, "--org", "天门市司法局", "--datum", "CGCS2000", "--official"}, "zone 1 version 1: 天门市", true},
		"no file":        {[]string{good + "x", "--org", "天门市司法局", "--datum", "WGS-84"}, "no such file", false},
	} {
		out, err := program(t, append([]string{"zones", "import", "--data-dir", dir}, c.args...)...).result()
		if (err == nil) != c.fine || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
	if out, err := program(t, "zones", "import", spike, "--data-dir", dir, "--org", "天门市司法局", "--datum", "WGS-84", "--accept-repairs", "--zone", "1").result(); err != nil ||
		!strings.Contains(out, "zone 1 version 3") && !strings.Contains(out, "zone 1 version 2") {
		t.Errorf("with consent: %v: %s", err, out)
	}
	if out, err := program(t, "zones", "import", good, "--data-dir", dir, "--org", "天门市司法局", "--datum", "WGS-84", "--for", "TM-4711").result(); err == nil ||
		!strings.Contains(out, "nobody has the number TM-4711") {
		t.Errorf("for nobody: %v: %s", err, out)
	}
	importVendorOutline(t, dir)
	if out, err := program(t, "quarantine", "list", "--data-dir", dir).result(); err != nil || !strings.Contains(out, "0 shown") {
		t.Errorf("quarantine: %v: %s", err, out)
	}
}
