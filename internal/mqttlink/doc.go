// Package mqttlink is a connection to an MQTT broker that comes back by itself: the only importer of paho. Ingest, the
// command sender, the canary, replay and simulated devices all speak through it.
//
// Every connection is a fresh paho client. paho's own reconnect keeps packet identifiers and tokens across connections: an
// acknowledgement given late would name another message, and a publish token completes though nothing was delivered.
// Here both are simply void once their connection is gone, and the broker sends, or the caller publishes, again.
//
// The subscription is made in OnConnect, so that it is there after every reconnect, and its result is looked at: paho
// reports a refused subscription (0x80) in SubscribeToken.Result alone, with a nil Error.
package mqttlink
