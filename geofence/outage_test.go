package geofence

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"zhijiao/internal/id"
)

// area is so many of two operators, the first so many of whom are silent.
func area(expected, silent int, for_ time.Duration) (list []Watched) {
	for i := range expected {
		w := Watched{Subject: id.Subject(i + 1), Device: id.Device(i + 1), Office: id.Org(1 + i%3), Operator: "46000", Cell: fmt.Sprintf("cell-%d", i%4), Every: time.Minute, Heard: t0.Add(-time.Minute)}
		if i < silent {
			w.Heard = t0.Add(-for_)
		}
		list = append(list, w)
	}
	for i := range 20 { // another operator, all of whom speak
		list = append(list, Watched{Subject: id.Subject(100 + i), Device: id.Device(100 + i), Office: id.Org(1 + i%3), Operator: "46001", Every: time.Minute, Heard: t0})
	}
	return list
}

func TestAreas_R128(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expected, silent int
		lasting          time.Duration
		away             bool
	}{
		"most are silent":          {10, 7, 15 * time.Minute, true},
		"exactly so many":          {10, 6, 15 * time.Minute, true},
		"fewer than that":          {10, 5, 15 * time.Minute, false},
		"too few altogether":       {4, 4, 15 * time.Minute, false},
		"five of five":             {5, 5, 15 * time.Minute, true},
		"not for long enough":      {10, 10, 10 * time.Minute, false},
		"for a moment long enough": {10, 10, 10*time.Minute + time.Second, true},
	} {
		opens, stand := Areas(area(c.expected, c.silent, c.lasting), nil, nil, t0)
		if got := len(opens) == 1 && opens[0].OutageKey == (OutageKey{ByOperator, "46000"}) && len(opens[0].Silent) == c.silent && opens[0].Expected == c.expected; got != c.away || len(stand) != 0 || len(opens) > 1 {
			t.Errorf("%s: %+v %+v", name, opens, stand)
		}
	}
	t.Run("it ends with hysteresis", func(t *testing.T) {
		key := OutageKey{ByOperator, "46000"}
		for silent, holds := range map[int]bool{4: true, 3: true, 2: false, 0: false} {
			_, stand := Areas(area(10, silent, time.Hour), []OutageKey{key}, nil, t0)
			if len(stand) != 1 || stand[0].Holds() != holds {
				t.Errorf("%d of 10 silent: %+v", silent, stand)
			}
		}
		if _, stand := Areas(nil, []OutageKey{key}, nil, t0); len(stand) != 1 || stand[0].Holds() {
			t.Errorf("nobody is expected any more: %+v", stand)
		}
	})
	t.Run("a town of one office", func(t *testing.T) {
		list := area(0, 0, 0)
		for i := range 8 {
			list = append(list, Watched{Subject: id.Subject(200 + i), Device: id.Device(200 + i), Office: 9, Operator: []string{"46000", "46001", "46011"}[i%3], Every: time.Minute, Heard: t0.Add(-time.Hour)})
		}
		opens, _ := Areas(list, nil, nil, t0)
		if len(opens) != 1 || opens[0].OutageKey != (OutageKey{ByTown, "9"}) || len(opens[0].Silent) != 8 {
			t.Errorf("%+v", opens)
		}
	})
	t.Run("who died one a day is no outage", func(t *testing.T) {
		list := area(10, 8, 0)
		for i := range 8 {
			list[i].Heard = t0.Add(-time.Duration(i+1) * 24 * time.Hour)
		}
		if opens, _ := Areas(list, nil, nil, t0); len(opens) != 0 {
			t.Errorf("%+v", opens)
		}
	})
	t.Run("an officer's word that it is back holds", func(t *testing.T) {
		list := area(10, 8, 30*time.Minute)
		key := OutageKey{ByOperator, "46000"}
		if opens, _ := Areas(list, nil, map[OutageKey]time.Time{key: t0.Add(-5 * time.Minute)}, t0); len(opens) != 0 {
			t.Errorf("the same silence again: %+v", opens)
		}
		if opens, _ := Areas(list, nil, map[OutageKey]time.Time{key: t0.Add(-40 * time.Minute)}, t0); len(opens) != 1 {
			t.Errorf("silence that began since: %+v", opens)
		}
	})
	t.Run("the deaf", func(t *testing.T) {
		list := area(10, 8, 30*time.Minute)
		for i := range list {
			list[i].Deaf = 25 * time.Minute
		}
		if opens, _ := Areas(list, nil, nil, t0); len(opens) != 0 {
			t.Errorf("what we did not hear: %+v", opens)
		}
		for i := range list {
			list[i].Deaf = 2 * time.Minute
		}
		if _, stand := Areas(list, []OutageKey{{ByOperator, "46000"}}, nil, t0); len(stand) != 1 || !stand[0].Holds() {
			t.Errorf("two deaf minutes end nothing: %+v", stand)
		}
	})
	t.Run("a slow device is not silent yet", func(t *testing.T) {
		list := area(10, 10, 20*time.Minute)
		for i := range list {
			list[i].Every = 10 * time.Minute
		}
		if opens, _ := Areas(list, nil, nil, t0); len(opens) != 0 {
			t.Errorf("%+v", opens)
		}
	})
}

// TestAreasDoNotDependOnOrder_R128: the same people in any order give the same answer.
func TestAreasDoNotDependOnOrder_R128(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 128))
	for range 200 {
		list := area(5+r.IntN(20), r.IntN(25), time.Duration(r.IntN(60))*time.Minute)
		open := []OutageKey{{ByTown, "1"}, {ByCell, "cell-2"}}
		a, b := Areas(list, open, nil, t0)
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		c, d := Areas(list, open, nil, t0)
		if !reflect.DeepEqual(a, c) || !reflect.DeepEqual(b, d) {
			t.Fatalf("%+v\n%+v\n%+v\n%+v", a, c, b, d)
		}
		seen := map[id.Device]bool{}
		for _, x := range append(a, b...) {
			for _, w := range x.Silent {
				if seen[w.Device] {
					t.Fatalf("device %d is counted twice", w.Device)
				}
				seen[w.Device] = true
			}
		}
	}
}
