// Package limits watches what can run out: numbers of sequences, transaction ids, disks. It keeps one sample a day of each and
// says when it will be full if it goes on as in the last weeks (R42: warned at half, with a date).
//
// GitLab and others learned on a running system that an identity had run out; everything here is 64 bit, and still watched.
package limits
