package geofence

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/twpayne/go-geom"

	"zhijiao/devices"
)

// FuzzEvaluate tells a story in bytes: whatever devices send, whenever the clock ticks, evaluation does not panic, opens
// nothing twice, closes only what is open, asks for no tick in the past that a tick does not settle, and a state that went
// through the database goes on the same.
func FuzzEvaluate(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 9, 1, 1, 60, 1, 90, 1, 2, 60, 1, 90, 1, 2})
	f.Add([]byte{1, 0, 200, 255, 0, 3, 7, 1, 1, 1, 1, 1})
	f.Add([]byte{2, 9, 9, 250, 250, 250, 250, 250, 250, 250, 250, 250})
	f.Fuzz(func(t *testing.T, story []byte) {
		if len(story) > 400 {
			return
		}
		next := func() (b byte) {
			if len(story) > 0 {
				b, story = story[0], story[1:]
			}
			return b
		}
		w := newWorld(t, []RuleKind{StayIn, KeepOut, Silence}[next()%3], []time.Duration{dense, sparse, 20 * time.Second}[next()%3])
		if w.class == devices.Wristband {
			w.withPhone()
		}
		open, asked := map[ViolationKind]bool{}, false
		at := time.Duration(0)
		for len(story) > 0 {
			what := next()
			at += time.Duration(next()) * time.Second * time.Duration(1+what%16)
			var es []Effect
			switch what >> 6 {
			case 0, 1:
				late := time.Duration(next()%8) * time.Minute * time.Duration(what>>4&1)
				if what&32 != 0 && len(w.facts.Bindings) > 1 {
					es = w.from(&w.facts.Bindings[1], at-late, float64(int8(next()))*130)
				} else {
					es = w.send(at-late, float64(int8(next()))*130, float64(next())*4, devices.Method(1+next()%4))
				}
			case 2:
				es = w.tick(at)
				if due := NextDue(&w.state, &w.facts, t0.Add(at)); !due.IsZero() && !due.After(t0.Add(at)) {
					t.Fatalf("ticked at %v, still due at %v", at, due.Sub(t0))
				}
			default:
				doc, err := json.Marshal(w.state)
				if err != nil {
					t.Fatal(err)
				}
				var back State
				if err := json.Unmarshal(doc, &back); err != nil {
					t.Fatal(err)
				}
				if again, _ := json.Marshal(back); !bytes.Equal(doc, again) {
					t.Fatalf("the state does not survive the database:\n%s\n%s", doc, again)
				}
				w.state = back
				w.change(what, t0.Add(at+time.Duration(int8(next()))*time.Minute))
			}
			for _, e := range es {
				switch {
				case e.Open != nil && open[e.Open.Kind]:
					t.Fatalf("%s opened twice", e.Open.Kind)
				case e.Open != nil:
					open[e.Open.Kind] = true
				case e.Close != nil && !open[e.Close.Kind]:
					t.Fatalf("%s closed and was not open", e.Close.Kind)
				case e.Close != nil:
					open[e.Close.Kind] = false
				case e.Amend != nil && !open[e.Amend.Kind]:
					t.Fatalf("%s amended and was not open", e.Amend.Kind)
				case e.Ask != nil && asked:
					t.Fatal("asked twice")
				case e.Settle != nil && !asked:
					t.Fatal("settled what was not asked")
				case e.Ask != nil || e.Settle != nil:
					asked = e.Ask != nil
				}
			}
		}
	})
}

// change records another fact: what begins or ends at an instant.
func (w *world) change(what byte, at time.Time) {
	w.facts.Version++
	rules, bindings := w.facts.Rules, w.facts.Bindings
	last := rules[len(rules)-1]
	switch what & 7 {
	case 0:
		if len(w.facts.Zones[1]) > 0 {
			w.renumber()
		}
	case 1:
		if zs := w.facts.Zones[1]; len(zs) > 0 && at.After(zs[0].Valid.From) {
			z := *zs[0]
			z.Version, z.Valid.Until = z.Version+1, at
			w.facts.Zones = map[ZoneID][]*Zone{1: {&z}}
		}
	case 2:
		if at.After(last.Valid.From) {
			rules[len(rules)-1].Valid.Until = at
		}
	case 3:
		if !last.Valid.Until.IsZero() {
			last.Version, last.Valid = last.Version+1, Interval{From: last.Valid.Until.Add(10 * time.Minute)}
			w.facts.Rules = append(rules, last)
		}
	case 4:
		bindings[0].Valid.Until = at
	case 5:
		bindings[0].Valid.Until = time.Time{}
	case 6:
		w.facts.Authorities[0].Until = at
	case 7:
		w.facts.Authorities[0].Until = time.Time{}
	}
}

// FuzzState: whatever stands in the column, evaluation reads it or says that it cannot, and does not panic on it.
func FuzzState(f *testing.F) {
	w := newWorld(f, StayIn, dense)
	w.fix(0, 0, 8)
	w.fix(time.Minute, 9000, 8)
	w.fix(2*time.Minute, 9000, 8)
	doc, err := json.Marshal(w.state)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(doc)
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"rules":[{"rule":1,"open":"left_zone"},{"rule":1},{"rule":-3,"ask":{}}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		for _, k := range []RuleKind{StayIn, KeepOut, Silence} {
			w := newWorld(t, k, dense)
			if json.Unmarshal(doc, &w.state) != nil {
				return
			}
			for n := range 6 {
				w.fix(time.Duration(n)*time.Minute, float64(n)*3000, 8)
				w.tick(time.Duration(n)*time.Minute + 30*time.Second)
				NextDue(&w.state, &w.facts, t0)
			}
		}
	})
}

// FuzzParams: params are refused with a reason, or can be written down and read again the same.
func FuzzParams(f *testing.F) {
	f.Add([]byte(`{"count":3,"grace_s":600,"band_m":100,"class":"phone"}`))
	f.Add([]byte(`{"grace_s":1e300}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		for _, k := range []RuleKind{StayIn, KeepOut, Silence} {
			p, err := ParseParams(k, doc)
			if err != nil {
				continue
			}
			out, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := ParseParams(k, out); err != nil || back != p {
				t.Fatalf("%s became %s: %+v, %v", doc, out, back, err)
			}
		}
	})
}

// FuzzImport: a file is refused, or its polygons can be prepared and asked.
func FuzzImport(f *testing.F) {
	f.Add([]byte(`{"type":"Polygon","coordinates":[[[113,30],[114,30],[114,31],[113,30]]]}`))
	f.Add([]byte(`{"type":"Feature","properties":{"name":1},"geometry":{"type":"MultiPolygon","coordinates":[[[[1,2,3],[4,5,6],[7,8,9],[1,2,3]]]]}}`))
	f.Add([]byte(`{"type":"Polygon","coordinates":[[[113],[114,30],[114,31],[113]]]}`))
	f.Add([]byte(`{"type":"FeatureCollection","features":[null]}`))
	f.Add([]byte(`{"type":"Polygon","coordinates":[[[113,30],[114,30],[114,35],[114,31],[114,31],[113,31]],[[113.1,30.1],[113.2,30.1],[113.2,30.2],[113.1,30.1]]]}`))
	f.Add([]byte(`{"type":"Polygon","coordinates":[[[113,30],[114,31],[115,32],[113,30]]]}`))
	f.Add([]byte(`{"type":"Polygon","coordinates":[[[113,1e999],[114,31],[115,32],[113,30]]]}`))
	f.Add([]byte(`{"type":"Polygon","coordinates":[[[179.9999999,89.9999999],[-180,-90],[180,90],[0,0]]]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		zones, err := ImportGeoJSON(bytes.NewReader(doc), devices.GCJ02)
		var refused *Refused
		if err != nil {
			if !errors.As(err, &refused) {
				t.Fatalf("an error of its own kind: %v", err)
			}
			return
		}
		for _, z := range zones {
			p, err := NewPolygon(1, 1, Interval{}, z.Geometry)
			if err != nil {
				t.Fatalf("imported, and then: %v", err)
			}
			for k := range z.Geometry.NumPolygons() {
				for n := range z.Geometry.Polygon(k).NumLinearRings() {
					wellDrawn(t, z.Geometry.Polygon(k).LinearRing(n).Coords(), n > 0)
				}
			}
			if d := p.Distance(113.16, 30.65); math.IsNaN(d) || math.IsInf(d, 0) {
				t.Fatalf("a distance of %v", d)
			}
		}
	})
}

// wellDrawn: what is left of a ring has nothing that a second reading would repair.
func wellDrawn(t *testing.T, ring []geom.Coord, hole bool) {
	t.Helper()
	corners, err := cornersOf("again", ring, devices.WGS84)
	if err != nil {
		var refused *Refused
		if errors.As(err, &refused) && strings.Contains(refused.Detail, "latitude before") { // it was in another datum
			return
		}
		t.Fatal(err)
	}
	again, repairs, err := mendRing("again", corners, hole)
	if err != nil || len(repairs) > 0 || len(again) != len(ring) {
		t.Fatalf("read again: %v, %+v", err, repairs)
	}
}
