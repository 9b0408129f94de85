package geofence_test

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/id"
)

func (p *place) archive(keep int) {
	p.Helper()
	a := geofence.NewArchive(geofence.ArchiveOptions{Pool: p.pool, Clock: p.clock, Log: p.log, PackAfter: 48 * time.Hour, Keep: keep})
	p.ok(a.Round(context.Background(), nil))
}

// track is everything history holds of somebody.
func (p *place) track(s id.Subject) []geofence.TrackFix {
	p.Helper()
	list, err := geofence.ReadTrack(context.Background(), p.pool, p.office, p.clock.Now(), s, noon.AddDate(0, -1, 0), noon.AddDate(1, 0, 0), 100_000)
	p.ok(err)
	return list
}

func (p *place) identical(s id.Subject, n int) {
	p.Helper()
	list, err := geofence.NewHistory(p.pool).Check(context.Background(), s)
	p.ok(err)
	if len(list) != n {
		p.Errorf("%d violations, want %d", len(list), n)
	}
	for _, c := range list {
		if !c.Identical {
			p.Errorf("violation %d: %s", c.Violation, c.Difference)
		}
	}
}

// TestPackedHistoryIsTheSameHistory_R43: whoever reads sees no difference, evaluation comes to the same, and the rows are gone.
func TestPackedHistoryIsTheSameHistory_R43(t *testing.T) {
	t.Parallel()
	p, s := lived(t)
	before := p.track(s)
	p.clock.Step(noon.AddDate(0, 0, 4))
	if p.derive(); len(before) != 10 {
		t.Fatalf("%d fixes", len(before))
	}
	p.archive(0)
	p.want(0, "position")
	p.want(1, "position_pack WHERE hours = 24 AND fixes = 10")
	if after := p.track(s); !reflect.DeepEqual(before, after) {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	p.identical(s, 3)
}

// TestPartitionsAreMadeAhead_R43: a week of days is there before anything of theirs comes; those that are packed are not any more.
func TestPartitionsAreMadeAhead_R43(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wearer("W1")
	p.observe(p.fix("W1", noon, 0))
	p.archive(0)
	if days := p.days(); len(days) != 8 || days[0] != "position_20261123" || days[7] != "position_20261130" {
		t.Errorf("days %v", days)
	}
	p.clock.Step(noon.AddDate(0, 0, 4))
	p.archive(0)
	if days := p.days(); days[0] != "position_20261125" || days[len(days)-1] != "position_20261204" {
		t.Errorf("days %v", days)
	}
}

func (p *place) days() []string {
	p.Helper()
	rows, err := p.pool.Query(context.Background(), "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'position'::regclass ORDER BY 1")
	p.ok(err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	p.ok(err)
	return list
}

// full gives a fix everything R34 asks for.
func full(o devices.Observation, n int) devices.Observation {
	battery, signal, charging := 90-n, -80-n, n%2 == 0
	o.Place.Speed, o.Place.Accuracy = 1.25, 8
	o.Health = devices.Health{Battery: &battery, Signal: &signal, Charging: &charging, Strap: devices.StrapClosed, Cell: fmt.Sprintf("460-00-9346-%d", n/3),
		Operator: "46000", SIM: "89860012345678901234"}
	return o
}

// TestEverythingIsPacked_R34: every column of a fix comes out of a pack as it stood in its row.
func TestEverythingIsPacked_R34(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wearer("W1")
	var list []devices.Observation
	for n := range 10 {
		list = append(list, full(p.fix("W1", noon.Add(time.Duration(n)*time.Minute), float64(n)*10), n))
	}
	p.observe(list...)
	p.want(4, "radio")
	const all = `SELECT md5(string_agg((subject_id, fix_at, device_id, boot, seq, binding_id, received_at, stored_at, answers, accuracy_m, speed_mps, skew_ms, flags, method,
		datum, satellites, battery, strap, signal_dbm, charging, operator, cell, sim, last_gasp, lon_e7, lat_e7)::text, '|' ORDER BY fix_at)) FROM position_geom`
	var before, after string
	p.ok(p.pool.QueryRow(t.Context(), all).Scan(&before))
	p.clock.Step(noon.AddDate(0, 0, 6))
	p.archive(0)
	p.want(0, "position")
	p.want(0, "radio") // together with a SIM a cell says where somebody was
	p.ok(geofence.Unpack(t.Context(), p.pool, noon.Truncate(24*time.Hour)))
	p.want(10, "position")
	p.ok(p.pool.QueryRow(t.Context(), all).Scan(&after))
	if before != after || before == "" {
		t.Errorf("%q became %q", before, after)
	}
}

// TestLateFixForAPackedHour_R43: it is stored, judged and in its place at once, and packed with the others later.
func TestLateFixForAPackedHour_R43(t *testing.T) {
	t.Parallel()
	var tracks [2][]geofence.TrackFix
	for n, packedFirst := range []bool{true, false} {
		p := newPlace(t)
		s := p.wearer("W1")
		p.observe(p.fix("W1", noon, 0), p.fix("W1", noon.Add(10*time.Minute), 8000))
		p.clock.Step(noon.AddDate(0, 0, 4))
		if packedFirst {
			p.archive(0)
			p.want(0, "position")
		}
		p.observe(received(p.clock.Now(), p.fix("W1", noon.Add(11*time.Minute), 8000), p.fix("W1", noon.Add(5*time.Minute), 100))...)
		if packedFirst {
			p.want(2, "position")
			if got := p.track(s); len(got) != 4 || !got[1].At.Equal(noon.Add(5*time.Minute)) || !got[3].At.Equal(noon.Add(11*time.Minute)) {
				t.Errorf("the track is %+v", got)
			}
			p.archive(0) // and packed again before it was judged
			p.want(0, "position")
			p.want(1, "position_pack WHERE fixes = 4")
		}
		if p.derive() != 1 {
			t.Error("nothing was derived")
		}
		p.want(1, "violation WHERE kind = 'left_zone' AND opened_at = $1 AND late", noon.Add(10*time.Minute))
		p.identical(s, 1)
		tracks[n] = p.track(s)
	}
	if !reflect.DeepEqual(tracks[0], tracks[1]) {
		t.Errorf("packed before it was judged: %+v\njudged first: %+v", tracks[0], tracks[1])
	}
}

// TestRepetitionOfAPackedFix_R35: where the window of a device is lost, history decides, packed or not.
func TestRepetitionOfAPackedFix_R35(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wearer("W1")
	first, second := p.fix("W1", noon, 0), p.fix("W1", noon.Add(time.Minute), 0)
	p.observe(first)
	p.clock.Step(noon.AddDate(0, 0, 4))
	p.archive(0)
	_, err := p.pool.Exec(t.Context(), `UPDATE device_health SET heard = '\xff'`)
	p.ok(err)
	p.observe(first, second)
	p.want(1, "position WHERE fix_at = $1", second.At)
	p.want(0, "position WHERE fix_at = $1", first.At)
	if c, err := devices.LoadCounts(t.Context(), p.pool); err != nil || c.Total(devices.Duplicate) != 1 || c.Total(devices.Stored) != 2 {
		t.Errorf("%v, %v", c, err)
	}
}

// TestARowThatIsThere_R35: a fix that history holds is not stored twice, whatever the window of its device says.
func TestARowThatIsThere_R35(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.wearer("W1")
	first := p.fix("W1", noon, 0)
	p.observe(first)
	_, err := p.pool.Exec(t.Context(), `UPDATE device_health SET heard = ''`) // as if nothing had ever come
	p.ok(err)
	p.observe(first)
	p.want(1, "position")
	if c, err := devices.LoadCounts(t.Context(), p.pool); err != nil || c.Total(devices.Duplicate) != 1 {
		t.Errorf("%v, %v", c, err)
	}
}

// TestRetentionLeavesEvidence_R43: months go as a whole; the track around a violation stays with it, and both are on record.
func TestRetentionLeavesEvidence_R43(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s, other := p.wearer("W1"), p.wearer("W2")
	for n := range 6 * 60 {
		at, east := noon.Add(time.Duration(n)*time.Minute), 0.0
		if n >= 180 && n < 190 {
			east = 8000
		}
		p.observe(p.fix("W1", at, east), p.fix("W2", at, 0))
	}
	p.want(1, "violation WHERE kind = 'left_zone' AND state = 'closed'")
	p.clock.Step(noon.AddDate(0, 1, 10)) // 2 January: of November nothing may be left but with keep 1 all of December
	p.archive(2)
	p.want(12, "position_pack")
	p.want(0, "evidence_pack")
	p.archive(0)
	p.want(12, "position_pack")
	p.clock.Step(noon.AddDate(0, 1, 10))
	p.archive(1)
	p.want(0, "position_pack")
	p.want(0, "pg_class WHERE relname = 'position_pack_202611' AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'position_pack'::regclass)")
	p.want(3, "evidence_pack WHERE subject_id = $1", s) // the hour of the violation, and an hour around
	p.want(3, "evidence_pack")
	p.want(1, "violation WHERE jsonb_array_length(evidence -> 'opened' -> 'fixes') > 0")
	if got := p.track(other); len(got) != 0 {
		t.Errorf("%d fixes of somebody nothing was found of", len(got))
	}
	got := p.track(s)
	if len(got) == 0 || got[0].At.After(noon.Add(2*time.Hour)) || got[len(got)-1].At.Before(noon.Add(299*time.Minute)) {
		t.Errorf("%d fixes of the track around the violation", len(got))
	}
	p.want(1, `ledger WHERE kind = 'history.removed' AND body ->> 'month' = '2026-11' AND (body ->> 'fixes')::int = 720 AND (body ->> 'kept_as_evidence')::int = 180`)
}

// TestInterruptedRetentionGoesOn_R43: whoever detached a month and died is followed by somebody who keeps what belongs to violations.
func TestInterruptedRetentionGoesOn_R43(t *testing.T) {
	t.Parallel()
	p, s := lived(t)
	p.clock.Step(noon.AddDate(0, 3, 0))
	p.derive()
	p.archive(0)
	_, err := p.pool.Exec(t.Context(), "ALTER TABLE position_pack DETACH PARTITION position_pack_202611 CONCURRENTLY")
	p.ok(err)
	p.archive(1)
	p.want(0, "pg_class WHERE relname = 'position_pack_202611' AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'position_pack'::regclass)")
	if got := p.track(s); len(got) != 10 {
		t.Errorf("%d fixes", len(got))
	}
}

// TestPackingWhileFixesCome: whoever stores late fixes while their day is packed loses none and doubles none.
func TestPackingWhileFixesCome(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.log = slog.New(slog.DiscardHandler)
	const people, rounds = 6, 12
	var subjects []id.Subject
	for n := range people {
		subjects = append(subjects, p.wearer(devices.Serial(fmt.Sprintf("W%d", n))))
	}
	p.observe(p.fix("W0", noon, 0))
	p.clock.Step(noon.AddDate(0, 0, 4))
	var batches [][]devices.Observation
	for r := range rounds {
		var list []devices.Observation
		for n := range people {
			for m := range 20 {
				list = append(list, p.fix(devices.Serial(fmt.Sprintf("W%d", n)), noon.Add(time.Duration(r*20+m+1)*time.Minute), 0))
			}
		}
		batches = append(batches, received(p.clock.Now(), list...))
	}
	for _, b := range batches {
		var wg sync.WaitGroup
		wg.Go(func() { p.archive(0) })
		wg.Go(func() {
			if err := p.engine.Observe(t.Context(), batch(b...)); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	}
	p.archive(0)
	p.want(0, "position")
	for n, s := range subjects {
		want := rounds * 20
		if n == 0 {
			want++
		}
		got := p.track(s)
		if len(got) != want {
			t.Errorf("%d fixes, want %d", len(got), want)
		}
		for i := range got[1:] {
			if !got[i].At.Before(got[i+1].At) {
				t.Errorf("out of order or double at %s", got[i].At)
			}
		}
	}
}
