package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"zhijiao/cmd/zhijiao/replay"
	"zhijiao/devices"
	"zhijiao/geofence"
)

func newCompareCommand() *cobra.Command {
	var index, boundary string
	c := comparison{}
	cmd := &cobra.Command{
		Use:   "compare TRACES",
		Short: "Hold recorded traces against single-fix decisions and against evaluation",
		Long: `Judge recorded traces (the .csv or .csv.gz of a folder that its index names) twice, and print side by side how often somebody was found to have left home (a
circle around the home that the index tells) or the city, and to be silent: once with every fix decided by itself, as it comes and
as it claims, and once by evaluation. The last columns are the absences of more than half an hour that plain reading of the trace
shows, and how many of them evaluation found, as an absence or as a check that was not answered; the command fails when one is
missing. Nothing is written, and no database is needed.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if c.radius <= 0 || c.radius > 100_000 {
				return fmt.Errorf("--circle: more than 0, at most 100,000 m")
			}
			if index == "" {
				index = filepath.Join(args[0], "index.json")
			}
			var names []string
			if c.homes, names, err = readHomes(index); err != nil {
				return fmt.Errorf("--index: %w", err)
			}
			if c.boundary, err = readBoundary(boundary); err != nil {
				return fmt.Errorf("--boundary: %w", err)
			}
			traces, err := tracesOf(args[0], names)
			if err != nil {
				return err
			}
			b := bar{out: cmd.ErrOrStderr(), what: "traces"}
			var list []compared
			for i := range traces {
				one, err := c.one(&traces[i])
				if err != nil {
					return err
				}
				list = append(list, one)
				b.show(int64(i+1), int64(len(traces)))
			}
			if err := printComparison(cmd.OutOrStdout(), list); err != nil {
				return err
			}
			for _, x := range list {
				if x.home.found < x.home.plain || x.city.found < x.city.plain {
					return fmt.Errorf("an absence in trace %s was not found", x.name)
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&index, "index", "", "JSON with the home of each trace (default index.json in the folder)")
	f.StringVar(&boundary, "boundary", "", "GeoJSON, WGS-84, with the outline of the city (default the demo's)")
	f.Float64Var(&c.radius, "circle", 200, "radius of the circle around home, metres")
	return cmd
}

// tracesOf reads the traces of a folder that an index names.
func tracesOf(folder string, names []string) (out []replay.Trace, err error) {
	for _, name := range names {
		for _, ending := range []string{".csv", ".csv.gz"} {
			file := filepath.Join(folder, filepath.FromSlash(name)+ending)
			if _, err := os.Stat(file); err != nil {
				continue
			}
			list, err := replay.Load(file)
			if err != nil {
				return nil, err
			}
			out = append(out, list...)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s holds none of the %d traces in the index", folder, len(names))
	}
	return out, nil
}

// readBoundary reads the outline of a city; without a file it is the demo's.
func readBoundary(file string) (*geofence.Zone, error) {
	doc := string(tianmenOutline)
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		doc = string(data)
	}
	list, err := geofence.ImportGeoJSON(strings.NewReader(doc), devices.WGS84)
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("%d polygons, one is needed", len(list))
	}
	return geofence.NewPolygon(compareCity, 1, geofence.Interval{}, list[0].Geometry)
}
