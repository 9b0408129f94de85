package geofence_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twpayne/go-geom"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/clock"
	"zhijiao/internal/crypto"
	"zhijiao/internal/id"
	"zhijiao/internal/pgtest"
	"zhijiao/supervision"
)

// noon is where the domain clock of these tests begins; it moves only when a test moves it.
var noon = time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)

// Home lies in the middle of the zone everybody stays in, 10 km across.
const homeLon, homeLat, degree = 113.16, 30.65, 111_000.0

// place is a database with an office, a zone to stay in, and what a test adds, all through the doors everybody uses.
type place struct {
	testing.TB
	pool   *pgxpool.Pool
	clock  *clock.Variable
	keys   *crypto.Keys
	engine *geofence.Engine
	store  *geofence.Store
	people *supervision.Store
	office id.Org
	head   id.Officer
	zone   geofence.ZoneID
	log    *slog.Logger
	n      int
	seqs   map[devices.Serial]int64
}

func newPlace(t testing.TB) *place {
	t.Helper()
	return newPlaceOn(t, pgtest.Schema(t), slog.New(slog.DiscardHandler))
}

func newPlaceOn(t testing.TB, pool *pgxpool.Pool, log *slog.Logger) *place {
	t.Helper()
	p := &place{TB: t, pool: pool, clock: clock.NewStepped(noon), keys: crypto.Random(), log: log, seqs: map[devices.Serial]int64{}}
	p.store, p.people = geofence.NewStore(p.pool, p.clock), supervision.NewStore(p.pool, p.clock, p.keys)
	p.engine = p.newEngine()
	ctx := context.Background()
	county, err := p.people.PutOrg(ctx, supervision.Org{Kind: supervision.CountyDepartment, Name: "天门市司法局", ShortName: "天门"})
	p.ok(err)
	p.office, err = p.people.PutOrg(ctx, supervision.Org{Parent: county, Kind: supervision.JudicialOffice, Name: "岳口司法所", ShortName: "岳口"})
	p.ok(err)
	p.head, err = p.people.PutOfficer(ctx, supervision.Officer{Org: county, Name: "某某", Kind: supervision.Enforcement, CountyHead: true})
	p.ok(err)
	p.zone = p.putZone(0, geofence.Activity, 0, 10_000)
	return p
}

func (p *place) newEngine() *geofence.Engine {
	p.Helper()
	e, err := geofence.New(geofence.Options{Pool: p.pool, Clock: p.clock, Keys: p.keys, Log: p.log, Settled: time.Nanosecond})
	p.ok(err)
	return e
}

// derive derives everybody's past again who waits for it, and returns how many did.
func (p *place) derive() (n int) {
	p.Helper()
	for {
		did, err := p.engine.Derive(context.Background())
		p.ok(err)
		if !did {
			return n
		}
		n++
	}
}

func (p *place) ok(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// square is a polygon of side metres whose centre lies east metres from home.
func square(east, side float64) *geom.Polygon {
	lon, h := homeLon+east/degree/0.86, side/2/degree
	w := h / 0.86
	return geom.NewPolygon(geom.XY).MustSetCoords([][]geom.Coord{{{lon - w, homeLat - h}, {lon + w, homeLat - h}, {lon + w, homeLat + h}, {lon - w, homeLat + h}, {lon - w, homeLat - h}}})
}

func (p *place) putZone(z geofence.ZoneID, purpose geofence.Purpose, east, side float64) geofence.ZoneID {
	p.Helper()
	z, _, err := p.store.PutZone(context.Background(), 0, 0, geofence.ZoneSpec{ID: z, Org: p.office, Purpose: purpose, Name: "某区",
		Shape: geofence.Polygonal, Geometry: square(east, side), Datum: "WGS-84", From: p.since(z)})
	p.ok(err)
	return z
}

// since is when something recorded begins: long ago when it is new, now when it changes.
func (p *place) since(z geofence.ZoneID) time.Time {
	if z == 0 {
		return noon.AddDate(0, -1, 0)
	}
	return time.Time{}
}

// person is a subject of the office; with an authority from an hour ago until the given time where that is not zero.
func (p *place) person(until time.Time) id.Subject {
	p.Helper()
	p.n++
	s, err := p.people.Enrol(context.Background(), 0, supervision.Enrolment{LocalNo: fmt.Sprintf("TM%06d", p.n), Category: supervision.Probation,
		Person: supervision.Person{Name: "李试验"}, Office: p.office, From: noon.AddDate(0, -1, 0)})
	p.ok(err)
	if !until.IsZero() {
		_, err = p.people.PutAuthority(context.Background(), 0, supervision.Authority{Subject: s, Ground: supervision.BreachedProhibition,
			Approver: p.head, DocumentNo: "天司矫定〔2026〕1号", From: noon.Add(-time.Hour), Until: until, Informed: noon.Add(-time.Hour)})
		p.ok(err)
	}
	return s
}

func (p *place) device(serial devices.Serial, class devices.Class) id.Device {
	p.Helper()
	var e devices.Enrolled
	p.ok(pgx.BeginFunc(context.Background(), p.pool, func(tx pgx.Tx) (err error) {
		e, err = devices.Enrol(context.Background(), tx, p.keys, devices.Enrolment{Serial: serial, Class: class, At: noon.AddDate(0, -1, 0)})
		return err
	}))
	return e.ID
}

// bind has a device speak for a subject from an hour ago.
func (p *place) bind(d id.Device, s id.Subject, every time.Duration) id.Binding {
	p.Helper()
	var b id.Binding
	p.ok(pgx.BeginFunc(context.Background(), p.pool, func(tx pgx.Tx) (err error) {
		b, err = devices.Bind(context.Background(), tx, devices.NewBinding{Device: d, Subject: s, Interval: every, From: noon.Add(-time.Hour), At: p.clock.Now()})
		return err
	}))
	return b
}

// wearer is somebody with a wristband that speaks once a minute, approved for a month, who stays in the zone.
func (p *place) wearer(serial devices.Serial) id.Subject {
	p.Helper()
	s := p.person(noon.AddDate(0, 1, 0))
	p.bind(p.device(serial, devices.Wristband), s, time.Minute)
	p.rule(geofence.RuleSpec{Subject: s, Kind: geofence.StayIn, Zone: p.zone, Basis: "leave_city"})
	return s
}

func (p *place) rule(r geofence.RuleSpec) geofence.RuleID {
	p.Helper()
	if r.From.IsZero() {
		r.From = noon.Add(-time.Hour)
	}
	n, _, err := p.store.PutRule(context.Background(), 0, 0, r)
	p.ok(err)
	return n
}

// fix is a satellite fix east metres from home, sent and received when it was made.
func (p *place) fix(serial devices.Serial, at time.Time, east float64) devices.Observation {
	p.seqs[serial]++
	seq := p.seqs[serial]
	return devices.Observation{Serial: serial, Kind: devices.KindFix, Boot: 1, Seq: seq, Digest: uint64(seq)<<32 | uint64(seq)*2654435761&0xffffffff | 1,
		At: at, SentAt: at, ReceivedAt: at, Size: 100,
		Place: &devices.Place{Lon: homeLon + east/degree/0.86, Lat: homeLat, Accuracy: 8, Speed: -1, Satellites: 9, Method: devices.MethodGNSS, Datum: devices.WGS84}}
}

// received has everything received now.
func received(now time.Time, list ...devices.Observation) []devices.Observation {
	for i := range list {
		list[i].SentAt, list[i].ReceivedAt = now, now
	}
	return list
}

func batch(list ...devices.Observation) geofence.Batch {
	b := geofence.Batch{Received: map[devices.Kind]int64{}, Observations: list}
	for _, o := range list {
		b.Received[o.Kind]++
	}
	return b
}

func (p *place) observe(list ...devices.Observation) {
	p.Helper()
	p.ok(p.engine.Observe(context.Background(), batch(list...)))
}

// tick moves the clock to t and fires what is due.
func (p *place) tick(t time.Time) {
	p.Helper()
	p.clock.Step(t)
	for range 10 {
		n, err := p.engine.Tick(context.Background())
		p.ok(err)
		if n == 0 {
			return
		}
	}
	p.Fatal("timers fire without end")
}

func (p *place) count(sql string, args ...any) (n int) {
	p.Helper()
	p.ok(p.pool.QueryRow(context.Background(), "SELECT count(*) FROM "+sql, args...).Scan(&n))
	return n
}

func (p *place) want(n int, sql string, args ...any) {
	p.Helper()
	if got := p.count(sql, args...); got != n {
		p.Errorf("%d rows of %s, want %d", got, sql, n)
	}
}

// balanced checks that everything received is accounted for, and that what is said to be stored is.
func (p *place) balanced() devices.Counts {
	p.Helper()
	c, err := devices.LoadCounts(context.Background(), p.pool)
	p.ok(err)
	if c.Open() != 0 {
		p.Errorf("received %d = stored %d + withheld %d + rejected %d + duplicate %d does not close", c.Total(devices.Received),
			c.Total(devices.Stored), c.Total(devices.Withheld), c.Total(devices.Rejected), c.Total(devices.Duplicate))
	}
	for kind, table := range map[devices.Kind]string{devices.KindCheckIn: "check_in", devices.KindStatus: "device_status"} {
		if stored := c[devices.CountKey{Kind: kind, Outcome: devices.Stored}]; int(stored) != p.count(table) {
			p.Errorf("%d of kind %s counted as stored, %d rows", stored, kind, p.count(table))
		}
	}
	places := p.count("position") - p.count("position_geom JOIN check_in USING (device_id, boot, seq)")
	if stored := c[devices.CountKey{Kind: devices.KindFix, Outcome: devices.Stored}]; int(stored) != places {
		p.Errorf("%d fixes counted as stored, %d rows", stored, places)
	}
	return c
}
