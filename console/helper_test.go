package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/alerts"
	"zhijiao/console"
	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/clock"
	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
	"zhijiao/internal/pgtest"
	"zhijiao/internal/rowsec"
	"zhijiao/supervision"
)

var now = time.Date(2026, 11, 23, 14, 14, 0, 0, time.UTC) // 22:14 in Tianmen

const (
	password = "trout-lamp-river-42-stone"
	wait     = 30 * time.Second
)

// bench is a city with two offices, a subject of each, and a console that serves it.
type bench struct {
	pool                 *pgxpool.Pool
	clock                *clock.Variable
	keys                 *crypto.Keys
	people               *supervision.Store
	tail                 *ledger.Tail
	server               *console.Server
	http                 *httptest.Server
	registry             *prometheus.Registry
	city, yuekou, zaoshi id.Org
	li, zhao             id.Subject // of Yuekou, of Zaoshi

	mu       sync.Mutex
	nextRule int64
}

func setup(t *testing.T) *bench {
	t.Helper()
	b := &bench{pool: pgtest.Schema(t), clock: clock.NewStepped(now), keys: crypto.Random(), nextRule: 1}
	b.exec(t, "INSERT INTO deployment (mode) VALUES ('rehearsal')")
	b.people = supervision.NewStore(b.pool, b.clock, b.keys)
	org := func(o supervision.Org, lon, lat float64) id.Org {
		o.Lon, o.Lat = &lon, &lat
		v, err := b.people.PutOrg(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	b.city = org(supervision.Org{Kind: supervision.CountyDepartment, Name: "天门市司法局", ShortName: "天门"}, 113.16, 30.65)
	b.yuekou = org(supervision.Org{Parent: b.city, Kind: supervision.JudicialOffice, Name: "岳口司法所", ShortName: "岳口"}, 113.09, 30.51)
	b.zaoshi = org(supervision.Org{Parent: b.city, Kind: supervision.JudicialOffice, Name: "皂市司法所", ShortName: "皂市"}, 113.26, 30.83)
	b.li = b.enrol(t, "TM20260417", "李试验", "13000000417", b.yuekou)
	b.zhao = b.enrol(t, "TM20260233", "赵试验", "13000000233", b.zaoshi)
	b.zones(t)
	b.serve(t)
	return b
}

func (b *bench) enrol(t *testing.T, no, name, phone string, office id.Org) id.Subject {
	t.Helper()
	s, err := b.people.Enrol(t.Context(), 0, supervision.Enrolment{LocalNo: no, Category: supervision.Probation, Office: office, From: now.AddDate(0, -1, 0),
		Person: supervision.Person{Name: name, Phone: phone, Contacts: []supervision.Contact{{Name: "王担保", Relation: "guarantor", Phone: "13100000001"}}}})
	if err != nil {
		t.Fatal(err)
	}
	err = pgx.BeginFunc(t.Context(), b.pool, func(tx pgx.Tx) error {
		d, err := devices.Enrol(t.Context(), tx, crypto.Random(), devices.Enrolment{Serial: devices.Serial("phone-" + no), Class: devices.Phone, Org: office, At: now.AddDate(0, -1, 0)})
		if err != nil {
			return err
		}
		_, err = devices.Bind(t.Context(), tx, devices.NewBinding{Device: d.ID, Subject: s, Interval: 8 * time.Hour, From: now.AddDate(0, -1, 0), At: now.AddDate(0, -1, 0)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// zones draws the city's outline and gives each subject many rules on it, so that a test may open many episodes.
func (b *bench) zones(t *testing.T) {
	t.Helper()
	b.exec(t, fmt.Sprintf(`INSERT INTO zone (org_id, purpose, name) VALUES (%d, 'activity', '天门市')`, b.city))
	b.exec(t, `INSERT INTO zone_version (zone_id, version, shape, geom, datum, official, valid, recorded)
		VALUES (1, 1, 'polygon', ST_Multi(ST_MakeEnvelope(112.9, 30.4, 113.4, 30.9, 4326)), 'WGS-84', false, '[2026-01-01,)', '[2026-01-01,)')`)
	for _, s := range []id.Subject{b.li, b.zhao} {
		b.exec(t, fmt.Sprintf(`INSERT INTO rule (rule_id, version, subject_id, kind, zone_id, legal_basis, valid, recorded)
			SELECT nextval('rule_id'), 1, %d, 'stay_in', 1, 'leave_city', '[2026-01-01,)', '[2026-01-01,)' FROM generate_series(1, 200)`, s))
	}
}

func (b *bench) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := b.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func (b *bench) scan(t *testing.T, into any, sql string, args ...any) {
	t.Helper()
	if err := b.pool.QueryRow(t.Context(), sql, args...).Scan(into); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// serve starts a console on the database; again, another one, as another process would be.
func (b *bench) serve(t *testing.T) {
	t.Helper()
	b.registry = prometheus.NewRegistry()
	log := slog.New(slog.DiscardHandler)
	listener := ledger.NewListener(b.pool, log)
	b.tail = alerts.NewTail(b.pool, nil, b.clock, log, nil, nil)
	reads, err := rowsec.Open(t.Context(), b.pool, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reads.Close)
	s, err := console.New(console.Options{
		Pool: b.pool, Reads: reads, Keys: b.keys, AuditKeys: b.keys.Publics(crypto.AuditSeal), Clock: b.clock, Listener: listener, Supervision: b.people, Alerts: alerts.NewStore(b.pool, b.clock), Zones: geofence.NewStore(b.pool, b.clock),
		Log: log, Registerer: b.registry, Gatherer: b.registry, Mode: "rehearsal", Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	b.server = s
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = listener.Run(ctx) })
	running.Go(func() {
		if err := s.Run(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("the console ended: %v", err)
		}
	})
	b.http = httptest.NewServer(s)
	t.Cleanup(func() {
		cancel()
		running.Wait()
		b.http.Close()
	})
}

// add makes an account.
func (b *bench) add(t *testing.T, name string, org id.Org, roles ...console.Role) {
	t.Helper()
	if _, err := console.AddAccount(t.Context(), b.pool, console.NewAccount{Name: name, Org: org, Roles: roles, Password: password, At: now}); err != nil {
		t.Fatal(err)
	}
}

// user is a browser in which somebody is logged in.
type user struct {
	b      *bench
	client *http.Client
	csrf   string
	me     map[string]any
}

// user adds an account and logs it in.
func (b *bench) user(t *testing.T, name string, org id.Org, roles ...console.Role) *user {
	t.Helper()
	b.add(t, name, org, roles...)
	return b.login(t, name)
}

func (b *bench) browser() *user {
	jar, _ := cookiejar.New(nil) //nolint:errcheck // it has no error to return
	return &user{b: b, client: &http.Client{Jar: jar, Timeout: wait}}
}

func (b *bench) login(t *testing.T, name string) *user {
	t.Helper()
	u := b.browser()
	u.enter(t, name)
	return u
}

func (u *user) enter(t *testing.T, name string) {
	t.Helper()
	if status, body := u.do(t, "POST", "/api/login", map[string]string{"name": name, "password": password}); status != http.StatusOK {
		t.Fatalf("login of %s: %d %s", name, status, body)
	} else if err := json.Unmarshal(body, &u.me); err != nil {
		t.Fatal(err)
	}
	u.csrf, _ = u.me["csrf"].(string)
}

// do sends a request as the front end does.
func (u *user) do(t *testing.T, method, path string, in any, change ...func(*http.Request)) (int, []byte) {
	t.Helper()
	var body io.Reader
	if in != nil {
		doc, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(doc)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, u.b.http.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if method != http.MethodGet {
		req.Header.Set("Origin", u.b.http.URL)
		req.Header.Set("X-CSRF-Token", u.csrf)
	}
	for _, f := range change {
		f(req)
	}
	res, err := u.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, out
}

// get reads JSON that must be there.
func (u *user) get(t *testing.T, path string, into any) {
	t.Helper()
	status, body := u.do(t, "GET", path, nil)
	if status != http.StatusOK {
		t.Fatalf("GET %s: %d %s", path, status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
}

// code is the code of an error answer.
func code(body []byte) string {
	var p struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	_ = json.Unmarshal(body, &p) //nolint:errcheck // no code then
	return p.Error.Code
}

// raise opens an episode as the engine does and waits for nothing: its alert is there when it returns.
func (b *bench) raise(t *testing.T, s id.Subject) alerts.ID {
	t.Helper()
	org, first := b.yuekou, int64(1)
	if s == b.zhao {
		org, first = b.zaoshi, 201
	}
	b.mu.Lock()
	rule := first + b.nextRule
	b.nextRule++
	b.mu.Unlock()
	at := now.Add(-2 * time.Minute)
	v := geofence.ViolationBody{Subject: s, Org: org, Rule: geofence.RuleID(rule), RuleVersion: 1, Zone: 1, ZoneVersion: 1, Kind: geofence.LeftZone, Channel: devices.Phone,
		State: geofence.ViolationOpen, Version: 1, OpenedAt: at, DecidedAt: now, Basis: "leave_city", MarginCM: 130_000, AccuracyCM: 2_000, Fixes: 2}
	evidence, err := json.Marshal(geofence.EvidenceHistory{Opened: geofence.Evidence{Class: devices.Phone, Kind: geofence.StayIn, Basis: "leave_city", At: at, Now: now, Engine: "1",
		Thresholds: geofence.DefaultParams(geofence.StayIn),
		Fixes: []geofence.Mark{{Device: 1, Seq: 1, At: at, LonE7: 1134140000, LatE7: 304500000, Accuracy: 2000, Method: devices.MethodGNSS, Verdict: geofence.Outside, Margin: 120_000},
			{Device: 1, Seq: 2, At: now.Add(-time.Minute), LonE7: 1134150000, LatE7: 304500000, Accuracy: 2000, Method: devices.MethodGNSS, Verdict: geofence.Outside, Margin: 130_000}}}})
	if err != nil {
		t.Fatal(err)
	}
	err = pgx.BeginFunc(t.Context(), b.pool, func(tx pgx.Tx) error {
		if err := tx.QueryRow(t.Context(), `INSERT INTO violation (subject_id, org_id, rule_id, rule_version, zone_id, zone_version, kind, channel, state, opened_at, decided_at, evidence, engine)
			VALUES ($1, $2, $3, 1, 1, 1, $4, $5, 'open', $6, $7, $8::jsonb, '1') RETURNING violation_id`,
			int64(s), int64(org), rule, string(v.Kind), string(v.Channel), v.OpenedAt, v.DecidedAt, string(evidence)).Scan(&v.Violation); err != nil {
			return err
		}
		body, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return ledger.Append(t.Context(), tx, ledger.Entry{At: now, Kind: geofence.ViolationOpenedEntry, Org: org, Subject: s, Entity: "violation", EntityID: int64(v.Violation), Version: 1, Body: body})
	})
	if err != nil {
		t.Fatal(err)
	}
	var alert alerts.ID
	for deadline := time.Now().Add(wait); ; {
		if _, err := b.tail.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := b.pool.QueryRow(t.Context(), "SELECT alert_id FROM alert WHERE violation_id = $1", int64(v.Violation)).Scan(&alert)
		if err == nil {
			return alert
		}
		if time.Now().After(deadline) {
			t.Fatalf("no alert: %v", err)
		}
	}
}

// at writes where a subject is, as the engine does.
func (b *bench) at(t *testing.T, s id.Subject, lon, lat float64, fixAt time.Time) {
	t.Helper()
	b.exec(t, `INSERT INTO current_position (subject_id, geom, fix_at, device_id, accuracy_m, method, battery)
		VALUES ($1, ST_SetSRID(ST_MakePoint($2, $3), 4326), $4, 1, 12.5, 1, 83)
		ON CONFLICT (subject_id) DO UPDATE SET geom = excluded.geom, fix_at = excluded.fix_at, written_at = clock_timestamp()`, int64(s), lon, lat, fixAt)
}

// message is any frame of the websocket.
type message struct {
	Missing []int    `json:"missing_calendars"`
	Stale   []string `json:"stale_sources"`
	Type    string   `json:"type"`
	Pos     int64    `json:"pos"`
	Alerts  []struct {
		ID      int64  `json:"id"`
		Version int    `json:"version"`
		State   string `json:"state"`
		By      *struct {
			DisplayName string `json:"display_name"`
		} `json:"acknowledged_by"`
		At         *time.Time `json:"acknowledged_at"`
		Conclusion *string    `json:"conclusion"`
		Subject    struct {
			ID    int64  `json:"id"`
			Label string `json:"label"`
		} `json:"subject"`
		Sentence struct{ ZH, EN string } `json:"sentence"`
	} `json:"alerts"`
	Items []struct {
		Subject int64   `json:"subject_id"`
		Lon     float64 `json:"lon"`
		State   string  `json:"state"`
	} `json:"items"`
	Reason  string     `json:"reason"`
	Now     time.Time  `json:"now"`
	Changed bool       `json:"subjects_changed"`
	DataAt  *time.Time `json:"data_at"`
}

// socket opens a websocket as the browser would.
func (u *user) socket(t *testing.T, pos int64, change ...func(http.Header)) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	header := http.Header{"Origin": {u.b.http.URL}}
	for _, f := range change {
		f(header)
	}
	d := websocket.Dialer{Jar: u.client.Jar, HandshakeTimeout: wait}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	c, res, err := d.DialContext(ctx, "ws"+strings.TrimPrefix(u.b.http.URL, "http")+fmt.Sprintf("/ws?pos=%d", pos), header)
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, res, err
}

func (u *user) stream(t *testing.T, pos int64) *websocket.Conn {
	t.Helper()
	c, res, err := u.socket(t, pos)
	if err != nil {
		t.Fatalf("websocket: %v %v", err, res)
	}
	return c
}

// next reads one frame.
func next(t *testing.T, c *websocket.Conn) (m message, ended error) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	_, doc, err := c.ReadMessage()
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(doc, &m); err != nil {
		t.Fatalf("%v: %s", err, doc)
	}
	return m, nil
}

// until reads frames until one satisfies.
func until(t *testing.T, c *websocket.Conn, satisfies func(message) bool) message {
	t.Helper()
	for deadline := time.Now().Add(wait); time.Now().Before(deadline); {
		m, err := next(t, c)
		if err != nil {
			t.Fatalf("the stream ended: %v", err)
		}
		if satisfies(m) {
			return m
		}
	}
	t.Fatal("the frame did not come")
	return message{}
}

func snapshotPos(t *testing.T, u *user) int64 {
	t.Helper()
	var s struct {
		Pos int64 `json:"pos"`
	}
	u.get(t, "/api/snapshot", &s)
	return s.Pos
}

// unmarshal reads JSON that must be that.
func unmarshal(t *testing.T, doc []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(doc, into); err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
}
