// Package cluster runs a private PostgreSQL in a data folder: it finds the programs, makes the cluster, starts it as an
// unprivileged account, restarts it when it dies, and leaves no process behind, however its own process ends.
//
// Nothing listens on a network: the server has one socket, in a folder only its account (and root) may enter, and admits
// only the account that started it and root, as told by the kernel (peer); there is no password to leak.
package cluster
