package main

import (
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
			p := plan{migrate: true, mode: modeLive, broker: cfg.Broker.URL == "", server: true, freePorts: true}
			if demo || rehearsal {
				p.mode = modeRehearsal
			}
			app, err := newApp(cmd.Context(), cfg, log, p)
			if err != nil {
				return ended(cmd.Context(), err)
			}
			return app.Run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&demo, "demo", false, "load invented people and let them move through Tianmen, sixty times as fast; makes a rehearsal")
	cmd.Flags().BoolVar(&rehearsal, "rehearsal", false, "make a new database a rehearsal: simulated time, invented people only")
	return cmd
}
