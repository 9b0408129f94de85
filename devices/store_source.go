package devices

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/internal/ledger"
)

// Kinds of entries of the ledger about sources: 数据不同步, and that it is over.
const (
	KindSourceStale = "source.stale"
	KindSourceFresh = "source.fresh"
)

// sourceIntervals is how many of the shortest interval that a binding expects may pass without data, where that is longer than the limit.
const sourceIntervals = 3

// sourceLock keeps two processes from telling the same: "zjsw".
const sourceLock = 0x7a6a7377

// sourceOf names the source of a device d: the wire it comes by and its class. Gateways whose devices have no prefix count as mqtt.
const sourceOf = `coalesce(substring(d.serial FROM '^(jt808|osmand|traccar)-'), 'mqtt') || ' ' || d.class`

// Source is a wire and a class of device, and how far its data has come.
type Source struct {
	Source     string        `json:"source"`
	Devices    int           `json:"devices"`     // bound now
	ObservedAt time.Time     `json:"observed_at"` // the newest that was observed; zero: never
	HeardAt    time.Time     `json:"heard_at"`    // when something was received last; zero: never
	Limit      time.Duration `json:"-"`
	StaleSince time.Time     `json:"stale_since"` // when it was told that it is not in step; zero: it is
	Lag        time.Duration `json:"-"`           // how old the newest data is

	id      int64
	version int
	since   time.Time // since when there is a device that could have spoken
	tell    string    // the kind of entry that this look makes; empty: none
}

// judge compares a source with the limit.
func (s *Source) judge(now time.Time) {
	from := s.ObservedAt
	if s.since.After(from) {
		from = s.since
	}
	s.Lag = max(0, now.Sub(from))
	stale := s.Devices > 0 && s.Lag > s.Limit
	switch {
	case stale && s.StaleSince.IsZero():
		s.StaleSince, s.tell = now, KindSourceStale
	case !stale && !s.StaleSince.IsZero():
		s.StaleSince, s.tell = time.Time{}, KindSourceFresh
	default:
		return
	}
	s.version++
}

// WatchSources moves the watermark of every source to the newest that was observed of it, tells the ledger of each whose data is older than
// the limit, and of each that is in step again, and returns those it told of (R46). A source has at least three of the shortest interval
// that is expected of its devices. A watermark never goes back, and a device whose clock is ahead does not move it beyond the receipt.
func WatchSources(ctx context.Context, tx pgx.Tx, now time.Time, limit time.Duration) ([]Source, error) {
	var mine bool
	if err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock($1)`, sourceLock).Scan(&mine); err != nil || !mine {
		return nil, err // another process looks
	}
	list, err := lookAtSources(ctx, tx, now)
	if err != nil {
		return nil, fmt.Errorf("look at sources: %w", err)
	}
	var told []Source
	var b pgx.Batch
	var entries []ledger.Entry
	for i := range list {
		s := &list[i]
		s.Limit = max(s.Limit*sourceIntervals, limit)
		s.judge(now)
		b.Queue(`UPDATE source_watermark SET devices = $2, observed_at = $3, heard_at = $4, limit_s = $5, stale_since = $6, version = $7 WHERE source_id = $1`,
			s.id, s.Devices, orNull(s.ObservedAt), orNull(s.HeardAt), int(s.Limit/time.Second), orNull(s.StaleSince), s.version)
		if s.tell == "" {
			continue
		}
		told = append(told, *s)
		body := map[string]any{"source": s.Source, "devices": s.Devices, "limit_s": int(s.Limit / time.Second)}
		if !s.ObservedAt.IsZero() {
			body["observed_at"] = s.ObservedAt
		}
		entries = append(entries, ledger.Entry{At: now, Kind: s.tell, Entity: "source", EntityID: s.id, Version: s.version, Body: asJSON(body)})
	}
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return nil, fmt.Errorf("move watermarks: %w", err)
	}
	if len(entries) == 0 {
		return nil, nil
	}
	return told, ledger.Append(ctx, tx, entries...)
}

// lookAtSources reads how far each source was and what its devices have said since; Limit is then the shortest interval that is expected. A
// source whose last device was taken off keeps its row, with no devices.
func lookAtSources(ctx context.Context, tx pgx.Tx, now time.Time) ([]Source, error) {
	rows, err := tx.Query(ctx, `SELECT `+sourceOf+`, count(*)::int, max(least(h.observed_at, h.heard_at)), max(h.heard_at), min(lower(b.valid)), min(b.interval_s)
		  FROM binding b JOIN device d USING (device_id) JOIN device_health h USING (device_id)
		 WHERE upper_inf(b.recorded) AND b.valid @> $1::timestamptz AND (d.revoked_at IS NULL OR d.revoked_at > $1) GROUP BY 1`, now)
	if err != nil {
		return nil, err
	}
	seen := map[string]Source{}
	names := []string{}
	var x Source
	var observed, heard *time.Time
	var interval int
	if _, err := pgx.ForEachRow(rows, []any{&x.Source, &x.Devices, &observed, &heard, &x.since, &interval}, func() error {
		x.ObservedAt, x.HeardAt, x.Limit = fromNull(observed), fromNull(heard), time.Duration(interval)*time.Second
		seen[x.Source] = x
		names = append(names, x.Source)
		return nil
	}); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO source_watermark (source, devices, limit_s) SELECT unnest($1::text[]), 0, 1 ON CONFLICT DO NOTHING`, names); err != nil {
		return nil, err
	}
	stored, err := loadSources(ctx, tx)
	for i := range stored {
		s, n := &stored[i], seen[stored[i].Source]
		s.Devices, s.Limit, s.since = n.Devices, n.Limit, n.since
		if n.ObservedAt.After(s.ObservedAt) {
			s.ObservedAt = n.ObservedAt
		}
		if n.HeardAt.After(s.HeardAt) {
			s.HeardAt = n.HeardAt
		}
	}
	return stored, err
}

func loadSources(ctx context.Context, q Querier) ([]Source, error) {
	rows, err := q.Query(ctx, `SELECT source_id, source, devices, observed_at, heard_at, limit_s, stale_since, version FROM source_watermark ORDER BY source`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Source, error) {
		var s Source
		var observed, heard, stale *time.Time
		var limit int
		err := row.Scan(&s.id, &s.Source, &s.Devices, &observed, &heard, &limit, &stale, &s.version)
		s.ObservedAt, s.HeardAt, s.StaleSince, s.Limit = fromNull(observed), fromNull(heard), fromNull(stale), time.Duration(limit)*time.Second
		return s, err
	})
}

// LoadSources returns every source that has devices, as it was at the last look; Lag is as of now.
func LoadSources(ctx context.Context, q Querier, now time.Time) ([]Source, error) {
	all, err := loadSources(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("read sources: %w", err)
	}
	out := []Source{}
	for _, s := range all {
		if s.Devices == 0 {
			continue
		}
		if !s.ObservedAt.IsZero() {
			s.Lag = max(0, now.Sub(s.ObservedAt))
		}
		out = append(out, s)
	}
	return out, nil
}

// StaleSources names those whose data is told to be not in step.
func StaleSources(ctx context.Context, q Querier) ([]string, error) {
	rows, err := q.Query(ctx, `SELECT source FROM source_watermark WHERE stale_since IS NOT NULL AND devices > 0 ORDER BY source`)
	if err != nil {
		return nil, fmt.Errorf("read which sources are not in step: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read which sources are not in step: %w", err)
	}
	return out, nil
}
