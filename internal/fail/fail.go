// Package fail names the places at which a test ends or stops the program, to see that nothing depends on getting any
// further. Nothing happens at a point unless a test has armed it; no setting of the program does.
package fail

import "sync/atomic"

// Points are all there are, in the order in which an observation passes them.
var Points = []string{
	Opened, Fenced, Locked, Decided, Written, Applied, BeforeCommit, Committed, Acknowledged,
	TimersDecided, TimersCommitted, ReaderApplied, ReaderCommitted, Packing,
}

// The points.
const (
	Opened          = "ingest.opened"           // a batch is decoded, nothing is written
	Fenced          = "geofence.fenced"         // the lease of the partition is held
	Locked          = "geofence.locked"         // devices and subjects are locked and read
	Decided         = "geofence.decided"        // evaluated, nothing written
	Written         = "geofence.written"        // history is written
	Applied         = "geofence.applied"        // windows, states and counts are written, violations too
	BeforeCommit    = "geofence.before_commit"  // the ledger is appended
	Committed       = "ingest.committed"        // the transaction is committed, nothing is acknowledged to the broker
	Acknowledged    = "ingest.acknowledged"     // the batch is acknowledged
	TimersDecided   = "geofence.timers_decided" // timers have fired, nothing is committed
	TimersCommitted = "geofence.timers_committed"
	ReaderApplied   = "ledger.applied" // a reader of the ledger has taken effect, such as alerts of violations; nothing is committed
	ReaderCommitted = "ledger.committed"
	Packing         = "geofence.packing" // rows of a day that is over are taken out, nothing of them is packed
)

var armed atomic.Pointer[func(string)]

// Arm has f called at every point. Only tests do.
func Arm(f func(point string)) { armed.Store(&f) }

// Point is one of Points.
func Point(name string) {
	if f := armed.Load(); f != nil {
		(*f)(name)
	}
}
