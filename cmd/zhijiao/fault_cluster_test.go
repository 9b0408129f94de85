package main

import (
	"fmt"
	"testing"
	"time"
)

// TestClusterNodeKilled_R116: of three brokers that keep every message together one is killed with -9 (with make faults each in turn) while
// devices publish: they and the server go on with the other two, the node comes back and takes part again, and no acknowledged observation is
// missing or there twice.
func TestClusterNodeKilled_R116(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	w := newFaultWorldOf(t, dataFolder(t), 3)
	w.publish()
	watch := w.watchVersions()
	var results []faultResult
	for i := range w.nodes {
		if i > 0 && faultFactor() == 1 {
			break
		}
		results = append(results, w.suffer(faultRow{fmt.Sprintf("node %d of three killed", i+1), 1, func(w *faultWorld, _ int) {
			w.nodes[i].kill()
			before := w.total()
			w.await(faultDevices * 10) // with two nodes
			w.recovered("two nodes", time.Now(), before)
			w.launchNode(i)
			w.nodes[i].waitFor("the broker listens")
		}}, faultFactor()))
	}
	w.finish()
	watch()
	t.Logf("\n%s", table(results))
	for _, r := range results {
		if r.lost != 0 || r.duplicated != 0 {
			t.Errorf("%s: %d lost, %d duplicated", r.name, r.lost, r.duplicated)
		}
	}
}
