package geofence

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"zhijiao/devices"
)

// Refusal is a message, or one observation of a message, that could not be decoded.
type Refusal struct {
	Serial  devices.Serial // from the topic; not checked against the registry
	Kind    devices.Kind
	Fault   devices.Fault
	Boot    int64     // -1 where it could not be read
	Seq     int64     // -1 where it could not be read
	At      time.Time // the one time in it; zero: none, or not surely the only one, and then nothing of it is kept readable
	Digest  uint64
	Size    int
	Payload []byte // as received; the engine decides what of it may be kept

	More   int64 // observations it stands for beyond one; −1: none, it only leaves a trace
	Silent bool  // counted, and without a trace of its own
	Stands int64 // messages its trace stands for, where there are several
}

// Batch is what one owner of a partition takes in at once, in the order received.
type Batch struct {
	Partition    int // whose counters it moves
	Received     map[devices.Kind]int64
	Observations []devices.Observation
	Refusals     []Refusal

	// Fence is called first in the transaction, and fails when whoever read this may read it no more: nothing of the batch is
	// committed then. nil: nobody else reads.
	Fence func(ctx context.Context, tx pgx.Tx) error
}

// Observer takes in observations. Engine is the only one; ingest knows no more of it than this.
type Observer interface {
	// Observe returns nil when everything the batch caused is committed, and an error when nothing of it is: the
	// caller then does not acknowledge, and sends it again.
	Observe(ctx context.Context, b Batch) error
}
