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
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/id"
	"zhijiao/supervision"
)

func newZonesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "zones", Short: "Where rules apply", Args: cobra.NoArgs}
	cmd.AddCommand(newZonesImportCommand(), newZonesTryCommand())
	return cmd
}

// zonesImport is what `zones import` was asked for.
type zonesImport struct {
	file, datum, purpose, org, name, source string
	official, repairs, datumIsRight         bool
	zone                                    int64
	people                                  []string // local numbers
}

// mostTried is how many of those who go by a zone a new version of it is tried on.
const mostTried = 20

func newZonesImportCommand() *cobra.Command {
	var z zonesImport
	cmd := &cobra.Command{
		Use:   "import FILE --datum CGCS2000 --purpose activity --org 天门市司法局",
		Short: "Import zones from GeoJSON whose datum you declare",
		Long: `Import polygons and multipolygons from GeoJSON (- is standard input), all of the file or nothing. Nothing is guessed: an undeclared
or wrong datum moves people by half a kilometre. What is wrong with an outline and can be repaired without doubt is listed with its
place, and put only with --accept-repairs; a repair that changes more than 0.1 % of the area is refused.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			z.file = args[0]
			imported, err := z.read(cmd.InOrStdin())
			if err != nil {
				return err
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				return z.put(ctx, pool, log, imported, cmd.OutOrStdout())
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&z.datum, "datum", "", "of the file's coordinates: WGS-84, CGCS2000, GCJ-02 or BD-09 (required)")
	f.StringVar(&z.purpose, "purpose", string(geofence.Activity), "activity, prohibited, destination or attention")
	f.StringVar(&z.org, "org", "", "organisation the zones belong to: its name, short name or code (required)")
	f.StringVar(&z.name, "name", "", "name of a zone whose feature has none")
	f.StringVar(&z.source, "source", "", "where the outline is from; by default the file's name")
	f.BoolVar(&z.official, "official", false, "the outline is an official one; without it the wall marks it as not official")
	f.BoolVar(&z.datumIsRight, "datum-is-right", false, "the datum is as declared, although an outline fits a known one better in another datum")
	f.BoolVar(&z.repairs, "accept-repairs", false, "put what was repaired; the report says what and where")
	f.StringSliceVar(&z.people, "for", nil, "numbers of those the zones are drawn for: says how often they would be undecidable, from their own fixes")
	f.Int64Var(&z.zone, "zone", 0, "make the file's one polygon the next version of this zone")
	for _, name := range []string{"datum", "org"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}

// read opens the file and takes its outlines; nothing is asked of the database yet.
func (z *zonesImport) read(stdin io.Reader) ([]geofence.Imported, error) {
	datum, ok := devices.ParseDatum(z.datum)
	if !ok {
		return nil, fmt.Errorf("--datum: %q is none of WGS-84, CGCS2000, GCJ-02, BD-09", z.datum)
	}
	source, in := "standard input", stdin
	if z.file != "-" {
		f, err := os.Open(z.file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		source, in = filepath.Base(z.file), f
	}
	if z.source == "" {
		z.source = source
	}
	imported, err := geofence.ImportGeoJSON(in, datum)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", z.file, err)
	}
	if z.zone != 0 && len(imported) != 1 {
		return nil, fmt.Errorf("--zone: the file has %d zones, and one is to be the next version", len(imported))
	}
	for i := range imported {
		name := &imported[i].Name
		if *name == "" && z.name != "" {
			*name = z.name
			if len(imported) > 1 {
				*name = fmt.Sprintf("%s %d", z.name, i+1)
			}
		}
		if *name == "" {
			return nil, fmt.Errorf("%s: features[%d] has no name: give one with --name", z.file, i)
		}
	}
	return imported, nil
}

// put says what is wrong with the outlines, and records the zones, all or none.
func (z *zonesImport) put(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger, imported []geofence.Imported, out io.Writer) error {
	c, closeClock, err := openClock(ctx, pool, log)
	if err != nil {
		return err
	}
	defer closeClock()
	org, err := findOrg(ctx, supervision.NewStore(pool, c, nil), z.org)
	if err != nil {
		return err
	}
	people, err := findTried(ctx, pool, z.people)
	if err != nil {
		return err
	}
	store := geofence.NewStore(pool, c)
	err = store.Mend(ctx, imported)
	if err := errors.Join(err, printRepairs(out, imported)); err != nil {
		return fmt.Errorf("%s: %w", z.file, err)
	}
	if !z.datumIsRight {
		if err := store.DoubtDatum(ctx, org, geofence.ZoneID(z.zone), imported); err != nil {
			return fmt.Errorf("%s: %w", z.file, err)
		}
	}
	var specs []geofence.ZoneSpec
	for _, one := range imported {
		if one.Report.NeedsConsent() && !z.repairs {
			return fmt.Errorf("%s: nothing was put: the outline had to be repaired; if it is right as the report says, say --accept-repairs", z.file)
		}
		specs = append(specs, geofence.ZoneSpec{ID: geofence.ZoneID(z.zone), Org: org, Purpose: geofence.Purpose(z.purpose), Name: one.Name,
			Shape: geofence.Polygonal, Geometry: one.Geometry, Datum: one.Datum.String(), Official: z.official, Source: z.source})
	}
	ids, versions, err := store.PutZones(ctx, 0, 0, specs)
	if err != nil {
		return fmt.Errorf("%s: %w", z.file, err)
	}
	var errs []error
	for i := range ids {
		_, err := fmt.Fprintf(out, "zone %d version %d: %s\n", ids[i], versions[i], specs[i].Name)
		errs = append(errs, err)
	}
	if z.zone != 0 {
		if people, err = goingBy(ctx, store, ids[0], people, out); err != nil {
			return err
		}
	}
	return errors.Join(append(errs, tryZones(ctx, store, specs, people, out))...)
}

// tried is somebody a zone is tried on.
type tried struct {
	id    id.Subject
	name  string
	asked bool // told also where it is no warning
}

// findTried finds people by their numbers.
func findTried(ctx context.Context, pool *pgxpool.Pool, numbers []string) (people []tried, err error) {
	for _, number := range numbers {
		subject, err := subjectByNumber(ctx, pool, number)
		if err != nil {
			return nil, err
		}
		if subject == 0 {
			return nil, fmt.Errorf("--for: nobody has the number %s", number)
		}
		people = append(people, tried{subject, number, true})
	}
	return people, nil
}

// goingBy adds those who go by a zone already, the first of them.
func goingBy(ctx context.Context, store *geofence.Store, zone geofence.ZoneID, people []tried, out io.Writer) ([]tried, error) {
	ruled, all, err := store.RuledBy(ctx, zone, mostTried)
	if err != nil {
		return nil, err
	}
	for _, subject := range ruled {
		people = append(people, tried{subject, fmt.Sprintf("subject %d", subject), false})
	}
	if all > len(ruled) {
		_, err = fmt.Fprintf(out, "%d people go by it; tried on the first %d\n", all, len(ruled))
	}
	return people, err
}

// tryZones tells the author how often zones would be undecidable for people. The zones stand all the same.
func tryZones(ctx context.Context, store *geofence.Store, specs []geofence.ZoneSpec, people []tried, out io.Writer) error {
	for i := range specs {
		for _, who := range people {
			r, err := store.Undecidable(ctx, 0, specs[i], who.id)
			if err != nil {
				return err
			}
			if !who.asked && !r.Warns() {
				continue
			}
			if _, err := fmt.Fprintln(out, indecision(specs[i].Name, who.name, &r)); err != nil {
				return err
			}
		}
	}
	return nil
}

func newZonesTryCommand() *cobra.Command {
	var numbers []string
	cmd := &cobra.Command{
		Use:   "try ZONE --for NUMBER,…",
		Short: "How often a zone would be undecidable for people, from their own fixes of 30 days",
		Long:  "Before a rule binds somebody to a zone: how often the error circles of that person's own fixes lie on both sides of its edge.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			zone, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || zone <= 0 {
				return fmt.Errorf("%q is no number of a zone", args[0])
			}
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
				people, err := findTried(ctx, pool, numbers)
				if err != nil {
					return err
				}
				specs := []geofence.ZoneSpec{{ID: geofence.ZoneID(zone), Name: fmt.Sprintf("zone %d", zone)}}
				return tryZones(ctx, geofence.NewStore(pool, c), specs, people, cmd.OutOrStdout())
			})
		},
	}
	cmd.Flags().StringSliceVar(&numbers, "for", nil, "numbers of the people (required)")
	if err := cmd.MarkFlagRequired("for"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

// indecision says it in a sentence.
func indecision(zone, who string, r *geofence.Indecision) string {
	if r.All == 0 {
		return fmt.Sprintf("%s, %s: no fix in 30 days to try it on", zone, who)
	}
	s := fmt.Sprintf("%s, %s: undecidable for %.1f %% of the %d fixes of 30 days in and around it; it is %.0f m in radius, the usual accuracy is %.0f m",
		zone, who, 100*r.Share(), r.Fixes, r.SizeM, r.AccuracyM)
	switch {
	case r.TooSmall():
		return "warning: " + s + ": smaller than can be told apart, draw it larger"
	case r.Warns():
		return "warning: " + s
	}
	return s
}

// printRepairs says per feature what was wrong, where, and what was done about it; nothing where nothing was.
func printRepairs(out io.Writer, imported []geofence.Imported) error {
	var b strings.Builder
	for i := range imported {
		r := &imported[i].Report
		if len(r.Repairs) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s %s: %d repairs; area %.0f m² before, %.0f m² after, %.4f %% changed; %d points before, %d after\n",
			imported[i].Field, imported[i].Name, len(r.Repairs), r.AreaBefore, r.AreaAfter, 100*r.Changed, r.VerticesBefore, r.VerticesAfter)
		for _, one := range r.Repairs {
			where := strings.TrimPrefix(one.Where, imported[i].Field+", ")
			fmt.Fprintf(&b, "  %s: at %.7f E %.7f N: %s (%s)\n", where, one.Place[0], one.Place[1], one.Detail, one.Fault)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
