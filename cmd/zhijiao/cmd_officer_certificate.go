package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/console"
)

func newOfficerCertificateCommand() *cobra.Command {
	var login, file string
	cmd := &cobra.Command{
		Use:   "certificate --login zhang.wei --cert FILE",
		Short: "Have an account log in with its password and the key of a client certificate (UKey)",
		Long: `Have an account log in with its password and the key of a client certificate, which may be in a UKey. The console asks for certificates of the authority
http.client_ca_file; the key counts, so that a certificate that is renewed for the same key stays good.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			raw, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			block, _ := pem.Decode(raw)
			if block == nil {
				return errors.New("--cert: no certificate in PEM")
			}
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return fmt.Errorf("--cert: %w", err)
			}
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			key := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				c, closeClock, err := openClock(ctx, pool, log)
				if err != nil {
					return err
				}
				defer closeClock()
				if err := console.JoinCertificate(ctx, pool, c.Now(), login, key[:], cert.SerialNumber.String()); err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s logs in with the key of certificate %s, valid until %s\n", login, cert.SerialNumber, cert.NotAfter.Format("2006-01-02"))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&login, "login", "", "the account (required)")
	cmd.Flags().StringVar(&file, "cert", "", "certificate, PEM (required)")
	for _, name := range []string{"login", "cert"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}
