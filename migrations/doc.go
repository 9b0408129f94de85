// Package migrations is the schema: numbered SQL files, embedded, applied one a transaction under an advisory lock. Up
// brings a database to the schema of this program; Check refuses one that is older or newer. A released file is never
// edited; a change is a new file.
package migrations
