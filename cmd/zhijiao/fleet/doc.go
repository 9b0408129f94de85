// Package fleet is a set of devices that connect, publish and listen as real ones do: each with its own session, its own
// credential, QoS 1, in order. Replay and simulate send through it.
package fleet
