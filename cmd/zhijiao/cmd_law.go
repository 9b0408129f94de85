package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/supervision"
)

func newLawCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "law", Short: "List and correct the periods decisions go by, and record what is delegated"}
	cmd.AddCommand(newLawListCommand(), newLawSetCommand(), newLawDelegateCommand())
	return cmd
}

// withLaw runs do with a store on a current database.
func withLaw(cmd *cobra.Command, do func(ctx context.Context, pool *pgxpool.Pool, s *supervision.Store, now time.Time) error) error {
	cfg, log, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
		c, closeClock, err := openClock(ctx, pool, log)
		if err != nil {
			return err
		}
		defer closeClock()
		return do(ctx, pool, supervision.NewStore(pool, c, nil), c.Now()) // of a person's sealed fields nothing is read here
	})
}

func newLawListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the periods, with their citation and since when they apply",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withLaw(cmd, func(ctx context.Context, pool *pgxpool.Pool, _ *supervision.Store, _ time.Time) error {
				list, err := supervision.Periods(ctx, pool)
				if err != nil {
					return err
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
				fmt.Fprintln(w, "CODE\tAMOUNT\tUNIT\tFROM\tKNOWN FROM\tCITATION\tTITLE") //nolint:errcheck // Flush says it
				for _, p := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Code, amounts(p.Amount), p.Unit, p.From.In(shanghai).Format(time.DateOnly), p.Evidence, p.Citation, p.Title) //nolint:errcheck // as above
				}
				return w.Flush()
			})
		},
	}
}

func amounts(list []int) string {
	var out []string
	for _, n := range list {
		out = append(out, strconv.Itoa(n))
	}
	return strings.Join(out, ",")
}

func newLawSetCommand() *cobra.Command {
	var amount []int
	var from, citation, evidence string
	cmd := &cobra.Command{
		Use:   "set CODE",
		Short: "Have a period apply with another amount from a day on; what was decided before keeps the version it was decided by",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			since, err := time.ParseInLocation(time.DateOnly, from, shanghai)
			if err != nil {
				return fmt.Errorf("--from: %q is no date, like 2027-01-01", from)
			}
			switch e := supervision.Evidence(evidence); e {
			case supervision.Statute, supervision.Secondary, supervision.Recalled, supervision.Policy:
			default:
				return fmt.Errorf("--evidence: %q is none of statute, secondary, recalled, policy", evidence)
			}
			for _, n := range amount {
				if n < 1 || n > 3699 {
					return fmt.Errorf("--amount: %d is not 1 to 3699", n)
				}
			}
			return withLaw(cmd, func(ctx context.Context, pool *pgxpool.Pool, s *supervision.Store, _ time.Time) error {
				list, err := supervision.Periods(ctx, pool)
				if err != nil {
					return err
				}
				var p supervision.Period
				for i := range list {
					if list[i].Code == args[0] {
						p = list[i] // the last version
					}
				}
				if p.Code == "" {
					return fmt.Errorf("there is no period %q: zhijiao law list", args[0])
				}
				p.Amount, p.From, p.Citation, p.Evidence = amount, since, citation, supervision.Evidence(evidence)
				if err := s.PutPeriod(ctx, 0, p); err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s %s from %s (%s)\n", p.Code, amounts(p.Amount), p.Unit, from, citation)
				return err
			})
		},
	}
	cmd.Flags().IntSliceVar(&amount, "amount", nil, "how many of its unit; several for reminders")
	cmd.Flags().StringVar(&from, "from", "", "since which day, Asia/Shanghai")
	cmd.Flags().StringVar(&citation, "citation", "", "what it rests on")
	cmd.Flags().StringVar(&evidence, "evidence", "", "statute (read in the text), secondary, recalled or policy")
	for _, f := range []string{"amount", "from", "citation", "evidence"} {
		_ = cmd.MarkFlagRequired(f)
	}
	return cmd
}

func newLawDelegateCommand() *cobra.Command {
	var by, to, document, from, until string
	cmd := &cobra.Command{
		Use:   "delegate",
		Short: "Record that an office grants short leave in the name of the organ above it (社区矫正法 9; 实施办法 27)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var since, end time.Time
			var err error
			if from != "" {
				if since, err = time.ParseInLocation(time.DateOnly, from, shanghai); err != nil {
					return fmt.Errorf("--from: %q is no date, like 2027-01-01", from)
				}
			}
			if until != "" {
				if end, err = time.ParseInLocation(time.DateOnly, until, shanghai); err != nil {
					return fmt.Errorf("--until: %q is no date, like 2027-01-01", until)
				}
			}
			return withLaw(cmd, func(ctx context.Context, _ *pgxpool.Pool, s *supervision.Store, now time.Time) error {
				if since.IsZero() {
					since = now
				}
				if !end.IsZero() && !since.Before(end) {
					return fmt.Errorf("--until: not later than it begins")
				}
				organ, err := findOrg(ctx, s, by)
				if err != nil {
					return err
				}
				office, err := findOrg(ctx, s, to)
				if err != nil {
					return err
				}
				if err := s.Delegate(ctx, 0, organ, office, document, since, end); err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s grants short leave in the name of %s from %s (%s)\n", to, by, since.In(shanghai).Format(time.DateOnly), document)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "the organ that delegates: name, short name or code")
	cmd.Flags().StringVar(&to, "to", "", "the office")
	cmd.Flags().StringVar(&document, "document", "", "number of the document it stands in")
	cmd.Flags().StringVar(&from, "from", "", "since which day; empty: now")
	cmd.Flags().StringVar(&until, "until", "", "until which day, exclusive; empty: open")
	for _, f := range []string{"by", "to", "document"} {
		_ = cmd.MarkFlagRequired(f)
	}
	return cmd
}
