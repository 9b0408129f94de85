package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func newBrokerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "broker",
		Short: "Run the embedded broker alone",
		Long: `Run the embedded broker alone, against database_url. Devices are admitted by the registry in the database, of which it keeps a
snapshot fresh: a device that is revoked is cut within moments, and devices come and go while the database is away.
Sessions of ` + "`zhijiao serve`" + ` are admitted by the password in broker.password_file.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			switch {
			case cfg.Database.URL == "":
				return errors.New("database_url is needed: the registry of devices is in the database")
			case cfg.Broker.PasswordFile == "":
				return errors.New("broker.password_file is needed: `zhijiao serve` shows its password to be let in")
			case cfg.Broker.URL != "":
				return errors.New("broker.url names a broker that runs elsewhere: leave it empty here")
			}
			app, err := newApp(cmd.Context(), cfg, log, plan{broker: true})
			if err != nil {
				return endedEarly(cmd.Context(), log, err)
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "the broker listens at %s\n", app.broker.URL()); err != nil {
				return errors.Join(err, app.Stop())
			}
			return app.Run(cmd.Context())
		},
	}
	cmd.AddCommand(newBrokerExportCommand(), newBrokerProbeCommand())
	return cmd
}
