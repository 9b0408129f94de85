// Package config is what an administrator may set: a table of keys, each with its meaning and default, read from a YAML
// file, the environment and flags (a later one wins), checked as a whole. An unknown key and an unsafe setting refuse to
// start and say why.
package config
