// Package ledger writes and reads the one ledger that everything after evaluation follows.
//
// Append is the last statement of a transaction that changed facts: it takes one advisory lock until commit, so pos is in
// commit order and no reader can skip a row. A Tail reads on from its own cursor; NOTIFY wakes it, polling keeps it
// correct, and catching up is the same code as following live.
package ledger
