package console

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/alerts"
	"zhijiao/geofence"
	"zhijiao/internal/id"
	"zhijiao/supervision"
)

// legalBases are the titles of the legal bases recorded now, by code.
func (s *Server) legalBases(ctx context.Context, q querier) (map[string]basisView, error) {
	rows, err := q.Query(ctx, "SELECT code, title, title_en, citation FROM legal_basis WHERE upper_inf(recorded) AND valid @> $1::timestamptz", s.Clock.Now())
	if err != nil {
		return nil, fmt.Errorf("read legal bases: %w", err)
	}
	out := map[string]basisView{}
	var b basisView
	_, err = pgx.ForEachRow(rows, []any{&b.Code, &b.Title, &b.TitleEN, &b.Citation}, func() error { out[b.Code] = b; return nil })
	return out, err
}

// zoneName is a zone as sentences speak of it: its name, and its middle for directions.
type zoneName struct {
	name     string
	lon, lat float64
}

// channelsOf tells by which class of device subjects are supervised now: a wristband says more than a phone.
func (s *Server) channelsOf(ctx context.Context, q querier, scope id.Org, now time.Time) (map[id.Subject]string, error) {
	rows, err := q.Query(ctx, `SELECT b.subject_id, max(b.class) FROM binding b JOIN subject_office o ON o.subject_id = b.subject_id
			AND upper_inf(o.recorded) AND o.valid @> $2::timestamptz AND o.org_id IN (SELECT org_subtree($1))
		WHERE upper_inf(b.recorded) AND b.valid @> $2::timestamptz GROUP BY 1`, int64(scope), now)
	if err != nil {
		return nil, fmt.Errorf("read channels: %w", err)
	}
	out := map[id.Subject]string{}
	var subject id.Subject
	var class string
	_, err = pgx.ForEachRow(rows, []any{&subject, &class}, func() error { out[subject] = class; return nil })
	return out, err
}

// statesOf tells in which state subjects are by their open violations, the worst of them; who is in none is ok.
func (s *Server) statesOf(ctx context.Context, q querier, scope id.Org, now time.Time) (map[id.Subject]string, error) {
	rows, err := q.Query(ctx, `SELECT v.subject_id, v.kind FROM violation v JOIN subject_office o ON o.subject_id = v.subject_id
			AND upper_inf(o.recorded) AND o.valid @> $2::timestamptz AND o.org_id IN (SELECT org_subtree($1))
		WHERE v.state = 'open' ORDER BY v.violation_id`, int64(scope), now)
	if err != nil {
		return nil, fmt.Errorf("read open violations: %w", err)
	}
	out := map[id.Subject]string{}
	var subject id.Subject
	var kind geofence.ViolationKind
	_, err = pgx.ForEachRow(rows, []any{&subject, &kind}, func() error {
		if state := stateOf(kind); stateWeight[state] > stateWeight[out[subject]] {
			out[subject] = state
		}
		return nil
	})
	return out, err
}

// ruleOf is the version of a rule that something was decided on.
func (s *Server) ruleOf(ctx context.Context, q querier, rule geofence.RuleID, version int) (*ruleView, error) {
	v := ruleView{ID: int64(rule), Version: version}
	err := q.QueryRow(ctx, "SELECT kind, legal_basis, document_no, params FROM rule WHERE rule_id = $1 AND version = $2", int64(rule), version).
		Scan(&v.Kind, &v.Basis, &v.DocumentNo, &v.Params)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read a rule: %w", err)
	}
	return &v, nil
}

// heldAlert is an alert about a subject that an account has taken charge of and not yet closed; 0: none.
func (s *Server) heldAlert(ctx context.Context, q querier, scope id.Org, account id.Account, subject id.Subject) (alert alerts.ID, err error) {
	err = q.QueryRow(ctx, `SELECT coalesce(max(alert_id), 0) FROM alert WHERE subject_id = $1 AND state = 'acknowledged' AND acknowledged_by = $2
		AND org_id IN (SELECT org_subtree($3))`, int64(subject), int64(account), int64(scope)).Scan(&alert)
	if err != nil {
		return 0, fmt.Errorf("look for the alert held: %w", err)
	}
	return alert, nil
}

// checksToday counts the checks of the local day: asked and answered. Who checks in by their own plan was asked by the plan,
// and who did not check in during a window that is over was asked as well.
func (s *Server) checksToday(ctx context.Context, q querier, scope id.Org, now time.Time) (asked, answered int, err error) {
	err = q.QueryRow(ctx, `WITH day AS (SELECT date_trunc('day', $2::timestamptz AT TIME ZONE 'Asia/Shanghai') AT TIME ZONE 'Asia/Shanghai' AS midnight),
		mine AS (SELECT subject_id FROM subject_office WHERE upper_inf(recorded) AND valid @> $2::timestamptz AND org_id IN (SELECT org_subtree($1))),
		demanded AS (SELECT count(*) AS n, count(*) FILTER (WHERE state = 'answered') AS answered FROM check_demand, day
			WHERE asked_at >= midnight AND asked_at <= $2 AND state <> 'withdrawn' AND subject_id IN (SELECT subject_id FROM mine)),
		planned AS (SELECT count(*) AS n FROM check_in, day WHERE at >= midnight AND at <= $2 AND answers IS NULL AND subject_id IN (SELECT subject_id FROM mine)),
		missed AS (SELECT count(*) AS n FROM violation, day WHERE kind = 'check_missed' AND state <> 'withdrawn' AND opened_at >= midnight AND opened_at <= $2
			AND subject_id IN (SELECT subject_id FROM mine))
		SELECT d.n + p.n + m.n, d.answered + p.n FROM demanded d, planned p, missed m`,
		int64(scope), now).Scan(&asked, &answered)
	return asked, answered, err
}

// subjectsOf are the masked subjects of alerts the caller has read within its scope. The office is the one the alert was
// raised under: whoever handled it still knows whom it was about after a move.
func (s *Server) subjectsOf(ctx context.Context, q querier, raised []int64) (map[alerts.ID]supervision.Subject, error) {
	rows, err := q.Query(ctx, `SELECT a.alert_id, s.subject_id, s.local_no, s.juvenile, coalesce(p.surname, '?'), o.org_id, o.short_name
		FROM alert a JOIN subject s USING (subject_id) JOIN org o USING (org_id) LEFT JOIN subject_person p USING (subject_id) WHERE a.alert_id = ANY($1)`, raised)
	if err != nil {
		return nil, fmt.Errorf("read subjects of alerts: %w", err)
	}
	out := make(map[alerts.ID]supervision.Subject, len(raised))
	var alert alerts.ID
	var v supervision.Subject
	_, err = pgx.ForEachRow(rows, []any{&alert, &v.ID, &v.LocalNo, &v.Juvenile, &v.Surname, &v.Office, &v.OfficeShort}, func() error { out[alert] = v; return nil })
	return out, err
}

// zoneCache keeps the names of zones: the middle of a province's outline takes a while to find.
type zoneCache struct {
	mu    sync.Mutex
	at    time.Time
	names map[geofence.ZoneID]zoneName
}

const zonesKept = time.Minute // at most; the stream forgets them as soon as a zone changes

func (c *zoneCache) forget() {
	c.mu.Lock()
	c.names = nil
	c.mu.Unlock()
}

// zoneNames are the zones by id, with the middle of their newest version. The map is not to be changed.
func (s *Server) zoneNames(ctx context.Context) (map[geofence.ZoneID]zoneName, error) {
	s.zones.mu.Lock()
	names, fresh := s.zones.names, time.Since(s.zones.at) < zonesKept
	s.zones.mu.Unlock()
	if names != nil && fresh {
		return names, nil
	}
	asked := time.Now()
	names, err := s.readZoneNames(ctx, s.Pool) // of all: it is kept for all
	if err != nil {
		return nil, err
	}
	s.zones.mu.Lock()
	s.zones.names, s.zones.at = names, asked
	s.zones.mu.Unlock()
	return names, nil
}

func (s *Server) readZoneNames(ctx context.Context, q querier) (map[geofence.ZoneID]zoneName, error) {
	middles, err := geofence.ZoneMiddles(ctx, q)
	if err != nil {
		return nil, err
	}
	out := make(map[geofence.ZoneID]zoneName, len(middles))
	for _, m := range middles {
		out[m.ID] = zoneName{m.Name, m.Lon, m.Lat}
	}
	return out, nil
}
