package fleet

import (
	"context"
	"errors"

	"zhijiao/internal/mqttlink"
)

// window is how many messages a device has on their way at once.
const window = 32

// stream sends the messages of one device in order. What was not acknowledged when a connection ended is sent again on
// the next, oldest first, as a device with a memory does.
type stream struct {
	link    *mqttlink.Link
	pending []pending
}

type pending struct {
	topic   string
	payload []byte
	receipt mqttlink.Receipt
}

func (s *stream) send(ctx context.Context, topic string, payload []byte) error {
	for len(s.pending) >= window {
		if err := s.settle(ctx); err != nil {
			return err
		}
	}
	s.pending = append(s.pending, pending{topic, payload, s.link.Send(topic, 1, payload)})
	return nil
}

func (s *stream) flush(ctx context.Context) error {
	for len(s.pending) > 0 {
		if err := s.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// settle waits for the oldest message; when the connection went away under it, everything is sent again.
func (s *stream) settle(ctx context.Context) error {
	err := s.pending[0].receipt.Wait(ctx)
	switch {
	case err == nil:
		s.pending = s.pending[1:]
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, mqttlink.ErrConnectionLost), errors.Is(err, mqttlink.ErrNotConnected):
	default:
		return err
	}
	if err := s.link.WaitUp(ctx); err != nil {
		return err
	}
	for i := range s.pending {
		s.pending[i].receipt = s.link.Send(s.pending[i].topic, 1, s.pending[i].payload)
	}
	return nil
}
