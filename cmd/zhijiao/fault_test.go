package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"zhijiao/internal/fail"
)

// faultRow is one kind of harm, done again and again while devices publish.
type faultRow struct {
	name   string
	rounds int // of make test; make faults takes so many times more as ZHIJIAO_TEST_FAULTS says
	harm   func(w *faultWorld, round int)
}

// faultFactor is how many times more rounds there are than in make test.
func faultFactor() int {
	if n, err := strconv.Atoi(os.Getenv("ZHIJIAO_TEST_FAULTS")); err == nil && n > 0 {
		return n
	}
	return 1
}

// restart starts the one server again after it ended.
func (w *faultWorld) restart() { w.startServer("a") }

// atPoint starts a server that ends itself at a point, and waits until it has.
func (w *faultWorld) atPoint(point string, times int) {
	w.t.Helper()
	w.servers["a"].kill()
	p := w.launch("a", []string{envPoint + "=" + fmt.Sprintf("%s:kill:%d", point, times)})
	select {
	case <-p.done:
	case <-time.After(faultPatience):
		w.t.Errorf("it never came to %s", point)
		p.kill()
	}
	w.restart()
}

// database waits until the database answers again.
func (w *faultWorld) database() {
	w.t.Helper()
	eventually(w.t, "the database answers", func() bool { return w.one("SELECT 1") == 1 })
}

// backend kills one of the server's sessions in the database: PostgreSQL then ends all others, and recovers.
func (w *faultWorld) backend() {
	w.t.Helper()
	pid := w.one(`SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'zhijiao/%' AND pid <> pg_backend_pid() ORDER BY query_start DESC NULLS LAST LIMIT 1`)
	if pid <= 0 {
		w.t.Error("no session of a server in the database")
		return
	}
	syscall.Kill(int(pid), syscall.SIGKILL)
	w.database()
}

func faultRows() []faultRow {
	rows := []faultRow{
		{"server killed", 2, func(w *faultWorld, _ int) { w.servers["a"].kill(); w.restart() }},
		{"PostgreSQL backend killed", 1, func(w *faultWorld, _ int) { w.backend() }},
		{"PostgreSQL killed", 1, func(w *faultWorld, _ int) { syscall.Kill(w.cluster.Pid(), syscall.SIGKILL); w.database() }},
		{"PostgreSQL stopped at once", 1, func(w *faultWorld, _ int) { syscall.Kill(w.cluster.Pid(), syscall.SIGQUIT); w.database() }},
		{"broker killed", 1, func(w *faultWorld, _ int) { w.broker.kill(); w.startBroker() }},
		{"all three killed", 1, func(w *faultWorld, _ int) {
			w.servers["a"].kill()
			w.broker.kill()
			syscall.Kill(w.cluster.Pid(), syscall.SIGKILL)
			w.startBroker()
			w.restart()
		}},
		{"everything sent three times", 1, func(w *faultWorld, _ int) {
			w.howMu.Lock()
			w.how = func(int) sending { return sending{copies: 3} }
			w.howMu.Unlock()
			w.await(faultDevices * 30)
			w.howMu.Lock()
			w.how = nil
			w.howMu.Unlock()
		}},
	}
	for _, point := range fail.Points {
		harm := func(w *faultWorld, round int) { w.atPoint(point, 1+round%3) }
		if point == fail.TimersDecided || point == fail.TimersCommitted {
			harm = func(w *faultWorld, _ int) { // timers are rare while devices speak, and wait while a backlog does
				w.pauses.Lock()
				defer w.pauses.Unlock()
				w.one(`WITH due AS (UPDATE subject_state SET next_due = clock_timestamp() RETURNING 1) SELECT count(*) FROM due`)
				w.atPoint(point, 1)
			}
		}
		rows = append(rows, faultRow{"killed at " + point, 1, harm})
	}
	return rows
}

// faultResult is one row of the table.
type faultResult struct {
	name   string
	rounds int
	faultTally
	longest, sum time.Duration
}

func table(results []faultResult) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-46s %6s %10s %6s %10s %9s %9s\n", "row", "rounds", "acked", "lost", "duplicated", "recovery", "longest")
	for _, r := range results {
		fmt.Fprintf(&b, "%-46s %6d %10d %6d %10d %8.1fs %8.1fs\n", r.name, r.rounds, r.acked, r.lost, r.duplicated,
			r.sum.Seconds()/float64(max(r.rounds, 1)), r.longest.Seconds())
	}
	return b.String()
}

// suffer does a row's harm, round after round. When there are many, it counts what is lost after the last of them; else that is
// counted at the end.
func (w *faultWorld) suffer(row faultRow, factor int) faultResult {
	w.t.Helper()
	r := faultResult{name: row.name, rounds: row.rounds * factor}
	start := w.total()
	for round := range r.rounds {
		w.await(faultDevices * 10)
		before, since := w.total(), time.Now()
		row.harm(w, round)
		took := w.recovered(row.name, since, before)
		r.sum, r.longest = r.sum+took, max(r.longest, took)
		if w.t.Failed() {
			break
		}
	}
	if factor > 1 { // to hold everybody up until nothing is on its way takes as long as the broker waits before it sends again
		r.faultTally = w.count()
	} else {
		r.acked = w.total()
	}
	r.acked -= start
	return r
}

// TestFaults_R35_R116: while devices publish, everything is killed with -9, at any time and at every step of a transaction, and
// started again. No acknowledged observation is missing, none is there twice, everybody who left the zone has exactly one alert
// of it, nobody's state goes back, and the accounting closes. make faults takes many rounds.
func TestFaults_R35_R116(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a minute")
	}
	w := newFaultWorld(t, dataFolder(t))
	w.publish()
	watch := w.watchVersions()
	var results []faultResult
	for _, row := range faultRows() {
		if t.Failed() {
			break
		}
		results = append(results, w.suffer(row, faultFactor()))
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

// watchVersions looks again and again whether somebody's state went back, until the function it returns is called.
func (w *faultWorld) watchVersions() (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		last := map[int64]int64{}
		for {
			for s, n := range w.versions() {
				if n < last[s] {
					w.t.Errorf("the state of subject %d went back from version %d to %d", s, last[s], n)
				}
				last[s] = n
			}
			select {
			case <-end:
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	return func() { close(end); <-ended }
}

// TestOwnerStops_R116: of two servers one is stopped, in the middle of its work or inside its transaction, for longer than its
// lease lives; the other takes its partitions over, and when the first goes on it commits nothing that the other has.
func TestOwnerStops_R116(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	w := newFaultWorld(t, dataFolder(t))
	w.publish()
	watch := w.watchVersions()
	spread := func(n int64) {
		eventually(t, fmt.Sprintf("%d servers read", n), func() bool {
			return w.one(`SELECT count(DISTINCT owner) FROM partition_lease`) == n && w.one(`SELECT count(*) FROM partition_lease WHERE owner IS NULL`) == 0
		})
	}
	w.startServer("b")
	spread(2)
	stopped := 6 * time.Second // the lease lives for five
	if faultFactor() > 1 {
		stopped = time.Minute
	}
	row := func(name string, harm func(w *faultWorld, round int)) faultResult {
		return w.suffer(faultRow{name, 1, harm}, min(faultFactor(), 3))
	}
	// While the other one works, its own devices go on; only those of the stopped one show that it was taken over.
	overtaken := func() {
		from := w.one(`SELECT min(epoch) FROM partition_lease`)
		eventually(t, "its partitions are taken over", func() bool {
			return w.one(`SELECT count(DISTINCT owner) FROM partition_lease`) == 1 && w.one(`SELECT max(epoch) FROM partition_lease`) > from
		})
	}
	var results []faultResult
	results = append(results, row("a server of two stopped", func(w *faultWorld, _ int) {
		p := w.servers["a"].cmd.Process
		p.Signal(syscall.SIGSTOP)
		since, before := time.Now(), w.total()
		overtaken()
		w.recovered("taken over", since, before)
		t.Logf("taken over after %.1fs", time.Since(since).Seconds())
		<-time.After(time.Until(since.Add(stopped)))
		p.Signal(syscall.SIGCONT)
		spread(2)
	}))
	results = append(results, row("a server of two stopped inside its transaction", func(w *faultWorld, _ int) {
		w.servers["a"].kill()
		spread(1)
		p := w.launch("a", []string{envPoint + "=" + fail.Written + ":stop:3"})
		eventually(t, "it has stopped inside its transaction", func() bool { return stateOf(p.cmd.Process.Pid) == "T" })
		since, before := time.Now(), w.total()
		overtaken()
		w.recovered("taken over", since, before)
		t.Logf("taken over after %.1fs", time.Since(since).Seconds())
		<-time.After(time.Until(since.Add(stopped)))
		p.cmd.Process.Signal(syscall.SIGCONT)
		spread(2)
	}))
	results = append(results, row("a server of two killed", func(w *faultWorld, _ int) {
		w.servers["a"].kill()
		since, before := time.Now(), w.total()
		overtaken()
		took := w.recovered("taken over", since, before)
		t.Logf("back after %.1fs", took.Seconds())
		w.restart()
		spread(2)
	}))
	w.finish()
	watch()
	t.Logf("\n%s", table(results))
	for _, r := range results {
		if r.lost != 0 || r.duplicated != 0 {
			t.Errorf("%s: %d lost, %d duplicated", r.name, r.lost, r.duplicated)
		}
	}
}

// programWith is program with more in its environment.
func programWith(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	return start(t, func(c *exec.Cmd) { c.Env = append(c.Env, env...) }, args...)
}
