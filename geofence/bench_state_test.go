package geofence

import (
	"testing"
)

// TestBenchStates_R24 measures what states of subjects cost in memory, after days with five rules.
func TestBenchStates_R24(t *testing.T) {
	needBench(t)
	const subjects, fixes = 20_000, 400
	w, list := ordinarySubject(t), ordinaryDays(fixes, 10*60*1e9)
	states := make([]State, subjects)
	var in Input
	var out []Effect
	before := heap()
	for s := range states {
		for i := range list {
			in = Input{At: list[i].At, Now: list[i].At, Observed: &list[i], Binding: &w.facts.Bindings[0]}
			out = Evaluate(&states[s], &in, &w.facts, out[:0])
		}
	}
	each := float64(heap()-before) / subjects
	for s := range states { // as they are kept between two transactions: without what is only a short cut
		states[s] = states[s].clone()
	}
	kept := float64(heap()-before) / subjects
	t.Logf("states: %.0f bytes each while evaluated, %.0f as kept; 700,000 subjects: %.2f GiB and %.2f GiB", each, kept, each*700_000/(1<<30), kept*700_000/(1<<30))
	if states[0].Front.At.IsZero() {
		t.Error("nothing was evaluated")
	}
}
