package jt808

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zhijiao/devices"
	"zhijiao/internal/clock"
	"zhijiao/internal/mqttlink"
)

// Options are what a Gateway is built of.
type Options struct {
	Listen string
	TLS    *tls.Config // nil: in the clear, as nearly every terminal speaks

	Link      mqttlink.Options // the gateway's own session; subscription and handler are set here
	Terminals *devices.Terminals
	MAC       func(secret []byte) []byte
	Clock     clock.Clock

	// Register is asked when a known terminal registers, with what it says of its make. It returns the authentication code, or
	// devices.ErrNotOpen when nobody has let the terminal register.
	Register func(ctx context.Context, serial devices.Serial, identity string) (string, error)
	// Quarantine keeps the traces of what was refused.
	Quarantine func(ctx context.Context, list []devices.Refused) error
	// Answer is told what a terminal said of a command; the device and the time are for it to fill in. It is told again when it failed
	// and the command comes again.
	Answer func(ctx context.Context, serial devices.Serial, a devices.CommandAnswer) error
	// Makers says of a model whether its makers' items are read. nil: of none.
	Makers func(model string) bool

	MaxConnections int // 20,000 when zero
	Limits         Limits

	Log      *slog.Logger
	Registry prometheus.Registerer // nil: no metrics
}

// Limits are those of one connection, in times of the machine, and a test's to change.
type Limits struct {
	Frames    float64       // a second, in the long run; four seconds' worth at once: 50
	Handshake time.Duration // from the connection to the authentication: 30 s
	Frame     time.Duration // from the first byte of a frame to its last: 30 s
	Idle      time.Duration // between frames: 15 min
	Login     time.Duration // between two authentications of one terminal: 1 s
	Write     time.Duration // 10 s
	Publish   time.Duration // from the publish to the broker's acknowledgement: 10 s
	Sweep     time.Duration // between looks for terminals that may no longer speak: 2 s
}

func (o *Options) defaults() error {
	if o.Listen == "" || o.Terminals == nil || o.MAC == nil || o.Clock == nil || o.Register == nil || o.Quarantine == nil || o.Answer == nil {
		return errors.New("jt808: an option is missing")
	}
	if o.Makers == nil {
		o.Makers = func(string) bool { return false }
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = 20_000
	}
	l := &o.Limits
	for d, v := range map[*time.Duration]time.Duration{
		&l.Handshake: 30 * time.Second, &l.Frame: 30 * time.Second, &l.Idle: 15 * time.Minute, &l.Login: time.Second, &l.Write: 10 * time.Second,
		&l.Publish: 10 * time.Second, &l.Sweep: 2 * time.Second,
	} {
		if *d == 0 {
			*d = v
		}
	}
	if l.Frames == 0 {
		l.Frames = 50
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}
