// Package audit proves that nobody rewrote what the ledger says.
//
// Every minute what was written since is sealed: a hash of each row, a Merkle tree over them (RFC 6962), and a seal that carries the hash of the
// seal before and a signature. The key is not in the database, and every seal is also appended to a file on another path. Verify finds a row that
// was edited, deleted, put in, moved or cut off, and names the first; what is not sealed yet, the last minute, it counts. A seal without rows once
// an hour shows that auditing never stopped.
package audit
