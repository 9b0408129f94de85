package geofence

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/internal/clock"
	"zhijiao/internal/id"
)

const (
	// daysAhead is how many days have a partition before anything of theirs comes: whoever stores must not wait for one.
	daysAhead = 7
	// packedAtOnce is how many people's day is packed in one transaction: they cannot be judged meanwhile, some tens of milliseconds.
	packedAtOnce = 16
	// archiveEvery is how often the archive looks whether there is something to do.
	archiveEvery = time.Hour
)

// Archive keeps history small and no longer than it may be kept: partitions are made ahead, days that are over are packed, and
// what is older than retention goes, except the tracks around violations, which belong to the case file (R43; 个人信息保护法 19, 47).
// Any number of processes may run one; one at a time works.
type Archive struct {
	ArchiveOptions
	packed, removed prometheus.Counter
	done            prometheus.Gauge
}

// ArchiveOptions say how.
type ArchiveOptions struct {
	Pool       *pgxpool.Pool
	Clock      clock.Clock
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: none
	PackAfter  time.Duration         // after the end of a day: what comes late comes before
	Keep       int                   // whole months fixes are kept; 0: for ever
}

// NewArchive returns an archive that has not begun.
func NewArchive(o ArchiveOptions) *Archive {
	a := &Archive{ArchiveOptions: o,
		packed: prometheus.NewCounter(prometheus.CounterOpts{Name: "zhijiao_history_packed_fixes_total", Help: "Fixes of days that are over, packed by this process."}),
		removed: prometheus.NewCounter(prometheus.CounterOpts{Name: "zhijiao_history_removed_fixes_total",
			Help: "Fixes removed by this process because they were older than history.keep_months."}),
		done: prometheus.NewGauge(prometheus.GaugeOpts{Name: "zhijiao_history_archived_timestamp_seconds",
			Help: "When this process last found nothing left to pack or to remove."})}
	if o.Registerer != nil {
		o.Registerer.MustRegister(a.packed, a.removed, a.done)
	}
	return a
}

// Run works until the context ends. What fails is tried again.
func (a *Archive) Run(ctx context.Context) error {
	tick := time.NewTicker(archiveEvery)
	defer tick.Stop()
	for {
		if err := a.Round(ctx, nil); err != nil && ctx.Err() == nil {
			a.Log.Warn("history was not archived, it will be tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Round does what there is to do, unless another process is at it. progress, where it is not nil, is told how many of how many
// people's days are done.
func (a *Archive) Round(ctx context.Context, progress func(done, all int64)) error {
	return alone(ctx, a.Pool, func() error {
		now := a.Clock.Now()
		if err := a.prepare(ctx, now); err != nil {
			return err
		}
		if err := a.pack(ctx, now, progress); err != nil {
			return err
		}
		if err := a.retain(ctx, now); err != nil {
			return err
		}
		a.done.SetToCurrentTime()
		return nil
	})
}

// prepare makes the partitions of the days to come.
func (a *Archive) prepare(ctx context.Context, now time.Time) error {
	for n := range daysAhead + 1 {
		if err := makeDay(ctx, a.Pool, now.AddDate(0, 0, n)); err != nil {
			return err
		}
	}
	return nil
}

// pack packs what is old enough, day by day, and drops the partitions that are empty then.
func (a *Archive) pack(ctx context.Context, now time.Time, progress func(done, all int64)) error {
	days, err := storedDays(ctx, a.Pool)
	if err != nil {
		return err
	}
	complete := true
	for _, day := range days {
		if day.AddDate(0, 0, 1).Add(a.PackAfter).After(now) {
			continue
		}
		n, left, err := a.packOne(ctx, day, progress)
		if err != nil {
			return fmt.Errorf("pack %s: %w", day.Format(time.DateOnly), err)
		}
		if n > 0 {
			a.Log.Info("packed a day of history", "day", day.Format(time.DateOnly), "fixes", n)
		}
		if left {
			complete = false
			continue
		}
		if err := dropDay(ctx, a.Pool, day); err != nil {
			a.Log.Info("the partition of a packed day is in use, it will be dropped later", "day", day.Format(time.DateOnly), "err", err)
		}
	}
	if !complete {
		return nil
	}
	// No row is left of those days, so whatever is not packed was stored since: what was last used before is not referred to.
	return forgetRadios(ctx, a.Pool, now.Add(-a.PackAfter).AddDate(0, 0, -2))
}

// packOne packs one day. left: of somebody there is still something, whose lock others had.
func (a *Archive) packOne(ctx context.Context, day time.Time, progress func(done, all int64)) (n int64, left bool, err error) {
	if err := makeMonth(ctx, a.Pool, day); err != nil {
		return 0, false, err
	}
	all, err := subjectsOf(ctx, a.Pool, day)
	if err != nil {
		return 0, false, err
	}
	done := 0
	for round := 0; len(all) > 0 && round < 3; round++ {
		var again []id.Subject
		for begin := 0; begin < len(all); begin += packedAtOnce {
			some := all[begin:min(begin+packedAtOnce, len(all))]
			fixes, skipped, err := packSome(ctx, a.Pool, some, day)
			if err != nil {
				return n, true, err
			}
			n += fixes
			a.packed.Add(float64(fixes))
			again = append(again, skipped...)
			if done += len(some) - len(skipped); progress != nil {
				progress(int64(done), int64(done+len(all)-begin-len(some)+len(again)))
			}
		}
		all = again
	}
	return n, len(all) > 0, nil
}

// retain removes months that are older than history is kept, after what violations rest on was put aside.
func (a *Archive) retain(ctx context.Context, now time.Time) error {
	months, err := packedMonths(ctx, a.Pool)
	if err != nil {
		return err
	}
	for _, m := range months {
		if !m.loose && (a.Keep <= 0 || m.first.AddDate(0, a.Keep+1, 0).After(now)) {
			continue
		}
		if !m.loose {
			rows, err := rowsBefore(ctx, a.Pool, m.first.AddDate(0, 1, 0))
			if err != nil {
				return err
			}
			if rows {
				a.Log.Warn("a month of history is old enough to go, but not all of it is packed", "month", m.first.Format("2006-01"))
				continue
			}
		}
		fixes, kept, err := removeMonth(ctx, a.Pool, m, now)
		if err != nil {
			return fmt.Errorf("remove history of %s: %w", m.first.Format("2006-01"), err)
		}
		a.removed.Add(float64(fixes))
		a.Log.Info("removed a month of history", "month", m.first.Format("2006-01"), "fixes", fixes, "kept_as_evidence", kept)
	}
	return nil
}
