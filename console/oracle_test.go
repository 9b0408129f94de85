package console_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/alerts"
	"zhijiao/console"
	"zhijiao/geofence"
	"zhijiao/internal/id"
	"zhijiao/internal/ledger"
	"zhijiao/internal/rowsec"
)

// county is a made-up organisation with people, and who really may see whom, worked out without SQL.
type county struct {
	*bench
	rng      *rand.Rand
	parent   map[id.Org]id.Org
	orgs     []id.Org
	people   []id.Subject
	now      map[id.Subject]id.Org   // who supervises them today
	ever     map[id.Subject][]id.Org // and whoever did
	officers []official
}

type official struct {
	account id.Account
	org     id.Org
	covers  []id.Org
	role    console.Role
	token   string
	csrf    string
}

// newCounty makes organisations up to three levels below the city, people of whom a third moved, and what there is about people: devices, alerts,
// proceedings, tasks, sentences, positions.
func newCounty(t *testing.T, b *bench, orgs, people, officers int) *county {
	t.Helper()
	c := &county{bench: b, rng: rand.New(rand.NewPCG(7, uint64(orgs*people))), parent: map[id.Org]id.Org{b.yuekou: b.city, b.zaoshi: b.city},
		orgs: []id.Org{b.city, b.yuekou, b.zaoshi}, now: map[id.Subject]id.Org{}, ever: map[id.Subject][]id.Org{}}
	for n := range orgs {
		parent := c.orgs[c.rng.IntN(len(c.orgs))]
		var org id.Org
		b.scan(t, &org, "INSERT INTO org (parent_id, kind, name, short_name) VALUES ($1, 'judicial_office', $2, $2) RETURNING org_id", int64(parent), fmt.Sprintf("所%d", n))
		c.parent[org] = parent
		c.orgs = append(c.orgs, org)
	}
	for n := range people {
		first, second := c.orgs[c.rng.IntN(len(c.orgs))], c.orgs[c.rng.IntN(len(c.orgs))]
		s := b.enrol(t, fmt.Sprintf("TM9%07d", n), "孙试验", fmt.Sprintf("139%08d", n), first)
		c.people, c.now[s], c.ever[s] = append(c.people, s), first, []id.Org{first}
		if n%3 == 0 && first != second {
			if err := b.people.Move(t.Context(), 0, s, second, now.Add(-time.Hour)); err != nil {
				t.Fatal(err)
			}
			c.now[s], c.ever[s] = second, append(c.ever[s], second)
		}
	}
	b.exec(t, `INSERT INTO rule (rule_id, version, subject_id, kind, zone_id, legal_basis, valid, recorded)
		SELECT 1000000 + subject_office_id, 1, subject_id, 'stay_in', 1, 'leave_city', '[2026-01-01,)', '[2026-01-01,)' FROM subject_office WHERE upper_inf(recorded)`)
	b.exec(t, `INSERT INTO violation (subject_id, org_id, rule_id, rule_version, zone_id, zone_version, kind, channel, state, opened_at, decided_at, evidence, engine)
		SELECT o.subject_id, o.org_id, 1000000 + o.subject_office_id, 1, 1, 1, 'left_zone', 'phone', 'open', $1, $1, '{}', '1' FROM subject_office o WHERE upper_inf(o.recorded) AND o.subject_id % 2 = 0`, now)
	b.exec(t, `INSERT INTO alert (violation_id, subject_id, org_id, kind, channel, class, legal_basis, opened_at, raised_at, due_at)
		SELECT violation_id, subject_id, org_id, kind, channel, 'alarm', 'leave_city', opened_at, opened_at, opened_at FROM violation`)
	b.exec(t, `INSERT INTO alert_event (alert_id, seq, act, at) SELECT alert_id, 1, 'raised', raised_at FROM alert`)
	b.exec(t, `INSERT INTO proceeding (kind, subject_id, org_id, state, version, facts, opened_at)
		SELECT 'leave', subject_id, org_id, 'applied', 1, '{}', $1 FROM subject_office WHERE upper_inf(recorded) AND upper_inf(valid) AND subject_id % 2 = 1`, now)
	b.exec(t, `INSERT INTO task (kind, key, subject_id, org_id, proceeding_id, opened_at, due_at) SELECT 'copy', proceeding_id::text, subject_id, org_id, proceeding_id, $1, $1 FROM proceeding`, now)
	b.exec(t, `INSERT INTO sentence (subject_id, document_no, valid, recorded) SELECT subject_id, 'S', '[2026-01-01,2027-01-01)', '[2026-01-01,)' FROM subject`)
	b.exec(t, `INSERT INTO suspension (suspension_id, version, subject_id, cause, kinds, document_no, valid, recorded)
		SELECT nextval('suspension_id'), 1, subject_id, 'hospital', '{stay_in}', 'D', '[2026-01-01,2027-01-01)', '[2026-01-01,)' FROM subject WHERE subject_id % 5 = 0`)
	b.exec(t, `INSERT INTO current_position (subject_id, geom, fix_at, device_id, accuracy_m, method, battery) SELECT subject_id, ST_SetSRID(ST_MakePoint(113.1, 30.6), 4326), $1, 1, 12.5, 1, 83 FROM subject
		ON CONFLICT DO NOTHING`, now)
	roles := []console.Role{console.Commander, console.OfficerRole, console.Auxiliary, console.Approver, console.ProvincialReader, console.Prosecutor}
	for n := range officers {
		o := official{org: c.orgs[c.rng.IntN(len(c.orgs))], role: roles[c.rng.IntN(len(roles))], token: fmt.Sprintf("token-%d", n), csrf: "x"}
		b.scan(t, &o.account, "INSERT INTO account (name, org_id, password_hash) VALUES ($1, $2, '-') RETURNING account_id", fmt.Sprintf("o%d", n), int64(o.org))
		b.exec(t, "INSERT INTO account_role VALUES ($1, $2)", int64(o.account), string(o.role))
		sum := sha256.Sum256([]byte(o.token))
		b.exec(t, "INSERT INTO account_session (token_hash, account_id, csrf, factor, expires_at) VALUES ($1, $2, 'x', 'totp', clock_timestamp() + interval '1 hour')", sum[:], int64(o.account))
		if n%4 == 0 && n > 0 {
			o.covers = append(o.covers, c.orgs[c.rng.IntN(len(c.orgs))])
			b.exec(t, `INSERT INTO cover_duty (account_id, org_id, valid, reason, granted_by) VALUES ($1, $2, tstzrange(clock_timestamp() - interval '1 hour', clock_timestamp() + interval '1 hour'), '值班', $3)`,
				int64(o.account), int64(o.covers[0]), int64(c.officers[0].account))
		}
		c.officers = append(c.officers, o)
	}
	return c
}

// within says, by walking up the tree, whether an organisation is part of what an official is given.
func (c *county) within(o *official, org id.Org) bool {
	for ; org != 0; org = c.parent[org] {
		if org == o.org || slices.Contains(o.covers, org) {
			return true
		}
	}
	return false
}

// again is a console over the same database that reads with other eyes.
func (c *county) again(t *testing.T, reads *pgxpool.Pool) http.Handler {
	t.Helper()
	s, err := console.New(console.Options{Pool: c.pool, Reads: reads, Keys: c.keys, Clock: c.clock, Supervision: c.bench.people, Alerts: alerts.NewStore(c.pool, c.clock),
		Listener: ledger.NewListener(c.pool, slog.New(slog.DiscardHandler)), Zones: geofence.NewStore(c.pool, c.clock), Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Mode: "rehearsal"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (o *official) get(t *testing.T, h http.Handler, path string) (int, []byte) {
	r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
	r.AddCookie(&http.Cookie{Name: "zhijiao", Value: o.token})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

// moves is what differs from one request to the next.
var moves = regexp.MustCompile(`"(pos|seen_at|written_at|at)":[^,}]+`)

// TestTwoNetsCatchTheSame_R96: for every reading route and hundreds of officers anywhere in the organisation, with and without cover duty, the
// answer is the same whether row-level security stands behind the queries or not: the queries let through nothing that it would hold back, and it
// holds back nothing that is theirs. Whom they see is what walking the tree says.
func TestTwoNetsCatchTheSame_R96(t *testing.T) {
	t.Parallel()
	c := newCounty(t, setup(t), 12, 40, 200)
	guarded, bare := c.again(t, reading(t, c.bench)), c.again(t, c.pool)
	var alertIDs, proceedings []int64
	c.scan(t, &alertIDs, "SELECT array_agg(alert_id) FROM alert")
	c.scan(t, &proceedings, "SELECT array_agg(proceeding_id) FROM proceeding")
	reads := reading(t, c.bench)
	compared, shown, held := 0, 0, 0
	for n := range c.officers {
		o := &c.officers[n]
		ids := map[string]int64{"{alert}": alertIDs[c.rng.IntN(len(alertIDs))], "{proceeding}": proceedings[c.rng.IntN(len(proceedings))],
			"{subject}": int64(c.people[c.rng.IntN(len(c.people))]), "{year}": 2026, "{outage}": 1, "{device}": 1}
		for _, rt := range c.server.RouteTable() {
			if rt.Method != http.MethodGet || rt.Path == "/ws" || !slices.Contains(rt.Roles, o.role) {
				continue
			}
			path := rt.Path
			for name, v := range ids {
				path = strings.ReplaceAll(path, name, itoa(v))
			}
			if strings.HasSuffix(path, "/track") {
				path += "?purpose=check"
			}
			if rt.Path == "/api/alerts" {
				path += "?state=all&limit=200"
			}
			o.get(t, bare, path) // what is noted of looking is noted once
			s1, a1 := o.get(t, bare, path)
			s2, a2 := o.get(t, guarded, path)
			compared++
			if s1 == http.StatusOK {
				shown++
			} else if s1 == http.StatusNotFound {
				held++
			} else {
				t.Fatalf("%s as %s: %d %s", path, o.role, s1, a1)
			}
			if a1, a2 := moves.ReplaceAll(a1, nil), moves.ReplaceAll(a2, nil); s1 != s2 || !bytes.Equal(a1, a2) {
				from := 0
				for from < min(len(a1), len(a2)) && a1[from] == a2[from] {
					from++
				}
				from = max(0, from-80)
				t.Fatalf("officer %d (%s of %d, covers %v), %s: %d and %d, from byte %d on\n%.400s\n%.400s", n, o.role, o.org, o.covers, path, s1, s2, from, a1[from:], a2[from:])
			}
			if rt.Path == "/api/snapshot" {
				var v struct{ Subjects []struct{ ID id.Subject } }
				if err := json.Unmarshal(a1, &v); err != nil {
					t.Fatal(err)
				}
				got := map[id.Subject]bool{}
				for _, p := range v.Subjects {
					got[p.ID] = true
				}
				for _, p := range c.people {
					if want := c.within(o, c.now[p]); got[p] != want {
						t.Errorf("officer %d (of %d, covers %v): person of %d is shown: %v", n, o.org, o.covers, c.now[p], got[p])
					}
				}
			}
		}
		// The net itself, without a query that knows of scopes.
		scope := o.org
		if len(o.covers) > 0 {
			scope = id.Covering(o.account)
		}
		rows, err := reads.Query(rowsec.With(t.Context(), scope), "SELECT subject_id FROM subject")
		if err != nil {
			t.Fatal(err)
		}
		seen, err := pgx.CollectRows(rows, pgx.RowTo[id.Subject])
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range c.people {
			want := slices.ContainsFunc(c.ever[p], func(org id.Org) bool { return c.within(o, org) })
			if got := slices.Contains(seen, p); got != want {
				t.Errorf("row-level security of officer %d (of %d, covers %v): person of %v is shown: %v", n, o.org, o.covers, c.ever[p], got)
			}
		}
	}
	t.Logf("%d answers compared: %d shown, %d not found, 0 differ", compared, shown, held)
	if shown < compared/2 || held == 0 {
		t.Error("the comparison compares nothing")
	}
}

func reading(t *testing.T, b *bench) *pgxpool.Pool {
	t.Helper()
	reads, err := rowsec.Open(t.Context(), b.pool, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reads.Close)
	return reads
}

// TestWithoutAScopeNothingIsSeen: a query that does not say whose question it is gets nothing, a role that reads writes nothing, and every table that
// it may read has a policy or is about nobody.
func TestWithoutAScopeNothingIsSeen_R96(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.raise(t, b.li)
	reads := reading(t, b)
	for _, table := range []string{"subject", "subject_person", "subject_office", "alert", "alert_event", "violation", "binding", "device", "rule", "zone"} {
		var n int
		if err := reads.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d rows, %v", table, n, err)
		}
		if err := reads.QueryRow(rowsec.With(t.Context(), b.city), "SELECT count(*) FROM "+table).Scan(&n); err != nil || n == 0 {
			t.Errorf("%s of the city: %d rows, %v", table, n, err)
		}
	}
	ctx := rowsec.With(t.Context(), b.city)
	for _, forbidden := range []string{"UPDATE alert SET version = version + 1", "DELETE FROM subject", "INSERT INTO account_role VALUES (1, 'system_admin')",
		"SELECT password_hash FROM account", "SELECT * FROM account_session", "SELECT totp FROM account", "SELECT body FROM ledger", "SELECT mac FROM device_credential"} {
		if _, err := reads.Exec(ctx, forbidden); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v", forbidden, err)
		}
	}
	// about nobody, or read only after the person was asked for (migrations/021)
	open := []string{"assessment", "disclosure_basis", "request_exception", "retention_policy", "calendar_day", "calendar_year", "cover_duty", "decision_effect", "delegation", "deployment", "device_health", "domain_clock", "evidence_pack", "handling", "ledger_cursor", "legal_basis",
		"model_datum", "model_floor", "notice_text", "observation_count", "officer", "org", "outage", "partition_lease", "period", "position", "position_pack", "radio", "schedule",
		"schedule_version", "source_watermark"}
	rows, err := b.pool.Query(t.Context(), `SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v') AND NOT relispartition
		AND has_table_privilege('zhijiao_reader', oid, 'SELECT') ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	var name string
	var forced bool
	_, err = pgx.ForEachRow(rows, []any{&name, &forced}, func() error {
		if forced == slices.Contains(open, name) {
			t.Errorf("table %s: row-level security forced %v, and it stands among those without: %v", name, forced, !forced)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
