package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
	"zhijiao/devices/jt808"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/mqtttest"
	"zhijiao/internal/topic"
)

// columns compares a row with what was sent, column by column. Values are text as PostgreSQL has it, times UTC; - is NULL.
func columns(t *testing.T, app *App, table, where string, args []any, want string) {
	t.Helper()
	names, values := []string{}, []string{}
	for _, f := range strings.Fields(want) {
		name, value, _ := strings.Cut(f, "=")
		names, values = append(names, name), append(values, value)
	}
	row := make([]string, len(names))
	scan := make([]any, len(names))
	list := make([]string, len(names))
	for i, n := range names {
		scan[i] = &row[i]
		list[i] = fmt.Sprintf(`coalesce(to_jsonb(x) ->> '%s', '-')`, n)
	}
	sql := "SELECT " + strings.Join(list, ", ") + " FROM " + table + " x JOIN device d USING (device_id) WHERE " + where
	mqtttest.Eventually(t, "a row of "+table, func() bool {
		var n int
		if err := app.pool.QueryRow(t.Context(), "SELECT count(*) FROM "+table+" x JOIN device d USING (device_id) WHERE "+where, args...).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 1
	})
	if err := app.pool.QueryRow(t.Context(), sql, args...).Scan(scan...); err != nil {
		t.Fatal(err)
	}
	for i, n := range names {
		got := row[i]
		if at, err := time.Parse(time.RFC3339Nano, got); err == nil {
			got = at.UTC().Format("2006-01-02T15:04:05.999999")
		}
		if got != values[i] {
			t.Errorf("%s.%s is %s, not %s", table, n, got, values[i])
		}
	}
}

// TestEveryColumn_R34: what a device says, by our wire and by JT/T 808, stands in the database as it was said, each value in its column,
// with when it was received and stored, what datum it came in and whom the device spoke for; what it did not say is NULL.
func TestEveryColumn_R34(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	app := rehearseStepped(t, start)
	r := rehearsal{people: 2, wristbands: 1, days: 0, seed: 3, step: longestStep, only: []simulate.Misdeed{}}
	if _, err := r.live(t.Context(), app, io.Discard); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		root := newRoot()
		var out strings.Builder
		root.SetOut(&out)
		root.SetErr(io.Discard)
		root.SetArgs(append(args, "--data-dir", app.cfg.DataDir, "--database-url", app.cfg.Database.URL))
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out.String()
	}
	known := func(serial string) (binding, subject string, device devices.Device) {
		t.Helper()
		device, err := devices.Find(t.Context(), app.pool, devices.Serial(serial))
		if err != nil {
			t.Fatal(err)
		}
		if err := app.pool.QueryRow(t.Context(), `SELECT binding_id::text, subject_id::text FROM binding WHERE device_id = $1`, device.ID).Scan(&binding, &subject); err != nil {
			t.Fatal(err)
		}
		return binding, subject, device
	}
	secretOf := func(out string) string { return strings.TrimSpace(out[strings.Index(out, "secret")+len("secret"):]) }
	var ours string // a wristband under an approval: what it says is kept whole
	if err := app.pool.QueryRow(t.Context(), `SELECT min(serial) FROM device WHERE class = 'wristband'`).Scan(&ours); err != nil {
		t.Fatal(err)
	}
	secret := secretOf(run("device", "secret", ours))
	binding, subject, device := known(ours)
	const serial808 = "jt808-13511221122"
	code := secretOf(run("device", "add", serial808, "--class", "phone", "--org", "岳口", "--model", "W-100"))
	run("device", "bind", serial808, "--to", "TM-00001", "--every", "8h")
	binding808, subject808, _ := known(serial808)
	var check int64
	if err := app.pool.QueryRow(t.Context(), `INSERT INTO check_demand (subject_id, device_id, reason, asked_at, due_at) VALUES ($1::text::bigint, $2, 'officer', $3, $4)
		RETURNING check_id`, subject, device.ID, start, start.Add(time.Hour)).Scan(&check); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	now := start.Add(10 * time.Minute)
	moveClock(t, app, now)
	at := func(after time.Duration) string { return start.Add(after).Format("2006-01-02T15:04:05.999999") }
	link, err := mqttlink.New(mqttlink.Options{URL: app.broker.URL(), ClientID: ours, Password: secret, Log: app.log})
	if err != nil {
		t.Fatal(err)
	}
	link.Open()
	t.Cleanup(link.Close)
	if err := link.WaitUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	// One fix a method, a datum, a state of the strap and a last word.
	for i, c := range []struct {
		datum          devices.Datum
		method         devices.Method
		strap          devices.Strap
		charging, gasp string
	}{{devices.WGS84, devices.MethodGNSS, devices.StrapClosed, "true", "reset"}, {devices.CGCS2000, devices.MethodWiFi, devices.StrapOpen, "false", "battery"},
		{devices.GCJ02, devices.MethodCell, devices.CaseOpen, "true", "power_off"}, {devices.BD09, devices.MethodRF, devices.StrapClosed, "false", "reset"}} {
		when := time.Duration(i+1)*time.Minute + 123456*time.Microsecond
		answers, answered := "", "-"
		if i == 0 {
			answers, answered = fmt.Sprintf(`,"answers":%d`, check), fmt.Sprint(check)
		}
		body := fmt.Sprintf(`{"v":1,"device":"%s","boot":12,"sent":"%s","datum":"%s","obs":[{"seq":%d,"at":"%sZ","lon":113.1661234,"lat":30.6631567,"acc":8.5,
			"method":"%s","speed":1.25,"sats":9,"battery":83,"strap":"%s","charging":%s,"cell":"460-00-1234-5678","operator":"46000","signal":-85,
			"sim":"89860012345678901234","last_gasp":"%s"%s}]}`, ours, now.Add(-2*time.Second).Format(time.RFC3339), c.datum, 100+i, at(when), c.method, c.strap, c.charging, c.gasp, answers)
		if err := link.Publish(t.Context(), topic.Up(devices.Serial(ours), devices.KindFix), 1, []byte(body)); err != nil {
			t.Fatal(err)
		}
		lon, lat := devices.ToWGS84(c.datum, 113.1661234, 30.6631567)
		columns(t, app, "position_geom", "d.serial = $1 AND x.seq = $2", []any{ours, 100 + i}, fmt.Sprintf(`subject_id=%s binding_id=%s boot=12 seq=%d fix_at=%s received_at=%s
			answers=%s lon_e7=%d lat_e7=%d accuracy_m=8.5 speed_mps=1.25 skew_ms=2000 method=%d datum=%d satellites=9 battery=83 strap=%d signal_dbm=-85 charging=%s
			cell=460-00-1234-5678 operator=46000 sim=89860012345678901234 last_gasp=%s`, subject, binding, 100+i, at(when), at(10*time.Minute), answered,
			int(math.Round(lon*1e7)), int(math.Round(lat*1e7)), c.method, c.datum, c.strap, c.charging, c.gasp))
	}
	// What is not said is not there, and nothing else stands in for it.
	if err := link.Publish(t.Context(), topic.Up(devices.Serial(ours), devices.KindFix), 1, []byte(`{"v":1,"datum":"WGS-84","obs":[{"at":"`+at(6*time.Minute)+
		`Z","lon":113.1661234,"lat":30.6631567,"method":"gnss"}]}`)); err != nil {
		t.Fatal(err)
	}
	columns(t, app, "position_geom", "d.serial = $1 AND x.boot = -1", []any{ours}, `accuracy_m=- speed_mps=- skew_ms=- satellites=- battery=- strap=- signal_dbm=- charging=- cell=- operator=-
		sim=- last_gasp=- answers=-`)
	const health = `"battery":83,"strap":"case_open","charging":true,"cell":"460-00-1234-5678","operator":"46000","signal":-85,"sim":"8986","last_gasp":"battery"`
	for kind, more := range map[devices.Kind]string{devices.KindStatus: `"seq":200`, devices.KindCheckIn: `"seq":201,"result":"ok"`} {
		if err := link.Publish(t.Context(), topic.Up(devices.Serial(ours), kind), 1, []byte(`{"v":1,"boot":12,"obs":[{"at":"`+at(7*time.Minute)+`Z",`+health+`,`+more+`}]}`)); err != nil {
			t.Fatal(err)
		}
	}
	said := fmt.Sprintf(`boot=12 at=%s received_at=%s battery=83 strap=3 charging=true last_gasp=battery`, at(7*time.Minute), at(10*time.Minute))
	columns(t, app, "device_status", "d.serial = $1 AND x.seq = 200", []any{ours}, said+` cell=460-00-1234-5678 operator=46000 signal_dbm=-85 sim=8986`)
	columns(t, app, "check_in", "d.serial = $1 AND x.seq = 201", []any{ours}, said+fmt.Sprintf(` subject_id=%s binding_id=%s result=ok answers=-`, subject, binding))

	app.cfg.JT808.Listen, app.cfg.JT808.MakersOf = "127.0.0.1:0", "W-100"
	if err := app.startJT808(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := &wireTerminal{T: t}
	w.dial(app.jt808)
	w.tell(jt808.Authentication, []byte(code), jt808.Success)
	run("device", "datum", "W-100", "GCJ-02")
	mqtttest.Eventually(t, "the gateway knows the datum of the model", func() bool {
		x, known := app.terminals.Find(serial808)
		return known && x.Datum == devices.GCJ02
	})
	l := jt808.Location{Alarm: jt808.AlarmPowerLost, Status: jt808.StatusPositioned, Lat: 30663156, Lon: 113166123, Altitude: 30, Speed: 45, Course: 90, Time: start.Add(8 * time.Minute),
		Items: []jt808.Item{{ID: jt808.ItemSignal, Value: []byte{20}}, {ID: jt808.ItemSatellites, Value: []byte{9}}, {ID: 0xd4, Value: []byte{55}},
			{ID: 0xeb, Value: []byte{0, 6, 0, 0x89, 0xff, 0xff, 0xef, 0xff, 0, 12, 0, 0xb2, 0x89, 0x86, 0, 0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34}}}}
	w.tell(jt808.Report, jt808.AppendLocation(nil, l), jt808.Success)
	lon, lat := devices.ToWGS84(devices.GCJ02, 113.166123, 30.663156)
	columns(t, app, "position_geom", "d.serial = $1", []any{serial808}, fmt.Sprintf(`subject_id=%s binding_id=%s boot=-1 fix_at=%s received_at=%s answers=- accuracy_m=- speed_mps=1.25
		method=1 datum=%d satellites=9 battery=55 strap=2 signal_dbm=-73 charging=- cell=- operator=- sim=89860012345678901234 last_gasp=power_off`,
		subject808, binding808, at(8*time.Minute), at(10*time.Minute), devices.GCJ02))
	var off float64
	if err := app.pool.QueryRow(t.Context(), `SELECT greatest(abs(lon_e7 - $2::float8 * 1e7), abs(lat_e7 - $3::float8 * 1e7)) FROM position_geom JOIN device USING (device_id) WHERE serial = $1`,
		serial808, lon, lat).Scan(&off); err != nil || off > 2 {
		t.Errorf("it stands %.1f e-7 degrees beside: %v", off, err)
	}
	l.Status, l.Alarm, l.Time = 0, jt808.AlarmPowerLost|jt808.AlarmTamper, start.Add(9*time.Minute) // no place, and the case was opened
	w.tell(jt808.Report, jt808.AppendLocation(nil, l), jt808.Success)
	columns(t, app, "device_status", "d.serial = $1", []any{serial808}, fmt.Sprintf(`boot=-1 at=%s received_at=%s battery=55 strap=3 signal_dbm=-73 charging=- cell=- operator=-
		sim=89860012345678901234 last_gasp=power_off`, at(9*time.Minute), at(10*time.Minute)))

	var stored int
	if err := app.pool.QueryRow(t.Context(), `SELECT count(*) FROM position_geom JOIN device USING (device_id) WHERE serial = ANY ($1) AND digest <> 0
		AND stored_at BETWEEN $2::timestamptz - interval '5 s' AND clock_timestamp() + interval '5 s'`, []string{ours, serial808}, began).Scan(&stored); err != nil || stored != 6 {
		t.Errorf("%d of 6 positions say when they were stored, %v", stored, err)
	}
}
