// Package track holds what history keeps of a fix, and packs an hour of fixes into few bytes and opens them again without loss.
//
// A fix as a row of the table position costs about 190 bytes with its index. Packed with its neighbours it costs about a
// twentieth: what repeats is written once, times and places as what a simple prediction misses them by. Nothing is rounded.
//
// The package is pure: no clock, no database.
package track
