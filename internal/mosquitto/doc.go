// Package mosquitto writes what a Mosquitto that runs elsewhere needs to know: who may connect, what they may do, and the settings
// under which it loses as little as it can. It knows no database.
package mosquitto
