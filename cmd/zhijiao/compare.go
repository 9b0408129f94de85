package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"zhijiao/cmd/zhijiao/replay"
	"zhijiao/devices"
	"zhijiao/geofence"
)

// comparison holds recorded traces against two ways to decide: every fix by itself, as it comes and as it claims, and
// evaluation as it is.
type comparison struct {
	boundary *geofence.Zone
	homes    map[string]home // by Trace.Index
	radius   float64         // of the circle around home, metres
}

// home is where somebody lived, as the index of the traces estimates it.
type home struct{ Lat, Lon float64 }

// readHomes reads the index of traces: where home was, and the names of all in order.
func readHomes(file string) (map[string]home, []string, error) {
	doc, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	var index map[string]struct {
		Home    *home     `json:"home"`
		MovedTo []float64 `json:"home_moved_to"`
	}
	if err := json.Unmarshal(doc, &index); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	out := map[string]home{}
	for name, e := range index {
		switch {
		case len(e.MovedTo) == 2:
			out[name] = home{e.MovedTo[0], e.MovedTo[1]}
		case e.Home != nil:
			out[name] = *e.Home
		}
	}
	return out, slices.Sorted(maps.Keys(index)), nil
}

// compared is what came out for one trace, or for all.
type compared struct {
	name           string
	fixes, flagged int
	home, city     tally
	silent         tally
}

// tally is how often something was found, both ways, and how many absences of more than half an hour plain reading shows,
// and how many of those were found.
type tally struct{ naive, core, plain, found int }

func (a *tally) add(b tally) {
	a.naive, a.core, a.plain, a.found = a.naive+b.naive, a.core+b.core, a.plain+b.plain, a.found+b.found
}

const (
	compareHome    = geofence.ZoneID(1)
	compareCity    = geofence.ZoneID(2)
	compareSilence = geofence.RuleID(3)
	// absence is how long somebody must be away before plain reading says so.
	absence = 30 * time.Minute
)

// one judges a trace both ways.
func (c *comparison) one(t *replay.Trace) (compared, error) {
	out := compared{name: t.Name, fixes: len(t.Fixes)}
	every := max(time.Minute, t.Interval.Round(time.Minute))
	f := &geofence.Facts{Subject: 1, Version: 1, Zones: map[geofence.ZoneID][]*geofence.Zone{compareCity: {c.boundary}}, Authorities: []geofence.Interval{{}},
		Bindings: []geofence.BindingFact{{ID: 1, Device: 1, Class: t.Class, Subject: 1, Interval: every}}}
	rule := func(id geofence.RuleID, k geofence.RuleKind, z geofence.ZoneID) geofence.Rule {
		p := geofence.DefaultParams(k)
		p.Class = t.Class
		return geofence.Rule{ID: id, Version: 1, Subject: 1, Kind: k, Zone: z, Basis: "check", Params: p}
	}
	f.Rules = []geofence.Rule{rule(geofence.RuleID(compareCity), geofence.StayIn, compareCity)}
	zones := map[geofence.ZoneID]*tally{compareCity: &out.city}
	if h, ok := c.homes[t.Index]; ok {
		z, err := geofence.NewCircle(compareHome, 1, geofence.Interval{}, h.Lon, h.Lat, c.radius)
		if err != nil {
			return out, err
		}
		f.Zones[compareHome] = []*geofence.Zone{z}
		f.Rules = append([]geofence.Rule{rule(geofence.RuleID(compareHome), geofence.StayIn, compareHome)}, f.Rules...)
		zones[compareHome] = &out.home
	}
	if t.Class == devices.Wristband {
		f.Rules = append(f.Rules, rule(compareSilence, geofence.Silence, 0))
	}
	episodes, flagged := judge(t, f)
	out.flagged = flagged
	for z, n := range zones {
		zone := f.Zones[z][0]
		n.naive = naive(t, zone)
		for _, p := range episodes {
			if p.Rule == geofence.RuleID(z) && p.Kind == geofence.LeftZone {
				n.core++
			}
		}
		for _, gone := range absences(t, zone) {
			n.plain++
			for _, p := range episodes {
				if p.Rule == geofence.RuleID(z) && p.At.Before(gone.Until) && (p.Closed == nil || p.Closed.At.After(gone.From)) {
					n.found++
					break
				}
			}
		}
	}
	for i := 1; i < len(t.Fixes); i++ {
		if t.Class == devices.Wristband && t.Fixes[i].At.Sub(t.Fixes[i-1].At) > absence {
			out.silent.naive++
		}
	}
	for _, p := range episodes {
		if p.Kind == geofence.DeviceSilent {
			out.silent.core++
		}
	}
	return out, nil
}

// judge is what evaluation finds in a trace, and how many fixes it gave no say.
func judge(t *replay.Trace, f *geofence.Facts) ([]*geofence.Episode, int) {
	var s geofence.State
	var found geofence.Episodes
	var out []geofence.Effect
	flagged := 0
	for i := range t.Fixes {
		x := &t.Fixes[i]
		o := devices.Observation{Kind: devices.KindFix, Seq: int64(i), At: x.At, Place: &x.Place}
		in := geofence.Input{At: x.At, Now: x.At, Observed: &o, Binding: &f.Bindings[0]}
		out = geofence.Evaluate(&s, &in, f, out[:0])
		found.Take(out)
		if in.Flags != 0 {
			flagged++
		}
	}
	end := t.Until().Add(2 * time.Hour)
	found.Take(geofence.Evaluate(&s, &geofence.Input{At: end, Now: end}, f, out[:0]))
	return found.List, flagged
}

// naive is how often single fixes, taken at their word, say that somebody left.
func naive(t *replay.Trace, z *geofence.Zone) (n int) {
	out := false
	for i := range t.Fixes {
		gone := !z.Covers(t.Fixes[i].Place.Lon, t.Fixes[i].Place.Lat)
		if gone && !out {
			n++
		}
		out = gone
	}
	return n
}

// absences are the times that plain reading shows somebody away: fix after fix clearly outside, the first and the last more
// than half an hour apart. Clearly is beyond the band and beyond what the method errs by; cells say nothing: where a tower
// stands is not where somebody is.
func absences(t *replay.Trace, z *geofence.Zone) (out []geofence.Interval) {
	var run geofence.Interval
	n := 0
	end := func() {
		if n > 1 && run.Until.Sub(run.From) > absence {
			out = append(out, run)
		}
		n = 0
	}
	p := geofence.DefaultParams(geofence.StayIn)
	for i := range t.Fixes {
		x := &t.Fixes[i]
		if x.Place.Method == devices.MethodCell {
			continue
		}
		worst := map[devices.Method]float64{devices.MethodGNSS: p.FloorGNSS, devices.MethodWiFi: p.FloorWiFi, devices.MethodRF: p.FloorRF}[x.Place.Method]
		if z.Distance(x.Place.Lon, x.Place.Lat)-p.Band <= max(worst, x.Place.Accuracy) {
			if z.Covers(x.Place.Lon, x.Place.Lat) {
				end()
			}
			continue
		}
		if n++; n == 1 {
			run.From = x.At
		}
		run.Until = x.At
	}
	end()
	return out
}

// print writes the table, a line a trace, and the sums.
func printComparison(out io.Writer, list []compared) error {
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\t\t\tleft home\t\tleft city\t\tsilent\t\taway > 30 min\t\t")
	fmt.Fprintln(t, "trace\tfixes\tflagged\tnaive\tcore\tnaive\tcore\tnaive\tcore\tin the trace\tfound\t")
	total := compared{name: "all"}
	line := func(c *compared) {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", c.name, c.fixes, c.flagged, c.home.naive, c.home.core, c.city.naive, c.city.core,
			c.silent.naive, c.silent.core, c.home.plain+c.city.plain, c.home.found+c.city.found)
	}
	for i := range list {
		c := &list[i]
		line(c)
		total.fixes, total.flagged = total.fixes+c.fixes, total.flagged+c.flagged
		total.home.add(c.home)
		total.city.add(c.city)
		total.silent.add(c.silent)
	}
	line(&total)
	return t.Flush()
}
