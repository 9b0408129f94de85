package ingest

import (
	"time"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/crypto"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/topic"
)

// delivery is one message as it waits in the queue.
type delivery struct {
	message mqttlink.Message
	items   []item    // of an oversized one, refused on receipt so that its payload need not wait here; else nil
	at      time.Time // domain time of receipt
	since   time.Time // machine time of receipt: from then the broker's AckWait runs
}

// item is one received observation: opened, or refused. Exactly one of the two is set.
type item struct {
	observation *devices.Observation
	refusal     *geofence.Refusal
}

func (i item) kind() devices.Kind {
	if i.refusal != nil {
		return i.refusal.Kind
	}
	return i.observation.Kind
}

// observations is how many it stands for.
func (i item) observations() int64 {
	if i.refusal != nil {
		return 1 + i.refusal.More
	}
	return 1
}

// JSON is the Decoder of what devices publish, our own wire format and that of OwnTracks: the topic says which it is.
func JSON(key *crypto.DigestKey) Decoder {
	return func(raw devices.Raw) devices.Message {
		o := devices.DecodeOptions{Key: key, Future: Future}
		if raw.Kind == devices.KindOwnTracks {
			return devices.DecodeOwnTracks(raw, o)
		}
		return devices.DecodeJSON(raw, o)
	}
}

// open takes one message apart. It always gives at least one item, so that nothing acknowledged is uncounted.
func open(decode Decoder, m mqttlink.Message, at time.Time) []item {
	serial, kind, ok := topic.Parse(m.Topic)
	if !ok {
		return []item{{refusal: &geofence.Refusal{Serial: serial, Kind: devices.KindUnknown, Boot: -1, Seq: -1, Size: len(m.Payload),
			Fault: devices.Fault{Reason: devices.BadTopic, Field: "topic", Detail: "not up/{device}/fix, checkin or status, nor owntracks/{device}/{name}"}}}}
	}
	opened := decode(devices.Raw{Serial: serial, Kind: kind, Payload: m.Payload, ReceivedAt: at})
	items := make([]item, 0, len(opened.Observations)+len(opened.Faults))
	for i := range opened.Observations {
		o := &opened.Observations[i]
		if f := implausible(o); f != nil {
			items = append(items, item{refusal: &geofence.Refusal{Serial: serial, Kind: o.Kind, Fault: *f, Boot: o.Boot, Seq: o.Seq,
				At: o.At, Digest: o.Digest, Size: o.Size}})
			continue
		}
		items = append(items, item{observation: o})
	}
	for _, f := range opened.Faults {
		items = append(items, item{refusal: &geofence.Refusal{Serial: serial, Kind: opened.Kind, Fault: f.Fault, Boot: f.Boot,
			Seq: f.Seq, At: f.At, Digest: f.Digest, Size: f.Size, Payload: f.Payload}})
	}
	if len(items) == 0 {
		items = append(items, item{refusal: &geofence.Refusal{Serial: serial, Kind: devices.KindUnknown, Boot: -1, Seq: -1,
			Size: len(m.Payload), Fault: devices.Fault{Reason: devices.MissingField, Detail: "a message without an observation"}}})
	}
	return items
}

// openOversized is open for a message over the wire format's limit: what is left of it is its size and its digest.
func openOversized(decode Decoder, m mqttlink.Message, at time.Time) []item {
	items := open(decode, m, at)
	for i := range items {
		if items[i].refusal != nil {
			items[i].refusal.Payload = nil
		}
	}
	return items
}

// batchOf is the items as the core takes them. What is received is counted here, from what was opened and not from what
// becomes of it: so the accounting can fail to close, and is worth checking.
func batchOf(counter int, items []item, lease *Lease) geofence.Batch {
	b := geofence.Batch{Partition: counter, Received: make(map[devices.Kind]int64, 4)}
	if lease != nil {
		b.Fence = lease.Fence
	}
	for _, it := range items {
		if n := it.observations(); n > 0 {
			b.Received[it.kind()] += n
		}
		if it.refusal != nil {
			b.Refusals = append(b.Refusals, *it.refusal)
		} else {
			b.Observations = append(b.Observations, *it.observation)
		}
	}
	return b
}

// poison refuses what the core cannot take in.
func poison(it item) item {
	if it.refusal != nil { // already refused, and even that could not be written: keep less of it
		r := *it.refusal // it counts what it counted
		r.Fault, r.Payload = devices.Fault{Reason: devices.Poison, Detail: "could not be quarantined as it was"}, nil
		return item{refusal: &r}
	}
	o := it.observation
	return item{refusal: &geofence.Refusal{Serial: o.Serial, Kind: o.Kind, Boot: o.Boot, Seq: o.Seq, Digest: o.Digest,
		At: o.At, Size: o.Size, Fault: devices.Fault{Reason: devices.Poison, Detail: "failed alone, every attempt"}}}
}
