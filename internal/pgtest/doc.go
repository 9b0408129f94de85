// Package pgtest gives tests a real PostgreSQL with PostGIS. With ZHIJIAO_TEST_DATABASE_URL set (the Makefile starts one
// private cluster for the whole run) all test processes share that server; else each process starts one of its own, which
// ends, and whose folder goes, when the process does, however it does.
//
// Tx is the cheapest (a rolled back transaction in a shared schema), Schema is for what commits or needs several
// connections, Database for what needs a whole database (dump and restore, the whole program).
package pgtest
