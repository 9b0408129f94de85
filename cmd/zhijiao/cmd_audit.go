package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/internal/audit"
	"zhijiao/internal/crypto"
)

func newAuditCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "Verify that nobody rewrote what the ledger says"}
	cmd.AddCommand(newAuditVerifyCommand(), newAuditKeyCommand())
	return cmd
}

func newAuditKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "key",
		Short: "Print the public key with which seals are verified: keep it where the keys file is not",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			keys, err := crypto.Load(cfg.Keys())
			if err != nil {
				return err
			}
			for _, public := range keys.Publics(crypto.AuditSeal) {
				fmt.Fprintln(cmd.OutOrStdout(), public) //nolint:errcheck // standard output
			}
			return nil
		},
	}
}

func newAuditVerifyCommand() *cobra.Command {
	var public []string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Compare every row of the ledger with its seal, and the seals with their copy outside of the database",
		Long: `Compare every row of the ledger with the seal that was made of it within a minute, the seals with one another, with their signature, and with the
copy outside of the database (audit.anchor_file). Rows that were edited, deleted, put in or cut off are named, the first first. The command needs no
keys file with --key.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			key, err := auditKeys(public, cfg.Keys())
			if err != nil {
				return err
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				said := time.Now()
				report, err := audit.Verify(ctx, pool, key, cfg.AuditAnchor(), func(rows int64) {
					if time.Since(said) > 2*time.Second {
						said = time.Now()
						fmt.Fprintf(cmd.ErrOrStderr(), "\r%d rows", rows) //nolint:errcheck // progress
					}
				})
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				fmt.Fprintf(out, "%d rows in %d seals, sealed until %s; %d rows are not sealed yet\n", report.Rows, report.Seals, report.SealedUntil.UTC().Format(time.RFC3339), report.Unsealed) //nolint:errcheck // standard output
				for _, f := range report.Findings {
					fmt.Fprintln(out, f) //nolint:errcheck // as above
				}
				if len(report.Findings) > 0 {
					return errors.New("the ledger is not what was sealed")
				}
				fmt.Fprintln(out, "nothing was edited, deleted, put in, moved or cut off") //nolint:errcheck // as above
				return nil
			})
		},
	}
	cmd.Flags().StringSliceVar(&public, "key", nil, "public key, as zhijiao audit key prints it; none: of the keys file")
	return cmd
}

// auditKeys are the public keys that were given, or those of the keys file.
func auditKeys(public []string, file string) (out []crypto.Public, err error) {
	for _, text := range public {
		key, err := crypto.ParsePublic(text)
		if err != nil {
			return nil, fmt.Errorf("--key: %w", err)
		}
		out = append(out, key)
	}
	if len(out) > 0 {
		return out, nil
	}
	keys, err := crypto.Load(file)
	if err != nil {
		return nil, err
	}
	return keys.Publics(crypto.AuditSeal), nil
}
