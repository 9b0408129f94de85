package geofence

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zhijiao/devices"
	"zhijiao/internal/id"
)

// party is a rule about several people, and what becomes of sightings.
type party struct {
	t     testing.TB
	f     CompanyFacts
	s     CompanyState
	found []*Episode // in order of opening
	open  map[id.Subject]*Episode
}

func newParty(t testing.TB, k RuleKind, people int) *party {
	p := DefaultParams(k)
	r := Rule{ID: 1, Version: 1, Kind: k, Basis: "prohibition", Params: p, Valid: Interval{From: t0.AddDate(0, -1, 0)}}
	w := &party{t: t}
	if k == Proximity {
		r.Subject = 1
		w.f.Relations = []RelationFact{{2, Interval{From: t0.AddDate(0, -1, 0)}}}
	}
	w.f.Rules = []Rule{r}
	for i := range people {
		w.f.Members = append(w.f.Members, id.Subject(i+1))
	}
	return w
}

// seen is a satellite fix of somebody, so many metres east of a place.
func seen(s id.Subject, at time.Duration, east float64) Sighting {
	scale, _ := degreeScale(30.65)
	t := t0.Add(at)
	return Sighting{s, devices.Wristband, Mark{Device: id.Device(s), Seq: t.Unix(), At: t, LonE7: e7(113.16 + east/scale), LatE7: e7(30.65), Claimed: 500, Method: devices.MethodGNSS}}
}

func (w *party) see(list ...Sighting) {
	for i := range list {
		w.take(EvaluateCompany(&w.s, &w.f, list[i].Mark.At, &list[i], list[i].Mark.At, nil))
	}
}

func (w *party) until(at time.Duration) {
	w.take(EvaluateCompany(&w.s, &w.f, t0.Add(at), nil, t0.Add(at), nil))
}

func (w *party) take(list []CompanyEffect) {
	if w.open == nil {
		w.open = map[id.Subject]*Episode{}
	}
	for _, x := range list {
		if f := x.Effect.Open; f != nil {
			if w.open[x.Subject] != nil {
				w.t.Errorf("a second company opens of %d", x.Subject)
			}
			p := &Episode{Rule: f.Rule, Kind: f.Kind, At: f.At, Opened: f}
			w.open[x.Subject], w.found = p, append(w.found, p)
			continue
		}
		w.open[x.Subject].Closed = x.Effect.Close
		delete(w.open, x.Subject)
	}
}

// both are the first two, every minute, so far apart.
func (w *party) both(from, until time.Duration, apart float64) {
	for at := from; at < until; at += time.Minute {
		w.see(seen(1, at, 0), seen(2, at+20*time.Second, apart))
	}
}

func (w *party) want(want ...string) {
	w.t.Helper()
	var got []string
	for _, p := range w.found {
		until := "on"
		if p.Closed != nil {
			until = p.until().Sub(t0).String()
		}
		got = append(got, fmt.Sprintf("%s %v to %s", p.Kind, p.At.Sub(t0), until))
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("found %q, want %q", got, want)
	}
}

func TestProximity_R33(t *testing.T) {
	t.Parallel()
	t.Run("they meet", func(t *testing.T) {
		w := newParty(t, Proximity, 2)
		w.both(0, 10*time.Minute, 5000)
		w.both(10*time.Minute, 30*time.Minute, 40)
		w.both(30*time.Minute, 40*time.Minute, 5000)
		w.want("near 10m20s to 30m20s")
		e := &w.found[0].Opened.Evidence
		if len(e.With) != 1 || len(e.Fixes) != 4 || e.Fixes[1].Margin == 0 {
			t.Errorf("evidence: with %v, fixes %+v", e.With, e.Fixes)
		}
	})
	t.Run("they pass one another", func(t *testing.T) {
		w := newParty(t, Proximity, 2)
		w.both(0, 10*time.Minute, 5000)
		w.both(10*time.Minute, 13*time.Minute, 40)
		w.both(13*time.Minute, 40*time.Minute, 5000)
		w.want()
	})
	t.Run("near, but the error circles do not say so", func(t *testing.T) {
		w := newParty(t, Proximity, 2)
		w.both(0, time.Hour, 95)
		w.want()
	})
	t.Run("the relation ends", func(t *testing.T) {
		w := newParty(t, Proximity, 2)
		w.f.Relations[0].Valid.Until = t0.Add(30 * time.Minute) // the victim withdrew consent
		w.both(0, time.Hour, 40)
		w.want("near 20s to 30m0s")
	})
	t.Run("no relation", func(t *testing.T) {
		w := newParty(t, Proximity, 2)
		w.f.Relations = nil
		w.both(0, time.Hour, 40)
		w.want()
	})
	t.Run("nobody is heard any more", func(t *testing.T) {
		w := newParty(t, Proximity, 2)
		w.both(0, 20*time.Minute, 40)
		w.until(3 * time.Hour)
		w.want("near 20s to 19m0s")
		if at := w.found[0].Closed.Evidence.At; !at.Equal(t0.Add(49 * time.Minute)) {
			t.Errorf("told at %v", at)
		}
	})
	t.Run("a sparse channel", func(t *testing.T) {
		w := newParty(t, Proximity, 2)
		for at := time.Duration(0); at < 24*time.Hour; at += 8 * time.Hour {
			w.see(seen(1, at, 0), seen(2, at+time.Hour, 40))
		}
		w.want() // that both were there within an hour says nothing
	})
	t.Run("coarse fixes", func(t *testing.T) {
		w := newParty(t, Proximity, 2)
		for at := time.Duration(0); at < time.Hour; at += time.Minute {
			x, y := seen(1, at, 0), seen(2, at+20*time.Second, 40)
			x.Mark.Method, y.Mark.Method = devices.MethodCell, devices.MethodCell
			w.see(x, y)
		}
		w.want()
	})
}

func TestGathering(t *testing.T) {
	t.Parallel()
	at := func(w *party, from, until time.Duration, east ...float64) {
		for m := from; m < until; m += time.Minute {
			for i, e := range east {
				w.see(seen(id.Subject(i+1), m+time.Duration(10*i)*time.Second, e))
			}
		}
	}
	t.Run("three of four, and one goes", func(t *testing.T) {
		w := newParty(t, Gathering, 4)
		at(w, 0, 20*time.Minute, 0, 30, 60, 3000)
		at(w, 20*time.Minute, 30*time.Minute, 0, 30, 3000, 3000)
		w.want("gathered 20s to 20m20s")
		if f := w.found[0].Opened; len(f.Evidence.With) != 2 {
			t.Errorf("with %v", f.Evidence.With)
		}
	})
	t.Run("two and two", func(t *testing.T) {
		w := newParty(t, Gathering, 4)
		at(w, 0, time.Hour, 0, 30, 3000, 3030)
		w.want()
	})
	t.Run("one joins, one goes, three are left", func(t *testing.T) {
		w := newParty(t, Gathering, 4)
		at(w, 0, 20*time.Minute, 0, 30, 40, 3000)
		at(w, 20*time.Minute, 40*time.Minute, 0, 30, 40, 20)
		at(w, 40*time.Minute, time.Hour, 3000, 30, 40, 20)
		w.want("gathered 20s to on")
	})
	t.Run("two gatherings at once", func(t *testing.T) {
		w := newParty(t, Gathering, 6)
		at(w, 0, 20*time.Minute, 0, 20, 40, 3000, 3020, 3040)
		w.want("gathered 20s to on", "gathered 50s to on")
		if w.s.Open[0].Subject == w.s.Open[1].Subject {
			t.Errorf("both are told of %d", w.s.Open[0].Subject)
		}
	})
	t.Run("in a zone", func(t *testing.T) {
		w := newParty(t, Gathering, 3)
		w.f.Rules[0].Zone = 9
		w.f.Zones = map[ZoneID][]*Zone{9: {squareAt(t, 9, 113.16+1000/95_700.0, 30.65, 500)}}
		at(w, 0, 20*time.Minute, 0, 20, 40) // beside it
		at(w, 20*time.Minute, 40*time.Minute, 1000, 1020, 1040)
		at(w, 40*time.Minute, time.Hour, 0, 20, 40)
		w.want("gathered 20m20s to 40m0s")
	})
	t.Run("the window closes", func(t *testing.T) {
		w := newParty(t, Gathering, 3)
		s, err := ParseSchedule([]byte(`{"rows":[{"from":"` + t0.Add(8*time.Hour).Format("15:04") + `","until":"` + t0.Add(8*time.Hour+30*time.Minute).Format("15:04") + `"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		w.f.Rules[0].Schedule, w.f.Schedules = 1, map[ScheduleID][]ScheduleVersion{1: {{Interval{}, s}}}
		at(w, 0, time.Hour, 0, 20, 40)
		w.want("gathered 20s to 30m0s")
		if !w.found[0].Opened.Timed {
			t.Error("not told as timed")
		}
	})
}

// mingle is some hours of people who meet and part.
func mingle(r *rand.Rand, people, hours int) (out []Sighting) {
	for s := range people {
		east, to := r.Float64()*1000, r.Float64()*1000
		for at := time.Duration(r.IntN(60)) * time.Second; at < time.Duration(hours)*time.Hour; at += 30*time.Second + time.Duration(r.IntN(60))*time.Second {
			switch r.IntN(40) {
			case 0:
				to = []float64{0, 0, 2000, r.Float64() * 4000}[r.IntN(4)]
			case 1:
				at += time.Duration(r.IntN(50)) * time.Minute
			}
			east += (to-east)*0.5 + r.NormFloat64()*10
			out = append(out, seen(id.Subject(s+1), at.Truncate(time.Millisecond), east))
		}
	}
	slices.SortStableFunc(out, func(a, b Sighting) int {
		return cmp.Or(a.Mark.At.Compare(b.Mark.At), cmp.Compare(a.Mark.Device, b.Mark.Device))
	})
	return out
}

// TestCompanyFromAnywhereIsTheSame_R36: judged again from where companyStart says, from an empty state, what is found is what
// was found: whatever was before, and however it was stepped.
func TestCompanyFromAnywhereIsTheSame_R36(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 3))
		kind, people := Gathering, 5
		if r.IntN(3) == 0 {
			kind, people = Proximity, 2
		}
		told := mingle(r, people, 6)
		whole := newParty(t, kind, people)
		for i := range told {
			if r.IntN(20) == 0 {
				whole.take(EvaluateCompany(&whole.s, &whole.f, told[i].Mark.At, nil, told[i].Mark.At, nil))
			}
			whole.see(told[i])
		}
		whole.until(8 * time.Hour)
		known := whole.episodes()

		dirty := t0.Add(time.Duration(r.Int64N(int64(6 * time.Hour))))
		compare, from := companyStart(&whole.f.Rules[0].Params, dirty, known)
		again := newParty(t, kind, people)
		again.s.At = from
		for i := range told {
			if !told[i].Mark.At.Before(from) {
				again.see(told[i])
			}
		}
		again.until(8 * time.Hour)
		if a, b := whole.final(compare), again.final(compare); !slices.Equal(a, b) {
			rt.Fatalf("from %v, compared from %v\nonly at once:\n%s\nonly from there:\n%s", from.Sub(t0), compare.Sub(t0), without(a, b), without(b, a))
		}
	})
}

// episodes are what was found, as violations.
func (w *party) episodes() (out []*episode) {
	for i, p := range w.found {
		v := &episode{ViolationBody: ViolationBody{Violation: ViolationID(i + 1), Rule: p.Rule, Kind: p.Kind, OpenedAt: p.At, State: ViolationOpen}}
		if p.Closed != nil {
			v.State, v.ClosedAt, v.evidence.Closed = ViolationClosed, p.until(), &p.Closed.Evidence
		}
		out = append(out, v)
	}
	return out
}

func (w *party) final(from time.Time) (out []string) {
	for _, p := range w.found {
		if p.At.Before(from) {
			continue
		}
		var end []byte
		if p.Closed != nil {
			c := p.Closed.Evidence
			c.Now = time.Time{}
			end, _ = json.Marshal(&c)
		}
		o := p.Opened.Evidence
		o.Now = time.Time{}
		doc, _ := json.Marshal(&o)
		out = append(out, fmt.Sprintf("%v to %v on %s %s", p.At.Sub(t0), p.until().Sub(t0), doc, end))
	}
	slices.Sort(out)
	return out
}
