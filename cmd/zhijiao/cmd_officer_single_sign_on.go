package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/console"
)

func newOfficerSingleSignOnCommand() *cobra.Command {
	var login, subject string
	cmd := &cobra.Command{
		Use:   "single-sign-on --login zhang.wei --subject ID",
		Short: "Join an account with who that person is at the site's single sign-on",
		Long: `Join an account with who that person is at the site's single sign-on (oidc.issuer): the claim "sub" of their tokens. An empty --subject ends it.
Their open sessions go on; the password stays good.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			var key *string
			if subject != "" {
				if cfg.SingleSignOn.Issuer == "" {
					return errors.New("oidc.issuer is not set: whose subject is it?")
				}
				k := console.SingleSignOnKey(cfg.SingleSignOn.Issuer, subject)
				key = &k
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				c, closeClock, err := openClock(ctx, pool, log)
				if err != nil {
					return err
				}
				defer closeClock()
				if err := console.JoinSingleSignOn(ctx, pool, c.Now(), login, key); err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: kept\n", login)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&login, "login", "", "the account (required)")
	cmd.Flags().StringVar(&subject, "subject", "", "who it is there; empty: nobody")
	if err := cmd.MarkFlagRequired("login"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}
