package alerts_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/alerts"
	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/clock"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
	"zhijiao/internal/pgtest"
)

var now = time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)

type bundle struct {
	pool   *pgxpool.Pool
	clock  *clock.Variable
	store  *alerts.Store
	tail   *ledger.Tail
	reg    *prometheus.Registry
	zhang  id.Account // commander of the city
	wang   id.Account
	others id.Org // an office that does not supervise the subject
	city   id.Org
}

// setup is a city with two offices, a subject of the first with one rule, and two accounts.
func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{pool: pgtest.Schema(t), clock: clock.NewStepped(now), reg: prometheus.NewPedanticRegistry()}
	b.store = alerts.NewStore(b.pool, b.clock)
	b.tail = alerts.NewTail(b.pool, nil, b.clock, slog.New(slog.DiscardHandler), nil, alerts.NewMetrics(b.reg))
	if _, err := b.pool.Exec(t.Context(), `
		INSERT INTO org (kind, name, short_name) VALUES ('county_department', '天门市司法局', '天门');
		INSERT INTO org (parent_id, kind, name, short_name) VALUES (1, 'judicial_office', '岳口司法所', '岳口'), (1, 'judicial_office', '皂市司法所', '皂市');
		INSERT INTO account (name, org_id, password_hash) VALUES ('zhang', 1, ''), ('wang', 1, '');
		INSERT INTO subject (local_no, category) VALUES ('TM0417', '02');
		INSERT INTO rule (rule_id, version, subject_id, kind, legal_basis, valid, recorded)
			VALUES (1, 1, 1, 'silence', 'positioning', '[2026-01-01,)', '[2026-01-01,)'), (2, 1, 1, 'silence', 'none', '[2026-01-01,)', '[2026-01-01,)')`); err != nil {
		t.Fatal(err)
	}
	b.city, b.others, b.zhang, b.wang = 1, 3, 1, 2
	return b
}

// violation writes a violation and its ledger entry, as the engine does, and has the tail read it.
func (b *bundle) violation(t *testing.T, kind geofence.ViolationKind, rule geofence.RuleID, basis string, change ...func(*geofence.ViolationBody)) geofence.ViolationBody {
	t.Helper()
	v := geofence.ViolationBody{Subject: 1, Org: 2, Rule: rule, RuleVersion: 1, Kind: kind, Channel: devices.Wristband, State: geofence.ViolationOpen,
		Version: 1, OpenedAt: now.Add(-3 * time.Minute), DecidedAt: now, Basis: basis}
	for _, c := range change {
		c(&v)
	}
	b.insert(t, &v)
	b.tell(t, geofence.ViolationOpenedEntry, &v)
	return v
}

func (b *bundle) insert(t *testing.T, v *geofence.ViolationBody) {
	t.Helper()
	if err := b.pool.QueryRow(t.Context(), `INSERT INTO violation (subject_id, org_id, rule_id, rule_version, kind, channel, state, opened_at, decided_at, evidence, engine)
		VALUES (1, 2, $1, 1, $2, 'wristband', 'open', $3, $4, '{}', '1') RETURNING violation_id`, int64(v.Rule), string(v.Kind), v.OpenedAt, v.DecidedAt).Scan(&v.Violation); err != nil {
		t.Fatal(err)
	}
}

// put writes the ledger entry of a violation; tell has the tail read it as well.
func (b *bundle) put(t *testing.T, entry string, v *geofence.ViolationBody) {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	b.append(t, ledger.Entry{At: now, Kind: entry, Org: v.Org, Subject: v.Subject, Entity: "violation", EntityID: int64(v.Violation), Version: v.Version, Body: body})
}

func (b *bundle) append(t *testing.T, e ledger.Entry) {
	t.Helper()
	if err := pgx.BeginFunc(t.Context(), b.pool, func(tx pgx.Tx) error { return ledger.Append(t.Context(), tx, e) }); err != nil {
		t.Fatal(err)
	}
}

func (b *bundle) tell(t *testing.T, entry string, v *geofence.ViolationBody) {
	t.Helper()
	b.put(t, entry, v)
	b.read(t)
}

func (b *bundle) read(t *testing.T) {
	t.Helper()
	for {
		head, err := ledger.Head(t.Context(), b.pool)
		if err != nil {
			t.Fatal(err)
		}
		if pos, err := ledger.CursorOf(t.Context(), b.pool, alerts.ReaderName); err != nil {
			t.Fatal(err)
		} else if pos == head {
			return
		}
		if _, err := b.tail.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func (b *bundle) only(t *testing.T) alerts.Alert {
	t.Helper()
	list, err := b.store.List(t.Context(), b.pool, b.city, alerts.Filter{})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d alerts, %v", len(list), err)
	}
	return list[0]
}

func (b *bundle) history(t *testing.T, a alerts.ID) (acts []string) {
	t.Helper()
	events, err := b.store.History(t.Context(), b.pool, a)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		acts = append(acts, e.Act)
	}
	return acts
}

func TestOneAlertAnEpisodeByLawAndPolicy_R15_R49(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.violation(t, geofence.DeviceSilent, 1, "positioning")
	a := b.only(t)
	if a.Class != alerts.Reminder || !a.DueAt.Equal(now.Add(15*time.Minute)) || a.Org != 2 || a.Violation != v.Violation {
		t.Errorf("raised %+v", a)
	}
	b.tell(t, geofence.ViolationOpenedEntry, &v) // the same entry again
	b.only(t)
	if _, err := b.pool.Exec(t.Context(), `INSERT INTO alert (violation_id, subject_id, org_id, kind, channel, class, legal_basis, opened_at, raised_at, due_at)
		VALUES (1, 1, 2, 'x', 'phone', 'lead', 'none', now(), now(), now())`); err == nil {
		t.Error("the database took a second open alert for one episode")
	}
	if _, err := b.pool.Exec(t.Context(), "DELETE FROM alert_event"); err == nil {
		t.Error("history could be deleted")
	}

	b.violation(t, geofence.LeftZone, 2, "none")
	list, err := b.store.NotClosed(t.Context(), b.pool, b.city)
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	for _, a := range list {
		if a.Kind == geofence.LeftZone && a.Class != alerts.Lead {
			t.Errorf("without a legal basis it became a %s", a.Class)
		}
	}
}

func TestTwoOfficersAtOnce_R58(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.violation(t, geofence.LeftZone, 1, "leave_city")
	a := b.only(t)
	if a.Class != alerts.Alarm {
		t.Fatalf("class %s", a.Class)
	}
	var wg sync.WaitGroup
	errs := map[id.Account]error{}
	var mu sync.Mutex
	for _, who := range []id.Account{b.zhang, b.wang} {
		wg.Go(func() {
			_, err := b.store.Acknowledge(t.Context(), alerts.Act{Alert: a.ID, Account: who, Scope: b.city, Version: a.Version})
			mu.Lock()
			errs[who] = err
			mu.Unlock()
		})
	}
	wg.Wait()
	winner, loser := b.zhang, b.wang
	if errs[winner] != nil {
		winner, loser = loser, winner
	}
	var c *alerts.Conflict
	if errs[winner] != nil || !errors.As(errs[loser], &c) || c.By != winner || c.State != alerts.Acknowledged || !c.At.Equal(now) {
		t.Fatalf("outcomes %v", errs)
	}
	if got := b.history(t, a.ID); !slices.Equal(got, []string{"raised", "acknowledged"}) {
		t.Errorf("history %v", got)
	}
	// The winner again: nothing changes. The loser cannot close what another holds.
	if _, err := b.store.Acknowledge(t.Context(), alerts.Act{Alert: a.ID, Account: winner, Scope: b.city}); err != nil {
		t.Errorf("taking charge twice: %v", err)
	}
	if _, err := b.store.Close(t.Context(), alerts.Act{Alert: a.ID, Account: loser, Scope: b.city}, alerts.Conclude{Conclusion: alerts.Drift}); !errors.As(err, &c) {
		t.Errorf("the loser closes: %v", err)
	}
}

func TestEndsWithAConclusion_R55_R57(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.violation(t, geofence.LeftZone, 1, "leave_city")
	a := b.only(t)
	act := alerts.Act{Alert: a.ID, Account: b.zhang, Scope: b.city, Client: "127.0.0.1"}
	var field *alerts.FieldError
	if _, err := b.store.Close(t.Context(), act, alerts.Conclude{Conclusion: alerts.Drift}); !errors.As(err, &field) {
		t.Errorf("closed without taking charge: %v", err)
	}
	if _, err := b.store.Acknowledge(t.Context(), act); err != nil {
		t.Fatal(err)
	}
	// The condition ends: an alarm waits for a person all the same.
	v.State, v.Version, v.ClosedAt = geofence.ViolationClosed, 2, now
	b.tell(t, geofence.ViolationClosedEntry, &v)
	if got := b.only(t); got.State != alerts.Acknowledged || got.ViolationState != geofence.ViolationClosed {
		t.Errorf("after the return %+v", got)
	}
	for name, c := range map[string]alerts.Conclude{
		"unknown code":                   {Conclusion: "fine"},
		"unverifiable without follow-up": {Conclusion: alerts.Unverifiable},
		"unverifiable until today":       {Conclusion: alerts.Unverifiable, FollowUpOn: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)},
		"other without a text":           {Conclusion: alerts.Other, Text: "  "},
		"a text nobody can keep":         {Conclusion: alerts.Drift, Text: "a\x00b"},
		"a text without end":             {Conclusion: alerts.Drift, Text: strings.Repeat("长", 2000)},
	} {
		if _, err := b.store.Close(t.Context(), act, c); !errors.As(err, &field) {
			t.Errorf("%s: %v", name, err)
		}
	}
	const hostile = `<script>alert(1)</script>'; DROP TABLE alert; --`
	if _, err := b.store.Note(t.Context(), act, hostile); err != nil {
		t.Fatal(err)
	}
	stale := act
	stale.Version = 1
	var conflict *alerts.Conflict
	if _, err := b.store.Close(t.Context(), stale, alerts.Conclude{Conclusion: alerts.Justified}); !errors.As(err, &conflict) {
		t.Errorf("concluded on a version long gone: %v", err)
	}
	followUp := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	closed, err := b.store.Close(t.Context(), act, alerts.Conclude{Conclusion: alerts.Unverifiable, FollowUpOn: followUp})
	if err != nil || closed.State != alerts.Closed || closed.ClosedBy != b.zhang {
		t.Fatalf("%+v, %v", closed, err)
	}
	if got, want := b.history(t, a.ID), []string{"raised", "acknowledged", "violation_closed", "noted", "closed"}; !slices.Equal(got, want) {
		t.Errorf("history %v, want %v", got, want)
	}
	events, err := b.store.History(t.Context(), b.pool, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		byPerson := e.Act == "acknowledged" || e.Act == "noted" || e.Act == "closed"
		if e.Seq != i+1 || byPerson != (e.Account == b.zhang) || byPerson != (e.Client == "127.0.0.1") || !e.At.Equal(now) || e.WrittenAt.IsZero() {
			t.Errorf("line %d of the history is %+v", i, e)
		}
	}
	var note map[string]string
	if err := json.Unmarshal(events[3].Body, &note); err != nil || note["text"] != hostile {
		t.Errorf("the note was kept as %q, %v", note, err)
	}
	for _, sql := range []string{"UPDATE alert_event SET body = '{}'", "DELETE FROM alert_event"} {
		if _, err := b.pool.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s was let through", sql)
		}
	}
	if got := b.only(t); !got.FollowUpOn.Equal(followUp) {
		t.Errorf("to be checked again on %s, want %s", got.FollowUpOn, followUp)
	}
	if again, err := b.store.Close(t.Context(), stale, alerts.Conclude{Conclusion: alerts.Unverifiable, FollowUpOn: followUp}); err != nil || again.Version != closed.Version {
		t.Errorf("closing twice: version %d after %d, %v", again.Version, closed.Version, err)
	}
	entries, err := ledger.Read(t.Context(), b.pool, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if last := entries[len(entries)-1]; last.Kind != "alert.closed" || last.Version != closed.Version {
		t.Errorf("the ledger ends with %+v", last)
	}
}

func TestReminderHealsUnlessSomebodyHasIt_R55(t *testing.T) {
	t.Parallel()
	for _, taken := range []bool{false, true} {
		b := setup(t)
		v := b.violation(t, geofence.DeviceSilent, 1, "positioning")
		a := b.only(t)
		if taken {
			if _, err := b.store.Acknowledge(t.Context(), alerts.Act{Alert: a.ID, Account: b.wang, Scope: b.city}); err != nil {
				t.Fatal(err)
			}
		}
		v.State, v.Version = geofence.ViolationClosed, 2
		b.tell(t, geofence.ViolationClosedEntry, &v)
		got := b.only(t)
		if taken && got.State != alerts.Acknowledged || !taken && (got.State != alerts.Closed || got.Conclusion != alerts.Healed || got.ClosedBy != 0) {
			t.Errorf("taken %v: %+v", taken, got)
		}
	}
}

func TestScopedByTheTree(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.violation(t, geofence.LeftZone, 1, "leave_city")
	a := b.only(t)
	foreign := alerts.Act{Alert: a.ID, Account: b.wang, Scope: b.others}
	if _, err := b.store.Acknowledge(t.Context(), foreign); !errors.Is(err, alerts.ErrNotFound) {
		t.Errorf("another office takes charge: %v", err)
	}
	if _, err := b.store.Get(t.Context(), b.pool, b.others, a.ID); !errors.Is(err, alerts.ErrNotFound) {
		t.Errorf("another office reads: %v", err)
	}
	if list, err := b.store.List(t.Context(), b.pool, b.others, alerts.Filter{}); err != nil || len(list) != 0 {
		t.Errorf("another office lists %v, %v", list, err)
	}
	if c, err := b.store.OpenCounts(t.Context(), b.pool, b.others); err != nil || len(c.ByClass) != 0 {
		t.Errorf("another office counts %v, %v", c, err)
	}
	c, err := b.store.OpenCounts(t.Context(), b.pool, b.city)
	if err != nil || c.ByClass[alerts.Alarm] != 1 || c.ByOrg[2] != 1 {
		t.Errorf("the city counts %v, %v", c, err)
	}
	hours, err := b.store.RaisedByHour(t.Context(), b.pool, b.city, now.Add(90*time.Minute))
	if err != nil || hours[22] != 1 {
		t.Errorf("raised by hour %v, %v", hours, err)
	}
	act := alerts.Act{Alert: a.ID, Account: b.zhang, Scope: b.city}
	for range 3 {
		if err := b.store.Viewed(t.Context(), act); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.history(t, a.ID); !slices.Equal(got, []string{"raised", "viewed"}) {
		t.Errorf("history %v", got)
	}
}
