package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/migrations"
)

func newMigrateCommand() *cobra.Command {
	var rehearsal bool
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to the schema of this program",
		Long: `Bring the database to the schema of this program. Nothing happens when it is there already; a newer schema is refused.
A database that is new is made live, for real people, or with --rehearsal made to run on simulated time. That cannot be
changed afterwards.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			mode := modeLive
			if rehearsal {
				mode = modeRehearsal
			}
			return oneDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				mode, err := migrateUp(ctx, pool, mode)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "schema %d, %s\n", migrations.Newest(), mode)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&rehearsal, "rehearsal", false, "make a new database a rehearsal: simulated time, invented people only")
	return cmd
}
