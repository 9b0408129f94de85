package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/devices"
)

// gapsShown is how many gaps of one device are listed.
const gapsShown = 5

func newDeviceGapsCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "gaps",
		Short: "List the devices of which sequences never arrived, though later ones did",
		Long: `List the devices of which sequences are missing that later ones have overtaken, the most missing first: in all of the last three boots, those told as
lost (missing for a quarter of an hour), and those ever told. The device lost them, or a broker did, or they were refused (zhijiao
quarantine list --device). CONFLICTS are sequences that came again with another content: somebody else may speak in the device's name.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				list, err := devices.ListGaps(ctx, pool, limit)
				if err != nil {
					return err
				}
				return printGaps(cmd.OutOrStdout(), list)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "so many at most")
	return cmd
}

func printGaps(out io.Writer, list []devices.DeviceGaps) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "DEVICE\tMODEL\tMISSING\tLOST\tEVER\tCONFLICTS\tHEARD\tBOOT/SEQUENCES") //nolint:errcheck // Flush says it
	for _, g := range list {
		var gaps []string
		for i, gap := range g.Gaps {
			if i == gapsShown {
				gaps = append(gaps, fmt.Sprintf("and %d more", len(g.Gaps)-i))
				break
			}
			gaps = append(gaps, fmt.Sprintf("%d/%d-%d", gap.Boot, gap.From, gap.To))
		}
		heard := "-"
		if !g.HeardAt.IsZero() {
			heard = g.HeardAt.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\n", g.Serial, g.Model, g.Missing, g.Told, g.Lost, g.Conflicts, heard, strings.Join(gaps, " ")) //nolint:errcheck // as above
	}
	return w.Flush()
}
