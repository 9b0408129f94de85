package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/geofence"
)

func newCalendarCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "calendar", Short: "Which days are off, and which weekends are worked", Args: cobra.NoArgs}
	cmd.AddCommand(newCalendarImportCommand(), newCalendarListCommand())
	return cmd
}

// calendarImport is what `calendar import` was asked for.
type calendarImport struct {
	builtin  int
	source   string
	official bool
}

func newCalendarImportCommand() *cobra.Command {
	var c calendarImport
	cmd := &cobra.Command{
		Use:   "import FILE | import --builtin YEAR",
		Short: "Record the days off and the worked weekends of a year",
		Long: `Record what the State Council orders for a year, in place of what was recorded of it. FILE (- is standard input) is the JSON of
holiday-cn, or CSV with the columns day, off (1 or 0) and name. Rules that go by days off are judged again at once, and their past
from the first day that is another now.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			spec, err := c.read(args, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				return putCalendar(ctx, pool, log, spec, cmd.OutOrStdout())
			})
		},
	}
	f := cmd.Flags()
	f.IntVar(&c.builtin, "builtin", 0, "take the official arrangement of this year that the program carries")
	f.StringVar(&c.source, "source", "", "the notice the days stand in; by default what the file names")
	f.BoolVar(&c.official, "official", false, "the days are as the State Council ordered them; without it they are marked as not official")
	return cmd
}

// read makes a calendar of the file or takes the one that is built in; nothing is asked of the database yet.
func (c *calendarImport) read(args []string, stdin io.Reader) (geofence.CalendarSpec, error) {
	var spec geofence.CalendarSpec
	switch {
	case (c.builtin != 0) == (len(args) == 1):
		return spec, errors.New("name a file, or a year with --builtin")
	case c.builtin != 0:
		var ok bool
		if spec, ok = geofence.BuiltinCalendar(c.builtin); !ok {
			return spec, fmt.Errorf("--builtin: this program carries no calendar of %d: import a file", c.builtin)
		}
	default:
		in := stdin
		if args[0] != "-" {
			f, err := os.Open(args[0])
			if err != nil {
				return spec, err
			}
			defer f.Close()
			in = f
		}
		var err error
		if spec, err = geofence.ReadCalendar(in); err != nil {
			return spec, fmt.Errorf("%s: %w", args[0], err)
		}
		spec.Official = c.official
		if spec.Source == "" && args[0] != "-" {
			spec.Source = filepath.Base(args[0])
		}
	}
	if c.source != "" {
		spec.Source = c.source
	}
	return spec, nil
}

func putCalendar(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger, spec geofence.CalendarSpec, out io.Writer) error {
	c, closeClock, err := openClock(ctx, pool, log)
	if err != nil {
		return err
	}
	defer closeClock()
	store := geofence.NewStore(pool, c)
	if len(spec.Eve) > 0 { // first, so that nothing is recorded where it cannot be
		before, err := geofence.CalendarOf(ctx, pool, spec.Year-1)
		if errors.Is(err, geofence.ErrNotFound) {
			return fmt.Errorf("%s is of %d, whose calendar is not recorded: import it first", spec.Eve[0].Date, spec.Year-1)
		}
		if err != nil {
			return err
		}
		if err := store.PutCalendar(ctx, 0, before.WithEve(spec.Eve)); err != nil {
			return err
		}
		for _, d := range spec.Eve {
			if _, err := fmt.Fprintf(out, "calendar %d: %s is %s now\n", spec.Year-1, d.Date, map[bool]string{true: "off", false: "worked"}[d.Off]); err != nil {
				return err
			}
		}
	}
	if err := store.PutCalendar(ctx, 0, spec); err != nil {
		return err
	}
	off, worked := countDays(spec.Days)
	_, err = fmt.Fprintf(out, "calendar %d: %d days off, %d worked weekend days: %s%s\n", spec.Year, off, worked, spec.Source, notOfficial(spec.Official))
	return err
}

func countDays(days []geofence.NamedDay) (off, worked int) {
	for _, d := range days {
		if d.Off {
			off++
		} else {
			worked++
		}
	}
	return off, worked
}

func notOfficial(official bool) string {
	if official {
		return ""
	}
	return " (not official)"
}

func newCalendarListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list [YEAR]",
		Short: "List the recorded years, or the days of one",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			year := 0
			if len(args) == 1 {
				if year, err = strconv.Atoi(args[0]); err != nil || year <= 0 {
					return fmt.Errorf("%q is no year", args[0])
				}
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				if year != 0 {
					return listCalendar(ctx, pool, year, cmd.OutOrStdout())
				}
				return listCalendars(ctx, pool, log, cmd.OutOrStdout())
			})
		},
	}
}

// listCalendars tells the years, and which are missing.
func listCalendars(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger, out io.Writer) error {
	c, closeClock, err := openClock(ctx, pool, log)
	if err != nil {
		return err
	}
	defer closeClock()
	list, err := geofence.Calendars(ctx, pool)
	if err != nil {
		return err
	}
	missing, err := geofence.MissingCalendars(ctx, pool, c.Now())
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "YEAR\tOFF\tWORKED\tRECORDED\tSOURCE") //nolint:errcheck // Flush tells
	for i := range list {
		off, worked := countDays(list[i].Days)
		fmt.Fprintf(w, "%d\t%d\t%d\t%s\t%s%s\n", list[i].Year, off, worked, localMinute(list[i].At), list[i].Source, notOfficial(list[i].Official)) //nolint:errcheck // Flush tells
	}
	for _, year := range missing {
		fmt.Fprintf(w, "%d\tmissing: rules go by its days off, and take Saturdays and Sundays for the only ones\n", year) //nolint:errcheck // Flush tells
	}
	return w.Flush()
}

// listCalendar writes the days of a year as `calendar import` reads them.
func listCalendar(ctx context.Context, pool *pgxpool.Pool, year int, out io.Writer) error {
	c, err := geofence.CalendarOf(ctx, pool, year)
	if errors.Is(err, geofence.ErrNotFound) {
		return fmt.Errorf("no calendar of %d is recorded", year)
	}
	if err != nil {
		return err
	}
	return geofence.WriteCalendar(out, &c.CalendarSpec)
}

func localMinute(t time.Time) string { return t.In(shanghai).Format("2006-01-02 15:04") }
