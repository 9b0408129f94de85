package replay_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zhijiao/cmd/zhijiao/replay"
	"zhijiao/devices"
)

func TestRead(t *testing.T) {
	t.Parallel()
	const dense = "user,t_utc,lat,lon,alt_m\n0,2008-11-10T01:36:42Z,30.65,113.16,\n0,2008-11-10T01:36:37Z,30.66,113.17,\n"
	const sparse = "user,t_utc,lat,lon,acc_m,provider,network_type,alt_m,bearing,speed,travelstate\n" +
		"u,2026-03-24T16:02:43Z,30.6,113.2,24.0,network,wifi,0,0,0.0,stationary\n" +
		"u,2026-03-24T16:22:24+08:00,30.6,113.2,22.0,gps,,250,0,,\n" +
		"u,2026-03-24T17:02:43Z,30.6,113.2,900,network,mobile,0,0,0.0,\n"
	tr, err := replay.Read(strings.NewReader(dense), "geolife/u0 00")
	if err != nil {
		t.Fatal(err)
	}
	if tr.Class != devices.Wristband || tr.Serial != "R-geolife-u0-00" || len(tr.Fixes) != 2 || tr.Fixes[0].Place.Lat != 30.66 {
		t.Errorf("dense trace: %+v", tr)
	}
	tr.Shift(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if got := tr.Until(); !got.Equal(time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC)) {
		t.Errorf("shifted until %v", got)
	}
	tr, err = replay.Read(strings.NewReader(sparse), "s")
	if err != nil {
		t.Fatal(err)
	}
	var methods []devices.Method
	for _, f := range tr.Fixes {
		methods = append(methods, f.Place.Method)
	}
	if tr.Class != devices.Phone || len(methods) != 3 || methods[0] != devices.MethodGNSS || methods[1] != devices.MethodWiFi || methods[2] != devices.MethodCell {
		t.Errorf("sparse trace: class %s, methods by time %v", tr.Class, methods)
	}
}

func TestReadNamesTheFault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string][2]string{
		"no zone":    {"t_utc,lat,lon\n2026-01-01T00:00:00,1,2\n", "line 2: column t_utc"},
		"no number":  {"t_utc,lat,lon\n2026-01-01T00:00:00Z,north,2\n", "column lat is no number"},
		"no column":  {"t_utc,lat\n", "no column lon"},
		"empty":      {"t_utc,lat,lon\n", "no fixes"},
		"empty cell": {"t_utc,lat,lon\n2026-01-01T00:00:00Z,1,\n", "column lon must be there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := replay.Read(strings.NewReader(c[0]), "x")
			if err == nil || !strings.Contains(err.Error(), c[1]) {
				t.Errorf("error %v does not say %q", err, c[1])
			}
		})
	}
}

func TestLoadRealTraces(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "..", "..", "shared", "data", "traces", "geolife_tianmen")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the shared traces are not on this machine")
	}
	traces, err := replay.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, tr := range traces {
		n += len(tr.Fixes)
		if tr.Class != devices.Wristband {
			t.Errorf("%s was taken for a %s", tr.Name, tr.Class)
		}
	}
	if len(traces) != 5 || n != 180_177 {
		t.Errorf("%d traces with %d fixes, want 5 with 180,177", len(traces), n)
	}
}
