// Package ingest takes what devices publish from the broker to the core: one session for each partition, topics,
// decoding, stateless plausibility, batches, and the acknowledgement after the commit.
//
// What it promises:
//
//   - A message is acknowledged only when everything it caused is committed. When the database does not answer in half of
//     the broker's AckWait, the session is closed on purpose and what was queued is dropped; the broker has it, and sends
//     it again when the database is back.
//   - Every observation of a message is counted: decoded, or refused with a reason. One bad observation of twenty costs
//     that observation. One that the core cannot take in at all is found by halving the batch, refused as poison and kept
//     in the quarantine; the others go on.
//   - Order of one device is the broker's order: a session is read by one goroutine, which decides in order.
//   - Memory is bounded: a queue as long as the broker's window, and no payload over the wire format's limit is kept.
//
// The canary (Canary) publishes as a device through the real listener, and is content only when what it published has come
// out of the database.
package ingest
