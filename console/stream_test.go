package console_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"zhijiao/console"
)

// TestReconnectMissesNothing_R59 cuts the stream again and again while alerts are raised and taken charge of: every version of
// every alert comes once and in order.
func TestReconnectMissesNothing_R59(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "wang", b.city, console.Commander)
	pos := snapshotPos(t, u)
	const raised = 40
	var raising sync.WaitGroup
	want := make(chan [2]int64, 2*raised)
	for range 2 {
		raising.Go(func() {
			for i := range raised / 2 {
				a := int64(b.raise(t, b.li))
				want <- [2]int64{a, 1}
				if i%2 == 0 {
					if status, body := u.do(t, "POST", "/api/alerts/"+itoa(a)+"/note", map[string]string{"text": "看过"}); status != http.StatusOK {
						t.Errorf("%d %s", status, body)
					}
					want <- [2]int64{a, 2}
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { raising.Wait(); close(want); close(done) }()

	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // where to cut, nothing more
	var got [][2]int64
	deadline := time.Now().Add(2 * wait)
	for len(got) < raised+raised/2 && time.Now().Before(deadline) {
		c := u.stream(t, pos)
		for frames := 1 + random.IntN(4); frames > 0; frames-- {
			m, err := next(t, c)
			if err != nil {
				t.Fatalf("the stream ended: %v", err)
			}
			if m.Type != "entries" {
				continue
			}
			if m.Pos <= pos {
				t.Fatalf("position %d after %d", m.Pos, pos)
			}
			pos = m.Pos
			for _, a := range m.Alerts {
				got = append(got, [2]int64{a.ID, int64(a.Version)})
			}
		}
		c.Close()
	}
	<-done
	var all [][2]int64
	for w := range want {
		all = append(all, w)
	}
	last := map[int64]int64{}
	for _, g := range got {
		if g[1] != last[g[0]]+1 {
			t.Errorf("alert %d: version %d after %d", g[0], g[1], last[g[0]])
		}
		last[g[0]] = g[1]
	}
	order := func(a, b [2]int64) int { return int(a[0]-b[0])*10 + int(a[1]-b[1]) }
	sorted := slices.Clone(got)
	slices.SortFunc(sorted, order)
	slices.SortFunc(all, order)
	if !slices.Equal(sorted, all) {
		t.Errorf("told %v\nraised %v", sorted, all)
	}
}

// TestStreamAfterSnapshot: what is raised right after the snapshot is in the stream, complete.
func TestStreamAfterSnapshot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "wang", b.city, console.Commander)
	pos := snapshotPos(t, u)
	alert := b.raise(t, b.li)
	c := u.stream(t, pos)
	if m, err := next(t, c); err != nil || m.Type != "hello" || !m.Now.Equal(now) {
		t.Errorf("begins with %+v, %v", m, err)
	}
	m := until(t, c, func(m message) bool { return len(m.Alerts) > 0 })
	if a := m.Alerts[0]; a.ID != int64(alert) || a.Subject.Label != "李某某·岳口·0417" || !strings.Contains(a.Sentence.ZH, "离开天门市") || a.State != "open" {
		t.Errorf("tells %+v", a)
	}
	until(t, c, func(m message) bool { return m.Type == "beat" && m.Pos >= pos && m.Now.Equal(now) })
	b.clock.Advance(time.Hour)
	until(t, c, func(m message) bool { return m.Type == "beat" && m.Now.Equal(now.Add(time.Hour)) })
	b.at(t, b.li, 113.42, 30.45, now)
	moved := until(t, c, func(m message) bool { return len(m.Items) > 0 })
	if i := moved.Items[0]; i.Subject != int64(b.li) || i.Lon != 113.42 || i.State != "out" {
		t.Errorf("moved %+v", i)
	}
	// Who comes back later learns where everybody is, without having seen them move.
	again := u.stream(t, m.Pos)
	until(t, again, func(m message) bool { return len(m.Items) == 1 && m.Items[0].Lon == 113.42 })
}

func TestUnknownPositionsResync(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "wang", b.city, console.Commander)
	pos := snapshotPos(t, u)
	until(t, u.stream(t, pos+1000), func(m message) bool { return m.Type == "resync" })
	for _, bad := range []string{"-1", "x", "99999999999999999999"} {
		if status, body := u.do(t, "GET", "/ws?pos="+bad, nil); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", bad, status, body)
		}
	}
}

func TestTheEndOfASessionEndsItsStream(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add(t, "wang", b.city, console.Commander)
	for name, end := range map[string]func(u *user){
		"logout":   func(u *user) { u.do(t, "POST", "/api/logout", nil) },
		"expiry":   func(*user) { b.exec(t, "UPDATE account_session SET expires_at = clock_timestamp()") },
		"disabled": func(*user) { b.exec(t, "UPDATE account SET disabled_at = clock_timestamp()") },
	} {
		b.exec(t, "UPDATE account SET disabled_at = NULL")
		u := b.login(t, "wang")
		c := u.stream(t, snapshotPos(t, u))
		until(t, c, func(m message) bool { return m.Type == "beat" })
		end(u)
		m := until(t, c, func(m message) bool { return m.Type == "bye" })
		if m.Reason != "session_ended" {
			t.Errorf("%s: %q", name, m.Reason)
		}
		if _, err := next(t, c); err == nil {
			t.Errorf("%s: it goes on", name)
		}
	}
}

// TestMovedToAnotherOffice: rights that change are felt by streams that are open.
func TestMovedToAnotherOffice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "zaoshi.zhou", b.zaoshi, console.OfficerRole)
	c := u.stream(t, snapshotPos(t, u))
	until(t, c, func(m message) bool { return m.Type == "beat" })
	b.at(t, b.li, 113.1, 30.5, now)
	if err := b.people.Move(t.Context(), 0, b.li, b.zaoshi, now.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	until(t, c, func(m message) bool { return m.Changed })
	until(t, c, func(m message) bool { return len(m.Items) > 0 && m.Items[0].Subject == int64(b.li) })
}

// TestSlowClientsAreLetGo_R60: one that reads nothing is dropped, the others do not notice.
func TestSlowClientsAreLetGo_R60(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.server.WriteTimeout(500 * time.Millisecond)
	u := b.user(t, "wang", b.city, console.Commander)
	pos := snapshotPos(t, u)
	stuck := u.stream(t, pos) // never read from
	good := u.stream(t, pos)
	until(t, good, func(m message) bool { return m.Type == "beat" })
	first := int64(b.raise(t, b.li))
	u.do(t, "POST", "/api/alerts/"+itoa(first)+"/acknowledge", map[string]int{"version": 1})
	// Entries until the buffers of the stuck one are full and it is gone.
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				b.flood(t, first)
			}
		}
	})
	seen, began := 0, time.Now()
	var slowest time.Duration
	for b.gauge(t, "zhijiao_websocket_clients") != 1 {
		if time.Since(began) > 2*wait {
			t.Fatal("the stuck one is still there")
		}
		at := time.Now()
		m, err := next(t, good)
		if err != nil {
			t.Fatalf("the good one ended: %v", err)
		}
		slowest = max(slowest, time.Since(at))
		seen += len(m.Alerts)
	}
	close(stop)
	writing.Wait()
	if seen == 0 || slowest > 5*time.Second {
		t.Errorf("the good one saw %d alerts and once waited %v", seen, slowest)
	}
	if n := b.count(t, "zhijiao_websocket_disconnects_total", "slow"); n != 1 {
		t.Errorf("%v counted as slow", n)
	}
	for {
		if _, err := next(t, stuck); err != nil {
			if websocket.IsCloseError(err, websocket.CloseNormalClosure) {
				t.Errorf("ended as if all were well: %v", err)
			}
			break
		}
	}
}

// flood appends a batch of ledger entries about an alert.
func (b *bench) flood(t *testing.T, alert int64) {
	b.exec(t, `SELECT ledger_append((SELECT jsonb_agg(jsonb_build_object('at', '2026-11-23T14:14:00Z', 'kind', 'alert.noted', 'org_id', l.org_id, 'subject_id', l.subject_id,
		'entity', 'alert', 'entity_id', l.entity_id, 'version', l.version, 'body', l.body)) FROM ledger l, generate_series(1, 400) WHERE l.kind = 'alert.raised' AND l.entity_id = $1))`, alert)
}

func (b *bench) gauge(t *testing.T, name string) float64 { return b.count(t, name, "") }

// count is the value of a metric, of one label where one is given.
func (b *bench) count(t *testing.T, name, label string) float64 {
	t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" || strings.Contains(fmt.Sprint(m.GetLabel()), label) {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// TestAnotherProcessGoesOn: a client resumes on a process that was not there when things happened, and hears the same.
func TestAnotherProcessGoesOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "wang", b.city, console.Commander)
	pos := snapshotPos(t, u)
	alert := b.raise(t, b.li)
	path := "/api/alerts/" + itoa(int64(alert))
	for _, act := range []struct {
		name string
		body map[string]any
	}{
		{"/acknowledge", map[string]any{"version": 1}},
		{"/note", map[string]any{"text": "已电话联系"}},
		{"/close", map[string]any{"version": 3, "conclusion": "justified", "text": ""}},
	} {
		if status, body := u.do(t, "POST", path+act.name, act.body); status != http.StatusOK {
			t.Fatalf("%s: %d %s", act.name, status, body)
		}
	}
	b.serve(t)
	c := u.stream(t, pos)
	var told []string
	for len(told) < 4 {
		m, err := next(t, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range m.Alerts {
			by, concluded := "", ""
			if a.By != nil && a.At != nil {
				by = a.By.DisplayName
			}
			if a.Conclusion != nil {
				concluded = *a.Conclusion
			}
			told = append(told, fmt.Sprintf("%d %s %s %s", a.Version, a.State, by, concluded))
		}
	}
	if want := []string{"1 open  ", "2 acknowledged wang ", "3 acknowledged wang ", "4 closed wang justified"}; !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
	live := b.raise(t, b.zhao)
	until(t, c, func(m message) bool { return len(m.Alerts) == 1 && m.Alerts[0].ID == int64(live) })
}
