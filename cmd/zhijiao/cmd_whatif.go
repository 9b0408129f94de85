package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/alerts"
	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/id"
)

// whatif is what is tried.
type whatif struct {
	subject     int64
	days        int
	kind        string
	params      string
	zone        int64
	file, datum string
	add, drop   bool
	basis       string
}

func newWhatIfCommand() *cobra.Command {
	var w whatif
	cmd := &cobra.Command{
		Use:   "whatif --kind stay_in --params '{\"band_m\":200}'",
		Short: "Try a changed rule, zone or threshold over history: what would have been raised",
		Long: `Judge the stored history of one subject or of all with a change that is not made, and tell what would have been raised, by class and
kind, against what was. --params changes thresholds of every rule of the kind, --zone FILE another outline of a zone, --add gives
everybody a rule of the kind, --drop takes the rules of the kind away. Nothing is written. A rule that asks for confirming fixes
would have asked: what people would have answered nobody knows.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			change, err := w.change()
			if err != nil {
				return err
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				c, closeClock, err := openClock(ctx, pool, log)
				if err != nil {
					return err
				}
				defer closeClock()
				return w.run(ctx, pool, change, c.Now(), cmd.OutOrStdout(), cmd.ErrOrStderr())
			})
		},
	}
	f := cmd.Flags()
	f.Int64Var(&w.subject, "subject", 0, "only this subject (its number in the database)")
	f.IntVar(&w.days, "days", 30, "so many days back from now, 1 to 366")
	f.StringVar(&w.kind, "kind", "", "kind of the rules that change, such as stay_in")
	f.StringVar(&w.params, "params", "", "thresholds to change, JSON, such as {\"band_m\":200,\"grace_s\":300}")
	f.Int64Var(&w.zone, "zone", 0, "zone whose outline changes, or that an added rule is about")
	f.StringVar(&w.file, "outline", "", "GeoJSON with the outline to try for --zone")
	f.StringVar(&w.datum, "datum", "", "of the outline: WGS-84, CGCS2000, GCJ-02 or BD-09")
	f.BoolVar(&w.add, "add", false, "give everybody a rule of the kind")
	f.BoolVar(&w.drop, "drop", false, "take the rules of the kind away")
	f.StringVar(&w.basis, "basis", "check", "legal basis of an added rule")
	return cmd
}

// change makes what was asked for a change of facts.
func (w *whatif) change() (func(*geofence.Facts), error) {
	var changes []func(*geofence.Facts)
	kind := geofence.RuleKind(w.kind)
	switch {
	case w.days < 1 || w.days > 366:
		return nil, errors.New("--days: 1 to 366")
	case w.add && w.drop:
		return nil, errors.New("--add and --drop exclude one another")
	case w.kind == "" && w.file == "":
		return nil, errors.New("--kind or --outline: say what changes")
	}
	if w.kind != "" {
		if err := geofence.CheckParams(kind, []byte(w.params)); err != nil {
			return nil, fmt.Errorf("--params: %w", err)
		}
		switch {
		case w.drop:
			changes = append(changes, func(f *geofence.Facts) { f.DropRules(kind) })
		case w.add:
			params, err := geofence.ParseParams(kind, []byte(w.params))
			if err != nil {
				return nil, err
			}
			changes = append(changes, func(f *geofence.Facts) { f.AddRule(kind, geofence.ZoneID(w.zone), w.basis, params) })
		default:
			changes = append(changes, func(f *geofence.Facts) { f.ChangeParams(kind, []byte(w.params)) })
		}
	}
	if w.file != "" {
		zone, err := w.outline()
		if err != nil {
			return nil, err
		}
		changes = append(changes, func(f *geofence.Facts) { f.ReplaceZone(zone) })
	}
	return func(f *geofence.Facts) {
		for _, c := range changes {
			c(f)
		}
	}, nil
}

func (w *whatif) outline() (*geofence.Zone, error) {
	datum, ok := devices.ParseDatum(w.datum)
	if !ok || w.zone == 0 {
		return nil, errors.New("--outline: say --zone, and --datum as one of WGS-84, CGCS2000, GCJ-02, BD-09")
	}
	in, err := os.Open(w.file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	list, err := geofence.ImportGeoJSON(in, datum)
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("--outline: %d polygons, one is needed", len(list))
	}
	return geofence.NewPolygon(geofence.ZoneID(w.zone), 1, geofence.Interval{}, list[0].Geometry)
}

// classKey is a line of the report.
type classKey struct {
	class alerts.Class
	kind  geofence.ViolationKind
}

func (w *whatif) run(ctx context.Context, pool *pgxpool.Pool, change func(*geofence.Facts), now time.Time, out, progress io.Writer) error {
	h := geofence.NewHistory(pool)
	subjects, err := chosen(ctx, h, id.Subject(w.subject))
	if err != nil {
		return err
	}
	policy, err := alerts.PolicyAt(ctx, pool, now)
	if err != nil {
		return err
	}
	trial := &geofence.Trial{From: now.AddDate(0, 0, -w.days), Until: now, Change: change}
	was, err := h.Was(ctx, subjects, trial.From, trial.Until)
	if err != nil {
		return err
	}
	would, observations, err := tryAll(ctx, h, subjects, trial, progress)
	if err != nil {
		return err
	}
	counts := map[classKey][2]int{}
	for i, list := range [][]geofence.Found{was, would} {
		for _, f := range list {
			k := classKey{policy.Class(&f.Body), f.Body.Kind}
			c := counts[k]
			c[i]++
			counts[k] = c
		}
	}
	fmt.Fprintf(out, "%d subjects, %d observations of %d days\n", len(subjects), observations, w.days)
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "class\tkind\twas\twould be\ta week\t")
	weight := map[alerts.Class]int{alerts.Alarm: 0, alerts.Reminder: 1, alerts.Lead: 2}
	for _, k := range slices.SortedFunc(maps.Keys(counts), func(a, b classKey) int {
		return cmp.Or(cmp.Compare(weight[a.class], weight[b.class]), strings.Compare(string(a.kind), string(b.kind)))
	}) {
		c := counts[k]
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%+.1f\t\n", k.class, k.kind, c[0], c[1], float64(c[1]-c[0])*7/float64(w.days))
	}
	return t.Flush()
}

// tryAll tries subjects two at a time: while one is judged another one is read.
func tryAll(ctx context.Context, h *geofence.History, subjects []id.Subject, t *geofence.Trial, progress io.Writer) ([]geofence.Found, int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	progressBar, done := bar{out: progress, what: "subjects judged:"}, int64(0)
	work := make(chan id.Subject)
	var mu sync.Mutex
	var found []geofence.Found
	var observations int
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for s := range work {
				list, n, err := h.Try(ctx, s, t)
				mu.Lock()
				if err != nil {
					cancel(err)
				}
				found, observations = append(found, list...), observations+n
				done++
				progressBar.show(done, int64(len(subjects)))
				mu.Unlock()
			}
		})
	}
	for _, s := range subjects {
		if ctx.Err() == nil {
			work <- s
		}
	}
	close(work)
	group.Wait()
	if ctx.Err() != nil {
		return nil, 0, context.Cause(ctx)
	}
	return found, observations, nil
}
