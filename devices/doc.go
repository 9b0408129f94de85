// Package devices knows what speaks to us: identity, class, credentials, the intervals in which a device speaks for a
// subject, its health, the commands it is given, and what was refused of what it said. Wire formats are decoded here, each
// in files of its own (codec_*.go); every coordinate that leaves a codec is WGS-84.
//
// It promises that an observation is decided upon once (Window), that every one is accounted for (Counts), and that a
// coordinate the law keeps from us is in nothing it writes.
//
// Locks are taken in one order, here and everywhere: devices (rows of device_health, by id), then subjects (rows of
// subject_state, by id), then the ledger.
package devices
