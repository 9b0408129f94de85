// Package devices knows what speaks to us: identity, class, credentials, the intervals in which a device speaks for a
// subject, its health, the commands it is given, and what was refused of what it said. Wire formats are decoded here, one
// file a format (codec_*.go); every coordinate that leaves a codec is WGS-84.
//
// It promises that an observation is decided upon once (Window), that every one is accounted for (Count), and that a
// coordinate the law keeps from us is in nothing it writes.
package devices
