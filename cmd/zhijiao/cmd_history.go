package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/geofence"
	"zhijiao/internal/limits"
)

func newHistoryCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "history", Short: "What is kept of fixes: days as rows, packed months, evidence, and what may run out"}
	cmd.AddCommand(newHistoryListCommand(), newHistoryPackCommand(), newHistoryUnpackCommand(), newLimitsCommand())
	return cmd
}

func newHistoryListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the days and months of history, with how many fixes they hold and what they cost on disk",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				list, err := geofence.HistoryParts(ctx, pool)
				if err != nil {
					return err
				}
				return printParts(cmd.OutOrStdout(), list)
			})
		},
	}
}

func printParts(out io.Writer, list []geofence.HistoryPart) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "PART\tFIXES\tBYTES\tA FIX\t") //nolint:errcheck // Flush says it
	for _, p := range list {
		each := "-"
		if p.Fixes > 0 {
			each = fmt.Sprintf("%.1f", float64(p.Bytes)/float64(p.Fixes))
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t\n", p.Name, p.Fixes, p.Bytes, each) //nolint:errcheck // Flush says it
	}
	return w.Flush()
}

func newHistoryPackCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pack",
		Short: "Do now what the server does every hour: make days ahead, pack those that are over, remove what is too old",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				domain, closeClock, err := openClock(ctx, pool, log)
				if err != nil {
					return err
				}
				defer closeClock()
				progress := bar{out: cmd.ErrOrStderr(), what: "people's days packed:"}
				return newArchive(cfg, pool, domain, log, nil).Round(ctx, progress.show)
			})
		},
	}
}

func newHistoryUnpackCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "unpack DAY",
		Short: "Make rows of a packed day (2026-11-24, UTC) again, for a database that GIS tools are to look into; the server packs it again within an hour",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			day, err := time.Parse(time.DateOnly, args[0])
			if err != nil {
				return fmt.Errorf("day: %q is not a date such as 2026-11-24", args[0])
			}
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				return geofence.Unpack(ctx, pool, day)
			})
		},
	}
}

func newLimitsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "limits",
		Short: "List what can run out, the fullest first, and when it will at this pace",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				domain, closeClock, err := openClock(ctx, pool, log)
				if err != nil {
					return err
				}
				defer closeClock()
				list, err := readLimits(ctx, pool, brokerStore(cfg), domain.Now())
				if err != nil {
					return err
				}
				return printLimits(cmd.OutOrStdout(), list)
			})
		},
	}
}

func printLimits(out io.Writer, list []limits.Limit) error {
	slices.SortStableFunc(list, func(a, b limits.Limit) int { return cmp.Compare(b.Ratio(), a.Ratio()) })
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "LIMIT\tUSED\tFULL ON") //nolint:errcheck // Flush says it
	for _, l := range list {
		fmt.Fprintf(w, "%s\t%.2f %%\t%s\n", l.Name, l.Ratio()*100, fullAt(l)) //nolint:errcheck // Flush says it
	}
	return w.Flush()
}
