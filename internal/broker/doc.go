// Package broker is the embedded MQTT broker: nats-server with its MQTT listener and JetStream in a folder of its own.
//
// What it promises, each by a test:
//
//   - A device connects and publishes only as itself: client id = user name = the serial its secret was issued for, and
//     exactly three topics, in the partition the broker computes. What it tries beyond that is counted and reported.
//   - Nothing is acknowledged that nobody will read: devices are refused until the session of every partition has its
//     durable consumer, because nats-server acknowledges and discards what has no subscription (Gate).
//   - What is acknowledged under sync always is on disk: kill -9 loses none of it.
//
// Who may speak comes as a Registry that somebody else keeps fresh; the broker knows no database.
package broker
