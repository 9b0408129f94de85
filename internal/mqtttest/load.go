package mqtttest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zhijiao/devices"
	"zhijiao/internal/mqttlink"
	"zhijiao/internal/topic"
)

// Load is devices that publish as fast as they are acknowledged, for measuring.
type Load struct {
	Serials []string
	Each    int                               // messages a device
	Window  int                               // unacknowledged messages a device
	Payload func(serial string, i int) []byte // message i of a device, from 1
}

// Total is how many messages that is.
func (l Load) Total() int { return len(l.Serials) * l.Each }

// Start connects every device, calls begin, and publishes. The function it returns waits until everything is
// acknowledged.
func (l Load) Start(t testing.TB, b *B, begin func()) (wait func()) {
	t.Helper()
	links := make([]*mqttlink.Link, len(l.Serials))
	for i, serial := range l.Serials {
		links[i] = Link(t, b.Device(serial))
	}
	begin()
	var wg sync.WaitGroup
	for i, serial := range l.Serials {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
			defer cancel()
			defer links[i].Close()
			where := topic.Up(devices.Serial(serial), devices.KindFix)
			open := make([]mqttlink.Receipt, 0, l.Each)
			for n := 1; n <= l.Each; n++ {
				if len(open) >= l.Window {
					if err := open[0].Wait(ctx); err != nil {
						t.Errorf("%s: %v", serial, err)
						return
					}
					open = open[1:]
				}
				open = append(open, links[i].Send(where, 1, l.Payload(serial, n)))
			}
			for _, r := range open {
				if err := r.Wait(ctx); err != nil {
					t.Errorf("%s: %v", serial, err)
					return
				}
			}
		})
	}
	return wg.Wait
}

// Bare measures messages a second from devices through the broker to as many bare sessions as it has partitions, which
// do nothing but acknowledge.
func Bare(t testing.TB, o Options, l Load) float64 {
	t.Helper()
	o.Devices = l.Serials
	b := Broker(t, o)
	defer b.Stop()
	var n atomic.Int64
	done := make(chan struct{})
	total := int64(l.Total())
	for k := range b.Partitions {
		r := Link(t, b.Reader(k, func(_ context.Context, m mqttlink.Message) {
			m.Ack()
			if n.Add(1) == total {
				close(done)
			}
		}))
		defer r.Close()
	}
	var begun time.Time
	wait := l.Start(t, b, func() { begun = time.Now() })
	select {
	case <-done:
	case <-time.After(5 * time.Minute):
		t.Fatalf("%d of %d delivered", n.Load(), total)
	}
	rate := float64(total) / time.Since(begun).Seconds()
	wait()
	return rate
}
