package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func newUpCommand() *cobra.Command {
	var demo, rehearsal bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run everything on this machine",
		Long: `Run everything on this machine until a signal ends it: a private PostgreSQL in data_dir (unless database_url is set), the
embedded broker, the schema's migrations, and the server. A new data folder is made live, for real people, unless --demo
or --rehearsal says otherwise; that cannot be changed afterwards.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			p := plan{migrate: true, mode: modeLive, broker: cfg.Broker.URL == "", server: true, demo: demo, freePorts: true}
			if demo || rehearsal {
				p.mode = modeRehearsal
			}
			if demo {
				first := demoClock(time.Now())
				p.clock = &first
			}
			app, err := newApp(cmd.Context(), cfg, log, p)
			if err != nil {
				return endedEarly(cmd.Context(), log, err)
			}
			if err := app.tell(cmd.Context(), cmd.OutOrStdout()); err != nil {
				return endedEarly(cmd.Context(), log, errors.Join(err, app.Stop()))
			}
			return app.Run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&demo, "demo", false, "load invented people and let them move through Tianmen, sixty times as fast; makes a rehearsal")
	cmd.Flags().BoolVar(&rehearsal, "rehearsal", false, "make a new database a rehearsal: simulated time, invented people only")
	return cmd
}

// tell says where everything is, to a person.
func (a *App) tell(ctx context.Context, out io.Writer) error {
	var text bytes.Buffer // told at once: whoever waits for the first line has all of it
	w := tabwriter.NewWriter(&text, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "\nzhijiao is ready\n  page\t%s\n", a.page)
	if a.plan.demo {
		fmt.Fprintf(w, "  login\t%s\n  password\t%s\n", a.demo.login, a.demo.password)
	} else if any, err := anyAccount(ctx, a.pool); err != nil {
		return err
	} else if !any {
		fmt.Fprintf(w, "  login\tnobody can log in yet: zhijiao officer add --help\n")
	}
	if a.broker != nil {
		fmt.Fprintf(w, "  devices\t%s (MQTT)\n", a.broker.URL())
	}
	fmt.Fprintf(w, "  data\t%s\n", a.cfg.DataDir)
	if a.mode == modeRehearsal {
		fmt.Fprintf(w, "  a rehearsal: time is simulated and nobody in it exists\n")
	}
	fmt.Fprintln(w, "  Ctrl-C stops it")
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := text.WriteTo(out)
	return err
}
