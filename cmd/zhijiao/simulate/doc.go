// Package simulate is a small city of people who do not exist: home, work, errands, sleep, devices with noise by method,
// gaps and batteries, and a few who leave the city, enter a prohibited place or fall silent.
//
// It is deterministic by seed: the same options give the same observations at the same instants, whoever asks and
// however fast. It knows what everybody really did (Truth), and whether the observations it sent could show it, so that
// alerts can be judged against the world and not against the platform's own opinion.
package simulate
