package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/supervision"
)

func newZonesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "zones", Short: "Where rules apply", Args: cobra.NoArgs}
	cmd.AddCommand(newZonesImportCommand())
	return cmd
}

// zonesImport is what `zones import` was asked for.
type zonesImport struct {
	file, datum, purpose, org, name, source string
	official                                bool
	zone                                    int64
}

func newZonesImportCommand() *cobra.Command {
	var z zonesImport
	cmd := &cobra.Command{
		Use:   "import FILE --datum CGCS2000 --purpose activity --org 天门市司法局",
		Short: "Import zones from GeoJSON whose datum you declare",
		Long: `Import polygons and multipolygons from GeoJSON (- is standard input), all of the file or nothing. Nothing is guessed: an undeclared
or wrong datum moves people by half a kilometre. A polygon that is not valid is refused with the place of the fault.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, log, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			z.file = args[0]
			specs, err := z.read(cmd.InOrStdin())
			if err != nil {
				return err
			}
			return currentDatabase(cmd.Context(), cfg, log, func(ctx context.Context, pool *pgxpool.Pool) error {
				return z.put(ctx, pool, log, specs, cmd.OutOrStdout())
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
	f.Int64Var(&z.zone, "zone", 0, "make the file's one polygon the next version of this zone")
	for _, name := range []string{"datum", "org"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}

// read opens the file and makes zones of it; nothing is asked of the database yet.
func (z *zonesImport) read(stdin io.Reader) ([]geofence.ZoneSpec, error) {
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
	if z.source != "" {
		source = z.source
	}
	imported, err := geofence.ImportGeoJSON(in, datum)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", z.file, err)
	}
	if z.zone != 0 && len(imported) != 1 {
		return nil, fmt.Errorf("--zone: the file has %d zones, and one is to be the next version", len(imported))
	}
	var specs []geofence.ZoneSpec
	for i, one := range imported {
		name := one.Name
		if name == "" && z.name != "" {
			name = z.name
			if len(imported) > 1 {
				name = fmt.Sprintf("%s %d", z.name, i+1)
			}
		}
		if name == "" {
			return nil, fmt.Errorf("%s: features[%d] has no name: give one with --name", z.file, i)
		}
		specs = append(specs, geofence.ZoneSpec{ID: geofence.ZoneID(z.zone), Purpose: geofence.Purpose(z.purpose), Name: name, Shape: geofence.Polygonal,
			Geometry: one.Geometry, Datum: datum.String(), Official: z.official, Source: source})
	}
	return specs, nil
}

// put records the zones, all or none.
func (z *zonesImport) put(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger, specs []geofence.ZoneSpec, out io.Writer) error {
	c, closeClock, err := openClock(ctx, pool, log)
	if err != nil {
		return err
	}
	defer closeClock()
	org, err := findOrg(ctx, supervision.NewStore(pool, c, nil), z.org)
	if err != nil {
		return err
	}
	for i := range specs {
		specs[i].Org = org
	}
	ids, versions, err := geofence.NewStore(pool, c).PutZones(ctx, 0, 0, specs)
	if err != nil {
		return fmt.Errorf("%s: %w", z.file, err)
	}
	var errs []error
	for i := range ids {
		_, err := fmt.Fprintf(out, "zone %d version %d: %s\n", ids[i], versions[i], specs[i].Name)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
