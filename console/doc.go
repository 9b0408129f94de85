// Package console is what people work at: the HTTP API and the websocket behind the wall and the desk, accounts and
// sessions, and the front end, embedded.
//
// Routes are one table (routes.go): method, path, who may use it, what it does. Every answer about cases is scoped by the
// account's organisation in SQL; administrators see no case (403 no_case_data). problem.go is the only place that turns
// errors into codes; the front end has the words.
//
// A websocket goes on from the ledger position it stopped at and misses nothing: each version of each alert is told once and
// in order, caught up with or live by the same code, whichever process it resumes on. Clients pull, so nothing queues up for
// a slow one; one that does not take a frame in time is closed and begins anew.
//
// Personal data are masked. Only whoever holds an open alert sees that person, and what people look at is recorded.
//
// Sessions live on the server, by the hash of a random token, and end half an hour after a person last asked for something
// and twelve hours after login at the latest. What a page asks by itself counts for nothing. The one exception are walls: a
// commander's page that nobody touched goes on showing the situation until the twelve hours are over, and needs a login
// before it opens a file or acts.
package console
