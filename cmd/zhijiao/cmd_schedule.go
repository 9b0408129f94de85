package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/geofence"
)

func newScheduleCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "schedule", Short: "The times at which rules apply", Args: cobra.NoArgs}
	cmd.AddCommand(newScheduleListCommand())
	return cmd
}

func newScheduleListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the schedules as they are now",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				return listSchedules(ctx, pool, log, cmd.OutOrStdout())
			})
		},
	}
}

func listSchedules(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger, out io.Writer) error {
	c, closeClock, err := openClock(ctx, pool, log)
	if err != nil {
		return err
	}
	defer closeClock()
	list, err := geofence.Schedules(ctx, pool, 0, c.Now())
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SCHEDULE\tVERSION\tRULES\tDAYS OFF\tNAME\tWHEN") //nolint:errcheck // Flush tells
	for i := range list {
		goesBy := "no"
		if list[i].UsesCalendar() {
			goesBy = "yes"
		}
		doc, err := list[i].MarshalJSON()
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%d\t%d\t%d\t%s\t%s\t%s\n", list[i].ID, list[i].Version, list[i].Rules, goesBy, list[i].Name, doc) //nolint:errcheck // Flush tells
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d shown\n", len(list))
	return err
}
