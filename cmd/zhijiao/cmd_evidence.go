package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/evidence"
	"zhijiao/geofence"
	"zhijiao/internal/crypto"
)

func newEvidenceCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "evidence", Short: "Packages of evidence: made of a violation, and verified without the platform", Args: cobra.NoArgs}
	cmd.AddCommand(newEvidenceMakeCommand(), newEvidenceVerifyCommand(), newEvidenceKeyCommand())
	return cmd
}

func newEvidenceMakeCommand() *cobra.Command {
	var violation int64
	var out string
	cmd := &cobra.Command{
		Use:   "make --violation 17 --out 17.zip",
		Short: "Make a signed package of a violation: fixes, verdicts, rule and zone, decisions, handling, proofs, a report",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				keys, err := crypto.Load(cfg.Keys())
				if err != nil {
					return err
				}
				c, closeClock, err := openClock(ctx, pool, log)
				if err != nil {
					return err
				}
				defer closeClock()
				file, p, err := evidence.Make(ctx, pool, &evidence.Order{Violation: geofence.ViolationID(violation), ByName: "command line", At: c.Now(), Program: "zhijiao " + version,
					Signer: keys.Signer(crypto.Evidence), AuditKeys: keys.Publics(crypto.AuditSeal), Font: cfg.EvidenceFont})
				if err != nil {
					return err
				}
				f, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if err != nil {
					return err
				}
				defer f.Close()
				if _, err := f.Write(file); err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d bytes, %d fixes, %d rows of the ledger (%d not sealed yet)\n", out, len(file), len(p.Fixes), len(p.Ledger), p.Manifest.Unsealed)
				return err
			})
		},
	}
	cmd.Flags().Int64Var(&violation, "violation", 0, "number of the violation (required)")
	cmd.Flags().StringVar(&out, "out", "", "file to make; it must not be there (required)")
	for _, name := range []string{"violation", "out"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}

func newEvidenceVerifyCommand() *cobra.Command {
	var trusted []string
	cmd := &cobra.Command{
		Use:   "verify FILE --key sha256+ed25519:…",
		Short: "Verify a package of evidence, without a database, a keys file or the raw data",
		Long: `Verify a package of evidence: that one key signed all of it, that the verdicts follow from the fixes, the zone and the thresholds in it, and that each row of
the ledger is what was sealed. With --key, that the key is one of those the centre published (zhijiao evidence key, zhijiao audit key).`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var keys []crypto.Public
			for _, text := range trusted {
				k, err := crypto.ParsePublic(text)
				if err != nil {
					return fmt.Errorf("--key: %w", err)
				}
				keys = append(keys, k)
			}
			file, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			r, err := evidence.Verify(file, keys...)
			if err != nil {
				return err
			}
			m := &r.Manifest
			sum := crypto.Sum(m.Key.Algorithm)(file)
			fmt.Fprintf(cmd.OutOrStdout(), "violation %d of %s (%s), made %s by %s\nsigned by %s\n%d verdicts computed again, %d decisive fixes found, %d rows of the ledger proved, %d were not sealed when it was made\n%s of the file %s\nit verifies\n", //nolint:errcheck // standard output
				m.Violation, m.Subject, m.Office, m.MadeAt.Format(time.RFC3339), m.MadeBy, m.Key, r.Fixes, r.Decisive, r.Rows, m.Unsealed, m.Hash, hex.EncodeToString(sum[:]))
			if len(keys) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "no --key was given: compare the key above with the one the centre published") //nolint:errcheck // standard output
			}
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&trusted, "key", nil, "public key that may have signed it or the seals, as zhijiao evidence key and zhijiao audit key print them")
	return cmd
}

func newEvidenceKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "key",
		Short: "Print the public keys with which packages are verified",
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
			for _, public := range keys.Publics(crypto.Evidence) {
				fmt.Fprintln(cmd.OutOrStdout(), public) //nolint:errcheck // standard output
			}
			return nil
		},
	}
}
