package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/cmd/zhijiao/config"
	"zhijiao/devices"
	"zhijiao/internal/crypto"
)

func newQuarantineCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "quarantine", Short: "What was refused or withheld, and why", Args: cobra.NoArgs}
	cmd.AddCommand(newQuarantineListCommand())
	return cmd
}

func newQuarantineListCommand() *cobra.Command {
	var device, reason, since string
	var limit int
	var payload bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List traces of what was refused or withheld, newest first",
		Long: `List traces of what was refused or withheld, newest first. They are kept for days only. Of what the law keeps from us there
is no payload. --payload shows what was sent where it may be kept, else its shape with every digit masked.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			filter := devices.QuarantineFilter{Serial: devices.Serial(device), Reason: devices.Reason(reason), Limit: limit}
			if since != "" {
				if filter.Since, err = time.Parse(time.RFC3339, since); err != nil {
					return fmt.Errorf("--since: %q is not an instant such as 2026-11-23T14:00:00+08:00", since)
				}
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				rows, err := devices.ListQuarantine(ctx, pool, filter)
				if err != nil {
					return err
				}
				return printQuarantine(cmd.OutOrStdout(), cfg, rows, payload)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&device, "device", "", "only this device")
	f.StringVar(&reason, "reason", "", "only this reason, such as no_authority")
	f.StringVar(&since, "since", "", "only what was received since this instant (RFC 3339)")
	f.IntVar(&limit, "limit", 50, "so many at most")
	f.BoolVar(&payload, "payload", false, "show what was sent, where it may be kept (needs the keys file)")
	return cmd
}

func printQuarantine(out io.Writer, cfg *config.Config, rows []devices.QuarantineRow, payload bool) error {
	var keys crypto.Provider
	if payload {
		k, err := crypto.Load(cfg.Keys())
		if err != nil {
			return err
		}
		keys = k
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NO\tRECEIVED\tDEVICE\tKIND\tOUTCOME\tREASON\tFIELD\tBOOT/SEQ\tOBSERVED\tSIZE\tMESSAGES")
	for i := range rows {
		r := &rows[i]
		observed, seq := "", ""
		if !r.At.IsZero() {
			observed = r.At.Format(time.RFC3339)
		}
		if r.Boot >= 0 || r.Seq >= 0 {
			seq = fmt.Sprintf("%d/%d", r.Boot, r.Seq)
		}
		fmt.Fprintf(w, "%d\t%s\t%q\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\n", r.ID, r.ReceivedAt.Format(time.RFC3339), string(r.Serial), r.Kind, r.Outcome, r.Reason, r.Field, seq, observed, r.Size, r.Stands)
		if payload && len(r.Payload) > 0 {
			text, err := r.Open(keys)
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "\t%q\n", text) // quoted: a stranger wrote it, and a terminal obeys escape sequences
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%d shown\n", len(rows))
	return err
}
