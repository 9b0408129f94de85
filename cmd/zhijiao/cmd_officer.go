package main

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/console"
	"zhijiao/internal/id"
	"zhijiao/supervision"
)

// roles are what an account may be, in the order in which help tells them.
var roles = console.Roles

var loginName = regexp.MustCompile(`\A[a-z0-9][a-z0-9._-]{1,62}\z`)

func newOfficerCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "officer", Short: "People who work with the platform", Args: cobra.NoArgs}
	cmd.AddCommand(newOfficerAddCommand(), newOfficerCertificateCommand(), newOfficerSingleSignOnCommand())
	return cmd
}

// newOfficer is what `officer add` was asked for.
type newOfficer struct {
	login, name, org, orgKind, kind string
	countyHead                      bool
	roles                           []string
}

func newOfficerAddCommand() *cobra.Command {
	var o newOfficer
	cmd := &cobra.Command{
		Use:   "add --login zhang.wei --name 张伟 --org 天门市司法局 --role system_admin",
		Short: "Add an officer with an account, and print the password once",
		Long: `Add an officer with an account, and print the password once: it is nowhere else. The three administrators (system_admin,
security_admin, audit_admin) see no case and exclude every other role; commander and officer work on the cases of their
organisation and those below it. On a new database the organisation named by --org is made, as the root.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			if err := o.check(); err != nil {
				return err
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				password, err := o.add(ctx, pool, log)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "login     %s\npassword  %s\n", o.login, password)
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.login, "login", "", "what the officer logs in with: lower-case letters, digits, dot, dash, underscore (required)")
	f.StringVar(&o.name, "name", "", "the officer's name (required)")
	f.StringVar(&o.org, "org", "", "organisation: its name, short name or code (required)")
	f.StringVar(&o.orgKind, "org-kind", string(supervision.CountyDepartment), "kind of an organisation that is made")
	f.StringSliceVar(&o.roles, "role", []string{string(console.SystemAdmin)}, "roles: "+joined(roles))
	f.StringVar(&o.kind, "kind", string(supervision.Enforcement), "enforcement, seconded_police, social_worker or auxiliary")
	f.BoolVar(&o.countyHead, "county-head", false, "the head of the county-level 司法行政部门, who approves electronic positioning")
	for _, name := range []string{"login", "name", "org"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}

func joined(all []console.Role) string {
	var names []string
	for _, r := range all {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

func (o *newOfficer) check() error {
	if !loginName.MatchString(o.login) {
		return fmt.Errorf("--login: %q is not 2 to 63 lower-case letters, digits, dots, dashes and underscores", o.login)
	}
	for _, r := range o.roles {
		if !slices.Contains(roles, console.Role(r)) {
			return fmt.Errorf("--role: %q is none of %s", r, joined(roles))
		}
	}
	return nil
}

// add makes the officer and the account and returns its password.
func (o *newOfficer) add(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) (string, error) {
	taken, err := loginTaken(ctx, pool, o.login)
	if err != nil {
		return "", err
	}
	if taken { // before the officer is made: an officer without an account would be left behind
		return "", fmt.Errorf("--login: %w", console.ErrTaken)
	}
	c, closeClock, err := openClock(ctx, pool, log)
	if err != nil {
		return "", err
	}
	defer closeClock()
	s := supervision.NewStore(pool, c, nil) // of a person's sealed fields nothing is read here
	org, err := o.organisation(ctx, s)
	if err != nil {
		return "", err
	}
	officer, err := s.PutOfficer(ctx, supervision.Officer{Org: org, Name: o.name, Kind: supervision.OfficerKind(o.kind), CountyHead: o.countyHead})
	if err != nil {
		return "", err
	}
	account := console.NewAccount{Name: o.login, Officer: officer, Org: org, Password: console.RandomPassword(), At: c.Now()}
	for _, r := range o.roles {
		account.Roles = append(account.Roles, console.Role(r))
	}
	if _, err := console.AddAccount(ctx, pool, account); err != nil {
		return "", err
	}
	return account.Password, nil
}

// organisation returns the organisation that was named, and makes it on a database that has none.
func (o *newOfficer) organisation(ctx context.Context, s *supervision.Store) (id.Org, error) {
	roots, err := s.Roots(ctx)
	if err != nil {
		return 0, err
	}
	if len(roots) == 0 {
		return s.PutOrg(ctx, supervision.Org{Kind: supervision.OrgKind(o.orgKind), Name: o.org, ShortName: o.org})
	}
	return findOrg(ctx, s, o.org)
}
