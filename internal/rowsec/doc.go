// Package rowsec is the second net under every query about cases: a pool whose connections read as a role that sees, of tables with case data,
// only the rows of one scope (row-level security, migrations/021).
//
// The scope travels with the context: With puts it there, and every connection that is taken from the pool is given it before its first query.
// A context without one sees no case at all, so what forgets to say whose question it is gets nothing instead of everything.
package rowsec
