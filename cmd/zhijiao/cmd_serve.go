package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func newServeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the server against a database and a broker that run elsewhere",
		Long: `Run the server against database_url and broker.url: ingest, the core, alerts and the console. The schema must be this program's
(see migrate). A broker that is away is waited for; /healthz says so meanwhile.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			switch {
			case cfg.Database.URL == "":
				return errors.New("database_url is needed (or use `zhijiao up`, which runs a PostgreSQL of its own)")
			case cfg.Broker.URL == "":
				return errors.New("broker.url is needed (or use `zhijiao up`, which embeds a broker)")
			}
			app, err := newApp(cmd.Context(), cfg, log, plan{server: true})
			if err != nil {
				return endedEarly(cmd.Context(), log, err)
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "the console is at %s\n", app.page); err != nil {
				return errors.Join(err, app.Stop())
			}
			return app.Run(cmd.Context())
		},
	}
}
