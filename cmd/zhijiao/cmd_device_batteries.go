package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"zhijiao/geofence"
)

func newDeviceBatteriesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "batteries",
		Short: "List the devices whose battery runs out within 8 hours, the first to do so first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withDevices(cmd, func(ctx context.Context, tx pgx.Tx, d *deviceDesk) error {
				list, err := geofence.DyingBatteries(ctx, tx, 0, d.now)
				if err != nil {
					return err
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
				fmt.Fprintln(w, "DEVICE\tMODEL\tBATTERY\tREAD\tAN HOUR\tEMPTY") //nolint:errcheck // Flush says it
				for _, b := range list {
					fmt.Fprintf(w, "%s\t%s\t%d %%\t%s\t%.1f %%\t%s\n", b.Serial, b.Model, b.Percent, b.At.Format(time.RFC3339), b.PerHour, b.Dead.Format(time.RFC3339)) //nolint:errcheck // as above
				}
				return w.Flush()
			})
		},
	}
}
