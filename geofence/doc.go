// Package geofence is the core: zones, rules, verdicts, and the evaluation that turns observations into violations.
//
// Evaluate is a pure function of state, input, facts and time: no clock, no I/O, no map order. Engine wraps it in one
// transaction: what was heard, what was stored or withheld and why, the new state, and the violations commit together or
// not at all, and only then may a message be acknowledged.
//
// It promises that a position the law keeps from us is stored nowhere, that the same observation twice changes nothing,
// and that every violation carries what it was decided on.
package geofence
