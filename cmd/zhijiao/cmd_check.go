package main

import (
	"context"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/geofence"
	"zhijiao/internal/id"
)

func newReplayCheckCommand() *cobra.Command {
	var subject int64
	cmd := &cobra.Command{
		Use:   "replay-check",
		Short: "Derive stored violations again and compare them byte for byte",
		Long: `Derive every violation that stands again, from stored fixes and versions and with the knowledge it was decided on, and compare the
outcome byte for byte with what is stored. Those another version of the engine decided are compared and reported apart. It changes
nothing, and fails when one of this version differs.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				return replayCheck(ctx, pool, id.Subject(subject), cmd.OutOrStdout(), cmd.ErrOrStderr())
			})
		},
	}
	cmd.Flags().Int64Var(&subject, "subject", 0, "only this subject (its number in the database)")
	return cmd
}

func replayCheck(ctx context.Context, pool *pgxpool.Pool, only id.Subject, out, progress io.Writer) error {
	h := geofence.NewHistory(pool)
	subjects, err := chosen(ctx, h, only)
	if err != nil {
		return err
	}
	var same, other, differ int
	progressBar := bar{out: progress, what: "subjects checked:"}
	for i, s := range subjects {
		list, err := h.Check(ctx, s)
		if err != nil {
			return err
		}
		for _, c := range list {
			switch {
			case c.Identical:
				same++
			case c.Engine != geofence.EngineVersion:
				other++
				fmt.Fprintf(out, "violation %d, decided by engine %s: %s\n", c.Violation, c.Engine, c.Difference)
			default:
				differ++
				fmt.Fprintf(out, "violation %d DIFFERS: %s\n", c.Violation, c.Difference)
			}
		}
		progressBar.show(int64(i+1), int64(len(subjects)))
	}
	fmt.Fprintf(out, "%d violations are identical, %d of another engine differ, %d differ\n", same, other, differ)
	if differ > 0 {
		return fmt.Errorf("%d violations are not what their fixes say", differ)
	}
	return nil
}

func chosen(ctx context.Context, h *geofence.History, only id.Subject) ([]id.Subject, error) {
	if only != 0 {
		return []id.Subject{only}, nil
	}
	return h.Subjects(ctx)
}
