package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/alerts"
	"zhijiao/geofence"
)

func newExplainCommand() *cobra.Command {
	var lang string
	cmd := &cobra.Command{
		Use:   "explain VIOLATION",
		Short: "Tell in words what a violation was decided on",
		Long: `Print the chain from fixes to a violation: the rule and its legal basis, the thresholds, every fix with its verdict, when it was
decided and by which engine, what was corrected since and why, when it ended. The same text is on the alert's page. The person is
named by number.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || n <= 0 {
				return fmt.Errorf("VIOLATION: %q is not the number of one", args[0])
			}
			if lang != "zh" && lang != "en" {
				return fmt.Errorf("--lang: %q is neither zh nor en", lang)
			}
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				lines, err := explain(ctx, pool, geofence.ViolationID(n))
				if errors.Is(err, alerts.ErrNotFound) {
					return fmt.Errorf("there is no violation %d", n)
				}
				if err != nil {
					return err
				}
				for _, l := range lines {
					text := l.ZH
					if lang == "en" {
						text = l.EN
					}
					if _, err := fmt.Fprintln(cmd.OutOrStdout(), text); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&lang, "lang", "zh", "zh or en")
	return cmd
}

func explain(ctx context.Context, pool *pgxpool.Pool, v geofence.ViolationID) ([]alerts.Place, error) {
	number, err := numberOfViolated(ctx, pool, v)
	if err != nil {
		return nil, err
	}
	x, err := alerts.LoadExplaining(ctx, pool, v, number)
	if err != nil {
		return nil, err
	}
	return alerts.Explain(x), nil
}
