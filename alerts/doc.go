// Package alerts makes of violations the work of people: it follows the ledger, raises one alert an episode with the class
// that law and policy allow, and keeps who took charge of it, what they noted and what they concluded.
//
// The machine raises, amends and heals; only a person concludes. History is append-only, every act has its actor, its
// domain and its machine time. Every read and every act is scoped by the actor's organisation in SQL.
package alerts
