// Package console is what people work at: the HTTP API and the websocket behind the wall and the desk, accounts and
// sessions, and the front end, embedded.
//
// Routes are one table. Every answer is scoped by the account's organisation; administrators see no case. A websocket goes on
// from the position it stopped at and misses nothing; a client too slow to follow is closed and asks again. Personal data are
// masked, and whoever sees them unmasked is recorded.
package console
