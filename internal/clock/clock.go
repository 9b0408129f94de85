// Package clock gives domain time: the time of fixes, timers, authorities and escalation. cmd builds one Clock and hands
// it down; nothing else in the program may decide by time.Now. Machine time (audit, leases, sessions) is time.Now.
//
// A live deployment runs on the machine's time. A rehearsal may run scaled (a demo, at most 120 times) or stepped (a
// test: time stands still until it is moved). Which one is in the table domain_clock, so that it survives a restart.
// Domain time does not run while no process keeps it, never goes back, and is the same in every process of a database.
package clock

import "time"

// Kind says how domain time relates to machine time.
type Kind string

const (
	// Machine: domain time is the machine's.
	Machine Kind = "machine"
	// Scaled: domain time runs Rate times as fast as the machine's.
	Scaled Kind = "scaled"
	// Stepped: domain time stands still until it is moved.
	Stepped Kind = "stepped"
)

// Reading is what the clock says and how it runs; the wall shows it when Kind is not Machine.
type Reading struct {
	Now  time.Time // UTC
	Kind Kind
	Rate float64 // domain seconds a machine second; 0 when stepped, 1 on machine time
}

// Clock is domain time.
type Clock interface {
	// Now returns domain time, UTC, microsecond precision (what PostgreSQL keeps).
	Now() time.Time
	// Read returns domain time and how it runs.
	Read() Reading
	// After returns a channel that holds a signal when domain time reaches t, or when the clock was set; whoever waits
	// must look at Now again and ask anew. cancel frees it.
	After(t time.Time) (fired <-chan struct{}, cancel func())
}
