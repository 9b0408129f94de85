package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/devices"
	"zhijiao/geofence"
	"zhijiao/internal/clock"
	"zhijiao/internal/mqttlink"
)

const (
	// Future is how far ahead of our time an observation may be.
	Future = devices.DefaultFuture

	defaultWindow    = 2000
	defaultBatch     = 1000
	defaultBatchWait = 4 * time.Millisecond
	defaultAckWait   = 10 * time.Second
	defaultAttempts  = 3
)

// Options are what Ingest is built of.
type Options struct {
	// Link is how to reach the broker: URL, TLS and Password of our own sessions. The rest is set here.
	Link mqttlink.Options
	// Partitions is N of the broker's mapping. On a broker that cannot map, Unmapped makes it one session for all, which feeds
	// so many lanes.
	Partitions int
	Unmapped   bool
	// Leases spread the partitions over processes; of an unmapped broker it is one. nil: this process reads alone.
	Leases *Leases

	Decode   Decoder
	Observer geofence.Observer
	Clock    clock.Clock
	// Ping asks whether the database answers.
	Ping func(context.Context) error

	Limit     Limit         // of each device's messages; the zero value is none
	Window    int           // the broker's max ack pending; also the length of the queue
	Batch     int           // observations a transaction
	BatchWait time.Duration // how long a batch waits for company
	AckWait   time.Duration // the broker's
	Attempts  int           // at an observation that fails alone, before it is poison

	Log      *slog.Logger
	Register prometheus.Registerer
}

// Decoder opens one payload. It never fails: what cannot be opened is among the faults.
type Decoder func(devices.Raw) devices.Message

func (o *Options) defaults() error {
	if o.Partitions < 1 {
		return errors.New("ingest: no partitions to read")
	}
	if sessions := o.sessions(); o.Leases != nil && o.Leases.o.Partitions != sessions {
		return fmt.Errorf("ingest: leases of %d partitions, and %d are to be read", o.Leases.o.Partitions, sessions)
	}
	if o.Decode == nil || o.Observer == nil || o.Clock == nil || o.Ping == nil || o.Log == nil || o.Register == nil {
		return errors.New("ingest: a decoder, an observer, a clock, a ping, a log and a metrics registry are needed")
	}
	if o.Window == 0 {
		o.Window = defaultWindow
	}
	if o.Batch == 0 {
		o.Batch = defaultBatch
	}
	if o.BatchWait == 0 {
		o.BatchWait = defaultBatchWait
	}
	if o.AckWait == 0 {
		o.AckWait = defaultAckWait
	}
	if o.Attempts == 0 {
		o.Attempts = defaultAttempts
	}
	return nil
}

// sessions is how many there are: what leases are about.
func (o *Options) sessions() int {
	if o.Unmapped {
		return 1
	}
	return o.Partitions
}
