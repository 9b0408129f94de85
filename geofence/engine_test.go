package geofence_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/ledger"
)

// leaving is a walk out of the zone, a fix a minute, ending at n minutes after noon.
func leaving(p *place, serial devices.Serial, from time.Time, n int) (list []devices.Observation) {
	for i := range n {
		list = append(list, p.fix(serial, from.Add(time.Duration(i)*time.Minute), 4000+float64(i)*700))
	}
	return list
}

func TestDuplicatesChangeNothing_R35(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.wearer("W1")
	walk := leaving(p, "W1", noon, 8)
	for range 3 {
		p.observe(walk...)
		for _, o := range walk { // and each alone, as a reconnect would have it
			p.observe(o)
		}
	}
	// A lost window decides nothing: history does.
	if _, err := p.pool.Exec(t.Context(), "UPDATE device_health SET heard = ''"); err != nil {
		t.Fatal(err)
	}
	p.observe(walk[3:]...)
	p.want(8, "position WHERE subject_id = $1", s)
	p.want(1, "violation WHERE subject_id = $1 AND state = 'open' AND kind = 'left_zone'", s)
	p.want(1, "ledger WHERE kind = 'violation.opened'")
	p.want(1, "current_position WHERE fix_at = $1", walk[7].At)
	if c := p.balanced(); c.Total(devices.Stored) != 8 || c.Total(devices.Duplicate) != 5*8+5 {
		t.Errorf("counted %v", c)
	}
}

func TestApprovalEndsInTheMiddleOfABacklog_R04(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	until := noon.Add(10 * time.Minute)
	s := p.person(until)
	p.bind(p.device("W1", devices.Wristband), s, time.Minute)
	p.clock.Step(noon.Add(time.Hour))
	var backlog []devices.Observation
	for i := range 20 {
		backlog = append(backlog, p.fix("W1", noon.Add(time.Duration(i)*time.Minute), 0))
	}
	p.observe(received(p.clock.Now(), backlog...)...)
	p.want(10, "position WHERE fix_at < $1", until)
	p.want(0, "position WHERE fix_at >= $1", until)
	p.want(10, "quarantine WHERE outcome = 'withheld' AND reason = 'no_authority' AND payload IS NULL")
	p.want(1, "device_health WHERE observed_at = $1", backlog[19].At) // the device's health is known all the same

	// A device whose clock is an hour slow: by its own account before the end, in truth after it.
	slow := p.fix("W1", until.Add(-5*time.Minute), 0)
	slow.SentAt, slow.ReceivedAt = slow.At, slow.At.Add(time.Hour)
	p.observe(slow)
	p.want(10, "position")
	fast := p.fix("W1", noon.Add(-55*time.Minute), 0) // an hour fast: in truth before the approval began
	fast.SentAt, fast.ReceivedAt = fast.At, fast.At.Add(-time.Hour)
	p.observe(fast)
	p.want(10, "position")
	p.balanced()
}

func TestCurrentPositionIsTheNewest(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.wearer("W1")
	p.bind(p.device("P1", devices.Phone), s, time.Hour)
	p.observe(p.fix("W1", noon, 0))
	p.observe(p.fix("P1", noon.Add(-time.Minute), 0))        // the other device, earlier
	p.observe(p.fix("W1", noon.Add(-2*time.Minute), 0))      // late
	p.observe(p.fix("W1", noon.Add(time.Minute), 2_000_000)) // impossible
	p.want(4, "position")
	p.want(1, "current_position WHERE fix_at = $1", noon)
	list, err := geofence.CurrentPositions(t.Context(), p.pool, p.office, noon, time.Time{})
	if err != nil || len(list) != 1 || list[0].Subject != s {
		t.Errorf("the office sees %+v, %v", list, err)
	}
}

func TestAttributedByFixTime_R11(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	a, b := p.person(noon.AddDate(0, 1, 0)), p.person(noon.AddDate(0, 1, 0))
	d := p.device("W1", devices.Wristband)
	binding := p.bind(d, a, time.Minute)
	early := p.fix("W1", noon.Add(-10*time.Minute), 0)
	p.observe(p.fix("W1", noon.Add(-20*time.Minute), 0)) // bindings are in the cache now
	taken, given := noon.Add(-5*time.Minute), noon.Add(-2*time.Minute)
	p.ok(pgx.BeginFunc(t.Context(), p.pool, func(tx pgx.Tx) error {
		_, err := devices.Unbind(t.Context(), tx, binding, taken, 0, noon)
		return err
	}))
	p.clock.Step(noon.Add(time.Second))
	p.ok(pgx.BeginFunc(t.Context(), p.pool, func(tx pgx.Tx) error {
		_, err := devices.Bind(t.Context(), tx, devices.NewBinding{Device: d, Subject: b, Interval: time.Minute, From: given, At: p.clock.Now()})
		return err
	}))
	p.observe(p.fix("W1", noon, 0), early, p.fix("W1", noon.Add(-3*time.Minute), 0))
	p.want(2, "position WHERE subject_id = $1 AND fix_at < $2", a, taken)
	p.want(1, "position WHERE subject_id = $1 AND fix_at >= $2", b, given)
	p.want(1, "quarantine WHERE reason = 'no_binding'")
	p.balanced()
}

func TestPhoneFinerThanApproved_R13(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.person(time.Time{})
	d := p.device("P1", devices.Phone)
	p.bind(d, s, 8*time.Hour)
	p.rule(geofence.RuleSpec{Subject: s, Kind: geofence.StayIn, Zone: p.zone, Basis: "leave_city"})
	p.observe(p.fix("P1", noon, 0), p.fix("P1", noon.Add(time.Minute), 0), p.fix("P1", noon.Add(9*time.Minute), 0), p.fix("P1", noon.Add(11*time.Minute), 0))
	p.want(2, "position")
	p.want(2, "quarantine WHERE reason = 'finer_than'")

	// Outside: one fix opens nothing and asks at once; the answer is stored however soon it comes, and opens.
	at := noon.Add(time.Hour)
	p.clock.Step(at)
	p.observe(p.fix("P1", at, 9000))
	p.want(0, "violation")
	var check int64
	p.ok(p.pool.QueryRow(t.Context(), "SELECT check_id FROM check_demand WHERE state = 'pending' AND subject_id = $1", s).Scan(&check))
	p.want(1, "command WHERE kind = 'check' AND next_at IS NOT NULL AND body ->> 'check' = $1::bigint::text", check)
	forged, answer := p.fix("P1", at.Add(time.Minute), 9000), p.fix("P1", at.Add(2*time.Minute), 9100)
	forged.Answers = 4711
	answer.Answers = 0
	p.observe(forged, answer)
	p.want(3, "position") // neither answers a demand
	answer = p.fix("P1", at.Add(3*time.Minute), 9100)
	answer.Kind, answer.Result = devices.KindCheckIn, "ok"
	p.seqs["P1"]++
	setAnswers(&answer, check)
	p.observe(answer)
	p.want(4, "position")
	p.want(1, "position WHERE answers = $1", check)
	p.want(1, "check_in WHERE answers = $1", check)
	p.want(1, "violation WHERE state = 'open' AND kind = 'left_zone' AND channel = 'phone'")
	p.want(1, "check_demand WHERE state = 'answered'")
	p.want(0, "command WHERE next_at IS NOT NULL")
	p.balanced()
}

func TestDemandRunsOut(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.person(time.Time{})
	p.bind(p.device("P1", devices.Phone), s, 8*time.Hour)
	p.rule(geofence.RuleSpec{Subject: s, Kind: geofence.StayIn, Zone: p.zone, Basis: "leave_city"})
	p.observe(p.fix("P1", noon, 9000))
	p.want(1, "check_demand WHERE state = 'pending'")
	p.tick(noon.Add(9 * time.Minute))
	p.want(0, "violation")
	p.tick(noon.Add(time.Hour))
	p.want(1, "violation WHERE kind = 'check_unanswered' AND state = 'open' AND opened_at = $1", noon.Add(10*time.Minute))
	p.want(1, "check_demand WHERE state = 'unanswered'")
	p.observe(p.fix("P1", noon.Add(61*time.Minute), 0))
	p.want(0, "violation WHERE state = 'open'")
	kinds := ""
	p.ok(p.pool.QueryRow(t.Context(), "SELECT string_agg(kind, ' ' ORDER BY pos) FROM ledger WHERE kind ~ '^(violation|check)'").Scan(&kinds))
	if want := "check.asked check.unanswered violation.opened violation.closed"; kinds != want {
		t.Errorf("the ledger tells %q, want %q", kinds, want)
	}
	p.balanced()
}

func TestSilenceOutlivesTheProgram(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.wearer("W1")
	p.rule(geofence.RuleSpec{Subject: s, Kind: geofence.Silence, Basis: "positioning"})
	p.observe(p.fix("W1", noon, 0))
	p.tick(noon.Add(29 * time.Minute))
	p.want(0, "violation")
	p.engine = p.newEngine() // whatever the first one remembered is gone
	if err := geofence.Drained(t.Context(), p.pool, noon.Add(time.Hour)); !errors.Is(err, geofence.ErrNotDrained) {
		t.Errorf("a timer is set, and Drained says %v", err)
	}
	p.tick(noon.Add(time.Hour))
	p.want(1, "violation WHERE kind = 'device_silent' AND state = 'open' AND opened_at = $1", noon)
	p.derive() // the binding was recorded after it began
	_, err := p.engine.Outages(t.Context())
	p.ok(err)
	if err := geofence.Drained(t.Context(), p.pool, noon.Add(time.Hour)); err != nil {
		t.Errorf("everything has fired, and Drained says %v", err)
	}
	p.observe(p.fix("W1", noon.Add(61*time.Minute), 0))
	p.want(1, "violation WHERE kind = 'device_silent' AND state = 'closed'")
	var body geofence.ViolationBody
	p.ok(p.pool.QueryRow(t.Context(), "SELECT body FROM ledger WHERE kind = 'violation.opened'").Scan(&body))
	if body.Subject != s || body.Org != p.office || body.Basis != "positioning" || body.Channel != devices.Wristband || !body.HeardAt.Equal(noon) {
		t.Errorf("the ledger tells %+v", body)
	}
}

func TestTimersWaitForTheBacklog(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.wearer("W1")
	p.rule(geofence.RuleSpec{Subject: s, Kind: geofence.Silence, Basis: "positioning"})
	p.observe(p.fix("W1", noon, 0))
	p.tick(noon)
	p.clock.Step(noon.Add(time.Hour))
	waiting := make(chan struct{})
	looked := make(chan struct{}, 1)
	e, err := geofence.New(geofence.Options{Pool: p.pool, Clock: p.clock, Keys: p.keys, Log: p.log, Poll: 10 * time.Millisecond, Backlog: func() bool {
		select {
		case looked <- struct{}{}:
		default:
		}
		select {
		case <-waiting:
			return false
		default:
			return true
		}
	}})
	p.ok(err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	<-looked
	<-looked
	for n := 10; n < 60; n += 10 {
		late := p.fix("W1", noon.Add(time.Duration(n)*time.Minute), 0)
		late.SentAt, late.ReceivedAt = p.clock.Now(), p.clock.Now()
		p.observe(late)
	}
	close(waiting)
	eventually(t, func() bool {
		return p.count("subject_state WHERE next_due > $1", p.clock.Now()) == 1
	})
	p.want(0, "violation")
	cancel()
	p.ok(<-ended)
}

// TestRecordedFactWakesTheTimers has the loop poll once an hour: what wakes it is the ledger.
func TestRecordedFactWakesTheTimers(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ctx, cancel := context.WithCancel(t.Context())
	l := ledger.NewListener(p.pool, p.log)
	e, err := geofence.New(geofence.Options{Pool: p.pool, Clock: p.clock, Keys: p.keys, Log: p.log, Poll: time.Hour, Listener: l})
	p.ok(err)
	ended := make(chan error, 2)
	go func() { ended <- l.Run(ctx) }()
	go func() { ended <- e.Run(ctx) }()
	p.wearer("W1")
	eventually(t, func() bool { return p.count("subject_state WHERE next_due <= $1", p.clock.Now()) == 0 })
	cancel()
	p.ok(<-ended)
	p.ok(<-ended)
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come about")
		}
	}
}

func TestEditedZoneJudgesThePresentAtOnce_R29(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.wearer("W1")
	p.observe(p.fix("W1", noon, 4000), p.fix("W1", noon.Add(time.Minute), 4000), p.fix("W1", noon.Add(3*time.Minute), 4000))
	p.tick(noon.Add(3 * time.Minute))
	p.want(0, "violation")
	p.putZone(p.zone, geofence.Activity, 0, 4000) // now the subject is far outside
	p.tick(noon.Add(4 * time.Minute))
	p.observe(p.fix("W1", noon.Add(5*time.Minute), 4000), p.fix("W1", noon.Add(8*time.Minute), 4000))
	p.want(1, "violation WHERE subject_id = $1 AND kind = 'left_zone' AND state = 'open'", s)
	var version, newest int
	p.ok(p.pool.QueryRow(t.Context(), "SELECT zone_version FROM violation").Scan(&version))
	p.putZone(p.zone, geofence.Activity, 0, 20_000)
	p.ok(p.pool.QueryRow(t.Context(), "SELECT max(version) FROM zone_version").Scan(&newest))
	p.want(1, "violation WHERE zone_version = $1", version)
	if newest <= version {
		t.Errorf("the zone has version %d, the violation is tied to %d", newest, version)
	}
	p.tick(noon.Add(9 * time.Minute))
	p.observe(p.fix("W1", noon.Add(9*time.Minute), 4000), p.fix("W1", noon.Add(10*time.Minute), 4000))
	p.want(0, "violation WHERE state = 'open'")
	p.want(3, "ledger WHERE kind = 'zone.put'")
}

// TestTwoEnginesTwoDevicesOneSubject has two engines take in a subject's wristband and phone at once: what comes out is
// what comes out of one.
func TestTwoEnginesTwoDevicesOneSubject(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.wearer("W1")
	p.bind(p.device("P1", devices.Phone), s, time.Hour)
	other := p.newEngine()
	const n = 40
	done := make(chan error, 2)
	feed := func(e *geofence.Engine, list []devices.Observation) {
		for _, o := range list {
			if err := e.Observe(context.Background(), batch(o)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}
	var worn, carried []devices.Observation
	for i := range n {
		worn = append(worn, p.fix("W1", noon.Add(time.Duration(i)*time.Minute), 9000))
		carried = append(carried, p.fix("P1", noon.Add(time.Duration(i)*11*time.Minute), 0))
	}
	go feed(p.engine, worn)
	go feed(other, carried)
	p.ok(<-done)
	p.ok(<-done)
	p.want(2*n, "position WHERE subject_id = $1", s)
	derived := p.derive()
	p.want(1, "violation WHERE kind = 'left_zone' AND channel = 'wristband' AND opened_at = $1", noon)
	p.want(1, "subject_state WHERE version = $1", 2*n+derived)
	p.balanced()
}

func TestRollbackLeavesNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wearer("W1")
	walk := leaving(p, "W1", noon, 8)
	p.observe(walk[0])
	before := dump(t, p.pool)
	// The last statement of the transaction fails: everything before it has been written.
	exec(t, p.pool, `CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'killed here'; END $$`)
	exec(t, p.pool, `CREATE TRIGGER broken BEFORE INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION broken()`)
	if err := p.engine.Observe(t.Context(), batch(walk[1:]...)); err == nil {
		t.Fatal("a batch whose transaction failed was taken")
	}
	if after := dump(t, p.pool); after != before {
		t.Error("the failed transaction left something behind")
	}
	exec(t, p.pool, `DROP TRIGGER broken ON ledger`)
	p.observe(walk[1:]...)
	p.want(8, "position")
	p.want(1, "violation WHERE state = 'open'")
	p.want(1, "ledger WHERE kind = 'violation.opened'")
	p.balanced()
}

func TestDaysAreMadeAsTheyCome(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wearer("W1")
	p.observe(p.fix("W1", noon, 0))
	exec(t, p.pool, "DROP TABLE position_20261123") // retention did, while the engine remembers that it is there
	p.clock.Step(noon.AddDate(0, 0, 2))
	p.observe(p.fix("W1", noon.Add(time.Minute), 0), p.fix("W1", noon.AddDate(0, 0, 1), 0), p.fix("W1", noon.AddDate(0, 0, 2), 0))
	p.want(3, "position")
}

func TestEverythingReceivedIsAccountedFor(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wearer("W1")
	p.device("W2", devices.Wristband) // worn by nobody
	good := p.fix("W1", noon, 0)
	tampered := good
	tampered.Digest ^= 0x55
	status := devices.Observation{Serial: "W2", Kind: devices.KindStatus, Boot: 1, Seq: 900, Digest: 3, At: noon, ReceivedAt: noon, Size: 40,
		Health: devices.Health{Cell: "460-00-1234-5678", Operator: "46000"}}
	unlawful := p.fix("W2", noon, 0)
	old := p.fix("W1", noon.AddDate(-1, 0, 0), 0)
	derived := p.fix("W1", noon.Add(time.Minute), 0)
	derived.Boot, derived.Seq = -1, -123456789
	b := batch(good, tampered, good, status, status, unlawful, old, p.fix("nobody", noon, 0), derived, derived)
	b.Received[devices.KindFix] += 2
	b.Received[devices.KindUnknown]++
	fault := devices.Fault{Reason: devices.Malformed, Detail: "not JSON"}
	b.Refusals = []geofence.Refusal{
		{Serial: "W1", Kind: devices.KindFix, Fault: fault, Boot: -1, Seq: -1, At: noon, Digest: 9, Size: 20, Payload: []byte(`{"lon":1}`)},
		{Serial: "W1", Kind: devices.KindFix, Fault: devices.Fault{Reason: devices.Poison}, Boot: 1, Seq: 77, At: noon, Digest: 9, Size: 20},
		{Kind: devices.KindUnknown, Fault: devices.Fault{Reason: devices.BadTopic}, Boot: -1, Seq: -1},
	}
	p.ok(p.engine.Observe(t.Context(), b))
	want := devices.Counts{
		{Kind: devices.KindFix, Outcome: devices.Received}: 10, {Kind: devices.KindStatus, Outcome: devices.Received}: 2, {Kind: devices.KindUnknown, Outcome: devices.Received}: 1,
		{Kind: devices.KindFix, Outcome: devices.Stored}: 2, {Kind: devices.KindStatus, Outcome: devices.Stored}: 1,
		{Kind: devices.KindFix, Outcome: devices.Duplicate}: 2, {Kind: devices.KindStatus, Outcome: devices.Duplicate}: 1,
		{Kind: devices.KindFix, Outcome: devices.Rejected, Reason: devices.SequenceConflict}: 1, {Kind: devices.KindFix, Outcome: devices.Rejected, Reason: devices.UnknownDevice}: 1,
		{Kind: devices.KindFix, Outcome: devices.Rejected, Reason: devices.Malformed}: 1, {Kind: devices.KindFix, Outcome: devices.Rejected, Reason: devices.Poison}: 1,
		{Kind: devices.KindUnknown, Outcome: devices.Rejected, Reason: devices.BadTopic}: 1,
		{Kind: devices.KindFix, Outcome: devices.Withheld, Reason: devices.NoBinding}:    1,
		{Kind: devices.KindFix, Outcome: devices.Withheld, Reason: devices.NotEnrolled}:  1,
	}
	got := p.balanced()
	for k, n := range want {
		if got[k] != n {
			t.Errorf("%d of %+v, want %d", got[k], k, n)
		}
		delete(got, k)
	}
	if len(got) > 0 {
		t.Errorf("and besides %v", got)
	}
	p.want(7, "quarantine")
	p.want(1, "quarantine WHERE NOT masked") // the wristband's, under its approval
	p.want(0, "device_status WHERE cell IS NOT NULL")
	p.want(1, "device_status WHERE operator = '46000'")
}

func TestLedgerTellsInOrderAndWithoutCoordinates(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.wearer("W1")
	p.observe(leaving(p, "W1", noon, 12)...)
	back := []devices.Observation{p.fix("W1", noon.Add(12*time.Minute), 0), p.fix("W1", noon.Add(20*time.Minute), 0), p.fix("W1", noon.Add(21*time.Minute), 0)}
	p.observe(back...)
	entries, err := ledger.Read(t.Context(), p.pool, 0, 1000)
	p.ok(err)
	version := 0
	for _, e := range entries {
		if e.Entity != "violation" {
			continue
		}
		version++
		if e.Version != version || e.Subject != s || e.Org != p.office {
			t.Errorf("entry %+v, want version %d", e, version)
		}
	}
	if version < 2 {
		t.Errorf("%d entries about the violation", version)
	}
	p.want(1, "violation WHERE state = 'closed' AND version = $1", version)
	list, err := geofence.ViolationsByID(t.Context(), p.pool, []geofence.ViolationID{geofence.ViolationID(entries[len(entries)-1].EntityID)})
	p.ok(err)
	for _, v := range list {
		if len(v.Evidence) == 0 || v.Engine != geofence.EngineVersion {
			t.Errorf("kept as %+v", v)
		}
	}
}

func TestMetricsAreWellNamed(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	reg := prometheus.NewPedanticRegistry()
	e, err := geofence.New(geofence.Options{Pool: p.pool, Clock: p.clock, Keys: p.keys, Log: p.log, Register: reg})
	p.ok(err)
	p.wearer("W1")
	p.ok(e.Observe(t.Context(), batch(leaving(p, "W1", noon, 8)...)))
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func exec(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// TestTwoProcessesTakeTurns_R116: what one process remembers of a subject that another one has judged since must not mix with
// what is stored: both, in turns, find what one alone finds.
func TestTwoProcessesTakeTurns_R116(t *testing.T) {
	t.Parallel()
	var want string
	for _, turns := range []bool{false, true} {
		p := newPlace(t)
		s := p.wearer("W1")
		p.rule(geofence.RuleSpec{Subject: s, Kind: geofence.Silence, Basis: "positioning", From: noon.Add(-time.Hour)})
		engines := []*geofence.Engine{p.engine, p.newEngine()}
		next := func(i int) {
			if turns {
				p.engine = engines[i]
			}
		}
		at := noon
		step := func(i int, east float64) {
			next(i)
			at = at.Add(time.Minute)
			p.clock.Step(at)
			p.observe(p.fix("W1", at, east))
		}
		for range 3 {
			for i := range 12 {
				step(0, float64(i/4%2)*20_000)
			}
			next(0)
			at = at.Add(40 * time.Minute)
			p.tick(at) // silent: the first process remembers it
			for range 3 {
				step(1, 0) // and speaks again: the second one knows
			}
			next(0)
			at = at.Add(40 * time.Minute)
			p.tick(at) // and is silent again
			step(1, 0)
			next(1)
			p.derive()
		}
		var got string
		p.ok(p.pool.QueryRow(t.Context(), `SELECT string_agg(concat_ws(' ', kind, state, opened_at, closed_at), '; ' ORDER BY opened_at, kind) FROM violation WHERE subject_id = $1`, s).Scan(&got))
		if turns && got != want {
			t.Errorf("in turns:\n%s\nalone:\n%s", got, want)
		}
		want = got
		p.want(6, "violation WHERE kind = 'device_silent' AND state = 'closed'")
	}
}
