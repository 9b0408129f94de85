// Package osmand takes in trackers over HTTP(S): the OsmAnd wire, which OsmAnd and many trackers speak, both wires of Traccar Client,
// and the positions that a Traccar server forwards, so that any of the hundreds of trackers it decodes can feed us. The decoder
// is pure. The gateway beside it authenticates whoever asks, translates into the JSON wire and publishes that to the broker.
//
// It promises to answer 200 only after the broker has acknowledged what was said, that a tracker speaks for itself alone, and that
// nothing of a request (its address line holds places and secrets) is ever logged.
package osmand
