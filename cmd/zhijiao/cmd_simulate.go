package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"zhijiao/cmd/zhijiao/config"
	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/internal/clock"
)

// rehearsal is what `simulate` does.
type rehearsal struct {
	people, wristbands, days, misdeeds int
	batch                              int // fixes in a wristband's message; 0: one
	seed                               uint64
	step                               time.Duration
	rate                               float64 // 0: stepped
	start                              string
	truth                              string
	behaviours                         simulate.Behaviours

	only []simulate.Misdeed // instead of drawn ones

	lived *simulate.World // the world they live in
}

func newSimulateCommand() *cobra.Command {
	var r rehearsal
	var free bool
	var behaviours string
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Let invented people live through days, and write down what they really did",
		Long: `Run everything on a rehearsal and let 1 to 10,000 invented people live there for so many days: home, work, errands and sleep,
devices with noise and gaps, and a few misdeeds. --dense of them wear wristbands, which send a fix a minute; the others carry
phones, which answer three checks a day and whatever is demanded. The same seed gives the same days. --truth tells, a line of JSON
each, what went wrong, when, what the platform calls it, and whether what the devices sent could show it (and why not), so that
alerts can be held against it.

Stepped (the default): time stands still until all that was sent is accounted for and everything that follows has happened,
then moves on by --step; the result does not depend on the machine. With --rate time runs by itself, so many times as fast.
Afterwards the data folder is there for ` + "`zhijiao up`" + `.

Behaviours, separated by commas; all of them by default, "none", or all but some ("all,-area_outage"). What goes wrong, and what
the platform calls it, and then what is nobody's fault:

` + simulate.DescribeBehaviours(),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			if cfg.Broker.URL != "" {
				return errors.New("simulate runs a broker of its own: leave broker.url empty")
			}
			if cmd.Flags().Changed("rate") && (r.rate <= 0 || r.rate > 120) {
				return errors.New("--rate: more than 0, at most 120")
			}
			if free && r.rate > 0 {
				return errors.New("--stepped and --rate exclude one another")
			}
			if r.behaviours, err = simulate.ParseBehaviours(behaviours); err != nil {
				return fmt.Errorf("--behaviours: %w", err)
			}
			if err := r.defaults(cmd.Flags().Changed("dense"), cmd.Flags().Changed("misdeeds")); err != nil {
				return err
			}
			err = r.run(cmd.Context(), cfg, log, cmd.OutOrStdout(), cmd.ErrOrStderr())
			return ended(cmd.Context(), err)
		},
	}
	f := cmd.Flags()
	f.IntVar(&r.people, "people", 50, "how many people, 1 to 10,000")
	f.IntVar(&r.wristbands, "dense", 12, "how many of them wear a wristband, a third of those a phone as well; the others carry phones; not given, a twentieth of the people where that is more")
	f.IntVar(&r.batch, "batch", 1, "how many fixes a wristband sends in one message")
	f.Uint64Var(&r.seed, "seed", 1, "the same seed gives the same people and days")
	f.IntVar(&r.days, "days", 1, "how many days")
	f.IntVar(&r.misdeeds, "misdeeds", 4, "how many things go wrong each day; not given, a twenty-fifth of the people where that is more")
	f.StringVar(&behaviours, "behaviours", "all", "what goes wrong and what is odd, see above")
	f.StringVar(&r.start, "start", "", "first day, YYYY-MM-DD (default today); a folder that has been used goes on from where it stands")
	f.BoolVar(&free, "stepped", false, "move time only when everything is at rest (the default without --rate)")
	f.DurationVar(&r.step, "step", 2*time.Minute, "how far time moves at once, at most "+longestStep.String())
	f.Float64Var(&r.rate, "rate", 0, "let time run by itself, so many times as fast, at most 120")
	f.StringVar(&r.truth, "truth", "", "file to write what went wrong to, JSON lines")
	return cmd
}

// defaults are those that depend on how many people there are.
func (r *rehearsal) defaults(dense, misdeeds bool) error {
	if r.people < 1 || r.people > 10_000 {
		return errors.New("--people: 1 to 10,000")
	}
	if !dense {
		r.wristbands = min(r.people, max(12, r.people/20))
	}
	if !misdeeds {
		r.misdeeds = max(4, r.people/25)
	}
	switch {
	case r.wristbands < 0 || r.wristbands > r.people:
		return fmt.Errorf("--dense: 0 to %d", r.people)
	case r.days < 1:
		return errors.New("--days: at least 1")
	case r.batch < 1 || r.batch > mostBatch:
		return fmt.Errorf("--batch: 1 to %d", mostBatch)
	case r.misdeeds < 0:
		return errors.New("--misdeeds: none or some")
	}
	return nil
}

// mostBatch is the most fixes a wristband sends in one message.
const mostBatch = 10

// run starts the program, lets the people live, stops it and writes the truth.
func (r *rehearsal) run(ctx context.Context, cfg *config.Config, log *slog.Logger, out, progress io.Writer) (err error) {
	setting := clock.Setting{Kind: clock.Stepped, At: midnight(time.Now()).UTC()}
	if r.start != "" {
		day, err := time.ParseInLocation(time.DateOnly, r.start, shanghai)
		if err != nil {
			return errors.New("--start: a day is YYYY-MM-DD")
		}
		setting.At = day.UTC()
	}
	app, err := newApp(ctx, cfg, log, plan{migrate: true, mode: modeRehearsal, broker: true, server: true, freePorts: true, stepped: r.rate == 0, clock: &setting})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.Stop()) }()
	if _, err := fmt.Fprintf(out, "the console is at %s\n", app.page); err != nil {
		return err
	}
	if app.mode != modeRehearsal {
		return fmt.Errorf("%w: simulated people live in a rehearsal", errMode)
	}
	truth, err := r.live(ctx, app, progress)
	if err != nil {
		return err
	}
	shown := 0
	for _, t := range truth {
		if t.Visible {
			shown++
		}
	}
	if _, err := fmt.Fprintf(out, "%d people lived %d days; %d things went wrong, of which what was sent could show %d\n", r.people, r.days, len(truth), shown); err != nil {
		return err
	}
	return r.write(truth)
}

func (r *rehearsal) write(truth []simulate.Truth) error {
	if r.truth == "" {
		return nil
	}
	var lines bytes.Buffer
	e := json.NewEncoder(&lines)
	for i := range truth {
		if err := e.Encode(&truth[i]); err != nil {
			return err
		}
	}
	if err := os.WriteFile(r.truth, lines.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write the truth: %w", err)
	}
	return nil
}

// live enrols the people in a running program and lets them live for the days. It returns what they did wrong.
func (r *rehearsal) live(ctx context.Context, app *App, progress io.Writer) ([]simulate.Truth, error) {
	if err := app.settleClock(ctx, r.rate); err != nil {
		return nil, err
	}
	start := app.clock.Now()
	w, misdeeds, err := r.world(start)
	if err != nil {
		return nil, err
	}
	r.lived = w
	e := newEnroller(app.pool, app.keys, app.clock)
	c, err := e.county(ctx)
	if err != nil {
		return nil, err
	}
	list := newcomers(w, r.people, r.wristbands, start, slices.Contains(r.behaviours.Deeds, simulate.Dwell))
	secrets, err := e.enrol(ctx, c, list)
	if err != nil {
		return nil, err
	}
	if err := e.companies(ctx, c, simulate.Pairs(misdeeds), slices.Contains(r.behaviours.Deeds, simulate.Gather), start); err != nil {
		return nil, err
	}
	url, tlsConfig, err := app.devicesLink(secrets)
	if err != nil {
		return nil, err
	}
	p := newPeople(w, url, tlsConfig, app.log.With("component", "simulate"))
	defer p.fleet.Close()
	if err := p.connect(ctx, secrets); err != nil {
		return nil, err
	}
	until := start.AddDate(0, 0, r.days)
	b := bar{out: progress, what: "minutes"}
	show := func(now time.Time) { b.show(int64(now.Sub(start).Minutes()), int64(until.Sub(start).Minutes())) }
	daily := func(now time.Time) error { return e.renew(ctx, c, list, now) }
	if r.rate > 0 {
		running, cancel := context.WithCancel(ctx)
		defer cancel()
		over, stop := app.clock.After(until)
		defer stop()
		go func() {
			select {
			case <-over:
				cancel()
			case <-running.Done():
			}
		}()
		if err := p.live(running, app.clock, daily); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		flush, done := context.WithTimeout(ctx, quietWithin)
		defer done()
		if err := p.fleet.FlushAll(flush); err != nil {
			return nil, err
		}
		return w.Truth(app.clock.Now()), nil
	}
	s := stepped{app: app, people: p, step: r.step}
	for day := 1; day <= r.days; day++ {
		if err := s.run(ctx, start.AddDate(0, 0, day), show); err != nil {
			return nil, err
		}
		if err := daily(app.clock.Now()); err != nil {
			return nil, err
		}
	}
	return w.Truth(until), nil
}

// world is the city with all that will go wrong there.
func (r *rehearsal) world(start time.Time) (*simulate.World, []simulate.Misdeed, error) {
	o, err := inventedWorld(r.people, r.wristbands, r.seed, start, start.Unix())
	if err != nil {
		return nil, nil, err
	}
	o.Batch, o.Quirks, o.Misdeeds = r.batch, r.behaviours.Quirks, r.only
	for _, d := range r.behaviours.Deeds {
		switch d {
		case simulate.PhoneAtHome:
			o.Both = r.wristbands / 3
		case simulate.NightOut, simulate.MissOffice:
			o.Windows = true
		case simulate.Dwell:
			o.Concern = simulate.DemoConcern
		}
	}
	w, err := simulate.New(o)
	if err != nil || r.only != nil {
		return w, r.only, err
	}
	misdeeds := w.Plan(r.behaviours.Deeds, r.days, r.misdeeds)
	return w, misdeeds, w.Do(misdeeds)
}

// settleClock has domain time stand still (rate 0) or run.
func (a *App) settleClock(ctx context.Context, rate float64) error {
	s := clock.Setting{Kind: clock.Stepped}
	if rate > 0 {
		s = clock.Setting{Kind: clock.Scaled, Rate: rate}
	}
	if err := clock.Set(ctx, a.pool, s); err != nil {
		return err
	}
	for {
		if r := a.clock.Read(); r.Kind == s.Kind && (rate == 0 || r.Rate == rate) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookAgain):
		}
	}
}
