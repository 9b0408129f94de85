package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"zhijiao/cmd/zhijiao/config"
	"zhijiao/cmd/zhijiao/simulate"
	"zhijiao/internal/clock"
)

// rehearsal is what `simulate` does.
type rehearsal struct {
	people, wristbands, days, misdeeds int
	seed                               uint64
	step                               time.Duration
	rate                               float64 // 0: stepped
	start                              string
	truth                              string

	only []simulate.Misdeed // instead of drawn ones
}

func newSimulateCommand() *cobra.Command {
	var r rehearsal
	var free bool
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Let invented people live through days, and write down what they really did",
		Long: `Run everything on a rehearsal and let invented people live there for so many days: home, work, errands and sleep, devices with
noise and gaps, and a few misdeeds. The same seed gives the same days. --truth tells what everybody did wrong and whether
what their devices sent could show it, so that alerts can be held against it.

Stepped (the default): time stands still until all that was sent is accounted for and everything that follows has happened,
then moves on by --step; the result does not depend on the machine. With --rate time runs by itself, so many times as fast.
Afterwards the data folder is there for ` + "`zhijiao up`" + `.`,
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
			err = r.run(cmd.Context(), cfg, log, cmd.OutOrStdout(), cmd.ErrOrStderr())
			return ended(cmd.Context(), err)
		},
	}
	f := cmd.Flags()
	f.IntVar(&r.people, "people", 50, "how many people")
	f.IntVar(&r.wristbands, "wristbands", 12, "how many of them wear a wristband; the others carry phones")
	f.Uint64Var(&r.seed, "seed", 1, "the same seed gives the same people and days")
	f.IntVar(&r.days, "days", 1, "how many days")
	f.IntVar(&r.misdeeds, "misdeeds", 4, "how many things go wrong each day")
	f.StringVar(&r.start, "start", "", "first day, YYYY-MM-DD (default today); a folder that has been used goes on from where it stands")
	f.BoolVar(&free, "stepped", false, "move time only when everything is at rest (the default without --rate)")
	f.DurationVar(&r.step, "step", 2*time.Minute, "how far time moves at once, at most "+longestStep.String())
	f.Float64Var(&r.rate, "rate", 0, "let time run by itself, so many times as fast, at most 120")
	f.StringVar(&r.truth, "truth", "", "file to write what was done wrong to, JSON")
	return cmd
}

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
	app, err := newApp(ctx, cfg, log, plan{migrate: true, mode: modeRehearsal, broker: true, server: true, freePorts: true, clock: &setting})
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
		if t.Shown {
			shown++
		}
	}
	if _, err := fmt.Fprintf(out, "%d people lived %d days; %d misdeeds, of which what was sent could show %d\n", r.people, r.days, len(truth), shown); err != nil {
		return err
	}
	return r.write(truth)
}

func (r *rehearsal) write(truth []simulate.Truth) error {
	if r.truth == "" {
		return nil
	}
	doc, err := json.MarshalIndent(truth, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.truth, append(doc, '\n'), 0o600); err != nil {
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
	o, err := inventedWorld(r.people, r.wristbands, r.seed, start, start.Unix())
	if err != nil {
		return nil, err
	}
	if o.Misdeeds = r.only; r.only == nil {
		o.Misdeeds = r.draw(start)
	}
	w, err := simulate.New(o)
	if err != nil {
		return nil, err
	}
	e := newEnroller(app.pool, app.keys, app.clock)
	c, err := e.county(ctx)
	if err != nil {
		return nil, err
	}
	list := newcomers(w, r.people, r.wristbands, start)
	secrets, err := e.enrol(ctx, c, list)
	if err != nil {
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

// draw spreads misdeeds over the days: those with a wristband in turn, now and then somebody with a phone.
func (r *rehearsal) draw(start time.Time) []simulate.Misdeed {
	plan := schedule{seed: r.seed, people: r.people, wristbands: r.wristbands, first: start.AddDate(0, 0, -1)}
	var out []simulate.Misdeed
	for day := 1; day <= r.days; day++ {
		today := plan.day(day, start)
		out = append(out, today[:min(r.misdeeds, len(today))]...)
	}
	return out
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
