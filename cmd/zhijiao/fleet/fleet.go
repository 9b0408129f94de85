package fleet

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"zhijiao/devices"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/topic"
)

// Options say where the devices connect.
type Options struct {
	URL string
	TLS *tls.Config
	Log *slog.Logger
	// OnCommand is told of every command that reaches a device, from that device's session.
	OnCommand func(serial devices.Serial, payload []byte)
}

// Fleet is the devices. Methods may be called from several goroutines, for one device from one at a time.
type Fleet struct {
	opts     Options
	mu       sync.Mutex
	streams  map[devices.Serial]*stream
	commands atomic.Int64
}

// New returns a fleet without devices.
func New(o Options) *Fleet {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Fleet{opts: o, streams: map[devices.Serial]*stream{}}
}

// Connect brings a device to the broker and returns when it listens for commands.
func (f *Fleet) Connect(ctx context.Context, serial devices.Serial, secret string) error {
	link, err := mqttlink.New(mqttlink.Options{
		URL: f.opts.URL, TLS: f.opts.TLS, ClientID: string(serial), Password: secret, Log: f.opts.Log,
		Subscribe: []mqttlink.Filter{{Topic: topic.Down(serial)}},
		Handler: func(_ context.Context, m mqttlink.Message) {
			f.commands.Add(1)
			if f.opts.OnCommand != nil {
				f.opts.OnCommand(serial, m.Payload)
			}
		},
	})
	if err != nil {
		return err
	}
	link.Open()
	if err := link.WaitUp(ctx); err != nil {
		link.Close()
		return fmt.Errorf("connect device: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.streams[serial] = &stream{link: link}
	return nil
}

// Commands is how many commands have reached devices of the fleet.
func (f *Fleet) Commands() int64 { return f.commands.Load() }

// Send publishes a report in one message, in order behind what the device sent before. It returns when there is room for
// more, not when the broker has acknowledged: see Flush.
func (f *Fleet) Send(ctx context.Context, serial devices.Serial, kind devices.Kind, r devices.Report) error {
	s, err := f.stream(serial)
	if err != nil {
		return err
	}
	payload, err := devices.AppendJSON(nil, r)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return s.send(ctx, topic.Up(serial, kind), payload)
}

// Flush returns when the broker has acknowledged all that a device sent.
func (f *Fleet) Flush(ctx context.Context, serial devices.Serial) error {
	s, err := f.stream(serial)
	if err != nil {
		return err
	}
	return s.flush(ctx)
}

// FlushAll returns when the broker has acknowledged all that was sent.
func (f *Fleet) FlushAll(ctx context.Context) error {
	f.mu.Lock()
	streams := make([]*stream, 0, len(f.streams))
	for _, s := range f.streams {
		streams = append(streams, s)
	}
	f.mu.Unlock()
	for _, s := range streams {
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close disconnects every device.
func (f *Fleet) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	var wg sync.WaitGroup
	for _, s := range f.streams {
		wg.Go(s.link.Close)
	}
	wg.Wait()
	clear(f.streams)
}

func (f *Fleet) stream(serial devices.Serial) (*stream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.streams[serial]
	if !ok {
		return nil, fmt.Errorf("device %s is not connected", serial)
	}
	return s, nil
}
