package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/internal/crypto"
	"zhijiao/supervision"
	"zhijiao/transfer"
)

func newSubjectCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "subject", Short: "Everything there is of one person, taken out and taken in", Args: cobra.NoArgs}
	cmd.AddCommand(newSubjectExportCommand(), newSubjectImportCommand())
	return cmd
}

// onPerson runs do with a database, its clock and its keys.
func onPerson(cmd *cobra.Command, do func(ctx context.Context, pool *pgxpool.Pool, people *supervision.Store, keys *crypto.Keys, now time.Time) error) error {
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
		return do(ctx, pool, supervision.NewStore(pool, c, keys), keys, c.Now())
	})
}

func newSubjectExportCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "export LOCAL_NO --out FILE",
		Short: "Write everything there is of a person to a file, in an open form and in clear",
		Long: `Write everything there is of a person to a file: a zip of JSON lines, a table each, with counts and hashes. What is sealed in the database stands in clear in
it: it is written for the one who runs the command alone (0600), and they answer for where it goes. Record why: zhijiao keeps a disclosure or a request.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return onPerson(cmd, func(ctx context.Context, pool *pgxpool.Pool, _ *supervision.Store, keys *crypto.Keys, now time.Time) error {
				subject, err := subjectNumbered(ctx, pool, args[0])
				if err != nil {
					return err
				}
				p, err := transfer.Export(ctx, pool, keys, subject, now)
				if err != nil {
					return err
				}
				file, err := p.Write()
				if err != nil {
					return err
				}
				if err := writeNew(out, file); err != nil {
					return err
				}
				rows := 0
				for _, k := range p.Manifest.Kinds {
					rows += k.Rows
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d rows of %d tables, %d bytes, in clear\n", out, rows, len(p.Manifest.Kinds), len(file))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file to make; it must not be there (required)")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

func newSubjectImportCommand() *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use:   "import FILE [--dry-run]",
		Short: "Take a person from such a file into this instance, all or nothing",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			p, err := transfer.Read(file)
			if err != nil {
				return err
			}
			return onPerson(cmd, func(ctx context.Context, pool *pgxpool.Pool, people *supervision.Store, _ *crypto.Keys, now time.Time) error {
				err := transfer.Import(ctx, pool, people, p, now, dry, func(table string, rows int) {
					if rows > 0 {
						fmt.Fprintf(cmd.ErrOrStderr(), "%-20s %d\n", table, rows) //nolint:errcheck // progress
					}
				})
				if err != nil {
					return err
				}
				said := "is here now, with everything there is of them"
				if dry {
					said = "could be taken in; nothing was written"
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "subject %s %s\n", p.Manifest.LocalNo, said)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "try it, and write nothing")
	return cmd
}

// writeNew writes a file that was not there, for its owner alone.
func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}
